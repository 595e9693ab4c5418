"""How a volume must be prepared for a network, as plain data that travels inside the weight file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from workbench.core.errors import WeightsError


@dataclass(frozen=True)
class VolumeRecipe:
    """Preparation, windowing and read-out of a volume network.

    Parameters
    ----------
    channels
        Names of the input channels, in order.
    orientation
        Axis codes the volume is turned to, e.g. ``"RAS"``.
    spacing_mm
        Spacing it is resampled to, in the order of `orientation`; ``None`` keeps the image's own.
    axis_order
        ``"xyz"`` (as oriented) or ``"zyx"`` (reversed): the order in which the network sees the spatial axes.
    intensity
        ``"window"``: clip to `window` and scale to [0, 1]. ``"zscore"``: per channel over voxels > 0.
        ``"slice_minmax"``: every axial slice of every channel to [0, 1] (official BraTS weights). ``"none"``.
    window
        Lower and upper bound for ``"window"``, in the unit of the image (HU for CT).
    crop
        ``"body"``: box around voxels above -500 HU after removing table and air; ``"nonzero"``: box around voxels that
        are not 0 in any channel; ``"none"``. Windows are laid in the box only, the rest is background.
    roi
        Window size in voxels, in the order of `orientation`.
    activation
        ``"softmax"``: classes exclude each other, channel 0 is background. ``"sigmoid"``: overlapping regions.
    merge
        ``"brats"``: regions TC, WT, ET become labels 1 (edema), 2 (non-enhancing), 3 (enhancing).
    """

    channels: tuple[str, ...] = ("CT",)
    orientation: str = "RAS"
    spacing_mm: tuple[float, float, float] | None = (3.0, 3.0, 3.0)
    axis_order: Literal["xyz", "zyx"] = "xyz"
    intensity: Literal["window", "zscore", "slice_minmax", "none"] = "window"
    window: tuple[float, float] = (-1000.0, 1000.0)
    crop: Literal["none", "body", "nonzero"] = "none"
    roi: tuple[int, int, int] = (64, 64, 64)
    activation: Literal["softmax", "sigmoid"] = "softmax"
    merge: Literal["none", "brats"] = "none"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> VolumeRecipe:
        """Inverse of `to_json`; an unknown key means the file was made for another version."""
        names = {f.name for f in fields(cls)}
        unknown = set(values) - names
        if unknown:
            raise WeightsError(
                f"the weight file's recipe has unknown entries {sorted(unknown)}; update napari-workbench"
            )
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        recipe = cls(**plain)
        recipe._check()
        return recipe

    def _check(self) -> None:
        """Values of a file may be anything; a wrong one would only fail with the first image, far from its cause."""
        for key, hint in get_type_hints(type(self)).items():
            allowed = get_args(hint) if get_origin(hint) is Literal else None
            if allowed and getattr(self, key) not in allowed:
                raise WeightsError(
                    f"the recipe's {key} is {getattr(self, key)!r}, expected one of {', '.join(allowed)}"
                )
        for key, count, kinds in (("roi", 3, (int,)), ("window", 2, (int, float)), ("spacing_mm", 3, (int, float))):
            value: Any = getattr(self, key)
            if value is None and key == "spacing_mm":
                continue
            numbers = isinstance(value, tuple) and all(isinstance(v, kinds) and math.isfinite(v) for v in value)
            if not numbers or len(value) != count or (key != "window" and min(value) <= 0):
                raise WeightsError(f"the recipe's {key} is {value!r}, expected {count} numbers")
        names = isinstance(self.channels, tuple) and all(isinstance(c, str) for c in self.channels)
        if not names or not self.channels:
            raise WeightsError(f"the recipe's channels are {self.channels!r}, expected a list of names")
        axes = sorted(
            "LR" if c in "LR" else "PA" if c in "PA" else "IS" for c in str(self.orientation) if c in "LRPAIS"
        )
        if axes != ["IS", "LR", "PA"] or len(str(self.orientation)) != 3:
            raise WeightsError(f"the recipe's orientation is {self.orientation!r}, expected axis codes such as 'RAS'")
