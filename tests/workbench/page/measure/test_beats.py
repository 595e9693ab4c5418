"""Beats are steep, alike or not, and lie at the same point of each QRS."""

import numpy as np
import pytest

from tests.ecg_maker import Heart, leads, onsets
from workbench.page.measure.beats import STEEP, find_beats, steepness, windows
from workbench.page.measure.waves import find_waves


def test_windows_lie_between_samples_and_end_where_nothing_was_seen():
    data = np.arange(20.0)[None]
    data[0, 15:] = np.nan
    out = windows(data, 10.0, np.array([0.55, 1.35, 0.05]), 0.1, 0.1)
    np.testing.assert_allclose(out[0, 0], [4.5, 5.5, 6.5])
    np.testing.assert_allclose(out[1, 0], [12.5, 13.5, np.nan])
    np.testing.assert_allclose(out[2, 0], [np.nan, 0.5, 1.5])


@pytest.mark.parametrize("rate", [100.0, 500.0])
def test_hearts_are_steep_and_waves_of_the_sea_are_not(rate):
    heart = leads(Heart(), 10.0, rate, noise=0.05)
    assert steepness(heart, rate, onsets(Heart(), 9.0)[:8] + 0.04) > 2 * STEEP
    t = np.arange(round(10 * rate)) / rate
    sea = np.tile(np.sin(2 * np.pi * 1.2 * t), (2, 1))
    assert steepness(sea, rate, np.arange(0.6, 9.4, 1 / 1.2)) < STEEP


def test_beats_are_found_whatever_their_size_and_sign():
    data = leads(Heart(rate=75), noise=0.005)
    expected = len(find_beats(data, 500.0, find_waves(data, 500.0)).times)
    assert expected in (12, 13)
    for factor in (-1.0, 0.2, 20.0):
        assert len(find_beats(factor * data, 500.0, find_waves(factor * data, 500.0)).times) == expected


def test_moments_of_alike_beats_agree_to_a_millisecond():
    heart = Heart(rate=70, jitter=0.2)
    data = leads(heart, noise=0.02)
    beats = find_beats(data, 500.0, find_waves(data, 500.0))
    truth = onsets(heart, 10.0)
    nearest = np.abs(np.subtract.outer(beats.times - 0.04, truth)).argmin(1)
    assert np.std(beats.times - truth[nearest]) < 0.001
    assert (beats.likeness > 0.98).all()
    assert beats.dominant.all()


def test_two_forms_are_told_apart_in_one_lead():
    data = leads(Heart(ectopic=(2, 5, 8)), noise=0.01)[1:2]
    beats = find_beats(data, 500.0, find_waves(data, 500.0))
    np.testing.assert_array_equal(np.flatnonzero(~beats.dominant), [2, 5, 8])
    assert set(beats.kind[[2, 5, 8]]) == {1}
