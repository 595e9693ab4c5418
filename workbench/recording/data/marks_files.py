"""Annotations from files beside a recording, brought onto its clock.

Most files count from the first sample of the recording. MNE's own (``-annot.fif``, ``.csv``, ``.txt``) may have a clock
of their own instead: they say at what date 0 is, which for a recording is its measurement date, and the first sample
may come later than that. Such times are converted as `mne.io.Raw.set_annotations` does, or refused.
"""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.csv_text import cell_text
from workbench.core.errors import InputError, WorkbenchError, reading
from workbench.core.types import Image, Mark, Marks
from workbench.data.companion import require_regular
from workbench.data.header_text import shortened
from workbench.recording.data import fif_file
from workbench.recording.data.recording import MNE_DAMAGED, Recording, mne_quiet, open_recording

_ENDING = re.compile(r"([-_]annot)?\.(fif(\.gz)?|csv|txt)$", re.IGNORECASE)
_DATE = "# orig_time :"
_COLUMNS = "# onset, duration, description"


def read_marks(path: str | Path, recording: Image | Recording | None = None) -> Marks:
    """Annotations from our CSV, from BIDS ``events.tsv``, or from any file that `mne.read_annotations` understands.

    Parameters
    ----------
    recording
        The recording that they belong to; needed for files with a clock of their own. Without it, the one recording of
        the same name in the folder of the file.

    Returns
    -------
    Marks
        On the clock of the recording, whose first sample is at `Recording.start` (0 but for evoked responses) [s].

    Raises
    ------
    InputError
        If the file cannot be read, in which case the message names the line, or if it counts from a date and the
        recording is not given, or does not say when it was made.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() in (".csv", ".tsv") and (found := _marks_of_table(path)) is not None:
        return found
    marks, date = _marks_of_text(path) if path.suffix.lower() == ".txt" else _marks_of_mne(path)
    return marks if date is None else _from_date(marks, date, path, recording or _beside(path))


def _beside(path: Path) -> Image | None:
    """The one recording in the folder of such a file that is called like it (``x_raw.fif``, ``x-annot.fif``)."""
    from workbench.data import formats

    stem = _ENDING.sub("", path.name)
    found = []
    for file in sorted(path.parent.iterdir()):
        begins = file.name.startswith(stem) and not file.name[len(stem) : len(stem) + 1].isalnum()
        if begins and file != path and kinds.RECORDING.suffix_of(file) and kinds.RECORDING.sniff(file) == "sure":
            try:
                found.append(formats.read(file, kind="recording"))
            except WorkbenchError:
                return None
    return found[0] if len(found) == 1 else None


def _marks_of_mne(path: Path) -> tuple[Marks, datetime | None]:
    """Annotations, and the date that their times count from, if they count from one."""
    import mne

    require_regular(path)
    whole = fif_file.whole(path) if path.name.lower().endswith((".fif", ".fif.gz")) else path
    with mne_quiet(), reading(path, "not readable as annotations", kinds=MNE_DAMAGED):
        a = mne.read_annotations(whole)
    rows = list(zip(a.onset, a.duration, a.description, a.ch_names, strict=True))
    timeless = [str(label) for o, d, label, _ in rows if not (math.isfinite(o) and math.isfinite(d))]
    if timeless:
        raise InputError(f"{path}: annotation '{timeless[0]}' has no time, a number of seconds was expected.")
    marks = [Mark(float(o), float(d), str(label), tuple(c)) for o, d, label, c in rows]
    return Marks(tuple(sorted(marks, key=lambda m: m.onset))), a.orig_time


def _marks_of_text(path: Path) -> tuple[Marks, datetime | None]:
    """The same of a text file as MNE writes it: comments with a date and the names of the columns, then rows.

    Not by `mne.read_annotations`: NumPy warns there of each comment, and what MNE does about it holds for all threads,
    so it ends too early where another thread reads at the same time. It also overlooks a date without fractions of a
    second, and cuts labels at a ``#``.
    """
    require_regular(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text ({error}).") from error
    comments = [line for line in lines if line.startswith("#")]
    dates = [line[len(_DATE) :].strip() for line in comments if line.startswith(_DATE)]
    columns = next((line[2:].split(",") for line in comments if line.startswith(_COLUMNS)), None)
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split(",")]
        if columns is None and len(cells) in (3, 4):
            columns = ["onset", "duration", "description", "ch_names"][: len(cells)]
        if columns is None or len(cells) != len(columns):
            expected = "3 or 4 (onset, duration, description, ch_names)" if columns is None else str(len(columns))
            raise InputError(f"{path}, line {number}: {len(cells)} columns, {expected} were expected.")
        row = dict(zip((c.strip() for c in columns), cells, strict=True))
        begin, lasts = (_seconds(row[name], name, path, number) for name in ("onset", "duration"))
        names = row.get("ch_names") or ""
        channels = tuple(n.replace("{COLON}", ":") for n in names.split(":")) if names else ()
        found.append(Mark(begin, lasts, row["description"], channels))
    return Marks(tuple(sorted(found, key=lambda m: (m.onset, m.duration)))), _date(dates[0] if dates else "", path)


def _date(text: str, path: Path) -> datetime | None:
    if text in ("None", ""):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{path}: orig_time {shortened(text)} is no date, so its times count from nothing known."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _from_date(marks: Marks, date: datetime, path: Path, recording: Image | Recording | None) -> Marks:
    opened = None if recording is None else open_recording(recording)
    made = None if opened is None else measured_at(opened)
    if date.year == 1970 and (made is None or made.year != 1970):
        # What a recording without a date writes into a CSV: seconds since 1970 that count from its first sample.
        shift = (date - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
        begin = 0.0 if opened is None else opened.start
    elif opened is None:
        raise InputError(
            f"{path}: its times count from {date:%Y-%m-%d %H:%M:%S}, not from the first sample of a recording. Open it"
            " together with its recording (in Python read_marks(path, recording); in napari with the MEG tool)."
        )
    elif made is None:
        raise InputError(
            f"{path}: its times count from {date:%Y-%m-%d %H:%M:%S}, and the recording {opened.name} does not say when"
            " it was made. Write them as seconds from its first sample (a CSV with onset, duration, label)."
        )
    else:
        shift, begin = (date - made).total_seconds() - opened.first_time, opened.start
    return Marks(tuple(replace(m, onset=round(m.onset + shift + begin, 9)) for m in marks))


def measured_at(recording: Recording) -> datetime | None:
    """The date that the clock of a recording's file counts from."""
    found: datetime | None = None if recording.info is None else recording.info["meas_date"]
    return found


def _marks_of_table(path: Path) -> Marks | None:
    """Marks of a table with the columns onset and duration in seconds; ``None`` if it is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text ({error}).") from error
    table = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    names = {str(n).split("[")[0].strip().lower(): n for n in table.fieldnames or []}
    if "time" in names and "onset" not in names:
        names["onset"] = names["time"]
    label = next((names[k] for k in ("label", "trial_type", "description", "value") if k in names), None)
    if "onset" not in names or label is None:
        raise InputError(
            f"{path}: has the columns {shortened(', '.join(names))}, 'onset', 'duration' and 'label' were expected."
        )
    found = []
    try:
        rows: list[dict[str, Any]] = list(table)
    except csv.Error as error:
        raise InputError(f"{path}, line {table.line_num}: not readable as a table ({error}).") from error
    for line, row in enumerate(rows, 2):
        onset, length = row[names["onset"]], row.get(names.get("duration", ""), "0") or "0"
        if str(onset)[:4].isdigit() and "-" in str(onset)[4:5]:
            return None  # MNE's own CSV holds dates
        begin = _seconds(onset, "onset", path, line)
        lasts = 0.0 if length == "n/a" else _seconds(length, "duration", path, line)
        if lasts < 0:
            raise InputError(f"{path}, line {line}: duration {lasts:g} s, 0 or more was expected.")
        channels = tuple(c for c in cell_text(row.get("channels") or "").split(";") if c)
        found.append(Mark(begin, lasts, cell_text(str(row[label] or "")), channels))
    return Marks(tuple(sorted(found, key=lambda m: m.onset)))


def _seconds(text: str | None, what: str, path: Path, line: int) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{path}, line {line}: {what} {shortened(str(text))} is no number of seconds.")
    return number
