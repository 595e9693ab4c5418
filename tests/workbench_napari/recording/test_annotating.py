"""The MEG tool in a real napari window: annotations are drawn, kept through a crash, saved and opened again."""

from __future__ import annotations

import json

import mne
import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.recording.marks import marks_of

from tests.workbench_napari.recording.window import draw, finish
from workbench.core.types import Mark

pytestmark = pytest.mark.gui


def test_annotations_are_drawn_named_taken_back_and_kept(opened, wait):
    viewer, tool = opened
    page, editor = tool.panel.annotations, tool.annotating.editor
    layer = editor.layer
    page.label.setCurrentText("BAD_artefact")
    page.draw_button.click()
    assert str(layer.mode) == "add_rectangle"
    assert viewer.layers.selection.active is layer
    draw(tool, wait, 3.0, 4.5)
    page.draw_button.click()
    assert str(layer.mode) == "pan_zoom"
    drawn = Mark(3.0, 1.5, "BAD_artefact")
    assert drawn in editor.marks.marks
    box = layer.data[1]
    assert (box[:, 0].min(), box[:, 0].max()) == (-0.5, 4.5), "it concerns all channels, so it spans them"
    texts = [page.table.text_at(1, c) for c in range(4)]
    assert texts == ["3.000", "1.500", "BAD_artefact", "all"]
    assert tool.journal.is_unsaved(layer)
    assert [m.label for m in tool.stack.overlay.marks] == ["press", "BAD_artefact", "blink"]

    page.covered.setCurrentIndex(1)
    page.label.setCurrentText("spike")
    draw(tool, wait, 8.0, 8.2, rows=(0.6, 1.9))
    assert editor.marks.marks[-1] == Mark(8.0, pytest.approx(0.2, abs=1e-5), "spike", ("parcel 2", "parcel 3"))

    assert page.table.type_label(1, "swallowing")
    assert [m.label for m in editor.marks] == ["press", "swallowing", "blink", "spike"]
    assert "swallowing" in [page.label.itemText(n) for n in range(page.label.count())]
    page.table.selectRow(0)
    page.delete_button.click()
    assert [m.label for m in editor.marks] == ["swallowing", "blink", "spike"]
    for expected in (["press", "swallowing", "blink", "spike"], ["press", "BAD_artefact", "blink", "spike"]):
        page.undo_button.click()
        assert [m.label for m in editor.marks] == [m.label for m in marks_of(layer)] == expected
    page.redo_button.click()
    assert [m.label for m in editor.marks][1] == "swallowing"
    keys = {str(k): work for k, work in layer.keymap.items()}
    keys["Ctrl+Z"](layer)
    assert [m.label for m in editor.marks][1] == "BAD_artefact", "the keys work on the canvas too"
    keys["Ctrl+Shift+Z"](layer)
    # Moved with the mouse: new times, the same name.
    layer.data = [*layer.data[:3], layer.data[3] + np.array([0.0, 1.0])]
    wait(lambda: editor.marks.marks[-1].onset == pytest.approx(9.0, abs=1e-5))
    assert editor.marks.marks[-1].label == "spike"
    page.table.chosen.emit(3)
    assert tool.stack.cursor == pytest.approx(9.0, abs=1e-5)
    # A click that slipped is no annotation.
    layer.add_rectangles([[0, 1.0], [1, 1.00001]])
    wait(lambda: len(layer.data) == 4)


def test_annotations_survive_a_crash(opened, wait, window, parcel_file):
    viewer, tool = opened
    layer = tool.annotating.editor.layer
    draw(tool, wait, 3.0, 4.5)
    tool.journal.flush()
    before = marks_of(layer)
    viewer.layers.remove(layer)
    tool.journal.flush()
    wait(lambda: tool.recovery.list.count() == 1)
    viewer.layers.clear()
    assert not tool.empty.isHidden()
    (back,) = tool.recovery.restore_chosen()
    assert marks_of(back) == before
    assert "rest_raw" in viewer.layers, "the recording is opened first"
    assert back in tool.annotating.layers


def test_save_and_reopen_equal(opened, wait, window, parcel_file):
    viewer, tool = opened
    assert tool.modelling.run()
    finish(tool, wait)
    tool.panel.generation.seconds.setValue(3.0)
    assert tool.modelling.generate()
    finish(tool, wait)
    tool.panel.annotations.layer.setCurrentText("annotations")
    tool.panel.annotations.label.setCurrentText("BAD_artefact")
    layer = tool.annotating.editor.layer
    draw(tool, wait, 3.0, 4.5)
    marks = tool.annotating.all_marks()
    assert tool.save()
    finish(tool, wait, 60)
    folder = tool.last_folder
    assert folder is not None, tool.status.text()
    assert folder.name == "rest_raw"
    assert not tool.journal.is_unsaved(layer)
    names = {p.name for p in folder.iterdir()}
    assert names >= {
        "annotations.csv", "annotations-annot.fif", "tokens.npy", "surprisal.npy", "variance.csv", "comparison.csv",
        "provenance.json",
    }  # fmt: skip
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert (record["backend"], record["edited_by_hand"]) == ("meg_gpt", True)
    read = mne.read_annotations(folder / "annotations-annot.fif")
    found = [(a["onset"], a["duration"], a["description"]) for a in read]
    assert [row[2] for row in found] == [m.label for m in marks]
    assert np.allclose([row[:2] for row in found], [(m.onset, m.duration) for m in marks], atol=1e-6)

    again = window()
    other = open_files(again, [parcel_file])
    wait(lambda: other.annotating.editor.layer is not None)
    assert other.keeping.open_results(folder)
    finish(other, wait, 60)
    assert list(other.annotating.all_marks()) == list(marks)
    for key, part in tool.opened.signals.items():
        assert np.allclose(other.opened.signals[key].data, part.data, equal_nan=True, rtol=1e-6), key
        assert other.opened.signals[key].channels == part.channels
    assert np.array_equal(again.layers["rest_raw tokens"].data, viewer.layers["rest_raw tokens"].data)
    assert other.panel.variance.table.rowCount() == 5
    # The file of annotations alone, dropped into the window.
    third = window()
    last = open_files(third, [parcel_file, folder / "annotations-annot.fif"])
    dropped = third.layers["annotations-annot"]
    assert dropped in last.annotating.layers
    assert [m.label for m in marks_of(dropped)] == [m.label for m in marks]


def test_keys_pressed_on_the_canvas_take_steps_back(opened, wait, qtbot):
    """Really pressed: napari looks more closely at its bindings than a call of the function does."""
    from qtpy.QtCore import Qt

    viewer, tool = opened
    editor = tool.annotating.editor
    before = len(editor.marks)
    draw(tool, wait, 3.0, 4.5)
    viewer.layers.selection.active = editor.layer
    canvas = viewer.window._qt_viewer.canvas.native
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(editor.marks) == before
    qtbot.keyClick(canvas, Qt.Key.Key_Z, both)
    assert len(editor.marks) == before + 1
    qtbot.keyClick(canvas, Qt.Key.Key_5)  # a key of napari's own must get through


def test_a_file_that_counts_from_a_date_lands_on_the_clock_of_the_recording(window, tmp_path, wait):
    from tests.recording_maker import save_raw

    path = save_raw(tmp_path / "late_raw.fif", first=777)
    source = mne.io.read_raw_fif(path, verbose="ERROR")
    source.set_annotations(mne.Annotations([2.5, 6.25], [0.0, 1.0], ["go", "BAD_x"]))
    (tmp_path / "elsewhere").mkdir()
    for folder, name in ((tmp_path, "late-annot.fif"), (tmp_path / "elsewhere", "other_annot.txt")):
        source.annotations.save(folder / name, overwrite=True)
    viewer = window()
    tool = open_files(viewer, [path])
    wait(lambda: tool.opened is not None)
    assert tool.annotating.open_file(tmp_path / "elsewhere" / "other_annot.txt")
    found = [m for layer in tool.annotating.layers for m in marks_of(layer) if m.label in ("go", "BAD_x")]
    assert [m.onset for m in found] == pytest.approx([2.5, 6.25], abs=1e-4)
    # Dropped on the window, with its recording beside it.
    (layer,) = viewer.open(str(tmp_path / "late-annot.fif"), plugin="napari-workbench")
    assert [m.onset for m in marks_of(layer)] == pytest.approx([2.5, 6.25], abs=1e-4)
