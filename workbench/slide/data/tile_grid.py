"""Maps of what is known of tiles: a pixel per step from one tile to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.types import Geometry, Heatmap, Image, Labels
from workbench.slide.data.tiles import Lattice

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TileGrid:
    """Where some tiles of a slide lie on their lattice.

    Parameters
    ----------
    corner
        (x, y) of the tile in the first row and column, in pixels of level 0.
    side, step
        Of a tile, and from one to the next along x and y, in pixels of level 0.
    shape
        (rows, columns).
    at
        ``(N, 2)``, row and column of each tile.
    """

    corner: tuple[float, float]
    side: float
    step: tuple[float, float]
    shape: tuple[int, int]
    at: Integers

    @classmethod
    def of_lattice(cls, tiles: Lattice, numbers: Integers) -> Self:
        """Some tiles of a lattice, by their numbers."""
        step = tiles.stride * tiles.factor
        at = np.stack(np.divmod(np.asarray(numbers, np.int64), tiles.count[1]), 1)
        return cls(tiles.corner, tiles.side, (step, step), tiles.count, at)

    @classmethod
    def of_corners(cls, corners: npt.ArrayLike, side: float, step: float = 0.0) -> Self:
        """Tiles by their corners ``(N, 2)``, (x, y); where nobody says the step, it is the smallest that there is."""
        places = np.asarray(corners, np.float64).reshape(-1, 2)
        if not len(places):
            return cls((0.0, 0.0), side, (side, side), (0, 0), np.zeros((0, 2), np.int64))
        steps = np.array([_step(places[:, axis], side, step) for axis in (0, 1)])
        low = places.min(0)
        at = np.rint((places - low) / steps).astype(np.int64)[:, ::-1]
        shape = int(at[:, 0].max()) + 1, int(at[:, 1].max()) + 1
        return cls((float(low[0]), float(low[1])), side, (float(steps[0]), float(steps[1])), shape, at)

    @classmethod
    def of_facts(cls, corners: npt.ArrayLike, facts: Mapping[str, Any]) -> Self:
        """Tiles of a file of embeddings, by what it says of them."""
        side, size = float(facts.get("patch_size_level0", 0)), float(facts.get("patch_size", 0))
        overlap = float(facts.get("overlap", 0))
        return cls.of_corners(corners, side, side * (size - overlap) / size if size else 0.0)

    @property
    def cell(self) -> float:
        """What a tile stands for where no place counts twice, in pixels of level 0."""
        return min(self.step[0], self.side) * min(self.step[1], self.side)

    def geometry(self, image: Image) -> Geometry:
        """Of the maps, over a slide."""
        from workbench.slide.predict.chosen import coarse_geometry

        x, y = (c + (self.side - s) / 2 for c, s in zip(self.corner, self.step, strict=True))
        return coarse_geometry(image, self.shape, (y, x), (self.step[1], self.step[0]))

    def heat(self, image: Image, values: npt.ArrayLike, name: str) -> Heatmap:
        """A value per tile, NaN where there is none."""
        data = np.full(self.shape, np.nan, np.float32)
        data[self.at[:, 0], self.at[:, 1]] = np.asarray(values, np.float32)
        return Heatmap(data, self.geometry(image), name)

    def labels(self, image: Image, values: npt.ArrayLike, classes: ClassTable, name: str) -> Labels:
        """A class per tile, 0 where there is none."""
        data = np.zeros(self.shape, np.int32)
        data[self.at[:, 0], self.at[:, 1]] = np.asarray(values, np.int32)
        return Labels(data, self.geometry(image), classes, name)


def _step(values: npt.NDArray[np.float64], side: float, known: float) -> float:
    """From one tile to the next along an axis; corners are whole pixels, so the smallest of all steps would be off."""
    lines = np.unique(values)
    if len(lines) < 2:
        return known or side
    smallest = known or float(np.diff(lines).min())
    return float((lines[-1] - lines[0]) / max(1, round((lines[-1] - lines[0]) / smallest)))
