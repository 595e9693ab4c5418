"""The representative beat: the median of the dominant beats of each lead, about its level before the QRS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.page.measure.beats import Beats, windows
from workbench.page.measure.lead_rule import GlobalMarks

Array = npt.NDArray[np.float64]

LEVEL = 0.016
"""Stretch [s] before the QRS whose median is zero."""


@dataclass(frozen=True, eq=False)
class MedianBeat:
    """One beat that stands for the dominant ones.

    Parameters
    ----------
    names
        Names of the leads.
    data
        ``(leads, samples)`` float64 [mV]: median over the dominant beats that the lead saw; NaN where it saw none. The
        level just before the QRS is 0.
    spread
        Same shape [mV]: standard deviation between those beats (from the median deviation); NaN for fewer than two.
    beats
        ``(leads,)`` int: how many beats the lead saw.
    rate
        Samples per second [Hz]; sample k lies ``k / rate - before`` seconds from the moment of the beat.
    before
        [s]
    marks
        ``(9,)`` float64 [s] from the moment of the beat: borders over all leads, see `GlobalMarks.dominant`.
    """

    names: tuple[str, ...]
    data: Array
    spread: Array
    beats: npt.NDArray[np.int64]
    rate: float
    before: float
    marks: Array

    @property
    def times(self) -> Array:
        """``(samples,)`` [s] from the moment of the beat."""
        return np.arange(self.data.shape[1]) / self.rate - self.before


def beats_about_level(data: Array, rate: float, beats: Beats, marks: GlobalMarks, before: float, after: float) -> Array:
    """``(dominant beats, leads, samples)`` [mV], each lead of each beat about its level just before the QRS."""
    pieces = windows(data, rate, beats.times[beats.dominant], before, after)
    if np.isfinite(marks.dominant[3]):
        end = round((marks.dominant[3] + before) * rate)
        start = max(end - max(round(LEVEL * rate), 2), 0)
        level = pieces[:, :, start : max(end, start + 1)]
        known = np.isfinite(level).any(2)
        zero = np.full(known.shape, np.nan)
        zero[known] = np.nanmedian(level[known], axis=1)
        pieces = pieces - zero[:, :, None]
    return pieces


def median_beat(data: Array, names: tuple[str, ...], rate: float, beats: Beats, marks: GlobalMarks) -> MedianBeat:
    """The representative beat of each lead.

    It reaches from 80 ms before the P wave (or 250 ms before the beat) to 80 ms after the T wave (or 450 ms after).
    """
    first, last = marks.dominant[0], marks.dominant[8]
    before = -first + 0.08 if np.isfinite(first) else 0.25
    after = last + 0.08 if np.isfinite(last) else 0.45
    pieces = beats_about_level(data, rate, beats, marks, before, after)
    length = pieces.shape[2]
    middle, spread = np.full((len(names), length), np.nan), np.full((len(names), length), np.nan)
    some = np.isfinite(pieces)
    for lead in range(len(names)):
        at = some[:, lead].any(0)
        if not at.any():
            continue
        rows = pieces[:, lead, at]
        middle[lead, at] = np.nanmedian(rows, axis=0)
        twice = some[:, lead].sum(0) > 1
        spread[lead, twice] = 1.4826 * np.nanmedian(np.abs(pieces[:, lead, twice] - middle[lead, twice]), axis=0)
    count = some.any(2).sum(0)
    return MedianBeat(names, middle, spread, count.astype(np.int64), rate, before, marks.dominant)
