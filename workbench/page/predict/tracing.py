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

from workbench.page.predict.sharing import EDGE, share_out
from workbench.page.predict.ways import COARSE, Way
from workbench.page.runs import long_runs, runs

Floats = npt.NDArray[np.floating[Any]]
Share = npt.NDArray[np.float32]

_WHOLLY, _AROUND = 0.8, 8
"""Share of a stretch of ink that is another row's as well, and columns around it in which that row goes on."""
_FAINT, _BREAK = 0.1, 5
"""Share of ink that joins a stroke over so many rows of pixels."""


@dataclass(frozen=True)
class Stroke:
    """Edges of one row's ink in every column, in pixels from the first row's centre, NaN where there is none.

    Parameters
    ----------
    top, bottom
        ``(columns,)`` float64; top is the smaller number.
    sure
        ``(columns,)``, 0 to 1: how certain the ink is.
    followed
        ``(columns,)``: where the row was followed, ink or not.
    unclear
        ``(columns,)`` bool: where tall ink may as well be another row's.
    """

    top: Floats
    bottom: Floats
    sure: Floats
    followed: Floats
    unclear: npt.NDArray[np.bool_]


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
    ways = [Way(small, rows, n, pitch, per_mm, reach, breaks[n] if breaks else ()) for n in range(len(rows))]
    none = np.zeros(small.shape, bool)
    paths = [way.cheapest(way.prices(small, none, None)) for way in ways]
    doubts = share_out(small, ways, paths) if len(rows) > 1 else [np.zeros(small.shape[1], bool) for _ in paths]
    return _strokes(trace, [path * COARSE + (COARSE - 1) / 2 for path in paths], doubts)


def _pooled(trace: Share) -> Share:
    height, width = (n // COARSE * COARSE for n in trace.shape)
    blocks = trace[:height, :width].reshape(height // COARSE, COARSE, width // COARSE, COARSE)
    out: Share = blocks.max(axis=(1, 3))
    return out


def _strokes(trace: Share, paths: list[Floats], doubts: list[npt.NDArray[np.bool_]]) -> list[Stroke]:
    columns = np.arange(trace.shape[1])
    out, ink = [], _unbroken(trace)
    for path, doubt in zip(paths, doubts, strict=True):
        followed = np.interp(columns, np.arange(len(path)) * COARSE + 0.5, path)
        unclear = doubt[np.minimum(columns // COARSE, len(doubt) - 1)]
        top, bottom, sure = _run_at(trace, ink, followed)
        out.append(Stroke(top, bottom, np.where(unclear, 0.5, 1.0) * sure, followed, unclear))
    for stroke in out:
        for first, last in _of_others(stroke, out):
            stroke.top[first:last], stroke.bottom[first:last], stroke.sure[first:last] = np.nan, np.nan, 0.0
    return out


def _of_others(stroke: Stroke, strokes: Sequence[Stroke]) -> list[tuple[int, int]]:
    """Stretches of ink apart that are longer stretches of other rows: where a row has a gap it goes along them."""
    found = []
    for first, last in runs(np.isfinite(stroke.top)):
        part = slice(first, last)
        for other in strokes:
            if other is stroke:
                continue
            same = (other.top[part] < stroke.bottom[part]) & (other.bottom[part] > stroke.top[part])
            around = np.isfinite(other.top[max(0, first - _AROUND) : last + _AROUND])
            if same.mean() > _WHOLLY and around.all():
                found.append((first, last))
                break
    return found


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
    top = above - np.clip((a - EDGE) / np.maximum(a - b, 1e-6), 0, 1)
    a, b = trace[inside[1], columns], trace[after, columns]
    bottom = below + np.clip((a - EDGE) / np.maximum(a - b, 1e-6), 0, 1)
    middle = np.clip(np.round((top + bottom) / 2).astype(int), 0, height - 1)
    sure = np.where(found, np.maximum(trace[middle, columns], a), 0.0)
    top[~found], bottom[~found] = np.nan, np.nan
    return top, bottom, sure


def share_along(trace: Share, followed: Floats, reach: int = 3) -> Share:
    """The most ink within `reach` rows of pixels of a way, in every column."""
    columns, start = np.arange(trace.shape[1]), np.round(followed).astype(int)
    near = [trace[np.clip(start + away, 0, len(trace) - 1), columns] for away in range(-reach, reach + 1)]
    most: Share = np.max(near, axis=0)
    return most


def _unbroken(trace: Share) -> npt.NDArray[np.bool_]:
    """Ink, and what is faint between ink above and below: a stroke does not end there and begin again."""
    ink: npt.NDArray[np.bool_] = trace > EDGE
    return np.asarray(ink | (~long_runs(~ink, _BREAK + 1) & (trace > _FAINT)))


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
