"""Onset and offset of the QRS of all leads, where the leads together begin and cease to move.

People who draw borders lead by lead, and a network that learnt from them, leave a margin of about ten milliseconds on
each side. Devices measure where the spatial velocity (the change of all leads together) leaves its rest, as the
standards have it: the first and last moment of activity in any lead (IEC 60601-2-51; Kligfield et al. 2007,
doi:10.1161/CIRCULATIONAHA.106.180200). So the drawn borders say where to look, and the velocity says when.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from workbench.page.measure.beats import Beats
from workbench.page.measure.lead_rule import GlobalMarks
from workbench.page.measure.median_beat import MedianBeat

Array = npt.NDArray[np.float64]

SHARES = (0.05, 0.08, 0.12)
"""Share of the largest velocity from which on the leads move: the first that leaves a rest before it."""
NOISY = 0.15
"""Share of the largest velocity that noise may have, twice; with more the velocity says nothing."""
USUAL = (0.012, 0.006)
"""[s] Margin that is left before and after the QRS, on average over LUDB: taken off where the velocity says nothing."""
STEP = 0.008
"""[s] Velocity is the change over this time."""
OUT, IN = 0.008, 0.035
"""[s] Farthest that a border moves away from the QRS, and into it."""


def velocity(beat: MedianBeat, leads: list[int]) -> Array:
    """``(samples,)`` [mV/s]: root mean square over the leads of their change."""
    half = max(round(0.5 * STEP * beat.rate), 1)
    rows = beat.data[leads]
    rows = rows[np.isfinite(rows).mean(1) > 0.9]
    out = np.full(beat.data.shape[1], np.nan)
    if len(rows) and out.size > 2 * half:
        change = (rows[:, 2 * half :] - rows[:, : -2 * half]) * beat.rate / (2 * half)
        some = np.isfinite(change).any(0)
        out[half:-half][some] = np.sqrt(np.nanmean(np.square(change[:, some]), axis=0))
    return out


def _edge(speed: Array, times: Array, start: float, stop: float, limit: float) -> float | None:
    """First moment from `start` towards `stop` at which the velocity passes `limit` and stays above for 6 ms."""
    inside = np.flatnonzero((times >= min(start, stop)) & (times <= max(start, stop)) & np.isfinite(speed))
    if start > stop:
        inside = inside[::-1]
    stay = max(round(0.006 / (times[1] - times[0])), 1)
    for k in range(len(inside) - stay):
        if (speed[inside[k : k + stay]] >= limit).all():
            if not k:  # no rest before it
                return None
            at, before = inside[k], inside[k - 1]
            a, b = speed[before], speed[at]
            part = (limit - a) / (b - a) if b > a else 1.0
            return float(times[before] + part * (times[at] - times[before]))
    return None


def in_order(marks: Array) -> Array:
    """Borders of which none passes another: what the QRS says goes before what P and T say, borders before peaks.

    Parameters
    ----------
    marks
        ``(..., 9)``; NaN stays.
    """
    out = marks.copy()
    out[..., 5] = np.where(np.isnan(marks[..., 5]), np.nan, np.fmax(out[..., 5], out[..., 3]))
    middle = np.fmin(np.fmax(out[..., 4], out[..., 3]), out[..., 5])
    out[..., 4] = np.where(np.isnan(marks[..., 4]), np.nan, middle)
    low = np.fmin(np.fmin(out[..., 3], out[..., 4]), out[..., 5])
    for k in (2, 1, 0):
        low = np.fmin(low, out[..., k])
        out[..., k] = np.where(np.isnan(marks[..., k]), np.nan, low)
    high = np.fmax(np.fmax(out[..., 3], out[..., 4]), out[..., 5])
    for k in (6, 7, 8):
        high = np.fmax(high, out[..., k])
        out[..., k] = np.where(np.isnan(marks[..., k]), np.nan, high)
    return out


def sharpened(marks: GlobalMarks, beat: MedianBeat, beats: Beats, leads: list[int]) -> tuple[GlobalMarks, MedianBeat]:
    """The same marks with onset and offset of the dominant QRS where the leads begin and cease to move.

    Where noise moves the leads too, the usual margin is taken off.
    """
    onset, offset = float(marks.dominant[3]), float(marks.dominant[5])
    if not np.isfinite([onset, offset]).all():
        return replace(marks, per_beat=in_order(marks.per_beat)), beat
    speed, times = velocity(beat, leads), beat.times
    inside = (times >= onset) & (times <= offset) & np.isfinite(speed)
    rest = (times >= onset - 0.045) & (times <= onset - 0.005) & np.isfinite(speed)
    known = inside.sum() >= 5 and rest.any()
    largest = float(speed[inside].max()) if known else 0.0
    floor = float(np.median(speed[rest])) if known else np.inf
    first = last = None
    for limit in (max(share * largest, 2 * floor) for share in SHARES):
        if limit <= NOISY * largest:
            first = _edge(speed, times, onset - OUT, onset + IN, limit) if first is None else first
            last = _edge(speed, times, offset + OUT, offset - IN, limit) if last is None else last
    moved = np.zeros(9)
    moved[3] = USUAL[0] if first is None else first - onset
    moved[5] = -USUAL[1] if last is None else last - offset
    dominant = in_order(marks.dominant + moved)
    per_beat = marks.per_beat.copy()
    per_beat[beats.dominant] += moved
    per_beat = in_order(per_beat)
    return replace(marks, dominant=dominant, per_beat=per_beat), replace(beat, marks=dominant)
