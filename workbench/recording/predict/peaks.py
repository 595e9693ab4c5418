"""Where a recording surprises: peaks of the surprisal map as annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from workbench.core.types import Mark, Marks
from workbench.recording.marks import PEAK_LABEL

_MAD = 1.4826  # of a normal distribution: deviation / median absolute deviation
_LEAST = 0.1  # of the middle deviation of all channels, below which none counts
_HOPS = 4  # blocks in an averaging window: peaks begin and end at blocks
_LATE = (_HOPS + 1) % 2 / 2  # blocks
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
    label: str = PEAK_LABEL,
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
    hop = max(1, round(window * sampling_rate / _HOPS))
    means = _block_means(surprisal, hop)
    rate = sampling_rate / hop
    rows, count = means.shape
    z = np.full(means.shape, np.nan, np.float32)
    for i in range(rows):
        z[i] = _running_mean(means[i])
    # A dead channel hardly varies: measured in its own deviations, every ripple of it would tower over the others.
    least = _LEAST * float(np.median([_spread(row)[1] for row in z])) if rows else 0.0
    for i in range(rows):
        z[i] = _deviations(z[i], least)
    together = np.full(count, np.nan)
    quarter = -(-rows // 4)
    for first in range(0, count, _PIECE):
        part = z[:, first : first + _PIECE]
        together[first : first + _PIECE] = np.partition(part, rows - quarter, axis=0)[rows - quarter :].mean(0)
    above = np.nan_to_num(_deviations(together), nan=-np.inf) > threshold
    edges = np.flatnonzero(np.diff(np.concatenate([[False], above, [False]]).astype(np.int8))).reshape(-1, 2)
    found: list[list[int]] = []
    for a, b in edges:
        if found and a - found[-1][1] < gap * rate:
            found[-1][1] = int(b)
        else:
            found.append([int(a), int(b)])
    marks = []
    for a, b in found:
        names: tuple[str, ...] = ()
        if len(channels):
            highest = np.nanmax(z[:, a:b], axis=1)
            limit = max(threshold, 0.5 * float(highest.max()))
            names = tuple(n for n, v in zip(channels, highest, strict=True) if v >= limit)
        # The mean of an even number of blocks is that of the middle of them: half a block before the one it is kept in.
        begin, end = max(0.0, a - _LATE), min(b - _LATE, surprisal.shape[1] / hop)
        marks.append(Mark(start + begin / rate, (end - begin) / rate, label, names))
    return Marks(tuple(marks))


def _block_means(values: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.float32]:
    """Means of `size` samples in a row, (C, T) -> (C, T // size); NaN where less than three quarters are there."""
    count = values.shape[1] // size
    out = np.full((values.shape[0], count), np.nan, np.float32)
    for i, row in enumerate(values):
        blocks = row[: count * size].reshape(count, size)
        known = np.isfinite(blocks)
        there = known.sum(1)
        sums = np.where(known, blocks, 0).sum(1, dtype=np.float64)
        enough = there >= 0.75 * size
        out[i, enough] = sums[enough] / there[enough]
    return out


def _running_mean(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean over a window of blocks; NaN where less than three quarters of the window is, as that would be noisy."""
    known = np.isfinite(row).astype(np.float64)
    sums = ndimage.uniform_filter1d(np.where(known > 0, row, 0).astype(np.float64), _HOPS, mode="constant")
    share = ndimage.uniform_filter1d(known, _HOPS, mode="constant")
    enough = (known > 0) & (share >= 0.75 - 1e-9)
    return np.where(enough, sums / np.maximum(share, 1e-9), np.nan)


def _spread(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Median and robust deviation of what is finite; 0 deviation where there is next to nothing."""
    known = values[np.isfinite(values)].astype(np.float64)
    if known.size < 2:
        return float("nan"), 0.0
    middle = float(np.median(known))
    return middle, _MAD * float(np.median(np.abs(known - middle)))


def _deviations(values: npt.NDArray[np.floating], least: float = 0.0) -> npt.NDArray[np.float64]:
    """Robust deviations from the median, or units of `least` where those are smaller; NaN stays NaN."""
    middle, spread = _spread(values)
    return np.asarray((values.astype(np.float64) - middle) / max(spread, least, 1e-9), np.float64)
