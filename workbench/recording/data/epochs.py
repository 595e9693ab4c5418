"""Epochs and evoked responses of FIF files as recordings: epochs one after the other, each response on its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.recording.data import fif_file, fif_parts
from workbench.recording.data.recording import Recording, mne_call


def kinds_of(path: Path, found: Any) -> tuple[str, ...]:
    """Types of the channels of an MNE object; files that MNE opens may still name types that do not exist."""
    return tuple(mne_call(path, found.get_channel_types, []))


def open_epochs(path: Path) -> tuple[Recording, list[str]]:
    import mne

    checked = fif_parts.check(path, "epochs", False)
    warned = list(checked.notes)
    work = partial(mne.read_epochs, str(fif_file.plain(path)), proj=False, preload=False, verbose="WARNING")
    epochs = mne_call(path, work, warned)
    count, width, rate = len(epochs), len(epochs.times), float(epochs.info["sfreq"])
    if count == 0:
        raise InputError(f"{path}: holds no epochs. All of them were dropped before it was saved.")
    names = {code: name for name, code in epochs.event_id.items()}

    def reader(start: int, stop: int, picks: Any) -> Any:
        first, last = start // width, (stop - 1) // width + 1

        def work() -> Any:
            return epochs[first:last].get_data(picks=np.arange(len(epochs.ch_names)), verbose="ERROR")

        data = mne_call(path, work, [])
        flat = np.concatenate(list(data), axis=1)[:, start - first * width : stop - first * width]
        return flat if picks is None else flat[list(picks)]

    zero = -float(epochs.tmin)
    events = [
        (n * width / rate + zero, str(names.get(int(code), int(code)))) for n, code in enumerate(epochs.events[:, 2])
    ]
    recording = Recording(
        channels=tuple(epochs.ch_names),
        kinds=kinds_of(path, epochs),
        sampling_rate=rate,
        n_samples=count * width,
        start=0.0,
        what="epochs",
        reader=reader,
        source=path,
        bads=tuple(epochs.info["bads"]),
        info=epochs.info,
        segments=tuple((n * width, (n + 1) * width) for n in range(count)),
        files=checked.files,
        events_reader=lambda: events,
    )
    return recording, warned


def read_evokeds(path: Path, warned: list[str]) -> list[Any]:
    import mne

    work = partial(mne.read_evokeds, str(fif_file.plain(path)), proj=False, verbose="WARNING")
    return list(mne_call(path, work, warned))


def title_of(evoked: Any) -> str:
    return str(evoked.comment) or "evoked"


def of_evoked(path: Path, evoked: Any) -> Recording:
    """One evoked response; its clock is that of the response, so it begins before 0."""

    def reader(start: int, stop: int, picks: Any) -> Any:
        part = evoked.data[:, start:stop]
        return part if picks is None else part[list(picks)]

    return Recording(
        channels=tuple(evoked.ch_names),
        kinds=kinds_of(path, evoked),
        sampling_rate=float(evoked.info["sfreq"]),
        n_samples=int(evoked.data.shape[1]),
        start=float(evoked.times[0]),
        what="evoked",
        reader=reader,
        source=path,
        bads=tuple(evoked.info["bads"]),
        info=evoked.info,
        events_reader=lambda: [(0.0, str(evoked.comment))],
    )
