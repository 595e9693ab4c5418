"""One field of view stored at several bases: tiles show the same micrometres, through every reader and pyramid."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tifffile

from workbench.slide.data import ome_tiff, wsi
from workbench.slide.data.resample import Square, ratio, read_square
from workbench.slide.data.tiles import lattice

HEIGHT, WIDTH = 560.0, 720.0
"""Micrometres."""
TARGET, SIZE = 0.5, 224


def field(x, y):
    """What lies at a place in micrometres: structures of 9 to 60 um in three colours."""
    red = 150 + 50 * np.sin(2 * np.pi * x / 37) * np.cos(2 * np.pi * y / 23)
    green = 120 + 60 * np.sin(2 * np.pi * (x + 0.6 * y) / 60)
    blue = 140 + 30 * np.cos(2 * np.pi * y / 9) + 0.05 * x
    return np.stack([red, green, blue], axis=-1)


@functools.cache
def plane(mpp):
    """The field at the centres of pixels of that size; all structures are far wider than a pixel."""
    y, x = np.mgrid[0 : round(HEIGHT / mpp), 0 : round(WIDTH / mpp)]
    return field((x + 0.5) * mpp, (y + 0.5) * mpp).round().astype(np.uint8)


def stored(path, mpp, steps):
    """A tiled TIFF with levels of these downsamples."""
    with tifffile.TiffWriter(path) as file:
        for number, step in enumerate(steps):
            options = {"resolution": (1e4 / mpp / step,) * 2, "resolutionunit": "CENTIMETER"}
            file.write(plane(mpp * step), tile=(256, 256), photometric="rgb", subfiletype=int(number > 0), **options)
    return path


@pytest.mark.parametrize(
    "steps",
    [pytest.param((1,), marks=pytest.mark.slow), (1, 2, 4), pytest.param((1, 4), marks=pytest.mark.slow)],
    ids=["one level", "1 2 4", "1 4"],
)
@pytest.mark.parametrize("mpp", [0.25, 0.3, 0.4, 0.5])
def test_tiles_of_every_base_show_the_same_micrometres(mpp, steps, tmp_path):
    path = stored(tmp_path / "slide.tif", mpp, steps)
    pyramid = wsi.read(path).pyramid
    assert pyramid.mpp == pytest.approx((mpp, mpp), rel=1e-3)
    assert len(pyramid.levels) == len(steps)
    factor = ratio(pyramid, TARGET)
    rows, columns = pyramid.levels[0].shape
    tiles = lattice((0, 0, rows, columns), factor, SIZE, SIZE // 2)
    step = SIZE // 2 * TARGET
    assert tiles.count == (int((HEIGHT - SIZE * TARGET) / step + 1e-6) + 1, int((WIDTH - SIZE * TARGET) / step) + 1)
    grid = (np.arange(SIZE) + 0.5) * TARGET
    for number in (0, 3, len(tiles) - 1):
        x, y = tiles.places()[number]
        row, column = divmod(number, tiles.count[1])
        assert (x * mpp, y * mpp) == pytest.approx((column * step, row * step), abs=mpp)  # a pixel of level 0
        found = read_square(pyramid, Square(x, y, SIZE), factor).astype(float)
        truth = field(*np.meshgrid(x * mpp + grid, y * mpp + grid))
        difference = np.abs(found - truth)[4:-4, 4:-4]  # at the edge of the slide a filter has nothing to look at
        # The steepest structure changes by 10 values in half a micrometre: a shift by a pixel would be seen.
        assert difference.max() < 4.5, (number, difference.max())
        assert difference.mean() < 1.0


def test_both_readers_of_a_tiled_tiff_give_the_same(tmp_path):
    path = stored(tmp_path / "slide.tif", 0.3, (1, 2, 4))
    one, other = wsi.read(path).pyramid, ome_tiff.read(path).pyramid
    assert one.mpp == pytest.approx(other.mpp, rel=1e-3)
    square = Square(101.3, 57.9, SIZE)
    found, again = (read_square(p, square, TARGET / 0.3).astype(int) for p in (one, other))
    assert np.abs(found - again).max() <= 1
