"""The settings of an evaluation on a scene: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting
from workbench.scene.train.settings import ScenePixelConfig


@dataclass(frozen=True)
class EvaluateConfig(ScenePixelConfig):
    """Settings of `evaluate`: how to teach, and what to compare."""

    protocol: Literal["auto", "train", "score"] = setting(
        "auto",
        "train: teach anew on each split and seed; score: compare the map of given weights with all labels; "
        "auto: train if weights=none, else score",
    )
    classes: str = setting(
        "",
        "which classes of the labels make up a class of the given weights, where names do not say it: 'corn:2+3+4', by "
        "value, range or name",
    )
    split: Literal["both", "random", "disjoint"] = setting(
        "both",
        "which pixels to learn from: a random draw (as papers do, leaks through overlapping patches), a draw from "
        "spatial blocks, tested a patch away from every training pixel (honest), or both side by side",
        aliases=("splits",),
    )
    seeds: int = setting(5, "how many draws of training pixels", low=1)
    references: bool = setting(True, "also teach a support vector machine and a random forest on the same pixels")
