"""How volumes and label maps are shown: contrast, colours, and the table of class volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.layers import count_labels
from workbench.core.types import Geometry, Scores


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
