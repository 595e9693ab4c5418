"""Tiles in JPEG of SVS and tiled TIFF decoded as they are stored, where that shows what OpenSlide shows.

OpenSlide puts every region together anew, with transparency: of a tile that is read for an embedding, that is most of
the time. Nothing is taken for granted: a level is read so only after its fullest tile was found equal, pixel for pixel,
to what OpenSlide gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.slide.data.tiff_tiles import JPEG, TiffTiles

FORMATS = ("aperio", "generic-tiff")
"""What OpenSlide calls formats whose levels are pages of tiles and nothing else."""
_LONGEST = 2048
"""Side of the largest tile that is decoded whole, in pixels."""
_TRIED = 3
_ALIKE = ("compression", "photometric", "predictor", "planarconfig", "samplesperpixel", "bitspersample", "chunks")

Region = npt.NDArray[np.uint8]


class StoredTiles:
    """Regions of the levels of a slide whose tiles need no OpenSlide.

    Parameters
    ----------
    path
        The slide.
    sizes, downsamples
        (height, width) of its levels and their steps, as OpenSlide tells them.
    reference
        What OpenSlide gives: ``reference(level, row, column, height, width)``.
    """

    def __init__(
        self,
        path: Path,
        sizes: Sequence[tuple[int, int]],
        downsamples: Sequence[float],
        reference: Callable[[int, int, int, int, int], Region],
    ) -> None:
        self._reference = reference
        self._downsamples = tuple(downsamples)
        self._lock = threading.Lock()
        self._equal: dict[int, bool] = {}
        self._tiles, self._place = _opened(path, sizes)

    def read(self, level: int, row: int, column: int, height: int, width: int) -> Region | None:
        """A region, or ``None`` where OpenSlide has to be asked: tiles that were never scanned, or are damaged."""
        tiles = self._tiles
        if tiles is None or level not in self._place or not self._is_equal(level):
            return None
        place = self._place[level]
        if not all(tiles.is_stored(place, n) for _, _, n in tiles.touched(place, row, column, height, width)):
            return None
        try:
            return tiles.read(place, row, column, height, width)
        except InputError:
            return None

    def _is_equal(self, level: int) -> bool:
        with self._lock:
            if level not in self._equal:
                self._equal[level] = self._compared(level)
            return self._equal[level]

    def _compared(self, level: int) -> bool:
        """Whether the fullest tile of a level is what OpenSlide shows; where its step is no whole number, the first."""
        assert self._tiles is not None
        place, step = self._place[level], self._downsamples[level]
        page = self._tiles.pages[place]
        high, wide = self._tiles.shape(place)
        across = -(-page.shape[1] // wide)
        fullest = [int(n) for n in np.argsort(page.databytecounts)[::-1][:_TRIED]]
        for index in fullest if abs(step - round(step)) < 1e-9 else [0]:
            row, column = index // across * high, index % across * wide
            rows, columns = min(high, page.shape[0] - row), min(wide, page.shape[1] - column)
            try:
                own = self._tiles.read(place, row, column, rows, columns)
                other = self._reference(level, row, column, rows, columns)
            except InputError:
                continue
            return bool(np.array_equal(own, other))
        return False


def _opened(path: Path, sizes: Sequence[tuple[int, int]]) -> tuple[TiffTiles | None, dict[int, int]]:
    """The tiles of a file, and the place of its page for each level that has one of its own kind and size."""
    import tifffile

    try:
        file = tifffile.TiffFile(path)
    except (OSError, ValueError, tifffile.TiffFileError):
        return None, {}
    try:
        pages = [page for page in file.pages if _is_in_tiles(page)]
        place: dict[int, int] = {}
        for level, size in enumerate(sizes):
            same = [i for i, page in enumerate(pages) if tuple(page.shape[:2]) == tuple(size)]
            if len(same) == 1 and _is_alike(pages[same[0]], pages[place[0]] if place else pages[same[0]]):
                place[level] = same[0]
            elif level == 0:
                break
    except (OSError, ValueError, IndexError, KeyError, TypeError, tifffile.TiffFileError):
        place = {}
    if not place:
        file.close()
        return None, {}
    return TiffTiles(path, file, pages), place


def _is_in_tiles(page: Any) -> bool:
    return (
        getattr(page, "is_tiled", False)
        and page.compression == JPEG
        and (page.samplesperpixel, page.bitspersample, page.planarconfig) == (3, 8, 1)
        and page.dtype == np.uint8
        and max(page.chunks[:2]) <= _LONGEST
    )


def _is_alike(page: Any, first: Any) -> bool:
    """Whether a level is packed as the first: what was found equal there holds for it, too."""
    return all(getattr(page, name) == getattr(first, name) for name in _ALIKE)
