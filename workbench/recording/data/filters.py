"""Resampling and filtering of recordings in pieces: the result does not depend on how the pieces are cut.

Both are linear-phase FIR filters applied with zero delay. Resampling multiplies blocks of samples with a small matrix
of Kaiser-windowed sinc values, which serves any ratio of rates and runs at the speed of a matrix product; notch and
band-pass are designed by MNE (`mne.filter.create_filter`) and applied after it, through the Fourier transform.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Fetch = Callable[[int, int], Array]

STEP = 64
"""Outputs that one matrix makes."""

_PASS = 0.8  # share of the smaller Nyquist frequency that passes untouched; all above Nyquist is removed
_ATTENUATION_DB = 70.0
_FINE = 512  # table entries per input sample


@dataclass(frozen=True)
class Resampler:
    """From `rate_in` to `rate_out` [Hz]: output m lies at ``m / rate_out`` seconds, like input n at ``n / rate_in``."""

    rate_in: float
    rate_out: float

    @property
    def ratio(self) -> float:
        """Input samples per output sample."""
        ratio = self.rate_in / self.rate_out
        # Many files keep the rate in single precision: 499.99997 Hz is 500 Hz.
        return float(round(ratio)) if ratio >= 1 and abs(ratio - round(ratio)) < 2e-7 * ratio else ratio

    @property
    def is_identity(self) -> bool:
        return abs(self.ratio - 1) < 1e-6

    @property
    def half(self) -> int:
        """Input samples that an output needs on either side."""
        if self.is_identity:
            return 0
        nyquist = 0.5 * min(self.rate_in, self.rate_out)
        width = 2 * math.pi * (1 - _PASS) * nyquist / self.rate_in
        return math.ceil(((_ATTENUATION_DB - 7.95) / (2.285 * width) + 1) / 2) + 1

    def count(self, samples: int) -> int:
        """Number of outputs for so many inputs."""
        return self.outputs(0, samples)[1]

    def outputs(self, first: int, last: int) -> tuple[int, int]:
        """Outputs whose time lies in the inputs ``first`` to ``last`` (exclusive)."""
        if self.is_identity:
            return first, last
        return math.ceil(first / self.ratio - 1e-9), math.ceil(last / self.ratio - 1e-9)

    def blocks(self, fetch: Fetch, first: int, last: int, length: int) -> Iterator[Array]:
        """Consecutive pieces ``(channels, at most length)`` of the outputs that lie in inputs `first` to `last`.

        Parameters
        ----------
        fetch
            ``fetch(start, stop)`` gives inputs; only those between `first` and `last` are asked for. Beyond them the
            signal is continued by reflection about its last value.
        """
        begin, end = self.outputs(first, last)
        if self.is_identity:
            for start in range(begin, end, length):
                yield fetch(start, min(start + length, end))
            return
        length = max(STEP, length // STEP * STEP)
        table = self._table()
        kept: dict[int, Array] = {}
        for start in range(begin, end, length):
            stop = min(start + length, end)
            low = math.floor(start * self.ratio) - self.half
            high = math.floor((stop - 1) * self.ratio) + self.half + 2
            block = reflected(fetch, first, last, low, high)
            yield self._block(block, table, kept, start, stop, low)

    def _block(
        self, block: Array, table: npt.NDArray[np.float64], kept: dict[int, Array], start: int, stop: int, low: int
    ) -> Array:
        """Outputs `start` to `stop` of a block of inputs that begins at `low`."""
        channels, count = block.shape[0], stop - start
        out = np.empty((channels, count), np.float32)
        done = 0
        if abs(self.ratio - round(self.ratio)) < 1e-9 and count >= 2 * STEP:
            # Every matrix is the same one: a single large product instead of many small ones.
            weights = self._weights(table, kept, start, STEP)
            many, hop = count // STEP, STEP * round(self.ratio)
            first = math.floor(start * self.ratio) - self.half - low
            windows = np.lib.stride_tricks.sliding_window_view(block[:, first:], len(weights), axis=1)[:, ::hop][
                :, :many
            ]
            made = windows.reshape(channels * many, len(weights)) @ weights
            done = many * STEP
            out[:, :done] = made.reshape(channels, done)
        for m in range(start + done, stop, STEP):
            n = min(STEP, stop - m)
            origin = math.floor(m * self.ratio) - self.half
            weights = self._weights(table, kept, m, n)
            out[:, m - start : m - start + n] = block[:, origin - low : origin - low + len(weights)] @ weights
        return out

    def _table(self) -> npt.NDArray[np.float64]:
        """The kernel at distances 0, 1/_FINE, 2/_FINE ... input samples."""
        distance = np.arange((self.half + 1) * _FINE + 2) / _FINE
        nyquist = 0.5 * min(self.rate_in, self.rate_out)
        cut = (1 + _PASS) * nyquist / self.rate_in  # middle of the transition, as share of the input rate x 2
        beta = 0.1102 * (_ATTENUATION_DB - 8.7)
        inside = np.sqrt(np.clip(1 - (distance / (self.half + 1)) ** 2, 0, 1))
        window: npt.NDArray[np.float64] = np.i0(beta * inside) / np.i0(beta)
        return cut * np.sinc(cut * distance) * window

    def _weights(self, table: npt.NDArray[np.float64], kept: dict[int, Array], m: int, n: int) -> Array:
        """Matrix ``(inputs, n)`` for outputs m to m + n; outputs at the same place between two inputs share it."""
        offset = m * self.ratio - math.floor(m * self.ratio)
        key = round(offset * 1e6) * (STEP + 1) + n
        if key not in kept:
            at = offset + np.arange(n) * self.ratio + self.half
            inputs = np.arange(math.floor(at[-1]) + self.half + 1)
            weights = np.interp(np.abs(at[None] - inputs[:, None]) * _FINE, np.arange(len(table)), table, right=0.0)
            weights /= weights.sum(axis=0)  # a constant stays what it is
            if len(kept) > 64:
                kept.clear()
            kept[key] = weights.astype(np.float32)
        return kept[key]


def reflected(fetch: Fetch, first: int, last: int, low: int, high: int) -> Array:
    """Samples `low` to `high`, those outside `first` to `last` continued by odd reflection, then by zeros.

    As MNE pads: ``2 * x[0] - x[k]`` as far as there are samples.
    """
    inner = fetch(max(low, first), min(high, last))
    before, after = max(0, first - low), max(0, high - last)
    if not before and not after:
        return inner
    parts = [inner]
    if before:
        known = fetch(first, min(last, first + before + 1))
        tail = (2 * known[:, :1] - known[:, 1:])[:, ::-1]
        parts.insert(0, np.pad(tail, ((0, 0), (before - tail.shape[1], 0))))
    if after:
        known = fetch(max(first, last - after - 1), last)
        tail = (2 * known[:, -1:] - known[:, :-1])[:, ::-1]
        parts.append(np.pad(tail, ((0, 0), (0, after - tail.shape[1]))))
    return np.concatenate(parts, axis=1)


def design(
    rate: float, band: tuple[float | None, float | None] | None, notches: tuple[float, ...], samples: int
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """One odd-length zero-phase FIR filter for a band-pass and notches; filters longer than the data are left out.

    Parameters
    ----------
    rate
        Samples per second [Hz].
    band
        Lower and upper edge [Hz], either may be ``None``.
    notches
        Frequencies to remove [Hz]; those at or above Nyquist are no part of the signal and are ignored.
    samples
        Length of the shortest stretch to be filtered.

    Returns
    -------
    taps, notes
        ``[1.0]`` if nothing is to be done; the notes say what was left out and why.
    """
    import mne

    taps: npt.NDArray[np.float64] = np.ones(1)
    notes: list[str] = []
    wanted: list[tuple[str, float | Any, float | Any, float]] = []
    low, high = band or (None, None)
    if high is not None and high >= 0.5 * rate:
        high = None
    slow = 3.3 / min(max(low * 0.25, 2.0), low) if low else 0.0
    fast = 3.3 / min(max(high * 0.25, 2.0), 0.5 * rate - high) if high else 0.0
    if low and high and slow * rate <= samples:
        wanted.append((f"band-pass {low:g} to {high:g} Hz", low, high, max(slow, fast)))
    else:
        wanted += [(f"high-pass {low:g} Hz", low, None, slow)] if low else []
        wanted += [(f"low-pass {high:g} Hz", None, high, fast)] if high else []
    wanted += [(f"notch {f:g} Hz", f, f, 3.3) for f in notches if f + 1.5 < 0.5 * rate]
    for name, lower, upper, seconds in wanted:
        if seconds * rate > samples:
            notes.append(f"{name} needs {seconds:.3g} s, the data have {samples / rate:.3g} s: left out")
            continue
        options: dict[str, Any] = {"verbose": "ERROR"}
        if name.startswith("notch"):
            # As MNE's notch: width frequency / 200, transitions of 0.5 Hz on either side, or 1 Hz for short data.
            side = 0.5 if 6.6 * rate <= samples else 1.0
            lower, upper = upper + upper / 400 + side, upper - upper / 400 - side
            options |= {"l_trans_bandwidth": side, "h_trans_bandwidth": side}
        made = mne.filter.create_filter(None, rate, lower, upper, **options)
        taps = np.convolve(taps, made)
    return taps, notes


def filtered(blocks: Iterator[Array], taps: npt.NDArray[np.float64]) -> Iterator[Array]:
    """Consecutive pieces, each channel convolved with a symmetric filter; lengths in sum as those that came.

    The signal is continued at its ends as in `reflected`.
    """
    half = len(taps) // 2
    if half == 0:
        for block in blocks:
            yield block * np.float32(taps[0]) if taps[0] != 1 else block
        return
    held: Array | None = None
    seen = 0
    for block in blocks:
        if held is None:
            # Enough of the beginning must be there for its reflection.
            waiting = [block]
            while sum(b.shape[1] for b in waiting) <= half and (more := next(blocks, None)) is not None:
                waiting.append(more)
            block = np.concatenate(waiting, axis=1)
            tail = (2 * block[:, :1] - block[:, 1 : half + 1])[:, ::-1]
            held = np.pad(tail, ((0, 0), (half - tail.shape[1], 0)))
        seen += block.shape[1]
        held = np.concatenate([held, block], axis=1)
        if held.shape[1] > 2 * half:
            yield _valid(held, taps)
            held = held[:, held.shape[1] - 2 * half :]
    if held is None:
        return
    real = held[:, -min(seen, held.shape[1]) :]
    tail = (2 * real[:, -1:] - real[:, -half - 1 : -1])[:, ::-1]
    held = np.concatenate([held, np.pad(tail, ((0, 0), (0, half - tail.shape[1])))], axis=1)
    if held.shape[1] > 2 * half:
        yield _valid(held, taps)


def _valid(data: Array, taps: npt.NDArray[np.float64]) -> Array:
    """The part of a convolution that needs nothing beyond the data."""
    from scipy import fft

    size = fft.next_fast_len(data.shape[1], real=True)
    response = fft.rfft(taps.astype(np.float32), size)
    out: Array = np.empty((data.shape[0], data.shape[1] - len(taps) + 1), np.float32)
    for row in range(0, data.shape[0], 16):
        spectrum = fft.rfft(data[row : row + 16], size, axis=1)
        spectrum *= response
        out[row : row + 16] = fft.irfft(spectrum, size, axis=1)[:, len(taps) - 1 : data.shape[1]]
    return out
