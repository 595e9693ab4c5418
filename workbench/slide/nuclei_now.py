"""A result after a person corrected its nuclei: their outlines, and the counts, density and embeddings that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.objects import Objects
from workbench.core.types import Embeddings, Geometry, Heatmap, Part, Scores
from workbench.slide.ihc_scores import index_now
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.nuclei_objects import areas_um2
from workbench.slide.region_counts import regions_now

NUCLEI, REJECTED_NUCLEI = "nuclei", "rejected"
"""Parts of a result: the nuclei that count, and those that a person rejected, which no count holds."""
COUNTS = ("class", "nuclei", "density [1/mm2]", "mean area [um2]")


def nuclei_now(parts: Mapping[str, Part], key: str, edits: NucleiEdits, slide: Geometry) -> dict[str, Part]:
    """The parts that a correction changes; `key` is that of the nuclei."""
    objects, rejected = replace(edits.objects(), name=key), edits.rejected()
    found: dict[str, Part] = {key: objects}
    if len(rejected) or REJECTED_NUCLEI in parts:
        found[REJECTED_NUCLEI] = replace(rejected, name=REJECTED_NUCLEI)
    counts, density, embedded = (parts.get(k) for k in ("counts", "density", "embeddings"))
    if isinstance(counts, Scores) and counts.columns == COUNTS:
        found["counts"] = replace(counts, rows=count_rows(objects, _looked_mm2(counts, edits)))
    found |= regions_now(parts, objects) | index_now(parts, objects)
    if isinstance(density, Heatmap):
        found["density"] = replace(density, data=_density(objects, density, slide))
    if isinstance(embedded, Embeddings):
        kept = edits.is_same(embedded.ids)
        places = None if embedded.places is None else embedded.places[kept]
        ids = tuple(np.array(embedded.ids)[kept].tolist())
        found["embeddings"] = replace(embedded, data=embedded.data[kept], ids=ids, places=places)
    return found


def count_rows(objects: Objects, looked_mm2: float | None) -> tuple[tuple[Any, ...], ...]:
    """How many nuclei of each class, per mm2 of where they were looked for, and how large they are on average."""
    drawn = areas_um2(objects)
    measured = objects.measurements.get("area [um2]", np.full(len(objects), np.nan))
    sizes = np.array(measured, np.float64)
    if drawn is not None:
        sizes = np.where(np.isnan(sizes), drawn, sizes)
    values = objects.class_values
    rows: list[tuple[Any, ...]] = []
    for name, own in (
        *((c.name, values == c.value) for c in objects.classes),
        *((("unclassified", values == 0),) if (values == 0).any() else ()),
        ("all nuclei", np.ones(len(values), bool)),
    ):
        count = int(own.sum())
        known = sizes[own][np.isfinite(sizes[own])]
        size = round(float(known.mean()), 2) if known.size else ""
        rows.append((name, count, round(count / looked_mm2, 2) if looked_mm2 else "", size))
    return tuple(rows)


def _looked_mm2(counts: Scores, edits: NucleiEdits) -> float | None:
    """How much of the slide was looked at, from a table that was made before: its last row holds all nuclei."""
    for row in counts.rows[::-1]:
        if isinstance(row[1], int) and row[1] and isinstance(row[2], float) and row[2]:
            return float(row[1] / row[2])
    return None


def _density(objects: Objects, before: Heatmap, slide: Geometry) -> npt.NDArray[np.float32]:
    """Nuclei per mm2 in the squares of the map of before; places that nobody looked at stay so."""
    affine, own = before.geometry.affine, slide.affine
    if affine is None or own is None:
        return before.data
    step = np.abs(np.diag(affine)[:2] / np.diag(own)[:2])  # pixels of level 0
    rows, columns = before.data.shape
    centres = objects.centroids()
    edges = np.arange(rows + 1) * step[0], np.arange(columns + 1) * step[1]
    counts, _, _ = np.histogram2d(centres[:, 1], centres[:, 0], bins=edges)
    return np.where(np.isnan(before.data), np.nan, counts / squares_mm2((rows, columns), step, slide)).astype(
        np.float32
    )


def squares_mm2(shape: tuple[int, ...], step: float | npt.ArrayLike, slide: Geometry) -> npt.NDArray[np.float64]:
    """How much of each square of a map lies on the slide; `step` is the side of one in pixels of level 0."""
    assert slide.affine is not None
    steps = np.broadcast_to(np.asarray(step, np.float64), (2,))
    along = [
        np.clip(n - np.arange(count) * one, 0, one) * abs(pixel) * 1e-3
        for n, count, one, pixel in zip(slide.shape, shape, steps, np.diag(slide.affine), strict=False)
    ]
    return np.asarray(np.maximum(np.outer(*along), 1e-12), np.float64)
