"""Tiles in JPEG of SVS and tiled TIFF decoded as they are stored, where that shows what OpenSlide shows.

OpenSlide puts every region together anew, with transparency: of a tile that is read for an embedding, that is most of
the time. Nothing is taken for granted: a level is read so only after its fullest tile was found equal, pixel for pixel,
to what OpenSlide gives. Where the step of a level is no whole number, OpenSlide moves its pixels by a fraction to where
the level says that they lie; here they are those of the file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.slide.data.tiff_pages import JPEG, Page, page_of
from workbench.slide.data.tiff_tiles import TiffTiles

FORMATS = ("aperio", "generic-tiff")
"""What OpenSlide calls formats whose levels are pages of tiles and nothing else."""
_LONGEST = 2048
"""Side of the largest tile that is decoded whole, in pixels."""
_TRIED = 3

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
        # Over a tile that was never scanned OpenSlide shows no coarser one: what such hold is not to be trusted.
        self._whole = 0
        while self._tiles is not None and self._whole in self._place and all(self._page(self._whole).counts):
            self._whole += 1

    def read(self, level: int, row: int, column: int, height: int, width: int) -> Region | None:
        """A region, or ``None`` where OpenSlide has to be asked: tiles that were never scanned, or are damaged."""
        tiles = self._tiles
        if tiles is None or level not in self._place or level > self._whole or not self._is_equal(level):
            return None
        place = self._place[level]
        if not all(tiles.is_stored(place, n) for _, _, n in tiles.touched(place, row, column, height, width)):
            return None
        try:
            return tiles.read(place, row, column, height, width)
        except InputError:
            return None

    def _page(self, level: int) -> Page:
        assert self._tiles is not None
        return self._tiles.pages[self._place[level]]

    def _is_equal(self, level: int) -> bool:
        with self._lock:
            if level not in self._equal:
                self._equal[level] = self._compared(level)
            return self._equal[level]

    def _compared(self, level: int) -> bool:
        """Whether the fullest tile of a level is what OpenSlide shows; where its step is no whole number, the first."""
        assert self._tiles is not None
        place, step, page = self._place[level], self._downsamples[level], self._page(level)
        high, wide = page.chunk
        fullest = [int(n) for n in np.argsort(page.counts)[::-1][:_TRIED]]
        for index in fullest if abs(step - round(step)) < 1e-9 else [0]:
            row, column = index // page.across * high, index % page.across * wide
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
        file = tifffile.TiffFile(path, _multifile=False)
    except Exception:  # OpenSlide opened it, and is asked then
        return None, {}
    try:
        pages = [page for page in map(page_of, file.pages) if isinstance(page, Page) and _is_for_us(page)]
    except Exception:
        pages = []
    place: dict[int, int] = {}
    for level, size in enumerate(sizes):
        same = [i for i, page in enumerate(pages) if page.shape == tuple(size)]
        if len(same) == 1 and _is_alike(pages[same[0]], pages[place[0]] if place else pages[same[0]]):
            place[level] = same[0]
        elif level == 0:
            break
    if not place:
        file.close()
        return None, {}
    return TiffTiles(path, file, pages), place


def _is_for_us(page: Page) -> bool:
    return page.is_tiled and page.compression == JPEG and max(page.chunk) <= _LONGEST


def _is_alike(page: Page, first: Page) -> bool:
    """Whether a level is packed as the first: what was found equal there holds for it, too."""
    return (page.photometric, page.chunk) == (first.photometric, first.chunk)
