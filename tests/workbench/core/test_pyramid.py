"""Pyramids: opening reads nothing, looking reads what is looked at, and a large level is never loaded whole."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from workbench.core.errors import InputError, UsageError
from workbench.core.layers import contrast_limits, pyramid_levels
from workbench.core.pyramid import LOAD_LIMIT, Level, Pyramid
from workbench.core.types import Geometry, Image

RGB = ("red", "green", "blue")


class Slide:
    """A slide whose pixels are computed from their place, and that counts what is read."""

    def __init__(self, rows: int = 1500, columns: int = 2100) -> None:
        self.reads: list[tuple[int, int, int, int, int]] = []
        self.levels = tuple(Level((rows // d, columns // d), float(d)) for d in (1, 4, 16))

    def __call__(self, level, row, column, height, width):
        self.reads.append((level, row, column, height, width))
        r, c = np.mgrid[row : row + height, column : column + width]
        return np.stack([r % 256, c % 256, np.full_like(r, level)], axis=-1).astype(np.uint8)

    def image(self, **more) -> Image:
        options = {"mpp": (0.25, 0.25), "mpp_source": "test", "tile": (240, 256)} | more
        pyramid = Pyramid(self.levels, self, np.dtype("u1"), RGB, **options)
        geometry = Geometry(self.levels[0].shape, None, ("row", "column"), None)
        return Image(geometry, pyramid.dtype, RGB, pyramid.whole, kind="slide", pyramid=pyramid)


def test_opening_and_describing_read_nothing():
    slide = Slide(100_000, 80_000)
    image = slide.image()
    levels = pyramid_levels(image)
    assert repr(image)
    assert image.pyramid.to_json()["levels"][2] == {"shape": [6250, 5000], "downsample": 16.0}
    assert [level.shape for level in levels] == [(100_000, 80_000, 3), (25_000, 20_000, 3), (6250, 5000, 3)]
    assert levels[0].npartitions < 10_000
    assert all(level.dtype == np.uint8 for level in levels)
    assert slide.reads == []


def test_levels_read_only_what_is_looked_at_from_their_own_level():
    slide = Slide()
    levels = pyramid_levels(slide.image())
    seen = np.asarray(levels[1][10:20, 30:50])
    assert len(slide.reads) == 1
    assert slide.reads[0][0] == 1
    assert np.array_equal(seen, Slide()(1, 10, 30, 10, 20))
    slide.reads.clear()
    whole = np.asarray(levels[0])
    assert np.array_equal(whole, Slide()(0, 0, 0, 1500, 2100))
    assert len(slide.reads) == 6  # pieces of 960 x 1024
    assert all(row % 240 == 0 and column % 256 == 0 for _, row, column, _, _ in slide.reads)
    assert np.array_equal(np.asarray(levels[0][100:900:7, 50:999:5, 1]), whole[100:900:7, 50:999:5, 1])
    one = np.asarray(levels[2][..., 2])
    assert one.shape == (93, 131)
    assert (one == 2).all()


def test_contrast_looks_at_the_coarsest_level():
    slide = Slide(8_000, 8_000)
    limits, full = contrast_limits([level[..., 0] for level in pyramid_levels(slide.image())])
    assert {read[0] for read in slide.reads} == {2}
    assert full[0] <= limits[0] < limits[1] <= full[1]


def test_a_small_pyramid_can_be_loaded_channel_first():
    slide = Slide()
    image = slide.image()
    assert image.data.shape == (3, 1500, 2100)
    assert np.array_equal(image.data, np.moveaxis(Slide()(0, 0, 0, 1500, 2100), -1, 0))
    assert image.pyramid.whole(2).shape == (3, 93, 131)
    assert {read[0] for read in slide.reads} == {0, 2}


def test_a_large_level_is_refused_in_one_line_that_names_it_and_a_smaller_one():
    slide = Slide(100_000, 80_000)
    image = slide.image()
    for load in (lambda: image.data, image.pyramid.whole):
        with pytest.raises(UsageError) as error:
            load()
        line = str(error.value)
        assert "\n" not in line
        for words in ("level 0 (100000 x 80000 pixels, 22.35 GiB)", "limit of 1 GiB", "pyramid.read(",
                      "level 2 (6250 x 5000 pixels, 89.41 MiB) with pyramid.whole(2)"):  # fmt: skip
            assert words in line
    with pytest.raises(UsageError, match=r"level 1 \(25000 x 20000"):
        image.pyramid.whole(1)
    assert slide.reads == []
    assert image.pyramid.nbytes(2) < LOAD_LIMIT < image.pyramid.nbytes(1)


def test_no_loader_gets_around_the_limit():
    loaded = []
    image = Slide(100_000, 80_000).image()
    other = dataclasses.replace(image, loader=lambda: loaded.append(1), source=Path("big.svs"))
    with pytest.raises(UsageError, match=r"^big\.svs: level 0 \("):
        _ = other.data
    assert not loaded


def test_regions_outside_and_levels_that_are_not_there_are_refused():
    pyramid = Slide().image().pyramid
    assert pyramid.read(1, 370, 500, 5, 25).shape == (5, 25, 3)
    for region in ((1, 370, 500, 6, 25), (1, -1, 0, 5, 5), (1, 0, 501, 5, 25)):
        with pytest.raises(UsageError, match=r"does not lie within level 1 \(375 x 525 pixels\)"):
            pyramid.read(*region)
    for level in (3, -1):
        with pytest.raises(UsageError, match="pyramid with 3 levels"):
            pyramid.read(level, 0, 0, 1, 1)


def test_a_reader_that_gives_something_else_is_caught():
    levels = (Level((10, 10)),)
    short = Pyramid(levels, lambda *region: np.zeros((4, 5, 3), np.uint8), np.dtype("u1"), RGB)
    with pytest.raises(InputError, match=r"gave \(4, 5, 3\) of uint8, expected \(5, 5, 3\) of uint8"):
        short.read(0, 0, 0, 5, 5)
    other = Pyramid(levels, lambda *region: np.zeros((5, 5, 3), np.float32), np.dtype("u1"), RGB)
    with pytest.raises(InputError, match="float32"):
        other.read(0, 0, 0, 5, 5)


def test_the_level_for_a_resolution_is_never_too_coarse():
    pyramid = Slide().image().pyramid
    assert [pyramid.level_for(d) for d in (0.5, 1, 3.9, 4, 15.99, 16, 99)] == [0, 0, 0, 1, 2, 2, 2]


def test_what_is_no_pyramid_is_refused():
    with pytest.raises(InputError, match="downsamples"):
        Pyramid((Level((10, 10)), Level((5, 5), 1.0)), Slide(), np.dtype("u1"), RGB)
    with pytest.raises(InputError, match="downsamples"):
        Pyramid((), Slide(), np.dtype("u1"), RGB)
    with pytest.raises(InputError, match="micrometres per pixel"):
        Slide().image(mpp=(0.0, 0.25))
    pyramid = Slide().image().pyramid
    with pytest.raises(ValueError, match="level 0 of the pyramid"):
        Image(Geometry((5, 5)), pyramid.dtype, RGB, pyramid.whole, pyramid=pyramid)
    plain = Image(Geometry((2, 2, 2)), np.dtype("u1"), ("x",), lambda: np.zeros((1, 2, 2, 2), "u1"))
    with pytest.raises(UsageError, match="no pyramid"):
        pyramid_levels(plain)
