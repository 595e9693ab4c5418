"""Tiles of a slide as pixels of a map: where each lies, and what the map lies on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError
from workbench.core.types import Geometry, Heatmap, Image, Labels
from workbench.slide.data.embedding_files import side_of
from workbench.slide.data.tiles import Lattice
from workbench.slide.predict.chosen import coarse_geometry

_MOST_PIXELS = 1 << 28
_PARTS = 4
"""Pixels along a tile where tiles lie in no lattice."""
_LEAST_STEP = 1 / 8
"""Of the side of a tile: where tiles overlap by more, they are taken to lie in no lattice."""
_FINE, _MOST_FINER = 2560, 16
"""Pixels along frames around tiles, and of them along a step."""
_TWO_LINES = 8
_FRAMES = ClassTable((ClassInfo(1, "edge", (20, 20, 20)), ClassInfo(2, "frame", (255, 230, 0))))


@dataclass(frozen=True, eq=False)
class TileGrid:
    """The grid of a map with a pixel from one tile to the next.

    Where tiles lie in no lattice (those of programs that cut each piece of tissue by itself), a tile has several.

    Parameters
    ----------
    at
        ``(N, 2)`` (row, column) of the first pixel of each tile.
    shape
        (rows, columns).
    corner
        (y, x) of the outer corner of the first pixel, in pixels of level 0.
    step
        Pixels of level 0 along a pixel of the map, along (y, x).
    pixels
        Of the map along a tile.
    side
        Of a tile, in pixels of level 0.
    """

    at: npt.NDArray[np.int64]
    shape: tuple[int, int]
    corner: tuple[float, float]
    step: tuple[float, float]
    pixels: int
    side: float

    @classmethod
    def of_lattice(cls, tiles: Lattice, numbers: npt.ArrayLike) -> TileGrid:
        """The whole lattice of a run, and some of its tiles by their numbers."""
        step = tiles.stride * tiles.factor
        at = np.stack(np.divmod(np.asarray(numbers, np.int64), tiles.count[1]), 1)
        x, y = (c + (tiles.side - step) / 2 for c in tiles.corner)
        return cls(at, tiles.count, (y, x), (step, step), 1, tiles.side)

    @classmethod
    def of_facts(cls, corners: npt.ArrayLike, facts: Mapping[str, Any]) -> TileGrid:
        """The grid of tiles with these corners, by what a file of embeddings says of them; see `of`."""
        return cls.of(corners, side_of(facts), step_of(facts))

    @classmethod
    def of(cls, corners: npt.ArrayLike, side: float, step: float = 0.0) -> TileGrid:
        """The grid of tiles with these upper left corners ``(N, 2)``, (x, y) in pixels of level 0.

        Parameters
        ----------
        step
            From one tile to the next, in those pixels; where nobody says it, the smallest that there is.

        Raises
        ------
        InputError
            There are no tiles, or they lie so far apart that no map can hold them.
        """
        places = np.asarray(corners, np.float64)[:, ::-1]
        if not len(places):
            raise InputError("no tiles: nothing to make a map of")
        low = places.min(0)
        steps, pixels = np.array([_step(values, side, step) for values in places.T]), 1
        if not _is_lattice(places - low, steps, side):
            steps, pixels = np.full(2, side / _PARTS), _PARTS
        at = np.rint((places - low) / steps).astype(np.int64)
        rows, columns = (int(n) + pixels for n in at.max(0))
        if rows * columns > _MOST_PIXELS:
            raise InputError(f"a map of {rows:,} x {columns:,} pixels would be too large: tiles lie too far apart")
        y, x = (float(v) for v in low + (side - steps * pixels) / 2)
        return cls(at, (rows, columns), (y, x), (float(steps[0]), float(steps[1])), pixels, side)

    def painted(self, values: npt.ArrayLike, empty: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of the map `empty` with the value ``(N,)`` of each tile in its place."""
        data, own = empty.copy(), np.asarray(values)
        for down in range(self.pixels):
            for right in range(self.pixels):
                data[self.at[:, 0] + down, self.at[:, 1] + right] = own
        return data

    def heat(self, image: Image, values: npt.ArrayLike, name: str) -> Heatmap:
        """A value per tile over a slide, NaN where there is none."""
        data = self.painted(np.asarray(values, np.float32), np.full(self.shape, np.nan, np.float32))
        return Heatmap(data, self.geometry(image), name)

    def labels(self, image: Image, values: npt.ArrayLike, classes: ClassTable, name: str) -> Labels:
        """A class per tile over a slide, 0 where there is none."""
        data = self.painted(np.asarray(values, np.int32), np.zeros(self.shape, np.int32))
        return Labels(data, self.geometry(image), classes, name)

    def geometry(self, image: Image) -> Geometry:
        """Where the map lies on a slide."""
        return coarse_geometry(image, self.shape, self.corner, self.step)

    def frames(self, tiles: npt.ArrayLike, image: Image) -> Labels:
        """Frames around some tiles, on a finer grid over a slide: 2 is the line, 1 what sets it off."""
        finer = int(np.clip(_FINE // max(self.shape), 1, _MOST_FINER))
        size = np.maximum(1, np.rint(self.side / np.array(self.step) * finer)).astype(int)
        over = np.maximum(0, -(-(size - self.pixels * finer) // 2))  # tiles that overlap reach beyond their pixels
        data = np.zeros(np.array(self.shape) * finer + 2 * over, np.uint8)
        first = self.at[np.asarray(tiles, np.int64)] * finer + over + (self.pixels * finer - size) // 2
        rows, columns = np.mgrid[: size[0], : size[1]]
        depth = np.minimum(np.minimum(rows, size[0] - 1 - rows), np.minimum(columns, size[1] - 1 - columns))
        lines = ((1, 1), (0, 2)) if size.min() >= _TWO_LINES else ((0, 2),)
        for inwards, value in lines:
            for row, column in np.argwhere(depth == inwards):
                data[first[:, 0] + row, first[:, 1] + column] = value
        step = np.array(self.step) / finer
        y, x = (float(v) for v in np.array(self.corner) - over * step)
        geometry = coarse_geometry(image, data.shape, (y, x), (float(step[0]), float(step[1])))
        return Labels(data, geometry, _FRAMES, "chosen tiles", origin="automatic")

    @property
    def area(self) -> float:
        """What a tile stands for, in pixels of level 0: where tiles of a lattice overlap, its share of them."""
        if self.pixels > 1:
            return self.side**2
        return min(self.step[0], self.side) * min(self.step[1], self.side)


def step_of(facts: Mapping[str, Any]) -> float:
    """From one tile to the next, in pixels of level 0, as a file of embeddings says it; 0 where it does not."""
    size, overlap = float(facts.get("patch_size", 0)), float(facts.get("overlap", 0))
    return side_of(facts) * (size - overlap) / size if size > overlap else 0.0


def _step(values: npt.NDArray[np.float64], side: float, known: float) -> float:
    """From one tile to the next along an axis; corners are whole pixels, so the smallest of all steps would be off."""
    lines = np.unique(values)
    if len(lines) < 2:
        return known or side
    across = float(lines[-1] - lines[0])
    count = max(1, round(across / (known or float(np.diff(lines).min()))))
    # What is known is better than what whole pixels say, where both agree.
    return known if known and abs(across - count * known) <= 1 else across / count


def _is_lattice(places: npt.NDArray[np.float64], step: npt.NDArray[np.float64], side: float) -> bool:
    """Whether all tiles lie where a lattice of that step has one; their corners are whole pixels."""
    if (step < _LEAST_STEP * side).any():
        return False
    beside = np.abs(places - np.rint(places / step) * step)
    return bool((beside <= np.maximum(1.0, 0.1 * step)).all())
