"""The settings of scoring nuclei: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, Protocol

from workbench.core.settings import setting
from workbench.slide.predict.cell_settings import CellConfig


class CellScoring(Protocol):
    """The settings that say how nuclei are scored, whoever found them."""

    @property
    def mpp(self) -> float | None: ...
    @property
    def radius(self) -> float: ...
    @property
    def classes(self) -> str: ...
    @property
    def match(self) -> Literal["name", "number"]: ...
    @property
    def classical(self) -> bool: ...
    @property
    def worst(self) -> int: ...


@dataclass(frozen=True)
class CellEvaluateConfig:
    """Settings of `evaluate`: how nuclei are found (see `CellConfig`), and how they are scored."""

    weights: str = setting("demo", "Weights: demo, a known name, or a file or folder.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    mpp: float | None = setting(
        None,
        "Size of a pixel of the pictures, where their files do not say or are wrong; by default as they say. A list "
        "may give one for each (column mpp).",
        unit="um per pixel", low=0.02, high=20.0,
    )  # fmt: skip
    target_mpp: float | None = setting(
        None, "Scale at which nuclei are looked for; by default that of the weights.", unit="um per pixel", low=0.2,
        high=1.0,
    )  # fmt: skip
    radius: float = setting(
        3.0, "Two centres within this distance are one nucleus (detection).", unit="um", low=0.1, high=50.0
    )
    classes: str = setting(
        "",
        "Which class of the labels is which of the weights, where names do not say it: 'Neoplastic:2,Dead:4', the name "
        "that the weights know, then name or number of the labels.",
    )
    match: Literal["name", "number"] = setting(
        "name", "Labels without names: name refuses them, number takes equal numbers for the same class."
    )
    classical: bool = setting(
        True, "Also score the way without learning (Otsu of haematoxylin, watershed of the distance to the edge)."
    )
    flips: bool = setting(False, "Look four times, mirrored, and take the mean: better, and four times as long.")
    normalise: Literal["fixed", "exact"] = setting(
        "fixed", "Where one nucleus ends: one scale for all tiles, or the published rule, by tile.", advanced=True
    )
    allow_upsample: bool = setting(False, "Enlarge pictures that are coarser than target_mpp by more than 5 %.")
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number type: auto is bfloat16 on a GPU and float32 on a CPU.", advanced=True
    )
    worst: int = setting(3, "How many of the worst pictures to show.", low=0, high=50)

    def of_predict(self) -> CellConfig:
        """How nuclei are found: everywhere on the picture, for its labels say where there are none."""
        own = {f.name for f in fields(CellConfig)} & {f.name for f in fields(self)}
        return CellConfig(tissue=False, **{name: getattr(self, name) for name in own})
