"""The settings of teaching nuclei: keyword arguments, flags and form. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting


@dataclass(frozen=True)
class CellTrainConfig:
    """How to teach a network the nuclei of labelled pictures."""

    weights: str = setting("demo", "Weights to go on from: demo, a name or a file; none makes a small network anew.")
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    adapt: Literal["lora", "decoders", "all", "classes"] = setting(
        "lora",
        "What learns: the decoders and low-rank additions to the encoder (lora), the decoders alone, or all; or "
        "classes: names for the nuclei that the weights find, from a few examples. A network made anew learns as a "
        "whole.",
    )
    lora_rank: int = setting(8, "rank of the additions", low=1, high=256, advanced=True)
    mpp: float | None = setting(
        None, "Size of a pixel of the pictures, where their files do not say (column mpp of a list: for each).",
        unit="um per pixel", low=0.02, high=20.0,
    )  # fmt: skip
    target_mpp: float | None = setting(
        None,
        "Scale to learn at; by default that of the weights, 0.5 made anew.",
        unit="um per pixel",
        low=0.2,
        high=1.0,
    )
    allow_upsample: bool = setting(False, "Enlarge pictures that are coarser than target_mpp by more than 5 %.")
    classes: str = setting(
        "", "How the labels' classes become those of the weights, where names do not say it: 'Neoplastic:2,...'; or "
        "'new': classes as the labels have them, whatever the weights knew.",
    )  # fmt: skip
    everywhere: bool = setting(
        False, "Teach the whole of pictures whose outlines say which of them a person looked at; by default squares "
        "around those teach.",
    )  # fmt: skip
    steps: int = setting(300, "optimiser steps", low=1)
    batch: int = setting(4, "crops per step", low=1)
    crop: int = setting(192, "side of crops; a multiple of 32", unit="pixels", low=64, high=1024)
    lr: float = setting(5e-4, "highest learning rate", low=1e-8, high=1.0)
    max_minutes: float = setting(
        0.0, "stop after this time, with the rate at its end; 0: no limit", unit="minutes", low=0
    )
    val_fraction: float = setting(0.2, "share of the groups (slides, patients) to validate on", low=0.0, high=0.9)
    resume: bool = setting(False, "continue an interrupted training of the same settings")
    overwrite: bool = setting(False, "replace weights, and the state of a training, that are already at the output")
    seed: int = setting(0, "decides the split and the crops", low=0)
    zoom: tuple[float, float] = setting(
        (0.7, 1.4), "smallest and largest magnification of a crop", low=0.2, high=5.0, advanced=True
    )
    stain: float = setting(
        0.25, "change of the strength of a stain, as a share of its optical density", low=0.0, high=0.9, advanced=True
    )
    blur: float = setting(1.2, "largest blur, a deviation", unit="pixels", low=0.0, high=10.0, advanced=True)
    weight_decay: float = setting(0.01, "decay of weights", low=0.0, high=1.0, advanced=True)
    validate_every: int = setting(0, "steps between validations; 0: ten in all", low=0, advanced=True)
    save_as: Literal["float16", "float32"] = setting("float16", "number type of the weight file", advanced=True)
