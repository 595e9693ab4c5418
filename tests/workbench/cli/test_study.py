"""The shell on trees of patients: what is there, what is skipped and why, on the screen and in reports."""

import json
import time

import pytest

from tests.study_maker import save_nifti, write_ct, write_export, write_page, write_report
from workbench.cli import run


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export"), tmp_path_factory.mktemp("scratch"))


def test_a_dry_run_lists_every_patient_and_names_the_rest(export, tmp_path, capsys):
    report = tmp_path / "report.json"
    line = ["predict", "segformer3d", "-i", str(export), "-o", str(tmp_path / "out"), "--dry-run", "--json"]
    assert run([*line, "--report", str(report)]) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert len(rows) == 12
    assert len({r["output"] for r in rows}) == 12
    assert not any("problem" in r for r in rows)
    lines = [x for x in printed.err.splitlines() if x.startswith("skipped: ")]
    assert len(lines) == 17  # all of them: a dry run is asked for that
    written = json.loads(report.read_text(encoding="utf-8"))
    assert written["planned"] == rows
    assert len(written["skipped"]) == 17
    assert all(s["reason"] for s in written["skipped"])
    assert "SECRET" not in report.read_text(encoding="utf-8") + printed.out + printed.err


def test_info_shows_the_same_cases(export, capsys):
    assert run(["info", str(export), "--json"]) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert len({r["case"] for r in rows}) == 12
    assert not any("problem" in r for r in rows)
    lines = [x for x in printed.err.splitlines() if x.startswith("skipped: ")]
    assert len(lines) == 11
    assert "7 more" in lines[-1]


def test_two_volumes_are_a_line_and_a_rule_is_for_all(tmp_path, capsys):
    for name in ("P1", "P2"):
        write_ct(tmp_path / "in" / name, name, 1, SeriesDescription="arterial")
        write_ct(tmp_path / "in" / name, name, 2, SeriesDescription="venous", n=6)
    line = ["predict", "segformer3d", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--dry-run"]
    assert run(line) == 0
    printed = capsys.readouterr()
    assert printed.out.count("cannot be opened: ") == 2
    assert "arterial (CT, 4 images" in printed.out
    assert run([*line, "--series", "description=art*"]) == 0
    printed = capsys.readouterr()
    assert [x.split("\t")[0] for x in printed.out.splitlines()] == ["P1", "P2"]
    assert "cannot" not in printed.out
    assert "description is 'venous', asked for = art*" in printed.err
    assert run([*line, "--series", "descr=art*"]) == 2
    assert "no series has 'descr'" in capsys.readouterr().err


def test_a_run_fails_for_what_it_cannot_choose_and_reports_what_it_skipped(tmp_path, capsys):
    for number in (1, 2):
        write_ct(tmp_path / "in" / "P1", "P1", number)
    write_page(tmp_path / "in" / "P1" / "page.dcm", "P1")
    write_report(tmp_path / "in" / "P2" / "report.dcm", "P2")
    report, out = tmp_path / "report.json", tmp_path / "out"
    line = ["predict", "segformer3d", "-i", str(tmp_path / "in"), "-o", str(out), "--device", "cpu"]
    assert run([*line, "--report", str(report), "-q"]) == 3
    assert "P1: 2 volumes of one study, choose one by a rule" in capsys.readouterr().err
    written = json.loads(report.read_text(encoding="utf-8"))
    assert [s["path"].rpartition("/")[2] for s in written["skipped"]] == ["page.dcm", "report.dcm"]
    assert written["cases"][0]["status"] == "failed"


def test_training_and_scoring_see_the_same_and_say_what_they_skip(export, tmp_path, capsys):
    for verb in ("train", "evaluate"):
        out = tmp_path / "out.safetensors"
        assert run([verb, "segformer3d", "-i", str(export), "-o", str(out)]) == 3
        printed = capsys.readouterr()
        assert "9 of 12 cases have no labels" in printed.err
        assert sum(x.startswith("skipped: ") for x in printed.err.splitlines()) == 11


def test_a_folder_of_nothing_says_what_is_in_it(tmp_path, capsys):
    write_report(tmp_path / "in" / "P2" / "report.dcm", "P2")
    for verb in (["info"], ["predict", "segformer3d", "-o", str(tmp_path / "out"), "-i"]):
        assert run([*verb, str(tmp_path / "in")]) == 4
        assert "a report (SR" in capsys.readouterr().err
    save_nifti(tmp_path / "in" / "P2" / "x.nii.gz")
    assert run(["info", str(tmp_path / "in")]) == 0


def test_a_tree_of_a_thousand_files_is_told_in_seconds(tmp_path, capsys):
    for number in range(20):
        write_ct(tmp_path / f"P{number}" / "study" / "series", f"P{number}", n=50)
    began = time.process_time()
    assert run(["info", str(tmp_path), "--json"]) == 0
    assert time.process_time() - began < 10
    assert len(json.loads(capsys.readouterr().out)) == 20
