"""Intervals and axes of hearts whose numbers are known exactly; what is not there is not measured."""

import numpy as np
import pytest

from tests.ecg_maker import NAMES, Heart, as_page, leads, onsets
from workbench.core.errors import InputError
from workbench.core.signals import Signals, time_base
from workbench.page.measure.measured import measure, measure_leads

HEART = Heart()
NOISE = 0.01


def measured(heart=HEART, seconds=10.0, rate=500.0, noise=NOISE):
    return measure_leads(leads(heart, seconds, rate, noise), NAMES, rate)


def check(found, heart, *, pr=12, qrs=10, qt=12, axes=8):
    """Whatever is expected of a plain heart [ms, deg]."""
    assert found["heart rate"].value == pytest.approx(heart.rate, rel=0.01)
    assert found["RR"].value == pytest.approx(60000 / heart.rate, rel=0.01)
    assert found["PR"].value == pytest.approx(1000 * heart.pr, abs=pr)
    assert found["QRS"].value == pytest.approx(1000 * heart.qrs, abs=qrs)
    assert found["QT"].value == pytest.approx(1000 * heart.qt, abs=qt)
    for name in ("P", "QRS", "T"):
        assert found[f"{name} axis"].value == pytest.approx(getattr(heart, f"{name.lower()}_axis"), abs=axes)


@pytest.mark.parametrize("rate", [100.0, 250.0, 500.0, 1000.0])
def test_the_sampling_rate_decides_nothing(rate):
    found = measured(rate=rate)
    check(found, HEART)
    assert len(found.beats.times) == 10
    assert found.notes == ()


def test_rates_of_one_heart_agree_within_a_sample_or_so():
    values = {
        name: [measured(rate=rate, noise=0.0)[name].value for rate in (100.0, 250.0, 500.0, 1000.0)]
        for name in ("PR", "QRS", "QT")
    }
    for name, found in values.items():
        assert np.ptp(found) <= 6, (name, found)


@pytest.mark.parametrize(
    "heart",
    [
        HEART.but(rate=30, qt=0.48),
        HEART.but(rate=90, qt=0.35),
        HEART.but(rate=75, pr=0.30),
        HEART.but(rate=70, qrs=0.14, qt=0.43),
        HEART.but(rate=65, qrs_axis=-60.0, t_axis=80.0),
        HEART.but(rate=65, t_size=1.3),
    ],
    ids=["rate 30", "rate 90", "long PR", "wide QRS", "left axis", "tall T"],
)
def test_other_hearts(heart):
    check(measured(heart), heart, pr=15, qrs=12, qt=15)


def test_qtc_by_both_formulas():
    heart = HEART.but(rate=90, qt=0.35)
    found = measured(heart)
    qt, rr = found["QT"].value, found["RR"].value / 1000
    assert found["QTc Bazett"].value == pytest.approx(qt / np.sqrt(rr))
    assert found["QTc Fridericia"].value == pytest.approx(qt / np.cbrt(rr))
    assert found["QTc Bazett"].value == pytest.approx(1000 * 0.35 * np.sqrt(1.5), rel=0.05)


def test_a_fast_heart_keeps_its_beats_and_invents_no_p():
    heart = HEART.but(rate=200, qt=0.25, pr=0.12, p=0.08, t=0.14)  # P lies in the T wave before
    found = measured(heart)
    assert found["heart rate"].value == pytest.approx(200, rel=0.01)
    assert found["QRS"].value == pytest.approx(90, abs=12)
    pr = found["PR"]
    assert pr.value is None or pr.value == pytest.approx(120, abs=20)
    if pr.value is None:
        assert "T wave" in pr.reason


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noise_of_electrodes(noise):
    found = measured(noise=noise)
    check(found, HEART, pr=20, qrs=14, qt=20, axes=12)


def test_wander_and_mains():
    t = np.arange(5000) / 500
    disturbed = leads(HEART, noise=NOISE) + 0.4 * np.sin(2 * np.pi * 0.2 * t) + 0.02 * np.sin(2 * np.pi * 50 * t)
    check(measure_leads(disturbed, NAMES, 500.0), HEART, pr=15, qrs=14, qt=15, axes=12)


@pytest.mark.parametrize("strip", [1, None], ids=["with a strip", "no strip"])
def test_a_page_has_the_intervals_of_the_whole(strip):
    page, names = as_page(leads(HEART, noise=NOISE), 500.0, strip)
    found = measure_leads(page, names, 500.0)
    check(found, HEART, pr=18, qrs=12, qt=15, axes=12)
    assert len(found.beats.times) == 10


@pytest.mark.parametrize("lead", ["II", "V1", "V5"])
def test_one_lead_alone(lead):
    row = NAMES.index(lead)
    found = measure_leads(leads(HEART, noise=NOISE)[row : row + 1], (lead,), 500.0)
    assert found["PR"].value == pytest.approx(160, abs=15)
    assert found["QRS"].value == pytest.approx(90, abs=14)
    assert found["QT"].value == pytest.approx(390, abs=15)
    assert found["QRS axis"].value is None
    assert "no lead" in found["QRS axis"].reason


def test_the_axis_is_computed_from_two_other_limb_leads():
    data = leads(HEART, noise=NOISE)
    found = measure_leads(data[1:3], ("II", "III"), 500.0)
    assert found["QRS axis"].value == pytest.approx(40, abs=5)
    found = measure_leads(data[[1, 5]], ("II", "aVF"), 500.0)
    assert found["QRS axis"].value == pytest.approx(40, abs=5)


def test_one_beat_has_intervals_and_no_rate():
    found = measure_leads(leads(HEART, noise=NOISE)[:, :520], NAMES, 500.0)
    assert len(found.beats.times) == 1
    assert found["heart rate"].value is None
    assert "fewer than two beats" in found["heart rate"].reason
    assert found["QTc Bazett"].value is None
    assert found["QRS"].value == pytest.approx(90, abs=12)
    assert found["QT"].value == pytest.approx(390, abs=15)
    assert found["QRS"].spread is None


def test_short_windows():
    check(measure_leads(leads(HEART, noise=NOISE)[:, :1250], NAMES, 500.0), HEART, pr=18, qrs=12, qt=15, axes=12)


def test_upside_down_leads_have_the_same_intervals():
    plain = leads(HEART, noise=NOISE)
    flipped = measure_leads(plain * np.array([1, -1] * 6)[:, None], NAMES, 500.0)
    for name, tolerance in (("PR", 12), ("QRS", 10), ("QT", 12)):
        assert flipped[name].value == pytest.approx(measured()[name].value, abs=tolerance)


@pytest.mark.parametrize("size", [0.0, 0.04, 0.08])
def test_no_p_in_fibrillation(size):
    found = measured(HEART.but(rate=80, jitter=0.35, fibrillation=size or 1e-9, seed=3))
    for name in ("P", "PR", "P axis"):
        assert found[name].value is None
        assert "no P wave" in found[name].reason
    assert not found.p.present
    assert found["QRS"].value == pytest.approx(90, abs=12)
    assert found["heart rate"].reason.startswith("irregular")


def test_no_p_and_no_t_where_there_are_none():
    found = measured(HEART.but(p_size=0.0))
    assert found["PR"].value is None
    assert found["QT"].value == pytest.approx(390, abs=15)
    found = measured(HEART.but(t_size=0.0))
    assert found["QT"].value is None
    assert found["QTc Bazett"].value is None
    assert found["PR"].value == pytest.approx(160, abs=15)


def test_more_p_than_qrs_has_no_pr():
    found = measured(HEART.but(rate=90, dropped=tuple(range(1, 20, 2))))
    assert found["heart rate"].value == pytest.approx(45, rel=0.01)
    pr = found["PR"]
    assert pr.value is None or pr.value == pytest.approx(160, abs=15)
    assert pr.value is not None or "more P waves than beats" in pr.reason
    assert any("lead to none" in note for note in found.notes)


def test_dissociated_p_waves_have_no_pr():
    ventricles = leads(HEART.but(rate=45, p_size=0.0), noise=NOISE)
    atria = leads(HEART.but(rate=71, qrs_size=0.0, t_size=0.0))
    found = measure_leads(ventricles + atria, NAMES, 500.0)
    assert found["heart rate"].value == pytest.approx(45, rel=0.01)
    assert found["PR"].value is None


def test_ectopic_beats_are_kept_apart():
    found = measured(HEART.but(ectopic=(3, 7)))
    assert len(found.beats.times) == 10
    np.testing.assert_array_equal(np.flatnonzero(found.beats.kind), [3, 7])
    assert set(found.beats.kind[[3, 7]]) == {1}
    assert found["QRS"].value == pytest.approx(90, abs=12)
    assert any(note.startswith("2 of 10 beats look different (1 form)") for note in found.notes)
    wide = found.per_beat[3, 5] - found.per_beat[3, 3]
    assert wide > 0.12


def test_beats_are_where_they_are():
    found = measured()
    np.testing.assert_allclose(found.per_beat[:, 3], onsets(HEART, 10.0)[:10], atol=0.008)
    assert np.ptp(found.beats.times - onsets(HEART, 10.0)[:10]) < 0.004


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((12, 5000)),
        np.full((12, 5000), 0.4),
        np.full((12, 5000), np.nan),
        np.random.default_rng(0).normal(0, 0.05, (12, 5000)),
        np.random.default_rng(1).normal(0, 1.0, (12, 5000)),
        np.cumsum(np.random.default_rng(2).normal(0, 0.01, (12, 5000)), 1),
        np.tile(0.3 * np.sin(2 * np.pi * 50 * np.arange(5000) / 500), (12, 1)),
        np.tile(0.5 * np.sin(2 * np.pi * 1.2 * np.arange(5000) / 500), (12, 1)),
    ],
    ids=["zeros", "constant", "unseen", "noise", "loud noise", "drift", "mains", "slow sine"],
)
def test_nothing_is_found_in_nothing(data):
    found = measure_leads(data, NAMES, 500.0)
    assert len(found.beats.times) == 0
    assert all(m.value is None and m.reason for m in found)
    assert found.median is None
    assert found.beat_rows() == []


def test_leads_that_show_nothing_change_nothing():
    data = leads(HEART, noise=NOISE)
    data[3], data[7] = np.nan, 0.2
    found = measure_leads(data, NAMES, 500.0)
    check(found, HEART)
    assert "not seen: aVR" in found.notes
    assert "flat, electrode off?: V2" in found.notes


def test_gaps_do_not_make_beats():
    data = leads(HEART, noise=NOISE)
    data[:, 1200:2300] = np.nan
    found = measure_leads(data, NAMES, 500.0)
    check(found, HEART, pr=15)
    seen = onsets(HEART, 10.0)[:10]
    assert len(found.beats.times) == np.sum((seen < 2.3) | (seen > 4.6))  # one is cut by the gap
    assert not ((found.beats.times > 2.4) & (found.beats.times < 4.6)).any()


def test_rows_say_everything_in_words_and_numbers():
    found = measured()
    rows = found.rows()
    assert [row["name"] for row in rows] == [
        "heart rate", "RR", "P", "PR", "QRS", "QT", "QTc Bazett", "QTc Fridericia", "P axis", "QRS axis", "T axis",
    ]  # fmt: skip
    assert {row["unit"] for row in rows} == {"1/min", "ms", "deg"}
    assert all(row["spread"] is not None for row in rows)
    assert str(found["QRS"]).startswith("QRS: ")
    beats = found.beat_rows()
    assert len(beats) == 10
    assert beats[4]["QRS on"] == pytest.approx(found.per_beat[4, 3])
    with pytest.raises(KeyError):
        found["ST"]


def _signals(data, unit, names=NAMES):
    return Signals(data, names, time_base(data.shape[1], 500.0), "page 1", unit)


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("uV", 1000.0), ("V", 0.001)])
def test_units_are_converted(unit, factor):
    data = leads(HEART, noise=NOISE)
    found = measure(_signals(data * factor, unit))
    assert found["QRS axis"].value == pytest.approx(measured()["QRS axis"].value)
    assert not found.notes


def test_no_unit_is_not_guessed():
    with pytest.raises(InputError, match=r"page 1: leads in no unit, expected mV, uV, V\. Say the unit"):
        measure(_signals(leads(HEART), None))
    with pytest.raises(InputError, match="leads in T"):
        measure(_signals(leads(HEART), "T"))


@pytest.mark.parametrize("seconds", [0.5, 700.0])
def test_too_short_and_too_long_are_refused(seconds):
    with pytest.raises(InputError, match=r"expected 1 to 600 s"):
        measure_leads(np.zeros((1, int(seconds * 100))), ("II",), 100.0)


def test_names_of_files_are_known_and_minus_avr_is_turned():
    data = leads(HEART, noise=NOISE)
    names = ("Lead I (Einthoven)", "D2", "DIII", "-aVR", "avl", "AVF", "C1", "C2", "C3", "C4", "C5", "C6")
    found = measure_leads(data * np.where(np.arange(12) == 3, -1.0, 1.0)[:, None], names, 500.0)
    check(found, HEART)
    assert found.notes == ("-aVR was turned into aVR",)
    assert found.waves.names == NAMES
    other = measure_leads(data[:2], ("I", "chest patch"), 500.0)
    assert any("'chest patch'" in note for note in other.notes)


def test_whatever_comes_gives_numbers_or_reasons():
    """Gaps, bursts, steps, odd rates and sizes: no error, no warning, no interval below zero, borders in order."""
    rng = np.random.default_rng(7)
    for _ in range(15):
        rate = float(rng.choice([77.3, 100, 294.7, 500, 1025]))
        heart = Heart(
            rate=rng.uniform(25, 220), qrs=rng.uniform(0.05, 0.2), qt=rng.uniform(0.25, 0.5),
            jitter=float(rng.choice([0, 0.3])), seed=int(rng.integers(99)),
            dropped=tuple(rng.integers(0, 12, 2)), ectopic=tuple(rng.integers(0, 12, 1)),
        )  # fmt: skip
        count = int(rng.integers(1, 13))
        data = leads(heart, float(rng.choice([1.2, 2.5, 8.0])), rate, float(rng.choice([0, 0.01, 0.3])))[:count]
        for _ in range(int(rng.integers(0, 5))):
            first = int(rng.integers(data.shape[1]))
            data[rng.integers(count), first : first + int(rng.integers(1, 900))] = rng.choice([np.nan, 0.0, 1e6])
        found = measure_leads(data, NAMES[:count], rate)
        for m in found:
            assert m.reason if m.value is None else np.isfinite(m.value), m
            assert m.unit == "deg" or m.value is None or m.value > 0, m
        for marks in found.per_beat:
            assert (np.diff(marks[np.isfinite(marks)]) >= 0).all(), marks


def test_equal_data_give_equal_numbers():
    assert measured().rows() == measured().rows()
