"""Electrocardiograms in EDF and EDF+ files (Kemp and Olivan 2003, doi:10.1016/S1388-2457(03)00123-8).

EDF is a format of recordings as well: a file is an electrocardiogram where its signals are called as leads are. EDF has
no value for "no sample"; annotations ``no signal: V1``, as `workbench.page.data.write_signals.write_edf` writes them,
say where there is none.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Image
from workbench.data.header_text import shortened
from workbench.page.data import plausible
from workbench.page.data.ecg_image import (
    ecg_image,
    lead_names,
    listed,
    millivolts_of,
    require_rate,
    require_size,
    statements_of,
)
from workbench.page.leads import signal_name

NO_SIGNAL = "no signal: "
"""How annotations begin that say where a lead has no samples."""
AFTER_THE_END = "after the end"
"""What stands there where the last record was filled up."""
_ANNOTATIONS = "EDF Annotations"
_FEWEST = 3
"""Leads without anything else that make a file an electrocardiogram for sure."""
_MOST_SIGNALS = 512
_TAL = re.compile(rb"([+-][0-9.]+)(?:\x15([0-9.]+))?\x14([^\0]*)\x14\0")
_ADVICE = "Export or copy the file again."


@dataclass(frozen=True)
class _Signal:
    """A signal of a header: its name and unit, what its numbers mean, how many a record has, and where they begin."""

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[float, float]
    count: int
    first: int


@dataclass(frozen=True)
class _Header:
    records: int
    seconds: float
    kind: str
    signals: tuple[_Signal, ...]

    @property
    def width(self) -> int:
        """Numbers of a record."""
        return sum(s.count for s in self.signals)

    @property
    def size(self) -> int:
        return 256 * (len(self.signals) + 1)


def is_ecg(path: Path) -> bool:
    """Whether it is EDF whose signals are all called as leads are, three or more."""
    try:
        labels = [s.label for s in _header(path).signals if s.label != _ANNOTATIONS]
    except (OSError, InputError):
        return False
    return len(labels) >= _FEWEST and all(signal_name(label) is not None for label in labels)


def read(path: Path) -> Image:
    """Open the leads of an EDF file.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV]. NaN where an annotation says that there is no signal; what
        fills up the last record is cut off where one says so. Signals that are no leads are left out, with a note.

    Raises
    ------
    InputError
        It is no EDF file, is damaged, was interrupted, holds no lead, or gives no voltage of a step.
    """
    require_size(path)
    head = _header(path)
    notes: list[str] = []
    chosen = _chosen(path, head, notes)
    if head.kind.startswith("EDF+D"):
        raise InputError(f"{path}: its records do not follow each other (EDF+D), one recording was expected. {_ADVICE}")
    names, odd = lead_names([s.label for s in chosen])
    notes += odd
    rate = require_rate(path, chosen[0].count / head.seconds if head.seconds > 0 else math.nan)
    raw = _records(path, head)
    numbers = np.stack([raw[:, s.first : s.first + s.count].ravel() for s in chosen])
    data = np.stack([_millivolts(path, s, row) for s, row in zip(chosen, numbers, strict=True)])
    said = _annotations(raw, head)
    for onset, seconds, text in said:
        at, end = (max(0, round(t * rate)) for t in (onset, onset + seconds))
        what = text.removeprefix(NO_SIGNAL)
        if what != text and what in names:
            row = names.index(what)
            lowest = numbers[row, at:end] == chosen[row].digital[0]
            data[row, at:end][lowest] = np.nan
    ends = [round(onset * rate) for onset, _, text in said if text == NO_SIGNAL + AFTER_THE_END]
    data = data[:, : ends[0]] if ends else data
    notes += plausible.odd(path, names, data)
    header = {"statements": statements_of(text for _, _, text in said if not text.startswith(NO_SIGNAL))}
    return ecg_image(path, names, data.shape[1], rate, lambda: data, format="edf", header=header, notes=notes)


def _chosen(path: Path, head: _Header, notes: list[str]) -> list[_Signal]:
    """The leads, those of the rate that most of them have."""
    signals = [s for s in head.signals if s.label != _ANNOTATIONS]
    leads = [s for s in signals if signal_name(s.label) is not None]
    if not leads:
        labels = shortened(listed(s.label for s in signals), 60)
        raise InputError(
            f"{path}: none of its {len(signals)} signals is a lead ({labels}), I, II, V1... were expected. Open it as "
            "a recording (--kind recording)."
        )
    counts = [s.count for s in leads]
    most = max(counts, key=counts.count)
    chosen = [s for s in leads if s.count == most]
    if left := [s.label for s in signals if s not in chosen]:
        notes.append(f"{len(left)} signal(s) are no leads, or have another sampling rate, and were left out: "
                     f"{listed(left)}")  # fmt: skip
    return chosen


def _millivolts(path: Path, signal: _Signal, row: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    factor = millivolts_of(signal.unit)
    if factor is None:
        raise InputError(
            f"{path}: signal {shortened(signal.label, 20)} is in {signal.unit or 'no unit'}, uV, mV or V was expected. "
            f"{_ADVICE}"
        )
    (low, high), (least, most) = signal.physical, signal.digital
    if not (math.isfinite(low) and math.isfinite(high) and low != high and least < most):
        raise InputError(
            f"{path}: signal {shortened(signal.label, 20)} goes from {low:g} to {high:g} {signal.unit} in steps from "
            f"{least:g} to {most:g}, expected two numbers that differ. {_ADVICE}"
        )
    step = (high - low) / (most - least)
    return ((low + (row.astype(np.float64) - least) * step) * factor).astype(np.float32)


def _header(path: Path) -> _Header:
    """What the header says, checked for what cannot be."""
    with path.open("rb") as file:
        head = file.read(256)
        if len(head) < 256 or head[:8].strip() != b"0":
            raise InputError(f"{path}: is no EDF file: it begins with {shortened(head[:8].decode('latin-1'))}.")
        count = int(_number(path, "the number of signals", head[252:256], 1, _MOST_SIGNALS))
        about = file.read(256 * count)
    if len(about) < 256 * count:
        raise InputError(f"{path}: ends within its header of {count} signals. It was cut off: copy it again.")
    signals, first = [], 0
    for n in range(count):

        def field(at: int, size: int, n: int = n) -> bytes:
            return about[at * count + size * n : at * count + size * (n + 1)]

        label = field(0, 16).decode("latin-1").strip()
        low, high, least, most = (
            _number(path, f"the range of signal {n + 1}", field(at, 8)) for at in (104, 112, 120, 128)
        )
        samples = int(_number(path, f"samples per record of signal {n + 1}", field(216, 8), 1, 10**7))
        unit = field(96, 8).decode("latin-1").strip()
        signals.append(_Signal(label, unit, (low, high), (least, most), samples, first))
        first += samples
    return _Header(
        int(_number(path, "the number of records", head[236:244], -1, 10**8)),
        _number(path, "the duration of a record", head[244:252], 0, 10**6),
        head[192:236].decode("latin-1").strip(),
        tuple(signals),
    )


def _number(path: Path, what: str, raw: bytes, low: float = -1e12, high: float = 1e12) -> float:
    try:
        number = float(raw.decode("latin-1").strip())
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        text = shortened(raw.decode("latin-1"), 20)
        raise InputError(f"{path}: {what} is {text}, expected a number from {low:g} to {high:g}. {_ADVICE}")
    return number


def _records(path: Path, head: _Header) -> npt.NDArray[np.int16]:
    """All numbers, ``(records, numbers of a record)``."""
    found, rest = divmod(path.stat().st_size - head.size, 2 * head.width)
    if head.records < 1 or found != head.records or rest:
        raise InputError(
            f"{path}: counts {head.records} records of {2 * head.width} bytes, and holds {found} and {rest} bytes. It "
            "was cut off, or never closed: copy it again."
        )
    return np.fromfile(path, "<i2", offset=head.size).reshape(found, head.width)


def _annotations(raw: npt.NDArray[np.int16], head: _Header) -> list[tuple[float, float, str]]:
    """Onset [s], duration [s] and text of all annotations but those that say when a record begins."""
    found = []
    for signal in head.signals:
        if signal.label != _ANNOTATIONS:
            continue
        text = np.ascontiguousarray(raw[:, signal.first : signal.first + signal.count]).tobytes()
        for onset, seconds, words in _TAL.findall(text):
            for word in words.decode("utf-8", "replace").split("\x14"):
                try:
                    found.append((float(onset), float(seconds or 0), word))
                except ValueError:
                    continue
    return [one for one in found if one[2]]
