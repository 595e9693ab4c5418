"""The settings of a prediction on a scene: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.agreement import force_setting
from workbench.core.settings import setting


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    weights: str = setting("demo", "Weights: demo, a known name, or a file or folder.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    mode: Literal["auto", "dense", "patches"] = setting(
        "auto",
        "dense: convolve once over the scene; patches: cut out every patch (slow); auto: dense where that is exact.",
    )
    pca: Literal["weights", "scene"] = setting(
        "weights", "Principal components of the weights, or fitted on this scene by their recipe."
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number type: auto is bfloat16 on a GPU and float32 on a CPU."
    )
    reference: bool = setting(
        False, "Also map with a support vector machine taught on the spectra that the weights learnt from."
    )
    force: bool = force_setting()
    min_confidence: float = setting(
        0.0, "Leave pixels unlabelled (0) whose confidence is lower.", low=0.0, high=1.0, advanced=True
    )
    tile: int = setting(
        128, "Side of the blocks that are worked on at once; memory grows with its square.", unit="pixels", low=8,
        advanced=True,
    )  # fmt: skip
    batch: int | None = setting(None, "Pixels at once; by default what suits the device.", low=1, advanced=True)
