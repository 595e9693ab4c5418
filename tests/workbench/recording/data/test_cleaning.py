import numpy as np
import pytest

from tests.recording_maker import signals
from workbench.recording.data.cleaning import bad_windows, runs

RATE = 250.0


def test_even_recordings_lose_nothing():
    data = signals(8, 60.0, RATE, scale=1.0).astype(np.float32)
    keep = bad_windows(data, np.ones(data.shape[1], bool), ("mag",) * 8, RATE)
    assert keep.mean() > 0.97


def test_jumps_and_fast_noise_are_found_in_any_unit():
    for scale in (1e-13, 1.0, 1e6):
        data = signals(8, 60.0, RATE, scale=scale).astype(np.float32)
        data[:, 5000:5125] *= 12  # large
        data[:, 9000:9125] += 6 * scale * np.tile([1, -1], 63)[:125].astype(np.float32)  # fast
        keep = bad_windows(data, np.ones(data.shape[1], bool), ("mag",) * 8, RATE)
        assert not keep[5000:5125].any()
        assert not keep[9000:9125].any()
        assert keep.mean() > 0.95


def test_kinds_are_judged_apart():
    data = signals(8, 60.0, RATE, scale=1e-13).astype(np.float32)
    data[4:] *= 1e8
    data[4:, 5000:5125] *= 12
    keep = bad_windows(data, np.ones(data.shape[1], bool), ("mag",) * 4 + ("eeg",) * 4, RATE)
    assert not keep[5000:5125].any()


def test_what_is_bad_already_does_not_set_the_measure():
    data = signals(8, 60.0, RATE, scale=1.0).astype(np.float32)
    good = np.ones(data.shape[1], bool)
    data[:, :7000] *= 50
    good[:7000] = False
    data[:, 10_000:10_125] *= 12
    keep = bad_windows(data, good, ("mag",) * 8, RATE)
    assert not keep[10_000:10_125].any()
    assert keep[7125:].mean() > 0.95


def test_short_recordings_are_left_alone():
    assert bad_windows(np.ones((2, 100), np.float32), np.ones(100, bool), ("mag",) * 2, RATE).all()


def test_runs():
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 2), (3, 4), (6, 7)]
    assert runs(np.zeros(3, bool)) == []


@pytest.mark.parametrize(("louder", "bad"), [(1.2, False), (1.4, True)])
def test_in_a_very_even_recording_nothing_normal_stands_out(louder, bad):
    """Where all windows are alike their deviation is next to nothing, and a change of a fifth is none to drop."""
    rate, width = 100.0, 50
    data = np.tile(np.sin(2 * np.pi * np.arange(width) * 4 / width), (2, 40)).astype(np.float32)
    data *= np.repeat(1 + 1e-3 * np.random.default_rng(0).standard_normal(40), width).astype(np.float32)
    data[:, 10 * width : 11 * width] *= louder
    keep = bad_windows(data, np.ones(data.shape[1], bool), ("mag", "mag"), rate)
    wanted = np.ones(data.shape[1], bool)
    wanted[10 * width : 11 * width] = not bad
    np.testing.assert_array_equal(keep, wanted)
