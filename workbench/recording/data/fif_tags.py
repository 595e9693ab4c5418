"""The tags of a FIF file: a walk over them that reads no samples, and checks of what readers believe of them."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from workbench.core.errors import InputError
from workbench.recording.data.extent import ADVICE

FILE_ID, DIR_POINTER, DIRECTORY, BLOCK_START, BLOCK_END = 100, 101, 102, 104, 105
CHANNELS, RATE, CHANNEL, DATE, FIRST_SAMPLE, BUFFER, SKIP = 200, 201, 203, 204, 208, 300, 301
REF_ROLE, REF_NUMBER, REF_NAME = 115, 117, 118
MEASUREMENT, EVOKED, REFERENCE, EPOCHS = 101, 104, 118, 373
CONTINUOUS = frozenset({102, 112, 119})  # raw data, continuous data, data recorded with active shielding

SAMPLE_BYTES = {2: 2, 16: 2, 3: 4, 4: 4, 5: 8, 20: 8, 21: 16}
"""Type of a buffer of samples -> bytes of one."""

_ITEM_BYTES = SAMPLE_BYTES | {6: 4}
_MATRIX, _DENSE = 0xFFFF0000, 0x40000000
_DIG_STRING = 36
_MOST_TAGS, _DEEPEST = 1_000_000, 100
_HEAD = struct.Struct(">4i")


class Tag(NamedTuple):
    """Kind, type, bytes and place of one tag."""

    kind: int
    type: int
    length: int
    position: int


@dataclass
class Tags:
    """The tags of a file in order, and the values that the checks need."""

    tags: list[Tag] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)
    values: dict[int, list[int]] = field(default_factory=dict)
    rate: float = math.nan
    date: bytes = b""
    names: list[bytes] = field(default_factory=list)
    scaled_to_nothing: str = ""
    rest: int = 0
    cut: str = ""

    @property
    def kinds(self) -> set[int]:
        """Kinds of the blocks."""
        return {kind for kind, _ in self.blocks}

    def value(self, kind: int, default: int) -> int:
        """The whole number in the first tag of that kind."""
        return next(iter(self.values.get(kind, ())), default)

    def channels(self) -> int:
        """How many channels were measured; 0 if nothing says so.

        Projections (SSP) and the record of a cleaning (SSS) say how many they concern, before that.
        """
        opened, blocks, numbers = list[int](), iter(self.blocks), iter(self.values.get(CHANNELS, ()))
        for kind, *_ in self.tags:
            if kind == BLOCK_START:
                opened.append(next(blocks)[0])
            elif kind == BLOCK_END:
                del opened[-1:]
            elif kind == CHANNELS:
                number = next(numbers)
                if opened[-1:] == [MEASUREMENT]:
                    return number
        return self.value(CHANNELS, 0)


_NUMBERS = (DIR_POINTER, CHANNELS, FIRST_SAMPLE, SKIP)


def walk(file: Path, path: Path) -> Tags:
    """Go from tag to tag to the end of a file.

    Parameters
    ----------
    path
        The name for messages, where `file` is an unpacked copy.

    Returns
    -------
    Tags
        All that are whole; `Tags.cut` says in words whether the file is cut off behind them, `Tags.rest` counts the
        bytes behind its last tag.

    Raises
    ------
    InputError
        It is no FIF file, or its tags cannot be.
    """
    size = file.stat().st_size
    if not size:
        raise InputError(f"{path}: the file is empty, a FIF file was expected.")
    found = Tags()
    deep = 0
    with file.open("rb") as f:
        position = 0
        while position < size:
            f.seek(position)
            head = f.read(16)
            if len(head) < 16:
                found.cut = f"a tag begins at byte {position} and the file ends at {size}"
                break
            kind, sort, length, following = _HEAD.unpack(head)
            if not found.tags and kind != FILE_ID:
                raise InputError(f"{path}: not a FIF file (its first tag is {kind}, {FILE_ID} was expected).")
            end = position + 16 + length
            if length < 0 or following < -1 or end > size:
                found.cut = f"a tag needs bytes up to {end}, the file has {size}"
                break
            tag = Tag(kind, sort, length, position)
            deep += _read(f, path, tag, found)
            if deep > _DEEPEST or len(found.tags) >= _MOST_TAGS:
                raise damaged(path, f"more than {_DEEPEST} blocks in each other, or {_MOST_TAGS} tags")
            found.tags.append(tag)
            if following == -1:
                found.rest = size - end
                _look_behind(f, path, found, end)
                break
            if 0 < following <= position:
                raise InputError(f"{path}: the tags of this FIF file lead in a circle. Export it again.")
            if following > end:
                _look_into_hole(f, path, end, min(following, size))
            position = following or end
        if deep > 0 and not found.cut:
            found.cut = f"{deep} block(s) never end"
        if not found.cut:
            _compare_directory(f, path, found, size)
    return found


def _look_behind(f: BinaryIO, path: Path, found: Tags, end: int) -> None:
    """Refuse a second file behind the first; its own directory may lie there."""
    f.seek(end)
    head = f.read(16)
    if len(head) == 16:
        kind, _, length, _ = _HEAD.unpack(head)
        if kind == FILE_ID:
            raise InputError(
                f"{path}: ends at byte {end}, and another FIF file follows: only the first would be read. Keep each"
                " recording in a file of its own."
            )
        if kind == DIRECTORY and end == found.value(DIR_POINTER, -1):
            found.rest -= 16 + length


def _look_into_hole(f: BinaryIO, path: Path, start: int, stop: int) -> None:
    """Refuse bytes that the tags jump over where samples lie in them: nobody would miss them."""
    position = start
    while position + 16 <= stop:
        f.seek(position)
        kind, sort, length, _ = _HEAD.unpack(f.read(16))
        if length < 0 or position + 16 + length > stop:
            return
        if kind == BUFFER and sort in SAMPLE_BYTES:
            raise damaged(path, f"the tag before byte {start} jumps to byte {stop}, over samples at byte {position}")
        position += 16 + length


def _read(f: BinaryIO, path: Path, tag: Tag, found: Tags) -> int:
    """Check one tag and keep what it says; how many blocks deeper the next one lies."""
    kind, sort, length, position = tag
    if sort & _MATRIX and length:
        _check_matrix(f, path, tag)
    if sort == _DIG_STRING and length:
        head = f.read(12)
        count = int.from_bytes(head[8:12], "big", signed=True)
        if not 0 <= 12 + 12 * count <= length:
            raise damaged(path, f"{count} points in {length} bytes at byte {position}")
    if kind == BLOCK_START:
        if length < 4:
            raise damaged(path, f"a block without a kind at byte {position}")
        found.blocks.append((struct.unpack(">i", f.read(4))[0], position))
        return 1
    if kind in _NUMBERS:
        if sort != 3 or length != 4:
            raise damaged(path, f"{length} bytes at byte {position}, a whole number was expected")
        found.values.setdefault(kind, []).append(struct.unpack(">i", f.read(4))[0])
    if kind == DATE and not found.date:
        found.date = f.read(min(length, 16))
    if kind == CHANNEL and length == 96:
        _read_channel(path, f.read(length), found)
    if kind == RATE and (sort, length) in ((4, 4), (5, 8)):
        found.rate = float(struct.unpack(">f" if length == 4 else ">d", f.read(length))[0])
    return -1 if kind == BLOCK_END else 0


def _read_channel(path: Path, raw: bytes, found: Tags) -> None:
    """Keep the name of a channel, and look at the two numbers that all its samples are multiplied by."""
    found.names.append(raw[80:96])
    name = raw[80:96].split(b"\0")[0].decode("latin-1")
    for what, scale in zip(("range", "calibration"), struct.unpack_from(">2f", raw, 12), strict=True):
        if not math.isfinite(scale):
            raise damaged(path, f"the {what} of channel {name!r} is {scale:g}, a number was expected")
        if not scale and not found.scaled_to_nothing:
            found.scaled_to_nothing = f"the {what} of channel {name!r} is 0, which makes all its samples 0"


def _check_matrix(f: BinaryIO, path: Path, tag: Tag) -> None:
    """Whether the sides of a matrix fit its bytes: a reader makes room for them."""
    width = _ITEM_BYTES.get(tag.type & 0xFFFF, 0)
    room = tag.length - 4
    f.seek(tag.position + 16 + room)
    sides = int.from_bytes(f.read(4), "big", signed=True)
    dense = (tag.type & _MATRIX) == _DENSE
    count = sides if dense else sides + 1
    if 0 < sides <= 3 and 4 * count <= room:
        f.seek(tag.position + 16 + room - 4 * count)
        shape = struct.unpack(f">{count}i", f.read(4 * count))
        if dense:
            if min(shape) >= 0 and width * math.prod(shape) == room - 4 * count:
                return
        elif min(shape) >= 0 and shape[0] * (width + 4) <= room and max(shape[1:]) * 4 <= 64 * room:
            return
    raise damaged(path, f"a matrix whose sides do not fit its {tag.length} bytes at byte {tag.position}")


def _compare_directory(f: BinaryIO, path: Path, found: Tags, size: int) -> None:
    """Whether the directory of a file, which readers believe, lists the tags that are there."""
    pointer = found.value(DIR_POINTER, -1)
    if pointer <= 0:
        return
    if pointer + 16 > size:
        found.cut = f"its directory lies at byte {pointer}, the file has {size}"
        return
    f.seek(pointer)
    kind, _, length, _ = _HEAD.unpack(f.read(16))
    if kind != DIRECTORY or length % 16 or pointer + 16 + length > size:
        raise damaged(path, f"no directory at byte {pointer}")
    listed = {_HEAD.unpack_from(entries, 16 * n) for entries in (f.read(length),) for n in range(length // 16)}
    listed = {entry for entry in listed if entry[0] >= 0}
    there = set(found.tags)
    missing = [t for t in there if t.kind == BUFFER and tuple(t) not in listed]
    if listed - there or missing:
        raise damaged(path, f"its directory differs from its tags in {len(listed - there) + len(missing)} places")


def damaged(path: Path, why: str) -> InputError:
    """A FIF file that no copying will mend."""
    return InputError(f"{path}: damaged FIF file: {why}. {ADVICE}")


def truncated(path: Path, why: str, advice: str = ADVICE) -> InputError:
    """A FIF file of which the end is missing."""
    return InputError(f"{path}: truncated FIF file: {why}. {advice}")
