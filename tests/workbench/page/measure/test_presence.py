"""A wave is there where most beats show it and where it comes back with every beat; chance seldom passes."""

import numpy as np
import pytest

from tests.ecg_maker import NAMES, Heart, leads
from workbench.page.measure.beats import Beats, find_beats
from workbench.page.measure.delineate import delineate
from workbench.page.measure.lead_rule import global_marks
from workbench.page.measure.presence import CHANCE, _judged, presence
from workbench.page.measure.waves import find_waves

ROWS = list(range(12))


def _waves(rng, low, high, samples=5000, rate=500.0):
    """Noise in a band, as f waves are."""
    f = np.fft.rfftfreq(samples, 1 / rate)
    shape = ((f > low) & (f < high)) * (rng.normal(size=len(f)) + 1j * rng.normal(size=len(f)))
    x = np.fft.irfft(shape, samples)
    return x / x.std()


@pytest.mark.parametrize(("low", "high"), [(4.0, 9.0), (0.5, 40.0), (0.5, 240.0)])
@pytest.mark.parametrize("beats", [4, 12])
def test_waves_that_follow_no_beat_seldom_pass(low, high, beats):
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(60):
        data = rng.normal(size=(12, 2)) @ np.stack([_waves(rng, low, high) for _ in range(2)])
        moments = Beats(np.sort(rng.uniform(0.6, 9.4, beats)), np.zeros(beats, np.int64), np.ones(beats))
        chance = _judged(data, 500.0, moments, ROWS, -0.2, -0.1)
        passed += chance is not None and chance < CHANCE
    assert passed <= 4


def test_a_wave_in_every_beat_passes_though_noise_is_as_large():
    rng = np.random.default_rng(1)
    t = np.arange(5000) / 500
    moments = np.arange(0.8, 9.6, 0.8)
    wave = sum(np.exp(-0.5 * ((t - m + 0.15) / 0.02) ** 2) for m in moments)
    data = wave * rng.uniform(0.3, 1, (12, 1)) + rng.normal(0, 0.5, (12, 5000))
    beats = Beats(moments, np.zeros(len(moments), np.int64), np.ones(len(moments)))
    assert _judged(data, 500.0, beats, ROWS, -0.21, -0.09) < CHANCE
    assert _judged(data, 500.0, beats, ROWS, -0.45, -0.33) > CHANCE


def test_too_few_beats_cannot_be_asked():
    beats = Beats(np.array([1.0, 2.0]), np.zeros(2, np.int64), np.ones(2))
    assert _judged(np.random.default_rng(0).normal(size=(12, 2000)), 500.0, beats, ROWS, -0.2, -0.1) is None


def test_beats_that_hide_their_p_are_counted():
    normal, bare = leads(Heart(), noise=0.01), leads(Heart(p_size=0.0), noise=0.01)
    data = np.concatenate([normal[:, :3420], bare[:, 3420:]], axis=1)
    waves = find_waves(data, 500.0)
    beats = find_beats(data, 500.0, waves)
    found = delineate(waves, beats, NAMES)
    answer = presence(data, 500.0, beats, found, global_marks(found, beats, ROWS), ROWS, 0)
    assert answer.present
    assert answer.reason == f"P hidden or absent in {answer.of - answer.beats} of {answer.of} beats"
    assert (answer.of, answer.beats) == (10, 7)
