"""The whole recording at a glance: global field power of every kind of sensor, in some hundred steps. No Qt here.

It is read piece by piece, so that whoever asks can stop between two pieces and shows what is there already; a piece
takes a few megabytes, however long the recording is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench_napari.recording.blocks import KINDS, Block

BINS = 1000
"""Steps that a recording is shown in."""
_PIECE = 2_000_000
"""Values that are read at a time."""
_MOST_READ = 300_000_000
"""Of recordings with more values every step is a short look into its stretch."""

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Power:
    """Global field power of one kind of sensors: the largest value of each step, NaN where it was not read yet.

    Parameters
    ----------
    kind, title, unit
        MNE channel type, what people call it, and the unit of the values.
    values
        ``(bins,)``.
    start, step
        Time of the first step, and how long each is [s].
    """

    kind: str
    title: str
    unit: str
    values: Array
    start: float
    step: float

    def at(self, seconds: float) -> float | None:
        """The value at a time, or ``None`` where there is none (yet)."""
        number = int((seconds - self.start) // self.step)
        inside = 0 <= number < len(self.values) and np.isfinite(self.values[number])
        return float(self.values[number]) if inside else None

    @property
    def height(self) -> float:
        """A value that few steps exceed."""
        known = self.values[np.isfinite(self.values)]
        return float(1.3 * np.percentile(known, 98)) or 1.0 if known.size else 1.0


def field_power(values: Array, kind: str) -> Array:
    """Global field power of ``(channels, n)``, as MNE has it: the deviation over EEG channels, else the RMS."""
    values = np.nan_to_num(np.asarray(values, np.float64))
    found: Array = values.std(axis=0) if kind == "eeg" else np.sqrt((values**2).mean(axis=0))
    return found


def groups_of(block: Block, kinds: Iterable[str], bads: Sequence[str]) -> dict[str, list[int]]:
    """Rows of a block by kind, without the bad ones."""
    left_out = set(bads)
    rows = {k: [r for r, kind in enumerate(block.kinds) if kind == k and block.rows[r] not in left_out] for k in kinds}
    return {kind: found for kind, found in rows.items() if found}


def powers(block: Block, kinds: Iterable[str], bads: Sequence[str] = ()) -> Iterator[list[Power]]:
    """Field power of the kinds of a block, again after every piece that was read, until all of it was."""
    groups = groups_of(block, kinds, bads)
    rows = [r for found in groups.values() for r in found]
    if not rows or not block.samples:
        return
    step = max(1, -(-block.samples // BINS))
    count = -(-block.samples // step)
    look = step
    if block.samples * len(rows) > _MOST_READ:
        look = max(1, _MOST_READ // (len(rows) * count))
    at_once = max(1, _PIECE // (len(rows) * look)) if look == step else 1
    made = {kind: np.full(count, np.nan) for kind in groups}
    for first in range(0, count, at_once):
        begin, end = first * step, min((first + at_once) * step, block.samples)
        data = block.read(begin, min(end, begin + look) if look < step else end, rows)
        row = 0
        for kind, found in groups.items():
            power = field_power(data[row : row + len(found)], kind)
            row += len(found)
            edges = np.arange(0, len(power), step)
            made[kind][first : first + len(edges)] = np.maximum.reduceat(power, edges)
        yield [
            Power(kind, KINDS.get(kind, kind), block.units[groups[kind][0]], values.copy(), block.start,
                  step / block.rate)
            for kind, values in made.items()
        ]  # fmt: skip
