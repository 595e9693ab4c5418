"""Rows of ink: followed through gaps and crossings, and their middle line to a fraction of a pixel."""

import numpy as np

from workbench.page.draw.canvas import Canvas
from workbench.page.predict.tracing import baselines, follow, middle_line

PER_MM, FINER, PEN = 8.0, 2, 3.0


def ink_of(lines, height=400, width=1200):
    """A map of lines, (x in columns, y in rows), with twice as many columns as rows of pixels."""
    canvas = Canvas(width, FINER * height, (0.0, 0.0, 0.0))
    for x, y in lines:
        canvas.lines([np.column_stack([x, (np.asarray(y) + 0.5) * FINER - 0.5])], PEN * FINER, (1.0, 1.0, 1.0))
    return canvas.pixels()[..., 0].reshape(height, FINER, width).mean(axis=1).astype(np.float32) / 255


X = np.arange(20.0, 1180.0)


def beat(x, at, height, wide):
    return -height * np.exp(-0.5 * ((x - at) / wide) ** 2)


def test_a_smooth_line_is_found_to_a_twentieth_of_a_pixel():
    y = 200 + 12 * np.sin(X / 60)
    ink = ink_of([(X, y)])
    rows = baselines(ink, PER_MM)
    assert np.allclose(rows, [200], atol=4)
    (stroke,) = follow(ink, rows, PER_MM)
    found = middle_line(stroke, PEN, FINER)[30:1170]
    assert np.abs(found - y[10:1150]).max() < 0.2
    assert np.abs(found - y[10:1150]).mean() < 0.05
    assert stroke.sure[30:1170].min() > 0.9


def test_a_narrow_peak_keeps_its_height():
    for height in (60.0, -60.0):
        y = 200 + beat(X, 600, height, 7)
        ink = ink_of([(X, y)])
        (stroke,) = follow(ink, np.array([200.0]), PER_MM)
        found = middle_line(stroke, PEN, FINER)
        at = np.nanargmax(np.abs(found - 200))
        assert abs(at - 600) <= 1
        assert abs(found[at] - 200 + height) < 1.0
        assert np.nanmean(np.abs(found[20:1180] - y)) < 0.35


def test_rows_that_cross_keep_their_own_ink():
    upper = 120 + beat(X, 600, -130, 6)  # an S wave through the row below
    lower = 220 + beat(X, 300, 140, 6)  # an R wave through the row above
    ink = ink_of([(X, upper), (X, lower)])
    rows = baselines(ink, PER_MM)
    assert np.allclose(rows, [120, 220], atol=2)
    one, other = follow(ink, rows, PER_MM)
    free = ~((one.top < other.bottom) & (one.bottom > other.top))[20:1180]
    for stroke, y in zip((one, other), (upper, lower), strict=True):
        found = middle_line(stroke, PEN, FINER)[20:1180]
        away = np.abs(found - y)
        assert not stroke.unclear.any()
        assert np.nanpercentile(away[free], 99) < 2.5
        assert np.nanmedian(away) < 0.1


def test_a_gap_stays_a_gap_and_the_row_below_is_not_taken_for_it():
    first, last = X[X < 500], X[X > 640]
    ink = ink_of([(first, np.full(len(first), 100.0)), (last, np.full(len(last), 100.0)), (X, np.full(len(X), 200.0))])
    upper, lower = follow(ink, np.array([100.0, 200.0]), PER_MM)
    assert np.isnan(upper.top[510:630]).all()
    assert np.isfinite(upper.top[30:490]).all()
    assert np.isfinite(lower.top[30:1170]).all()
    assert not upper.unclear.any()


def test_an_empty_map_has_no_rows():
    assert len(baselines(np.zeros((300, 500), np.float32), PER_MM)) == 0


def test_a_peak_that_is_faint_at_one_height_keeps_what_is_above():
    y = 200 + beat(X, 600, 90.0, 5)
    ink = ink_of([(X, y)])
    faint = ink.copy()
    faint[158:161] *= 0.35  # a line of the grid runs through, or the scan did
    found, right = (middle_line(follow(i, np.array([200.0]), PER_MM)[0], PEN, FINER) for i in (faint, ink))
    assert np.nanmin(found) < 112
    assert np.nanmax(np.abs(found - right)[20:1180]) < 3
