"""Borders are matched one to one within the window, counted where somebody drew, and their errors are in ms."""

import numpy as np
import pytest

from workbench.page.evaluate.delineation import BORDERS, matched, score


def _row(rows, border):
    return next(row for row in rows if row.border == border)


def test_known_errors_come_back():
    reference = {"QRS on": np.array([1.0, 2.0, 3.0, 4.0])}
    found = {"QRS on": np.array([1.010, 1.990, 3.020])}
    row = _row(score([(reference, found, 0.5, 4.5)]), "QRS on")
    assert (row.reference, row.found, row.matched) == (4, 3, 3)
    assert row.sensitivity == 0.75
    assert row.predictivity == 1.0
    assert row.mean == pytest.approx(20 / 3)
    assert row.sd == pytest.approx(np.std([10, -10, 20], ddof=1))


def test_nothing_beyond_the_window_matches():
    reference, found = np.array([1.0]), np.array([1.149])
    assert matched(reference, found) == [(0, 0)]
    assert matched(reference, found + 0.002) == []


def test_each_border_is_used_once_and_the_nearest_wins():
    pairs = matched(np.array([1.0, 1.1]), np.array([1.09]))
    assert pairs == [(1, 0)]
    assert sorted(matched(np.array([1.0, 1.1]), np.array([1.01, 1.05]))) == [(0, 0), (1, 1)]


def test_what_lies_outside_the_drawn_stretch_is_not_counted():
    reference = {"P peak": np.array([1.0, 2.0])}
    found = {"P peak": np.array([0.2, 1.0, 1.5, 2.0, 2.9])}
    row = _row(score([(reference, found, 1.0, 2.0)]), "P peak")
    assert (row.found, row.matched) == (3, 2)
    assert row.predictivity == pytest.approx(2 / 3)


def test_a_match_just_outside_the_stretch_counts():
    row = _row(score([({"P on": np.array([1.0])}, {"P on": np.array([0.98])}, 1.0, 2.0)]), "P on")
    assert (row.found, row.matched) == (1, 1)


def test_missing_borders_and_nan_are_no_borders():
    reference = {"T off": np.array([1.0, np.nan])}
    rows = score([(reference, {"T off": np.array([np.nan])}, 0.0, 3.0)])
    assert [row.border for row in rows] == list(BORDERS)
    row = _row(rows, "T off")
    assert (row.reference, row.found, row.matched) == (1, 0, 0)
    assert row.sensitivity == 0.0
    assert row.predictivity is None
    assert row.mean is None
    assert row.sd is None


def test_leads_are_pooled_and_never_matched_with_each_other():
    one = ({"T on": np.array([1.0])}, {"T on": np.array([])}, 0.0, 2.0)
    two = ({"T on": np.array([])}, {"T on": np.array([1.0])}, 0.0, 2.0)
    row = _row(score([one, two]), "T on")
    assert (row.reference, row.found, row.matched) == (1, 1, 0)
