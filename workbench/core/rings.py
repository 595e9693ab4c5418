"""Arithmetic on many rings at once: flat arrays of points, cut by offsets. Work goes in blocks, to bound the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_BLOCK = 1 << 20
"""Points that are worked on at once: some 100 MB of temporary arrays."""


def offsets_of(counts: npt.NDArray[np.integer[Any]]) -> Integers:
    """Where each of consecutive runs begins, and the end of the last: ``(n + 1,)`` int64 from ``(n,)`` counts."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def members(offsets: Integers, index: Integers) -> tuple[Integers, Integers]:
    """The runs numbered `index`, one after the other.

    Returns
    -------
    offsets, members
        Offsets ``(len(index) + 1,)`` of the chosen runs in the second array, which holds the numbers of their members.
    """
    counts = offsets[index + 1] - offsets[index]
    fresh = offsets_of(counts)
    return fresh, np.arange(fresh[-1]) + np.repeat(offsets[index] - fresh[:-1], counts)


def blocks(offsets: Integers) -> Iterator[slice]:
    """Consecutive runs of about a million members in all, at least one run each."""
    start = 0
    while start < len(offsets) - 1:
        stop = int(np.searchsorted(offsets, offsets[start] + _BLOCK, side="right")) - 1
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start = stop


def take_rings(
    coordinates: npt.NDArray[np.floating[Any]], offsets: Integers, index: Integers
) -> tuple[npt.NDArray[np.floating[Any]], Integers]:
    """Points ``(P, 2)`` of the rings numbered `index`, in that order, and their offsets."""
    fresh = offsets_of(offsets[index + 1] - offsets[index])
    taken = np.empty((int(fresh[-1]), 2), coordinates.dtype)
    for part in blocks(fresh):
        _, points = members(offsets, index[part])
        np.take(coordinates, points, axis=0, out=taken[fresh[part.start] : fresh[part.stop]])
    return taken, fresh


def open_rings(
    coordinates: npt.NDArray[np.floating[Any]], offsets: Integers
) -> tuple[npt.NDArray[np.floating[Any]], Integers]:
    """Rings without their last point where it repeats the first."""
    if not len(coordinates):
        return coordinates, offsets
    counts = np.diff(offsets)
    full = counts > 1
    last = offsets[1:][full] - 1
    same = np.zeros(len(counts), bool)
    same[full] = (coordinates[offsets[:-1][full]] == coordinates[last]).all(axis=1)
    if not same.any():
        return coordinates, offsets
    keep = np.ones(len(coordinates), bool)
    keep[offsets[1:][same] - 1] = False
    return coordinates[keep], offsets_of(counts - same)


def signed_areas(coordinates: npt.NDArray[np.floating[Any]], offsets: Integers) -> Floats:
    """Area of each ring ``(R,)`` by the shoelace formula, negative for one direction; rings of three points or more."""
    return _moments(coordinates, offsets, first=False)[0]


def area_moments(coordinates: npt.NDArray[np.floating[Any]], offsets: Integers) -> tuple[Floats, Floats]:
    """Signed area ``(R,)`` and first moment of the area ``(R, 2)`` about the first point of each ring."""
    return _moments(coordinates, offsets, first=True)


def _moments(coordinates: npt.NDArray[np.floating[Any]], offsets: Integers, *, first: bool) -> tuple[Floats, Floats]:
    n = len(offsets) - 1
    areas, moments = np.zeros(n), np.zeros((n if first else 0, 2))
    for part in blocks(offsets):
        own = offsets[part.start : part.stop + 1]
        # Differences to the ring's first point keep the digits that large coordinates would cost, and make the closing
        # edge vanish from the sums; so does the step from a ring's last point to the first of the next, which is 0 too.
        points = coordinates[own[0] : own[-1]].astype(np.float64)
        starts = own[:-1] - own[0]
        points -= np.repeat(points[starts], np.diff(own), axis=0)
        x, y = points[:, 0], points[:, 1]
        cross = np.zeros(len(points))
        cross[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
        areas[part] = np.add.reduceat(cross, starts) / 2
        if first:
            for axis, values in enumerate((x, y)):
                moved = cross.copy()
                moved[:-1] *= values[:-1] + values[1:]
                moments[part, axis] = np.add.reduceat(moved, starts) / 6
    return areas, moments


def outside_of(
    coordinates: npt.NDArray[np.floating[Any]], offsets: Integers, inner: Integers, outer: Integers
) -> npt.NDArray[np.bool_]:
    """Which rings ``(n,)`` lie outside of another: no point of theirs is within it, and one is clear of its edges.

    Parameters
    ----------
    inner, outer
        Numbers of rings, ``(n,)`` each: whether ``inner[i]`` lies outside of ``outer[i]``.
    """
    # Most holes begin within their outline: all of these are found at once, only the others are looked at one by one.
    found = np.zeros(len(inner), bool)
    lengths = offsets_of(offsets[outer + 1] - offsets[outer])
    for part in blocks(lengths):
        own = lengths[part.start : part.stop + 1] - lengths[part.start]
        ring, _ = take_rings(coordinates, offsets, outer[part])
        first = coordinates[offsets[inner[part]]]
        crossings = _crossings(ring.astype(np.float64), own, np.repeat(first, np.diff(own), axis=0))
        found[part] = np.add.reduceat(crossings, own[:-1]) % 2 == 0
    for i in np.flatnonzero(found):
        ring = coordinates[offsets[outer[i]] : offsets[outer[i] + 1]].astype(np.float64)
        points = coordinates[offsets[inner[i]] : offsets[inner[i] + 1]].astype(np.float64)
        found[i] = _all_outside(points, ring)
    return found


def _crossings(
    ring: npt.NDArray[np.floating[Any]], offsets: Integers, points: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.int64]:
    """For each edge of rings, whether a line from its point to the right crosses it."""
    after = np.arange(1, len(ring) + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    (x1, y1), (x2, y2), (x, y) = ring.T, ring[after].T, points.T
    between = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(between & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1), np.int64)


def _all_outside(points: npt.NDArray[np.floating[Any]], ring: npt.NDArray[np.floating[Any]]) -> bool:
    """Whether no point is within the ring, and one further from it than rounding of numbers could put it."""
    whole = np.array([0, len(ring)])
    far = False
    near = 1e-3 * float(np.ptp(ring, axis=0).max())
    step = np.roll(ring, -1, axis=0) - ring
    length = np.maximum((step**2).sum(axis=1), np.finfo(float).tiny)
    for point in points:
        if _crossings(ring, whole, np.broadcast_to(point, ring.shape)).sum() % 2:
            return False
        along = np.clip(((point - ring) * step).sum(axis=1) / length, 0, 1)
        far = far or bool(np.hypot(*(ring + along[:, None] * step - point).T).min() > near)
    return far
