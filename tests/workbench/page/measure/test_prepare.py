"""Resampling keeps the place in time and the gaps; wander and gain go; what cannot be leads is refused."""

import numpy as np
import pytest
import scipy.signal

from workbench.core.errors import InputError
from workbench.page.measure.prepare import checked, conditioned, filled, resampled
from workbench.page.runs import runs


def test_runs_are_first_and_last_plus_one():
    assert runs(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert runs(np.zeros(3, bool)) == []


def test_gaps_are_bridged_by_lines_and_remembered():
    full, there = filled(np.array([[0.0, np.nan, 2.0], [np.nan, np.nan, np.nan]]))
    np.testing.assert_array_equal(full, [[0, 1, 2], [0, 0, 0]])
    np.testing.assert_array_equal(there, [[True, False, True], [False] * 3])


@pytest.mark.parametrize("rate", [100.0, 294.7, 360.0, 500.0, 1000.0])
def test_a_wave_stays_where_it_was(rate):
    t = np.arange(int(4 * rate)) / rate
    new, there = resampled(np.exp(-0.5 * ((t - 2.0) / 0.02) ** 2)[None], rate, 250.0)
    assert there.all()
    at = np.arange(new.shape[1]) / 250.0
    assert float((at * new[0]).sum() / new[0].sum()) == pytest.approx(2.0, abs=0.0005)
    assert new[0].max() == pytest.approx(1.0, abs=0.03)


def test_what_the_new_rate_cannot_show_does_not_fold_back():
    t = np.arange(4000) / 1000
    new, _ = resampled(np.sin(2 * np.pi * 220 * t)[None], 1000.0, 250.0)
    assert np.abs(new[:, 100:-100]).max() < 0.1  # 220 Hz would come back as 30 Hz
    slow, _ = resampled(np.sin(2 * np.pi * 10 * t)[None], 1000.0, 250.0)
    expected = scipy.signal.resample_poly(np.sin(2 * np.pi * 10 * t), 1, 4)
    np.testing.assert_allclose(slow[0, 50:-50], expected[50 : slow.shape[1] - 50], atol=0.01)


def test_gaps_stay_gaps_at_another_rate():
    data = np.ones((1, 1000))
    data[0, 400:600] = np.nan
    _, there = resampled(data, 500.0, 250.0)
    assert runs(there[0]) == [(0, 200), (300, 500)]


def test_wander_offset_and_gain_do_not_matter():
    rng = np.random.default_rng(0)
    t = np.arange(2500) / 250
    beats = (np.abs((t % 1.0) - 0.5) < 0.02).astype(float)[None] + 0.01 * rng.standard_normal((1, 2500))
    there = np.ones((1, 2500), bool)
    plain = conditioned(beats, there, 250.0)
    np.testing.assert_allclose(conditioned(7 * beats + 3, there, 250.0), plain, atol=1e-9)
    wandering = conditioned(beats + 0.5 * np.sin(2 * np.pi * 0.15 * t), there, 250.0)
    assert np.abs(wandering - plain)[:, 400:-400].max() < 0.5  # QRS are 5 and more


def test_a_flat_lead_is_not_blown_up_and_gaps_are_zero():
    there = np.ones((2, 1000), bool)
    there[1, :500] = False
    out = conditioned(np.full((2, 1000), 0.7) + 1e-4 * np.sin(np.arange(1000)), there, 250.0)
    assert np.abs(out).max() < 0.02
    assert not out[1, :500].any()


@pytest.mark.parametrize(
    ("data", "names", "rate", "says"),
    [
        (np.zeros(100), ("I",), 500.0, r"leads of shape \(100,\), expected \(leads, samples\)"),
        (np.zeros((0, 0)), (), 500.0, "expected"),
        (np.zeros((2, 100)), ("I",), 500.0, "1 names for 2 leads"),
        (np.zeros((5000, 12)), ("I",) * 5000, 500.0, "5000 leads, expected at most 64"),
        (np.zeros((1, 100)), ("I",), 5.0, "sampling rate 5 Hz, expected 100 to 1000 Hz"),
        (np.zeros((1, 100)), ("I",), float("nan"), "sampling rate nan Hz"),
        (np.full((1, 100), np.inf), ("I",), 500.0, "infinite values"),
        (np.array([["a", "b"]]), ("I",), 500.0, "expected numbers"),
        (np.zeros((1, 100), complex), ("I",), 500.0, "expected numbers"),
    ],
)
def test_what_is_no_electrocardiogram_is_refused_in_one_line(data, names, rate, says):
    with pytest.raises(InputError, match=says) as raised:
        checked(data, names, rate, "page 1")
    assert str(raised.value).startswith("page 1: ")
    assert "\n" not in str(raised.value)
