"""Onset, peak and offset of P, QRS and T of every beat in every lead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.page.measure.beats import Beats
from workbench.page.measure.waves import Waves
from workbench.page.runs import runs

Array = npt.NDArray[np.float64]

BORDERS = ("P on", "P peak", "P off", "QRS on", "QRS peak", "QRS off", "T on", "T peak", "T off")
P, QRS, T = 0, 1, 2
FAR = {P: 0.55, T: 0.70}
"""[s] A P wave begins at most so long before the middle of its QRS, a T wave peaks at most so long after it."""
LIKELY = 0.5
BRIDGED = 0.03
"""[s] Two pieces of one wave that are no farther apart are one."""


@dataclass(frozen=True, eq=False)
class Delineation:
    """Borders of waves [s from the first sample]; NaN where a wave is absent, hidden or not seen.

    Parameters
    ----------
    names
        Names of the leads.
    beats
        ``(beats,)`` float64: moments of the beats.
    marks
        ``(leads, beats, 9)`` float64 in the order of `BORDERS`; those of one beat never descend.
    further_p
        Of each lead ``(waves, 3)`` float64: onset, peak and offset of P waves that lead to no beat.
    """

    names: tuple[str, ...]
    beats: Array
    marks: Array
    further_p: tuple[Array, ...]

    def times(self, lead: int) -> dict[str, Array]:
        """All moments of one lead by border, NaN left out; P waves without a beat are among them."""
        found = {}
        for k, border in enumerate(BORDERS):
            values = self.marks[lead, :, k]
            if k < 3:
                values = np.concatenate([values, self.further_p[lead][:, k]])
            found[border] = np.sort(values[np.isfinite(values)])
        return found


def without_p(found: Delineation) -> Delineation:
    """The same borders, none of them of a P wave."""
    marks = found.marks.copy()
    marks[:, :, :3] = np.nan
    return replace(found, marks=marks, further_p=tuple(np.zeros((0, 3)) for _ in found.names))


def _crossing(row: Array, inside: int, outside: int) -> float:
    """Where the probability passes `LIKELY` between a sample inside the wave and its neighbour outside."""
    a, b = float(row[inside]), float(row[outside])
    return inside + (outside - inside) * ((a - LIKELY) / (a - b) if a > LIKELY > b else 0.5)


def _segments(
    row: Array, there: npt.NDArray[np.bool_], rate: float, shortest: float
) -> list[tuple[float, float, int, int]]:
    """First and last border [samples] of each stretch that is likely, and its first and last sample.

    A border at the edge of what was seen is NaN: the wave goes on where nobody looks.
    """
    pieces: list[list[int]] = []
    for first, last in runs(row > LIKELY):
        if pieces and first - pieces[-1][1] <= BRIDGED * rate and there[pieces[-1][1] : first].all():
            pieces[-1][1] = last
        else:
            pieces.append([first, last])
    found = []
    for first, last in pieces:
        if (last - first) / rate < shortest:
            continue
        begun = first > 0 and bool(there[first - 1])
        ended = last < len(row) and bool(there[last])
        onset = _crossing(row, first, first - 1) if begun else float("nan")
        offset = _crossing(row, last - 1, last) if ended else float("nan")
        found.append((onset, offset, first, last))
    return found


def _peak(row: Array, first: int, last: int) -> float:
    """The most likely place of the peak in a stretch [samples], between samples."""
    at = first + int(row[first:last].argmax())
    if 0 < at < len(row) - 1:
        a, b, c = np.log(np.maximum(row[at - 1 : at + 2], 1e-9))
        if a - 2 * b + c < 0:
            return float(np.clip(at + 0.5 * (a - c) / (a - 2 * b + c), at - 1, at + 1))
    return float(at)


def delineate(waves: Waves, beats: Beats, names: tuple[str, ...]) -> Delineation:
    """Borders of the waves of each beat in each lead.

    A wave is where its probability is above one half. The P wave of a beat is the last one that begins before its QRS
    and after the QRS before; the T wave is the largest one after it. What is left of the P waves leads to no beat.
    """
    rate, count = waves.rate, len(beats.times)
    marks = np.full((len(names), count, 9), np.nan)
    further = []
    for lead in range(len(names)):
        there = waves.there[lead]
        rows = waves.waves[lead].astype(np.float64)
        tops = waves.peaks[lead].astype(np.float64)
        found = {
            wave: [
                (a / rate, _peak(tops[wave], first, last) / rate, b / rate, first / rate, last / rate)
                for a, b, first, last in _segments(rows[wave], there, rate, shortest)
            ]
            for wave, shortest in ((P, 0.02), (QRS, 0.016), (T, 0.03))
        }
        used = set()
        for k, moment in enumerate(beats.times):
            earliest = beats.times[k - 1] if k else -np.inf
            latest = beats.times[k + 1] if k + 1 < count else np.inf
            mine = [s for s in found[QRS] if s[3] - 0.06 <= moment <= s[4] + 0.06 and earliest < s[1] < latest]
            if mine:
                best = max(mine, key=lambda s: min(s[4], moment + 0.1) - max(s[3], moment - 0.1))
                marks[lead, k, 3:6] = best[:3]
            start = best[3] if mine else moment
            end = best[4] if mine else moment
            before = [
                j for j, s in enumerate(found[P]) if max(earliest, moment - FAR[P]) < s[3] and s[1] < start + 0.004
            ]
            if before:
                marks[lead, k, 0:3] = found[P][before[-1]][:3]
                used.add(before[-1])
            after = [s for s in found[T] if s[1] > end - 0.004 and s[1] < min(latest, moment + FAR[T])]
            if after:
                marks[lead, k, 6:9] = max(after, key=lambda s: s[4] - s[3])[:3]
        left = [s[:3] for j, s in enumerate(found[P]) if j not in used]
        further.append(np.array(left).reshape(-1, 3))
    return Delineation(names, beats.times, _ordered(marks), tuple(further))


def _ordered(marks: Array) -> Array:
    """Marks that never descend within a beat, nor from the end of a T wave to the P wave of the next beat."""
    out = marks.copy()
    leads, beats, _ = out.shape
    for lead in range(leads):
        last = -np.inf
        for beat in range(beats):
            for k in range(9):
                value = out[lead, beat, k]
                if np.isfinite(value):
                    # Borders of two waves come from two curves: where they pass each other, they meet.
                    out[lead, beat, k] = last = max(value, last)
    return out
