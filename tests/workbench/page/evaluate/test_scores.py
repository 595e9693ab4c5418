"""The two public scores: what they forgive and what they do not, as measured on a real record by others."""

from pathlib import Path

import numpy as np
import pytest

from workbench.page.evaluate.scores import kaggle_power, lead_score, mean_kaggle, score

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "ecg" / "ptbxl_00009_truth_500hz.csv"
needs_data = pytest.mark.skipif(not DATA.is_file(), reason=f"the public record is not there ({DATA})")
RATE = 500.0


@pytest.fixture(scope="module")
def record():
    table = np.genfromtxt(DATA, delimiter=",", names=True, deletechars="")
    return {name: table[name].astype(float) for name in table.dtype.names}


def changed(record, change):
    return {name: change(name, row.copy()) for name, row in record.items()}


@needs_data
@pytest.mark.parametrize(
    ("what", "kaggle", "physionet"),
    [
        ("late", 25.84, None), ("late and lifted", 25.84, None), ("gain 5 % low", 25.84, 26.0),
        ("gain 10 % low", 20.0, 20.0), ("noise 0.01", 24.9, 22.3), ("noise 0.03", 15.3, 12.8), ("swapped", 6.4, None),
        ("lost", 6.6, None),
    ],
)  # fmt: skip
def test_they_are_as_others_measured_them(record, what, kaggle, physionet):
    rng = np.random.default_rng(0)
    edits = {
        "late": lambda name, row: np.roll(row, 4),
        "late and lifted": lambda name, row: np.roll(row, 4) + 0.05,
        "gain 5 % low": lambda name, row: 0.95 * row,
        "gain 10 % low": lambda name, row: 0.90 * row,
        "noise 0.01": lambda name, row: row + rng.normal(0, 0.01, len(row)),
        "noise 0.03": lambda name, row: row + rng.normal(0, 0.03, len(row)),
        "swapped": lambda name, row: record[{"V1": "V2", "V2": "V1"}.get(name, name)],
        "lost": lambda name, row: np.full(len(row), np.nan) if name == "V3" else row,
    }
    found = score(record, changed(record, edits[what]), RATE)
    assert abs(found.kaggle - kaggle) < 0.35
    if physionet is not None:
        assert abs(found.physionet - physionet) < 0.4


@needs_data
def test_time_that_runs_wrong_costs_most_of_it(record):
    """0.1 % wrong leaves a lead of 10 s about 12 dB, 0.5 % about 1."""

    def stretched(by):
        return changed(record, lambda name, row: np.interp(np.arange(len(row)) * (1 + by), np.arange(len(row)), row))

    found = [score(record, stretched(by), RATE) for by in (0.0005, 0.001, 0.005)]
    assert np.abs(np.array([f.kaggle for f in found]) - [17.8, 12.4, 0.8]).max() < 1.2
    assert abs(np.median([s.stretch for s in found[2].leads.values()]) + 0.5) < 0.1


def beat_train(seconds=4.0):
    t = np.arange(round(seconds * RATE)) / RATE
    return sum(np.exp(-0.5 * ((t - at) / 0.02) ** 2) for at in np.arange(0.5, seconds, 0.8)) - 0.1


def test_a_perfect_lead_has_no_decibels_and_is_capped():
    true = beat_train()
    found = score({"II": true}, {"II": true}, RATE)
    assert np.isnan(found.leads["II"].physionet)
    assert found.kaggle == pytest.approx(25.84, abs=0.01)
    assert found.leads["II"].coverage == 1.0


def test_half_the_samples_are_half_the_decibels():
    true = beat_train()
    half = true + np.random.default_rng(1).normal(0, 0.02, len(true))
    whole = lead_score(true, half, RATE).physionet
    half[: len(half) // 2] = np.nan
    found = lead_score(true, half, RATE)
    assert found.coverage == 0.5
    assert found.physionet == pytest.approx(whole / 2, rel=0.1)


def test_lag_gain_and_what_is_missing():
    true = beat_train()
    late = np.concatenate([np.full(50, true[0]), 1.1 * true[:-50]])
    found = lead_score(true, late, RATE)
    assert found.lag == pytest.approx(0.1)
    assert found.gain == pytest.approx(1.1, abs=0.01)
    nothing = score({"II": true}, {}, RATE)
    assert nothing.leads["II"].coverage == 0.0
    assert nothing.physionet == 0.0
    signal, error = kaggle_power(true, np.full(len(true), np.nan), RATE)
    assert error <= signal
    assert abs(nothing.kaggle) < 1.0


def test_kaggle_averages_the_ratio_and_not_the_decibels():
    true = beat_train()
    good, bad = (score({"II": true}, {"II": f * true}, RATE) for f in (0.98, 0.0))
    assert mean_kaggle([good, bad]) == pytest.approx(10 * np.log10((good.kaggle_ratio + bad.kaggle_ratio) / 2))
    assert mean_kaggle([good, bad]) > (good.kaggle + bad.kaggle) / 2


def test_nothing_is_measured_by_a_flat_lead():
    true = beat_train()
    scored = score({"I": np.zeros(len(true)), "II": true}, {"I": true, "II": true}, RATE)
    assert np.isnan(scored.leads["I"].kaggle)
    assert np.isfinite(scored.leads["II"].kaggle)


def test_a_lead_that_was_not_read_gets_nothing_for_the_mean_of_the_truth():
    true = {"I": 1.5 + 0.2 * np.sin(np.arange(2000) / 20)}
    assert score(true, {}, 500.0).kaggle == pytest.approx(0.0, abs=1e-9)
    assert score(true, {"I": np.full(2000, np.nan)}, 500.0).kaggle == pytest.approx(0.0, abs=1e-9)
