"""Which of several rows ink belongs to: where beats of one lead reach into another, each stroke has its row.

All tall ink is somebody's, and little of it is two rows': rows that were followed alone are followed anew around tall
ink that none or several went through, each knowing what others have (an auction, Bertsekas 1979, in small).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.predict.ways import MIDDLE, Way
from workbench.page.runs import long_runs, runs

Floats = npt.NDArray[np.floating[Any]]
Share = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

EDGE = 0.45
"""Share of ink at the edge of a stroke."""
_TALL, _THIN = 8, 12
"""Least height of a tall stroke and its greatest width [pixels of the coarse map]."""
_WINDOW = 24
"""Columns of the coarse map around tall ink in which ways may change."""
_LEAST_GAIN, _AT_MOST = 0.05, 0.2
"""What a change must gain, and the share of new ink that a row with a greater gain may have taken."""
_SWEEPS = 4
_PEN = (5, 7)
"""Rows and columns of the coarse map around the middle of a line that are the line's own."""
_DOUBT = 16
"""Rows of the coarse map that two rows go through, from which on it is not clear whose they are."""


def share_out(small: Share, ways: Sequence[Way], paths: list[Floats]) -> list[Mask]:
    """Change ways where tall ink belongs to none of them, or to several; the columns in which that is still so.

    Parameters
    ----------
    small
        ``(rows, columns)``, 0 to 1: the coarse map of ink.
    paths
        ``(columns,)`` heights of every way, in rows of the coarse map; changed in place.

    Returns
    -------
    list
        Of each way ``(columns,)`` bool: whether it is in doubt there.
    """
    from scipy import ndimage

    ridge = _ridges(small)
    claims = np.array([_claim(small, path) for path in paths])
    open_ = ((ridge == MIDDLE) & ~claims.any(axis=0)) | (claims.sum(axis=0) > 1)
    wanted = ndimage.binary_dilation(open_.any(axis=0), np.ones(2 * _WINDOW + 1))
    doubts = [np.zeros(small.shape[1], bool) for _ in paths]
    for first, last in runs(wanted):
        part = slice(first, last)
        own = [path[part].copy() for path in paths]
        for _ in range(_SWEEPS):
            if not _traded(small[:, part], ridge[:, part], ways, own, first):
                break
        for path, changed in zip(paths, own, strict=True):
            path[part] = changed
        for doubt, unclear in zip(doubts, _unclear(small[:, part], ridge[:, part], ways, own), strict=True):
            doubt[part] = unclear
    return doubts


def _unclear(small: Share, ridge: npt.NDArray[np.int8], ways: Sequence[Way], paths: Sequence[Floats]) -> list[Mask]:
    """Columns in which much of the ink of a way is another's as well, or much ink near it is nobody's.

    What goes on beyond the end of a way is its own, unless several ways end in it.
    """
    claims = np.array([_claim(small, path) for path in paths])
    several = claims.sum(axis=0) > 1
    nobody = (ridge == MIDDLE) & ~claims.any(axis=0) & (_owners(small, claims) != 1)
    lost = [nobody[way.low : way.high][way.near].sum(axis=0) > _DOUBT for way in ways]
    return [((claim & several).sum(axis=0) > _DOUBT) | far for claim, far in zip(claims, lost, strict=True)]


def _owners(small: Share, claims: npt.NDArray[np.bool_]) -> npt.NDArray[np.int_]:
    """Of every pixel how many ways go through the run of ink, along its column, that it is in."""
    ink = small > EDGE
    before = np.zeros_like(ink)
    before[1:] = ink[:-1]
    number = (ink & ~before).cumsum(axis=0)
    number += (number.max() + 1) * np.arange(small.shape[1])
    owners = np.zeros(int(number.max()) + 1, int)
    for claim in claims:
        owners[np.unique(number[claim])] += 1
    return np.asarray(np.where(ink, owners[number], 0))


def _traded(
    small: Share, ridge: npt.NDArray[np.int8], ways: Sequence[Way], paths: list[Floats], first_column: int
) -> bool:
    """Let every row take ink that none has, and leave ink that another has; the greatest gain first. Whether any did.

    Rows are followed anew, each knowing what others have, and where their ways differ from what they were they are
    compared: of two that want the same ink that one gets it which gains most.
    """
    claims = np.array([_claim(small, path) for path in paths])
    offers = []
    for n, way in enumerate(ways):
        others = np.delete(claims, n, axis=0).any(axis=0)
        prices = way.prices(small, np.asarray(others), ridge, first_column)
        path = way.cheapest(prices, (paths[n][0], paths[n][-1]))
        for first, last in _differing(path, paths[n]):
            gain = way.cost(prices, paths[n], first, last) - way.cost(prices, path, first, last)
            offers.append((gain, n, first, last, path[first:last]))
    offers.sort(key=lambda offer: -offer[0])
    taken = np.zeros(small.shape, bool)
    changed = False
    for gain, n, first, last, part in offers:
        if gain <= _LEAST_GAIN:
            break
        path = paths[n].copy()
        path[first:last] = part
        fresh = _claim(small, path) & ~claims[n]
        if (fresh & taken).sum() > _AT_MOST * fresh.sum():
            continue
        taken |= fresh
        paths[n], changed = path, True
    return changed


def _differing(one: Floats, other: Floats) -> list[tuple[int, int]]:
    """Columns in which two ways differ, by parts that are some columns apart."""
    from scipy import ndimage

    apart = ndimage.binary_closing(np.pad(np.abs(one - other) > 1, 4), np.ones(4))[4:-4]
    return list(runs(apart))


def _claim(small: Share, path: Floats) -> Mask:
    """Ink that a row goes through: where the middle of its line is, and the pen around it."""
    from scipy import ndimage

    low, high = _steps(path, len(small))
    rows = np.arange(len(small))[:, None]
    along = ((rows >= low) & (rows <= high)).astype(np.uint8)
    return np.asarray((ndimage.maximum_filter(along, _PEN) > 0) & (small > EDGE))


def _steps(path: Floats, height: int) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """From where to where a way goes in every column."""
    y = np.clip(np.round(path).astype(int), 0, height - 1)
    before = np.concatenate([y[:1], y[:-1]])
    return np.minimum(before, y), np.maximum(before, y)


def _ridges(small: Share) -> npt.NDArray[np.int8]:
    """1 where ink is part of a tall stroke, `MIDDLE` along the middle of it: one pixel in every row."""
    out = long_runs(small > EDGE, _TALL).astype(np.int8)
    change = np.diff(np.pad(out, ((0, 0), (1, 1))), axis=1)
    rows, first = np.nonzero(change > 0)
    last = np.nonzero(change < 0)[1]
    thin = last - first <= _THIN
    out[rows[thin], ((first + last - 1) // 2)[thin]] = MIDDLE
    return out
