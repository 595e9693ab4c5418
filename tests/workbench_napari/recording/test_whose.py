"""Annotations of a person and of a method in a real window: drawn with the mouse, saved as shown, kept in a kill."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from workbench_napari.launch import open_files
from workbench_napari.recording.marks import marks_of
from workbench_napari.shared.recovery_store import Store

from tests.workbench_napari.contract_window import press
from tests.workbench_napari.mouse import canvas_of, drag
from tests.workbench_napari.recording.window import draw, finish, pixel_of
from workbench.core.types import Mark

pytestmark = pytest.mark.gui


@pytest.fixture
def seen(window, parcel_file, weights_file, tmp_path, wait):
    """A window on the screen, so that the mouse meets a canvas of some size."""
    viewer = window(show=True)
    viewer.window.resize(1300, 850)
    tool = open_files(viewer, [parcel_file])
    tool.panel.model.model.weights.choose_file(weights_file)
    tool.panel.model.model.device.setCurrentText("cpu")
    tool.panel.model.model.form.set_values({"precision": "float32", "threshold": 2.0})
    tool.folder.setText(str(tmp_path / "out"))
    wait(lambda: viewer.layers.selection.active is viewer.layers["rest_raw"] and canvas_of(viewer).width() > 300)
    return viewer, tool


def draw_by_mouse(tool, wait, start, stop):
    """Press Draw, drag over the canvas from one second to another, press Draw again."""
    before = len(tool.annotating.editor.marks)
    press(tool.panel.annotations.draw_button)
    layer = tool.opened.main.layer
    drag(tool.viewer, pixel_of(tool, layer, 1, start), pixel_of(tool, layer, 3, stop))
    wait(lambda: len(tool.annotating.editor.marks) == before + 1)
    press(tool.panel.annotations.draw_button)


def shown(tool):
    """The rows of the table: label, and who marked it."""
    table = tool.panel.annotations.table
    return [(table.text_at(r, 2), table.text_at(r, 4)) for r in range(table.row_count())]


def labels_in(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [row["label"] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_person_draws_in_their_own_layer_also_after_a_run(seen, wait):
    from qtpy.QtCore import Qt

    viewer, tool = seen
    own = tool.annotating.editor.layer
    press(tool.run_button)
    finish(tool, wait)
    peaks = viewer.layers["rest_raw surprisal peaks"]
    before = marks_of(peaks)
    assert len(before) > 0
    assert tool.annotating.editor.layer is own, "what a run adds is not what is drawn in"
    assert tool.panel.annotations.layer.count() == 1
    # Chosen in napari's own list it is looked at, and the tools of napari do not draw in it either.
    viewer.layers.selection.active = peaks
    peaks.mode = "add_rectangle"
    assert (str(peaks.mode), peaks.editable) == ("pan_zoom", False)
    peaks._reset_editable()  # what napari does when the view comes back from 3-D
    assert not peaks.editable
    draw_by_mouse(tool, wait, 3.0, 4.5)
    (drawn,) = set(tool.annotating.editor.marks) - {Mark(2.0, 0.0, "press"), Mark(5.123456, 0.75, "blink")}
    assert (drawn.onset, drawn.duration) == (pytest.approx(3.0, abs=0.05), pytest.approx(1.5, abs=0.1))
    assert marks_of(peaks) == before
    assert not tool.journal.is_unsaved(peaks)
    # The table shows both, each by whom; those of the model cannot be deleted or renamed in it.
    rows = shown(tool)
    assert [label for label, by in rows if not by] == ["press", "BAD_artefact", "blink"]
    assert sum(by == "model" for _, by in rows) == len(before)
    table = tool.panel.annotations.table
    row = next(n for n, (_, by) in enumerate(rows) if by)
    table.selectRow(row)
    press(tool.panel.annotations.delete_button)
    assert shown(tool) == rows
    assert "take it over" in tool.status.text()
    assert not table.model().index(row, 2).flags() & Qt.ItemFlag.ItemIsEditable
    # Taken over, one can be deleted, and the step goes back and forth.
    press(tool.panel.annotations.take_button)
    assert sum(by == "model" for _, by in shown(tool)) == len(before) - 1
    assert len(shown(tool)) == len(rows)
    taken = shown(tool)
    press(tool.panel.annotations.undo_button)
    assert shown(tool) == rows
    press(tool.panel.annotations.redo_button)
    assert shown(tool) == taken
    table.selectRow(row)
    press(tool.panel.annotations.delete_button)
    assert len(shown(tool)) == len(rows) - 1
    # Another run finds its peaks again, and leaves what is the person's.
    press(tool.run_button)
    finish(tool, wait)
    assert [label for label, by in shown(tool) if not by] == ["press", "BAD_artefact", "blink"]


@pytest.mark.slow
def test_what_the_table_shows_is_saved_and_comes_back(seen, wait, window, parcel_file):
    viewer, tool = seen
    press(tool.run_button)
    finish(tool, wait)
    page = tool.panel.annotations
    draw_by_mouse(tool, wait, 7.0, 8.0)
    page.table.selectRow(next(n for n, row in enumerate(shown(tool)) if row[0] == "press"))
    press(page.delete_button)
    wanted = shown(tool)
    assert ("press", "") not in wanted
    press(tool.save_button)
    finish(tool, wait)
    folder = tool.last_folder
    assert labels_in(folder / "annotations.csv") == [label for label, by in wanted if not by]
    assert labels_in(folder / "peaks.csv") == [label for label, by in wanted if by]

    again = window()
    other = open_files(again, [parcel_file])
    wait(lambda: other.annotating.editor.layer is not None)
    assert ("press", "") in shown(other), "the file still says so"
    assert other.keeping.open_results(folder)
    finish(other, wait)
    assert shown(other) == wanted, "what was deleted does not come back"
    assert [r.mark.onset for r in other.annotating.rows] == pytest.approx([r.mark.onset for r in tool.annotating.rows])
    assert other.keeping.open_results(folder)
    finish(other, wait)
    assert shown(other) == wanted
    # Saved as it was opened, it is still the work of a person.
    other.folder.setText(str(folder.parent))
    assert other.save()
    finish(other, wait)
    from workbench.core import case_folder

    assert other.last_folder == folder
    record = case_folder.read_record(folder)
    assert record["edited_by_hand"] is True
    assert labels_in(folder / "annotations.csv") == [label for label, by in wanted if not by]
    assert len(viewer.layers) > 0


def test_without_a_layer_of_the_person_draw_makes_one(opened, wait):
    viewer, tool = opened
    viewer.layers.remove("rest_raw annotations")
    assert shown(tool) == []
    press(tool.panel.annotations.draw_button)
    draw(tool, wait, 1.0, 2.0)
    assert [label for label, _ in shown(tool)] == ["BAD_artefact"]
    assert tool.annotating.editor.layer is viewer.layers["rest_raw annotations"] is viewer.layers.selection.active


CHILD = """
import sys, time
import napari
from qtpy.QtTest import QTest
from workbench_napari.launch import open_files
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.mouse import canvas_of, drag
from tests.workbench_napari.recording.window import pixel_of

viewer = napari.Viewer(show=True)
viewer.window.resize(1300, 850)
tool = open_files(viewer, sys.argv[1:2])
until(lambda: tool.annotating.editor.layer is not None and canvas_of(viewer).width() > 300)
page = tool.panel.annotations
page.table.selectRow(0)
press(page.delete_button)
press(page.draw_button)
layer = tool.opened.main.layer
drag(viewer, pixel_of(tool, layer, 1, 7.0), pixel_of(tool, layer, 3, 8.0))
until(lambda: len(tool.annotating.editor.marks) == 2)
print(";".join(f"{m.label}={float(m.onset)!r}" for m in tool.annotating.editor.marks), flush=True)
QTest.qWait(100_000)
"""


@pytest.fixture
def killed(display, parcel_file, tmp_path):
    """What was shown when a real window was killed after one annotation was deleted and another was drawn."""
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join([str(root), str(root / "plugins"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), str(parcel_file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    try:
        told = process.stdout.readline().strip()
        assert told.startswith("blink") or "BAD_artefact" in told, told
        end = time.monotonic() + 10
        while not Store().entries():
            assert time.monotonic() < end, "the edit was not kept"
            time.sleep(0.05)
        time.sleep(1.5)  # the last edit is written a second after it was made
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        process.stdout.close()
    return [part.split("=") for part in told.split(";")]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["nothing", "the recording"])
def test_killed_and_restored_it_is_one_layer_and_the_current_one(killed, window, wait, parcel_file, tmp_path, first):
    viewer = window()
    tool = open_files(viewer, [parcel_file] if first != "nothing" else [], tool="meg")
    if first != "nothing":
        wait(lambda: tool.annotating.editor.layer is not None)
    (back,) = tool.recovery.restore_chosen()
    wait(lambda: tool.annotating.editor.layer is back)
    assert [(m.label, repr(float(m.onset))) for m in tool.annotating.editor.marks] == [tuple(part) for part in killed]
    assert [label for label, _ in shown(tool)] == [label for label, _ in killed], "the deleted one stays deleted"
    assert [x.name for x in viewer.layers if type(x).__name__ == "Shapes"] == ["rest_raw annotations"]
    tool.folder.setText(str(tmp_path / "out"))
    press(tool.save_button)
    finish(tool, wait)
    assert labels_in(tool.last_folder / "annotations.csv") == [label for label, _ in killed]
    # The recording opened once more: its own annotations do not join those of the person.
    viewer.layers.remove("rest_raw")
    open_files(viewer, [parcel_file])
    wait(lambda: [x.name for x in viewer.layers if type(x).__name__ == "Shapes"] == ["rest_raw annotations"])
    assert [label for label, _ in shown(tool)] == [label for label, _ in killed]
