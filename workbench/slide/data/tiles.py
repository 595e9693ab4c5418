"""Tiles of a slide: squares of a stated size at stated micrometres per pixel, in rows and columns.

The lattice is laid in real numbers of level 0, so that a slide that is stored at another base gives the same places in
micrometres. Only squares that lie wholly within the area are tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError


@dataclass(frozen=True)
class Lattice:
    """Where tiles lie.

    Parameters
    ----------
    corner
        (x, y) of the first tile, in pixels of level 0.
    factor
        Pixels of level 0 along one pixel of a tile.
    size, stride
        Side of a tile, and distance from one to the next, in pixels of a tile.
    count
        (rows, columns) of tiles.
    """

    corner: tuple[float, float]
    factor: float
    size: int
    stride: int
    count: tuple[int, int]

    def __len__(self) -> int:
        return self.count[0] * self.count[1]

    @property
    def side(self) -> float:
        """Side of a tile in pixels of level 0."""
        return self.size * self.factor

    def places(self) -> npt.NDArray[np.float64]:
        """(x, y) of the upper left corner of every tile in pixels of level 0, row by row: ``(N, 2)``."""
        rows, columns = self.count
        step = self.stride * self.factor
        y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1) * step
        return np.stack([self.corner[0] + x, self.corner[1] + y], axis=1).astype(np.float64)


def lattice(
    area: tuple[float, float, float, float], factor: float, size: int, stride: int | None = None, name: object = "slide"
) -> Lattice:
    """The tiles that fit into an area.

    Parameters
    ----------
    area
        (row, column, height, width) in pixels of level 0.
    factor
        Pixels of level 0 along one pixel of a tile (`workbench.slide.data.resample.ratio`).
    size, stride
        Side of a tile and distance from one to the next, in pixels of a tile; by default side by side.

    Raises
    ------
    InputError
        Not one fits; the line says how large the area is at the scale of the tiles.
    UsageError
        `size` or `stride` is no positive number.
    """
    stride = size if stride is None else stride
    if size < 1 or stride < 1:
        raise UsageError(f"tiles of {size} pixels every {stride} pixels: both must be 1 or more")
    row, column, height, width = area
    # A hair's breadth, so that rounding of a quotient costs no row.
    fits = [int((side / factor - size) / stride + 1e-6) + 1 if side / factor + 1e-6 >= size else 0
            for side in (height, width)]  # fmt: skip
    if not all(fits):
        raise InputError(
            f"{name}: no tile of {size} x {size} pixels fits: at this scale the slide has {height / factor:.0f} x "
            f"{width / factor:.0f} pixels. Take smaller tiles or a finer scale."
        )
    return Lattice((float(column), float(row)), factor, size, stride, (fits[0], fits[1]))
