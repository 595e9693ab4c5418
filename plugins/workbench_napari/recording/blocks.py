"""Blocks of rows on a common clock: sensors of one kind, tokens, surprisal; each is one layer of the window.

A layer shows as many columns as a screen can: of a long recording every column stands for several samples, and zooming
in reads the samples that are then in sight. No Qt here; reading may happen in any thread.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.core.types import Signals

Array = npt.NDArray[Any]
Reader = Callable[[int, int, Sequence[int] | None], Array]

MOST_VALUES = 4_000_000
"""Blocks with more values than this are shown in columns of several samples."""
MOST_TOKENS = 16_000
"""Layers of tokens with more columns do not fit into one texture of a graphics card."""
MOST_COLUMNS = 4096
_CHUNK_VALUES = 16_000_000
_MOST_READ = 48_000_000
_LOOKS, _LOOK_VALUES = 1024, 8_000
_PROBES, _PROBE_SAMPLES = 24, 250
_OFFSET = 5.0  # deviations that a channel must be away from zero before its offset is taken off

UNITS = {
    "mag": ("fT", 1e15), "ref_meg": ("fT", 1e15), "grad": ("fT/cm", 1e13), "eeg": ("µV", 1e6), "eog": ("µV", 1e6),
    "ecg": ("mV", 1e3), "emg": ("mV", 1e3), "seeg": ("µV", 1e6), "ecog": ("µV", 1e6), "dbs": ("µV", 1e6),
    "bio": ("µV", 1e6),
}  # fmt: skip
"""MNE channel type -> unit that people read, and how many of it make one SI unit."""
KINDS = {
    "mag": "magnetometers", "grad": "gradiometers", "eeg": "EEG", "seeg": "sEEG", "ecog": "ECoG",
    "ref_meg": "reference", "eog": "EOG", "ecg": "ECG", "emg": "EMG", "stim": "triggers", "misc": "time courses",
}  # fmt: skip
"""MNE channel type -> what people call it."""


class Columns(NamedTuple):
    """A stretch of a block: ``(rows, columns)``, time of its first sample [s], and samples per column."""

    data: Array
    start: float
    step: int


class Block:
    """Rows with names and units on a time base.

    Parameters
    ----------
    key
        Name of the part (``"recording"``, ``"surprisal"``).
    title
        For people.
    rows, units
        Name and unit of each row.
    rate, start, samples
        Samples per second [Hz], time of the first one [s], and how many there are.
    read
        ``read(first, last, rows or None)`` gives ``(rows, last - first)`` in these units.
    reduce
        What stands for several samples in one column: ``"peak"`` (the one furthest from zero), ``"max"``, ``"first"``.
    kinds
        MNE channel type of each row, where known.
    """

    def __init__(
        self,
        key: str,
        title: str,
        rows: Sequence[str],
        units: Sequence[str],
        rate: float,
        start: float,
        samples: int,
        read: Reader,
        *,
        reduce: str = "peak",
        kinds: Sequence[str] = (),
    ) -> None:
        self.key, self.title = key, title
        self.rows, self.units = tuple(rows), tuple(units)
        self.kinds = tuple(kinds) or ("",) * len(self.rows)
        self.rate, self.start, self.samples = float(rate), float(start), int(samples)
        self.reduce = reduce
        self._read = read
        self._layer: Any = lambda: None
        self._spread: tuple[Array, Array] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names for people: without an ending that all of them have (``MLC11-2908`` of CTF)."""
        endings = {name.rpartition("-")[2] if "-" in name else "" for name in self.rows}
        if len(self.rows) > 1 and len(endings) == 1 and all(endings):
            return tuple(name.rpartition("-")[0] for name in self.rows)
        return self.rows

    @property
    def unit(self) -> str:
        """The unit of all rows, or "" where they differ."""
        return self.units[0] if len(set(self.units)) == 1 else ""

    def spread(self) -> tuple[Array, Array]:
        """Median and robust standard deviation of each row ``(rows, 1)``, from a few looks."""
        if self._spread is None:
            self._spread = robust(self.probe())
        return self._spread

    def colours(self, values: Array) -> Array:
        """Values as the layer shows them: signals in deviations from their median, all else as it is."""
        if self.reduce != "peak":
            return values
        middle, deviation = self.spread()
        return ((values - middle) / deviation).astype(np.float32)

    def reach(self, rows: Sequence[int]) -> float:
        """A value that these rows rarely exceed."""
        middle, deviation = self.spread()
        if self.reduce != "peak":
            return float(np.max(np.abs(middle) + 4 * deviation))
        return float(np.median(4.0 * deviation[list(rows)]))

    @property
    def layer(self) -> Any:
        """The layer that shows it, or ``None``."""
        return self._layer()

    @layer.setter
    def layer(self, layer: Any) -> None:
        self._layer = weakref.ref(layer)

    @property
    def stop(self) -> float:
        """Where the last sample ends [s]."""
        return self.start + self.samples / self.rate

    @property
    def is_long(self) -> bool:
        """Whether a layer cannot hold every sample."""
        return self.samples * len(self.rows) > MOST_VALUES or (self.reduce == "first" and self.samples > MOST_TOKENS)

    def sample_at(self, seconds: float) -> int | None:
        """The sample that is nearest to a time, or ``None`` outside."""
        sample = round((seconds - self.start) * self.rate)
        return sample if 0 <= sample < self.samples else None

    def at(self, seconds: float) -> Array | None:
        """Values of all rows at a time, or ``None`` outside."""
        sample = self.sample_at(seconds)
        return None if sample is None else self._read(sample, sample + 1, None)[:, 0]

    def read(self, first: int, last: int, rows: Sequence[int] | None = None) -> Array:
        """Values ``(rows, last - first)``."""
        return self._read(first, last, rows)

    def value(self, sample: int, row: int) -> float:
        """One value."""
        return float(self._read(sample, sample + 1, [row])[0, 0])

    def span(self, start: float, stop: float) -> tuple[int, int]:
        """Samples of a stretch of time, cut to what there is."""
        first = int(np.floor((start - self.start) * self.rate))
        last = int(np.ceil((stop - self.start) * self.rate)) + 1
        return min(max(first, 0), self.samples), min(max(last, 0), self.samples)

    def columns(self, start: float, stop: float, most: int = MOST_COLUMNS) -> Columns:
        """A stretch of time [s] in at most about `most` columns.

        Reading every sample of an hour takes a minute; there every column is a short look into its stretch.
        """
        first, last = self.span(start, stop)
        step = max(1, -(-(last - first) // most))
        first -= first % step  # the same columns however the view is moved
        if (last - first) * len(self.rows) > _MOST_READ:
            step, looks = self._looks(first, last, None)
            parts = [reduced(look, look.shape[1], self.reduce) for look in looks]
        else:
            chunk = max(1, _CHUNK_VALUES // (len(self.rows) * step)) * step
            firsts = range(first, last, chunk)
            parts = [reduced(self._read(a, min(a + chunk, last), None), step, self.reduce) for a in firsts]
        data = np.concatenate(parts, axis=1) if parts else np.zeros((len(self.rows), 0), np.float32)
        return Columns(data, self.start + first / self.rate, step)

    def lines(self, start: float, stop: float, rows: Sequence[int], most: int) -> tuple[Array, Array]:
        """Time [s] and values ``(rows, n)`` to draw as lines: the extremes of every bin where there are too many."""
        first, last = self.span(start, stop)
        if not rows or first == last:
            return np.zeros(0), np.zeros((len(rows), 0), np.float32)
        step = max(1, -(-(last - first) // most))
        if (last - first) * len(self.rows) > _MOST_READ:
            step, looks = self._looks(first, last, rows)
            both = np.stack([[look.min(axis=1), look.max(axis=1)] for look in looks], axis=2)
        else:
            first -= first % step
            data = self._read(first, last, list(rows))
            if step < 3:
                return self.start + np.arange(first, last) / self.rate, data
            whole = data.shape[1] - data.shape[1] % step
            bins = data[:, :whole].reshape(len(data), -1, step)
            both = np.stack([bins.min(axis=2), bins.max(axis=2)])
        count = both.shape[2]
        times = self.start + (first + step * (np.arange(2 * count) / 2 + 0.25)) / self.rate
        return times, both.transpose(1, 2, 0).reshape(len(rows), 2 * count)

    def _looks(self, first: int, last: int, rows: Sequence[int] | None) -> tuple[int, list[Array]]:
        """Short pieces at even distances: their distance, and their values."""
        step = -(-(last - first) // _LOOKS)
        length = min(step, max(1, _LOOK_VALUES // len(self.rows)))
        firsts = range(first, last, step)
        return step, [self._read(a, min(a + length, last), None if rows is None else list(rows)) for a in firsts]

    def probe(self) -> Array:
        """``(rows, n)`` values of short stretches here and there: enough for limits and means."""
        if self.samples <= _PROBES * _PROBE_SAMPLES:
            return self._read(0, self.samples, None)
        firsts = np.linspace(0, self.samples - _PROBE_SAMPLES, _PROBES).astype(int)
        return np.concatenate([self._read(int(f), int(f) + _PROBE_SAMPLES, None) for f in firsts], axis=1)


def reduced(data: Array, step: int, how: str) -> Array:
    """``(rows, ceil(n / step))``: one value for every `step` columns."""
    if step <= 1:
        return data
    extra = -data.shape[1] % step
    if extra:
        data = np.concatenate([data, np.repeat(data[:, -1:], extra, axis=1)], axis=1)
    bins = data.reshape(len(data), -1, step)
    if how == "first":
        found: Array = bins[:, :, 0]
    elif how == "max":
        known = np.where(np.isfinite(bins), bins, -np.inf).max(axis=2)
        found = np.where(np.isfinite(known), known, np.nan).astype(data.dtype)
    else:
        high, low = bins.max(axis=2), bins.min(axis=2)
        found = np.where(high > -low, high, low)
    return found


def robust(values: Array) -> tuple[Array, Array]:
    """Median and robust standard deviation of each row ``(rows, 1)``; flat rows get 1."""
    filled = np.where(np.isfinite(values), values, 0).astype(np.float64)
    middle = np.median(filled, axis=1, keepdims=True)
    deviation = 1.4826 * np.median(np.abs(filled - middle), axis=1, keepdims=True)
    deviation = np.where(deviation > 0, deviation, filled.std(axis=1, keepdims=True))
    return middle.astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32)


def sensors_block(recording: Any) -> Block:
    """All channels of a recording in the units people read; an offset far from zero is taken off."""
    lock = threading.Lock()
    known = [UNITS.get(kind, ("", 1.0)) for kind in recording.kinds]
    factors = np.array([[factor] for _, factor in known], np.float32)
    offsets = np.zeros((len(known), 1), np.float32)

    def read(first: int, last: int, rows: Sequence[int] | None) -> Array:
        # Readers of MNE must not be asked by two threads at once.
        with lock:
            data = recording.read(first, last, rows)
        chosen = slice(None) if rows is None else list(rows)
        found: Array = data * factors[chosen] - offsets[chosen]
        return found

    block = Block(
        "recording",
        "Recording",
        recording.channels,
        [unit for unit, _ in known],
        recording.rate,
        recording.start,
        recording.n_samples,
        read,
        kinds=recording.kinds,
    )
    if recording.what != "evoked":
        middle, deviation = block.spread()
        physical = np.array([[bool(unit)] for unit, _ in known])
        offsets[:] = np.where(physical & (np.abs(middle) > _OFFSET * deviation), middle, 0.0)
        block._spread = (middle - offsets, deviation)
    return block


def part_of(block: Block, names: Sequence[str], key: str, title: str) -> Block:
    """Some rows of a block, by name, as a block of their own."""
    numbers = [block.rows.index(name) for name in names]

    def read(first: int, last: int, rows: Sequence[int] | None) -> Array:
        return block._read(first, last, numbers if rows is None else [numbers[r] for r in rows])

    units, kinds = [block.units[n] for n in numbers], [block.kinds[n] for n in numbers]
    return Block(key, title, names, units, block.rate, block.start, block.samples, read, kinds=kinds)


def signals_block(part: Signals, key: str, title: str) -> Block:
    """A block of signals that are in memory: tokens, surprisal, reconstruction, generated signals."""
    data = part.data
    kinds = part.kinds or ("",) * len(part.channels)
    known = [UNITS[k] if part.unit in ("T", "T/m", "V") and k in UNITS else (part.unit or "", 1.0) for k in kinds]
    if part.role == "signal" and part.unit is None:
        known = [UNITS.get(k, ("", 1.0)) for k in kinds]
    factors = np.array([[factor] for _, factor in known], np.float32)

    def read(first: int, last: int, rows: Sequence[int] | None) -> Array:
        chosen = slice(None) if rows is None else list(rows)
        found = np.asarray(data[chosen, first:last])
        return found if (factors == 1).all() else found * factors[chosen]

    return Block(
        key,
        title,
        part.channels,
        [unit for unit, _ in known],
        part.sampling_rate,
        part.start,
        data.shape[1],
        read,
        reduce={"tokens": "first", "map": "max"}.get(part.role, "peak"),
        kinds=kinds,
    )
