"""The summary is a table that pandas reads and no spreadsheet runs; the record of a run is JSON whatever is in it."""

import csv
import json
import math

import pandas as pd
import pytest

from tests.workbench.batch.study_rows import NASTY, row
from workbench.batch.summary import machine, write_run, write_summary
from workbench.core.csv_text import cell_text
from workbench.core.errors import visible

MEASURE = "volume [mL]"


def test_cases_are_joined_to_the_columns_of_the_list(tmp_path):
    rows = [
        row("b", 10.5, 3.0, columns={"image": "b.nii", "site": "Ulm", "age": 40}, notes=["one", "two"]),
        row("a", 0.0, columns={"image": "a.nii", "age": 41, "late": "x"}, status="skipped"),
        row("c", status="failed", message="cut off", seconds=None),
    ]
    frame = pd.read_csv(write_summary(tmp_path / "summary.csv", rows, MEASURE))
    assert list(frame.columns) == [
        "case", "group", "image", "site", "age", "late", "source", "status", "seconds", "message", "notes",
        "liver volume [mL]", "spleen volume [mL]",
    ]  # fmt: skip
    assert frame["case"].tolist() == ["b", "a", "c"]  # the order of the list
    assert frame["liver volume [mL]"].tolist()[:2] == [10.5, 0.0]  # a size of 0 is a size
    assert frame["spleen volume [mL]"].isna().tolist() == [False, True, True]  # no class is no 0
    assert frame["notes"].tolist() == [2, 0, 0]
    assert frame["seconds"].isna().tolist() == [False, False, True]
    assert frame["message"].tolist()[2] == "cut off"
    assert frame["site"].isna().tolist() == [False, True, True]


def test_columns_of_the_list_never_hide_ours(tmp_path):
    columns = {"status": "mine", "case": "id", "liver volume [mL]": 7, "status (list)": "other"}
    path = write_summary(tmp_path / "s.csv", [row("a", 5.0, columns=columns)], MEASURE)
    with path.open(encoding="utf-8", newline="") as file:
        head, cells = csv.reader(file)
    assert len(set(head)) == len(head)
    found = dict(zip(head, cells, strict=True))
    assert (found["case"], found["status"], found["liver volume [mL]"]) == ("a", "done", "5.0")
    assert {found["case (list)"], found["status (list)"], found["liver volume [mL] (list)"]} == {"id", "mine", "7"}
    assert found["status (list) (list)"] == "other"


def test_no_cell_is_a_formula_and_every_name_is_one_cell(tmp_path):
    rows = [row(name, columns={"=cmd": "@x"}, message=f"-{name}") for name in NASTY]
    path = write_summary(tmp_path / "s.csv", rows, MEASURE)
    with path.open(encoding="utf-8", newline="") as file:
        head, *lines = list(csv.reader(file))
    assert head[2] == "'=cmd"
    assert len(lines) == len(NASTY)
    for name, cells in zip(NASTY, lines, strict=True):
        assert len(cells) == len(head)
        assert not any(c[:1] in ("=", "+", "-", "@") for c in cells)
        assert cell_text(cells[0]) == visible(name, keep="\t\r\n")


def test_classes_of_one_name_are_not_added_up(tmp_path):
    table = [{"class": "rib", MEASURE: 1.0}, {"class": "rib", MEASURE: 2.0}]
    frame = pd.read_csv(write_summary(tmp_path / "s.csv", [{**row("a"), "table": table}], MEASURE))
    assert frame[["rib volume [mL]", "rib (2) volume [mL]"]].values.tolist() == [[1.0, 2.0]]


def test_a_summary_is_written_whole_or_not_at_all(tmp_path):
    path = write_summary(tmp_path / "s.csv", [row("a", 1.0)], MEASURE)
    before = path.read_bytes()

    class Breaking:
        def __iter__(self):
            yield row("b")
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_summary(path, Breaking(), MEASURE)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


def test_the_record_of_a_run_says_all_and_ends_with_the_cases(tmp_path):
    header = {
        "command": ["workbench", "predict"], "device": "cpu", "threads": 1, "jobs": 2, "started": "a", "finished": "b",
        "exit_code": 3, "host": "mine",
    }  # fmt: skip
    rows = [row(name, math.nan, status="failed" if i else "done") for i, name in enumerate(NASTY)]
    text = write_run(tmp_path / "run.json", header, rows).read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(found)[: len(header)] == list(header)
    assert list(found)[-1] == "cases"
    assert found["host"] == "mine"  # what the run says counts
    assert found["counts"] == {"done": 1, "skipped": 0, "failed": len(NASTY) - 1, "not run": 0}
    assert [c["case"] for c in found["cases"]] == NASTY
    assert found["cases"][0]["table"][0][MEASURE] is None
    assert found["versions"]["napari-workbench"]
    assert found["packages"]["numpy"] == found["versions"]["numpy"]
    assert text.isascii()


def test_the_record_of_a_run_without_cases_is_json(tmp_path):
    assert json.loads(write_run(tmp_path / "run.json", {}, []).read_text(encoding="utf-8"))["cases"] == []
    assert machine()["packages"]["pillow"]
