"""Bursts of known times are found again."""

import numpy as np
import pytest

from tests.simulated_bursts import bursting
from workbench.core.errors import Cancelled, InputError
from workbench.recording.evaluate.bursts import BurstSettings, burst_rows, bursts, decimate, embed, find_bursts, visits

QUICK = BurstSettings(starts=1, iterations=25)


def test_visits_by_hand() -> None:
    mask = np.array([1, 1, 0, 0, 1, 1, 1, 0, 1, 0], bool)
    rate, interval, lifetime, share = visits(mask, 10.0)
    assert rate == pytest.approx(2.0)
    assert interval == pytest.approx((2 + 1) / 2 / 10)
    assert lifetime == pytest.approx((3 + 1) / 2 / 10)
    assert share == pytest.approx(0.6)


def test_one_visit_has_no_interval() -> None:
    assert np.isnan(visits(np.array([0, 1, 0], bool), 1.0)[1])
    rate, interval, lifetime, share = visits(np.ones(20, bool), 10.0)
    assert (rate, share) == (0.0, 1.0)
    assert np.isnan(interval)
    assert np.isnan(lifetime)


def test_bursts_are_found_where_they_are() -> None:
    x, mask = bursting(2, 60.0, seed=1)
    models = find_bursts(x, 250.0, QUICK)
    rows = burst_rows(bursts(x, 250.0, models, QUICK))
    assert [r.channel for r in rows] == [0, 1]
    for channel, row in enumerate(rows):
        wanted = visits(mask[channel], 250.0)
        assert row.rate == pytest.approx(wanted[0], rel=0.35)
        assert row.lifetime == pytest.approx(wanted[2], rel=0.35)
        assert row.interval == pytest.approx(wanted[1], rel=0.35)
        assert 8 <= row.frequency <= 13
        model = models[channel]
        at_100 = decimate(x[channel : channel + 1], 250.0, 100.0)[0]
        path = model.hmm.states(model.vectors(at_100))
        assert model.vectors(at_100).shape[0] == embed(at_100, 21).shape[0] == len(at_100) - 20
        truth = mask[channel][(np.arange(len(path)) + 10) * 5 // 2]
        assert ((path == model.burst) == truth).mean() > 0.85


def test_models_count_the_same_states_in_other_signals() -> None:
    x, _ = bursting(1, 60.0, seed=2)
    rare, _ = bursting(1, 60.0, seed=3, every=6.0)
    models = find_bursts(x, 250.0, QUICK)
    often, seldom = (burst_rows(bursts(s, 250.0, models, QUICK))[0] for s in (x, rare))
    assert seldom.rate < often.rate
    assert seldom.share < 0.5 * often.share
    assert seldom.interval > 1.3 * often.interval
    again = bursts(x, 250.0, models, QUICK)
    assert [r.rate for r in again] == [r.rate for r in bursts(x, 250.0, settings=QUICK)]


def test_long_signals_are_fitted_in_stretches() -> None:
    x, _ = bursting(1, 60.0, seed=4)
    short = BurstSettings(starts=1, iterations=15, seconds=20.0)
    row = burst_rows(bursts(x, 250.0, settings=short))[0]
    assert 0.3 < row.rate < 1.2


def test_decimation_keeps_the_rhythm_and_removes_what_is_too_fast() -> None:
    t = np.arange(2500) / 250.0
    slow, fast = np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 90 * t)
    found = decimate(np.stack([slow, fast]), 250.0, 100.0)
    assert found.shape == (2, 1000)
    np.testing.assert_allclose(found[0, 50:-50], np.sin(2 * np.pi * 10 * np.arange(1000) / 100)[50:-50], atol=0.01)
    assert found[1, 50:-50].std() < 0.02


def test_errors_and_cancel() -> None:
    x, _ = bursting(2, 10.0)
    with pytest.raises(InputError, match="slower"):
        find_bursts(x, 80.0)
    with pytest.raises(InputError, match="too short"):
        find_bursts(x[:, :500], 250.0)
    with pytest.raises(InputError, match="channel 1 is constant"):
        find_bursts(np.stack([x[0], np.ones(2500)]), 250.0)
    with pytest.raises(InputError, match="cannot be counted in 2 channels"):
        bursts(x, 250.0, find_bursts(x[:1], 250.0, QUICK))

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        find_bursts(x, 250.0, QUICK, stop)
