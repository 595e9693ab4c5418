"""The times that EDF+ and BDF+ files give to each of their records: where the recording was interrupted, and where its
annotations lie on the samples that are there.

A discontinuous file (EDF+D) stores its records one after the other, and only the first annotation of each says when it
began. Readers that go by the number of a record put everything behind a gap too early, and drop the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Mark, Marks
from workbench.recording.data.extent import ADVICE

_ENTRY = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14((?:[^\x00\x14]*\x14)*)\x00")
_RESOLUTION = 1e-4  # s; writers round the times of records
_BLOCK = 4 * 1024**2  # bytes read at once
_NARROW = 1 << 14  # bytes of a record from which on jumping is faster than reading on


@dataclass(frozen=True)
class Layout:
    """How the records of a file lie in it: bytes of the header and of a record, and the annotations in each."""

    start: int
    width: int
    records: int
    seconds: float
    samples: int
    annotations: tuple[tuple[int, int], ...]
    discontinuous: bool


@dataclass(frozen=True)
class Times:
    """Samples before which the recording was interrupted, and what a reader cannot know that goes by numbers.

    Attributes
    ----------
    marks
        The annotations on the clock of the samples that are there.
    notes
        What was found, a line each.
    """

    breaks: tuple[int, ...]
    marks: Marks
    notes: tuple[str, ...]


def read_times(path: Path, layout: Layout, channels: Sequence[str]) -> Times | None:
    """The breaks of a file and its annotations; ``None`` where every record follows the one before.

    Parameters
    ----------
    channels
        Names that annotations may be about (``text@@channel``).

    Raises
    ------
    InputError
        A file says that it is discontinuous, and not when its records began, or they go back in time.
    """
    if not layout.annotations or layout.seconds <= 0 or layout.records < 2:
        return None
    if not layout.discontinuous and _is_as_long_as_it_says(path, layout):
        return None
    begins, entries = np.full(layout.records, np.nan), []
    for number, first, content in _records(path, layout):
        for place, found in enumerate(_ENTRY.finditer(content)):
            onset, length = float(found[1]), float(found[2] or 0)
            texts = found[3].split(b"\x14")[:-1]
            if first and not place and (not texts or not texts[0]):
                begins[number], texts = onset, texts[1:]
            entries += [(onset, length, t.decode("utf-8", "replace")) for t in texts if t]
    if not np.isfinite(begins).all():
        if layout.discontinuous:
            lost = int(np.flatnonzero(~np.isfinite(begins))[0]) + 1
            raise InputError(
                f"{path}: discontinuous (EDF+D), and its record {lost} does not say when it began. {ADVICE}"
            )
        return None
    late = np.diff(begins) - layout.seconds
    rate = layout.samples / layout.seconds
    least = max((0.5 if layout.discontinuous else 1.5) / rate, _RESOLUTION)
    if (late < -least).any():
        at = int(np.flatnonzero(late < -least)[0])
        if layout.discontinuous:
            raise InputError(
                f"{path}: discontinuous (EDF+D), and its record {at + 2} begins at {begins[at + 1]:g} s, before the one"
                f" that begins at {begins[at]:g} s has ended. {ADVICE}"
            )
        return None  # times that cannot be, in a file that says that nothing is missing
    places = np.flatnonzero(late > least) + 1
    if not len(places):
        return None
    gap = float(late[places - 1].sum())
    notes = [
        f"{len(places)} interruption(s) of {gap:.6g} s in all, by the times of its records: what lies between them"
        " is not joined"
    ]
    if not layout.discontinuous:
        notes.append("the file says that it is continuous, and the times of its records say otherwise")
    marks, lost = _joined(entries, begins, layout.seconds, channels)
    if lost:
        notes.append(f"{lost} annotation(s) lie where nothing was recorded and were left out")
    return Times(tuple(int(p) * layout.samples for p in places), marks, tuple(notes))


def _is_as_long_as_it_says(path: Path, layout: Layout) -> bool:
    """Whether the last record begins as long after the first as all records before it last: then none is missing."""
    at, size = layout.annotations[0]
    times = []
    with path.open("rb") as f:
        for number in (0, layout.records - 1):
            f.seek(layout.start + number * layout.width + at)
            found = _ENTRY.match(f.read(size))
            times.append(float(found[1]) if found else float("nan"))
    late = times[1] - times[0] - (layout.records - 1) * layout.seconds
    return abs(late) < max(1.5 * layout.seconds / layout.samples, _RESOLUTION)


def _records(path: Path, layout: Layout) -> Iterator[tuple[int, bool, bytes]]:
    """(record, whether it is the first annotation channel, its bytes), in order."""
    if layout.width > _NARROW:  # jump from annotation to annotation
        with path.open("rb", buffering=0) as f:
            for number in range(layout.records):
                for place, (at, size) in enumerate(layout.annotations):
                    f.seek(layout.start + number * layout.width + at)
                    yield number, not place, f.read(size)
        return
    many = max(1, _BLOCK // layout.width)
    with path.open("rb") as f:
        f.seek(layout.start)
        for begin in range(0, layout.records, many):
            content = f.read(layout.width * min(many, layout.records - begin))
            for number in range(len(content) // layout.width):
                for place, (at, size) in enumerate(layout.annotations):
                    a = number * layout.width + at
                    yield begin + number, not place, content[a : a + size]


def _joined(
    entries: Sequence[tuple[float, float, str]],
    begins: npt.NDArray[np.float64],
    seconds: float,
    channels: Sequence[str],
) -> tuple[Marks, int]:
    """Annotations by the samples that are there; what covers a gap is as much shorter. And how many lie in gaps."""
    marks, lost = [], 0
    for onset, length, text in entries:
        record = int(np.searchsorted(begins, onset + 1e-9, "right")) - 1
        last = max(int(np.searchsorted(begins, onset + length + 1e-9, "right")) - 1, 0)
        inside = record >= 0 and onset - begins[record] < seconds
        if not inside and last <= record:
            lost += 1
            continue
        begin = record * seconds + onset - begins[record] if inside else (record + 1) * seconds
        end = last * seconds + min(onset + length - begins[last], seconds)
        label, _, channel = text.partition("@@")
        about = (channel,) if channel in channels else ()
        marks.append(Mark(float(begin), float(max(0.0, end - begin)), label if about else text, about))
    return Marks(tuple(sorted(marks, key=lambda m: m.onset))), lost
