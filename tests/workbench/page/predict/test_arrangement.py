"""Which piece is which lead, for every layout, with all names, with some, with none, and with wrong ones."""

import numpy as np
import pytest

from tests.workbench.page.pages import drawn, leads_of, perfect_maps
from workbench.page.errors import NotAPage
from workbench.page.evaluate.scores import score
from workbench.page.origins import HALF_PEN
from workbench.page.predict.arrangement import arrange
from workbench.page.predict.digitise import Paper, flatten, read_flat
from workbench.page.predict.grid import find_grid
from workbench.page.predict.maps import Maps, Name
from workbench.page.predict.row_ink import RowInk, half_pen

LAYOUTS = ["3x4", "3x4+3 Cabrera", "6x2", "6x1 Cabrera", "12x1", "3x1", "chest 6x1", "chest 3x2"]


def read(page, keep=lambda names: names):
    grid = find_grid(page.pixels)
    flat = flatten(page.pixels, grid)
    maps = perfect_maps(page, grid, flat)
    maps = Maps(maps.trace, maps.pulse, maps.words, tuple(keep(maps.names)))
    return read_flat(flat, grid, maps, Paper(), layout=None, sampling_rate=500.0, source="x")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_told_and_its_leads_are_right(name):
    page = drawn(71, "D", name, 110.0, "scan")
    found = read(page)
    assert found.arrangement.layout.name == name
    assert set(found.signals.channels) == set(page.signals.channels)
    result = score(leads_of(page.signals), leads_of(found.signals), 500.0)
    assert min(s.coverage for s in result.leads.values()) > 0.9
    assert np.median([s.correlation for s in result.leads.values()]) > 0.99
    assert all(abs(s.lag) < 0.012 for s in result.leads.values())
    assert result.physionet > 15


@pytest.mark.parametrize("maker", ["A", "C", "F"])
def test_other_makers_pulses_and_separators(maker):
    page = drawn(73, maker, "3x4+1", 120.0, "scan")
    found = read(page)
    assert set(found.signals.channels) == set(page.signals.channels)
    result = score(leads_of(page.signals), leads_of(found.signals), 500.0)
    assert result.kaggle > 14


def test_few_names_and_wrong_names_do_not_turn_a_usual_page_over():
    page = drawn(71, "D", "3x4+1", 110.0, "scan")
    some = read(page, lambda names: names[::3])
    assert some.arrangement.layout.name == "3x4+1"
    assert set(some.signals.channels) == set(page.signals.channels)
    assert any("names of leads could be read" in note for note in some.notes)
    none = read(page, lambda names: ())
    assert none.arrangement.layout.name == "3x4+1"
    assert any("0 of 13 names of leads could be read" in note for note in none.notes)
    lied = read(page, lambda names: [Name("V6", names[0].x, names[0].y, 0.9), *names[1:]])
    assert lied.arrangement.layout.name == "3x4+1"


def ink(height, first, last, per_mm=16.0):
    there = np.zeros(4800, bool)
    there[int(first * per_mm) : int(last * per_mm)] = True
    level = np.where(there, height, np.nan)
    return RowInk(height, there, level - 0.2, level + 0.2, there.astype(float), per_mm)


def test_rows_of_their_own_are_named_by_what_stands_there():
    rows = [ink(40.0, 10, 200), ink(80.0, 10, 200)]
    names = [Name("V4", 14.0, 35.0, 0.9), Name("V5", 14.0, 75.0, 0.9)]
    found = arrange(rows, names, 25.0)
    assert [p.lead for p in found.pieces] == ["V4", "V5"]
    with pytest.raises(NotAPage, match="2 rows of traces are seen, no name of a lead could be read"):
        arrange(rows, [], 25.0, source="x")
    with pytest.raises(NotAPage, match="layout 6x2 has another number"):
        arrange(rows, names, 25.0, layout="6x2", source="x")
    with pytest.raises(NotAPage, match="no traces are seen"):
        arrange([], names, 25.0, source="x")


def test_ink_apart_at_the_ends_of_a_row_is_none_of_it():
    """The edge of the sheet, a table: 7 mm of it made rows of 10 s 10.8 s long."""
    per_mm = 16.0
    ink = np.zeros(round(300 * per_mm), bool)
    for first, last in ((12, 74), (74.5, 260), (276, 283), (2, 5)):
        ink[round(first * per_mm) : round(last * per_mm)] = True
    edge = np.where(ink, 20.0, np.nan)
    assert RowInk(20.0, ink, edge, edge + 0.4, ink.astype(float), per_mm).span(-1e9, 1e9) == pytest.approx(
        (12, 260), abs=0.1
    )
    ink[round(276 * per_mm) : round(299 * per_mm)] = True  # as long as a piece may be
    assert RowInk(20.0, ink, edge, edge + 0.4, ink.astype(float), per_mm).span(-1e9, 1e9)[1] == pytest.approx(
        299, abs=0.1
    )


def test_ends_of_ink_are_known_to_a_fraction_of_a_column_and_pens_of_any_width_begin_where_they_do():
    per_mm = 16.0
    share = np.zeros(4800)
    share[320:4320] = 1.0
    share[319], share[4320] = 0.4, 0.2
    edge = np.where(share > 0.45, 20.0, np.nan)
    span = RowInk(20.0, share > 0.45, edge, edge + 0.4, share, per_mm).span(-1e9, 1e9)
    assert span is not None
    assert span[0] * per_mm == pytest.approx(320.5 - 0.55 / 0.6)
    assert span[1] * per_mm == pytest.approx(4319.5 + 0.55 / 0.8)
    for width in (0.2, 0.375, 0.7):
        assert half_pen([(10 - width / 2, 259.95 + width / 2)] * 4, 10.0, 25.0) == pytest.approx(width / 2)
    assert half_pen([(10.0, 250.0)] * 4, 10.0, 25.0) == HALF_PEN, "rows of another length say nothing of the pen"


def test_names_that_contradict_every_layout_are_no_page():
    """Two pages above each other: names stand twice, and none where 6x2 has it."""
    rows = [ink(20.0 + 25 * r, 10, 260) for r in range(8)]
    page = [("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"), ("II",)]
    names = [
        Name(lead, 14.0 + 62.5 * c, rows[4 * n + r].height - 5, 0.9)
        for n in (0, 1) for r, row in enumerate(page) for c, lead in enumerate(row)
    ]  # fmt: skip
    with pytest.raises(NotAPage, match="8 rows.*stand where no layout that is known has them. Cut one page out"):
        arrange(rows, names, 25.0)


def test_a_row_with_several_names_is_not_one_lead():
    rows = [ink(20.0, 10, 260), ink(50.0, 10, 260)]
    names = [Name(lead, 14.0 + 62.5 * c, 15.0, 0.9) for c, lead in enumerate(("III", "aVL", "V2", "V5"))]
    with pytest.raises(NotAPage, match="III, aVL, V2, V5, II"):
        arrange(rows, [*names, Name("II", 14.0, 45.0, 0.9)], 25.0)
