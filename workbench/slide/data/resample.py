"""Squares of a slide at any micrometres per pixel, by exact resampling from the nearest finer level.

Positions are pixels of level 0, as real numbers, measured from the outer corner of the first pixel. What is read is
filtered by the size of the pixels that are wanted (bicubic with antialiasing), at the very place that was asked for: a
level of another base, or a place between two pixels, moves nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError
from workbench.core.pyramid import Pyramid
from workbench.slide.data.bicubic import resized

WHITE = 255
_SUPPORT = 2.0
"""Reach of the bicubic filter, in pixels that are wanted."""
_EQUAL = 1e-3


@dataclass(frozen=True)
class Square:
    """A square of a slide: its upper left corner (x, y) in pixels of level 0, and the pixels to make of it."""

    x: float
    y: float
    size: int


def ratio(pyramid: Pyramid, mpp: float, *, allow_upsample: bool = False, name: object = "slide") -> float:
    """Pixels of level 0 along one pixel of `mpp` micrometres.

    Raises
    ------
    InputError
        The slide does not say how large its pixels are.
    UsageError
        Its pixels are more than 5 % larger than what is asked for, and `allow_upsample` is not set.
    """
    if pyramid.mpp is None:
        raise InputError(
            f"{name}: it is not known how many micrometres a pixel has (the file does not say, or not believably). "
            "Give it with --mpp."
        )
    factor = mpp / math.sqrt(pyramid.mpp[0] * pyramid.mpp[1])
    if factor < 1 / 1.05 - 1e-9 and not allow_upsample:
        raise UsageError(
            f"{name}: has {math.sqrt(pyramid.mpp[0] * pyramid.mpp[1]):.4g} um per pixel, and {mpp:g} are asked for: it "
            "is too coarse. Take a slide that was scanned finer, or --allow-upsample to enlarge it."
        )
    return factor


def upsampling_note(pyramid: Pyramid, mpp: float) -> str:
    """A line where pixels are enlarged to reach `mpp`, else ""."""
    if pyramid.mpp is None:
        return ""
    own = math.sqrt(pyramid.mpp[0] * pyramid.mpp[1])
    if own <= mpp * (1 + _EQUAL):
        return ""
    return f"tiles of {mpp:g} um per pixel are enlarged from {own:.5g} um ({100 * (own / mpp - 1):.1f} %)"


def level_for(pyramid: Pyramid, factor: float) -> int:
    """The coarsest level that is as fine as `factor` pixels of level 0 or finer."""
    return max((i for i, one in enumerate(pyramid.levels) if one.downsample <= factor * (1 + _EQUAL)), default=0)


def read_square(pyramid: Pyramid, square: Square, factor: float, level: int | None = None) -> npt.NDArray[np.uint8]:
    """A square at `factor` pixels of level 0 per pixel: ``(size, size, 3)``; what lies outside the slide is white.

    Parameters
    ----------
    level
        Level to read from; by default the nearest that is fine enough. Any gives the same place.
    """
    level = level_for(pyramid, factor) if level is None else level
    rows, columns = pyramid.levels[level].shape
    step = pyramid.levels[level].downsample
    left, top = square.x / step, square.y / step
    side = square.size * factor / step
    # Where the pixels are those of the level, nothing is filtered: what stands in the file is given.
    is_plain = abs(factor / step - 1) < _EQUAL and all(abs(v - round(v)) < 0.02 for v in (left, top))
    margin = 0 if is_plain else math.ceil(_SUPPORT * max(factor / step, 1.0)) + 1
    x0, y0 = (math.floor(left) - margin, math.floor(top) - margin) if not is_plain else (round(left), round(top))
    width = square.size if is_plain else math.ceil(left + side) + margin - x0
    height = square.size if is_plain else math.ceil(top + side) + margin - y0
    found = _read_beyond(pyramid, level, y0, x0, height, width, rows, columns)
    if is_plain:
        return found
    box = (left - x0, top - y0, left - x0 + side, top - y0 + side)
    return resized(found, (square.size, square.size), box)


def _read_beyond(
    pyramid: Pyramid, level: int, row: int, column: int, height: int, width: int, rows: int, columns: int
) -> npt.NDArray[np.uint8]:
    """A region of a level that may reach beyond its edges, where it is white."""
    top, left = max(row, 0), max(column, 0)
    bottom, right = min(row + height, rows), min(column + width, columns)
    if (top, left, bottom, right) == (row, column, row + height, column + width):
        return pyramid.read(level, row, column, height, width)
    out = np.full((height, width, len(pyramid.channels)), WHITE, np.uint8)
    if bottom > top and right > left:
        inner = pyramid.read(level, top, left, bottom - top, right - left)
        out[top - row : bottom - row, left - column : right - column] = inner
    return out
