"""Squares at any scale, from pyramids of a picture whose value is known at every place."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from workbench.core.errors import InputError, UsageError
from workbench.core.pyramid import Level, Pyramid
from workbench.slide.data.resample import Square, level_for, ratio, read_square

ROWS, COLUMNS = 900, 1100
WAVE = 120.0


def value(x, y):
    """Red rises to the right, green downwards, blue is a wave: of the place in pixels of level 0."""
    red = 40 + 0.15 * x + 0 * y
    green = 30 + 0.2 * y + 0 * x
    blue = 128 + 90 * np.sin(2 * np.pi * (x + y) / WAVE)
    return np.stack([red, green, blue], axis=-1)


def known(steps=(1.0,), mpp=0.25):
    """A pyramid whose levels hold `value` at the centres of their pixels."""
    levels = []
    pixels = []
    for step in steps:
        shape = int(ROWS / step), int(COLUMNS / step)
        y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
        pixels.append(np.round(value((x + 0.5) * step, (y + 0.5) * step)).astype(np.uint8))
        levels.append(Level(shape, step))

    def read(level, row, column, height, width):
        return pixels[level][row : row + height, column : column + width]

    return Pyramid(tuple(levels), read, np.dtype(np.uint8), ("red", "green", "blue"), (mpp, mpp))


def of_one_level(pixels):
    """A pyramid of these pixels alone."""

    def read(level, row, column, height, width):
        return pixels[row : row + height, column : column + width]

    return Pyramid((Level(pixels.shape[:2]),), read, np.dtype(np.uint8), ("red", "green", "blue"), (0.5, 0.5))


def expected(square, factor):
    y, x = np.mgrid[0 : square.size, 0 : square.size]
    return value(square.x + (x + 0.5) * factor, square.y + (y + 0.5) * factor)


@pytest.mark.parametrize("factor", [1.0, 1.2, 1.6667, 2.0, 2.2282, 3.3, 4.016])
@pytest.mark.parametrize("place", [(100, 100), (333.3, 210.7), (57.25, 401.5)])
def test_every_pixel_is_that_of_its_place(factor, place):
    whole = known((1.0, 2.0, 4.016))
    square = Square(*place, 64)
    for level, one in enumerate(whole.levels):
        if one.downsample > factor * 1.001:
            continue
        found = read_square(whole, square, factor, level)
        assert found.shape == (64, 64, 3)
        # The wave is a little flatter where pixels are wide; a shift by half a pixel of level 0 would be 2.4 there.
        assert np.abs(found - expected(square, factor)).max() < 2.0


def test_by_itself_the_nearest_finer_level_is_read():
    whole = known((1.0, 2.0, 4.016))
    assert [level_for(whole, f) for f in (0.96, 1.0, 1.99, 2.0, 4.0, 4.016, 9)] == [0, 0, 0, 1, 1, 2, 2]


def test_pixels_of_a_level_are_given_as_they_stand_in_the_file():
    whole = known((1.0, 2.0))
    assert np.array_equal(read_square(whole, Square(40, 60, 32), 1.0), whole.read(0, 60, 40, 32, 32))
    assert np.array_equal(read_square(whole, Square(40, 60, 32), 2.0), whole.read(1, 30, 20, 32, 32))


@pytest.mark.parametrize("factor", [1.0, 1.7])
def test_beyond_the_edge_it_is_white(factor):
    whole = known()
    found = read_square(whole, Square(COLUMNS - 32 * factor, ROWS - 32 * factor, 64), factor)
    assert (found[40:, :] == 255).all()
    assert (found[:, 40:] == 255).all()
    inside = expected(Square(COLUMNS - 32 * factor, ROWS - 32 * factor, 64), factor)[:28, :28]
    assert np.abs(found[:28, :28] - inside).max() < 2
    assert (read_square(whole, Square(-500, -500, 64), factor) == 255).all()


@pytest.mark.parametrize("factor", [1.0, 1.7, 4.0])
def test_squares_are_cut_out_of_the_whole_picture_made_smaller(factor):
    """The filter reaches beyond a square; what lies there counts as in the whole picture, to the last bit."""
    pixels = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    found = read_square(of_one_level(pixels), Square(50, 60, 40), factor)
    box = (50, 60, 50 + 40 * factor, 60 + 40 * factor)
    right = Pillow.fromarray(pixels).resize((40, 40), Pillow.Resampling.BICUBIC, box)
    assert np.array_equal(found, np.asarray(right))


def test_the_last_row_and_column_are_of_the_slide_and_the_next_are_white():
    black = of_one_level(np.zeros((100, 120, 3), np.uint8))
    found = read_square(black, Square(105, 90, 32), 1.0)
    right = np.full((32, 32, 3), 255)
    right[:10, :15] = 0  # rows 90 to 99, columns 105 to 119
    assert np.array_equal(found, right)
    found = read_square(black, Square(-3, -5, 32), 1.0)
    assert (found[:5] == 255).all()
    assert (found[:, :3] == 255).all()
    assert (found[5:, 3:] == 0).all()


def test_ratio():
    assert ratio(known(mpp=0.25), 0.5) == pytest.approx(2)
    assert ratio(known(mpp=0.5026), 0.5) == pytest.approx(0.99483, abs=1e-5)
    assert ratio(known(mpp=0.525), 0.5) == pytest.approx(1 / 1.05)
    with pytest.raises(UsageError, match=r"ct.svs: has 0.53 um per pixel, and 0.5 are asked for.*--allow-upsample"):
        ratio(known(mpp=0.53), 0.5, name="ct.svs")
    assert ratio(known(mpp=1.0), 0.5, allow_upsample=True) == pytest.approx(0.5)
    nothing = Pyramid((Level((9, 9)),), None, np.dtype(np.uint8), ("red", "green", "blue"))
    with pytest.raises(InputError, match="--mpp"):
        ratio(nothing, 0.5)
