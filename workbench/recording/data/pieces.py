"""The first pass over a recording: read, repair, resample and filter, piece by piece, in memory or on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError
from workbench.core.types import Progress
from workbench.recording.data import cleaning
from workbench.recording.data.channels import Choice
from workbench.recording.data.content_keys import content_keys, key_channels
from workbench.recording.data.filters import Array, Resampler, design, filtered
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording

IN_MEMORY = 512 * 1024**2
"""Results of more bytes are kept in a temporary file."""

PIECE = 16 * 1024**2
"""Bytes of one piece at the new rate."""


class Pieces:
    """The first pass: reads, repairs, resamples and filters, segment by segment."""

    def __init__(
        self,
        recording: Recording,
        choice: Choice,
        recipe: RecordingRecipe,
        resampler: Resampler,
        progress: Progress | None,
    ) -> None:
        self.recording, self.choice, self.recipe, self.resampler = recording, choice, recipe, resampler
        self.progress = progress
        self.picks = [*choice.numbers, *choice.helpers]
        self.notes: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.excused = _bad_stretches(recording)
        self.taps = self._design()
        self.repaired = np.zeros(recording.n_samples, dtype=bool)
        self.kept = scratch((len(key_channels(choice.numbers)), recording.n_samples))

    @property
    def keys(self) -> tuple[str, ...]:
        """By which copies and crops of the recording are known again, after `run`."""
        return content_keys(self.kept, self.recording.rate)

    def _design(self) -> npt.NDArray[np.float64]:
        recipe, recording, info = self.recipe, self.recording, self.recording.info
        line = None if info is None else info["line_freq"]
        first = recipe.notch
        if first == "auto":
            first = (float(line),) if line else ()
        notches = tuple(f * k for f in first or () for k in range(1, int(recipe.sampling_rate / 2 // f) + 1))
        band = recipe.band
        if band is not None and band[0] and info is not None and info["highpass"] >= band[0]:
            self.notes.append(f"the recording was high-passed at {info['highpass']:g} Hz already")
            band = (None, band[1])
        lengths = [self.resampler.count(b - a) for a, b in recording.continuous]
        taps, left_out = design(recipe.sampling_rate, band, notches, usual_length(lengths))
        self.notes += left_out
        if len(taps) > 1:
            record = {"step": "filter", "band_hz": band, "notch_hz": notches, "taps": len(taps), "left_out": left_out}
            self.records.append(record)
            words = [] if band is None else [f"{band[0] or 0:g} to {band[1] or recipe.sampling_rate / 2:g} Hz"]
            words += [f"without {', '.join(f'{f:g}' for f in notches)} Hz"] if notches else []
            self.notes.insert(0, f"filtered: {'; '.join(words)}")
            self._excuse_short(len(taps), usual_length(lengths))
        return taps

    def _excuse_short(self, taps: int, usual: int) -> None:
        """Count stretches as bad that the filter, made for the longer ones, cannot serve."""
        counts = [(a, b, self.resampler.count(b - a)) for a, b in self.recording.continuous]
        short = [(a, b) for a, b, n in counts if n < min(taps, usual)]
        if short:
            self.excused += short
            lost = sum(b - a for a, b in short) / self.recording.rate
            self.notes.append(f"{len(short)} stretch(es) shorter than the filter count as bad ({lost:.3g} s)")

    def run(self) -> tuple[Array, npt.NDArray[np.bool_]]:
        """All channels ``(C, T)`` at the new rate, and which samples are good."""
        total = self.resampler.count(self.recording.n_samples)
        data = scratch((len(self.picks), total))
        good = np.zeros(total, dtype=bool)
        length = max(1024, PIECE // (4 * len(self.picks)))
        for first, last in self.recording.continuous:
            at, end = self.resampler.outputs(first, last)
            good[at:end] = True
            for block in self._segment(first, last, length):
                data[:, at : at + block.shape[1]] = block
                at += block.shape[1]
                if self.progress is not None:
                    self.progress(at, total)
        ratio = self.resampler.ratio
        for first, last in [*self.excused, *cleaning.runs(self.repaired)]:
            good[int(first / ratio) : int(np.ceil(last / ratio)) + 1] = False
        lost = float(self.repaired.sum()) / self.recording.rate
        if lost:
            self.notes.append(f"{lost:.4g} s hold no numbers (NaN) and count as bad")
        return data, good

    def _segment(self, first: int, last: int, length: int) -> Iterator[Array]:
        return filtered(self.resampler.blocks(self._fetch, first, last, length), self.taps)

    def _fetch(self, start: int, stop: int) -> Array:
        block = self.recording.read(start, stop, self.picks)
        rows = [self.choice.numbers.index(n) for n in key_channels(self.choice.numbers)]
        self.kept[:, start:stop] = block[rows]
        # One sum is far cheaper than looking at every sample, and is not finite if any of them is not.
        if np.isfinite(block.sum(dtype=np.float64)):
            return block
        return self._repaired(block, start)

    def _repaired(self, block: Array, start: int) -> Array:
        holes = ~np.isfinite(block)
        columns = holes.any(axis=0)
        allowed = np.zeros(columns.size, dtype=bool)
        for first, last in self.excused:
            allowed[max(0, first - start) : max(0, last - start)] = True
        rest = columns & ~allowed
        if rest.any() and not self.recipe.bad_segments:
            at = int(np.flatnonzero(rest)[0])
            channel = self.recording.channels[self.picks[int(np.flatnonzero(holes[:, at])[0])]]
            raise InputError(
                f"{self.recording.name}: channel {channel} holds NaN or infinite values from"
                f" {self.recording.start + (start + at) / self.recording.rate:.6g} s on. Annotate the stretch as bad,"
                " set bad_segments, or leave the channel out."
            )
        dead = holes[:, ~allowed].all(axis=1)
        if rest.any() and dead.any() and not dead.all():
            name = self.recording.channels[self.picks[int(np.flatnonzero(dead)[0])]]
            rate, begin = self.recording.rate, self.recording.start
            raise InputError(
                f"{self.recording.name}: channel {name} holds no numbers from {begin + start / rate:.6g} to"
                f" {begin + (start + columns.size) / rate:.6g} s. Mark it as bad, or leave it out."
            )
        self.repaired[start : start + columns.size] |= columns
        out = block.copy()
        known = np.flatnonzero(~columns)
        for row in np.flatnonzero(holes.any(axis=1)):
            if known.size:
                out[row, columns] = np.interp(np.flatnonzero(columns), known, block[row, known])
            else:  # a whole piece: a jump to zero and back would ring far beyond it
                out[row] = self._before(int(row), start)
        return out

    def _before(self, row: int, start: int) -> float:
        """The last number of a channel before a sample, or else its first one."""
        pick, width, found = [self.picks[row]], 4096, 0.0
        places = [*range(start - width, -width, -width), *range(start, self.recording.n_samples, width)]
        for place in places:
            part = self.recording.read(max(0, place), min(place + width, self.recording.n_samples), pick)[0]
            numbers = part[np.isfinite(part)]
            if numbers.size:
                found = float(numbers[-1 if place < start else 0])
                break
        return found


def usual_length(lengths: list[int]) -> int:
    """The longest of all lengths such that stretches of at least that length make up 9 samples of 10.

    A scrap between two interruptions must not decide which filter the whole recording gets.
    """
    seen, total = 0, sum(lengths)
    for length in sorted(lengths, reverse=True):
        seen += length
        if seen >= 0.9 * total:
            return length
    return min(lengths)


def _bad_stretches(recording: Recording) -> list[tuple[int, int]]:
    """Samples of annotations that begin with ``bad``."""
    rate, found = recording.rate, []
    for mark in recording.marks:
        if mark.label.lower().startswith("bad"):
            first = int(np.floor((mark.onset - recording.start) * rate))
            last = int(np.ceil((mark.onset + mark.duration - recording.start) * rate))
            found.append((max(0, first), min(max(last, first + 1), recording.n_samples)))
    return found


def scratch(shape: tuple[int, int]) -> Array:
    """An empty float32 array; a large one lies in a temporary file that vanishes with it."""
    size = 4 * shape[0] * shape[1]
    if size <= IN_MEMORY:
        return np.zeros(shape, np.float32)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < size + 2**28:
        raise UsageError(
            f"the prepared recording needs {size / 1e9:.3g} GB of temporary space, {folder} has {free / 1e9:.3g} GB."
            " Free space, or set TMPDIR to a larger disk."
        )
    handle, name = tempfile.mkstemp(prefix="workbench-", suffix=".f32")
    os.close(handle)
    array: Any = np.memmap(name, dtype=np.float32, mode="w+", shape=shape)
    try:
        os.unlink(name)  # the space is freed when the map is closed, even after a crash
    except OSError:  # Windows keeps files that are open
        weakref.finalize(array, _remove, name)
    return array  # type: ignore[no-any-return]


def _remove(name: str) -> None:
    with suppress(OSError):
        Path(name).unlink()
