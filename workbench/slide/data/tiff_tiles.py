"""Tiles of a TIFF as they are stored: decoded one by one, several threads at once, the last ones kept."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, one_line
from workbench.slide.data.tiff_pages import JPEG, RGB, Page

WHITE = 255
_ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""The marker that says that no colours were turned (Adobe TN 5116)."""
_END, _PADDING = b"\xff\xd9", 16
_CACHE_BYTES = 128 << 20
_LARGE = 1 << 24
"""Pixels of a tile or strip from which one thread unpacks it, and the others wait."""


class TiffTiles:
    """Regions of pages of a TIFF with red, green and blue of 8 bits in one plane.

    Parameters
    ----------
    path
        The file, for messages.
    file
        It, opened (`tifffile.TiffFile`); closed when nobody has these tiles any more.
    pages
        The page of every level.
    """

    def __init__(self, path: Path, file: Any, pages: Sequence[Page]) -> None:
        self.path = path
        self.pages = list(pages)
        self._handle = file.filehandle
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], npt.NDArray[np.uint8]] = OrderedDict()
        self._kept_bytes = 0
        self._agrees: dict[int, bool] = {}  # by level: whether the strict decoder gave the same pixels as tifffile
        # The image that reads from it may live as long as a window.
        weakref.finalize(self, file.close)

    def read(self, level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        """A region of a level, ``(height, width, 3)``: the tiles or strips that it touches are decoded.

        Raises
        ------
        InputError
            One of them cannot be decoded.
        """
        high, wide = self.pages[level].chunk
        out = np.zeros((height, width, 3), np.uint8)
        for r, c, index in self.touched(level, row, column, height, width):
            tile = self.tile(level, index)
            top, left = r * high, c * wide
            a, b = max(row, top), min(row + height, top + tile.shape[0])
            d, e = max(column, left), min(column + width, left + tile.shape[1])
            out[a - row : b - row, d - column : e - column] = tile[a - top : b - top, d - left : e - left]
        return out

    def touched(self, level: int, row: int, column: int, height: int, width: int) -> list[tuple[int, int, int]]:
        """(row, column, number) of the tiles of a level that a region touches."""
        page = self.pages[level]
        high, wide = page.chunk
        return [
            (r, c, r * page.across + c)
            for r in range(row // high, -(-(row + height) // high))
            for c in range(column // wide, -(-(column + width) // wide))
        ]

    def is_stored(self, level: int, index: int) -> bool:
        """Whether a tile has bytes: what was never scanned has none."""
        return self.pages[level].counts[index] > 0

    def tile(self, level: int, index: int) -> npt.NDArray[np.uint8]:
        """A tile of a level by its number; white where it was never scanned."""
        if (found := self._find(level, index)) is not None:
            return found
        chunk = self.pages[level].chunk
        if chunk[0] * chunk[1] < _LARGE:
            return self._keep(level, index, self._decoded(level, index))
        with self._alone:
            found = self._find(level, index)
            return self._keep(level, index, self._decoded(level, index)) if found is None else found

    def _find(self, level: int, index: int) -> npt.NDArray[np.uint8] | None:
        with self._lock:
            found = self._kept.get((level, index))
            if found is not None:
                self._kept.move_to_end((level, index))
            return found

    def _keep(self, level: int, index: int, found: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        with self._lock:
            if (level, index) not in self._kept:
                self._kept[level, index] = found
                self._kept_bytes += found.nbytes
            while self._kept_bytes > _CACHE_BYTES and len(self._kept) > 1:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return found

    def _decoded(self, level: int, index: int) -> npt.NDArray[np.uint8]:
        page = self.pages[level]
        try:
            content = self._bytes(page.offsets[index], page.counts[index])
            if content is None:
                return np.full((*page.size_of(index), 3), WHITE, np.uint8)
            strict = None
            if page.compression == JPEG and self._agrees.get(level, True):
                strict = _strict(page, content, index)
            if strict is not None and level in self._agrees:
                return strict
            found = _by_tifffile(page, content, index)
            if strict is not None:
                self._agrees[level] = bool(np.array_equal(strict, found))
            return found
        # RuntimeError: those of imagecodecs; MemoryError and the others: what damaged tags do to tifffile
        except (OSError, ValueError, RuntimeError, IndexError, TypeError, KeyError, MemoryError) as error:
            what = f"{self.path}: level {level}, tile {index}"
            raise InputError(f"{what} cannot be decoded ({one_line(error) or type(error).__name__})") from error

    def _bytes(self, offset: int, count: int) -> bytes | None:
        if not count:
            return None
        if offset + count > self._handle.size:
            raise ValueError("its bytes lie beyond the end of the file; copy it again")
        if hasattr(os, "pread"):
            return os.pread(self._handle.fileno(), count, offset)
        with self._lock:
            self._handle.seek(offset)
            return bytes(self._handle.read(count))


def _by_tifffile(page: Page, content: bytes, index: int) -> npt.NDArray[np.uint8]:
    tables = {} if page.tables is None else {"jpegtables": page.tables}
    decoded, _, shape = page.page.decode(content, index, **tables)
    found = np.ascontiguousarray(decoded[0, : shape[1], : shape[2]])
    if found.ndim != 3 or found.shape[2] != 3 or found.dtype != np.uint8:
        raise ValueError(f"{found.shape} of {found.dtype} come out of it")
    return found


def _strict(page: Page, content: bytes, index: int) -> npt.NDArray[np.uint8]:
    """A tile in JPEG; bytes that are damaged, or of another size, are a ValueError, where others give grey."""
    import simplejpeg

    if page.tables is not None:  # they stand once for all tiles: between the beginning and the rest of each
        content = page.tables[:-2] + content[2:]
    if page.photometric == RGB:
        content = content[:2] + _ADOBE_RGB + content[2:]
    if (
        _END not in content[-_PADDING:]
    ):  # some writers leave the last marker out; what is cut off is refused all the same
        content += _END
    size = simplejpeg.decode_jpeg_header(content)[:2]
    if size != page.size_of(index) and size != page.chunk:
        raise ValueError(f"its JPEG has {size[0]} x {size[1]} pixels, {page.chunk[0]} x {page.chunk[1]} were expected")
    found: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(content, strict=True)
    return found
