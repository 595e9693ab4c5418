"""The network treats leads alike, whatever their order and number; a long recording is one recording."""

import numpy as np
import pytest

from tests.ecg_maker import NAMES, Heart, leads
from workbench.core.errors import WeightsError
from workbench.page.measure.beats import find_beats
from workbench.page.measure.delineate import BORDERS, delineate
from workbench.page.measure.waves import WEIGHTS, find_waves, network


def test_the_weights_are_small_and_say_what_taught_them():
    from safetensors import safe_open

    assert WEIGHTS.stat().st_size < 150_000
    with safe_open(WEIGHTS, "pt") as file:
        assert "LUDB" in file.metadata()["taught_on"]
        assert "ODC-By" in file.metadata()["taught_on"]


def test_the_order_of_leads_does_not_matter():
    data = leads(Heart(), noise=0.02)
    order = np.random.default_rng(0).permutation(12)
    one, other = find_waves(data, 500.0), find_waves(data[order], 500.0)
    np.testing.assert_allclose(other.waves, one.waves[order], atol=1e-4)


def test_leads_that_were_not_seen_change_nothing():
    data = leads(Heart(), noise=0.02)
    more = np.concatenate([data[:3], np.full((4, data.shape[1]), np.nan)])
    np.testing.assert_allclose(find_waves(more, 500.0).waves[:3], find_waves(data[:3], 500.0).waves, atol=1e-4)


def test_windows_of_a_long_recording_join():
    data = leads(Heart(), 95.0, 250.0, noise=0.01)[:2]
    waves = find_waves(data, 250.0)
    beats = find_beats(data, 250.0, waves)
    assert len(beats.times) == 95
    assert np.ptp(np.diff(beats.times)) < 0.01
    assert waves.waves.shape == (2, 3, data.shape[1])
    short = find_waves(data[:, : 30 * 250], 250.0)
    np.testing.assert_allclose(short.waves[:, :, : 20 * 250], waves.waves[:, :, : 20 * 250], atol=0.1)


def test_marks_are_in_order_and_inside():
    data = leads(Heart(rate=100, qt=0.33, jitter=0.1), noise=0.03)
    waves = find_waves(data, 500.0)
    beats = find_beats(data, 500.0, waves)
    found = delineate(waves, beats, NAMES)
    assert found.marks.shape == (12, len(beats.times), len(BORDERS))
    for lead in found.marks:
        flat = lead[np.isfinite(lead)]
        assert (np.diff(flat) >= 0).all()
        assert flat.min() >= 0
        assert flat.max() <= 10.0
    times = found.times(1)
    assert len(times["QRS on"]) == len(beats.times)


def test_weights_that_are_not_there_or_damaged_are_one_line(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        network(tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="not a weight file") as raised:
        network(broken)
    assert "\n" not in str(raised.value)
