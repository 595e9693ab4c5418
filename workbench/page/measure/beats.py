"""Beats: where all leads together say QRS, and which of them look alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.page.measure.prepare import filled
from workbench.page.measure.waves import Waves
from workbench.page.runs import runs

Array = npt.NDArray[np.float64]

LIKELY = 0.5
"""Mean probability of QRS over the leads from which on a beat is there."""
SHORTEST, CLOSEST = 0.024, 0.180
"""[s] A shorter QRS is a spike; two beats are at least so far apart."""
ALIKE = 0.80
"""Correlation of a beat with the dominant one, over the leads that were seen, below which it is another kind."""
STEEP = 2.5
"""A QRS is at least so many times as steep as the rest (in LUDB 10 times and more); slow waves and mains are not."""
AROUND = (0.10, 0.12)
"""Stretch [s] before and after the middle of the QRS in which beats are compared."""


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of a recording.

    Parameters
    ----------
    times
        ``(beats,)`` float64 [s]: the same point of each QRS, near its middle; ascending.
    kind
        ``(beats,)`` int: 0 for the dominant form, 1, 2... for others, in the order of their first beat.
    likeness
        ``(beats,)`` float64: correlation with the dominant beat; NaN where there is nothing to compare.
    """

    times: Array
    kind: npt.NDArray[np.int64]
    likeness: Array

    @property
    def dominant(self) -> npt.NDArray[np.bool_]:
        """``(beats,)`` bool."""
        return np.asarray(self.kind == 0)


def find_beats(data: Array, rate: float, waves: Waves) -> Beats:
    """Beats of all leads together.

    Parameters
    ----------
    data
        ``(leads, samples)`` [mV]; NaN where a lead was not seen.
    rate
        Samples per second [Hz] of `data`.
    waves
        What the network says of the same leads.
    """
    seen = waves.there.sum(0)
    pooled = waves.waves[:, 1].sum(0) / np.maximum(seen, 1)
    middles: list[tuple[float, float]] = []
    for first, last in runs(pooled > LIKELY):
        if (last - first) / waves.rate < SHORTEST:
            continue
        if first == 0 or last == len(seen) or not seen[first - 1] or not seen[last]:
            continue  # cut by an edge: its middle is not known
        weight = pooled[first:last]
        middle = float((np.arange(first, last) * weight).sum() / weight.sum()) / waves.rate
        strength = float(weight.sum())
        if middles and middle - middles[-1][0] < CLOSEST:
            if strength > middles[-1][1]:
                middles[-1] = (middle, strength)
            continue
        middles.append((middle, strength))
    times = np.array([middle for middle, _ in middles])
    if len(times) and steepness(data, rate, times) < STEEP:
        times = times[:0]
    if not len(times):
        return Beats(times, np.zeros(0, np.int64), np.zeros(0))
    return _sorted_by_form(data, rate, times)


def steepness(data: Array, rate: float, times: Array) -> float:
    """How much steeper the leads are at the beats than elsewhere: the median over beats; infinite without elsewhere."""
    full, there = filled(data)
    half = max(round(0.006 * rate), 1)
    sums = np.cumsum(np.pad(full, ((0, 0), (1, 0))), axis=1)
    smooth = (sums[:, 2 * half :] - sums[:, : -2 * half]) / (2 * half)
    both = there[:, half:-half] if there.shape[1] > 2 * half else there[:, :0]
    slope = np.abs(smooth[:, 2 * half :] - smooth[:, : -2 * half])
    seen = both[:, half : half + slope.shape[1]]
    slope = np.where(seen, slope, 0.0)
    speed = np.sqrt(np.square(slope).sum(0) / np.maximum(seen.sum(0), 1))
    at = (np.arange(len(speed)) + 2 * half) / rate
    apart = np.abs(np.subtract.outer(at, times))
    rest = (apart.min(1) > 0.12) & seen.any(0)
    tops = [float(speed[near].max()) for near in (apart < 0.06).T if near.any()]
    if rest.sum() < 0.1 * rate or not tops:
        return float("inf")
    return float(np.median(tops)) / max(float(np.median(speed[rest])), 1e-12)


def windows(data: Array, rate: float, times: Array, before: float, after: float) -> Array:
    """Stretches around moments, between samples where need be; NaN where nothing was seen.

    Returns
    -------
    ndarray
        ``(moments, leads, samples)``; sample k lies ``k / rate - before`` seconds from the moment.
    """
    offsets = np.arange(round((before + after) * rate) + 1) / rate - before
    full, there = filled(data)
    at = (times[:, None] + offsets) * rate
    low = np.floor(at).astype(int)
    part = at - low
    inside = (low >= 0) & (low + 1 < data.shape[1])
    low = np.clip(low, 0, max(data.shape[1] - 2, 0))
    high = np.minimum(low + 1, data.shape[1] - 1)
    out = full[:, low] * (1 - part) + full[:, high] * part
    out = np.where(inside & there[:, low] & there[:, high], out, np.nan)
    return np.moveaxis(out, 0, 1)


def _centred(pieces: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Each lead of each beat about its own mean, 0 where a lead did not see the whole stretch; and which did."""
    whole = np.asarray(np.isfinite(pieces).all(2))
    flat = np.where(whole[:, :, None], pieces, 0.0)
    return flat - flat.mean(2, keepdims=True), whole


def _likeness(pieces: Array, template: Array) -> Array:
    """``(beats,)``: correlation with one form over the leads that both have; NaN without such a lead."""
    x, seen = _centred(pieces)
    y, has = _centred(template[None])
    both = seen & has
    top = (np.einsum("bls,ls->bl", x, y[0]) * both).sum(1)
    below = np.sqrt((np.square(x).sum(2) * both).sum(1) * (np.square(y[0]).sum(1) * both).sum(1))
    out = np.full(len(pieces), np.nan)
    np.divide(top, below, out=out, where=below > 0)
    return out


def _pairwise(pieces: Array) -> Array:
    """``(beats, beats)``: the same between all beats."""
    x, seen = _centred(pieces)
    energy, there = np.square(x).sum(2), seen.astype(np.float64)
    flat = x.reshape(len(x), -1)
    top = flat @ flat.T
    below = np.sqrt((energy @ there.T) * (there @ energy.T))
    out = np.full(top.shape, np.nan)
    np.divide(top, below, out=out, where=below > 0)
    return out


def _template(pieces: Array) -> Array:
    """Median over beats, NaN where no beat was seen."""
    out = np.full(pieces.shape[1:], np.nan)
    some = np.isfinite(pieces).any(0)
    out[some] = np.nanmedian(pieces[:, some], axis=0)
    return out


def _aligned(data: Array, rate: float, times: Array, which: npt.NDArray[np.bool_]) -> Array:
    """Moments moved to where the beats fit their common form best (Woody 1967, doi:10.1007/BF02474247)."""
    times = times.copy()
    reach = 0.04
    steps = np.arange(-round(reach * rate), round(reach * rate) + 1)
    for _ in range(3):
        template = _template(windows(data, rate, times[which], *AROUND))
        wide = windows(data, rate, times, AROUND[0] + reach, AROUND[1] + reach)
        length = template.shape[1]
        fits = np.stack([_likeness(wide[:, :, k : k + length], template) for k in range(len(steps))], 1)
        for beat in np.flatnonzero(np.isfinite(fits).all(1)):
            best = int(fits[beat].argmax())
            move = float(steps[best])
            if 0 < best < len(steps) - 1:
                a, b, c = fits[beat, best - 1 : best + 2]
                move += 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c < 0 else 0.0
            times[beat] += move / rate
    return times


def _sorted_by_form(data: Array, rate: float, times: Array) -> Beats:
    """Kinds of beats: the largest group that looks alike is the dominant one."""
    like = _pairwise(windows(data, rate, times, *AROUND))
    # Beats of a page that share no lead cannot be compared: they count as alike, until a third beat tells.
    alike = ~(like < ALIKE)
    leader = int(alike.sum(1).argmax())
    which = alike[leader]
    moved = np.where(which, _aligned(data, rate, times, which), times)
    template = _template(windows(data, rate, moved[which], *AROUND))
    likeness = _likeness(windows(data, rate, moved, *AROUND), template)
    kind = np.zeros(len(times), np.int64)
    others: list[int] = []
    for beat in np.flatnonzero(likeness < ALIKE):
        same = [k for k, first in enumerate(others) if not like[beat, first] < ALIKE]
        if not same:
            others.append(int(beat))
        kind[beat] = 1 + (same[0] if same else len(others) - 1)
    order = np.argsort(moved, kind="stable")
    return Beats(moved[order], kind[order], likeness[order])
