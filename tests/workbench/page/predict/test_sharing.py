"""Beats that reach into other rows: every stroke has its row, and what is not clear is said."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from workbench.page.net.page_net import FINER
from workbench.page.predict.digitise import PEN
from workbench.page.predict.sharing import share_out
from workbench.page.predict.tracing import follow, middle_line
from workbench.page.predict.ways import COARSE, Way
from workbench.page.rectified import PER_MM
from workbench.page.runs import long_runs

PER_COLUMN = FINER * PER_MM


def beat(x: np.ndarray, middle: float, height: float, half: float = 0.6) -> np.ndarray:
    """A peak of `height` mm, `half` mm wide to each side at its foot."""
    return height * np.clip(1 - np.abs(x - middle) / half, 0, None)


def ink_of(lines: list[np.ndarray], tall: float) -> np.ndarray:
    """The map of traces of lines, heights in mm from the top at every column, as the network is taught to draw it."""
    width = len(lines[0])
    picture = Image.new("L", (width, round(tall * PER_COLUMN)))
    pen = ImageDraw.Draw(picture)
    for line in lines:
        pen.line(
            list(zip(range(width), line * PER_COLUMN, strict=True)),
            fill=255,
            width=round(PEN * PER_COLUMN),
            joint="curve",
        )
    fine = np.asarray(picture, np.float32) / 255
    return fine.reshape(-1, FINER, width).max(axis=1)


def followed(lines: list[np.ndarray], rows: list[float], tall: float) -> tuple[list[np.ndarray], list]:
    """Heights above its row [mm] that are found of every line, and their strokes."""
    strokes = follow(ink_of(lines, tall), np.array(rows) * PER_MM, PER_MM)
    return [row - middle_line(s, PEN * PER_MM, FINER) / PER_MM for row, s in zip(rows, strokes, strict=True)], strokes


@pytest.mark.parametrize("heights", [(3, 25, 22, 25), (2, 18, 23, 26), (4, -8, 14, 23)])
def test_tall_beats_of_one_moment_are_each_rows_own(heights):
    rows = [40.0, 60.0, 80.0, 100.0]
    x = np.arange(round(100 * PER_COLUMN)) / PER_COLUMN
    beats = (15, 33, 50, 71, 88)
    shapes = [sum(beat(x, at + 0.04 * n, height) for at in beats) for n, height in enumerate(heights)]
    found, _ = followed([row - shape for row, shape in zip(rows, shapes, strict=True)], rows, 130)
    for height, values in zip(heights, found, strict=True):
        for at in beats:
            near = values[np.abs(x - at) < 2]
            tip = near[np.nanargmax(np.abs(near))]
            # Where a tip lies in the line of another row nothing says where it ends within that line.
            assert tip == pytest.approx(height, abs=2.5)


def test_rows_that_do_not_meet_are_in_no_doubt_and_strokes_that_none_can_have_are():
    rows = [40.0, 60.0]
    x = np.arange(round(60 * PER_COLUMN)) / PER_COLUMN
    lines = [row - beat(x, 30, height) for row, height in zip(rows, (8, 12), strict=True)]
    _, strokes = followed(lines, rows, 100)
    assert not any(s.unclear.any() for s in strokes)
    assert all(np.nanmin(s.sure[np.isfinite(s.top)]) > 0.9 for s in strokes)
    # Three strokes through both rows, as of beats of a third lead: whose they are nothing says.
    strange = ink_of([*lines, 75 - beat(x, 30, 50, 2.0)], 100)
    strange[:, round(29.6 * PER_COLUMN) : round(30.4 * PER_COLUMN)] = ink_of(lines, 100)[
        :, round(29.6 * PER_COLUMN) : round(30.4 * PER_COLUMN)
    ]
    told = follow(strange, np.array(rows) * PER_MM, PER_MM)
    assert any(s.unclear[round(25 * PER_COLUMN) : round(35 * PER_COLUMN)].any() for s in told)
    assert not any(s.unclear[: round(20 * PER_COLUMN)].any() for s in told)


def test_ways_change_only_around_tall_ink():
    rows = np.array([40.0, 60.0]) * PER_MM
    x = np.arange(round(60 * PER_COLUMN)) / PER_COLUMN
    ink = ink_of([row - beat(x, 30, 25) for row in (40.0, 60.0)], 100)
    small = ink.reshape(-1, COARSE, ink.shape[1] // COARSE, COARSE).max(axis=(1, 3))
    ways = [Way(small, rows, n, 20 * PER_MM, PER_MM, 32.0, ()) for n in (0, 1)]
    flat = [np.full(small.shape[1], row / COARSE) for row in rows]
    paths = [path.copy() for path in flat]
    share_out(small, ways, paths)
    changed = [np.flatnonzero(np.abs(path - before) > 1) for path, before in zip(paths, flat, strict=True)]
    for columns in changed:
        assert columns.size
        assert np.abs(columns * COARSE / PER_COLUMN - 30).max() < 4


@pytest.mark.parametrize("least", [1, 2, 3, 6, 7])
def test_long_runs_are_an_opening_along_columns(least):
    from scipy import ndimage

    mask = np.random.default_rng(least).random((60, 40)) > 0.2
    assert (long_runs(mask, least) == ndimage.binary_opening(mask, np.ones((least, 1)))).all()
