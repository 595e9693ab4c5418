"""The settings of a training on the labelled pixels of a scene: keyword arguments, flags and form. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.agreement import force_setting
from workbench.core.settings import setting


@dataclass(frozen=True)
class ScenePixelConfig:
    """How to teach a network the classes of a scene: what a training and a comparison of trainings have in common."""

    weights: str = setting("none", "none to start from scratch, or weights to adapt: demo, a name or a file")
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    names: str = setting(
        "",
        "names of the labels' values, where their file gives none: a table (text, CSV, JSON, dataset.json), or the "
        "names of 1, 2, 3... with commas between them",
        aliases=("class_names",),
    )
    test_labels: str = setting(
        "",
        "label map of the pixels to test on (TE of a benchmark): then all those of the labels (TR) are learnt from, "
        "and nothing is drawn; a file that holds both by these names needs no more",
    )
    match: Literal["name", "number"] = setting(
        "name",
        "where given weights or the labels name no classes: name learns such labels as new classes and refuses to "
        "score them; number takes equal numbers for the same class",
    )
    per_class: int = setting(50, "training pixels per class of a random or disjoint split", low=1)
    fraction: float = setting(0.0, "instead of per_class: this share of each class; 0: off", low=0.0, high=0.9)
    block: int = setting(0, "side of the blocks of a disjoint split; 0: twice the patch", unit="pixels", low=0)
    val_fraction: float = setting(0.1, "share of the training pixels of each class to validate on", low=0.0, high=0.9)
    steps: int = setting(40, "optimiser steps", low=1)
    batch: int = setting(32, "pixels per step, equally many of each class", low=2)
    lr: float = setting(2e-3, "highest learning rate", low=1e-7, high=1.0)
    max_minutes: float = setting(
        0.0, "stop after this time, with the learning rate fallen to its end; 0: no limit", low=0
    )
    lora_rank: int = setting(
        0, "adapt given weights by low-rank additions of this rank, saved small; 0: train everything", low=0
    )
    lora_cycle: bool = setting(
        False, "let the strength of the low-rank additions swing between half and full while training", advanced=True
    )
    components: int = setting(15, "principal components of the spectra, from scratch", low=2)
    shape: bool = setting(True, "divide spectra by their length first (illumination), from scratch")
    brightness: bool = setting(True, "add the logarithm of that length as a component, from scratch")
    scale: Literal["common", "component", "none"] = setting(
        "common",
        "from scratch: one factor for all components, or each to deviation 1 (component: whitening, as published)",
        advanced=True,
    )
    water: bool = setting(False, "leave out the bands that water vapour absorbs (needs wavelengths), from scratch")
    drop_bands: str = setting("", "more bands to leave out, numbered from 1: '1-5,104-116', from scratch")
    pca: Literal["auto", "scene", "weights"] = setting(
        "auto", "principal components of the scene or of the given weights; auto: of the weights if there are any"
    )
    net: Literal["small", "published"] = setting(
        "small", "network made from scratch: ours (a million parameters), or as published (254 million)"
    )
    patch: int = setting(15, "side of the patch around a pixel, odd, from scratch", unit="pixels", low=5)
    patch_standardise: bool = setting(
        False, "standardise every patch by itself as published; excludes the fast mapping", advanced=True
    )
    head_start: int = setting(300, "steps in which the spectra of single pixels are learnt first", low=0, advanced=True)
    label_smoothing: float = setting(
        0.0, "share of certainty taken from the labels; moves borders between classes", low=0.0, high=0.5, advanced=True
    )
    flips: bool = setting(True, "turn and mirror patches at random", advanced=True)
    noise: float = setting(
        0.0, "noise added to components while training, in deviations of the first", low=0.0, high=1.0, advanced=True
    )
    weight_decay: float = setting(0.05, "decay of the weights per unit learning rate", low=0.0, advanced=True)
    warmup: float = setting(
        0.1, "share of the training over which the learning rate rises", low=0.0, high=0.9, advanced=True
    )
    ema: float = setting(
        0.97, "share of the old average kept per step in the weights; 0: off", low=0.0, high=0.99999, advanced=True
    )
    patience: int = setting(6, "stop after this many validations without progress; 0: never", low=0, advanced=True)
    validate_every: int = setting(0, "steps between validations; 0: twenty times in all", low=0, advanced=True)
    force: bool = force_setting()
    seed: int = setting(0, "decides the split, the draws and the first weights", low=0)
    precision: Literal["float32", "bfloat16"] = setting("float32", "arithmetic of the training", advanced=True)


@dataclass(frozen=True)
class SceneTrainConfig(ScenePixelConfig):
    """How to teach a network the classes of a scene."""

    split: Literal["all", "random", "disjoint"] = setting(
        "all",
        "which labelled pixels to learn from: all of them; a random draw (as papers do, leaks through overlapping "
        "patches); or a draw from spatial blocks, tested a patch away from every training pixel (honest)",
    )
    resume: bool = setting(False, "continue an interrupted training of the same settings")
    save_as: Literal["float16", "float32"] = setting("float32", "numbers in the weight file", advanced=True)
