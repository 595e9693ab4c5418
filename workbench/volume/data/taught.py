"""What weights for volumes were taught on, as plain facts that travel in the weight file; and the facts of one volume.

Both hold the same numbers: quantiles and a few shares of the voxels per channel, spacing and field of view along the
axes of the recipe. Weights hold the range of each over all volumes that taught them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.errors import WeightsError
from workbench.core.types import Image
from workbench.volume.data.grid import Grid
from workbench.volume.data.recipe import VolumeRecipe
from workbench.volume.data.sequences import modality_of, sequences_of

Range: TypeAlias = tuple[float, float]

QUANTILES = (0.5, 5.0, 25.0, 50.0, 75.0, 95.0, 99.5)
AXES = ("LR", "PA", "IS")
"""The axes along which volumes can be mirrored, by their two ends."""
_SAMPLE = 2_000_000  # voxels looked at per channel: quantiles of so many are those of all to a fraction of a percent
_PADDING_HU = -1100.0  # scanners write -2000, -3024 and the like outside of the field they reconstruct


@dataclass(frozen=True)
class VolumeFacts:
    """One volume in numbers.

    Parameters
    ----------
    spacing_mm, extent_mm
        Along the axes of the recipe; the extent is the field of view.
    values
        Per channel: ``q0.5`` ... ``q99.5`` (quantiles in percent), ``lowest``, ``highest``, and shares of the voxels:
        ``negative``, ``air`` (below -900), ``gap`` (-550 to -150), ``at zero`` (where others are below), ``at lowest``,
        ``at highest``, ``alike`` (equal to both neighbours in the plane, where not the lowest value). Without numbers
        where no voxel is finite.
    whole, finite
        Whether all values that were looked at are whole numbers, and numbers at all.
    """

    modality: str | None
    unit: str | None
    sequences: tuple[str, ...]
    spacing_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]
    values: tuple[Mapping[str, float], ...] = ()
    whole: bool = False
    finite: bool = True


def facts_of_header(image: Image, recipe: VolumeRecipe) -> VolumeFacts:
    """What the header says; no samples are loaded. The image has a place in the world (`require_volume`)."""
    grid = Grid.plan(image.geometry, recipe.orientation)
    x, y, z = grid.spacing or (1.0, 1.0, 1.0)
    a, b, c = grid.oriented_shape
    return VolumeFacts(image.modality, image.value_unit, sequences_of(image), (x, y, z), (a * x, b * y, c * z))


def facts_of(image: Image, recipe: VolumeRecipe, samples: npt.NDArray[Any] | None = None) -> VolumeFacts:
    """What header and samples say: some planes across the last axis of the recipe, the same however it is stored.

    `samples`: those of the image, where they were read already and are not kept by it.
    """
    grid = Grid.plan(image.geometry, recipe.orientation)
    data = grid.orient(image.data if samples is None else samples)
    planes = data.shape[-1]
    step = max(1, math.ceil(data[0].size / _SAMPLE))
    step = min(step, max(1, planes // 3))
    sample = data[..., ((planes - 1) % step) // 2 :: step]
    values = tuple(_measured(channel) for channel in sample)
    whole = all(bool((np.rint(c) == c).all()) for c in sample) if sample.dtype.kind == "f" else True
    finite = bool(np.isfinite(data.sum(dtype=np.float64))) if data.dtype.kind == "f" else True
    return replace(facts_of_header(image, recipe), values=values, whole=whole, finite=finite)


def _measured(channel: npt.NDArray[Any]) -> dict[str, float]:
    finite = np.isfinite(channel) if channel.dtype.kind == "f" else np.ones(channel.shape, bool)
    values = channel[finite].astype(np.float32)
    if not values.size:
        return {}
    padded = float(values.min())
    if padded < _PADDING_HU and 0.005 < float((values == padded).mean()) < 1:
        values = values[values > padded]  # outside of the field that was reconstructed: no measurement
    lowest, highest = float(values.min()), float(values.max())
    found = {f"q{q:g}": float(v) for q, v in zip(QUANTILES, np.percentile(values, QUANTILES), strict=True)}
    found |= {"lowest": lowest, "highest": highest}
    shares = {
        "negative": values < 0,
        "air": values < -900,
        "gap": (values > -550) & (values < -150),
        "at zero": (values == 0) & (lowest < 0),
        "at lowest": values == lowest,
        "at highest": values == highest,
    }
    found |= {name: float(mask.mean()) for name, mask in shares.items()}
    inner = channel[:-1, :-1]
    judged = inner > min(lowest, padded)
    alike = judged & (inner == channel[1:, :-1]) & (inner == channel[:-1, 1:])
    return found | {"alike": float(alike.sum() / max(1, judged.sum()))}


@dataclass(frozen=True)
class Taught:
    """What taught some weights.

    Parameters
    ----------
    cases
        Volumes it was gathered from; 0 where nothing was recorded and `recorded` is false.
    modality, unit
        DICOM codes of the modalities (``"CT"``), and the unit of the values (``"HU"``); empty and None where unknown.
    sequences
        Per channel the MR sequences (``"T1"``, ``"FLAIR"``) that names said.
    mirrored
        Those of `AXES` along which training mirrored volumes; None where it is not known.
    roi
        Window of the training in voxels along the axes of the recipe.
    spacing_mm, extent_mm, values
        Ranges over the volumes of what `VolumeFacts` says of each.
    recorded
        Whether the weights say all this themselves; else it is what their recipe implies.
    partly
        Whether they go on from weights that did not say what taught them.
    """

    cases: int = 0
    modality: tuple[str, ...] = ()
    unit: str | None = None
    sequences: tuple[tuple[str, ...], ...] = ()
    mirrored: tuple[str, ...] | None = None
    roi: tuple[int, int, int] | None = None
    spacing_mm: tuple[Range, ...] = ()
    extent_mm: tuple[Range, ...] = ()
    values: tuple[Mapping[str, Range], ...] = ()
    recorded: bool = False
    partly: bool = field(default=False)

    def range_of(self, name: str, channel: int = 0) -> Range | None:
        """Lowest and highest of that number over the volumes that taught the weights, where they say it."""
        return self.values[channel].get(name) if channel < len(self.values) else None

    def to_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "cases": self.cases,
            "modality": list(self.modality),
            "unit": self.unit,
            "sequences": [list(s) for s in self.sequences],
            "mirrored": None if self.mirrored is None else list(self.mirrored),
            "roi": None if self.roi is None else list(self.roi),
            "spacing_mm": [_rounded(r) for r in self.spacing_mm],
            "extent_mm": [_rounded(r) for r in self.extent_mm],
            "values": [{k: _rounded(r) for k, r in channel.items()} for channel in self.values],
            "partly": self.partly,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Taught:
        """Inverse of `to_json`; what later versions add is left out.

        Raises
        ------
        WeightsError
            An entry is not of the type it must have.
        """
        try:
            mirrored, roi = record.get("mirrored"), record.get("roi")
            return cls(
                cases=_whole(record.get("cases", 0)),
                modality=_texts(record.get("modality", [])),
                unit=None if record.get("unit") is None else _text(record["unit"]),
                sequences=tuple(_texts(s) for s in _list(record.get("sequences", []))),
                mirrored=None if mirrored is None else _texts(mirrored),
                roi=None if roi is None else _three([_whole(n) for n in _list(roi)]),
                spacing_mm=_axes(record.get("spacing_mm", [])),
                extent_mm=_axes(record.get("extent_mm", [])),
                values=tuple(_channel(c) for c in _list(record.get("values", []))),
                recorded=True,
                partly=record.get("partly") is True,
            )
        except (TypeError, ValueError) as error:
            raise WeightsError(
                f"what it says of its teaching (record entry 'taught') is damaged ({error}); fetch the file again"
            ) from error


def gather(
    volumes: Sequence[VolumeFacts], recipe: VolumeRecipe, *, mirrored: Iterable[str], roi: Sequence[int]
) -> Taught:
    """What a training on these volumes has taught.

    Parameters
    ----------
    mirrored
        Axes (of `AXES`) along which training mirrored at random.
    roi
        Window of the training in voxels.
    """
    told = sorted({v.modality for v in volumes if v.modality and v.modality != "SEG"})
    values = _ranges([v.values for v in volumes])
    named = {m for m in map(modality_of, recipe.channels) if m}
    unit = "HU" if any(v.unit == "HU" for v in volumes) else None
    if unit is None and not told and named == {"CT"} and recipe.intensity == "window" and values:
        # A file without a modality: fat and air below 0 in every volume say that these are Hounsfield units.
        unit = "HU" if values[0].get("q0.5", (0.0, 0.0))[1] < -40 else None
    if unit is None and named == {"CT"} and not told:
        named = set()  # the recipe calls its channel CT by default; the values are no HU
    channels = len(recipe.channels)
    sequences = tuple(
        tuple(sorted({v.sequences[c] for v in volumes if len(v.sequences) == channels and v.sequences[c]}))
        for c in range(channels)
    )
    return Taught(
        cases=len(volumes),
        modality=tuple(told or sorted(named)),
        unit=unit,
        sequences=sequences,
        mirrored=tuple(a for a in AXES if a in set(mirrored)),
        roi=_three([int(n) for n in roi]),
        spacing_mm=tuple(_span(v.spacing_mm[a] for v in volumes) for a in range(3)),
        extent_mm=tuple(_span(v.extent_mm[a] for v in volumes) for a in range(3)),
        values=values,
        recorded=True,
    )


def joined(before: Taught | None, new: Taught) -> Taught:
    """What taught weights that go on from others: both."""
    if before is None:
        return new
    sequences = tuple(tuple(sorted({*a, *b})) for a, b in zip(before.sequences, new.sequences, strict=False))
    both = {*(before.mirrored or ()), *(new.mirrored or ())}
    return replace(
        new,
        cases=before.cases + new.cases,
        modality=tuple(sorted({*before.modality, *new.modality})),
        unit=before.unit or new.unit,
        sequences=sequences or new.sequences,
        mirrored=tuple(a for a in AXES if a in both),
        spacing_mm=_wider(before.spacing_mm, new.spacing_mm),
        extent_mm=_wider(before.extent_mm, new.extent_mm),
        values=tuple(
            {k: _span([*r, *before.values[c].get(k, r)]) for k, r in channel.items()}
            if c < len(before.values)
            else channel
            for c, channel in enumerate(new.values)
        ),
        partly=before.partly or not before.recorded,
    )


def _ranges(volumes: Sequence[Sequence[Mapping[str, float]]]) -> tuple[dict[str, Range], ...]:
    full = [v for v in volumes if v and all(v)]
    if not full:
        return ()
    return tuple({k: _span(v[c][k] for v in full) for k in full[0][c]} for c in range(len(full[0])))


def _span(values: Iterable[float]) -> Range:
    found = list(values)
    return min(found), max(found)


def _wider(a: tuple[Range, ...], b: tuple[Range, ...]) -> tuple[Range, ...]:
    return tuple(_span([*p, *q]) for p, q in zip(a, b, strict=True)) if a and b else a or b


def _rounded(pair: Range) -> list[float]:
    return [float(f"{v:.6g}") for v in pair]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list was expected, found {value!r:.60}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text was expected, found {value!r:.60}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(v) for v in _list(value))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a whole number was expected, found {value!r:.60}")
    return value


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    a, b, c = values
    return a, b, c


def _pair(value: Any) -> Range:
    low, high = _list(value)
    for v in (low, high):
        if isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v):
            raise TypeError(f"two finite numbers were expected, found {value!r:.60}")
    return float(low), float(high)


def _axes(value: Any) -> tuple[Range, ...]:
    found = tuple(_pair(v) for v in _list(value))
    if len(found) not in (0, 3):
        raise ValueError(f"three axes were expected, found {len(found)}")
    return found


def _channel(value: Any) -> dict[str, Range]:
    if not isinstance(value, dict):
        raise TypeError(f"an object was expected, found {value!r:.60}")
    return {str(k): _pair(v) for k, v in value.items()}
