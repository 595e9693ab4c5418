"""Cores of a microarray: found, and numbered as they stand, turned arrays and gaps included."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.slide.data.tma import Core, find_cores

STEP = (16.0, 16.0)


def sheet(seed, *, rows=4, columns=5, degrees=0.0, missing=(), across=75, gap=120):
    """A mask of bitten discs with jitter, and where each is in pixels of level 0, by (row, column)."""
    rng = np.random.default_rng(seed)
    height, width = rows * gap + 220, columns * gap + 260
    y, x = np.mgrid[:height, :width]
    mask, truth = np.zeros((height, width), bool), {}
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    for r in range(rows):
        for c in range(columns):
            if (r, c) in missing:
                continue
            u, v = (c - (columns - 1) / 2) * gap, (r - (rows - 1) / 2) * gap
            cx, cy = np.array((width / 2 + u * cos - v * sin, height / 2 + u * sin + v * cos)) + rng.uniform(-12, 12, 2)
            radius = across / 2 * rng.uniform(0.85, 1.05)
            bx, by = (cx, cy) + rng.uniform(-1, 1, 2) * radius
            bite = np.hypot(x - bx, y - by) < radius * rng.uniform(0.2, 0.6)
            mask |= (np.hypot(x - cx, y - cy) < radius) & ~bite
            truth[r, c] = ((cx + 0.5) * STEP[1], (cy + 0.5) * STEP[0])
    return mask, truth


@pytest.mark.parametrize("seed", range(30))
def test_twenty_cores_are_numbered_right(seed):
    rng = np.random.default_rng(1000 + seed)
    places = [(r, c) for r in range(4) for c in range(5)]
    missing = [places[i] for i in rng.choice(20, rng.integers(0, 5), replace=False)]
    mask, truth = sheet(seed, degrees=rng.uniform(-8, 8), missing=missing)
    cores = find_cores(mask, STEP, 0.5, 0.6)
    found = {(c.row, c.column): (c.x, c.y) for c in cores if not c.is_missing}
    assert set(found) == set(truth)
    assert sorted((c.row, c.column) for c in cores if c.is_missing) == sorted(missing)
    for place, (x, y) in truth.items():
        assert np.hypot(found[place][0] - x, found[place][1] - y) < 300, "of 1,200 across"


def test_names_are_letters_for_rows_and_numbers_for_columns():
    assert [Core(r, c, 0, 0).name for r, c in ((0, 0), (1, 11), (25, 0), (26, 2))] == ["A-1", "B-12", "Z-1", "AA-3"]


def test_what_is_no_array_of_this_size_is_refused():
    mask, _ = sheet(0)
    with pytest.raises(InputError, match="--tma"):
        find_cores(mask, STEP, 0.5, 3.0)
    with pytest.raises(InputError, match="0 core"):
        find_cores(np.zeros((300, 300), bool), STEP, 0.5, 0.6)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:900, :900]
    loose = np.zeros((900, 900), bool)
    for cx, cy in rng.uniform(60, 840, (40, 2)):
        loose |= np.hypot(x - cx, y - cy) < 37
    with pytest.raises(InputError):
        find_cores(loose, STEP, 0.5, 0.6)


def test_one_row_is_an_array_too():
    mask, truth = sheet(3, rows=1, columns=4)
    assert [c.name for c in find_cores(mask, STEP, 0.5, 0.6)] == ["A-1", "A-2", "A-3", "A-4"]
    assert len(truth) == 4
