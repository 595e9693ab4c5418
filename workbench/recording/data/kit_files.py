"""The header of a KIT (Ricoh, Yokogawa) file, and whether the samples that it counts are there."""

from __future__ import annotations

import math
import struct
from pathlib import Path

from workbench.core.errors import InputError
from workbench.data.header_text import whole_number
from workbench.recording.data.extent import ADVICE, Checked, compare

_ENTRY = struct.Struct("<Iiii")  # offset, size, most, count
_SYSTEM, _CHANNELS, _ACQUISITION, _SAMPLES, _POINTS, _COREGISTRATION = 1, 4, 8, 9, 12, 26
_CONTINUOUS = 1


def check(path: Path, allow_truncated: bool) -> Checked:
    """Compare the number of samples of the header with the block of samples.

    Raises
    ------
    InputError
        A number cannot be, or samples are missing or too many.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        blocks = _blocks(path, f.read(_ENTRY.size * 1024))
        f.seek(blocks[_SYSTEM][0])
        system = f.read(1024)
        f.seek(blocks[_ACQUISITION][0])
        acquisition = f.read(20)
    try:
        (channels,) = struct.unpack_from("<i", system, 268)
        bits = struct.unpack_from("<iii", system, _bits_at(*struct.unpack_from("<ii", system)))[1]
        kind, rate, _, samples = struct.unpack_from("<idii", acquisition)
    except struct.error as error:
        raise InputError(f"{path}: cut off: its header lies beyond its {size} bytes. {ADVICE}") from error
    whole_number(path, "the number of channels", str(channels), 1, 65535)
    _within(path, "channels", blocks[_CHANNELS][0], channels * blocks[_CHANNELS][1], size)
    _within(path, "points of the head", blocks[_POINTS][0], 32 * blocks[_POINTS][3], size)
    if kind != _CONTINUOUS:
        return Checked()  # averages and epochs, which MNE refuses
    if bits not in (16, 32) or not (math.isfinite(rate) and rate > 0):
        raise InputError(f"{path}: {bits} bits a sample at {rate:g} Hz, expected 16 or 32 at a positive rate. {ADVICE}")
    whole_number(path, "the number of samples", str(samples), 1, 2**31 - 1)
    start = blocks[_SAMPLES][0]
    end = min((b[0] for n, b in enumerate(blocks) if n not in (0, _SAMPLES) and start < b[0] <= size), default=size)
    width = channels * bits // 8
    found, rest = divmod(max(end - start, 0), width)
    left = f"{rest} of the {width} bytes of another" if rest else ""
    notes = compare(path, samples, found, left, allowed=allow_truncated)
    return Checked(notes, min(samples, found) if notes else None)


def _blocks(path: Path, start: bytes) -> list[tuple[int, int, int, int]]:
    """Offset, size, most and count of each block, from the table at the start of the file."""
    if len(start) < _ENTRY.size:
        raise InputError(f"{path}: {len(start)} bytes, which is no KIT file. {ADVICE}")
    count = _ENTRY.unpack_from(start)[3]
    if not _COREGISTRATION < count <= len(start) // _ENTRY.size:
        raise InputError(f"{path}: a table of {count} blocks, expected 27 to 1024. It is damaged, or no KIT file.")
    found = [_ENTRY.unpack_from(start, _ENTRY.size * n) for n in range(count)]
    for number, (_, size, _, used) in enumerate(found):
        if size < 0 or used < 0:
            raise InputError(f"{path}: block {number} has {used} parts of {size} bytes. {ADVICE}")
    return found


def _bits_at(version: int, revision: int) -> int:
    """Place of polarity, bits allocated and bits stored in the block about the system."""
    # Before them: names, channels, comment, dates, types and reserved bytes (716), then the range of voltages, which
    # early versions store as a whole number.
    return 716 + (4 if (version, revision) <= (2, 3) else 8)


def _within(path: Path, what: str, start: int, length: int, size: int) -> None:
    if length and start + length > size:
        raise InputError(f"{path}: its {what} need bytes up to {start + length}, the file has {size}. {ADVICE}")
