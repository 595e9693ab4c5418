"""Pages of drawn lines: their layout, the times of their leads, and how large a millivolt and a second are on them."""

import numpy as np
import pytest

import workbench as wb
from tests.workbench.page.pages import leads_of
from tests.workbench.page.vector_pages import vector_page
from workbench.page.data.write_signals import write_csv
from workbench.page.draw.simulate import simulate
from workbench.page.errors import NotAPage
from workbench.page.evaluate.evaluation import COVERAGE, PHYSIONET
from workbench.page.evaluate.scores import score
from workbench.page.layouts import Layout
from workbench.page.predict.strips import DRAWN, likest


def predicted(path, **settings):
    return wb.predict("ecg_image", path, device="cpu", measure=False, **settings)


def scored(tmp_path, layout, **more):
    """The scores of a drawn page against the record from end to end."""
    vector_page(tmp_path / "a.pdf", layout=layout, **more)
    signals = simulate(3, seconds=more.get("seconds", 10.0))
    write_csv(np.asarray(signals.data, float), signals.channels, signals.sampling_rate, tmp_path / "a.csv")
    return wb.evaluate("ecg_image", tmp_path / "a.pdf", device="cpu", speed=more.get("speed"))


@pytest.mark.parametrize(
    ("layout", "more"),
    [
        ("3x4+1", {}), ("6x2", {}), ("12x1", {}), ("3x4", {"speed": 50.0}), ("3x4+1 Cabrera", {}),
        ("3x4+1", {"pulse": "each"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_record_is_cut_to_what_a_drawn_page_shows(tmp_path, layout, more):
    report = scored(tmp_path, layout, **more)
    assert report.rows[0][COVERAGE] > 99
    assert report.rows[0][PHYSIONET] > 35, report.text()
    asked = wb.predict("ecg_image", tmp_path / "a.pdf", device="cpu", speed=more.get("speed"), measure=False)
    assert asked.provenance.details["layout"] == layout
    assert asked.provenance.details["seconds of a row"] == pytest.approx(10.0, abs=0.03)


def test_an_arrangement_that_no_layout_has_is_cut_as_it_was_drawn(tmp_path):
    two = Layout("own", (("V1", "I"), ("V2", "II"), ("V3", "III")))
    report = scored(tmp_path, two)
    assert report.rows[0][PHYSIONET] > 35, report.text()
    assert any("cut to where each lead was drawn" in note for note in report.notes)
    assert "layout" not in predicted(tmp_path / "a.pdf").provenance.details


def test_a_lead_without_its_name_is_missing_and_not_forgotten(tmp_path):
    report = scored(tmp_path, "3x4+1", lost=("aVL", "V6"))
    rows = {r["lead"]: r for r in report.leads}
    assert (rows["aVL"][COVERAGE], rows["V6"][COVERAGE]) == (0, 0)
    assert rows["V5"][COVERAGE] > 99
    notes = predicted(tmp_path / "a.pdf").provenance.notes
    assert "no name of a lead stands where aVL, V6 should be in the layout 3x4+1" in notes


def test_pieces_that_stand_apart_follow_each_other_in_time(tmp_path):
    page = vector_page(tmp_path / "a.pdf", pulse="each")
    found = predicted(tmp_path / "a.pdf")
    assert score(leads_of(page.signals), leads_of(found["leads"]), 500.0).physionet > 35
    assert any("mm apart; each is taken to begin" in note for note in found.provenance.notes), found.provenance.notes


def test_pulses_of_a_drawn_page_say_its_gain(tmp_path):
    """Half of the usual gain, and nothing in words; the pulses are wide, as they are at 50 mm/s."""
    page = vector_page(tmp_path / "a.pdf", speed=50.0, gain=5.0)
    found = predicted(tmp_path / "a.pdf", speed=50.0)
    assert (found.provenance.details["speed"], found.provenance.details["gain"]) == (50, 5)
    assert "the gain is 5 mm/mV by 4 calibration pulses, 5.0 mm high" in found.provenance.notes
    true, read = leads_of(page.signals), leads_of(found["leads"])
    gains = [s.gain for s in score(true, read, 500.0).leads.values()]
    assert gains == pytest.approx([1.0] * 13, abs=0.01)
    unsaid = predicted(tmp_path / "a.pdf").provenance.notes
    assert any("10.0 mm wide, which is usual for paper of 50 mm/s" in note for note in unsaid), unsaid
    assert any("4 leads beside each other are 5.0 s long each" in note for note in unsaid)


def test_words_count_before_pulses_and_a_quarrel_is_said(tmp_path):
    vector_page(tmp_path / "a.pdf", gain=5.0, words=("25 mm/s  10 mm/mV",))
    found = predicted(tmp_path / "a.pdf")
    assert found.provenance.details["gain"] == 10
    notes = found.provenance.notes
    assert any("the page says 10 mm/mV, and 4 calibration pulses are 5.0 mm high: one of" in n for n in notes), notes
    assert "the speed was taken as 25 mm/s: as the page says" in notes
    given = predicted(tmp_path / "a.pdf", gain=5.0).provenance.notes
    assert "the gain was given as 5 mm/mV, and the page says 10" in given


def test_pieces_that_are_too_short_for_any_layout_are_refused(tmp_path):
    vector_page(tmp_path / "a.pdf", layout="3x4", speed=12.5)
    with pytest.raises(NotAPage, match=r"a\.pdf: 4 leads beside each other are 1\.2 s long each"):
        predicted(tmp_path / "a.pdf")
    assert predicted(tmp_path / "a.pdf", speed=12.5).provenance.details["layout"] == "3x4"


def test_a_drawn_strip_is_called_after_a_lead_that_it_repeats_and_not_after_one_that_is_like_it():
    rate = 500.0
    t = np.arange(0, 10, 1 / rate)
    strip = np.sin(2 * np.pi * 1.2 * t) + 0.3 * np.sin(2 * np.pi * 7 * t)
    like = strip + 0.25 * np.sin(2 * np.pi * 3 * t + 1)
    short = {name: np.where((t > 2.5 * n) & (t < 2.5 * n + 2.5), row, np.nan)
             for n, (name, row) in enumerate((("V1", np.cos(t)), ("V6", like), ("II", strip)))}  # fmt: skip
    assert likest(strip, short, rate, None, DRAWN) == "II"
    del short["II"]
    short["V2"] = np.where(t > 7.5, np.cos(3 * t), np.nan)
    assert likest(strip, short, rate, None) == "V6"
    assert likest(strip, short, rate, None, DRAWN) is None
