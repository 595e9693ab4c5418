"""The directories of a TIFF file, read and checked before GDAL or tifffile believe them.

Libraries go on where a file is cut off: a chain of pages that leads nowhere just ends, blocks that are missing are read
as zeros. Here every page, block and byte that a directory promises must be in the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.data.companion import require_regular
from workbench.data.found import FEW, Damaged
from workbench.data.geometry import MAX_DEFLATE_RATIO

MAX_PAGES = 4096
DEFLATE = (8, 32946)
LZMA = 34925

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_MOST_TAGS = 4096
_MOST_PIXELS = 1 << 31  # along one side
_MOST_RATIO = {8: MAX_DEFLATE_RATIO, 32946: MAX_DEFLATE_RATIO, 5: 1400, 32773: 65}  # deflate, LZW, PackBits
_KINDS = {1: "u", 2: "i", 3: "f", 5: "c", 6: "c"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _DESCRIPTION = 256, 257, 258, 259, 262, 270
_SPP, _PLANAR, _PAGE, _PREDICTOR, _FORMAT = 277, 284, 297, 317, 339
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets and counts
_WANTED = {254, 258, 259, 262, 266, 270, 273, 277, 278, 279, 284, 297, 317, 322, 323, 324, 325, 339, _WIDTH, _HEIGHT}


@dataclass(frozen=True, eq=False)
class Directory:
    """One page: its picture, and where the blocks (strips or tiles) of samples lie.

    Attributes
    ----------
    block
        (rows, columns) of a whole block; strips are as wide as the picture.
    offsets, counts
        First byte of each block and number of its bytes: from left to right, from top to bottom, then plane by plane.
    planes
        Samples of one band each lie in blocks of their own.
    """

    width: int
    height: int
    samples: int
    bits: tuple[int, ...]
    kind: str
    order: str
    compression: int
    predictor: int
    fill_order: int
    photometric: int
    planes: bool
    tiled: bool
    block: tuple[int, int]
    offsets: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint64]
    subfile: int
    description: str
    total_pages: int
    tags: frozenset[int]

    @property
    def is_full(self) -> bool:
        """Neither a smaller copy of another page nor a mask."""
        return not self.subfile & 5

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples in memory."""
        bits = max(self.bits)
        size = next((n for n in (1, 2, 4, 8, 16) if n * 8 >= bits), 0)
        name = f"{self.kind}{size}"
        try:
            return np.dtype(bool) if bits == 1 else np.dtype(name)
        except TypeError:
            return np.dtype("V1")

    @cached_property
    def stored(self) -> np.dtype[Any]:
        """Type of the samples in the file."""
        return self.dtype.newbyteorder("<" if self.order == "<" else ">")

    @cached_property
    def down(self) -> int:
        """Blocks from top to bottom."""
        return -(-self.height // self.block[0])

    @cached_property
    def across(self) -> int:
        """Blocks from left to right."""
        return -(-self.width // self.block[1])

    @property
    def empty_blocks(self) -> int:
        """Blocks that the file says it has not (GDAL's sparse files)."""
        return int((self.counts == 0).sum())

    @cached_property
    def row_bytes(self) -> int:
        """Unpacked bytes of a row of a block."""
        bits = max(self.bits) if self.planes else sum(self.bits)
        return -(-self.block[1] * bits // 8)

    def rows_of_blocks(self) -> npt.NDArray[np.int64]:
        """Rows that each block must have; those of tiles are filled up."""
        rows = np.full(self.down, self.block[0], np.int64)
        if not self.tiled:
            rows[-1] = self.height - (self.down - 1) * self.block[0]
        return np.tile(np.repeat(rows, self.across), self.samples if self.planes else 1)


def directories(path: Path) -> list[Directory]:
    """All pages of the main chain, each checked: what it promises lies in the file.

    Raises
    ------
    InputError
        With what the file promises and what is there.
    """
    require_regular(path)
    try:
        with path.open("rb") as f:
            return list(_Reader(path, f).pages())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give yourself read permission.") from error


class _Reader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._size = path.stat().st_size
        start = self._bytes(0, min(16, self._size), "the header")
        orders = {b"II": "<", b"MM": ">"}
        self._order = orders.get(start[:2], "")
        version = struct.unpack(self._order + "H", start[2:4])[0] if self._order and len(start) >= 8 else 0
        if version not in (42, 43) or (version == 43 and len(start) < 16):
            raise InputError(f"{path}: not a readable TIFF (it begins with {start[:4]!r}). Export or copy it again.")
        self._big = version == 43
        self._first = struct.unpack(self._order + ("Q" if self._big else "I"), start[8:16] if self._big else start[4:8])
        self._left = 2 * self._size + 65536  # bytes of values; more means that tags share them without end

    def _damaged(self, what: str) -> Damaged:
        return Damaged(f"{self._path}: damaged: {what}. Copy or export it again.")

    def _bytes(self, at: int, count: int, what: str) -> bytes:
        if at + count > self._size:
            raise self._damaged(f"{what} would end at byte {at + count}, the file ends at {self._size}")
        self._file.seek(at)
        found = self._file.read(count)
        if len(found) != count:
            raise self._damaged(f"{what} is cut off")
        return found

    def pages(self) -> Any:
        (at,) = self._first
        seen: set[int] = set()
        while at:
            if at in seen:
                raise self._damaged(f"the chain of its pages comes back to byte {at}")
            if len(seen) >= MAX_PAGES:
                raise InputError(f"{self._path}: more than {MAX_PAGES} pages, bands of one scene were expected.")
            seen.add(at)
            tags, values, at = self._tags(at, len(seen))
            yield self._directory(tags, values, len(seen))
        if not seen:
            raise InputError(f"{self._path}: not a readable TIFF (it has no page). Export or copy it again.")

    def _tags(self, at: int, page: int) -> tuple[frozenset[int], dict[int, Any], int]:
        """The tags that are there, the values of those wanted here, and the next page."""
        what = f"page {page}"
        head, entry, link = (8, 20, "Q") if self._big else (2, 12, "I")
        count = struct.unpack(self._order + ("Q" if self._big else "H"), self._bytes(at, head, what))[0]
        if not 1 <= count <= _MOST_TAGS:
            raise self._damaged(f"{what} has {count} tags, 1 to {_MOST_TAGS} were expected")
        width = struct.calcsize(link)
        body = self._bytes(at + head, count * entry + width, what)
        found: dict[int, Any] = {}
        tags = set()
        for i in range(count):
            raw = body[i * entry : (i + 1) * entry]
            tag, code, number = struct.unpack(self._order + ("HHQ" if self._big else "HHI"), raw[: entry - width])
            if code not in _SIZES:
                raise self._damaged(f"tag {tag} of {what} has the unknown type {code}")
            if tag in tags:
                raise self._damaged(f"tag {tag} of {what} is there twice")
            tags.add(tag)
            size = number * _SIZES[code]
            value = raw[entry - width :]
            start = struct.unpack(self._order + link, value)[0]
            if size > width and start + size > self._size:
                raise self._damaged(
                    f"tag {tag} of {what} would end at byte {start + size}, the file ends at {self._size}"
                )
            if tag not in _WANTED:
                continue
            self._left -= size
            if self._left < 0:
                raise self._damaged("its tags promise more values than the file has bytes")
            content = value[:size] if size <= width else self._bytes(start, size, f"tag {tag} of {what}")
            if tag == _DESCRIPTION:
                found[tag] = content.split(b"\0")[0].decode("utf-8", errors="replace")
            elif code in _WHOLE:
                found[tag] = np.frombuffer(content, self._order + _WHOLE[code]).astype(np.uint64)
            else:
                raise self._damaged(f"tag {tag} of {what} holds no whole numbers (type {code})")
        return frozenset(tags), found, struct.unpack(self._order + link, body[-width:])[0]

    def _directory(self, tags: frozenset[int], values: dict[int, Any], page: int) -> Directory:
        def one(tag: int, default: int | None = None) -> int:
            if tag not in values:
                if default is None:
                    raise self._damaged(f"page {page} has no tag {tag}")
                return default
            if len(values[tag]) == 0:
                raise self._damaged(f"tag {tag} of page {page} has no value")
            return int(values[tag][0])

        width, height, samples = one(_WIDTH), one(_HEIGHT), one(_SPP, 1)
        if not (1 <= width < _MOST_PIXELS and 1 <= height < _MOST_PIXELS and 1 <= samples < 65536):
            raise self._damaged(f"page {page} has {width} x {height} pixels of {samples} samples")
        bits = tuple(int(b) for b in values.get(_BITS, [1]))
        if len(bits) not in (1, samples) or not all(1 <= b <= 128 for b in bits):
            raise self._damaged(f"page {page} gives the bits of {len(bits)} samples, it has {samples}")
        formats = {int(v) for v in values.get(_FORMAT, [1])}
        if len(formats) != 1 or len(values.get(_FORMAT, [1])) not in (1, samples) or not formats <= {1, 2, 3, 4, 5, 6}:
            raise self._damaged(
                f"page {page} gives the sample formats {sorted(formats)[:4]}, one from 1 to 6 was expected"
            )
        tiled = 322 in values or 323 in values
        offsets, counts = _TILES if tiled else _STRIPS
        if offsets not in values or counts not in values:
            raise self._damaged(f"page {page} does not say where its samples lie")
        block = (one(323), one(322)) if tiled else (min(one(278, height), height), width)
        if not (1 <= block[0] < _MOST_PIXELS and 1 <= block[1] < _MOST_PIXELS):
            raise self._damaged(f"page {page} has blocks of {block[1]} x {block[0]} pixels")
        if one(_PLANAR, 1) not in (1, 2):
            raise self._damaged(f"page {page} has the planar configuration {one(_PLANAR)}, expected 1 or 2")
        pages = values.get(_PAGE, ())
        made = Directory(
            width, height, samples, bits if len(bits) == samples else bits * samples,
            _KINDS.get(one(_FORMAT, 1), "V"), self._order, one(_COMPRESSION, 1), one(_PREDICTOR, 1), one(266, 1),
            one(_PHOTOMETRIC, 1), one(_PLANAR, 1) == 2 and samples > 1, tiled, block, values[offsets], values[counts],
            one(254, 0), values.get(_DESCRIPTION, ""), int(pages[1]) if len(pages) == 2 else 0, tags,
        )  # fmt: skip
        self._check_blocks(made, page)
        return made

    def _check_blocks(self, d: Directory, page: int) -> None:
        """Every block there, within the file, and long enough for its rows."""
        expected = d.down * d.across * (d.samples if d.planes else 1)
        if not expected == len(d.offsets) == len(d.counts):
            raise self._damaged(
                f"page {page} of {d.width} x {d.height} pixels needs {expected} blocks, it lists {len(d.offsets)}"
                f" places and {len(d.counts)} lengths"
            )
        ends = d.offsets.astype(np.float64) + d.counts.astype(np.float64)
        if (ends > self._size).any():
            block = int(np.argmax(ends > self._size))
            raise self._damaged(
                f"block {block + 1} of page {page} would end at byte {ends[block]:.0f}, the file ends at {self._size}"
            )
        missing = d.counts == 0
        if (missing & (d.offsets != 0)).any():
            raise self._damaged(f"a block of page {page} has no bytes")
        needed = d.rows_of_blocks() * d.row_bytes
        there = d.counts.astype(np.int64)
        subsampled = d.photometric == 6 and d.samples == 3
        if d.compression == 1 and not subsampled:
            wrong = ~missing & ((there < needed) | (there > d.block[0] * d.row_bytes + FEW))
            if wrong.any():
                block = int(np.argmax(wrong))
                raise self._damaged(
                    f"block {block + 1} of page {page} has {there[block]} bytes, its pixels need {needed[block]}"
                )
        ratio = _MOST_RATIO.get(d.compression)
        if ratio is not None and (needed[~missing] > there[~missing] * ratio).any():
            raise self._damaged(f"page {page} promises more samples than its blocks can hold")
