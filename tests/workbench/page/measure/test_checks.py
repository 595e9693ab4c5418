"""What would make the numbers wrong is said: gain, exchanged electrodes, spikes."""

import numpy as np
import pytest

from tests.ecg_maker import NAMES, Heart, leads, onsets
from workbench.page.measure.checks import missed_notes
from workbench.page.measure.measured import measure_leads

HEART = Heart()


@pytest.fixture(scope="module")
def plain():
    return leads(HEART, noise=0.01)


def test_a_plain_heart_has_no_notes(plain):
    assert measure_leads(plain, NAMES, 500.0).notes == ()


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_a_gain_that_is_wrong_by_ten_is_noted_and_times_stay(plain, factor):
    found = measure_leads(plain * factor, NAMES, 500.0)
    assert any("check the gain and unit" in note for note in found.notes)
    assert found["QT"].value == pytest.approx(390, abs=12)
    assert found["heart rate"].value == pytest.approx(60, abs=0.5)


def test_exchanged_arms_are_noted(plain):
    swapped = plain.copy()
    swapped[0], swapped[1], swapped[2] = -plain[0], plain[2], plain[1]
    swapped[3], swapped[4] = plain[4], plain[3]
    notes = measure_leads(swapped, NAMES, 500.0).notes
    assert any("arm electrodes exchanged" in note for note in notes)
    assert not any("fit each other" in note for note in notes)  # such leads obey Einthoven's law


def test_a_lead_upside_down_is_named(plain):
    for row in (0, 1, 5):
        wrong = plain.copy()
        wrong[row] *= -1
        found = measure_leads(wrong, NAMES, 500.0)
        notes = found.notes
        assert found["QRS axis"].value is None
        assert "do not fit" in found["QRS axis"].reason
        assert any(f"they would with {NAMES[row]} upside down" in note for note in notes), (NAMES[row], notes)


def test_leads_that_changed_places_are_named(plain):
    wrong = plain.copy()
    wrong[[0, 1]] = plain[[1, 0]]
    assert any("they would with I and II exchanged" in n for n in measure_leads(wrong, NAMES, 500.0).notes)


def test_leads_a_few_milliseconds_apart_still_fit(plain):
    apart = np.stack([np.roll(row, shift) for row, shift in zip(plain, (0, 2, 1, -1, 2, 1) * 2, strict=True)])
    found = measure_leads(apart, NAMES, 500.0)
    assert found.notes == ()
    assert found["QRS axis"].value == pytest.approx(40, abs=8)


def test_a_lead_with_another_gain_is_noted(plain):
    wrong = plain.copy()
    wrong[0] *= 2
    notes = measure_leads(wrong[:3], NAMES[:3], 500.0).notes
    assert any("different gains" in note for note in notes), notes


@pytest.mark.parametrize("rate", [500.0, 1000.0])
def test_spikes_are_counted_and_make_no_beats(rate):
    data = leads(HEART, 10.0, rate, noise=0.01)
    for moment in onsets(HEART, 10.0)[:10]:
        at = round((moment - 0.012) * rate)
        data[:, at : at + max(round(0.001 * rate), 1)] += np.linspace(0.6, 1.8, 12)[:, None]
    found = measure_leads(data, NAMES, rate)
    assert len(found.beats.times) == 10
    assert found["heart rate"].value == pytest.approx(60, abs=0.5)
    assert any(note.startswith("spikes of a pacemaker before 10 of 10 beats") for note in found.notes), found.notes


def test_noise_and_a_sharp_qrs_are_no_spikes():
    for heart, noise in ((HEART, 0.1), (HEART.but(qrs=0.06), 0.01), (HEART.but(qrs_size=5.0), 0.01)):
        notes = measure_leads(leads(heart, noise=noise), NAMES, 500.0).notes
        assert not any("spikes" in note for note in notes), (heart, noise)


def test_paper_read_at_half_its_speed_is_noted(plain):
    """Everything twice as long: no heart, but 50 mm/s read as 25."""
    assert any("together are about twice as slow" in n for n in measure_leads(plain, NAMES, 250.0).notes)
    assert not any("together" in n for n in measure_leads(plain, NAMES, 500.0).notes)
    quick = leads(Heart(rate=110.0), noise=0.01)
    assert any("together are about twice as fast" in n for n in measure_leads(quick, NAMES, 1000.0).notes)


def test_beats_that_were_missed_are_counted_by_another_way(plain):
    found = measure_leads(plain, NAMES, 500.0)
    count = len(found.beats.times)
    assert missed_notes(plain, 500.0, count) == []
    assert missed_notes(plain, 500.0, count - 1) == []  # one at an end is no matter
    assert (
        f"{count - 3} beats were found, and the longest lead has {count} strokes"
        in missed_notes(plain, 500.0, count - 3)[0]
    )
    torn = plain.copy()
    torn[:, 300:] = np.nan
    assert missed_notes(torn, 500.0, 0) == []  # too short to count


def test_a_rate_that_no_heart_has_is_noted(plain):
    assert any("15/min is hardly one" in n for n in measure_leads(plain, NAMES, 125.0).notes)
