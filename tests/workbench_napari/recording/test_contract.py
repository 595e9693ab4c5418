"""Weights and recordings in the window: every row of the contract table, generating, decoding, who knows better."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import mne
import pytest
from workbench_napari.shared.opening import open_path

from tests.workbench.recording.contract_table import ROWS, eeg, save, train
from tests.workbench_napari.contract_window import model_of, notes_of, open_tool, press, run, shows, until

pytestmark = pytest.mark.gui
FEW = ("right: another brain", "another order", "microvolts as volts", "low-passed at 30 Hz", "six channels")
NO_FORCE = ("parcels", "six channels", "a channel of NaN")
"""Rows that cannot be used at all, whoever knows better."""


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    return train(tmp_path_factory.mktemp("eeg"))


def write(name: str, path: Path, seed: int = 50) -> Path:
    return save(ROWS[name][0](eeg(seed)), path)


def wait_for(tool) -> str:
    until(lambda: not tool.runner.is_busy)
    return tool.status.text()


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FEW else pytest.mark.slow) for n in ROWS])
def test_every_row_of_the_table_ends_in_the_window_as_it_is_stated(window, net, tmp_path, name):
    _, wanted, words = ROWS[name]
    path = write(name, tmp_path / "a_raw.fif")
    tool = open_tool(window(), "recording", path, str(net))
    seen = run(tool, "recording")
    assert seen.happened == wanted, seen.said
    assert not words or re.search(words, seen.said, re.IGNORECASE), seen.said
    assert all(shows(seen.said, note) for note in seen.notes)
    if wanted == "refused":
        assert str(path) in seen.said
        assert "\n" not in seen.said
        assert seen.added == ()
        assert notes_of(tool, "recording").isHidden()
    assert seen.offers == (wanted == "refused" and name not in NO_FORCE)
    assert tool.run_button.isEnabled()
    assert tool.run_button.text() == "Run"


def test_who_knows_better_goes_on_and_it_stays_with_the_result(window, net, tmp_path):
    viewer = window()
    bad = write("low-passed at 30 Hz", tmp_path / "bad_raw.fif")
    good = write("right: another brain", tmp_path / "good_raw.fif")
    tool = open_tool(viewer, "recording", bad, str(net))
    assert "force" not in model_of(tool, "recording").form.widgets
    tool.folder.setText(str(tmp_path / "out"))
    assert run(tool, "recording").offers
    press(tool.agreement.anyway)
    assert "Forced although spectrum" in run(tool, "recording").said
    press(tool.save_button)
    wait_for(tool)
    record = json.loads((tmp_path / "out" / "bad_raw" / "provenance.json").read_text(encoding="utf-8"))
    assert any(n.startswith("forced although spectrum") for n in record["notes"])
    assert record["settings"]["force"] is True
    # Good for this recording and these weights only, and the notes are those of what is shown.
    open_path(viewer, good, tool)
    assert tool.agreement.isHidden()
    assert "orced" not in tool.status.text()
    assert notes_of(tool, "recording").isHidden()
    tool.panel.recording.recordings.setCurrentText("bad_raw")
    assert "Forced although spectrum" in notes_of(tool, "recording").text
    assert run(tool, "recording").offers
    press(tool.agreement.anyway)
    model_of(tool, "recording").weights.combo.setCurrentText("demo")
    assert tool.agreement.isHidden()
    assert tool.status.text() == ""


@pytest.mark.slow
def test_what_is_generated_is_refused_too_and_its_notes_are_saved_beside_those_of_a_run(window, net, tmp_path):
    """Generated from data that were forced, beside a run of which that was not so: the record must say it."""
    viewer = window()
    tool = open_tool(viewer, "recording", write("low-passed at 30 Hz", tmp_path / "a_raw.fif"), str(net))
    tool.folder.setText(str(tmp_path / "out"))
    tool.panel.generation.seconds.setValue(2.0)
    press(tool.panel.generation.button)
    assert "almost nothing at" in wait_for(tool)
    assert "a_raw generated" not in viewer.layers
    press(tool.agreement.anyway)
    press(tool.panel.generation.button)
    assert "Forced although spectrum" in wait_for(tool)
    assert "a_raw generated" in viewer.layers
    assert "Forced although spectrum" in notes_of(tool, "recording").text
    # Another run says what it has to say; what is said of the generated signals stays.
    found = tool.opened
    found.provenance = replace(found.provenance, notes=())
    assert any(n.startswith("forced although spectrum") and n.endswith("(generated)") for n in found.notes)
    press(tool.save_button)
    wait_for(tool)
    record = json.loads((tmp_path / "out" / "a_raw" / "provenance.json").read_text(encoding="utf-8"))
    assert any(n.startswith("forced although spectrum") for n in record["notes"])


def a_list(folder: Path, names: dict[str, str]) -> Path:
    """A list of cases with events every second: id -> row of the table."""
    rows = []
    for number, (case, row) in enumerate(names.items()):
        path = write(row, folder / f"{case}_raw.fif", 50 + number)
        raw = mne.io.read_raw_fif(path, preload=True, verbose="ERROR")
        kinds = ["visual" if i % 2 else "button" for i in range(27)]
        raw.set_annotations(mne.Annotations([1.0 + i for i in range(27)], 0.0, kinds))
        raw.save(path, overwrite=True, fmt="double", verbose="ERROR")
        rows.append({"id": case, "image": str(path), "group": case.split("_")[0]})
    table = folder / "cases.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return table


def test_decoding_refuses_a_list_says_what_it_left_out_and_can_be_forced(window, net, tmp_path):
    low, right = "low-passed at 30 Hz", "right: another brain"
    cases = [f"sub-{s}_ses-{n}" for s in (1, 2) for n in (1, 2)]
    tool = open_tool(window(), "recording", write(right, tmp_path / "a_raw.fif"), str(net))
    tool.folder.setText(str(tmp_path / "out"))
    wrong = a_list(tmp_path / "wrong", dict.fromkeys(cases, low))
    assert tool.decoding.decode(wrong)
    said = wait_for(tool)
    assert "almost nothing at" in said
    assert "sub-1_ses-1_raw.fif" in said
    assert tool.panel.decoding.table.rowCount() == 0
    press(tool.agreement.anyway)
    assert tool.decoding.decode(wrong)
    assert "Decoded" in wait_for(tool)
    assert "orced although spectrum" in tool.panel.decoding.notes.text
    mixed = a_list(tmp_path / "mixed", dict.fromkeys(cases, right) | {"sub-3_ses-1": low})
    assert tool.decoding.decode(mixed)
    assert tool.agreement.isHidden(), "another list was not what a person knew better of"
    assert "without 1 recording" in wait_for(tool)
    assert "sub-3_ses-1" in tool.panel.decoding.notes.text
    assert "orced" not in tool.panel.decoding.notes.text
