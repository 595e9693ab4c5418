"""Peaks of surprisal: found where channels surprise together, merged, and silent where nothing happens."""

import numpy as np
import pytest

from workbench.recording.predict.peaks import peaks

RATE = 250.0
NAMES = [f"c{i}" for i in range(8)]


def noise(channels=8, samples=6000, seed=0):
    rng = np.random.default_rng(seed)
    levels = rng.uniform(2, 4, (channels, 1))
    return (levels + rng.gamma(2.0, 0.4, (channels, samples))).astype(np.float32)


def test_a_stretch_that_few_channels_share_is_found_and_named():
    values = noise()
    values[2:4, 3000:3100] += 3.0
    found = peaks(values, RATE, channels=NAMES, start=10.0)
    assert len(found) == 1
    (mark,) = found
    assert mark.onset == pytest.approx(10.0 + 3000 / RATE, abs=0.15)
    assert mark.duration == pytest.approx(0.4, abs=0.25)
    assert mark.channels == ("c2", "c3")
    assert mark.label == "surprising"


def test_noise_alone_gives_next_to_nothing():
    assert sum(len(peaks(noise(seed=s), RATE)) for s in range(5)) <= 2


def test_near_stretches_become_one_and_far_ones_stay_apart():
    values = noise()
    for at in (1000, 1130, 4000):
        values[:3, at : at + 40] += 4.0
    assert len(peaks(values, RATE, window=0.1, gap=0.6)) == 2
    assert len(peaks(values, RATE, window=0.1, gap=0.0)) == 3


def test_a_lower_threshold_finds_more():
    values = noise()
    rng = np.random.default_rng(3)
    for at in rng.integers(100, 5800, 12):
        values[:4, at : at + 50] += rng.uniform(0.2, 2.0)
    counts = [len(peaks(values, RATE, threshold=t, gap=0.0)) for t in (2.5, 4.0, 8.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_missing_context_is_no_peak_and_does_not_spread():
    values = noise()
    values[:, :100] = np.nan
    values[0:3, 2000:2090] += 4.0
    values[:, 5000:5200] = np.nan
    found = peaks(values, RATE)
    assert len(found) == 1
    assert len(peaks(np.full((3, 500), np.nan, np.float32), RATE)) == 0


def test_a_dead_channel_hides_nothing_and_makes_nothing_up():
    values, rng = noise(channels=12), np.random.default_rng(1)
    values[:3, 3000:3100] += 3.0
    values[5] = 1e-4 + 1e-7 * rng.standard_normal(6000)
    values[5, rng.integers(0, 6000, 8)] = 1e-3
    found = peaks(values, RATE, channels=[str(i) for i in range(12)])
    assert [m.channels for m in found] == [("0", "1", "2")]
    assert found.marks[0].onset == pytest.approx(3000 / RATE, abs=0.15)


def test_pieces_do_not_change_what_is_found(monkeypatch):
    values = noise(samples=9000)
    for at in (1000, 2040, 4090, 8000):
        values[1:5, at : at + 60] += 3.0
    whole = peaks(values, RATE)
    monkeypatch.setattr("workbench.recording.predict.peaks._PIECE", 256)
    assert peaks(values, RATE).marks == whole.marks
    assert len(whole) == 4


@pytest.mark.parametrize(("rate", "window"), [(250.0, 0.2), (250.0, 0.1), (500.0, 0.2), (100.0, 0.4)])
def test_a_mark_is_centred_on_what_it_marks(rate, window):
    away = []
    for seed in range(6):
        values = noise(samples=8000, seed=seed)
        at = 3000 + 37 * seed
        values[:4, at : at + round(0.6 * rate)] += 6.0
        mark = max(peaks(values, rate, window=window), key=lambda m: m.duration)
        away.append(mark.onset + mark.duration / 2 - (at / rate + 0.3))
    block = window / 4
    assert abs(np.mean(away)) < 0.2 * block  # half a block too late before
    assert np.abs(away).max() < block


def test_marks_stay_inside_the_recording():
    values = noise(samples=3003)
    values[:4, :120] += 6.0
    values[:4, -120:] += 6.0
    first, last = peaks(values, RATE, start=2.0)
    assert 2.0 <= first.onset < 2.1
    assert last.onset + last.duration <= 2.0 + 3003 / RATE
