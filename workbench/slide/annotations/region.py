"""The areas of annotations as a mask on a coarse grid."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError
from workbench.data.outlines import area_of
from workbench.slide.annotations.types import Annotation, Floats
from workbench.slide.annotations.write import valid_shape

Mask = npt.NDArray[np.bool_]
_CELLS = 1 << 22
"""Cells of the grid that are worked on at once."""


def mask_of(
    annotations: Iterable[Annotation], shape: tuple[int, int], step: float, *, classes: Collection[str] | None = None
) -> Mask:
    """Where areas lie: ``(rows, columns)``, true where the centre of a cell lies in one, its holes taken out.

    The cell (r, c) covers the pixels of level 0 from ``c * step`` to ``(c + 1) * step`` along x, and so down the rows.
    A centre that lies on an edge itself counts where the area lies to its right or below, so that neighbours share no
    cell. An area that crosses itself is all that it goes around, as it is written. Points and lines cover nothing.

    Parameters
    ----------
    annotations
        Where several overlap, one is enough.
    shape
        (rows, columns) of the grid.
    step
        Pixels of level 0 along the side of a cell.
    classes
        Names of classes that count; all by default.

    Raises
    ------
    UsageError
        A grid that is none.
    """
    rows, columns = shape
    if rows < 0 or columns < 0 or not (np.isfinite(step) and step > 0):
        raise UsageError(f"a grid of {shape} cells of {step} pixels; expected (rows, columns) and a positive step")
    mask = np.zeros(shape, bool)
    for number, item in enumerate(annotations, 1):
        if item.shape.kind != "areas" or (classes is not None and item.class_name not in classes):
            continue
        valid = valid_shape(item.shape, f"annotation {number}")
        if valid.kind == "areas":
            for rings in valid.parts:
                _fill(mask, [ring / step - 0.5 for ring in rings])
    return mask


def area_on(annotations: Iterable[Annotation], shape: tuple[int, ...] | None = None) -> float:
    """The area of `outline_on`, in pixels of level 0."""
    return float(outline_on(annotations, shape).area)


def outline_on(annotations: Iterable[Annotation], shape: tuple[int, ...] | None = None) -> Any:
    """What areas cover together of a slide of that many (rows, columns): a geometry of shapely; overlaps count once.

    Without `shape` there is no edge.
    """
    import shapely

    shapes = [item.shape for item in annotations if item.shape.kind == "areas"]
    areas = [area_of(shape.parts) for shape in shapes]
    for number in np.flatnonzero(~shapely.is_valid(np.array(areas, object))) if areas else ():
        mended = valid_shape(shapes[number], "")
        areas[number] = area_of(mended.parts) if mended.kind == "areas" else shapely.Polygon()
    whole = shapely.union_all(areas) if areas else shapely.Polygon()
    if shape is not None:
        whole = shapely.intersection(whole, shapely.box(0, 0, shape[1], shape[0]))
    return whole


def _fill(mask: Mask, rings: list[Floats]) -> None:
    """Set what lies within a polygon, whose coordinates are whole numbers at centres of cells."""
    low, high = rings[0].min(axis=0), rings[0].max(axis=0)
    left, top = (int(max(0, np.ceil(v))) for v in low)
    right, bottom = (int(max(0, min(n, np.ceil(v)))) for v, n in zip(high, mask.shape[::-1], strict=True))
    if left >= right or top >= bottom:
        return
    begin = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    height = max(1, _CELLS // (right - left + 1))
    for start in range(top, bottom, height):
        stop = min(bottom, start + height)
        mask[start:stop, left:right] |= _within(begin, end, (start, stop), (left, right))


def _within(begin: Floats, end: Floats, rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    """Which centres have an odd number of edges to their left, ``(rows, columns)`` of a band."""
    (start, stop), (left, right) = rows, columns
    # An edge meets the centres of the rows from its upper end on, its lower end excluded: a corner counts once.
    first = np.ceil(np.minimum(begin[:, 1], end[:, 1])).clip(start, stop).astype(np.int64)
    last = np.ceil(np.maximum(begin[:, 1], end[:, 1])).clip(start, stop).astype(np.int64)
    edge = np.repeat(np.arange(len(begin)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - (last - first), last - first) + first[edge]
    x1, y1, x2, y2 = begin[edge, 0], begin[edge, 1], end[edge, 0], end[edge, 1]
    crossing = x1 + (row - y1) / (y2 - y1) * (x2 - x1)
    column = np.ceil(crossing).clip(left, right).astype(np.int64) - left
    width = right - left + 1
    flips: npt.NDArray[Any] = np.bincount((row - start) * width + column, minlength=(stop - start) * width)
    odd = (flips & 1).astype(bool).reshape(stop - start, width)
    found: Mask = np.logical_xor.accumulate(odd, axis=1)[:, :-1]
    return found
