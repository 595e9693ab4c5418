"""How spectral cubes are shown: three bands or three components as colours, spectra per class, areas. NumPy only.

Everything reads by blocks, so a cube may be larger than memory: a colour picture touches three bands, principal
components are fitted on a sample of the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.core.classes import RGB, ClassTable
from workbench.core.layers import count_labels
from workbench.core.types import Geometry, Labels, Progress, Scores
from workbench.scene.data.ground import ground_area
from workbench.scene.data.scene import is_value, no_number

PRESETS: dict[str, tuple[float, float, float]] = {
    "Natural colour": (640.0, 550.0, 460.0),
    "Colour-infrared": (860.0, 650.0, 550.0),
    "Short-wave infrared": (2200.0, 1650.0, 860.0),
}
"""Wavelengths [nm] shown as red, green and blue."""

_FAR_NM = 60.0  # a band further away than this does not stand for a wavelength
_SAMPLE = 20_000
_SHOWN_PIXELS = 1 << 25
_CHUNK_BYTES = 64 << 20

Bands = tuple[int, int, int]
Array = npt.NDArray[Any]


class BlockReader(Protocol):
    """What is needed of `workbench.scene.data.scene.Blocks`."""

    @property
    def shape(self) -> tuple[int, int, int]: ...

    def read(self, rows: slice = ..., columns: slice = ..., bands: Any = ...) -> Array: ...


def preset_bands(
    preset: str, wavelengths_nm: Sequence[float] | None, good: Sequence[bool] | None = None
) -> Bands | None:
    """Band numbers (from 0) of a preset; ``None`` where the cube has no wavelengths, or none near enough."""
    if wavelengths_nm is None:
        return None
    w = np.asarray(wavelengths_nm, dtype=float)
    usable = np.ones(len(w), bool) if good is None else np.asarray(good, dtype=bool)
    distance = np.abs(w[None, :] - np.array(PRESETS[preset])[:, None])
    distance[:, ~usable] = np.inf
    found = np.nanargmin(np.where(np.isfinite(distance), distance, 1e30), axis=1)
    if (np.take_along_axis(distance, found[:, None], 1) > _FAR_NM).any():
        return None
    return int(found[0]), int(found[1]), int(found[2])


def spread_bands(bands: int, good: Sequence[bool] | None = None) -> Bands:
    """Three bands spread over the spectrum, the longest as red: for cubes without wavelengths."""
    usable = np.arange(bands) if good is None or not any(good) else np.flatnonzero(np.asarray(good, dtype=bool))
    low, middle, high = (int(usable[round(f * (len(usable) - 1))]) for f in (0.1, 0.4, 0.75))
    return high, middle, low


def first_bands(
    bands: int, wavelengths_nm: Sequence[float] | None, good: Sequence[bool] | None = None
) -> tuple[str, Bands]:
    """Preset and bands to open a cube with."""
    for preset in PRESETS:
        found = preset_bands(preset, wavelengths_nm, good)
        if found is not None:
            return preset, found
    return "Bands", spread_bands(bands, good)


def overview_step(rows: int, columns: int, pixels: int = _SHOWN_PIXELS) -> int:
    """Every how many pixels a scene is shown, so that the picture stays below a number of pixels."""
    return max(1, int(np.ceil(np.sqrt(rows * columns / pixels))))


def composite(
    blocks: BlockReader,
    bands: Sequence[int],
    *,
    clip: float = 2.0,
    ignore: float | None = None,
    step: int = 1,
    progress: Progress | None = None,
) -> npt.NDArray[np.uint8]:
    """Colour picture ``(rows, columns, 3)`` of three bands, each stretched between its percentiles.

    Parameters
    ----------
    bands
        Numbers (from 0) of the bands shown as red, green and blue.
    clip
        Percent of the pixels cut off at either end of each band.
    ignore
        Value that stands for "nothing measured here"; such pixels and NaN are black and do not count.
    step
        Show every how many rows and columns.
    """
    wanted = [int(b) for b in bands]

    def planes(rows: slice, columns: slice) -> Array:
        return blocks.read(rows, columns, wanted)

    return _stretched(blocks, planes, 3, clip, ignore, step, progress)


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of good bands: ``mean`` (used,), ``axes`` (3, used), ``used`` band numbers."""

    mean: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]
    used: npt.NDArray[np.intp]


def principal_components(
    blocks: BlockReader, *, good: Sequence[bool] | None = None, ignore: float | None = None, pixels: int = _SAMPLE
) -> Components:
    """First three principal components, fitted on pixels spread evenly over the scene."""
    used = np.arange(blocks.shape[0]) if good is None else np.flatnonzero(np.asarray(good, dtype=bool))
    sample = sample_spectra(blocks, ignore=ignore, pixels=pixels)[:, used].astype(np.float64)
    if len(sample) < 2:
        return Components(np.zeros(len(used)), np.eye(3, len(used)), used)
    mean = sample.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(sample, rowvar=False).reshape(len(used), len(used)))
    axes = vectors[:, ::-1][:, :3].T
    # The sign of an axis is arbitrary; brighter spectra shall be brighter.
    axes = axes * np.where(axes.sum(axis=1) < 0, -1.0, 1.0)[:, None]
    padded = np.zeros((3, len(used)))
    padded[: len(axes)] = axes
    return Components(mean, padded, used)


def component_picture(
    blocks: BlockReader,
    components: Components,
    *,
    clip: float = 2.0,
    ignore: float | None = None,
    step: int = 1,
    progress: Progress | None = None,
) -> npt.NDArray[np.uint8]:
    """Colour picture of the first three principal components; see `composite`."""

    def planes(rows: slice, columns: slice) -> Array:
        block = blocks.read(rows, columns)
        empty = _empty(block, ignore)
        used = block[components.used].astype(np.float32) - components.mean[:, None, None].astype(np.float32)
        out: Array = np.tensordot(components.axes.astype(np.float32), used, axes=1)
        out[:, empty] = np.nan
        return out

    return _stretched(blocks, planes, blocks.shape[0], clip, None, step, progress)


def sample_spectra(blocks: BlockReader, *, ignore: float | None = None, pixels: int = _SAMPLE) -> Array:
    """Spectra ``(n, bands)`` of at most about `pixels` pixels on an even grid, those without data left out."""
    bands, rows, columns = blocks.shape
    step = max(1, int(np.ceil(np.sqrt(rows * columns / pixels))))
    # A sample of a very long spectrum must not fill the memory either.
    step = max(step, int(np.ceil(np.sqrt(rows * columns * bands * 4 / (4 * _CHUNK_BYTES)))))
    found = blocks.read(slice(step // 2, None, step), slice(step // 2, None, step))
    flat = found.reshape(bands, -1)
    kept: Array = flat[:, ~_empty(flat, ignore)].T
    return kept


def _stretched(
    blocks: BlockReader, planes: Any, cost: int, clip: float, ignore: float | None, step: int, progress: Progress | None
) -> npt.NDArray[np.uint8]:
    """Read three planes chunk by chunk and stretch them; limits come from a coarse first look."""
    _, n_rows, n_columns = blocks.shape
    coarse = max(step, overview_step(n_rows, n_columns, _SAMPLE * 4))
    look = planes(slice(coarse // 2, None, coarse), slice(coarse // 2, None, coarse))
    limits = [stretch_limits(p[~e], clip) for p, e in zip(look, _planes_empty(look, ignore), strict=True)]
    shown_columns = len(range(0, n_columns, step))
    shown_rows = len(range(0, n_rows, step))
    picture = np.zeros((shown_rows, shown_columns, 3), np.uint8)
    height = max(1, _CHUNK_BYTES // max(1, cost * shown_columns * 4))
    for top in range(0, shown_rows, height):
        rows = slice(top * step, min((top + height) * step, n_rows), step)
        part = planes(rows, slice(0, n_columns, step))
        empty = _planes_empty(part, ignore).any(axis=0)
        for i, (low, high) in enumerate(limits):
            scaled = (np.nan_to_num(part[i].astype(np.float32)) - low) * (255.0 / (high - low))
            picture[top : top + part.shape[1], :, i] = np.clip(np.rint(scaled), 0, 255)
        picture[top : top + part.shape[1]][empty] = 0
        if progress is not None:
            progress(min(top + height, shown_rows), shown_rows)
    return picture


def stretch_limits(values: Array, clip: float) -> tuple[float, float]:
    """Percentiles `clip` and ``100 - clip``, never equal."""
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values.astype(np.float64), (clip, 100 - clip)))
    return (low, high) if high > low else (low, low + 1.0)


def _empty(block: Array, ignore: float | None) -> npt.NDArray[np.bool_]:
    """Pixels of ``(bands, ...)`` without a single measured value, or with a NaN."""
    empty = np.zeros(block.shape[1:], bool)
    if block.dtype.kind == "f":
        empty |= no_number(block).any(axis=0)
    if ignore is not None:
        empty |= is_value(block, ignore).all(axis=0)
    return empty


def _planes_empty(planes: Array, ignore: float | None) -> npt.NDArray[np.bool_]:
    """The same per plane: a dark pixel may be 0 in one band although 0 also means "empty"."""
    return no_number(planes) | _empty(planes, ignore)[None]


@dataclass(frozen=True, eq=False)
class ClassSpectrum:
    """Mean and deviation of the spectra of one class: ``mean`` and ``deviation`` are ``(bands,)`` float64."""

    value: int
    name: str
    color: RGB
    pixels: int
    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]


def class_spectra(spectra: Mapping[int, Array], classes: ClassTable) -> list[ClassSpectrum]:
    """Mean and deviation (n - 1) per class of spectra ``(n, bands)`` by class value; those with NaN do not count."""
    found = []
    for c in classes:
        values = np.asarray(spectra.get(c.value, np.empty((0, 0))), dtype=np.float64)
        values = values[np.isfinite(values).all(axis=1)] if len(values) else values
        if len(values):
            deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
            found.append(ClassSpectrum(c.value, c.name, c.color, len(values), values.mean(axis=0), deviation))
    return found


def area_table(
    counts: Mapping[int, int], classes: ClassTable, geometry: Geometry, painted: Mapping[int, int] | None = None
) -> dict[str, list[Any]]:
    """Table of classes for ``features``: first the unlabelled rest, as napari wants it, then one row per class.

    ``area [m2]`` is NaN where the file gives no position, or the area of a pixel differs within the scene.
    """
    named = {c.value: c.name for c in classes}
    values = [0, *named, *sorted(v for v in counts if v not in named and v != 0)]
    per_pixel = square_metres_per_pixel(geometry)
    area = float("nan") if per_pixel is None else per_pixel
    table: dict[str, list[Any]] = {
        "index": values,
        "class": ["unlabelled", *(named.get(v, f"class {v}") for v in values[1:])],
        "pixels": [int(counts.get(v, 0)) for v in values],
        "area [m2]": [round(counts.get(v, 0) * area, 4) for v in values],
    }
    if painted is not None:
        table["painted"] = [int(painted.get(v, 0)) for v in values]
    return table


def areas(labels: Labels) -> Scores:
    """Pixels, share of the labelled pixels and area of each class; no area where the scene has no pixel size."""
    counts = count_labels(labels.data)
    total = max(1, sum(n for value, n in counts.items() if value))
    area = square_metres_per_pixel(labels.geometry)
    rows = [
        (
            c.name,
            c.value,
            counts.get(c.value, 0),
            round(100 * counts.get(c.value, 0) / total, 3),
            round(float(counts.get(c.value, 0)) * area, 3) if area else None,
        )
        for c in labels.classes
    ]
    return Scores(("class", "value", "pixels", "share [%]", "area [m2]"), tuple(rows), "areas")


_METRES = {"m": 1.0, "km": 1000.0, "ft": 0.3048, "us-ft": 1200 / 3937, "cm": 0.01, "mm": 0.001, "um": 1e-6}


def square_metres_per_pixel(geometry: Geometry) -> float | None:
    """Area of one pixel on the ground [m2]; ``None`` where it is not known, or differs within the scene.

    The area on the map where that is right to 0.5 % or no coordinate system is known, else that on the ellipsoid.
    """
    metres, area = _METRES.get(geometry.unit or ""), geometry.sample_volume
    flat = None if metres is None or area is None else area * metres**2
    ground = ground_area(geometry)
    if ground is None or ground != ground:
        return None if ground is None else flat
    return flat if flat is not None and abs(flat - ground) <= 0.005 * ground else ground


def area_text(square_metres: float) -> str:
    """An area for people: m2 below a hectare, then ha, then km2."""
    if square_metres != square_metres:
        return "unknown"
    if square_metres < 1e4:
        return f"{square_metres:,.3g}\u00a0m²" if square_metres < 100 else f"{square_metres:,.0f}\u00a0m²"
    if square_metres < 1e7:
        return f"{square_metres / 1e4:,.2f}\u00a0ha"
    return f"{square_metres / 1e6:,.2f}\u00a0km²"


def doubt_map(
    confidence: Array, labels: Array, reference: Array | None, painted: Array | None = None, size: int = 5
) -> npt.NDArray[np.float32]:
    """Where painting a few pixels would help most, 0..1: low confidence and contradiction, averaged over a window.

    Parameters
    ----------
    confidence
        ``(rows, columns)`` in 0..1.
    labels, reference
        The map, and one of another method; where they differ, there is doubt.
    painted
        Pixels with a label are not asked for again.
    """
    from scipy.ndimage import uniform_filter

    doubt = 1.0 - np.clip(confidence.astype(np.float32), 0, 1)
    if reference is not None:
        doubt = 0.5 * doubt + 0.5 * (labels != reference)
    smooth: npt.NDArray[np.float32] = uniform_filter(doubt.astype(np.float32), size)
    if painted is not None:
        smooth = np.where(painted > 0, 0, smooth).astype(np.float32)
    return smooth


def doubtful_spot(
    confidence: Array,
    labels: Array,
    reference: Array | None = None,
    painted: Array | None = None,
    seen: Sequence[tuple[int, int]] = (),
) -> tuple[int, int] | None:
    """Row and column where painting a few pixels would help most; ``None`` if nothing is left.

    Parameters
    ----------
    confidence, labels, reference, painted
        As of `doubt_map`.
    seen
        Spots that were looked at already: they and their surroundings are left out.
    """
    doubt = doubt_map(confidence, labels, reference, painted)
    reach = max(4, min(doubt.shape) // 12)
    for row, column in seen:
        doubt[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = 0
    row, column = (int(v) for v in np.unravel_index(int(doubt.argmax()), doubt.shape))
    if doubt[row, column] <= 0:
        return None
    # The worst neighbourhood is found; now its worst pixel.
    single = doubt_map(confidence, labels, reference, painted, size=1)
    near = np.zeros(doubt.shape, bool)
    near[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = True
    row, column = (int(v) for v in np.unravel_index(int(np.where(near, single, -1).argmax()), single.shape))
    return row, column
