"""Cells of tables are never formulas, and come back as they were."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.csv_text import cell_text, safe_cell, table_text
from workbench.core.types import Mark, Marks, Scores
from workbench.data.cases import load_cases
from workbench.data.parts import marks_table, table_of
from workbench.recording.data.marks_files import read_marks
from workbench.recording.data.results import _table
from workbench.scene.data.spectral_library import Spectra, read, write_spectra
from workbench.training.loop import history_csv
from workbench.volume.evaluate.segmentation import COLUMNS
from workbench.volume.evaluate.tables import scores_csv

FORMULAS = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\tx",
    "\r=1",
    '=HYPERLINK("http://x","y")',
    "-",
    "=",
    "-A1",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_would_be_run_is_text(text):
    assert safe_cell(text) == f"'{text}"
    assert cell_text(safe_cell(text)) == text


@pytest.mark.parametrize(
    "value",
    ["-1.500000", "+3", "-1e-12", "-inf", "nan", -1.5, -3, None, np.float32(-2.5), "liver", "a=b", "", "'x'", "-.5"],
)
def test_numbers_and_plain_text_stay(value):
    assert safe_cell(value) is value
    assert isinstance(value, str) is False or cell_text(value) == value


def test_no_cell_steers_a_terminal():
    assert safe_cell("a\x1b[31m\u202eb\udcff") == r"a\x1b[31m\u202eb\udcff"
    assert safe_cell("a\tb\nc") == "a\tb\nc"
    table_text(["a"], [["\udcff"]]).encode()


@given(st.text(alphabet="'=+-@\t\rab1", max_size=5))
def test_every_text_comes_back(text):
    kept = safe_cell(text)
    assert cell_text(kept) == text
    assert kept == text or kept == f"'{text}"


def _first_characters(text):
    cells = [c for row in csv.reader(io.StringIO(text)) for c in row]
    return {c[0] for c in cells if c and not _number(c)}


def _number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


BAD = set("=+-@\t\r\n")


def test_tables_that_we_write_hold_no_formula(tmp_path):
    texts = [
        table_of(Scores(("=a", "b"), (("@x", -1.5), ("-y", 2)), "s")),
        marks_table(Marks((Mark(-0.5, 0.0, "=1+1", ("-A1", "B")),))),
        history_csv([{"=step": 1.0, "loss": -2.5}]),
        scores_csv([{c: "=1+1" if c == "case" else -1.0 for c in COLUMNS}]),
        write_spectra(Spectra(("=grass", "soil"), np.zeros((2, 3))), tmp_path)[0].read_text(encoding="utf-8"),
        table_text(["a", "b"], [{"a": "=1"}]),
    ]
    for text in texts:
        assert not _first_characters(text) & BAD, text
    assert "-1.5" in texts[0]
    assert "-0.500000" in texts[1]
    assert texts[2].splitlines()[1] == "1.0,-2.5"
    with pytest.raises(ValueError, match="none of the columns"):
        table_text(["a"], [{"b": 1}])


def test_what_we_write_is_read_back_as_it_was(tmp_path):
    marks = Marks((Mark(0.5, 1.0, "=1+1", ("-A1", "B2")), Mark(2.0, 0.0, "'quoted", ()), Mark(3.0, 0.0, "-5", ())))
    (tmp_path / "annotations.csv").write_text(marks_table(marks))
    assert [(m.label, m.channels) for m in read_marks(tmp_path / "annotations.csv")] == [
        (m.label, m.channels) for m in marks
    ]
    scores = Scores(("=a", "b"), (("@x", -1.5), ("-y", 2.0)), "variance")
    (tmp_path / "variance.csv").write_text(table_of(scores))
    again = _table(tmp_path / "variance.csv", "variance")
    assert (again.columns, again.rows) == (scores.columns, scores.rows)
    spectra = Spectra(("=grass", "-soil"), np.arange(6.0).reshape(2, 3), (400.0, 500.0, 600.0))
    assert read(write_spectra(spectra, tmp_path)[0]).names == spectra.names


def test_names_in_a_list_of_cases_may_come_from_our_tables(tmp_path):
    (tmp_path / "=a.nii").touch()
    (tmp_path / "list.csv").write_text(table_text(["id", "image"], [("-one", "=a.nii")]))
    (case,) = load_cases(tmp_path / "list.csv")
    assert (case.id, case.image) == ("-one", tmp_path / "=a.nii")


def test_reports_show_names_and_run_none(tmp_path):
    from workbench.report import html

    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    page = html.render(evil, [html.Section(evil, [html.Table((evil,), [(evil,)]), html.Text(evil)])], subtitle=evil)
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_a_carriage_return_begins_no_row():
    text = table_text(["a", "b"], [["\r=1", "x\r=2"]])
    assert text == 'a,b\n"\'\r=1","x\r=2"\n'
    assert [len(row) for row in csv.reader(io.StringIO(text))] == [2, 2]
