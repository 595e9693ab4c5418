"""WFDB records (PhysioNet): a text header ``.hea`` and the files of samples that it names, read through `wfdb`.

Moody et al., WFDB Applications Guide, header(5) and signal(5); Xie et al. 2023, doi:10.13026/9njx-6322 (wfdb-python).
What the library does not look at is looked at here: whether the files hold the samples that the header counts, the
checksums, units that are no voltage, gains that are not calibrated, and names of files that lead out of the folder.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core import memory
from workbench.core.errors import InputError, UsageError, WorkbenchWarning, reading, visible
from workbench.core.types import Image
from workbench.data.header_text import shortened
from workbench.page.data import plausible
from workbench.page.data.ecg_image import MOST_LEADS, ecg_image, lead_names, listed, millivolts_of, require_rate
from workbench.page.data.wfdb_places import ADVICE, BYTES, PACKED, frames_of, place_of, require_plain

_LONGEST_HEADER = 8 << 20
_MOST_SEGMENTS = 20_000
_SUMMED = 4_000_000
"""Samples up to which checksums are compared when a record is opened; of longer ones when it is read."""

_INVALID = {
    "80": -(2**7), "508": -(2**7), "310": -(2**9), "311": -(2**9), "212": -(2**11), "16": -(2**15), "61": -(2**15),
    "160": -(2**15), "516": -(2**15), "24": -(2**23), "524": -(2**23), "32": -(2**31),
}  # fmt: skip
"""The value that stands for "no sample" in each format, signal(5)."""
_RECORD_LINE = re.compile(r"[-\w]+(/\d+)?[ \t]+\d+([ \t]|$)")
_FLOAT = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_COUNT = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_STRICT_RECORD = re.compile(
    rf"[-\w]+(?:/\d+)?\s+\d+\s+{_COUNT}(?:/{_FLOAT}(?:\({_FLOAT}\))?)?(?:\s+\d+(?:\s+\S.*)?)?\s*"
)
_STRICT_SIGNAL = re.compile(
    rf"\S+\s+\d+(?:x\d+)?(?::\d+)?(?:\+\d+)?(?:\s+{_FLOAT}(?:\([+-]?\d+\))?(?:/\S+)?(?:\s+\d+(?:\s+-?\d+(?:\s+-?\d+"
    r"(?:\s+-?\d+(?:\s+\d+(?:\s+\S.*)?)?)?)?)?)?)?\s*"
)
"""Lines of a header as header(5) has them. What the library does not understand it leaves out: -500 Hz become 250."""


@dataclass(frozen=True)
class _Segment:
    """One record of one piece: its header as `wfdb` reads it, where its files are, and what of it is kept."""

    path: Path
    text: str
    record: Any
    places: dict[str, Path]
    kept: tuple[int, ...]
    factors: tuple[float, ...]
    leads: tuple[str, ...]
    frames: int
    per_frame: int
    rate: float
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = field(default=())

    @property
    def samples(self) -> int:
        return self.frames * self.per_frame


def is_ecg(path: Path) -> bool:
    """Whether a file begins as a WFDB header does: a name, perhaps a number of segments, and a number of signals."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    for line in head.decode("latin-1").splitlines():
        if line.strip() and not line.startswith("#"):
            return _RECORD_LINE.match(line.strip()) is not None
    return False


def read(path: Path, *, gain: float | None = None) -> Image:
    """Open a record by its header; samples are read when `data` is asked for.

    Parameters
    ----------
    path
        The ``.hea`` file.
    gain
        Steps per mV of all voltages, where those of the header are missing or known to be wrong: in the headers of LUDB
        1.0.1 the gain of each lead is its own range, so that every lead spans 1 mV, while the stored numbers of one
        record have one gain (III is II - I to the step).

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV], NaN for invalid samples and for what no segment holds.
        Signals of several samples per frame have the rate of the fastest; slower ones are interpolated linearly, with a
        note. Age, sex and diagnoses of the comments are in the header; names are not.

    Raises
    ------
    InputError
        The header is damaged, a file that it names is missing or holds fewer samples than it counts, or no signal is a
        calibrated voltage.
    UsageError
        `gain` is no positive number.
    """
    if gain is not None and not (np.isfinite(gain) and gain > 0):
        raise UsageError(f"gain is {gain:g}, expected a positive number of steps per mV")
    text = _header_text(path)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines or not _RECORD_LINE.match(lines[0].strip()):
        first = shortened(lines[0]) if lines else "nothing"
        raise InputError(f"{path}: its first line is {first}, expected a WFDB header ('name signals rate'). {ADVICE}")
    if len(lines[0].split()) < 3:
        raise InputError(f"{path}: its first line {shortened(lines[0])} names no sampling rate, and none is"
                         f" guessed. Write it"
                         " behind the number of signals.")  # fmt: skip
    about = _about(text)
    if "/" in lines[0].split()[0]:
        return _multi(path, text, lines, about, gain)
    segment = _single(path, text, gain)
    notes = [*segment.notes]
    if segment.samples * len(segment.leads) <= _SUMMED:
        digital = _digital(segment)
        notes += _wrong_sums(segment, digital)
        notes += plausible.odd(path, segment.leads, _scaled(segment, digital))
    return ecg_image(
        path, segment.leads, segment.samples, segment.rate, lambda: _millivolts(segment), format="wfdb", header=about,
        notes=notes, files=(path, *segment.files),
    )  # fmt: skip


def _header_text(path: Path) -> str:
    size = path.stat().st_size
    if not 0 < size <= _LONGEST_HEADER:
        raise InputError(f"{path}: has {size} bytes, expected a WFDB header of up to {_LONGEST_HEADER >> 20} MiB.")
    raw = path.read_bytes()
    if b"\0" in raw:
        raise InputError(f"{path}: holds bytes that are no text, expected a WFDB header. {ADVICE}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    # The library drops letters that are not ASCII: "µV" would become "V".
    return text.replace("\u00b5", "u").replace("\u03bc", "u")


def _single(path: Path, text: str, gain: float | None) -> _Segment:
    """A record of one piece, with everything checked that can be checked without reading its samples."""
    record = _library_header(path, text)
    signals = int(record.n_sig or 0)
    if signals == 0:
        raise InputError(f"{path}: its header counts no signals, expected at least one. {ADVICE}")
    found = len(record.file_name or ())
    if found != signals or signals > MOST_LEADS:
        raise InputError(
            f"{path}: counts {signals} signals and describes {found}, expected as many, and up to"
            f" {MOST_LEADS}. {ADVICE}"
        )
    first = next(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    rate = require_rate(path, float(first.split()[2].partition("/")[0]), "the frame rate")
    if not np.isclose(rate, float(record.fs or 0), rtol=1e-9):
        raise InputError(f"{path}: states {rate:g} Hz, and the library understands {record.fs:g} Hz. {ADVICE}")
    for n, name in enumerate(record.file_name):
        require_plain(path, name)
        if record.fmt[n] not in BYTES and record.fmt[n] not in PACKED:
            raise InputError(f"{path}: signal {n + 1} has format {record.fmt[n]}, expected one of {', '.join(BYTES)}.")
        if not 1 <= (record.samps_per_frame[n] or 1) <= 10_000:
            raise InputError(f"{path}: signal {n + 1} has {record.samps_per_frame[n]} samples per frame. {ADVICE}")
        if not 0 <= (record.byte_offset[n] or 0) < 1 << 40 or not 0 <= (record.skew[n] or 0) < 1 << 24:
            raise InputError(f"{path}: offset or skew of signal {n + 1} is negative or too large. {ADVICE}")
    notes: list[str] = []
    places: dict[str, Path] = {}
    for name in dict.fromkeys(record.file_name):
        places[name] = place_of(path, record, name, notes)
    frames = frames_of(path, record, places, notes)
    kept, factors = _calibrated(path, text, record, gain, notes)
    labels = [record.sig_name[n] or "" for n in kept]
    leads, odd = lead_names(labels)
    per_frame = [record.samps_per_frame[n] or 1 for n in kept]
    fastest = max(per_frame)
    slower = [lead for lead, count in zip(leads, per_frame, strict=True) if count != fastest]
    if slower:
        notes.append(
            f"{len(slower)} signal(s) have fewer samples per second than {rate * fastest:g} and were interpolated"
            f" linearly: {listed(slower)}"
        )
    require_rate(path, rate * fastest)
    return _Segment(
        path, text, record, places, tuple(kept), tuple(factors), leads, frames, fastest, rate * fastest,
        (*notes, *odd), tuple(places.values()),
    )  # fmt: skip


def _library_header(path: Path, text: str) -> Any:
    import wfdb

    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for number, line in enumerate(lines):
        if len(line) > 4096:
            raise InputError(f"{path}: has a line of {len(line)} characters, expected a WFDB header. {ADVICE}")
        if not (_STRICT_SIGNAL if number else _STRICT_RECORD).fullmatch(line.strip()):
            what = f"signal {number}" if number else "the record"
            raise InputError(
                f"{path}: {what} is described as {shortened(line.strip())}, which is no line of a WFDB header. {ADVICE}"
            )
    with _folder_with(_with_length(text)) as name, reading(path, "no WFDB header that can be read", ADVICE):
        return wfdb.rdheader(name)


@contextmanager
def _folder_with(text: str, places: dict[str, Path] | None = None) -> Iterator[str]:
    """A folder in which the header lies as the library wants it, and beside it the files under the names it gives."""
    with tempfile.TemporaryDirectory(prefix="workbench-wfdb-") as folder:
        (Path(folder) / "record.hea").write_text(text, encoding="ascii", errors="replace")
        for name, place in (places or {}).items():
            link = Path(folder) / name
            try:
                link.symlink_to(place.resolve())
            except OSError:  # Windows without the right to link
                shutil.copyfile(place, link)
        yield str(Path(folder) / "record")


def _calibrated(
    path: Path, text: str, record: Any, given: float | None, notes: list[str]
) -> tuple[list[int], list[float]]:
    """Rows that are voltages, and what one step of each is in mV; the others are said."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")][1:]
    kept, factors, out, unnamed, turned = [], [], [], [], []
    for n in range(record.n_sig):
        label = visible(str(record.sig_name[n] or f"signal {n + 1}"))[:40]
        fields = lines[n].split()
        gain = float(record.adc_gain[n] or 0)
        unit = str(record.units[n] or "")
        if given is not None and (unit == "" or millivolts_of(unit) is not None):
            kept.append(n)
            factors.append(1.0 / given)
            continue
        if len(fields) < 3 or re.match(r"[+-]?0*\.?0*(?:[eE][+-]?\d+)?(?:[(/]|$)", fields[2]):
            out.append(f"{label} (not calibrated: its gain is 0 or missing)")
            continue
        factor = millivolts_of(unit)
        if factor is None:
            out.append(f"{label} (in {visible(unit)[:20]}, no voltage)")
            continue
        if not 1e-9 < abs(gain) < 1e15 or not abs(record.baseline[n] or 0) < 1 << 40:
            raise InputError(f"{path}: the gain of {label} is {gain:g}, expected steps per {unit}. {ADVICE}")
        if "/" not in fields[2]:
            unnamed.append(label)
        if gain < 0:
            turned.append(label)
        kept.append(n)
        factors.append(factor / gain)
    if given is not None:
        notes.append(f"the gain of all voltages is the one given, {given:g} steps per mV, not that of the header")
    if not kept:
        raise InputError(
            f"{path}: none of its {record.n_sig} signal(s) is a calibrated voltage: {listed(out)}. Write gain and unit"
            " into the header, such as '1000/mV'."
        )
    if out:
        notes.append(f"{len(out)} signal(s) were left out: {listed(out)}")
    if unnamed:
        notes.append(f"the header names no unit of {listed(unnamed)}: mV, as WFDB defines it then")
    if turned:
        notes.append(f"the gain of {listed(turned)} is negative: taken so, which turns the signal over")
    return kept, factors


def _digital(segment: _Segment) -> list[npt.NDArray[np.int64]]:
    """The stored numbers of all signals, one array each; not calibrated."""
    import wfdb

    text = _without_61(_with_length(segment.text, segment.frames))
    with _folder_with(text, segment.places) as name, reading(segment.path, "its samples cannot be read", ADVICE):
        record = wfdb.rdrecord(name, physical=False, smooth_frames=False, return_res=32, ignore_skew=False)
    found: list[npt.NDArray[np.int64]] = record.e_d_signal
    swapped = [fmt == "61" for fmt in segment.record.fmt]
    return [
        row.astype("<i2").byteswap().astype(np.int64) if is_so else row
        for row, is_so in zip(found, swapped, strict=True)
    ]


def _without_61(text: str) -> str:
    """The header with format 16 for 61, which is the same with the bytes of a sample swapped: the library stumbles."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    signals = [re.sub(r"^(\s*[^#\s]\S*\s+)61(?=[\sx:+]|$)", r"\g<1>16", line) for line in lines[first + 1 :]]
    return "\n".join([*lines[: first + 1], *signals]) + "\n"


def _with_length(text: str, frames: int | None = None) -> str:
    """The header with the number of frames in its first line, and without the date, which people write in many ways."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    fields = lines[first].split()
    lines[first] = " ".join([*fields[:3], *(fields[3:4] if frames is None else [str(frames)])])
    return "\n".join(lines) + "\n"


def _wrong_sums(segment: _Segment, digital: Sequence[npt.NDArray[Any]]) -> list[str]:
    """A note where the checksums of the header are not those of the samples."""
    record = segment.record
    if any(record.skew[n] or 0 for n in range(record.n_sig)):
        return []
    wrong = []
    for n, row in enumerate(digital):
        stated = record.checksum[n]
        if stated is not None and (int(np.sum(row, dtype=np.int64)) - int(stated)) % 65536:
            wrong.append(visible(str(record.sig_name[n] or f"signal {n + 1}"))[:40])
    if not wrong:
        return []
    return [f"the checksum of {len(wrong)} of {record.n_sig} signal(s) is not that of the header ({listed(wrong)}): the"
            " samples were changed, or the header is another's"]  # fmt: skip


def _millivolts(segment: _Segment) -> npt.NDArray[np.float32]:
    """All kept signals, ``(leads, samples)`` float32 [mV]."""
    digital = _digital(segment)
    if segment.samples * len(segment.leads) > _SUMMED:
        found = _scaled(segment, digital)
        for note in (*_wrong_sums(segment, digital), *plausible.odd(segment.path, segment.leads, found)):
            warnings.warn(f"{segment.path}: {note}", WorkbenchWarning, stacklevel=2)
        return found
    return _scaled(segment, digital)


def _scaled(segment: _Segment, digital: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Stored numbers as ``(leads, samples)`` float32 [mV]."""
    out = np.full((len(segment.leads), segment.samples), np.nan, np.float32)
    for row, (n, factor) in enumerate(zip(segment.kept, segment.factors, strict=True)):
        raw = np.asarray(digital[n])
        values = (raw.astype(np.float64) - float(segment.record.baseline[n] or 0)) * factor
        invalid = _INVALID.get(segment.record.fmt[n])
        if invalid is not None:
            values[raw == invalid] = np.nan
        own = segment.record.samps_per_frame[n] or 1
        if own != segment.per_frame:
            old = np.arange(len(values)) / own
            new = np.arange(segment.samples) / segment.per_frame
            values = np.where(new <= old[-1], np.interp(new, old, values), np.nan)
        out[row] = values
    return out


def _multi(path: Path, text: str, lines: list[str], about: dict[str, Any], gain: float | None) -> Image:
    """A record of several segments, put one after the other; what a segment does not hold is NaN."""
    fields = lines[0].split()
    count = int(fields[0].partition("/")[2])
    if len(fields) < 4 or not fields[3].isdigit() or len(fields[3]) > 15:
        raise InputError(f"{path}: counts no samples in its first line {shortened(lines[0])}. {ADVICE}")
    total = int(fields[3])
    if not 1 <= count <= _MOST_SEGMENTS or count != len(lines) - 1:
        raise InputError(f"{path}: counts {count} segments and lists {len(lines) - 1}, expected as many, up to"
                         f" {_MOST_SEGMENTS}. {ADVICE}")  # fmt: skip
    parts: list[tuple[int, int, _Segment | None]] = []
    order: list[str] = []
    opened: dict[str, _Segment] = {}
    at = 0
    for line in lines[1:]:
        name, _, length = line.strip().partition(" ")
        if not re.fullmatch(r"\d{1,15}", length.strip()):
            raise InputError(f"{path}: a segment is {shortened(line)}, expected a name and a length. {ADVICE}")
        frames = int(length)
        if name == "~":
            parts.append((at, frames, None))
        elif frames == 0:
            order += [standard for standard in _layout(path, name) if standard not in order]
        else:
            if name not in opened:
                opened[name] = _segment_of(path, name, gain)
            segment = opened[name]
            if segment.frames != frames:
                raise InputError(f"{path}: counts {frames} samples in segment {name}, whose header counts"
                                 f" {segment.frames}. {ADVICE}")  # fmt: skip
            parts.append((at, frames, segment))
        at += frames
    if at != total:
        raise InputError(f"{path}: counts {total} samples, its segments {at}, expected as many. {ADVICE}")
    if not opened:
        raise InputError(f"{path}: none of its {count} segments holds samples. {ADVICE}")
    rates = sorted({(s.rate, s.per_frame) for s in opened.values()})
    if len(rates) > 1:
        raise InputError(f"{path}: its segments have {', '.join(f'{r:g}' for r, _ in rates)} Hz, expected one rate."
                         " Open the segments one by one.")  # fmt: skip
    rate, per_frame = rates[0]
    held = [lead for segment in opened.values() for lead in segment.leads]
    leads = tuple(dict.fromkeys([lead for lead in order if lead in held] + held))
    notes = [f"segment {name}: {note}" for name, s in opened.items() for note in s.notes][:20]
    gaps = sum(frames for _, frames, s in parts if s is None)
    if gaps:
        notes.append(f"{gaps} of {total} samples lie between its segments: no signal there")
    if sum(s.samples * len(s.leads) for s in opened.values()) <= _SUMMED:
        for name, segment in opened.items():
            digital = _digital(segment)
            odd = plausible.odd(segment.path, segment.leads, _scaled(segment, digital))
            notes += [f"segment {name}: {note}" for note in (*_wrong_sums(segment, digital), *odd)]
        notes = notes[:40]

    def load() -> npt.NDArray[np.float32]:
        shape = (len(leads), total * per_frame)
        memory.require(memory.Need({"samples": memory.array_bytes(shape, 4)}), path, "Open its segments one by one.")
        out = np.full(shape, np.nan, np.float32)
        for start, frames, segment in parts:
            if segment is not None:
                rows = [leads.index(lead) for lead in segment.leads]
                out[rows, start * per_frame : (start + frames) * per_frame] = _millivolts(segment)
        return out

    files = tuple(dict.fromkeys(f for s in opened.values() for f in (s.path, *s.files)))
    return ecg_image(
        path, leads, total * per_frame, rate, load, format="wfdb", header=about | {"segments": count}, notes=notes,
        files=(path, *files),
    )  # fmt: skip


def _segment_of(path: Path, name: str, gain: float | None) -> _Segment:
    require_plain(path, name)
    header = path.parent / f"{name}.hea"
    if not header.is_file() or header == path:
        raise InputError(f"{path}: names the segment {shortened(name)}, whose header {header.name} is missing. Put it"
                         " beside.")  # fmt: skip
    text = _header_text(header)
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    if not _RECORD_LINE.match(first.strip()) or "/" in first.split()[0] or len(first.split()) < 3:
        raise InputError(f"{header}: is no header of one segment, as {path.name} expects. {ADVICE}")
    return _single(header, text, gain)


def _layout(path: Path, name: str) -> list[str]:
    """Names of the signals of a layout header, which holds no samples."""
    require_plain(path, name)
    header = path.parent / f"{name}.hea"
    if not header.is_file():
        raise InputError(f"{path}: names the layout {shortened(name)}, whose header {header.name} is missing.")
    record = _library_header(header, _header_text(header))
    return list(lead_names([label or "" for label in record.sig_name or ()])[0])


_KEYS = {
    "age": "age", "sex": "sex", "gender": "sex", "dx": "diagnoses", "diagnosis": "diagnoses", "diagnoses": "diagnoses",
    "diagnose": "diagnoses", "reason for admission": "diagnoses", "additional diagnoses": "diagnoses",
    "acute infarction (localization)": "diagnoses", "former infarction (localization)": "diagnoses",
    "rhythm": "diagnoses", "electric axis of the heart": "diagnoses", "rx": "medication",
}  # fmt: skip
_NEVER = re.compile(r"name|patient|physician|doctor|operator|address|birth|phone|\bid\b|hospital|mrn", re.IGNORECASE)


def _about(text: str) -> dict[str, Any]:
    """Age, sex and diagnoses of the comments; everything else stays in the file, names first of all."""
    found: dict[str, Any] = {}
    listing = False
    for raw in text.splitlines():
        if not raw.lstrip().startswith("#"):
            continue
        line = visible(raw.lstrip("# \t").strip())[:200]
        if not line or _NEVER.search(line.partition(":")[0]):
            listing = listing and bool(line)
            continue
        key, colon, value = line.partition(":")
        name = _KEYS.get(key.strip(" <>").lower()) if colon else None
        value = value.strip()
        empty = value.lower() in ("", "n/a", "nan", "unknown")
        if name is None:
            if listing:
                found.setdefault("diagnoses", []).append(line)
            continue
        if name == "diagnoses":
            if empty:
                listing = key.strip(" ").startswith("<")
            elif value.lower() not in ("no", "none"):
                kept = value if key.strip(" <>").lower() in ("dx", "diagnosis", "diagnoses", "diagnose") else line
                found.setdefault("diagnoses", []).append(kept)
        elif name == "age" and not empty:
            number = re.fullmatch(r"(\d{1,3})(\.\d+)?\s*(y|years?)?", value, re.IGNORECASE)
            if number and int(number[1]) <= 130:
                found["age"] = int(number[1])
        elif not empty:
            found[name] = value
    return found
