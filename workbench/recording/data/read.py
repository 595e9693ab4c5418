"""Recordings (MEG, EEG) through MNE-Python: headers now, samples when asked for.

A recording is an `Image` of kind ``"recording"``: ``data`` is ``(channels, samples)`` float32 in SI units (T, T/m, V),
``geometry`` the time base in seconds. `workbench.recording.data.recording.open_recording` reads it in pieces. Parcel
time courses in NumPy and MATLAB files are read by `workbench.recording.data.parcels`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError, NothingFound, nearest
from workbench.core.types import Image, Mark, Marks, time_base
from workbench.recording.data import bids, fif_file, fif_parts, foreign, rates, raw_files
from workbench.recording.data.breaks import is_no_event, runs, with_edges
from workbench.recording.data.epochs import kinds_of, of_evoked, open_epochs, read_evokeds, title_of
from workbench.recording.data.raw_files import READERS
from workbench.recording.data.recording import Event, Recording, RecordingNative, summary
from workbench.recording.data.triggers import Triggers, find_events

UNITS = {"mag": "T", "ref_meg": "T", "grad": "T/m", "eeg": "V", "eog": "V", "ecg": "V", "emg": "V", "seeg": "V",
         "ecog": "V", "dbs": "V", "bio": "V"}  # fmt: skip

LOWEST_HZ, HIGHEST_HZ = 1e-3, 1e7  # slower than any average, faster than any amplifier

_SPLIT = re.compile(r"(-[1-9]\d*|_split-(0[2-9]|[1-9]\d+)(_.*)?)$")


def is_folder_recording(path: Path) -> bool:
    """Whether a folder is one recording (CTF ``.ds``, BTi) or a BIDS data set."""
    return raw_files.is_ctf(path) or raw_files.bti_file(path) is not None or bids.is_dataset(path)


def is_part(path: Path) -> bool:
    """Whether a FIF file is a later part of a split recording whose first part lies beside it."""
    stem = path.name.lower().removesuffix(".gz").removesuffix(".fif")
    match = _SPLIT.search(stem)
    if match is None or not path.name.lower().endswith((".fif", ".fif.gz")):
        return False
    if match[1].startswith("-"):
        return (path.parent / (path.name[: match.start()] + path.name[match.end() :])).exists()
    return any(path.parent.glob(f"{path.name[: match.start()]}_split-01*.fif"))


def is_other(path: Path) -> bool:
    """Whether a FIF file holds something else than a recording, by its name."""
    return fif_file.is_other(path)


def read(path: Path, *, series: str | int | None = None, allow_truncated: bool = False) -> Image:
    """Open a recording.

    Parameters
    ----------
    path
        A file of `READERS`, a CTF or BTi folder, or the top folder of a BIDS data set.
    series
        Which evoked response of a file with several (number or name), or which recording of a BIDS data set.
    allow_truncated
        Read what is there of a continuous recording that was cut off or never closed, with a note of how much.

    Raises
    ------
    InputError
        If it cannot be read, or several are there and none is chosen; the message lists them.
    """
    if bids.is_dataset(path):
        chosen = choose(path, bids.recordings(path), series, [p.name for p in bids.recordings(path)])
        return read(chosen, allow_truncated=allow_truncated)
    name, what = _format_of(path)
    if what == "evoked":
        warned: list[str] = []
        evokeds = _evokeds(path, warned)
        return _evoked_image(path, choose(path, evokeds, series, [title_of(e) for e in evokeds]), warned)
    if series not in (None, ""):
        raise InputError(
            f"{path}: 'series' chooses among evoked responses or the recordings of a BIDS data set; this file holds one"
            " recording. Leave it out."
        )
    opener = _once(partial(open_epochs, path) if what == "epochs" else partial(_open_raw, path, name, allow_truncated))
    recording, warned = opener()
    return _image(path, name, recording, lambda: opener()[0], warned)


def info(path: Path, *, allow_truncated: bool = False) -> list[dict[str, Any]]:
    """One row per recording: several for a file of evoked responses and for a BIDS data set."""
    from workbench.core.errors import WorkbenchError
    from workbench.data.formats import describe

    rows: list[dict[str, Any]] = []
    if bids.is_dataset(path):
        found = bids.recordings(path)
        for number, file in enumerate(found, 1):
            try:
                row = describe(read(file, allow_truncated=allow_truncated))
            except WorkbenchError as error:
                row = {"path": str(file), "kind": "recording", "problem": str(error)}
            rows.append(row | {"series": number, "description": file.name, "n_series": len(found)})
        return rows
    if _format_of(path)[1] == "evoked":
        warned: list[str] = []
        evokeds = _evokeds(path, warned)
        for number, evoked in enumerate(evokeds, 1):
            row = describe(_evoked_image(path, evoked, warned))
            rows.append(row | {"series": number, "description": title_of(evoked), "n_series": len(evokeds)})
        return rows
    return [describe(read(path, allow_truncated=allow_truncated))]


def _evokeds(path: Path, warned: list[str]) -> list[Any]:
    warned += fif_parts.check(path, "evoked", False).notes
    return read_evokeds(path, warned)


def choose(path: Path, items: list[Any], series: str | int | None, titles: list[str]) -> Any:
    """One of several items by number (from 1) or name, or an error that lists them."""
    listing = "; ".join(f"[{n}] {t}" for n, t in enumerate(titles, 1))
    if not items:
        raise NothingFound(f"{path}: no recording in it.")
    if series is None or series == "":
        if len(items) == 1:
            return items[0]
        raise InputError(f"{path}: holds {len(items)} recordings, choose one with --series NUMBER or name: {listing}")
    text = str(series).strip()
    if text.isdigit() and 1 <= int(text) <= len(items):
        return items[int(text) - 1]
    exact = [i for i, t in zip(items, titles, strict=True) if t == text]
    close = exact or [i for i, t in zip(items, titles, strict=True) if text.lower() in t.lower()]
    if len(close) == 1:
        return close[0]
    what = f"{len(close)} recordings match" if close else "no recording matches"
    raise InputError(f"{path}: {what} --series {text}.{nearest(text, titles)} Choose one of: {listing}")


def _format_of(path: Path) -> tuple[str, str]:
    """(name of the format, ``"raw"``, ``"epochs"`` or ``"evoked"``)."""
    foreign.refuse(path)
    if path.is_dir():
        if raw_files.is_ctf(path):
            return "ctf", "raw"
        if raw_files.bti_file(path) is not None:
            return "bti", "raw"
        raise InputError(f"{path}: a folder without a CTF or BTi recording in it.")
    name = path.name.lower()
    for suffix in sorted(READERS, key=len, reverse=True):
        if name.endswith(suffix):
            return (READERS[suffix][0], fif_file.contents(path) if READERS[suffix][0] == "fif" else "raw")
    if raw_files.bti_file(path.parent) == path:
        return "bti", "raw"
    raise InputError(f"{path}: no reader for '{path.suffix}'. Recordings: {', '.join(READERS)}, BTi and BIDS folders.")


def _open_raw(path: Path, name: str, allow_truncated: bool) -> tuple[Recording, list[str]]:
    warned: list[str] = []
    opened = raw_files.open_raw(path, name, warned, allow_truncated=allow_truncated)
    raw = opened.raw
    check_rate(path, float(raw.info["sfreq"]))
    timeless = len(raw.annotations) - len(marks_of(raw))
    if timeless:
        warned.append(f"{timeless} annotation(s) without a time were left out")
    if rates.slow_channels(raw):
        warned.append(f"channels of lower sampling rates were brought to {float(raw.info['sfreq']):g} Hz")

    def again() -> Any:
        found = raw_files.open_raw(path, name, [], allow_truncated=allow_truncated)
        return with_edges(found.raw, found.breaks)

    return _of_raw(raw, path, again, opened), warned


def image_of_raw(raw: Any, source: str | Path | None = None) -> Image:
    """The `Image` of an `mne.io.Raw` that you made or changed yourself; its samples are read from it when asked for.

    Parameters
    ----------
    raw
        The recording; do not change it afterwards.
    source
        File that it came from, for names and records.
    """
    path = Path("raw") if source is None else Path(source)
    recording = _of_raw(raw, path, raw.copy)
    image = _image(path, "mne", recording, lambda: recording, [])
    return replace(image, source=None if source is None else path)


def _of_raw(raw: Any, path: Path, opener: Callable[[], Any], found: raw_files.Opened | None = None) -> Recording:
    marks, kinds, notes = marks_of(raw), kinds_of(path, raw), list[str]()
    rate, samples = float(raw.info["sfreq"]), int(raw.n_times)
    from_marks = "stim" not in kinds or (found is not None and found.has_table)
    return Recording(
        channels=tuple(raw.ch_names),
        kinds=kinds,
        sampling_rate=rate,
        n_samples=samples,
        start=0.0,
        what="raw",
        reader=rates.reader_of(raw, path),
        source=path,
        marks=marks,
        bads=tuple(raw.info["bads"]),
        info=raw.info,
        segments=runs(marks, rate, samples, () if found is None else found.breaks),
        files=(*_parts(path, raw), *(() if found is None else found.files)),
        events_reader=partial(_events_reader, path, raw, from_marks, Triggers(), notes),
        raw_opener=opener,
        first_time=float(raw.first_time),
        events_from="annotations" if from_marks else "triggers",
        event_notes=notes,
    )


def _parts(path: Path, raw: Any) -> tuple[Path, ...]:
    """The files that a recording was read from; none where it was read from a copy."""
    names = tuple(Path(f) for f in raw.filenames if f is not None)
    return () if any(n.parent.resolve() != path.parent.resolve() for n in names) else names


def marks_of(raw: Any) -> Marks:
    """The annotations of an MNE object; onsets count from its first sample. Those without a time are left out."""
    a = raw.annotations
    found = [
        Mark(float(onset - raw.first_time), float(duration), str(label), tuple(names))
        for onset, duration, label, names in zip(a.onset, a.duration, a.description, a.ch_names, strict=True)
        if math.isfinite(onset) and math.isfinite(duration)
    ]
    return Marks(tuple(sorted(found, key=lambda m: m.onset)))


def _events_reader(path: Path, raw: Any, from_marks: bool, triggers: Triggers, notes: list[str]) -> list[Event]:
    if from_marks:
        return [(m.onset, m.label) for m in marks_of(raw) if not is_no_event(m.label)]
    found, said = find_events(path, raw, triggers)
    notes += [text for text in said if text not in notes]
    return found


def with_triggers(recording: Recording, triggers: Triggers) -> Recording:
    """The recording with the events of its stimulus channels read in that way.

    A recording whose events come from a file beside it stays as it is; so does one whose events are annotations, unless
    a channel is named.

    Raises
    ------
    InputError
        It has no such channel.
    """
    if recording.events_from != "triggers" and (recording.events_from != "annotations" or not triggers.channel):
        return recording
    if triggers == Triggers():
        return recording
    raw, path, notes = recording.raw(), recording.source or Path(recording.name), list[str]()
    reader = partial(_events_reader, path, raw, False, triggers, notes)
    return replace(recording, events_reader=reader, events_from="triggers", event_notes=notes)


def check_rate(path: Path, rate: float) -> None:
    """Refuse a sampling rate that no recorder has, before something is divided by it."""
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise InputError(
            f"{path}: a sampling rate of {rate:g} Hz, a number from {LOWEST_HZ:g} to {HIGHEST_HZ:g} was expected."
            " Export it again."
        )


def _evoked_image(path: Path, evoked: Any, warned: list[str]) -> Image:
    check_rate(path, float(evoked.info["sfreq"]))
    recording = of_evoked(path, evoked)
    more = {"condition": str(evoked.comment), "n_averaged": int(evoked.nave)}
    return _image(path, "fif", recording, lambda: recording, warned, **more)


def _once(opener: Callable[[], tuple[Recording, list[str]]]) -> Callable[[], tuple[Recording, list[str]]]:
    kept: list[tuple[Recording, list[str]]] = []

    def opened() -> tuple[Recording, list[str]]:
        if not kept:
            kept.append(opener())
        return kept[0]

    return opened


def _image(
    path: Path, name: str, recording: Recording, opener: Callable[[], Recording], warned: list[str], **more: Any
) -> Image:
    units = [UNITS.get(k) for k in recording.kinds]
    used = {u for u in units if u is not None}
    stims = [n for n, k in zip(recording.channels, recording.kinds, strict=True) if k == "stim"]
    header = summary(recording, stim_channels=stims, units=sorted(used), **more)
    if recording.what == "epochs":
        first, last = recording.segments[0]
        header |= {"n_epochs": len(recording.segments), "epoch_s": (last - first) / recording.rate,
                   "n_events": len(recording.events)}  # fmt: skip
    elif len(recording.segments) > 1:
        header["n_runs"] = len(recording.segments)
    if recording.n_samples < 1 or not recording.channels:
        raise InputError(f"{path}: the recording has {len(recording.channels)} channels and no samples.")
    return Image(
        geometry=time_base(recording.n_samples, recording.rate, recording.start),
        dtype=np.dtype(np.float32),
        channels=recording.channels,
        loader=recording.read,
        kind="recording",
        source=path,
        value_unit=next(iter(used)) if len(used) == 1 else None,
        modality="MEG" if {"mag", "grad"} & set(recording.kinds) else "EEG" if "eeg" in recording.kinds else None,
        format=name,
        header=header,
        native=RecordingNative(opener, _files(path, recording)),
        notes=tuple(warned),
    )


def _files(path: Path, recording: Recording) -> tuple[Path, ...]:
    """The files that decide what is read: that one, or those of that folder, and the recording's."""
    named = sorted(path.rglob("*")) if path.is_dir() else [path]
    once: dict[Path, Path] = {}
    for file in (*named, *recording.files):
        if file.is_file():
            once.setdefault(file.resolve(), file)
    return tuple(once.values())
