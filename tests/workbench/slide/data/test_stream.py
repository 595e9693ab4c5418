"""Tiles in their order, by threads; damaged ones from another level, or left out and named."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.core.pyramid import Level, Pyramid
from workbench.slide.data.resample import Square, read_square
from workbench.slide.data.stream import TileStream
from workbench.slide.data.tiles import lattice

ROWS, COLUMNS = 640, 800


def slide(steps=(1, 2, 4), *, bad=(), wait=0.0):
    """Levels of a smooth picture; reading a region that touches a place of `bad` (level, row, column) fails."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    full = np.stack([x * 0.3, y * 0.35, 100 + 50 * np.sin((x + y) / 40)], axis=-1).astype(np.uint8)
    planes = [np.ascontiguousarray(full[::step, ::step]) for step in steps]
    seen = []

    def read(level, row, column, height, width):
        seen.append(threading.current_thread().name)
        time.sleep(wait)
        for at, r, c in bad:
            if at == level and row <= r < row + height and column <= c < column + width:
                raise InputError(f"slide.svs: level {level}: bogus marker")
        return planes[level][row : row + height, column : column + width]

    levels = tuple(Level(p.shape[:2], float(s)) for p, s in zip(planes, steps, strict=True))
    pyramid = Pyramid(levels, read, np.dtype(np.uint8), ("red", "green", "blue"), (0.5, 0.5))
    return pyramid, seen


def tiles(factor=1.0, size=64):
    return lattice((0, 0, ROWS, COLUMNS), factor, size)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_they_come_in_order_and_are_what_is_read_alone(threads):
    pyramid, _ = slide()
    where = tiles(1.7)
    stream = TileStream(pyramid, where, threads=threads)
    found = list(stream)
    assert [index for index, _ in found] == list(range(len(where)))
    for index, pixels in found:
        x, y = where.places()[index]
        assert np.array_equal(pixels, read_square(pyramid, Square(x, y, 64), 1.7))
    assert stream.damaged == []
    assert stream.notes() == ()


def test_only_the_chosen_ones_are_read_in_the_order_they_are_given():
    pyramid, seen = slide((1,))
    found = [index for index, _ in TileStream(pyramid, tiles(), chosen=[7, 3, 90], threads=2)]
    assert found == [7, 3, 90]
    assert len(seen) == 3


def test_they_are_read_while_others_are_worked_on():
    pyramid, seen = slide((1,), wait=0.004)
    began = time.perf_counter()
    for _ in TileStream(pyramid, tiles(), threads=4):
        time.sleep(0.004)
    # One after the other it takes 0.96 s.
    assert time.perf_counter() - began < 0.8
    assert len(seen) == len(tiles())


def test_who_stops_in_the_middle_leaves_no_thread_behind():
    pyramid, seen = slide((1,))
    stream = iter(TileStream(pyramid, tiles(), threads=2))
    next(stream)
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("workbench-tiles")]
    assert len(seen) < len(tiles())


def test_a_damaged_tile_is_read_from_another_level_and_named():
    pyramid, _ = slide(bad=[(1, 100, 100)])
    sound, _ = slide()
    where = tiles(2.0)
    stream = TileStream(pyramid, where, threads=2)
    found = dict(stream)
    assert set(found) == set(range(len(where)))
    (damage,) = stream.damaged
    assert damage.level == 0
    x, y = damage.place
    assert x <= 200 < x + 128
    assert y <= 200 < y + 128
    right = read_square(sound, Square(x, y, 64), 2.0).astype(int)
    assert np.abs(found[damage.index] - right).max() <= 4, "the same place"
    assert stream.notes() == (
        f"1 tile(s) were read from another level; the first at x {x:.0f}, y {y:.0f} (slide.svs: level 1: bogus marker)",
    )


@pytest.mark.parametrize(("bad", "level"), [([(1, 70, 250)], 0), ([(0, 140, 500), (1, 70, 250), (2, 35, 125)], None)])
def test_the_place_of_a_damaged_tile_is_x_and_y(bad, level):
    pyramid, _ = slide(bad=bad)
    stream = TileStream(pyramid, tiles(2.0), threads=2)
    list(stream)
    # Tiles of 128 pixels of level 0, in rows of six: column 500 is in the fourth, row 140 in the second.
    assert [(d.index, d.place, d.level) for d in stream.damaged] == [(9, (384.0, 128.0), level)]
    assert "the first at x 384, y 128 " in stream.notes()[0]


def test_one_that_no_level_has_is_left_out_counted_and_named():
    pyramid, _ = slide(bad=[(0, 200, 200), (1, 100, 100), (2, 50, 50), (0, 500, 700), (1, 250, 350), (2, 125, 175)])
    where = tiles(2.0)
    stream = TileStream(pyramid, where, threads=3)
    found = dict(stream)
    assert len(found) == len(where) - 2
    assert [d.level for d in stream.damaged] == [None, None]
    assert {d.index for d in stream.damaged} == set(range(len(where))) - set(found)
    assert "2 tile(s) could not be read and were left out" in stream.notes()[0]


def test_a_fault_of_ours_is_no_damaged_tile():
    pyramid, _ = slide()
    broken = Pyramid(pyramid.levels, lambda *_: 1 / 0, pyramid.dtype, pyramid.channels, pyramid.mpp)
    with pytest.raises(ZeroDivisionError):
        list(TileStream(broken, tiles(), threads=2))
