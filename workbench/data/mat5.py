"""The container of MATLAB 5 to 7 files: names, shapes and types of arrays without reading them, then one array.

Written from MathWorks' description of the format ("MAT-File Format", level 5). scipy reads these files too, but damaged
ones can crash the interpreter in its compiled code, and a file that does not fit must end in one clear line.

A packed array is unpacked to its end, where its checksum (Adler-32) and its length are compared, in the memory that its
shape promises.
"""

from __future__ import annotations

import math
import mmap
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.data.geometry import MAX_DEFLATE_RATIO

_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2",
}  # fmt: skip
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED, _CELL, _STRUCT, _CHAR = 14, 15, 1, 2, 4
_MOST_DEEP = 8  # structures within structures
_MOST_VALUES = 4_000_000
_LONGEST_FIELD = 256
_HEAD = 4096  # flags, shape and name of an array always come first
_MAX_TEXT = 64 * 1024**2
_MOST_ARRAYS = 65536
_MOST_AXES = 32
_LIKELY_RATIO = 64  # samples in a structure, whose number nothing says before it is unpacked
_BLOCK = 1 << 20  # bytes unpacked at once


class Damaged(ValueError):
    """The file is not what the format allows."""


@dataclass(frozen=True)
class Entry:
    """One top-level array: where it lies, and what its first bytes say."""

    name: str
    shape: tuple[int, ...]
    kind: int
    complex: bool
    start: int
    size: int
    packed: bool
    fields: tuple[str, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Type of a numeric array as MATLAB shows it, else ``None``."""
        return np.dtype(_CLASSES[self.kind]) if self.kind in _CLASSES else None


def order_of(start: bytes) -> str | None:
    """``"<"`` or ``">"`` from the first 128 bytes, ``None`` if this is no MATLAB 5 file."""
    return {b"IM": "<", b"MI": ">"}.get(start[126:128])


def entries(path: Path) -> list[Entry]:
    """The arrays of a file in order; only their first bytes are unpacked."""
    with path.open("rb") as f, _mapped(f) as body:
        order = _order(body)
        return [e for start, size, packed in _elements(body, order) if (e := _entry(body, order, start, size, packed))]


def numbers(path: Path, entry: Entry) -> npt.NDArray[Any]:
    """A numeric array in MATLAB's shape and in the type it is stored in, which may be smaller than the one shown."""
    count = math.prod(entry.shape)
    # The most that flags, name and samples of 8 bytes can take, so that a small file cannot fill the memory.
    most = _HEAD + 8 * count * (2 if entry.complex else 1)
    with path.open("rb") as f, _mapped(f) as body:
        order = _order(body)
        content = _content(f, entry, order, most)
    parts = list(_parts(content, order, whole=True))
    wanted = 5 if entry.complex else 4
    if len(parts) != wanted:  # flags, shape, name, samples
        raise Damaged(f"an array of {len(parts)} parts, expected {wanted}")
    for code, raw in parts[3:]:
        if code not in _STORED:
            raise Damaged(f"samples of the unknown type {code}")
        if len(raw) != count * np.dtype(_STORED[code]).itemsize:
            raise Damaged(f"{len(raw)} bytes where {count} x {np.dtype(_STORED[code]).itemsize} were promised")
    code, raw = parts[3]
    found = np.frombuffer(raw, order + _STORED[code], count).reshape(entry.shape, order="F")
    _require_fits(found, entry)
    return found


def _require_fits(found: npt.NDArray[Any], entry: Entry) -> None:
    """MATLAB stores numbers in a smaller type than the one shown, never in one that loses something."""
    shown = entry.dtype
    if shown is None or np.can_cast(found.dtype, shown, "safe"):
        return
    with np.errstate(all="ignore"):
        if not np.array_equal(found.astype(shown).astype(found.dtype), found, equal_nan=found.dtype.kind == "f"):
            raise Damaged(f"samples stored as {found.dtype.name} that are no {shown.name}")


def texts(path: Path, entry: Entry) -> list[str]:
    """The texts of a cell array; an empty text for a cell that holds something else."""
    with path.open("rb") as f, _mapped(f) as body:
        order = _order(body)
        content = _content(f, entry, order, _MAX_TEXT)
    cells = list(_parts(content, order, whole=True))[3:]
    return [_text(raw, order) if code == _MATRIX else "" for code, raw in cells]


def _text(content: memoryview, order: str) -> str:
    parts = list(_parts(content, order, whole=True))
    if len(parts) < 4 or len(parts[0][1]) < 4 or _word(parts[0][1], order) & 0xFF != _CHAR:
        return ""
    code, raw = parts[3]
    coding = {4: "utf-16", 17: "utf-16", 18: "utf-32"}.get(code, "utf-8")
    end = "-le" if order == "<" else "-be"
    return bytes(raw).decode(coding if coding == "utf-8" else coding + end, errors="replace")


Wanted = Mapping[str, "Wanted"]
"""Names of the fields that are read of a structure, and what is read of those within; all of them if it is empty."""


def value(path: Path, entry: Entry, wanted: Wanted) -> Any:
    """A variable as plain values.

    Returns
    -------
    Any
        Numbers as an array in MATLAB's shape and the type that they are stored in, a line of text as `str`, a structure
        as a list of its elements (each a `dict`), a cell array as a `tuple`; ``None`` for anything else (objects,
        functions, sparse and complex arrays).
    """
    with path.open("rb") as f, _mapped(f) as body:
        order = _order(body)
        content = _content(f, entry, order, _MAX_TEXT + _LIKELY_RATIO * entry.size)
    return _Values(order).of(content, wanted, 0)


class _Values:
    """Unpacks the elements of one variable, and counts them."""

    def __init__(self, order: str) -> None:
        self.order, self.left = order, _MOST_VALUES

    def of(self, content: memoryview, wanted: Wanted, depth: int) -> Any:
        if not len(content):  # how an empty field is stored
            return np.empty((0, 0))
        parts = _parts(content, self.order, whole=True)
        head = [raw for _, raw in islice(parts, 3)]
        if len(head) < 3 or len(head[0]) < 4 or len(head[1]) < 8 or len(head[1]) % 4:
            raise Damaged("an array without flags, shape or name")
        word = _word(head[0], self.order)
        shape = tuple(np.frombuffer(head[1], self.order + "i4").tolist())
        if len(shape) > _MOST_AXES or any(n < 0 for n in shape):
            raise Damaged(f"an array of shape {shape[:_MOST_AXES]}")
        kind, count = word & 0xFF, math.prod(shape)
        if kind in (_CELL, _STRUCT):
            if depth >= _MOST_DEEP:
                raise Damaged(f"structures within structures, more than {_MOST_DEEP} of them")
            return (
                self._cells(parts, count, wanted, depth) if kind == _CELL else self._fields(parts, count, wanted, depth)
            )
        if kind == _CHAR:
            text = _text(content, self.order)
            return text if shape[0] == 1 or not count else None
        if kind not in _CLASSES or word & 0x0800:
            return None
        code, raw = next(parts, (0, memoryview(b"")))
        if code not in _STORED or len(raw) != count * np.dtype(_STORED[code]).itemsize:
            raise Damaged(f"{len(raw)} bytes of type {code} where {count} numbers were promised")
        return np.frombuffer(raw, self.order + _STORED[code], count).reshape(shape, order="F")

    def _cells(
        self, parts: Iterator[tuple[int, memoryview]], count: int, wanted: Wanted, depth: int
    ) -> tuple[Any, ...]:
        return tuple(self.of(raw, wanted, depth + 1) for raw in self._matrices(parts, count))

    def _fields(
        self, parts: Iterator[tuple[int, memoryview]], count: int, wanted: Wanted, depth: int
    ) -> list[dict[str, Any]]:
        length, names = next(parts, (0, memoryview(b"")))[1], next(parts, (0, memoryview(b"")))[1]
        width = _word(length, self.order) if len(length) == 4 else 0
        if not 0 < width <= _LONGEST_FIELD or len(names) % width:
            raise Damaged(f"a structure whose names take {width} bytes each")
        fields = [
            bytes(names[at : at + width]).split(b"\0")[0].decode("ascii", "replace")
            for at in range(0, len(names), width)
        ]
        found: list[dict[str, Any]] = []
        for number, raw in enumerate(self._matrices(parts, count * len(fields))):
            name = fields[number % len(fields)]
            if number % len(fields) == 0:
                found.append({})
            if not wanted or name in wanted:
                found[-1][name] = self.of(raw, wanted.get(name, {}), depth + 1)
        return found

    def _matrices(self, parts: Iterator[tuple[int, memoryview]], count: int) -> Iterator[memoryview]:
        """So many arrays, and no more."""
        self.left -= count
        if self.left < 0:
            raise Damaged(f"more than {_MOST_VALUES} values")
        for _ in range(count):
            code, raw = next(parts, (0, memoryview(b"")))
            if code != _MATRIX:
                raise Damaged("a structure or list with fewer values than it promises")
            yield raw
        if next(parts, None) is not None:
            raise Damaged("a structure or list with more values than it promises")


def _mapped(f: Any) -> mmap.mmap:
    try:
        return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError as error:  # an empty file
        raise Damaged("the file is empty") from error


def _order(body: mmap.mmap) -> str:
    order = order_of(body[:128])
    if order is None:
        raise Damaged("it does not begin as a MATLAB file")
    return order


def _elements(body: mmap.mmap, order: str) -> Iterator[tuple[int, int, bool]]:
    """(start, size, packed) of each top-level array."""
    at, number = 128, 0
    while at + 8 <= len(body):
        number += 1
        if number > _MOST_ARRAYS:
            raise Damaged(f"more than {_MOST_ARRAYS} arrays")
        code, size = np.frombuffer(body[at : at + 8], order + "u4").tolist()
        if code not in (_MATRIX, _COMPRESSED):
            raise Damaged(f"an element of the unknown type {code} at byte {at}")
        if at + 8 + size > len(body):
            raise Damaged(f"an array of {size} bytes at byte {at}, the file ends at {len(body)}")
        yield at + 8, size, code == _COMPRESSED
        # Packed elements follow each other without padding.
        at += 8 + (size if code == _COMPRESSED else -(-size // 8) * 8)
    if any(body[at:]):
        raise Damaged(f"it ends within an array, at byte {len(body)}")


def _entry(body: mmap.mmap, order: str, start: int, size: int, packed: bool) -> Entry | None:
    if size == 0:
        return None
    head = memoryview(body[start : start + min(size, _HEAD)])
    if packed:
        head = memoryview(_inflate(bytes(head), _HEAD))
        if len(head) < 8 or _word(head, order) != _MATRIX:
            raise Damaged("a packed element that is no array")
        head = head[8:]
    parts = _parts(head, order)
    try:
        flags_code, flags = next(parts)
        sides_code, sides = next(parts)
        shape = tuple(np.frombuffer(sides[: len(sides) // 4 * 4], order + "i4").tolist()) if len(sides) >= 8 else ()
        name = bytes(next(parts)[1]).decode("utf-8", errors="replace")[:64]
    except StopIteration:
        raise Damaged("an array without flags, shape or name") from None
    if (flags_code, sides_code) != (6, 5):
        raise Damaged("an array without flags or shape")
    if len(flags) != 8 or not 2 <= len(shape) <= _MOST_AXES or any(n < 0 for n in shape):
        raise Damaged(f"an array of shape {shape[:_MOST_AXES]}")
    if not name.isprintable():
        raise Damaged("an array whose name is no text")
    word = _word(flags, order)
    fields = _fields(parts, order) if word & 0xFF == _STRUCT else ()
    return Entry(name, shape, word & 0xFF, bool(word & 0x0800), start, size, packed, fields)


def _fields(parts: Iterator[tuple[int, memoryview]], order: str) -> tuple[str, ...]:
    """Names of the fields of a structure, those that its first bytes hold."""
    length, names = next(parts, (0, memoryview(b"")))[1], next(parts, (0, memoryview(b"")))[1]
    width = _word(length, order) if len(length) == 4 else 0
    if not 0 < width <= _LONGEST_FIELD:
        return ()
    found = [bytes(names[at : at + width]).split(b"\0")[0] for at in range(0, len(names), width)]
    return tuple(name.decode("ascii", errors="replace") for name in found if name)


def _content(f: Any, entry: Entry, order: str, most: int) -> memoryview:
    """All bytes of an array, unpacked, with its checksum and length compared; refuses more than `most`."""
    f.seek(entry.start)
    raw = f.read(entry.size)
    if len(raw) != entry.size:
        raise Damaged(f"{len(raw)} bytes where {entry.size} were promised")
    if not entry.packed:
        return memoryview(raw)
    size = int(np.frombuffer(_inflate(raw, 8)[4:], order + "u4")[0])
    most = min(most, len(raw) * MAX_DEFLATE_RATIO)
    if size > most:
        raise Damaged(f"a packed array of {size} bytes, at most {most} were expected")
    return _unpacked(raw, size)


def _unpacked(raw: bytes, size: int) -> memoryview:
    """What is packed behind the tag of an array: exactly `size` bytes."""
    engine = zlib.decompressobj()
    found = np.empty(8 + size, np.uint8)
    done, packed = 0, raw
    try:
        while not engine.eof:
            block = engine.decompress(packed, _BLOCK)
            packed = engine.unconsumed_tail
            if not block and not packed and not engine.eof:
                raise Damaged(f"a packed array that ends after {max(0, done - 8)} of {size} bytes")
            if done + len(block) > len(found):
                raise Damaged(f"a packed array that goes on after the {size} bytes that it promises")
            found[done : done + len(block)] = np.frombuffer(block, np.uint8)
            done += len(block)
    except zlib.error as error:
        raise Damaged(f"a packed array cannot be unpacked ({error})") from error
    if done != len(found) or engine.unused_data:
        raise Damaged(f"a packed array of {max(0, done - 8)} bytes, it promises {size}")
    return memoryview(found.data)[8:]


def _inflate(raw: bytes, most: int) -> bytes:
    """The first unpacked bytes; what follows is not looked at."""
    try:
        return zlib.decompressobj().decompress(raw, most)
    except zlib.error as error:
        raise Damaged(f"a packed array cannot be unpacked ({error})") from error


def _parts(content: memoryview, order: str, *, whole: bool = False) -> Iterator[tuple[int, memoryview]]:
    """(type, bytes) of the elements of an array; short ones hold their bytes in the tag.

    Unless the array is there as a whole, its last element may be cut off.
    """
    at = 0
    while at + 8 <= len(content):
        code, size = np.frombuffer(content[at : at + 8], order + "u4").tolist()
        if code >> 16:
            code, size = code & 0xFFFF, code >> 16
            if size > 4:
                raise Damaged(f"a short element of {size} bytes")
            yield code, content[at + 4 : at + 4 + size]
            at += 8
            continue
        if whole and at + 8 + size > len(content):
            raise Damaged(f"an element of {size} bytes where {len(content) - at - 8} are left")
        yield code, content[at + 8 : at + 8 + size]
        at += 8 + -(-size // 8) * 8


def _word(raw: bytes | memoryview, order: str) -> int:
    return int(np.frombuffer(raw[:4], order + "u4")[0])
