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

SHARE = 0.05
"""Share of the largest velocity from which on the leads move."""
NOISY = 0.15
"""Share of the largest velocity that rest may have; with more the borders stay as they are."""
STEP = 0.008
"""[s] Velocity is the change over this time."""
OUT, IN = 0.012, 0.035
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
            at = inside[k]
            if k:  # between samples
                a, b = speed[inside[k - 1]], speed[at]
                part = (limit - a) / (b - a) if b > a else 1.0
                return float(times[inside[k - 1]] + part * (times[at] - times[inside[k - 1]]))
            return float(times[at])
    return None


def sharpened(marks: GlobalMarks, beat: MedianBeat, beats: Beats, leads: list[int]) -> tuple[GlobalMarks, MedianBeat]:
    """The same marks with onset and offset of the dominant QRS where the leads begin and cease to move.

    They stay as they are where noise moves the leads too.
    """
    onset, offset = float(marks.dominant[3]), float(marks.dominant[5])
    if not np.isfinite([onset, offset]).all():
        return marks, beat
    speed, times = velocity(beat, leads), beat.times
    inside = (times >= onset) & (times <= offset) & np.isfinite(speed)
    rest = (times >= onset - 0.045) & (times <= onset - 0.005) & np.isfinite(speed)
    if inside.sum() < 5 or not rest.any():
        return marks, beat
    largest, floor = float(speed[inside].max()), float(np.median(speed[rest]))
    limit = max(SHARE * largest, 2 * floor)
    if limit > NOISY * largest:
        return marks, beat
    first = _edge(speed, times, onset - OUT, onset + IN, limit)
    last = _edge(speed, times, offset + OUT, offset - IN, limit)
    moved = np.zeros(9)
    moved[3] = 0.0 if first is None else first - onset
    moved[5] = 0.0 if last is None else last - offset
    dominant = marks.dominant + moved
    per_beat = marks.per_beat.copy()
    per_beat[beats.dominant] += moved
    return replace(marks, dominant=dominant, per_beat=per_beat), replace(beat, marks=dominant)
