"""The filter of Pillow, byte by byte; and loops that are compiled once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from workbench.core.compiled import compiled
from workbench.slide.data.bicubic import resized


def pillow(pixels, size, box):
    """Along the rows first, then along the columns; by itself Pillow 13 takes the shorter way of the two."""
    rows, columns = size
    left, top, right, bottom = box
    picture = Pillow.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    how = Pillow.Resampling.BICUBIC
    first = picture.resize((columns, pixels.shape[0]), how, box=(left, 0, right, pixels.shape[0]))
    return np.asarray(first.resize((columns, rows), how, box=(0, top, columns, bottom))).reshape(rows, columns, -1)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_pillow_gives(seed):
    rng = np.random.default_rng(seed)
    for _ in range(25):
        high, wide = rng.integers(12, 500, 2)
        pixels = rng.integers(0, 256, (high, wide, int(rng.choice((1, 3)))), dtype=np.uint8)
        size = tuple(int(v) for v in rng.integers(1, 300, 2))
        left, top = rng.uniform(0, 0.4 * wide), rng.uniform(0, 0.4 * high)
        box = (left, top, left + rng.uniform(0.2, 0.6) * wide, top + rng.uniform(0.2, 0.6) * high)
        assert np.array_equal(resized(pixels, size, box), pillow(pixels, size, box))


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.3, 2.0, 2.19, 4.0])
def test_squares_are_what_pillow_gives_in_one_go(factor):
    pixels = np.random.default_rng(3).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    box = (10.3, 7.8, 10.3 + 32 * factor, 7.8 + 32 * factor)
    right = Pillow.fromarray(pixels).resize((32, 32), Pillow.Resampling.BICUBIC, box=box)
    assert np.array_equal(resized(pixels, (32, 32), box), np.asarray(right))


def test_the_whole_is_the_box_by_default():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    right = Pillow.fromarray(pixels).resize((25, 20), Pillow.Resampling.BICUBIC)
    assert np.array_equal(resized(pixels, (20, 25)), np.asarray(right))


def test_black_and_white_beside_each_other_stay_within_8_bits():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, 32:] = 255  # the filter swings beyond both at the edge
    found = resized(pixels, (90, 90))
    assert np.array_equal(found, np.asarray(Pillow.fromarray(pixels).resize((90, 90), Pillow.Resampling.BICUBIC)))
    assert {0, 255} <= set(np.unique(found).tolist())


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch):
    import numba

    plain = numba.njit
    asked = []

    def nowhere(function, **options):
        asked.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return plain(function, **options)

    monkeypatch.setattr(numba, "njit", nowhere)

    def doubled(value):
        return 2 * value

    assert compiled(doubled)(21) == 42
    assert compiled(doubled)(4) == 8
    assert asked == [True, False], "once, and not at every call"
