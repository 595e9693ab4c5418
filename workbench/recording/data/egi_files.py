"""EGI simple binary files (``.raw``): whether the samples are there that the header counts, and in which unit."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError
from workbench.data.header_text import whole_number
from workbench.recording.data import copies, fif_file
from workbench.recording.data.extent import ADVICE, Checked, compare

_TYPES = {2: ">i2", 4: ">f4", 6: ">f8"}
_BEGIN, _SEGMENTED = "epoc", {"epoc", "tim0"}
_HEAD = 36
_SAMPLES_AT, _BITS_AT = 30, 26
_BLOCK = 1 << 22  # numbers written at once


@dataclass(frozen=True)
class _Head:
    version: int
    rate: int
    channels: int
    bits: int
    span: int
    samples: int
    events: int

    @property
    def type(self) -> np.dtype[np.generic]:
        return np.dtype(_TYPES[self.version])

    @property
    def start(self) -> int:
        """The byte at which the samples begin, behind the names of the events."""
        return _HEAD + 4 * self.events


def is_egi(path: Path) -> bool:
    """Whether the first bytes can be those of such a file: a version, a date, a rate and a number of channels."""
    head = _first(path)
    if len(head) < _HEAD:
        return False
    version, year, month, day, hour, minute, second = struct.unpack_from(">i6h", head)
    rate, channels = struct.unpack_from(">2h", head, 20)
    dated = 1980 <= year <= 2100 and 1 <= month <= 12 and 1 <= day <= 31
    timed = 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61
    return bool(2 <= version <= 7 and dated and timed and rate > 0 and channels > 0)


def check(path: Path, allow_truncated: bool) -> Checked:
    """Compare the number of samples in the header with the size of the file.

    Whole numbers are in units of the amplifier, whose range is in microvolt; MNE takes that for volt, so that it is
    given a copy in microvolt.

    Raises
    ------
    InputError
        A number cannot be, samples are missing or too many, or it is cut into segments.
    """
    head, size = _head(path), path.stat().st_size
    width = (head.channels + head.events) * head.type.itemsize
    found, rest = divmod(size - head.start, width)
    left = f"{rest} of the {width} bytes of another" if rest else ""
    allowed = None if found > head.samples else allow_truncated
    notes = compare(path, head.samples, found, left, allowed=allowed)
    if head.bits and head.span:
        held = copies.kept(path, "microvolt", partial(_in_microvolt, path, head, found))
        return Checked(notes, copy=held.value, held=held)
    if not notes:
        return Checked()
    copy = fif_file.first_bytes(path, head.start + found * width)
    with copy.open("r+b") as out:
        out.seek(_SAMPLES_AT)
        out.write(struct.pack(">i", found))
    return Checked(notes, copy=copy)


def tidied(raw: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Take what is no event out of the annotations of MNE's object, in place.

    MNE gives an event that lasts as one for each of its samples. A file cut into segments and exported as a continuous
    one has an event where each segment begins, and says so by the names of two.

    Returns
    -------
    tuple
        Samples at which segments begin, and notes.
    """
    rate, marks = float(raw.info["sfreq"]), raw.annotations
    places = [round((float(onset) - raw.first_time) * rate) for onset in marks.onset]
    labels = [str(label) for label in marks.description]
    if set(labels) >= _SEGMENTED:
        starts = [n for n, label in enumerate(labels) if label == _BEGIN]
        breaks = tuple(sorted(places[n] for n in starts))
        marks.delete(starts)
        return breaks, (f"{len(breaks)} segments, by its events '{_BEGIN}': what lies between them is not joined",)
    later, last = [], dict[str, int]()
    for n in sorted(range(len(places)), key=lambda n: places[n]):
        if last.get(labels[n], -2) == places[n] - 1:
            later.append(n)
        last[labels[n]] = places[n]
    if not later:
        return (), ()
    marks.delete(later)
    return (), (f"of events that last for several samples the first one was taken; {len(later)} were left out",)


def _first(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as f:
        return f.read(_HEAD)


def _head(path: Path) -> _Head:
    content = _first(path)
    if not is_egi(path):
        raise InputError(f"{path}: no header of an EGI simple binary file (version, date, rate, channels). {ADVICE}")
    (version,) = struct.unpack_from(">i", content)
    if version not in _TYPES:
        raise InputError(
            f"{path}: an EGI recording cut into segments, which is not read here. Export it from Net Station again,"
            " without segmentation."
        )
    rate, channels, _, bits, span = struct.unpack_from(">5h", content, 20)
    samples, events = struct.unpack_from(">ih", content, _SAMPLES_AT)
    size = path.stat().st_size
    whole_number(path, "the number of samples", str(samples), 0, 2**31 - 1)
    whole_number(path, "the number of kinds of events", str(events), 0, (size - _HEAD) // 4)
    whole_number(path, "the number of bits", str(bits), 0, 64)
    whole_number(path, "the range of the amplifier", str(span), 0, 2**15 - 1)
    return _Head(version, rate, channels, bits, span, samples, events)


def _in_microvolt(path: Path, head: _Head, samples: int, folder: Path) -> Path:
    """A copy with numbers in microvolt, single precision, as newer files have them."""
    copy = folder / path.name
    rows, scale = head.channels + head.events, head.span / 2.0**head.bits
    with path.open("rb") as whole, copy.open("wb") as out:
        first = bytearray(whole.read(head.start))
        first[:4] = struct.pack(">i", 4)
        first[_BITS_AT : _BITS_AT + 4] = bytes(4)
        first[_SAMPLES_AT : _SAMPLES_AT + 4] = struct.pack(">i", samples)
        out.write(first)
        step = max(1, _BLOCK // rows)
        for start in range(0, samples, step):
            frames = np.fromfile(whole, head.type, min(step, samples - start) * rows).reshape(-1, rows).astype("f8")
            frames[:, : head.channels] *= scale
            with np.errstate(over="ignore"):
                out.write(frames.astype(">f4").tobytes())
    return copy
