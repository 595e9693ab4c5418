"""Where a recording surprises: peaks of the surprisal map as annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from workbench.types import Mark, Marks

_MAD = 1.4826  # of a normal distribution: deviation / median absolute deviation
_PIECE = 1 << 16


def peaks(
    surprisal: npt.NDArray[np.floating],
    sampling_rate: float,
    *,
    threshold: float = 4.0,
    window: float = 0.2,
    gap: float = 0.25,
    channels: Sequence[str] = (),
    start: float = 0.0,
    label: str = "surprising",
) -> Marks:
    """Find stretches in which several channels are less predictable than usual.

    Each channel is averaged over `window` and measured in robust deviations from its own median. What counts is the
    mean over the quarter of the channels that stand out most, again in robust deviations over time: blinks and bursts
    show in few channels, and single channels are often surprising by chance.

    Parameters
    ----------
    surprisal
        (C, T) nats; NaN where there is none.
    sampling_rate, start
        Samples per second [Hz], and the time of the first one [s].
    threshold
        Robust deviations over time from which on a sample counts.
    window, gap
        Averaging window [s]; stretches closer than `gap` [s] become one.
    channels
        Names; if given, each mark names the channels that stand out in it.

    Returns
    -------
    Marks
        In order of time.
    """
    size = max(1, round(window * sampling_rate))
    rows, samples = surprisal.shape
    middle, spread = np.zeros(rows), np.ones(rows)
    for i in range(rows):
        values = _smooth(surprisal[i : i + 1], size)[0]
        values = values[np.isfinite(values)]
        if values.size:
            middle[i] = np.median(values)
            spread[i] = max(_MAD * float(np.median(np.abs(values - middle[i]))), 1e-9)
    count = max(1, -(-rows // 4))
    together = np.full(samples, np.nan)
    for first in range(0, samples, _PIECE):
        z = _deviations(surprisal, first, min(samples, first + _PIECE), size, middle, spread)
        top = np.partition(z, rows - count, axis=0)[rows - count :]
        together[first : first + z.shape[1]] = top.mean(0)
    known = together[np.isfinite(together)]
    if known.size < 2:
        return Marks(())
    centre = float(np.median(known))
    scale = max(_MAD * float(np.median(np.abs(known - centre))), 1e-9)
    above = np.nan_to_num((together - centre) / scale, nan=-np.inf) > threshold
    edges = np.flatnonzero(np.diff(np.concatenate([[False], above, [False]]).astype(np.int8))).reshape(-1, 2)
    found: list[list[int]] = []
    for a, b in edges:
        if found and a - found[-1][1] < gap * sampling_rate:
            found[-1][1] = int(b)
        else:
            found.append([int(a), int(b)])
    marks = []
    for a, b in found:
        names: tuple[str, ...] = ()
        if len(channels):
            z = np.nanmax(_deviations(surprisal, a, b, size, middle, spread), axis=1)
            names = tuple(n for n, v in zip(channels, z, strict=True) if v >= max(threshold, 0.5 * float(z.max())))
        marks.append(Mark(start + a / sampling_rate, (b - a) / sampling_rate, label, names))
    return Marks(tuple(marks))


def _smooth(values: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.float64]:
    """Running mean of what is there; NaN where less than three quarters of the window is, as that would be noisy."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0).astype(np.float64)
    sums = ndimage.uniform_filter1d(filled, size, axis=1, mode="constant")
    share = ndimage.uniform_filter1d(known.astype(np.float64), size, axis=1, mode="constant")
    enough = known & (share >= 0.75 - 1e-9)
    return np.where(enough, sums / np.maximum(share, 1e-9), np.nan)


def _deviations(
    surprisal: npt.NDArray[np.floating], first: int, last: int, size: int, middle: npt.NDArray[np.float64],
    spread: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Robust deviations (C, last - first) of the averaged channels."""
    begin, end = max(0, first - size), min(surprisal.shape[1], last + size)
    part = _smooth(surprisal[:, begin:end], size)[:, first - begin : last - begin]
    return np.asarray((part - middle[:, None]) / spread[:, None])
