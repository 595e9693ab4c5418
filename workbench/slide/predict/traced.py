"""A label image as a table and outlines, in one pass over its pixels and one along its borders.

Outlines go through the middles of the edges between a pixel of an object and one that is not (marching squares at one
half, W. Lorensen and H. Cline 1987, in two dimensions): no point comes twice and no two lines cross, whatever the
shape, so that every polygon is valid, and its area is that of the pixels less half a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Traced:
    """The objects of a label image, sorted by their number. Places are (x, y) in pixels from its outer corner.

    Parameters
    ----------
    ids
        ``(N,)`` int32, their numbers.
    coordinates, offsets
        ``(P, 2)`` float32 and ``(N + 1,)`` int64: outlines one after the other, the first point not repeated. Holes are
        filled; of an object in pieces it is the one with its first pixel.
    boxes
        ``(N, 4)`` int32: first row and column, and those behind the last.
    areas, centroids
        ``(N,)`` int64 pixels, ``(N, 2)`` float64.
    eccentricities
        ``(N,)`` float64: 0 is a circle, 1 a line; of the ellipse with the same second moments.
    """

    ids: Numbers
    coordinates: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    boxes: Numbers
    areas: npt.NDArray[np.int64]
    centroids: npt.NDArray[np.float64]
    eccentricities: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


def traced(labels: Numbers) -> Traced:
    """Table and outlines of a label image ``(H, W)``; 0 is no object.

    Every object must be in one piece (four neighbours) for its outline to hold all of it.
    """
    labels = np.ascontiguousarray(labels, np.int32)
    top = int(labels.max(initial=0))
    boxes, first, sums = compiled(_gathered)(labels, top)
    ids = np.flatnonzero(sums[:, 0]).astype(np.int32)
    boxes, first, sums = boxes[ids], first[ids], sums[ids]
    points, offsets = compiled(_outlined)(labels, ids, first)
    areas = sums[:, 0]
    count = np.maximum(areas, 1)
    mean = sums[:, 1:3] / count[:, None]
    # Second moments about the middle; a pixel has a width of its own.
    xx, yy = sums[:, 3] / count - mean[:, 0] ** 2 + 1 / 12, sums[:, 4] / count - mean[:, 1] ** 2 + 1 / 12
    xy = sums[:, 5] / count - mean[:, 0] * mean[:, 1]
    spread = np.sqrt(np.maximum((xx - yy) ** 2 / 4 + xy**2, 0))
    middle = (xx + yy) / 2
    ratio = np.divide(middle - spread, middle + spread, out=np.ones(len(ids)), where=middle + spread > 0)
    return Traced(
        ids, points, offsets, boxes, areas, mean + first[:, ::-1] + 0.5, np.sqrt(np.clip(1 - ratio, 0, 1))
    )  # fmt: skip


def parted(labels: Numbers) -> Numbers:
    """The same with a number of its own for every piece (four neighbours), in the order of their first pixels."""
    found: Numbers = compiled(_parted)(np.ascontiguousarray(labels, np.int32))
    return found


def connected(labels: Numbers, least: int) -> Numbers:
    """Objects that are each in one piece: what was in several becomes several, and pieces of fewer pixels none.

    The flooding that cuts nuclei can give one number to places that do not touch, as one marker may lie across a gap:
    an outline would hold one of them, and the area all.
    """
    found = parted(labels)
    small = np.bincount(found.ravel()) < least
    small[0] = False
    if small.any():
        found[small[found]] = 0
    return found


def types_of(labels: Numbers, types: npt.NDArray[np.integer], ids: Numbers, classes: int) -> tuple[
    Numbers, npt.NDArray[np.float64]
]:  # fmt: skip
    """The class that most pixels of each object have, and the share of its pixels with that class: ``(N,)`` each.

    No class (0) counts only where no pixel has any other; of equal ones the lower number is taken.
    """
    if not len(ids):
        return np.zeros(0, np.int32), np.zeros(0)
    counts = compiled(_counted)(np.ascontiguousarray(labels, np.int32), np.ascontiguousarray(types), classes)[ids]
    some = counts[:, 1:]
    found = np.where(some.sum(1) > 0, some.argmax(1) + 1, 0)
    share = counts[np.arange(len(ids)), found] / np.maximum(counts.sum(1), 1)
    return found.astype(np.int32), share


def _parted(labels: Numbers) -> Numbers:  # pragma: no cover - compiled
    rows, columns = labels.shape
    out = np.zeros((rows, columns), np.int32)
    waiting = np.empty(rows * columns, np.int64)
    number = 0
    for start in range(rows * columns):
        y, x = start // columns, start % columns
        if labels[y, x] <= 0 or out[y, x]:
            continue
        number += 1
        one = labels[y, x]
        out[y, x] = number
        waiting[0], used = start, 1
        while used:
            used -= 1
            y, x = waiting[used] // columns, waiting[used] % columns
            for k in range(4):
                v, u = y + (k == 3) - (k == 0), x + (k == 2) - (k == 1)
                if 0 <= v < rows and 0 <= u < columns and labels[v, u] == one and out[v, u] == 0:
                    out[v, u] = number
                    waiting[used] = v * columns + u
                    used += 1
    return out


def _counted(
    labels: Numbers, types: npt.NDArray[np.integer], classes: int
) -> npt.NDArray[np.int64]:  # pragma: no cover - compiled
    """Pixels of every class in every object: ``(highest number + 1, classes)``."""
    top = 0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            top = max(top, labels[y, x])
    counts = np.zeros((top + 1, classes), np.int64)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] > 0:
                counts[labels[y, x], types[y, x]] += 1
    return counts


def _gathered(
    labels: Numbers, top: int
) -> tuple[Numbers, Numbers, npt.NDArray[np.int64]]:  # pragma: no cover - compiled
    """Per number: first row and column and those behind the last; the first pixel; how many, and the sums of x, y, xx,
    yy, xy from there.
    """
    rows, columns = labels.shape
    boxes = np.empty((top + 1, 4), np.int32)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = rows, columns, 0, 0
    first = np.full((top + 1, 2), -1, np.int32)
    sums = np.zeros((top + 1, 6), np.int64)
    for y in range(rows):
        for x in range(columns):
            one = labels[y, x]
            if one <= 0:
                continue
            box = boxes[one]
            if first[one, 0] < 0:
                first[one, 0], first[one, 1] = y, x
            box[0], box[1] = min(box[0], y), min(box[1], x)
            box[2], box[3] = max(box[2], y + 1), max(box[3], x + 1)
            # From the first pixel of the object: differences of large squares have no digits left.
            v, u = y - first[one, 0], x - first[one, 1]
            some = sums[one]
            some[0] += 1
            some[1] += u
            some[2] += v
            some[3] += u * u
            some[4] += v * v
            some[5] += u * v
    return boxes, first, sums


def _outlined(
    labels: Numbers, ids: Numbers, first: Numbers
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:  # pragma: no cover - compiled
    """Clockwise on the screen, from the edge above the first pixel of each object."""
    rows, columns = labels.shape
    step_y, step_x = np.array((0, 1, 0, -1)), np.array((1, 0, -1, 0))  # right, down, left, up
    points = np.empty((32 * len(ids) + 64, 2), np.float32)
    offsets = np.zeros(len(ids) + 1, np.int64)
    used = 0
    for i in range(len(ids)):
        one = ids[i]
        row, column = first[i, 0], first[i, 1]
        # A corner of pixels, and the way to go from it; the object lies to the right of the way.
        y, x, way = row, column, 0
        before_y, before_x = np.float32(0), np.float32(0)
        middle_y, middle_x = np.float32(y), np.float32(x + 0.5)
        begin, start = used, True
        while start or not (y == row and x == column and way == 0):
            start = False
            y, x = y + step_y[way], x + step_x[way]
            # The pixels before us, to the left and to the right of the way.
            if way == 0:
                left_y, left_x, right_y, right_x = y - 1, x, y, x
            elif way == 1:
                left_y, left_x, right_y, right_x = y, x, y, x - 1
            elif way == 2:
                left_y, left_x, right_y, right_x = y, x - 1, y - 1, x - 1
            else:
                left_y, left_x, right_y, right_x = y - 1, x - 1, y - 1, x
            is_right = 0 <= right_y < rows and 0 <= right_x < columns and labels[right_y, right_x] == one
            is_left = 0 <= left_y < rows and 0 <= left_x < columns and labels[left_y, left_x] == one
            if not is_right:
                way = (way + 1) % 4
            elif is_left:
                way = (way + 3) % 4
            next_y, next_x = np.float32(y + 0.5 * step_y[way]), np.float32(x + 0.5 * step_x[way])
            ahead_y, ahead_x = next_y - middle_y, next_x - middle_x
            if ahead_y * before_x != ahead_x * before_y or ahead_y * before_y + ahead_x * before_x <= 0:
                if used == len(points):
                    more = np.empty((2 * used, 2), np.float32)
                    more[:used] = points
                    points = more
                points[used, 0], points[used, 1] = middle_x, middle_y
                used += 1
            before_y, before_x = ahead_y, ahead_x
            middle_y, middle_x = next_y, next_x
        # The first point was taken without knowing what comes before it.
        ahead_y, ahead_x = points[begin + 1, 1] - points[begin, 1], points[begin + 1, 0] - points[begin, 0]
        if ahead_y * before_x == ahead_x * before_y and ahead_y * before_y + ahead_x * before_x > 0:
            for k in range(begin, used - 1):
                points[k, 0], points[k, 1] = points[k + 1, 0], points[k + 1, 1]
            used -= 1
        offsets[i + 1] = used
    return points[:used].copy(), offsets
