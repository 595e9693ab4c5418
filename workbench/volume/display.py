"""How volumes and label maps are shown: contrast, colours, and the table of class volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.types import ClassTable, Geometry, Scores

CT_WINDOW = (-160.0, 240.0)
"""Soft-tissue window [HU]: centre 40, width 400."""

_UNLISTED = (0.75, 0.75, 0.75, 1.0)


def contrast_limits(
    data: npt.NDArray[Any], *, modality: str | None = None, value_unit: str | None = None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Display limits and full range of an image: a CT window for HU, else percentiles of sampled voxels.

    Returns
    -------
    limits, range
        ``range`` is that of the sample, widened to hold the limits.
    """
    steps = tuple(slice(None, None, max(1, n // 64)) for n in data.shape)
    sample = np.asarray(data[steps])
    sample = sample[np.isfinite(sample)] if np.issubdtype(sample.dtype, np.floating) else sample.ravel()
    if sample.size == 0:
        return (0.0, 1.0), (0.0, 1.0)
    low, high = float(sample.min()), float(sample.max())
    # NIfTI has no modality: air near -1000 together with values of soft tissue is a CT in HU.
    if modality == "CT" or value_unit == "HU" or (low <= -900 and 40 <= high < 32000 and low >= -9000):
        limits = CT_WINDOW
    else:
        lower, upper = np.percentile(sample, (0.5, 99.8))
        limits = (float(lower), float(upper))
    if limits[1] <= limits[0]:
        limits = (low, high) if high > low else (low, low + 1.0)
    return limits, (min(low, limits[0]), max(high, limits[1]))


def colormap(classes: ClassTable) -> dict[int | None, tuple[float, ...]]:
    """Colours for a labels layer; a value that is not listed is shown in light gray, never hidden."""
    table: dict[int | None, tuple[float, ...]] = {None: _UNLISTED, 0: (0.0, 0.0, 0.0, 0.0)}
    for c in classes:
        table[c.value] = (c.color[0] / 255, c.color[1] / 255, c.color[2] / 255, 1.0)
    return table


def count_labels(data: npt.NDArray[np.integer[Any]]) -> dict[int, int]:
    """Number of voxels of every value that occurs, counted slab by slab so that memory stays small."""
    totals: dict[int, int] = {}
    step = max(1, (1 << 22) // max(1, int(np.prod(data.shape[1:]))))
    for start in range(0, data.shape[0], step):
        slab = data[start : start + step].ravel(order="K")
        # Counting in bins is far faster than sorting, and labels are nearly always small numbers.
        if slab.size and slab.min() >= 0 and slab.max() < 1 << 16:
            bins = np.bincount(slab)
            values = np.flatnonzero(bins)
            counts = bins[values]
        else:
            values, counts = np.unique(slab, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            totals[value] = totals.get(value, 0) + count
    return totals


def volume_table(
    data: npt.NDArray[np.integer[Any]],
    classes: ClassTable,
    geometry: Geometry,
    counts: Mapping[int, int] | None = None,
) -> dict[str, list[Any]]:
    """Table of classes for ``features``: one row per class, plus one per value that was painted without a class.

    The first row is the background, as napari wants it; ``index`` holds the label values. Volumes use the determinant
    of the full affine, so they hold for oblique and sheared grids; they are NaN where the file gives no position.
    """
    counts = count_labels(data) if counts is None else counts
    named = {c.value: c.name for c in classes}
    values = [0, *named, *sorted(v for v in counts if v not in named and v != 0)]
    per_voxel = geometry.sample_volume
    millilitres = float("nan") if per_voxel is None else per_voxel / 1000
    return {
        "index": values,
        "class": ["background", *(named.get(v, f"class {v}") for v in values[1:])],
        "volume [mL]": [round(counts.get(v, 0) * millilitres, 4) for v in values],
        "voxels": [int(counts.get(v, 0)) for v in values],
    }


def volume_scores(table: Mapping[str, Sequence[Any]]) -> Scores:
    """The part ``volumes`` of a result from a table of `volume_table`, without the background."""
    rows = zip(table["class"], table["index"], table["volume [mL]"], table["voxels"], strict=True)
    return Scores(("class", "value", "volume [mL]", "voxels"), tuple(r for r in rows if r[1] != 0), "volumes")
