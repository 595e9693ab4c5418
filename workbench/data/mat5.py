"""The container of MATLAB 5 to 7 files: names, shapes and types of arrays without reading them, then one array.

Written from MathWorks' description of the format ("MAT-File Format", level 5). scipy reads these files too, but damaged
ones can crash the interpreter in its compiled code, and a file that does not fit must end in one clear line.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2",
}  # fmt: skip
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED, _CELL, _CHAR = 14, 15, 1, 4
_HEAD = 4096  # flags, shape and name of an array always come first
_MAX_TEXT = 64 * 1024**2


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
    with path.open("rb") as f, _mapped(f) as body:
        order = _order(body)
        content = bytes(_content(body, entry))
    parts = list(_parts(content, order))
    if len(parts) < 4:  # flags, shape, name, samples
        raise Damaged("an array without samples")
    code, raw = parts[3]
    if code not in _STORED:
        raise Damaged(f"samples of the unknown type {code}")
    dtype = np.dtype(order + _STORED[code])
    count = int(np.prod(entry.shape, dtype=object))
    if len(raw) < count * dtype.itemsize:
        raise Damaged(f"{len(raw)} bytes where {count} x {dtype.itemsize} were promised")
    return np.frombuffer(raw, dtype, count).reshape(entry.shape, order="F")


def texts(path: Path, entry: Entry) -> list[str]:
    """The texts of a cell array; an empty text for a cell that holds something else."""
    with path.open("rb") as f, _mapped(f) as body:
        order = _order(body)
        content = bytes(_content(body, entry, _MAX_TEXT))
    cells = list(_parts(content, order))[3:]
    return [_text(raw, order) if code == _MATRIX else "" for code, raw in cells]


def _text(content: bytes, order: str) -> str:
    parts = list(_parts(content, order))
    if len(parts) < 4 or len(parts[0][1]) < 4 or _word(parts[0][1], order) & 0xFF != _CHAR:
        return ""
    code, raw = parts[3]
    coding = {4: "utf-16", 17: "utf-16", 18: "utf-32"}.get(code, "utf-8")
    end = "-le" if order == "<" else "-be"
    return raw.decode(coding if coding == "utf-8" else coding + end, errors="replace")


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
    at = 128
    while at + 8 <= len(body):
        code, size = np.frombuffer(body[at : at + 8], order + "u4").tolist()
        if code not in (_MATRIX, _COMPRESSED):
            raise Damaged(f"an element of the unknown type {code} at byte {at}")
        if at + 8 + size > len(body):
            raise Damaged(f"an array of {size} bytes at byte {at}, the file ends at {len(body)}")
        yield at + 8, size, code == _COMPRESSED
        # Packed elements follow each other without padding.
        at += 8 + (size if code == _COMPRESSED else -(-size // 8) * 8)


def _entry(body: mmap.mmap, order: str, start: int, size: int, packed: bool) -> Entry | None:
    if size == 0:
        return None
    raw = body[start : start + min(size, _HEAD)]
    head = _inflate(raw, _HEAD)[8:] if packed else raw
    parts = _parts(head, order)
    try:
        flags = next(parts)[1]
        sides = next(parts)[1]
        shape = tuple(np.frombuffer(sides[: len(sides) // 4 * 4], order + "i4").tolist()) if len(sides) >= 8 else ()
        name = next(parts)[1].decode("utf-8", errors="replace")[:64]
    except StopIteration:
        raise Damaged("an array without flags, shape or name") from None
    if len(flags) < 8 or len(shape) < 2 or any(n < 0 for n in shape):
        raise Damaged(f"an array of shape {shape}")
    if not name.isprintable():
        raise Damaged("an array whose name is no text")
    word = _word(flags, order)
    return Entry(name, shape, word & 0xFF, bool(word & 0x0800), start, size, packed)


def _content(body: mmap.mmap, entry: Entry, limit: int = 0) -> bytes:
    raw = body[entry.start : entry.start + entry.size]
    if not entry.packed:
        return raw
    # The most that flags, name and samples of 8 bytes can take, so that a small file cannot fill the memory.
    most = limit or _HEAD + 8 * int(np.prod(entry.shape, dtype=object)) * (2 if entry.complex else 1)
    return _inflate(raw, most)[8:]


def _inflate(raw: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(raw, most)
    except zlib.error as error:
        raise Damaged(f"a packed array cannot be unpacked ({error})") from error


def _parts(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, bytes) of the elements of an array; short ones hold their bytes in the tag. The last may be cut off."""
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
        yield code, content[at + 8 : at + 8 + size]
        at += 8 + -(-size // 8) * 8


def _word(raw: bytes, order: str) -> int:
    return int(np.frombuffer(raw[:4], order + "u4")[0])
