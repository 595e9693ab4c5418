"""The two tables of BIDS beside a recording, applied without MNE-BIDS: types and bad channels, and events.

For recordings that MNE-BIDS cannot open as a member of their data set: it is not installed, another side file is
faulty, the recording was cut off and only its whole part is read, or the data set around it is missing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.core.types import Marks
from workbench.data.companion import require_regular
from workbench.recording.data.breaks import is_no_event
from workbench.recording.data.marks_files import read_marks
from workbench.recording.data.recording import as_annotations, mne_call

_NAME = re.compile(r"^(sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*)_(?:meg|eeg|ieeg)(?:\.|$)")
_SPLIT = re.compile(r"_split-\d+")
_ENTITY = re.compile(r"[a-z]+-[A-Za-z0-9]+(?=_)")
_SIDE = re.compile(
    r"^(sub-.*?_)(?:space-[A-Za-z0-9]+_)?"
    r"(?:(?:channels|events|electrodes)\.tsv|(?:coordsystem|events|meg|eeg|ieeg)\.json)$"
)
_TYPES = {"EEG": "eeg", "EOG": "eog", "VEOG": "eog", "HEOG": "eog", "ECG": "ecg", "EMG": "emg", "TRIG": "stim",
          "MISC": "misc", "SEEG": "seeg", "ECOG": "ecog", "DBS": "dbs"}  # fmt: skip
"""Types of BIDS that MNE lets a channel become; what is magnetic stays what its file says."""
_ELECTRIC = {"eeg", "eog", "ecg", "emg", "stim", "misc", "seeg", "ecog", "dbs", "bio"}
_LONGEST = 64 << 20  # bytes


def tables(path: Path) -> dict[str, Path]:
    """``channels`` and ``events`` of a recording with a BIDS name, those that lie beside it."""
    match = _NAME.match(path.name)
    if match is None:
        return {}
    stem = _SPLIT.sub("", match[1])
    found = {what: path.parent / f"{stem}_{what}.tsv" for what in ("channels", "events")}
    return {what: file for what, file in found.items() if file.is_file()}


def side_files(path: Path) -> tuple[Path, ...]:
    """Those beside a recording with a BIDS name that a reader takes for it: they name no other run, task or session."""
    if _NAME.match(path.name) is None:
        return ()
    own = set(_ENTITY.findall(path.name))
    found = ((file, _SIDE.match(file.name)) for file in sorted(path.parent.iterdir()))
    return tuple(f for f, name in found if name and set(_ENTITY.findall(name[1])) <= own and f.is_file())


def apply(raw: Any, path: Path, warned: list[str]) -> bool:
    """Apply both tables to MNE's object in place; whether its annotations are the events of the table.

    A table that cannot be used is named in `warned`.
    """
    beside = tables(path)
    works: dict[str, Callable[[Any, Path], str]] = {"channels": _channels, "events": _events}
    used = []
    for what, file in beside.items():
        try:
            require_regular(file)
            if file.stat().st_size > _LONGEST:
                raise InputError(f"{file}: {file.stat().st_size} bytes, at most {_LONGEST} were expected.")
            said = works[what](raw, file)
        except InputError as error:
            warned.append(f"BIDS side files could not be used: {error}")
        else:
            used.append(what)
            warned += [said] if said else []
    if used:
        names = " and ".join(beside[what].name for what in used)
        warned.append(f"of the BIDS side files only {names} were used")
    return "events" in used


def _channels(raw: Any, file: Path) -> str:
    rows = _rows(file)
    if rows and "name" not in rows[0]:
        raise InputError(f"{file}: has the columns {list(rows[0])}, no 'name' column.")
    here = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    listed = {row["name"]: row for row in rows if row["name"] in here}
    if not listed:
        raise InputError(f"{file}: lists none of the channels of the recording.")
    types = {n: _TYPES.get(str(row.get("type") or "").upper()) for n, row in listed.items()}
    changes = {n: t for n, t in types.items() if t and t != here[n] and here[n] in _ELECTRIC}
    bads = [n for n, row in listed.items() if str(row.get("status") or "").strip().lower() == "bad"]
    if changes:
        mne_call(file, lambda: raw.set_channel_types(changes, on_unit_change="ignore", verbose="ERROR"), [])
    # As MNE-BIDS has it, the table says which channels are bad, where it says anything of it.
    if "status" in rows[0]:
        raw.info["bads"] = bads
    unknown = [row["name"] for row in rows if row["name"] not in here]
    return f"{file.name} lists {len(unknown)} channel(s) that the recording does not have" if unknown else ""


def _events(raw: Any, file: Path) -> str:
    marks = read_marks(file)
    here = raw.annotations
    kept = [
        (float(onset - raw.first_time), float(duration), str(label))
        for onset, duration, label in zip(here.onset, here.duration, here.description, strict=True)
        if is_no_event(str(label))
    ]
    annotations = as_annotations(Marks(tuple(marks)))
    if kept:
        annotations.append(*(list(column) for column in zip(*kept, strict=True)))
    before = len(annotations)
    mne_call(file, lambda: raw.set_annotations(annotations, verbose="ERROR"), [])
    lost = before - len(raw.annotations)
    return f"{lost} event(s) of {file.name} lie outside the recording and were left out" if lost else ""


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        return list(csv.DictReader(text.splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: not readable as a table ({error}).") from error
