"""Channels of EDF, BDF and GDF files that are slower than others: brought to one rate as a whole, not piece by piece.

MNE brings slow channels to the rate of the fastest by a Fourier transform over what is read at once. Pieces of a file
then are not pieces of the whole: each of them rings at its own ends. So a slow channel is read once from its first to
its last sample, which is what MNE gives for the whole file, and pieces are cut from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.recording.data.pieces import scratch
from workbench.recording.data.recording import Reader, mne_call


def slow_channels(raw: Any) -> tuple[int, ...]:
    """Numbers of the channels that the file stores with fewer samples than others; none for all other formats."""
    extras = getattr(raw, "_raw_extras", None) or [None]
    if raw.preload or len(extras) != 1 or not isinstance(extras[0], dict) or "max_samp" not in extras[0]:
        return ()
    counts = np.asarray(extras[0]["n_samps"])[np.asarray(extras[0]["sel"], dtype=int)]
    return tuple(int(n) for n in np.flatnonzero(counts != extras[0]["max_samp"]))


def reader_of(raw: Any, path: Path) -> Reader:
    """Reads stretches of an MNE object, slow channels as parts of their whole."""
    slow = slow_channels(raw)
    places = {n: i for i, n in enumerate(slow)}
    kept: list[npt.NDArray[np.float32]] = []

    def plain(start: int, stop: int, picks: Sequence[int] | None) -> npt.NDArray[Any]:
        rows = slice(None) if picks is None else list(picks)
        found: npt.NDArray[Any] = mne_call(path, lambda: raw[rows, start:stop][0], [])
        return found

    def whole() -> npt.NDArray[np.float32]:
        if not kept:
            made = scratch((len(slow), int(raw.n_times)))
            for number, place in places.items():  # one by one: each needs the room of a whole channel several times
                made[place] = plain(0, int(raw.n_times), [number])[0]
            kept.append(made)
        return kept[0]

    def reader(start: int, stop: int, picks: Sequence[int] | None) -> npt.NDArray[Any]:
        numbers = list(range(len(raw.ch_names))) if picks is None else list(picks)
        if not places.keys() & set(numbers):
            return plain(start, stop, picks)
        out = np.empty((len(numbers), stop - start))
        fast = [i for i, n in enumerate(numbers) if n not in places]
        if fast:
            out[fast] = plain(start, stop, [numbers[i] for i in fast])
        for i, number in enumerate(numbers):
            if number in places:
                out[i] = whole()[places[number], start:stop]
        return out

    return reader if slow else plain
