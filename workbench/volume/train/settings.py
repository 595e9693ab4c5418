"""The settings of a volume training: keyword arguments, flags and form are made from this one declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.agreement import force_setting
from workbench.core.settings import setting
from workbench.volume.predict.settings import NAN_HELP


@dataclass(frozen=True)
class TrainConfig:
    """How to teach a volume network."""

    weights: str = setting("demo", "weights to start from: demo, a name, a file, or none to start from scratch")
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    classes: str = setting(
        "",
        "classes to learn, merged from those of the label files: 'liver:5,kidneys:2+3,vertebrae:26-50', by value, "
        "range or name ('kidneys:kidney_*'); or a JSON file {name: [values or names]}. Empty: the classes as they are",
    )
    names: str = setting(
        "",
        "names of the label files' values: a table (dataset.json, CSV, ITK-SNAP, Slicer), or totalsegmentator[_v1|_mr]",
    )
    match: Literal["name", "number"] = setting(
        "name",
        "labels without names: name learns them as new classes, number as the class of that number of the weights",
    )
    resample_labels: bool = setting(
        False,
        "resample label maps of another grid to their image (nearest voxel) instead of refusing them; it is noted",
    )
    nan: Literal["refuse", "background"] = setting("refuse", NAN_HELP)
    force: bool = force_setting()
    steps: int = setting(1000, "optimiser steps", low=1)
    epochs: int = setting(0, "passes over the training cases, instead of steps; 0: use steps", low=0)
    batch: int = setting(2, "windows per step", low=1)
    lr: float = setting(1e-3, "highest learning rate", low=1e-7, high=1.0)
    max_minutes: float = setting(
        0.0, "stop after this time, with the learning rate fallen to its end; 0: no limit", low=0
    )
    val_fraction: float = setting(0.2, "share of the groups (patients) to validate on", low=0.0, high=0.9)
    fold: int = setting(
        0,
        "fold to validate on, where the data set has its own (splits_final.json of nnU-Net); -1: split by val_fraction",
        low=-1,
    )
    lora_rank: int = setting(
        0, "train low-rank adapters of this rank instead of all weights, saved small; 0: off", low=0
    )
    freeze: Literal["none", "encoder"] = setting("none", "keep the encoder as it is and train the decoder only")
    resume: bool = setting(False, "continue an interrupted training of the same settings")
    overwrite: bool = setting(False, "replace weights, and the state of a training, that are already at the output")
    seed: int = setting(0, "decides the split, the windows and the first weights", low=0)
    net: Literal["small", "default"] = setting("small", "size of a network made from scratch: 1.5 or 4.5 M parameters")
    spacing: tuple[float, float, float] | None = setting(
        None, "working voxel size; by default as for the weights, from scratch 3 mm", unit="mm", low=0.1
    )
    roi: tuple[int, int, int] | None = setting(
        None,
        "window size of the training; by default as for the weights but at most 80, from scratch 64",
        unit="voxels",
        low=16,
    )
    window: tuple[float, float] = setting(
        (-1000.0, 400.0), "intensities clipped and scaled to 0..1, from scratch", unit="HU"
    )
    intensity: Literal["window", "zscore"] = setting(
        "window", "from scratch: window for CT, zscore for MR (mean 0, deviation 1 over voxels above 0)", advanced=True
    )
    weight_decay: float = setting(0.01, "decay of the weights per unit learning rate", low=0.0, advanced=True)
    warmup: float = setting(
        0.05, "share of the training over which the learning rate rises", low=0.0, high=0.9, advanced=True
    )
    ema: float = setting(
        0.99,
        "share of the old average kept per step in the weights; 0: off",
        low=0.0,
        high=0.99999,
        advanced=True,
    )
    patience: int = setting(0, "stop after this many validations without progress; 0: never", low=0, advanced=True)
    validate_every: int = setting(0, "steps between validations; 0: twenty times in all", low=0, advanced=True)
    augment: float = setting(
        1.0, "strength of the random changes of shape and intensity", low=0.0, high=3.0, advanced=True
    )
    flip: bool = setting(False, "also mirror left and right; wrong where sides matter (liver, heart)", advanced=True)
    precision: Literal["float32", "bfloat16"] = setting("float32", "arithmetic of the training", advanced=True)
    save_as: Literal["float16", "float32"] = setting("float16", "numbers in the weight file", advanced=True)
