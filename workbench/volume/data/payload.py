"""Compressed voxels, unpacked to their end and held against the checksum and length that the file states.

Libraries stop as soon as they have the bytes they want, or hand out what came before the fault: a flipped bit then
gives other voxels without a word.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reason

Packing = Literal["gzip", "zlib", "bzip2"]
Order = Literal["<", ">"]

_CHUNK = 1 << 16  # bytes read at once
_BLOCK = 1 << 20  # bytes unpacked at once, whatever a chunk promises


@dataclass(frozen=True)
class Packed:
    """Where compressed voxels lie in a file.

    Attributes
    ----------
    start, size
        First packed byte, and their number where the header states it.
    order
        Byte order of the voxels, ``"<"`` or ``">"``.
    skip
        Unpacked bytes before the first voxel.
    plain
        This file holds all voxels, components fastest, then x, y, z, t: they need nobody to arrange them.
    """

    path: Path
    packing: Packing
    start: int
    size: int | None
    order: Order
    skip: int = 0
    plain: bool = True


class _Damage(Exception):
    """What is wrong with a payload, without the file and the advice."""


def unpack(
    path: Path,
    packing: Packing,
    size: int,
    *,
    start: int = 0,
    packed_size: int | None = None,
    skip: int = 0,
    longer: int = 0,
) -> npt.NDArray[np.uint8]:
    """Unpack the payload of a file, in one pass, to its end.

    Parameters
    ----------
    path
        The file; a ``zlib`` payload that begins as gzip is taken as gzip.
    size
        Bytes promised after the first `skip` unpacked ones.
    start, packed_size
        Where the packed bytes lie in the file; up to its end by default.
    skip
        Unpacked bytes that are checked and left out (a header).
    longer
        So many more bytes than promised may follow; they are checked and left out.

    Returns
    -------
    ndarray of uint8
        Exactly `size` bytes, shape (size,), that may be written to.

    Raises
    ------
    InputError
        If a checksum or a length is not the one stated, or the payload ends early.
    """
    content = np.empty(size, np.uint8)
    _run(path, packing, content, size, start, packed_size, skip, longer)
    return content


def verify(
    path: Path, packing: Packing, size: int, *, start: int = 0, packed_size: int | None = None, longer: int = 0
) -> None:
    """Check as `unpack` does, and keep nothing: for files whose voxels another reader arranges."""
    _run(path, packing, None, size, start, packed_size, 0, longer)


def _run(
    path: Path,
    packing: Packing,
    content: npt.NDArray[np.uint8] | None,
    size: int,
    start: int,
    packed_size: int | None,
    skip: int,
    longer: int,
) -> None:
    done = 0
    try:
        with path.open("rb") as f:
            f.seek(start)
            for block in _blocks(_Stream(f, packed_size), packing):
                first, last = max(done, skip), min(done + len(block), skip + size)
                if content is not None and first < last:
                    content[first - skip : last - skip] = np.frombuffer(block, np.uint8)[first - done : last - done]
                done += len(block)
                if done > skip + size + longer:
                    raise _Damage(
                        f"more than the {size} bytes of voxels that the header promises are packed in it"
                        + (f", {longer + 1} or more" if longer else "")
                    )
        if done < skip + size:
            raise _Damage(f"{max(done - skip, 0)} bytes of voxels are packed in it, the header promises {size}")
    except _Damage as damage:
        raise InputError(f"{path}: damaged: {damage}. Copy or export it again.") from damage
    except OSError as error:
        raise InputError(f"{path}: the voxels cannot be read ({reason(error)}). Copy or export it again.") from error


class _Stream:
    """Packed bytes in chunks, of which some can be given back."""

    def __init__(self, file: BinaryIO, size: int | None) -> None:
        self._file, self._left, self._held = file, size, b""

    def chunk(self) -> bytes:
        """The next bytes, none at the end."""
        held, self._held = self._held, b""
        if held:
            return held
        read = self._file.read(_CHUNK if self._left is None else min(_CHUNK, self._left))
        if self._left is not None:
            self._left -= len(read)
        return read

    def give_back(self, rest: bytes) -> None:
        """These come next again."""
        self._held = rest + self._held

    def exactly(self, n: int, what: str) -> bytes:
        """The next `n` bytes, which are `what` of the payload."""
        read = b""
        while len(read) < n:
            if not (chunk := self.chunk()):
                raise _Damage(f"it ends within {what}")
            read += chunk
        self.give_back(read[n:])
        return read[:n]

    def skip_text(self, what: str) -> None:
        """Pass over a text that ends with a zero byte."""
        while chunk := self.chunk():
            _, zero, rest = chunk.partition(b"\0")
            if zero:
                self.give_back(rest)
                return
        raise _Damage(f"it ends within {what}")

    def rest_begins(self, magic: bytes) -> bool:
        """Whether another member follows; zeros up to the end are padding."""
        while chunk := self.chunk():
            if not chunk.strip(b"\0"):
                continue
            self.give_back(chunk)
            found = self.exactly(min(len(magic), len(chunk)), "the start of a member")
            self.give_back(found)
            if found == magic[: len(found)]:
                return True
            raise _Damage(f"after the packed voxels it goes on with {found!r}, expected its end or {magic!r}")
        return False

    def require_end(self) -> None:
        """Refuse anything but zeros up to the end: these are padding."""
        while chunk := self.chunk():
            if found := chunk.lstrip(b"\0"):
                raise _Damage(f"after the packed voxels it goes on with {found[:2]!r}, expected its end")


def _blocks(stream: _Stream, packing: Packing) -> Iterator[bytes]:
    if packing == "bzip2":
        yield from _bzip2(stream)
        return
    start = stream.exactly(2, "the start of the packed voxels")
    stream.give_back(start)
    if packing == "zlib" and start != b"\x1f\x8b":
        yield from _zlib(stream)
        return
    _gzip_header(stream)
    yield from _gzip_member(stream)
    while stream.rest_begins(b"\x1f\x8b"):
        _gzip_header(stream)
        yield from _gzip_member(stream)


def _zlib(stream: _Stream) -> Iterator[bytes]:
    start = stream.exactly(2, "the zlib header")
    if start[0] & 15 != 8 or int.from_bytes(start, "big") % 31 or start[1] & 32:
        raise _Damage(f"the packed voxels begin with {start!r}, which is neither zlib nor gzip")
    checksum = yield from _inflate(stream, zlib.adler32, 1)
    _compare("Adler-32", checksum, int.from_bytes(stream.exactly(4, "the checksum (Adler-32)"), "big"))
    stream.require_end()


def _gzip_header(stream: _Stream) -> None:
    start = stream.exactly(10, "the gzip header")
    flags = start[3]
    if start[:3] != b"\x1f\x8b\x08" or flags & 0xE0:
        raise _Damage(f"the packed voxels begin with {start[:4]!r}, which is no gzip")
    if flags & 4:
        stream.exactly(int.from_bytes(stream.exactly(2, "the gzip header"), "little"), "the gzip header")
    for text in (8, 16):  # name, comment
        if flags & text:
            stream.skip_text("the gzip header")
    if flags & 2:
        stream.exactly(2, "the gzip header")


def _gzip_member(stream: _Stream) -> Iterator[bytes]:
    length = 0

    def count(block: bytes, value: int) -> int:
        nonlocal length
        length += len(block)
        return zlib.crc32(block, value)

    checksum = yield from _inflate(stream, count, 0)
    end = stream.exactly(8, "the checksum (CRC32) and length of gzip")
    _compare("CRC32", checksum, int.from_bytes(end[:4], "little"))
    stated = int.from_bytes(end[4:], "little")
    if length % 2**32 != stated:
        raise _Damage(f"{length} bytes are packed in it, its gzip length states {stated}")


def _inflate(stream: _Stream, add: Callable[[bytes, int], int], checksum: int) -> Any:
    """Yield the blocks of one DEFLATE stream, return their checksum."""
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    length = 0
    while not engine.eof:
        packed = engine.unconsumed_tail or stream.chunk()
        try:
            block = engine.decompress(packed, _BLOCK)
        except zlib.error as error:
            raise _Damage(f"the packed voxels make no sense after about {length} bytes ({reason(error)})") from error
        if not packed and not block and not engine.eof:
            raise _Damage(f"the packed voxels end too early, after {length} unpacked bytes")
        checksum = add(block, checksum)
        length += len(block)
        yield block
    stream.give_back(engine.unused_data)
    return checksum


def _bzip2(stream: _Stream) -> Iterator[bytes]:
    """The streams of bzip2, whose library compares the checksum of each block and of each stream."""
    length, more = 0, True
    while more:
        engine = bz2.BZ2Decompressor()
        while not engine.eof:
            packed = stream.chunk() if engine.needs_input else b""
            if engine.needs_input and not packed:
                raise _Damage(f"the packed voxels end too early, after {length} unpacked bytes")
            try:
                block = engine.decompress(packed, _BLOCK)
            except OSError as error:
                raise _Damage(
                    f"the bzip2 data or a checksum of it is wrong after about {length} bytes ({reason(error)})"
                ) from error
            length += len(block)
            yield block
        stream.give_back(engine.unused_data)
        more = stream.rest_begins(b"BZh")


def _compare(name: str, found: int, stated: int) -> None:
    if found != stated:
        raise _Damage(f"the unpacked voxels have the checksum ({name}) {found:08x}, the file states {stated:08x}")
