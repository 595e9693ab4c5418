"""Hundreds of thousands of outlines for a viewer: painted as classes where they are looked at, at any magnification.

A viewer draws polygons one by one, and stands still with some ten thousand of them. Here nothing is painted before it
is asked for: of a level, those outlines that reach into the slice are found by their boxes and filled row by row. Where
a nucleus is smaller than a pixel, its middle is one.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled
from workbench.core.objects import Objects
from workbench.slide.data.array_like import ArrayLike
from workbench.slide.nuclei_edits import NucleiEdits, none_of

_COARSEST = 1024
"""Pixels along the longer side of the coarsest level."""
MOST_PIXELS = 64_000_000
"""Of one request: a viewer that asks for more gets one empty pixel."""

Values = npt.NDArray[np.unsignedinteger[Any]]


class Outlines:
    """Outlines with boxes, as flat arrays that can be looked through at once.

    An object whose value is 0 is neither painted nor found.

    Parameters
    ----------
    objects
        In any frame of the slide. Holes stay empty.
    none
        Value of objects without a class.
    """

    def __init__(self, objects: Objects, none: int) -> None:
        self.objects = objects
        rings = objects.ring_offsets
        first, last = (
            objects.polygon_offsets[objects.object_offsets[:-1]],
            objects.polygon_offsets[objects.object_offsets[1:]],
        )
        # Pixels of level 0 from the outer corner, whatever unit the objects have.
        self.points = np.ascontiguousarray(objects.frame.to_index(objects.coordinates)[:, ::-1] + 0.5, np.float32)
        self.rings = np.ascontiguousarray(rings)
        self.first, self.last = np.ascontiguousarray(first), np.ascontiguousarray(last)
        values = objects.class_values
        self.dtype = np.dtype(np.uint8 if none < 256 else np.uint16)
        self.values = np.where(values == 0, none, values).astype(self.dtype)
        if len(objects):
            low = np.minimum.reduceat(self.points, rings[:-1], axis=0)
            high = np.maximum.reduceat(self.points, rings[:-1], axis=0)
            self.low = np.minimum.reduceat(low, first, axis=0)
            self.high = np.maximum.reduceat(high, first, axis=0)
        else:
            self.low = self.high = np.zeros((0, 2), np.float32)

    def parts(self) -> tuple[Outlines, ...]:
        """From below to the top."""
        return (self,)

    def within(self, left: float, top: float, right: float, bottom: float) -> npt.NDArray[np.int64]:
        """Numbers of the objects whose box reaches into a rectangle of level 0, in their order."""
        low, high = self.low, self.high
        return np.flatnonzero((high[:, 0] > left) & (low[:, 0] < right) & (high[:, 1] > top) & (low[:, 1] < bottom))

    def at(self, x: float, y: float) -> int | None:
        """The object that is on top at a place of level 0, or ``None``."""
        inside = compiled(_holds)
        for number in self.within(x - 1e-6, y - 1e-6, x + 1e-6, y + 1e-6)[::-1]:
            if self.values[number] and inside(self.points, self.rings, self.first[number], self.last[number], x, y):
                return int(number)
        return None


class EditedOutlines:
    """What a person sees of nuclei that are being corrected: those that were found, and over them those drawn.

    Parameters
    ----------
    edits
        Followed: every edit changes what is painted next.
    """

    def __init__(self, edits: NucleiEdits) -> None:
        self.edits = edits
        self.none = none_of(edits.base.classes)
        self.edges = False
        """Whether their edges alone are painted, of each its own: what touches is told apart."""
        self.base = Outlines(edits.base, self.none)
        self.dtype = self.base.dtype
        self.drawn, self._numbers = Outlines(edits.base.select(slice(0, 0)), self.none), np.zeros(0, np.int64)
        self.follow(np.arange(edits.total))
        edits.listeners.append(self.follow)
        edits.near = self.within

    def __deepcopy__(self, memo: dict[int, Any]) -> EditedOutlines:
        memo[id(self)] = found = EditedOutlines(deepcopy(self.edits, memo))
        found.edges = self.edges
        return found

    @property
    def values(self) -> npt.NDArray[Any]:
        return np.concatenate([self.base.values, self.drawn.values])

    def follow(self, index: npt.NDArray[np.int64]) -> None:
        """These nuclei changed."""
        edits, n = self.edits, len(self.edits.base)
        shown = np.where(edits.is_there, np.where(edits.values == 0, self.none, edits.values), 0)
        found = index[index < n]
        self.base.values[found] = shown[found]
        if (index >= n).any():
            numbers = n + np.flatnonzero(shown[n:])
            rings = [edits.rings[i - n] for i in numbers.tolist()]
            drawn = Objects.from_polygons(rings, class_values=edits.values[numbers], frame=edits.base.frame)
            self.drawn, self._numbers = Outlines(drawn, self.none), numbers

    def at(self, x: float, y: float) -> int | None:
        """Number of the nucleus at a place of level 0, those that were drawn first."""
        found = self.drawn.at(x, y)
        return self.base.at(x, y) if found is None else int(self._numbers[found])

    def within(self, left: float, top: float, right: float, bottom: float) -> npt.NDArray[np.int64]:
        """Numbers of nuclei whose box reaches into a rectangle of level 0."""
        found = self.base.within(left, top, right, bottom)
        drawn = self._numbers[self.drawn.within(left, top, right, bottom)]
        return np.concatenate([found[self.base.values[found] > 0], drawn])

    def parts(self) -> tuple[Outlines, Outlines]:
        """From below to the top."""
        return self.base, self.drawn


class OutlineLevel(ArrayLike):
    """One level as a viewer wants it: ``shape`` (rows, columns), ``dtype``, and slices that are painted when taken.

    Parameters
    ----------
    outlines
        What is painted.
    shape, step
        (rows, columns) of the level, and pixels of level 0 along one of its own.
    """

    ndim = 2

    def __init__(self, outlines: Outlines | EditedOutlines, shape: tuple[int, int], step: float) -> None:
        self.outlines, self.shape, self.step = outlines, shape, step
        self.dtype = outlines.dtype

    def __getitem__(self, key: Any) -> Any:
        """Classes of a slice ``level[a:b, c:d]``; whole numbers and steps are understood, too."""
        parts = key if isinstance(key, tuple) else (key,)
        parts = tuple(p for p in parts if p is not Ellipsis)
        parts = (*parts, *[slice(None)] * (2 - len(parts)))
        spans = []
        for part, count in zip(parts, self.shape, strict=True):
            if isinstance(part, int | np.integer):
                number = int(part) + (count if part < 0 else 0)
                if not 0 <= number < count:
                    raise IndexError(f"row or column {part} of {count}")
                spans.append((number, number + 1, 1))
            else:
                spans.append(part.indices(count))
        (top, bottom, down), (left, right, across) = spans
        height, width = max(0, bottom - top), max(0, right - left)
        if height * width > MOST_PIXELS:
            return np.zeros((1, 1), self.dtype)
        picked: Any = self.painted(top, left, height, width)[::down, ::across]
        for axis in (1, 0):
            if isinstance(parts[axis], int | np.integer):
                picked = picked.take(0, axis=axis)
        return picked

    def painted(self, top: int, left: int, height: int, width: int) -> Values:
        """A region of the level, ``(height, width)``."""
        out = np.zeros((height, width), self.dtype)
        step = self.step
        for own in self.outlines.parts() if out.size else ():
            if not len(own.values):
                continue
            chosen = own.within(left * step, top * step, (left + width) * step, (top + height) * step)
            edges = isinstance(self.outlines, EditedOutlines) and self.outlines.edges
            compiled(_paint)(
                out, own.points, own.rings, own.first, own.last, own.low, own.high, own.values, chosen,
                float(left), float(top), float(step), edges,
            )  # fmt: skip
        return out


def outline_levels(edits: NucleiEdits, shape: tuple[int, ...]) -> list[OutlineLevel]:
    """Levels that halve down to some 1,000 pixels, two at least, over a slide of (rows, columns)."""
    outlines = EditedOutlines(edits)
    edits.shape = int(shape[0]), int(shape[1])
    rows, columns = shape[:2]
    found, step = [], 1
    while True:
        found.append(OutlineLevel(outlines, (-(-rows // step), -(-columns // step)), float(step)))
        if max(found[-1].shape) <= _COARSEST and len(found) > 1:
            return found
        step *= 2


def edits_in(data: Any) -> NucleiEdits | None:
    """The nuclei behind the data of such a layer, or one level of it; ``None`` for other data."""
    level = data
    if not isinstance(data, OutlineLevel):
        try:
            level = data[0]
        except (TypeError, IndexError, KeyError):
            return None
    outlines = level.outlines if isinstance(level, OutlineLevel) else None
    return outlines.edits if isinstance(outlines, EditedOutlines) else None


def _holds(
    points: npt.NDArray[np.float32], rings: npt.NDArray[np.int64], first: int, last: int, x: float, y: float
) -> bool:  # pragma: no cover - compiled
    """Whether a place lies in rings, even-odd."""
    inside = False
    for r in range(first, last):
        before = rings[r + 1] - 1
        for p in range(rings[r], rings[r + 1]):
            y1, y2 = points[before, 1], points[p, 1]
            if (y1 > y) != (y2 > y):
                x1, x2 = points[before, 0], points[p, 0]
                if x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                    inside = not inside
            before = p
    return inside


def _paint(
    out: Values,
    points: npt.NDArray[np.float32],
    rings: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    low: npt.NDArray[np.float32],
    high: npt.NDArray[np.float32],
    values: Values,
    chosen: npt.NDArray[np.int64],
    left: float,
    top: float,
    step: float,
    edges: bool,
) -> None:  # pragma: no cover - compiled
    """Fill pixels whose centre lies in an object; one that holds no centre is the pixel under its middle.

    With `edges`, of each object the pixels alone that have a neighbour (of four) outside of it.
    """
    height, width = out.shape
    crossings = np.empty(1024, np.float64)
    mask = np.zeros((1, 1), np.uint8)
    for n in range(len(chosen)):
        i = chosen[n]
        value = values[i]
        if value == 0:
            continue
        # The object on a grid of its own; one line beyond the slice counts for its edges, too.
        y0 = max(int(np.ceil(low[i, 1] / step - top - 0.5)), -1)
        x0 = max(int(np.ceil(low[i, 0] / step - left - 0.5)), -1)
        y1 = min(int(np.floor(high[i, 1] / step - top - 0.5)), height) + 1
        x1 = min(int(np.floor(high[i, 0] / step - left - 0.5)), width) + 1
        rows, columns = max(0, y1 - y0), max(0, x1 - x0)
        if mask.shape[0] < rows or mask.shape[1] < columns:
            mask = np.zeros((max(rows, mask.shape[0]), max(columns, mask.shape[1])), np.uint8)
        painted = False
        for r in range(rows):
            y = (r + y0 + top + 0.5) * step
            used = 0
            for c in range(columns):
                mask[r, c] = 0
            for k in range(first[i], last[i]):
                before = rings[k + 1] - 1
                for p in range(rings[k], rings[k + 1]):
                    ya, yb = points[before, 1], points[p, 1]
                    if (ya > y) != (yb > y) and used < len(crossings):
                        xa, xb = points[before, 0], points[p, 0]
                        found = ((xb - xa) * (y - ya) / (yb - ya) + xa) / step - left - 0.5 - x0
                        j = used
                        while j and crossings[j - 1] > found:
                            crossings[j] = crossings[j - 1]
                            j -= 1
                        crossings[j] = found
                        used += 1
                    before = p
            for k in range(0, used - 1, 2):
                a, b = max(0, int(np.ceil(crossings[k]))), min(columns - 1, int(np.floor(crossings[k + 1])))
                for c in range(a, b + 1):
                    mask[r, c] = 1
                    painted = True
        for r in range(rows):
            row = r + y0
            if row < 0 or row >= height:
                continue
            for c in range(columns):
                column = c + x0
                if mask[r, c] == 0 or column < 0 or column >= width:
                    continue
                inner = edges and 0 < r < rows - 1 and 0 < c < columns - 1
                if not (inner and mask[r - 1, c] and mask[r + 1, c] and mask[r, c - 1] and mask[r, c + 1]):
                    out[row, column] = value
        if not painted:
            y, x = (low[i, 1] + high[i, 1]) / 2 / step - top, (low[i, 0] + high[i, 0]) / 2 / step - left
            if high[i, 0] - low[i, 0] < 2 * step and 0 <= y < height and 0 <= x < width:
                out[int(y), int(x)] = value
