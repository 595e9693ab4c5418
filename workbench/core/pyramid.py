"""Images too large to load: levels of falling resolution, read region by region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError

LOAD_LIMIT = 1 << 30
"""Bytes of a level that may be loaded whole (1 GiB): about 19,000 x 19,000 pixels of 8-bit RGB."""

Reader: TypeAlias = Callable[[int, int, int, int, int], npt.NDArray[Any]]
"""Called with (level, row, column, height, width), all in pixels of that level; gives ``(height, width, channels)``.

It is called from several threads at once.
"""


@dataclass(frozen=True)
class Level:
    """One level of a pyramid.

    Parameters
    ----------
    shape
        (rows, columns) in pixels of this level.
    downsample
        Pixels of level 0 along the edge of one pixel of this level; 1 for level 0.
    """

    shape: tuple[int, int]
    downsample: float = 1.0


@dataclass(frozen=True, eq=False)
class Pyramid:
    """Where to get the pixels of a large image from; holds none itself.

    Parameters
    ----------
    levels
        Level 0 (full resolution) first, each further one coarser.
    reader
        Reads a region of a level; see `Reader`.
    dtype
        Type of the samples.
    channels
        One name per channel.
    mpp
        Micrometres per pixel of level 0 along (x, y), or ``None`` where the file does not say: never a made-up number.
    mpp_source
        Where `mpp` comes from (``"openslide.mpp-x"``, ``"TIFF resolution"``, ``"given"``), or "".
    bounds
        (row, column, height, width) of the scanned area in pixels of level 0, where the file marks one.
    tile
        (height, width) of the tiles that the file holds: regions of this size and place are the cheapest.
    """

    levels: tuple[Level, ...]
    reader: Reader
    dtype: np.dtype[Any]
    channels: tuple[str, ...]
    mpp: tuple[float, float] | None = None
    mpp_source: str = ""
    bounds: tuple[int, int, int, int] | None = None
    tile: tuple[int, int] = (256, 256)

    def __post_init__(self) -> None:
        steps = [level.downsample for level in self.levels]
        if not steps or steps[0] != 1 or any(b <= a for a, b in pairwise(steps)):
            raise InputError(f"a pyramid has levels with downsamples {steps}; expected 1 first, and then larger ones")
        if self.mpp is not None and not all(np.isfinite(m) and m > 0 for m in self.mpp):
            raise InputError(f"a pyramid has {self.mpp} micrometres per pixel; give the true ones, or None")

    def read(self, level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[Any]:
        """A region of a level.

        Parameters
        ----------
        level
            Number of the level, 0 is the full resolution.
        row, column
            First pixel, in pixels of **that level** (not of level 0 as in OpenSlide).
        height, width
            Size in pixels of that level.

        Returns
        -------
        array ``(height, width, channels)`` of `dtype`

        Raises
        ------
        UsageError
            There is no such level, or the region does not lie within it: nothing is filled in.
        InputError
            The file gave something else than what was asked for.
        """
        if not 0 <= level < len(self.levels):
            raise UsageError(f"level {level} of a pyramid with {len(self.levels)} levels; the coarsest is "
                             f"{len(self.levels) - 1}")  # fmt: skip
        rows, columns = self.levels[level].shape
        if row < 0 or column < 0 or height < 0 or width < 0 or row + height > rows or column + width > columns:
            raise UsageError(
                f"region of {height} x {width} pixels at row {row}, column {column} does not lie within level {level} "
                f"({rows} x {columns} pixels)"
            )
        tile = self.reader(level, row, column, height, width)
        expected = (height, width, len(self.channels))
        if tile.shape != expected or tile.dtype != self.dtype:
            raise InputError(
                f"level {level}, row {row}, column {column}: the file gave {tile.shape} of {tile.dtype}, "
                f"expected {expected} of {self.dtype}"
            )
        return tile

    def whole(self, level: int = 0, *, limit: int = LOAD_LIMIT) -> npt.NDArray[Any]:
        """A whole level, channel first ``(channels, rows, columns)``, if it is small enough.

        Raises
        ------
        UsageError
            It has more than `limit` bytes; the line names the level, its size, and the finest one that is small enough.
        """
        self.require_small(level, limit=limit)
        pixels = self.read(level, 0, 0, *self.levels[level].shape)
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))

    def require_small(self, level: int = 0, *, limit: int = LOAD_LIMIT, name: Any = "image") -> None:
        """Raise the error of `whole` for a level of more than `limit` bytes."""
        size = self.nbytes(level)
        if size <= limit:
            return
        small = next((i for i in range(level, len(self.levels)) if self.nbytes(i) <= limit), None)
        other = "" if small is None else f", or load level {small} ({self._sized(small)}) with pyramid.whole({small})"
        raise UsageError(
            f"{name}: level {level} ({self._sized(level)}) is above the limit of {_size(limit)} for loading whole. "
            f"Read regions with pyramid.read(level, row, column, height, width){other}."
        )

    def nbytes(self, level: int) -> int:
        """Bytes that a level takes when loaded."""
        rows, columns = self.levels[level].shape
        return rows * columns * len(self.channels) * self.dtype.itemsize

    def level_for(self, downsample: float) -> int:
        """The coarsest level that still shows `downsample` pixels of level 0 as one or more of its own."""
        return max((i for i, level in enumerate(self.levels) if level.downsample <= downsample * 1.001), default=0)

    def to_json(self) -> dict[str, Any]:
        """Plain values of everything but the pixels, as `info` shows them."""
        return {
            "levels": [{"shape": list(level.shape), "downsample": level.downsample} for level in self.levels],
            "mpp": None if self.mpp is None else list(self.mpp),
            "mpp_source": self.mpp_source,
            "bounds": None if self.bounds is None else list(self.bounds),
            "tile": list(self.tile),
        }

    def _sized(self, level: int) -> str:
        rows, columns = self.levels[level].shape
        return f"{rows} x {columns} pixels, {_size(self.nbytes(level))}"


def _size(count: int) -> str:
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.4g} {unit}"
    return f"{count} bytes"
