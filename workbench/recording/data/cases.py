"""What recordings add to the cases of a study: BIDS data sets, sampling rates of arrays, files of events."""

from __future__ import annotations

from pathlib import Path

from workbench.core.types import Case, Image, case_name
from workbench.data.formats import split_address
from workbench.recording.data import bids
from workbench.recording.data.events import with_events

FILE_COLUMNS = ("events",)
"""Columns of a list that hold paths, relative to the list."""

READING_COLUMNS = ("events", "sampling_rate")
"""Columns of a list that change what is read."""

_ARRAYS = (".npy", ".npz", ".mat")


def folder_cases(folder: Path) -> list[Case]:
    """The recordings of a BIDS data set, with subject, session, task and run as options; empty if it is none."""
    if not bids.is_dataset(folder):
        return []
    found = [(case_name(p), p, bids.entities(p)) for p in bids.recordings(folder)]
    return [Case(name, p, None, f"sub-{about['subject']}", about) for name, p, about in found]


def case_path(case: Case) -> tuple[Path, str | None]:
    """Path and series of a case; ``sampling_rate`` [Hz] is that of an array of time courses."""
    rate, path, series = case.options.get("sampling_rate"), case.image, case.options.get("series")
    file, key = split_address(path)
    if not rate or file.suffix.lower() not in _ARRAYS:
        return path, series
    name = key or series or ""
    return Path(f"{file}:{name}{'@' if name else ''}{rate}Hz"), None


def opened(image: Image, case: Case) -> Image:
    """The recording with the events of the file in ``events``, if there is one."""
    return with_events(image, case.options["events"]) if case.options.get("events") else image
