"""EEGLAB ``.set`` files: what they say of their samples, and a copy of that for MNE.

MNE hands the file to scipy or pymatreader, which trust it, and the latter must be there for MATLAB 7.3. Here the fields
that mean something are read by readers of our own, compared with each other and with the samples, and written anew
into a small file that MNE opens. Samples in an ``.fdt`` file stay where they are; those inside the ``.set`` are copied
into one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.data.companion import beside
from workbench.data.hdf5_chunks import slab
from workbench.data.header_text import shortened
from workbench.data.mat5 import Wanted
from workbench.data.mat_structs import OnDisk, variables
from workbench.recording.data import copies
from workbench.recording.data.extent import ADVICE, Checked, compare

_ALL: Wanted = {}
_FIELDS: Wanted = {
    **dict.fromkeys(("nbchan", "pnts", "trials", "srate", "xmin", "xmax", "data"), _ALL),
    "chanlocs": dict.fromkeys(("labels", "type", "X", "Y", "Z"), _ALL),
    "event": dict.fromkeys(("type", "latency", "duration"), _ALL),
}
_BLOCK = 1 << 22  # numbers written at once
_MOST_CHANNELS, _MOST_SAMPLES = 65535, 10**12


def is_other(path: Path) -> bool:
    """Whether it is no MATLAB file: other programs have settings under this suffix."""
    try:
        with path.open("rb") as f:
            head = f.read(520)
    except OSError:  # is said when it is opened
        return False
    return not (
        head.startswith(b"MATLAB") or head[126:128] in (b"IM", b"MI") or b"\x89HDF\r\n" in (head[:6], head[512:518])
    )


def check(path: Path, allow_truncated: bool) -> Checked:
    """Compare the fields of a file with each other and with its samples, and write the copy that MNE opens.

    Epochs become one stretch there, each behind the other.

    Raises
    ------
    InputError
        A field cannot be, a name leads elsewhere, or samples are missing or too many.
    """
    make = partial(_checked, path.absolute(), allow_truncated)
    checked: Checked
    held = copies.kept(path, (allow_truncated, None), make)
    checked, samples, state = held.value
    if _state(samples) != state:  # another file of samples since then
        held = copies.kept(path, (allow_truncated, _state(samples)), make)
        checked, samples, state = held.value
    return replace(checked, held=held)


def _state(file: Path) -> tuple[int, int]:
    if not file.exists():
        return 0, 0
    about = file.stat()
    return about.st_mtime_ns, about.st_size


def _checked(path: Path, allow_truncated: bool, folder: Path) -> tuple[Checked, Path, tuple[int, int]]:
    """What `check` gives, with the file of the samples and its state."""
    fields = _fields(path)
    channels = _whole(path, fields, "nbchan", 1, _MOST_CHANNELS)
    width = _whole(path, fields, "pnts", 1, _MOST_SAMPLES)
    trials = _whole(path, fields, "trials", 1, _MOST_SAMPLES // width, missing=1)
    rate = _number(fields.get("srate"))
    if rate is None or not (math.isfinite(rate) and rate > 0):
        raise InputError(f"{path}: EEG.srate is {_shown(fields.get('srate'))}, expected a positive number. {ADVICE}")
    data, count = fields.get("data"), width * trials
    notes = _duration(fields, width, rate)
    if isinstance(data, str):
        samples, said = _companion(path, data)
        found, rest = divmod(samples.stat().st_size, 4 * channels)
        left = f"{rest} of the {4 * channels} bytes of another" if rest else ""
        whole = found if trials == 1 else found - found % width
        allowed = None if found > count else allow_truncated
        notes += said + compare(path, count, found, left, read=min(whole, count), allowed=allowed)
        count = min(whole, count)
    else:
        _require_shape(path, data, (channels, width, trials))
        samples = None
    names, said = _names(path, fields.get("chanlocs"), channels)
    notes += said
    events, said = _events(path, fields.get("event"))
    copy = folder / path.name
    if samples is None:
        samples = copy.with_suffix(".fdt")
        _write_samples(samples, data, channels)
    _write(copy, samples, names, events, {"nbchan": channels, "pnts": count, "srate": rate})
    breaks = tuple(range(width, count, width)) if trials > 1 else ()
    files = (samples,) if isinstance(data, str) else ()
    checked = Checked(notes + said, copy=copy, breaks=breaks, epoch=width if trials > 1 else 0, files=files)
    return checked, samples, _state(samples)


def _fields(path: Path) -> dict[str, Any]:
    """The fields of the data set: of a structure ``EEG``, or each a variable, as EEGLAB saves them today."""
    found = variables(path, {"EEG": _FIELDS, "ALLEEG": _ALL, **_FIELDS})
    if "ALLEEG" in found:
        raise InputError(f"{path}: holds a list of data sets (ALLEEG). Save each by itself in EEGLAB.")
    if "EEG" not in found and "nbchan" in found:
        return found
    eeg = found.get("EEG")
    if not isinstance(eeg, list) or len(eeg) != 1:
        what = f"holds {len(eeg)} data sets" if isinstance(eeg, list) and eeg else "has no structure EEG in it"
        raise InputError(f"{path}: {what}, expected one EEGLAB data set. Save it again in EEGLAB.")
    one: dict[str, Any] = eeg[0]
    return one


def _number(value: Any) -> float | None:
    """A single number; ``None`` for anything else."""
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "fiu":
        return float(value.ravel()[0])
    return None


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, np.ndarray):
        return f"{value.ravel()[0]:g}" if value.size == 1 else f"an array of {value.shape}"
    return shortened(value) if isinstance(value, str) else "a list"


def _whole(path: Path, fields: dict[str, Any], name: str, low: int, high: int, missing: int | None = None) -> int:
    if missing is not None and name not in fields:
        return missing
    number = _number(fields.get(name))
    if number is None or not low <= number <= high or number % 1:
        raise InputError(
            f"{path}: EEG.{name} is {_shown(fields.get(name))}, expected a whole number from {low} to {high}. {ADVICE}"
        )
    return int(number)


def _duration(fields: dict[str, Any], width: int, rate: float) -> tuple[str, ...]:
    """The note where the times of the first and last sample do not fit the sampling rate."""
    first, last = _number(fields.get("xmin")), _number(fields.get("xmax"))
    if first is None or last is None or abs(last - first - (width - 1) / rate) <= 1.5 / rate:
        return ()
    said = f"EEG.xmin and EEG.xmax are {last - first:g} s apart, its {width} samples at {rate:g} Hz"
    return (f"{said} {(width - 1) / rate:g} s: EEG.srate was believed",)


def _companion(path: Path, name: str) -> tuple[Path, tuple[str, ...]]:
    """The file with the samples: that name in the folder of the ``.set``, or its own name with ``.fdt``."""
    plain = PureWindowsPath(name).name
    if plain.lower().endswith(".dat"):
        raise InputError(
            f"{path}: EEG.data is {shortened(name)}, an old format of EEGLAB. Open the file there and save it again."
        )
    own = beside(path, "the file of its samples", path.with_suffix(".fdt").name)
    if plain.lower().endswith((".fdt", ".set")):
        named = beside(path, "EEG.data", plain)
        if named.suffix.lower() == ".fdt" and named.is_file():
            return named, ()
        if own.is_file():
            return own, (f"EEG.data is {shortened(name)}, which is not there: {own.name} was taken",)
    raise InputError(
        f"{path}: EEG.data is {shortened(name)}, which is not there, nor is {own.name}: expected the file with the"
        " samples beside it. Put it there."
    )


def _require_shape(path: Path, data: Any, shape: tuple[int, int, int]) -> None:
    found = data.shape if isinstance(data, np.ndarray | OnDisk) else None
    if found is None or tuple(n for n in found[1:] if n != 1) != tuple(n for n in shape[1:] if n != 1) or (
        found[0] != shape[0]
    ):  # fmt: skip
        what = "missing, or no array of numbers" if found is None else f"of the shape {' x '.join(map(str, found))}"
        raise InputError(
            f"{path}: cut off, or damaged: EEG.data is {what}, its header promises {' x '.join(map(str, shape))}"
            f" (channels, samples, epochs). {ADVICE}"
        )


def _names(path: Path, found: Any, channels: int) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Name, type and position of each channel; none where the file has no list of them."""
    listed = found if isinstance(found, list) else []
    if not listed:
        return [], ()
    if len(listed) != channels:
        raise InputError(
            f"{path}: EEG.chanlocs lists {len(listed)} channels, EEG.nbchan is {channels}. Correct the locations of"
            " channels in EEGLAB, and save it again."
        )
    made: list[dict[str, Any]] = []
    places: list[list[Any]] = []
    nameless = 0
    for number, one in enumerate(listed):
        name, kind = _label(one.get("labels")), _label(one.get("type"))
        nameless += not name
        place = [_number(one.get(axis)) for axis in "XYZ"]
        known = place if all(p is not None and math.isfinite(p) for p in place) else [math.nan] * 3
        places.append(known)
        made.append({"labels": name or f"EEG {number:03d}", "type": kind})
    if any(p != [math.nan] * 3 for p in places):
        made = [one | dict(zip("XYZ", place, strict=True)) for one, place in zip(made, places, strict=True)]
    return made, ((f"{nameless} channel(s) without a name were called by their numbers",) if nameless else ())


def _label(value: Any) -> str:
    """A name or a kind of event, which may be a number; empty where there is none."""
    number = _number(value)
    if number is not None:
        return f"{int(number)}" if number % 1 == 0 else f"{number:g}"
    return "".join(c if c.isprintable() else "?" for c in value.strip()) if isinstance(value, str) else ""


def _events(path: Path, found: Any) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Kind, time and duration of each event, in samples that count from 1."""
    made, lost = [], 0
    for one in found if isinstance(found, list) else []:
        latency, duration = _number(one.get("latency")), _number(one.get("duration"))
        if latency is None or not math.isfinite(latency):
            lost += 1
            continue
        if latency < 0:
            raise InputError(f"{path}: an event of EEG.event at sample {latency:g}, expected 0 or more. {ADVICE}")
        lasts = duration if duration is not None and 0 <= duration < math.inf else 0.0
        made.append({"type": _label(one.get("type")) or "event", "latency": latency, "duration": lasts})
    return made, ((f"{lost} event(s) without a time were left out",) if lost else ())


def _write_samples(file: Path, data: Any, channels: int) -> None:
    """Samples as single precision, sample after sample."""
    step = max(1, _BLOCK // channels)
    with file.open("wb") as out:
        if isinstance(data, np.ndarray):
            flat = data.reshape(channels, -1, order="F")
            for start in range(0, flat.shape[1], step):
                _put(out, flat[:, start : start + step].T)
            return
        samples = data.dataset.shape[-2]
        epochs = [(slice(n, n + 1),) for n in range(data.dataset.shape[0])] if len(data.shape) == 3 else [()]
        for epoch in epochs:
            for start in range(0, samples, step):
                _put(out, slab(data.dataset, *epoch, slice(start, min(start + step, samples)), slice(None)))


def _put(out: Any, values: npt.NDArray[Any]) -> None:
    with np.errstate(over="ignore"):
        out.write(np.ascontiguousarray(values, dtype="<f4").tobytes())


def _write(
    copy: Path, samples: Path, names: list[dict[str, Any]], events: list[dict[str, Any]], head: dict[str, Any]
) -> None:
    from scipy import io

    eeg = {
        **head,
        "trials": 1,
        "xmin": 0.0,
        "xmax": (head["pnts"] - 1) / head["srate"],
        "data": str(samples),
        "chanlocs": _structure(names),
        "event": _structure(events),
    }
    io.savemat(copy, {"EEG": eeg}, long_field_names=True)


def _structure(rows: list[dict[str, Any]]) -> npt.NDArray[Any]:
    """Rows as scipy writes an array of structures."""
    if not rows:
        return np.empty((0, 0))
    made = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for number, row in enumerate(rows):
        made[0, number] = tuple(row.values())
    return made
