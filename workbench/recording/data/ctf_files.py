"""The files of a CTF folder: whether the samples and markers that their headers count are there."""

from __future__ import annotations

import itertools
import math
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from workbench.core.errors import InputError
from workbench.data.companion import require_regular
from workbench.data.header_text import shortened, whole_number
from workbench.recording.data.brainvision_files import limited
from workbench.recording.data.extent import ADVICE, Checked, compare
from workbench.recording.data.fif_file import first_bytes

_HEAD = 8  # bytes before the samples of each part
_MOST_MARKERS = 100_000
_FILTERS, _NAMES, _CHANNEL, _COEFFICIENTS = 1844, 32, 1328, 1992
_PLACE = re.compile(r"\s*[+-]?\d{1,9}\s+[+-]?[\d.]{1,30}(e[+-]?\d{1,3})?\s*$", re.IGNORECASE | re.ASCII)
_CLOCK = "SCLK01"
_RESTORE = "Restore the file; to read the recording without its markers, move this file away."
_TEXTS = (".hc", ".eeg", ".pos", ".mrk", ".cls")


def check(folder: Path, allow_truncated: bool) -> Checked:
    """Compare the trials that the header counts with the parts of the samples, and read the list of markers.

    Raises
    ------
    InputError
        A file is missing or no regular one, a number cannot be, or trials are missing or too many.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: a file, a CTF recording is a folder with this ending. Give that folder.")
    stem = folder.name[: -len(".ds")]
    for member in sorted(folder.iterdir()):
        if not member.is_dir():
            require_regular(member)
            if member.suffix.lower() in _TEXTS or member.name in ("BadChannels", "bad.segments"):
                limited(member)
    header = folder / f"{stem}.res4"
    if not header.is_file():
        raise InputError(f"{folder}: no {header.name} in it. Name the header and the samples as the folder.")
    samples, channels, trials, done = _numbers(header)
    width = 4 * samples * channels
    found, cut = 0, None
    for part in _parts(folder, stem):
        whole, rest = divmod(max(part.stat().st_size - _HEAD, 0), width)
        found += whole
        if rest:  # what lies in later parts does not follow
            cut = part, whole, rest
            break
    left = "" if cut is None else f"{cut[2]} of the {width} bytes of another trial"
    if found != trials and found == done:
        trials = done  # the acquisition was ended before all trials that were planned
    allowed = None if found > trials else allow_truncated
    notes = compare(folder, trials * samples, found * samples, left, allowed=allowed)
    _check_markers(folder / "MarkerFile.mrk")
    breaks, said = _breaks(folder, stem, header, found)
    # A trial is stored channel after channel: one that is cut off lacks whole channels.
    return Checked(
        (*notes, *said), in_files=found * samples, breaks=breaks,
        copy=None if cut is None else _without(folder, cut[0], _HEAD + cut[1] * width),
    )  # fmt: skip


def _breaks(folder: Path, stem: str, header: Path, trials: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Samples at which the system clock jumps from one trial to the next, and what there is to say of it.

    The clock counts at a rate of its own, so a step of it is measured inside the first trial.
    """
    if trials < 2:
        return (), ()
    samples, channels, _, _ = _numbers(header)
    clock = next((n for n, name in enumerate(_names(header, channels)) if name.startswith(_CLOCK)), None)
    if clock is None:
        return (), (f"{trials} trials and no system clock ({_CLOCK}): they were read as one stretch without a break",)
    edges: list[tuple[int, int]] = []
    for part in _parts(folder, stem):
        with part.open("rb") as f:
            for number in range(max(part.stat().st_size - _HEAD, 0) // (4 * samples * channels)):
                start = _HEAD + 4 * (number * samples * channels + clock * samples)
                ends = []
                for at in (start, start + 4 * (samples - 1)):
                    f.seek(at)
                    ends.append(int.from_bytes(f.read(4), "big", signed=True))
                edges.append((ends[0], ends[1]))
    step = (edges[0][1] - edges[0][0]) / max(1, samples - 1)
    if step <= 0:
        return (), (f"its system clock ({_CLOCK}) stands still: {trials} trials were read as one stretch",)
    found = [
        (n + 1) * samples
        for n, ((_, before), (after, _)) in enumerate(itertools.pairwise(edges))
        if after > 0 and abs((after - before) / step - 1) > 1.5 + 1 / step
    ]
    said = f"{len(found)} interruption(s) between its trials, by the system clock: what lies between them is not joined"
    return tuple(found), (said,) if found else ()


def _names(header: Path, channels: int) -> list[str]:
    """Names of the channels, in the order of the samples."""
    with header.open("rb") as f:
        f.seek(_names_at(header))
        return [f.read(_NAMES).split(b"\0")[0].decode("latin-1") for _ in range(channels)]


def _numbers(header: Path) -> tuple[int, int, int, int]:
    """Samples of a trial, channels, trials planned and trials done."""
    size = header.stat().st_size
    with header.open("rb") as f:
        start = f.read(1844)
        if len(start) < _FILTERS:
            raise InputError(f"{header}: cut off: {size} bytes, expected at least {_FILTERS}. {ADVICE}")
        samples, channels = struct.unpack_from(">ih", start, 1288)
        rate, _, trials = struct.unpack_from(">ddh", start, 1296)
        (done,) = struct.unpack_from(">h", start, 1320)
        (described,) = struct.unpack_from(">i", start, 1836)
        whole_number(header, "the number of samples", str(samples), 1, 2**31 - 1)
        whole_number(header, "the number of channels", str(channels), 1, 32767)
        whole_number(header, "the number of trials", str(trials), 1, 32767)
        if not (math.isfinite(rate) and rate > 0):
            raise InputError(f"{header}: a sampling rate of {rate:g} Hz, expected a positive number. {ADVICE}")
        whole_number(header, "the length of the description", str(described), 0, size)
        position = _names_at(header) + channels * (_NAMES + _CHANNEL)
        f.seek(position)
        position += 2 + _COEFFICIENTS * _short(f.read(2), header, "the number of coefficients", 32767)
    if position > size:
        raise InputError(f"{header}: cut off: its channels need {position} bytes, the file has {size}. {ADVICE}")
    return samples, channels, trials, done


def _names_at(header: Path) -> int:
    """The byte at which the names of the channels begin, behind the description and the filters."""
    with header.open("rb") as f:
        f.seek(1836)
        position = _FILTERS + int.from_bytes(f.read(4), "big", signed=True)
        f.seek(position)
        position += 2
        for _ in range(_short(f.read(2), header, "the number of filters", 1000)):
            f.seek(position + 16)
            position += 18 + 8 * _short(f.read(2), header, "the number of parameters of a filter", 1000)
    return position


def _short(raw: bytes, header: Path, what: str, most: int) -> int:
    number = int.from_bytes(raw, "big", signed=True) if len(raw) == 2 else -1
    return whole_number(header, what, str(number), 0, most)


def _parts(folder: Path, stem: str) -> Iterator[Path]:
    """The files with the samples: those of a long recording are numbered."""
    number = 0
    while (part := folder / (f"{stem}.{number}_meg4" if number else f"{stem}.meg4")).is_file():
        yield part
        number += 1
    if not number:
        raise InputError(f"{folder}: no {stem}.meg4 in it, the file with the samples. {ADVICE}")


def _without(folder: Path, part: Path, size: int) -> Path:
    """A folder of links to the files of this one, and a copy of the whole trials of that part."""
    copy = first_bytes(part, size, folder.name)
    for member in folder.iterdir():
        place = copy.parent / member.name
        later = member.name.endswith("_meg4") and _number(member) > _number(part)
        if member.is_file() and not place.exists() and not later:
            try:
                place.symlink_to(member.resolve())
            except OSError:  # a system without links
                shutil.copyfile(member, place)
    return copy.parent


def _number(part: Path) -> int:
    found = re.search(r"\.(\d{1,9})_meg4$", part.name)
    return int(found[1]) if found else 0


def _check_markers(file: Path) -> None:
    """Walk through a list of markers as its reader does, which waits for ever for a line that is lost."""
    if not file.is_file():
        return
    lines = limited(file).decode("latin-1").splitlines()
    at, count = _count(file, lines, 0, "NUMBER OF MARKERS:")
    for _ in range(count):
        at = _after(file, lines, at, "NAME:") + 1
        name = lines[at - 1] if at <= len(lines) else ""
        at, places = _count(file, lines, at, "NUMBER OF SAMPLES:")
        at = _after(file, lines, at, "LIST OF SAMPLES:") + 1
        listed = 0
        while at + listed < len(lines) and _PLACE.match(lines[at + listed]):
            listed += 1
        if listed != places:
            raise InputError(f"{file}: marker {shortened(name)} counts {places} samples and lists {listed}. {_RESTORE}")
        at += listed


def _count(file: Path, lines: list[str], at: int, title: str) -> tuple[int, int]:
    at = _after(file, lines, at, title)
    text = lines[at].strip() if at < len(lines) else ""
    return at + 1, whole_number(file, title.rstrip(":"), text, 0, _MOST_MARKERS)


def _after(file: Path, lines: list[str], at: int, title: str) -> int:
    """The number of the line after the next one with that title."""
    for number in range(at, len(lines)):
        if lines[number].startswith(title):
            return number + 1
    raise InputError(f"{file}: the line '{title}' is missing. {_RESTORE}")
