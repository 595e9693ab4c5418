"""The QRS begins and ends where the leads together begin and cease to move, and borders never pass each other."""

import numpy as np
import pytest

from workbench.page.measure.beats import Beats
from workbench.page.measure.lead_rule import GlobalMarks
from workbench.page.measure.median_beat import MedianBeat
from workbench.page.measure.sharpen import USUAL, in_order, sharpened, velocity

RATE = 500.0
TIMES = np.arange(300) / RATE - 0.3
DRAWN = np.array([-0.2, -0.15, -0.1, -0.062, 0.0, 0.055, 0.15, 0.2, 0.25])


def _beat(noise=0.0):
    """A triangle from -50 to 48 ms in three leads, with the borders that somebody drew around it."""
    shape = np.interp(TIMES, [-0.05, 0.0, 0.048], [0, 1, 0], left=0, right=0)
    data = np.outer([1.0, -0.6, 0.3], shape) + noise * np.random.default_rng(0).standard_normal((3, 300))
    return MedianBeat(("I", "II", "V1"), data, np.zeros_like(data), np.full(3, 2), RATE, 0.3, DRAWN)


def _sharpened(beat):
    marks = GlobalMarks(np.tile(DRAWN, (3, 1)), DRAWN, np.array([1.0, 2.0, 3.0])[:, None] + DRAWN)
    beats = Beats(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 0]), np.ones(3))
    return sharpened(marks, beat, beats, [0, 1, 2])


def test_velocity_is_the_root_mean_square_of_the_slopes():
    speed = velocity(_beat(), [0, 1, 2])
    expected = 20.0 * np.sqrt(np.mean(np.square([1.0, 0.6, 0.3])))
    assert np.nanmax(speed) == pytest.approx(1 / 0.048 / 20 * expected, rel=0.01)


def test_borders_move_to_where_the_leads_move():
    marks, beat = _sharpened(_beat())
    assert marks.dominant[3] == pytest.approx(-0.050, abs=0.005)
    assert marks.dominant[5] == pytest.approx(0.048, abs=0.005)
    np.testing.assert_array_equal(beat.marks, marks.dominant)
    np.testing.assert_array_equal(marks.dominant[[0, 8]], DRAWN[[0, 8]])


def test_dominant_beats_move_and_others_do_not():
    marks, _ = _sharpened(_beat())
    moved = marks.per_beat - (np.array([1.0, 2.0, 3.0])[:, None] + DRAWN)
    np.testing.assert_allclose(moved[1], 0, atol=1e-12)
    np.testing.assert_allclose(moved[[0, 2], 3], marks.dominant[3] - DRAWN[3])


def test_in_noise_the_usual_margin_is_taken_off():
    marks, _ = _sharpened(_beat(noise=0.1))
    assert marks.dominant[3] - DRAWN[3] == pytest.approx(USUAL[0])
    assert DRAWN[5] - marks.dominant[5] == pytest.approx(USUAL[1])


def test_no_border_passes_another():
    rng = np.random.default_rng(1)
    marks = rng.normal(0, 1, (200, 9))
    marks[rng.random((200, 9)) < 0.2] = np.nan
    out = in_order(marks)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(marks))
    for row in out:
        some = row[np.isfinite(row)]
        assert (np.diff(some) >= 0).all()
    np.testing.assert_array_equal(out[:, 3], marks[:, 3])
