"""Which tiles of slides a training sees: on tissue, on a lattice, drawn by a seed; and their pixels when they are due.

A case may say in its list (column ``area``: row, column, height, width in pixels of the full resolution) that only a
part of its slide counts. Tiles of one part are never looked at for another.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError
from workbench.core.pyramid import Pyramid
from workbench.core.types import Case
from workbench.slide.data import open as opening
from workbench.slide.data.resample import Square, level_for, ratio, read_square
from workbench.slide.data.stain_profile import read_stain_profile
from workbench.slide.data.tiles import Lattice, lattice
from workbench.slide.data.tissue import MASK_MPP, find_tissue
from workbench.slide.predict.stain_slide import restained
from workbench.slide.train.settings import SlideTrainConfig

Area = tuple[float, float, float, float]
Pixels = npt.NDArray[np.uint8]
_BLOCK = 64
_KEPT_BYTES = 2 << 30
"""Tiles that are kept in memory once they were read."""
_FURTHER = 32
"""Tiles that are tried in the place of one that is damaged."""


@dataclass(frozen=True, eq=False)
class SlideTiles:
    """The tiles of one case.

    Parameters
    ----------
    case, pyramid, lattice
        The case, where its pixels are, and where tiles lie.
    chosen
        Numbers of the tiles on tissue that were drawn, in rising order.
    on_tissue
        How many tiles lie on tissue.
    notes
        What a person should know of the slide.
    """

    case: Case
    pyramid: Pyramid
    lattice: Lattice
    chosen: npt.NDArray[np.int64]
    on_tissue: int
    notes: tuple[str, ...] = ()

    def places(self) -> npt.NDArray[np.float64]:
        """(x, y) of the upper left corners of the chosen tiles in pixels of level 0: ``(N, 2)``."""
        return self.lattice.places()[self.chosen]


def tiles_of(case: Case, config: SlideTrainConfig, number: int = 0) -> SlideTiles:
    """Find the tissue of a slide and draw tiles on it.

    Parameters
    ----------
    number
        Of the case in the study: with the seed it decides the draw.

    Raises
    ------
    InputError
        It is no slide that can be opened, does not say how large its pixels are, or has no tile on tissue.
    UsageError
        It is coarser than the tiles are to be.
    """
    image = opening.read(case.image)
    assert image.pyramid is not None
    pyramid, notes = image.pyramid, list(image.notes)
    if pyramid.mpp is None:
        if config.given_mpp is None:
            raise InputError(
                f"{case.image}: it is not known how many micrometres a pixel has (the file does not say, or not "
                "believably). Give it with given_mpp."
            )
        pyramid = replace(pyramid, mpp=(config.given_mpp, config.given_mpp), mpp_source="given")
        notes = [n for n in notes if "--mpp" not in n]
    factor = ratio(pyramid, config.mpp, allow_upsample=config.allow_upsample, name=case.image)
    area = area_of(case, pyramid)
    tiles = lattice(area, factor, config.tile, config.stride or config.tile, name=case.image)
    share = tissue_share(pyramid, tiles, area, case.image)
    found = np.flatnonzero(share >= config.min_tissue)
    if not found.size:
        raise InputError(
            f"{case.image}: none of its {len(tiles)} tiles has {100 * config.min_tissue:.0f} % tissue. Lower "
            "min_tissue, or leave the slide out."
        )
    if config.stain_profile:  # tissue is found on the slide as it is
        made = restained(pyramid, read_stain_profile(Path(config.stain_profile)), case.image)
        pyramid = made.pyramid
        notes.append(made.note)
    random = np.random.default_rng([config.seed, 21, number])
    chosen = np.sort(random.permutation(found)[: config.tiles_per_slide])
    return SlideTiles(case, pyramid, tiles, chosen.astype(np.int64), int(found.size), tuple(notes))


def area_of(case: Case, pyramid: Pyramid) -> Area:
    """(row, column, height, width) of what counts of a slide: what its list says, what was scanned, or all.

    Raises
    ------
    InputError
        The column ``area`` does not hold four numbers, or they do not lie within the slide.
    """
    rows, columns = pyramid.levels[0].shape
    return stated_area(case, rows, columns) or pyramid.bounds or (0, 0, rows, columns)


def stated_area(case: Case, rows: int, columns: int) -> Area | None:
    """What the column ``area`` of a list limits a case to, ``None`` without one; see `area_of`."""
    text = str(case.options.get("area", "")).strip()
    if not text:
        return None
    try:
        row, column, height, width = (float(v) for v in text.replace(",", " ").split())
    except ValueError:
        raise InputError(
            f"case '{case.id}': area '{text}', expected four numbers: row, column, height, width in pixels"
        ) from None
    inside = row >= 0 and column >= 0 and row + height <= rows and column + width <= columns
    if not (inside and height > 0 and width > 0):
        raise InputError(f"case '{case.id}': the area {text} does not lie within the slide ({rows} x {columns} pixels)")
    return row, column, height, width


def tissue_share(pyramid: Pyramid, tiles: Lattice, area: Area, name: object) -> npt.NDArray[np.float64]:
    """The share of tissue of every tile ``(N,)``, by a mask of `area` at `MASK_MPP`."""
    assert pyramid.mpp is not None
    fine = math.sqrt(pyramid.mpp[0] * pyramid.mpp[1])
    step = max(MASK_MPP / fine, tiles.factor)
    mask = find_tissue(overview(pyramid, area, step), step * fine, name=name).mask
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    sums[1:, 1:] = mask.cumsum(0).cumsum(1)
    left, top = ((tiles.places() - (area[1], area[0])) / step).T
    side = tiles.side / step
    x0, y0 = np.floor(left + 0.5).astype(int), np.floor(top + 0.5).astype(int)
    x1, y1 = np.maximum(x0 + 1, np.rint(left + side).astype(int)), np.maximum(y0 + 1, np.rint(top + side).astype(int))
    x0, x1 = (np.clip(v, 0, mask.shape[1]) for v in (x0, x1))
    y0, y1 = (np.clip(v, 0, mask.shape[0]) for v in (y0, y1))
    count = np.maximum((x1 - x0) * (y1 - y0), 1)
    found: npt.NDArray[np.float64] = (sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]) / count
    return found


def overview(pyramid: Pyramid, area: Area, step: float) -> Pixels:
    """An area (row, column, height, width) of a slide, `step` pixels of level 0 per pixel: ``(rows, columns, 3)``.

    Where one level cannot be decoded another is read; where none can, it is white, which is no tissue.
    """
    row, column, height, width = area
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    found = np.full((rows, columns, 3), 255, np.uint8)
    for top in range(0, rows, _BLOCK):
        for left in range(0, columns, _BLOCK):
            square = Square(column + left * step, row + top * step, _BLOCK)
            high, wide = min(_BLOCK, rows - top), min(_BLOCK, columns - left)
            found[top : top + high, left : left + wide] = _any_level(pyramid, square, step)[:high, :wide]
    return found


def _any_level(pyramid: Pyramid, square: Square, step: float) -> Pixels:
    best = level_for(pyramid, step)
    for level in (*range(best, -1, -1), *range(best + 1, len(pyramid.levels))):
        with suppress(InputError):
            return read_square(pyramid, square, step, level)
    return np.full((square.size, square.size, 3), 255, np.uint8)


def require_apart(train: Sequence[SlideTiles], val: Sequence[SlideTiles]) -> None:
    """Refuse a split in which a tile that is learnt from touches one that is validated on.

    Raises
    ------
    UsageError
        The same part of one file is on both sides.
    """
    for one in train:
        for other in val:
            if one.case.image.resolve() != other.case.image.resolve():
                continue
            a, b, side = one.places(), other.places(), max(one.lattice.side, other.lattice.side)
            if any((np.abs(b - place).max(axis=1) < side).any() for place in a):
                raise UsageError(
                    f"{one.case.image}: case '{one.case.id}' is learnt from and case '{other.case.id}' is validated "
                    "on, and they share pixels; give both one group, or areas that do not overlap"
                )


@dataclass(eq=False)
class TileSource:
    """The tiles of many slides as one list, read by threads and kept while there is room.

    Parameters
    ----------
    slides
        Whose tiles: numbered one slide after the other.

    Attributes
    ----------
    damaged
        Numbers of tiles that could not be read; the next of the same slide stood in for them.
    """

    slides: Sequence[SlideTiles]
    threads: int = 4
    damaged: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._first = np.cumsum([0] + [len(s.chosen) for s in self.slides])
        self._places = [s.places() for s in self.slides]
        self._kept: dict[int, Pixels] = {}
        self._lock = threading.Lock()
        self._bytes = 0

    def __len__(self) -> int:
        return int(self._first[-1])

    def slide_of(self, number: int) -> int:
        """Number of the slide that a tile is of."""
        return int(np.searchsorted(self._first, number, side="right")) - 1

    def read(self, numbers: Sequence[int] | npt.NDArray[np.int64]) -> Pixels:
        """Tiles ``(B, size, size, 3)``, always the same pixels for the same numbers.

        Raises
        ------
        InputError
            A tile and those that follow it cannot be decoded.
        """
        wanted = [int(n) for n in numbers]
        with self._lock:
            missing = [n for n in dict.fromkeys(wanted) if n not in self._kept]
            found: dict[int, Pixels] = {}
            if missing:
                with ThreadPoolExecutor(self.threads, thread_name_prefix="workbench-tiles") as pool:
                    found = dict(zip(missing, pool.map(self._sure, missing), strict=True))
            pixels = np.stack([self._kept[n] if n in self._kept else found[n] for n in wanted])
            for number, tile in found.items():
                if self._bytes + tile.nbytes <= _KEPT_BYTES:
                    self._kept[number] = tile
                    self._bytes += tile.nbytes
            return pixels

    def _sure(self, number: int) -> Pixels:
        """A tile, or the next of its slide that can be read."""
        slide = self.slide_of(number)
        first, count = int(self._first[slide]), len(self.slides[slide].chosen)
        for further in range(min(count, _FURTHER)):
            try:
                return self._decoded(slide, (number - first + further) % count)
            except InputError as error:
                self.damaged.add(number)
                last = error
        raise last

    def _decoded(self, slide: int, place: int) -> Pixels:
        one, (x, y) = self.slides[slide], self._places[slide][place]
        return read_square(one.pyramid, Square(float(x), float(y), one.lattice.size), one.lattice.factor)
