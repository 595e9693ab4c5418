"""Signals, tokens, annotations and embeddings to files: FIF for what has a physical unit, NumPy and JSON for the rest.

Measurement information is anonymised on writing (`mne.io.anonymize_info`): no names, no birthdays, no dates.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.csv_text import cell_text
from workbench.core.errors import GeometryError, InputError, UsageError, reading
from workbench.core.types import Image, Mark, Marks, Signals
from workbench.data.companion import require_regular
from workbench.data.header_text import shortened
from workbench.data.parts import Job, json_job, marks_table, signal_jobs, text_saver
from workbench.recording.data import fif_file
from workbench.recording.data.recording import (
    MNE_DAMAGED,
    Recording,
    as_annotations,
    made_info,
    mne_quiet,
    open_recording,
)

FORMATS = ("fif", "npy")

_PHYSICAL = {"T", "T/m", "V"}
_LARGE = 1_900_000_000  # bytes; MNE would split larger FIF files, and parts cannot be renamed
_MANY = 64_000_000  # values; a larger array is not doubled in memory to become FIF unless asked


def family(format: str, source: Image | None) -> str:
    """``"auto"``, ``"fif"`` or ``"npy"``; other formats hold no recordings."""
    if format != "auto" and format not in FORMATS:
        raise UsageError(f"format {format} holds no recordings, and this is one: choose {', '.join(FORMATS)}.")
    return format


def jobs(part: Any, target: Path, format: str, image: Image | None) -> list[Job] | None:
    """Files to write for a recording or for one part of a result, in order; ``None`` for what all kinds write alike.

    Parameters
    ----------
    target
        Folder and name, without suffix.
    format
        ``"auto"``: FIF for signals in a physical unit, else NumPy; ``"fif"``: FIF for all signals; ``"npy"``.
    image
        The recording that the part was made from; annotations and maps must lie inside it.
    """
    if isinstance(part, Image):
        return image_jobs(part, target, format)
    if not isinstance(part, Signals | Marks):
        return None
    if isinstance(part, Marks):
        if image is not None:
            check_inside(part, image)
        return [
            (target.with_name(f"{target.name}.csv"), text_saver(marks_table(part))),
            (target.with_name(f"{target.name}-annot.fif"), lambda path: _write_annotations(path, part)),
        ]
    if image is not None and part.role != "signal":
        _check_time(part, image)
    if part.role == "signal" and _as_fif(part, format):
        ending = "-ave.fif" if part.start else "_raw.fif"
        return [(target.with_name(target.name + ending), lambda path: _write_fif(path, part))]
    return signal_jobs(part, target)


def image_jobs(image: Image, target: Path, format: str) -> list[Job]:
    """Files to write for a whole recording: FIF with annotations and bad channels, or NumPy and JSON."""
    recording = open_recording(image)
    size = 4 * recording.n_samples * len(recording.channels)
    if format != "npy" and (recording.info is not None or format == "fif"):
        if size > _LARGE:
            raise UsageError(
                f"{image.name}: {size / 1e9:.3g} GB are more than a FIF file holds (2 GB). Choose format npy."
            )
        _check_names(recording.channels, image.name)
        if recording.what == "evoked":
            whole = Signals(
                recording.read(), recording.channels, image.geometry, image.name, kinds=recording.kinds,
                native=recording.info,
            )  # fmt: skip
            return [(target.with_name(f"{target.name}-ave.fif"), lambda path: _write_fif(path, whole))]
        if recording.what == "epochs":
            raise UsageError(
                f"{image.name}: epochs are written as format npy (one after the other, with their events)."
            )
        return [(target.with_name(f"{target.name}_raw.fif"), lambda path: _write_recording(path, recording))]
    beside = {
        "sampling_rate": recording.sampling_rate,
        "start": recording.start,
        "channels": list(recording.channels),
        "kinds": list(recording.kinds),
        "unit": image.value_unit,
        "bads": list(recording.bads),
        "annotations": [[m.onset, m.duration, m.label] for m in recording.marks],
        "events": [list(e) for e in recording.events],
    }
    plain = {k: v for k, v in beside.items() if v not in (None, [])}

    def save(path: Path) -> None:
        shape = (len(recording.channels), recording.n_samples)
        out: Any = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        for start, stop in recording.blocks():
            out[:, start:stop] = recording.read(start, stop)
        out.flush()

    return [(target.with_name(f"{target.name}.npy"), save), json_job(plain, target)]


def check_inside(marks: Marks, image: Image) -> None:
    """Refuse annotations that lie outside the recording.

    Raises
    ------
    GeometryError
        If one begins before the recording or ends more than a sample after it.
    """
    if image.geometry.affine is None or image.kind != "recording":
        return
    step, start = (float(v) for v in image.geometry.affine[0])
    end = start + image.geometry.shape[0] * step
    outside = [m for m in marks if not (m.onset >= start - step and m.onset + m.duration <= end + step)]
    if outside:
        m = outside[0]
        raise GeometryError(
            f"{len(outside)} annotation(s) lie outside the recording ({start:g} to {end:g} s), first '{m.label}' at"
            f" {m.onset:g} s for {m.duration:g} s. Nothing was written."
        )


def read_marks(path: str | Path) -> Marks:
    """Annotations from our CSV, from BIDS ``events.tsv``, or from any file that `mne.read_annotations` understands.

    Raises
    ------
    InputError
        If the file cannot be read; the message names the line.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() in (".csv", ".tsv") and (found := _marks_of_table(path)) is not None:
        return found
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
    return Marks(tuple(sorted(marks, key=lambda m: m.onset)))


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
        rows = list(table)
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


def _as_fif(part: Signals, format: str) -> bool:
    if format == "fif":
        if part.data.size * 4 > _LARGE:
            raise UsageError(f"signals '{part.name}': more than one FIF file holds (2 GB). Choose format npy.")
        _check_names(part.channels, f"signals '{part.name}'")
        if not _starts_whole(part):
            raise UsageError(
                f"signals '{part.name}' begin at {part.start:g} s, no whole number of samples, so that FIF would move"
                " them. Choose format npy."
            )
        return True
    physical = part.unit in _PHYSICAL or (part.unit is None and part.native is not None)
    fits = _starts_whole(part) and "".join(part.channels).isascii()
    return format == "auto" and physical and part.data.size <= _MANY and fits


def _starts_whole(part: Signals) -> bool:
    """Whether signals begin at a whole number of samples, which is how a FIF file counts."""
    first = part.start * part.sampling_rate
    return abs(first - round(first)) < 1e-6


def _check_names(channels: tuple[str, ...], what: str) -> None:
    """Refuse names that FIF has no letters for."""
    odd = next((n for n in channels if not n.isascii()), None)
    if odd is not None:
        raise UsageError(f"{what}: the channel name '{odd}' has letters that FIF does not know. Choose format npy.")


def signals_info(part: Signals) -> Any:
    """`mne.Info` for signals: the recording's own, anonymised, where they have a physical unit; else bare."""
    physical = part.unit in _PHYSICAL or part.unit is None
    native = part.native
    if physical and native is not None and tuple(native["ch_names"]) == part.channels:
        info = native.copy()
        if abs(float(info["sfreq"]) - part.sampling_rate) > 1e-9:
            with info._unlock():
                info["sfreq"] = part.sampling_rate
                info["lowpass"] = min(float(info["lowpass"]), part.sampling_rate / 2)
        return anonymised(info)
    kinds = part.kinds if physical and part.kinds else ("misc",) * len(part.channels)
    return made_info(part.channels, part.sampling_rate, kinds)


def anonymised(info: Any) -> Any:
    """A copy of an `mne.Info` without names, birthdays and dates (`mne.io.anonymize_info`)."""
    import mne

    info = info.copy()
    with mne_quiet():
        # Without a date there is nothing to shift, and no file of 1970 whose other dates would leave the calendar.
        info.set_meas_date(None)
        return mne.io.anonymize_info(info, verbose="ERROR")


def _write_fif(path: Path, part: Signals) -> None:
    import mne

    info = signals_info(part)
    data = np.asarray(part.data, dtype=np.float64)
    with mne_quiet():
        if part.start:
            evoked = mne.EvokedArray(data, info, tmin=part.start, comment=part.name, verbose="ERROR")
            evoked.save(path, overwrite=True, verbose="ERROR")
        else:
            mne.io.RawArray(data, info, verbose="ERROR").save(path, overwrite=True, verbose="ERROR")


def _write_recording(path: Path, recording: Recording) -> None:
    raw = recording.raw()
    with mne_quiet():
        raw.set_meas_date(None)
        raw.anonymize(verbose="ERROR")
        raw.save(path, overwrite=True, verbose="ERROR")


def _write_annotations(path: Path, marks: Marks) -> None:
    with mne_quiet():
        as_annotations(marks).save(path, overwrite=True, verbose="ERROR")


def _check_time(part: Signals, image: Image) -> None:
    """Tokens and maps stand for samples of the recording: they must lie inside it."""
    if image.geometry.affine is None:
        return
    step, start = (float(v) for v in image.geometry.affine[0])
    end, own = start + image.geometry.shape[0] * step, 1.0 / part.sampling_rate
    last = part.start + part.data.shape[1] * own
    if part.start < start - max(step, own) or last > end + max(step, own):
        raise GeometryError(
            f"part '{part.name}' runs from {part.start:g} to {last:g} s, the recording from {start:g} to {end:g} s."
            " Nothing was written."
        )


def signals_of(image: Image) -> Signals:
    """A recording of an array file (tokens, maps, signals that we wrote) as `Signals`, loaded whole."""
    recording = open_recording(image)
    role = image.header.get("role", "signal")
    data: npt.NDArray[Any] = recording.read()
    if role == "tokens":
        top = int(data.max()) if data.size else 0
        data = data.astype(np.uint8 if top < 256 else np.uint16)
    return Signals(
        data=data,
        channels=recording.channels,
        geometry=image.geometry,
        name=image.name,
        unit=image.value_unit,
        role=role if role in ("tokens", "map") else "signal",
        kinds=recording.kinds,
        native=recording.info,
    )
