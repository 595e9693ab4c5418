"""From a map of traces to one height for every column of every row: which ink belongs to which row, and where its
middle line runs, to a fraction of a pixel.

A row is followed through the whole page at once (Viterbi 1967): ink is cheap, jumps cost by their height, leaving the
ink costs most. What was followed says which stroke of each column belongs to the row; upper and lower edge of these
strokes say where the line itself runs: a line drawn by a round pen is the erosion of its upper edge and the dilation of
its lower one, and where a peak is too narrow for one of them it is not for the other (Serra 1982, closing and opening).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.runs import runs

Floats = npt.NDArray[np.floating[Any]]
Share = npt.NDArray[np.float32]

_COARSE = 2
_ALONG, _ACROSS = 0.002, 0.1
"""Cost of a pixel of height, along ink and across paper."""
_UNCLAIMED, _CLAIMED = -0.003, 0.02
"""The same along ink that no other row went through when rows were followed before, and along ink that one did."""
_SWEEPS = 2
_JUMP = 1.0
"""Cost of a jump from the end of one piece to the beginning of the next."""
_NO_INK = 0.9
"""Cost of a column without ink."""
_EDGE = 0.45
"""Share of ink at the edge of a stroke."""
_FAINT, _BREAK = 0.1, 5
"""Share of ink that joins a stroke over so many rows of pixels."""


@dataclass(frozen=True)
class Stroke:
    """Edges of one row's ink in every column, in pixels from the first row's centre, NaN where there is none.

    Parameters
    ----------
    top, bottom
        ``(columns,)`` float64; top is the smaller number.
    followed
        ``(columns,)``: where the row was followed, ink or not.
    sure
        ``(columns,)``, 0 to 1: how certain the ink is.
    shared
        ``(columns,)`` bool: ink that another row passes through as well.
    """

    top: Floats
    bottom: Floats
    followed: Floats
    sure: Floats
    shared: npt.NDArray[np.bool_]


def baselines(trace: Share, per_mm: float, least_pitch: float = 9.0) -> Floats:
    """Heights of the rows of traces in a map, ``(rows, columns)`` of 0 to 1, in pixels, top to bottom.

    Rows are where flat ink lies: strokes that are short in their column, counted over all columns.
    """
    from scipy import ndimage
    from scipy.signal import find_peaks

    ink = trace > 0.5
    # Length of the run that a pixel is in, by column: tall ones are the strokes of QRS complexes.
    short = _short_runs(ink, round(0.9 * per_mm))
    weight = short.sum(axis=1).astype(float)
    smooth = ndimage.gaussian_filter1d(weight, 1.2 * per_mm, mode="constant")
    if smooth.max() <= 0:
        return np.zeros(0)
    found, _ = find_peaks(smooth, distance=round(least_pitch * per_mm), height=0.12 * smooth.max())
    spans = []
    for row in found:
        low, high = max(0, row - round(4 * per_mm)), row + round(4 * per_mm) + 1
        spans.append(short[low:high].any(axis=0).mean())
    most = max(spans, default=0.0)
    return np.array([float(r) for r, s in zip(found, spans, strict=True) if s > 0.45 * most])


def _short_runs(ink: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.bool_]:
    tall = ink.copy()
    for n in range(1, most + 1):
        moved = np.zeros_like(ink)
        moved[n:] = ink[:-n]
        tall &= moved
        if not tall.any():
            return ink
    # A pixel whose run reaches `most` above it ends a tall run: spread back over it.
    out = tall.copy()
    for _ in range(2 * most):
        grown = out.copy()
        grown[:-1] |= out[1:]
        grown[1:] |= out[:-1]
        grown &= ink
        if (grown == out).all():
            break
        out = grown
    short: npt.NDArray[np.bool_] = ink & ~out
    return short


def follow(
    trace: Share, rows: Floats, per_mm: float, reach: float = 32.0, breaks: Sequence[Sequence[int]] = ()
) -> list[Stroke]:
    """The ink of every row.

    Parameters
    ----------
    trace
        ``(rows, columns)``, 0 to 1, with twice as many columns a millimetre as rows.
    rows
        Heights of the rows in pixels, top to bottom.
    per_mm
        Rows of pixels a millimetre.
    reach
        How far a trace may leave its row [mm].
    breaks
        Of each row the columns at which one piece ends and another begins: the line may jump there.
    """
    small = _pooled(trace)
    pitch = float(np.median(np.diff(rows))) if len(rows) > 1 else 30.0 * per_mm
    ways = [_Way(small, rows, n, pitch, per_mm, reach, breaks[n] if breaks else ()) for n in range(len(rows))]
    paths = [way.cheapest(small, np.full(small.shape[0], 0.0)[:, None]) for way in ways]
    claims = [_claim(small, path) for path in paths]
    for _ in range(_SWEEPS if len(rows) > 1 else 0):
        for n, way in enumerate(ways):
            others = np.zeros(small.shape, bool)
            for m, claim in enumerate(claims):
                if m != n:
                    others |= claim
            if (others & claims[n]).any():
                paths[n] = way.cheapest(small, others)
                claims[n] = _claim(small, paths[n])
    return _strokes(trace, [path * _COARSE + (_COARSE - 1) / 2 for path in paths])


class _Way:
    """How a row may go: where it lies, how far it may leave, and where it may jump."""

    def __init__(
        self,
        small: Share,
        rows: Floats,
        number: int,
        pitch: float,
        per_mm: float,
        reach: float,
        breaks: Sequence[int],
    ) -> None:
        row = float(rows[number])
        self.low = max(0, int((row - reach * per_mm) // _COARSE))
        self.high = min(small.shape[0], int((row + reach * per_mm) // _COARSE) + 1)
        at = np.arange(self.low, self.high) * float(_COARSE)
        self.pull = 0.05 * np.minimum(((at - row) / pitch) ** 2, 4.0)
        # Along the middle of another row lies its own ink, not that of this one: it may be crossed, not followed.
        others = np.array([other for n, other in enumerate(rows) if n != number])
        if len(others):
            near = np.abs(at[:, None] - others).min(axis=1) < 2.5 * per_mm
            self.pull = self.pull + np.where(near, _NO_INK, 0.0)
        self.free = {column // _COARSE for column in breaks}

    def cheapest(self, small: Share, claimed: npt.NDArray[Any]) -> Floats:
        """Heights [rows of the coarse map] of the cheapest way; `claimed` is ink that others go through."""
        band = slice(self.low, self.high)
        if claimed.dtype == bool:
            own = claimed[band]
            along = np.where(own, _CLAIMED, _UNCLAIMED)
            ink = np.where(own, 0.6 * small[band], small[band]).astype(np.float32)
        else:
            along, ink = np.full((self.high - self.low, 1), _ALONG), small[band]
        return _cheapest(ink, small[band], along, self.pull, self.free) + self.low


def _claim(small: Share, path: Floats) -> npt.NDArray[np.bool_]:
    """Ink that a row goes through: the run of each column that it is followed through."""
    height, width = small.shape
    out = np.zeros(small.shape, bool)
    columns = np.arange(width)
    y = np.clip(np.round(path).astype(int), 0, height - 1)
    ink = small > _EDGE
    there = ink[y, columns]
    for step in (-1, 1):
        at, going = y.copy(), there.copy()
        while going.any():
            out[at[going], columns[going]] = True
            at = np.clip(at + step, 0, height - 1)
            going &= ink[at, columns] & ~((at == 0) | (at == height - 1))
    return out


def _pooled(trace: Share) -> Share:
    height, width = (n // _COARSE * _COARSE for n in trace.shape)
    blocks = trace[:height, :width].reshape(height // _COARSE, _COARSE, width // _COARSE, _COARSE)
    out: Share = blocks.max(axis=(1, 3))
    return out


def _cheapest(ink: Share, dark: Share, along: npt.NDArray[Any], pull: Floats, free: set[int]) -> Floats:
    """The height in every column of the cheapest way from left to right; into columns of `free` it may jump.

    `ink` is what lies at a place, less where it is another's; `dark` and `along` say what climbing costs.
    """
    states, columns = ink.shape
    node = _NO_INK * (1 - np.clip(ink * 1.25 - 0.1, 0, 1).astype(np.float64)) + pull[:, None]
    share = np.clip(dark * 1.25 - 0.1, 0, 1)
    climb = np.cumsum(_ACROSS + (along - _ACROSS) * share, axis=0).T * _COARSE
    total = np.empty((columns, states))
    total[0] = node[:, 0]
    for x in range(1, columns):
        before, y = total[x - 1], climb[x]
        from_above = np.minimum.accumulate(before - y) + y
        from_below = np.minimum.accumulate((before + y)[::-1])[::-1] - y
        best = np.minimum(from_above, from_below)
        total[x] = (np.minimum(best, before.min() + _JUMP) if x in free else best) + node[:, x]
    path = np.empty(columns)
    at = int(total[-1].argmin())
    path[-1] = at
    order = np.arange(states)
    for x in range(columns - 2, -1, -1):
        y = climb[x + 1]
        way = np.where(order <= at, y[at] - y, y - y[at])
        at = int((total[x] + (np.minimum(way, _JUMP) if x + 1 in free else way)).argmin())
        path[x] = at
    return path


def _strokes(trace: Share, paths: list[Floats]) -> list[Stroke]:
    width = trace.shape[1]
    out, runs, ink = [], [], _unbroken(trace)
    for path in paths:
        followed = np.interp(np.arange(width), np.arange(len(path)) * _COARSE + 0.5, path)
        runs.append((followed, *_run_at(trace, ink, followed)))
    for n, (followed, top, bottom, sure) in enumerate(runs):
        shared = np.zeros(width, bool)
        for m, other in enumerate(runs):
            if m != n:
                shared |= (other[1] < bottom) & (other[2] > top)
        out.append(Stroke(top, bottom, followed, sure, shared))
    return out


def _run_at(trace: Share, ink: npt.NDArray[np.bool_], followed: Floats) -> tuple[Floats, Floats, Floats]:
    """Edges of the stroke that each column is followed through (the nearest within 3 pixels), and how sure it is."""
    height, width = trace.shape
    columns = np.arange(width)
    start = np.clip(np.round(followed).astype(int), 0, height - 1)
    best = np.full(width, -1)
    for away in (0, 1, -1, 2, -2, 3, -3):
        y = np.clip(start + away, 0, height - 1)
        good = ink[y, columns] & (best < 0)
        best[good] = y[good]
    found = best >= 0
    top, bottom = best.astype(float), best.astype(float)
    above, below = best.copy(), best.copy()
    growing_up, growing_down = found.copy(), found.copy()
    while growing_up.any() or growing_down.any():
        y = np.clip(above - 1, 0, height - 1)
        growing_up &= (above > 0) & ink[y, columns]
        above[growing_up] -= 1
        y = np.clip(below + 1, 0, height - 1)
        growing_down &= (below < height - 1) & ink[y, columns]
        below[growing_down] += 1
    inside = np.clip(above, 0, height - 1), np.clip(below, 0, height - 1)
    before, after = np.clip(above - 1, 0, height - 1), np.clip(below + 1, 0, height - 1)
    a, b = trace[inside[0], columns], trace[before, columns]
    top = above - np.clip((a - _EDGE) / np.maximum(a - b, 1e-6), 0, 1)
    a, b = trace[inside[1], columns], trace[after, columns]
    bottom = below + np.clip((a - _EDGE) / np.maximum(a - b, 1e-6), 0, 1)
    middle = np.clip(np.round((top + bottom) / 2).astype(int), 0, height - 1)
    sure = np.where(found, np.maximum(trace[middle, columns], a), 0.0)
    top[~found], bottom[~found] = np.nan, np.nan
    return top, bottom, sure


def _unbroken(trace: Share) -> npt.NDArray[np.bool_]:
    """Ink, and what is faint between ink above and below: a stroke does not end there and begin again."""
    from scipy import ndimage

    ink: npt.NDArray[np.bool_] = trace > _EDGE
    joined = ndimage.binary_closing(ink, np.ones((_BREAK + 1, 1)))
    return np.asarray(ink | (joined & (trace > _FAINT)))


def middle_line(stroke: Stroke, pen: float, finer: int) -> Floats:
    """Height of the line itself in every column, in pixels, NaN where there is no ink.

    Parameters
    ----------
    pen
        Height of the pen that drew the map [rows of pixels].
    finer
        Columns for one row of pixels: the pen is so many times wider than high.
    """
    half, wide = pen / 2, pen / 2 * finer
    reach = int(np.floor(wide))
    offsets = np.arange(-reach, reach + 1)
    profile = half * np.sqrt(np.maximum(0, 1 - (offsets / wide) ** 2)) if wide > 0 else np.zeros(1)
    upper, lower = -stroke.top, -stroke.bottom  # heights: up is greater
    closing = _over(upper, offsets, -profile, np.fmin)
    opening = _over(lower, offsets, profile, np.fmax)
    out: Floats = (closing + opening) / 2
    tall = stroke.bottom - stroke.top > pen + 1.0
    # On a steep stroke both say nearly the same; within a peak they differ by the height of its ink.
    apart = (closing - opening > np.maximum(0.6, 0.45 * (stroke.bottom - stroke.top - pen))) & tall
    out = _decide(out, closing, opening, apart)
    flat = np.isfinite(stroke.top) & ~tall
    out[flat] = -(stroke.top + stroke.bottom)[flat] / 2
    return -out


def _over(edge: Floats, offsets: npt.NDArray[np.int_], profile: Floats, least: np.ufunc) -> Floats:
    out: Floats = np.full_like(edge, np.nan)
    width = len(edge)
    for offset, height in zip(offsets, profile, strict=True):
        moved: Floats = np.full_like(edge, np.nan)
        first, last = max(0, -offset), min(width, width - offset)
        moved[first:last] = edge[first + offset : last + offset] + height
        out = np.asarray(least(out, moved))
    out[~np.isfinite(edge)] = np.nan
    return out


def _decide(middle: Floats, closing: Floats, opening: Floats, apart: npt.NDArray[np.bool_]) -> Floats:
    """In a narrow peak the closing is right, in a narrow valley the opening; what lies beside says which it is."""
    out = middle.copy()
    for first, last in runs(apart):
        before = out[first - 1] if first > 0 else np.nan
        after = middle[last] if last < len(middle) else np.nan
        beside = np.nanmean([before, after]) if np.isfinite([before, after]).any() else np.nan
        part = slice(first, last)
        up = np.nanmax(closing[part]) - beside
        down = beside - np.nanmin(opening[part])
        if not np.isfinite(beside):
            continue
        out[part] = closing[part] if up > down else opening[part]
    return out
