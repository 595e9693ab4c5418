"""The settings of an evaluation on a volume: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting
from workbench.volume.predict.settings import Config


@dataclass(frozen=True)
class EvaluateConfig(Config):
    """Settings of `evaluate`: those of `predict`, and how to score."""

    classes: str = setting(
        "", "How the labels' values become the classes of the weights, as in training: 'kidneys:2+3,vertebrae:26-50'."
    )
    match: Literal["name", "number"] = setting(
        "name", "Reference labels without names: name refuses them, number takes equal values for the same class."
    )
    names: str = setting(
        "",
        "Names of the references' values: a table (dataset.json, CSV, ITK-SNAP, Slicer), or totalsegmentator[_v1|_mr].",
    )
    resample_labels: bool = setting(
        False,
        "Resample label maps of another grid to their image (nearest voxel) instead of refusing them; it is noted.",
    )
    tolerance_mm: float = setting(2.0, "Tolerance of the normalised surface Dice.", unit="mm", low=0.0)
    worst: int = setting(3, "How many of the worst cases to show as pictures.", low=0)
