"""Comparisons of signals: equal ones agree, different ones are told apart."""

import numpy as np
import pytest

from tests.simulated_bursts import bursting
from workbench.core.errors import InputError
from workbench.recording.evaluate.bursts import BurstSettings
from workbench.recording.evaluate.signals import bursts, compare, pooled_peaks, psd

QUICK = BurstSettings(starts=1, iterations=20)


def _row(comparison, measure):
    return next(r for r in comparison.scores.as_dicts() if r["measure"].startswith(measure))


def test_a_signal_is_like_itself() -> None:
    x, _ = bursting(3, 30.0)
    found = compare(x, x, 250.0, channels=("a", "b", "c"), settings=QUICK)
    assert found.alpha_error == 0
    rows = found.scores.as_dicts()
    for column, same in (("difference", 0), ("correlation", 1)):
        known = [r[column] for r in rows if r[column] is not None and not np.isnan(r[column])]
        assert known
        assert known == pytest.approx([same] * len(known))
    assert [r[0] for r in found.per_channel.rows] == ["a", "b", "c"]
    assert len(found.bursts_real) == 9
    assert "100 Hz" in found.notes[0]
    assert "250 Hz" in found.notes[0]


def test_differences_are_in_the_table() -> None:
    x, _ = bursting(2, 60.0, seed=0)
    y, _ = bursting(2, 45.0, seed=1, frequency=12.0, every=5.0)
    found = compare(x, y, 250.0, settings=QUICK)
    assert _row(found, "alpha peak")["difference"] == pytest.approx(2.0, abs=0.3)
    assert found.alpha_error == pytest.approx(2.0, abs=0.3)
    assert _row(found, "burst rate")["difference"] < -0.1
    assert _row(found, "burst interval")["difference"] > 0.5
    assert _row(found, "PSD")["difference"] > 1.0


def test_channels_that_go_together_are_seen() -> None:
    x, _ = bursting(4, 30.0, seed=0)
    mixed = x.copy()
    mixed[1] += 2 * mixed[0]
    same, other = (compare(mixed, y, 250.0, with_bursts=False) for y in (mixed[:, 500:], x))
    assert _row(same, "covariance of channels")["correlation"] > 0.99
    assert _row(other, "covariance of channels")["correlation"] < 0.5
    assert _row(other, "time-delay")["correlation"] < _row(same, "time-delay")["correlation"]
    assert not same.bursts_real
    assert same.notes == ()


def test_peaks_of_all_recordings_together() -> None:
    found = []
    for seed, (real, made) in enumerate([(9.0, 10.0), (11.0, 10.4)]):
        x, _ = bursting(2, 40.0, seed=seed, frequency=real)
        y, _ = bursting(2, 40.0, seed=seed + 5, frequency=made)
        x[1] = np.random.default_rng(seed).standard_normal(x.shape[1])
        found.append(compare(x, y, 250.0, channels=("rhythm", "noise"), with_bursts=False))
    row = pooled_peaks(found).as_dicts()[0]
    assert row["band"] == "alpha"
    assert row["channel"] == "rhythm"
    assert row["generated [Hz]"] == pytest.approx(10.2, abs=0.4)
    assert row["difference [Hz]"] == pytest.approx(row["generated [Hz]"] - row["real [Hz]"])


def test_what_cannot_be_compared() -> None:
    x, _ = bursting(2, 10.0)
    with pytest.raises(InputError, match="2 real and 1 generated"):
        compare(x, x[:1], 250.0)
    bad = x.copy()
    bad[0, 0] = np.inf
    with pytest.raises(InputError, match="generated signals"):
        compare(x, bad, 250.0)


def test_the_parts_are_at_hand() -> None:
    x, _ = bursting(1, 10.0)
    assert psd(x, 250.0)[1].shape == (1, 89)
    assert len(bursts(x, 250.0, settings=QUICK)) == 3
