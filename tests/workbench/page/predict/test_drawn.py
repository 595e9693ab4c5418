"""Pages of drawn lines: their layout, the times of their leads, and how large a millivolt and a second are on them."""

import numpy as np
import pytest

import workbench as wb
from tests.workbench.page.pages import leads_of
from tests.workbench.page.vector_pages import vector_page
from workbench.page.data.write_signals import write_csv
from workbench.page.draw.simulate import simulate
from workbench.page.evaluate.evaluation import COVERAGE, PHYSIONET
from workbench.page.evaluate.scores import score
from workbench.page.layouts import Layout


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
