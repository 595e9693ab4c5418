"""Nuclei corrected in the window by mouse and keys: chosen, rejected, drawn, split, painted, named, saved, opened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from workbench_napari.launch import open_files
from workbench_napari.shared.napari_versions import camera_of
from workbench_napari.shared.views import canvas_of

from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.slide.hands import click, saved
from workbench.core.layers import KEY
from workbench.core.objects import EDITED, REJECTED
from workbench.data.objects import read_objects
from workbench.slide import edits_in

pytestmark = pytest.mark.gui


def on_screen(viewer, layer, place):
    """Where a place of level 0 (x, y, from the corner) is on the canvas."""
    world = np.array(layer.data_to_world((place[1] - 0.5, place[0] - 0.5)))
    camera, canvas = camera_of(viewer), canvas_of(viewer)
    centre = np.array(camera.center)[-2:]
    offset = (world - centre) * camera.zoom
    from qtpy.QtCore import QPoint

    return QPoint(round(canvas.width() / 2 + offset[1]), round(canvas.height() / 2 + offset[0]))


def look_at(viewer, layer, place, zoom=8.0):
    camera = camera_of(viewer)
    camera.center = (0.0, *layer.data_to_world((place[1] - 0.5, place[0] - 0.5)))
    camera.zoom = zoom
    QTest.qWait(80)


def drag(viewer, layer, places, modifier=Qt.KeyboardModifier.NoModifier):
    """Press at the first place, go along the others, let go; one place is a click."""
    canvas = canvas_of(viewer)
    points = [on_screen(viewer, layer, p) for p in places]
    QTest.mouseMove(canvas, points[0])
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, modifier, points[0])
    for a, b in pairwise(points):
        for share in (0.34, 0.67, 1.0):
            _move(canvas, a + (b - a) * share, modifier)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, modifier, points[-1])
    QTest.qWait(30)


def _move(canvas, point, modifier):
    """QTest moves without the button that is down."""
    from qtpy.QtCore import QEvent, QPointF
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    at = QPointF(point)
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, QPointF(canvas.mapToGlobal(point)), Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton, modifier,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)
    QApplication.processEvents()


def key(viewer, name, modifier=Qt.KeyboardModifier.NoModifier):
    canvas = canvas_of(viewer)
    canvas.setFocus()
    QTest.keyClick(canvas, name, modifier)
    QTest.qWait(20)


def middle_of(edits, number):
    point = edits.area(number).representative_point()
    return point.x, point.y


def first(layer, edits):
    """A nucleus that nothing lies over, well inside the slide."""
    for number in range(edits.total):
        place = middle_of(edits, number)
        inside = edits.area(number).area > 60 and 60 < place[0] < 400 and 60 < place[1] < 400
        if inside and layer.data[0].outlines.at(*place) == number:
            return number
    raise AssertionError("no nucleus to work on")


def test_a_click_chooses_and_keys_accept_reject_name_and_undo(found):
    viewer, tool, layer, edits = found
    number, before = first(layer, edits), len(edits)
    place = middle_of(edits, number)
    look_at(viewer, layer, place)
    drag(viewer, layer, [place])
    assert tool.nuclei.editing.chosen == [number], tool.status.text()
    marks = tool.nuclei.editing.marks
    assert marks.metadata[KEY]["role"] == "hint"
    assert len(marks.data) == 1
    until(lambda: tool.nuclei_group.table.selectionModel().hasSelection())
    key(viewer, Qt.Key.Key_A)
    assert edits.review[number] == 1
    key(viewer, Qt.Key.Key_Delete)
    assert edits.review[number] == REJECTED
    assert len(edits) == before - 1
    assert layer.data[0][int(place[1]), int(place[0])] == 0, "it is seen at once"
    assert layer in tool.unsaved.layers()
    key(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert edits.review[number] == 1
    key(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert edits.review[number] == REJECTED
    until(lambda: "1 rejected" in tool.nuclei_group.count.text())
    # Rejected ones are listed when asked for, and come back by the same key.
    tool.nuclei_group.state.setCurrentText("Rejected")
    assert tool.nuclei_group.model.rows.tolist() == [number]
    tool.nuclei_group.table.selectRow(0)
    press(tool.nuclei_group.reject)
    assert edits.review[number] == EDITED


def test_a_nucleus_is_drawn_split_painted_on_and_merged(found):
    viewer, tool, layer, edits = found
    edits.reject(np.arange(edits.total))
    QTest.qWait(30)
    look_at(viewer, layer, (200, 200), zoom=6)
    key(viewer, Qt.Key.Key_D)
    assert tool.nuclei_group.mode == "draw"
    assert not layer.mouse_pan
    drag(viewer, layer, [(180, 190), (220, 190), (220, 210), (180, 210)])
    assert len(edits) == 1, tool.status.text()
    (drawn,) = tool.nuclei.editing.chosen
    assert edits.area(drawn).area == pytest.approx(800, rel=0.1)
    assert layer.data[0][200, 200] > 0
    key(viewer, Qt.Key.Key_S)
    drag(viewer, layer, [(200, 180), (200, 220)])
    assert len(edits) == 2, tool.status.text()
    assert [edits.area(i).area for i in tool.nuclei.editing.chosen] == pytest.approx([400, 400], rel=0.15)
    press(tool.nuclei_group.merge)
    assert len(edits) == 1, tool.status.text()
    (whole,) = tool.nuclei.editing.chosen
    tool.nuclei_group.radius.setValue(6)
    key(viewer, Qt.Key.Key_B)
    drag(viewer, layer, [(215, 200), (235, 200)])
    (more,) = tool.nuclei.editing.chosen
    assert edits.area(more).area > edits.area(whole).area + 100
    key(viewer, Qt.Key.Key_E)
    drag(viewer, layer, [(185, 185), (185, 215)])
    (less,) = tool.nuclei.editing.chosen
    assert edits.area(less).area < edits.area(more).area - 100
    key(viewer, Qt.Key.Key_V)
    assert layer.mouse_pan
    for _ in range(5):
        press(tool.nuclei_group.undo)
        QTest.qWait(20)
    assert len(edits) == 0, "five steps back nothing was drawn"


def test_a_lasso_and_a_new_class(found):
    viewer, tool, layer, edits = found
    centre = np.array(middle_of(edits, first(layer, edits)))
    look_at(viewer, layer, centre, zoom=2)
    key(viewer, Qt.Key.Key_L)
    drag(viewer, layer, [centre + d for d in ((-50, -50), (50, -50), (50, 50), (-50, 50))])
    chosen = tool.nuclei.editing.chosen
    assert chosen, tool.status.text()
    centres = np.array([edits.area(i).centroid.coords[0] for i in chosen])
    assert (np.abs(centres - centre) < 52).all()
    line = tool.nuclei_group.classes.lineEdit()
    line.selectAll()
    QTest.keyClicks(line, "mitosis")
    QTest.keyClick(line, Qt.Key.Key_Return)
    value = next(c.value for c in edits.classes if c.name == "mitosis")
    assert (edits.values[chosen] == value).all()
    x, y = np.array(middle_of(edits, chosen[0])).astype(int)
    assert layer.data[0][y, x] == value
    color = np.array(edits.classes.classes[-1].color) / 255
    assert np.allclose(layer.colormap.color_dict[value][:3], color, atol=1e-3)
    until(lambda: ["mitosis", str(len(chosen))] in [row[:2] for row in tool.areas.texts()])


def test_classes_are_learnt_from_a_few_and_kept_for_other_slides(found, tmp_path):
    viewer, tool, _, edits = found
    press(tool.nuclei_group.learn)
    until(lambda: not tool.runner.is_busy)
    assert "two classes or more" in tool.status.text()
    number = np.arange(edits.total)
    tool.nuclei.editing.choose(number[:5].tolist())
    tool.nuclei_group.classes.setCurrentText("large")
    tool.nuclei.editing.take_class()
    tool.nuclei.editing.choose(number[5:10].tolist())
    tool.nuclei_group.classes.setCurrentText("small")
    tool.nuclei.editing.take_class()
    assert not tool.nuclei_group.keep.isEnabled()
    click(tool, tool.nuclei_group.learn)
    assert "were given a class by 10 examples" in tool.status.text(), tool.status.text()
    assert "5 'large', 5 'small'" in tool.nuclei_group.told.text()
    names = {c.value: c.name for c in edits.classes}
    assert {names[v] for v in edits.values[edits.is_there].tolist()} == {"large", "small"}
    assert [names[v] for v in edits.values[:10].tolist()] == ["large"] * 5 + ["small"] * 5
    odds = edits.probabilities[tool.nuclei_group.model.rows]
    until(lambda: (np.diff(edits.probabilities[tool.nuclei_group.model.rows][:20]) >= 0).all())
    assert np.isfinite(odds).any()
    assert tool.nuclei.keep(tmp_path / "mine.safetensors")
    tool.input.model.weights.choose_file(tmp_path / "mine.safetensors")
    before = edits.values[10:].copy()
    click(tool, tool.run_button)
    again = edits_in(next(x for x in viewer.layers[::-1] if edits_in(x.data) is not None).data)
    assert again is not edits
    assert again.classes.names == ("large", "small")
    said = {c.value: c.name for c in again.classes}
    assert [said[v] for v in again.values[10:].tolist()] == [names[v] for v in before.tolist()]


@pytest.mark.slow
def test_corrections_teach_weights_that_the_next_run_takes(found, tmp_path, monkeypatch, cell_weights):
    from workbench_napari.slide import nuclei_work

    viewer, tool, _, edits = found
    monkeypatch.setattr(nuclei_work, "TEACHING_STEPS", 2)
    press(tool.nuclei_group.teach)
    assert "Correct or accept some nuclei first" in tool.status.text()
    tool.nuclei.editing.choose([0, 1])
    tool.nuclei.editing.accept()
    edits.reject([2])
    out = tmp_path / "taught"
    assert tool.nuclei.teach(out)
    until(lambda: not tool.runner.is_busy, 60)
    said, made = tool.status.text(), out.with_suffix(".safetensors")
    assert str(made) in said, said
    assert "nuclei that a person looked at" in said
    assert (tmp_path / "taught_training" / "report.html").is_file()
    assert tool.input.model.weights.value == str(made)
    assert edits.rejected().ids.tolist() == [edits.id_of(2)], "what was corrected stays"
    assert tool.nuclei.teach(cell_weights)
    until(lambda: not tool.runner.is_busy, 60)
    assert "these are the weights that it builds on" in tool.status.text()
    click(tool, tool.run_button)
    assert edits_in(next(x for x in viewer.layers[::-1] if edits_in(x.data) is not None).data) is not edits
    assert tool.shown.made.provenance.weights == str(made)


def test_edges_or_areas_are_shown(found):
    viewer, tool, layer, edits = found
    place = np.array(middle_of(edits, first(layer, edits)))
    x, y = place.astype(int)
    assert layer.data[0][y, x] > 0
    look_at(viewer, layer, place)
    filled = viewer.screenshot(flash=False)
    press(tool.nuclei_group.outlines)
    assert layer.data[0][y, x] == 0
    QTest.qWait(50)
    assert (viewer.screenshot(flash=False) != filled).any()
    assert layer.data[0].outlines.at(*place) is not None, "it can be clicked on all the same"


def test_the_table_goes_to_the_doubtful_ones(found):
    viewer, tool, layer, edits = found
    rows = tool.nuclei_group.model.rows
    assert (np.diff(edits.probabilities[rows]) >= 0).all()
    tool.nuclei_group.table.selectRow(3)
    assert tool.nuclei.editing.chosen == [int(rows[3])]
    middle = np.array(edits.area(int(rows[3])).envelope.centroid.coords[0])
    world = np.array(layer.data_to_world(tuple((middle - 0.5)[::-1])))
    assert np.allclose(np.array(camera_of(viewer).center)[-2:], world, atol=0.5)
    edits.accept([int(rows[4])])
    key(viewer, Qt.Key.Key_N)
    assert tool.nuclei.editing.chosen == [int(rows[5])], "those that were looked at are passed over"


def test_edits_come_back_after_a_crash(found):
    viewer, tool, layer, edits = found
    number = first(layer, edits)
    edits.reject([number])
    edits.add([[200, 200], [230, 200], [230, 230], [200, 230]], 1)
    tool.journal.flush()
    edits.reclass([number + 1], edits.new_class("mitosis"))
    tool.journal.flush()
    count = len(edits)
    viewer.layers.remove(layer)
    until(lambda: tool.recovery.list.count() > 0)
    (back,) = tool.recovery.restore_chosen()
    again = edits_in(back.data)
    assert again is not None
    assert len(again) == count
    assert again.review[number] == REJECTED
    assert again.classes.names[-1] == "mitosis"
    assert tool.nuclei.editing.layer is back
    folder = saved(tool)
    assert len(read_objects(folder / "nuclei.geojson")) == count
    assert len(read_objects(folder / "rejected.geojson")) == 1


CHILD = """
import os, signal, sys
import napari, numpy as np
from workbench_napari.launch import open_files
from tests.workbench_napari.contract_window import press, until
from workbench.slide import edits_in

slide, weights, truth = sys.argv[1:]
viewer = napari.Viewer(show=True)
tool = open_files(viewer, [slide])
tool.input.model.choose("cellvta")
tool.input.model.weights.choose_file(weights)
tool.input.model.device.setCurrentText("cpu")
press(tool.run_button)
until(lambda: not tool.runner.is_busy)
edits = edits_in(next(x for x in viewer.layers if edits_in(x.data) is not None).data)
edits.reject([0, 1])
tool.journal.flush()
edits.add([[200, 200], [230, 200], [230, 230], [200, 230]], 1)
edits.reclass([2], edits.new_class("mitosis"))
tool.journal.flush()
np.savez(truth, values=edits.values, review=edits.review, ids=edits.objects().ids)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_edits_survive_a_kill_and_are_saved_then(window, slide_file, cell_weights, tmp_path):
    """Run, correct, kill -9; another window offers the nuclei with all that was done, over their slide, and saves."""
    truth = tmp_path / "truth.npz"
    command = [sys.executable, "-c", CHILD, str(slide_file), str(cell_weights), str(truth)]
    root = Path(__file__).resolve().parents[3]
    paths = os.pathsep.join([str(root), str(root / "plugins"), os.environ.get("PYTHONPATH", "")])
    there = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=there)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    right = np.load(truth)
    viewer = window(show=True)
    tool = open_files(viewer, [], tool="slide")
    tool.folder.setText(str(tmp_path / "out"))
    until(lambda: tool.recovery.list.count() > 0)
    (back,) = tool.recovery.restore_chosen()
    until(lambda: tool.nuclei.editing.layer is back)
    edits = edits_in(back.data)
    np.testing.assert_array_equal(edits.values, right["values"])
    np.testing.assert_array_equal(edits.review, right["review"])
    folder = saved(tool)
    assert read_objects(folder / "nuclei.geojson").ids.tolist() == right["ids"].tolist()
    assert len(read_objects(folder / "rejected.geojson")) == 2


def test_a_class_that_was_typed_counts_without_enter_and_is_not_completed(found):
    viewer, tool, layer, edits = found
    line = tool.nuclei_group.classes.lineEdit()
    line.selectAll()
    QTest.keyClicks(line, "tum")
    look_at(viewer, layer, (200, 200), zoom=6)
    edits.reject(np.arange(edits.total))
    key(viewer, Qt.Key.Key_D)
    drag(viewer, layer, [(180, 190), (220, 190), (220, 210), (180, 210)])
    (drawn,) = tool.nuclei.editing.chosen
    names = {c.value: c.name for c in edits.classes}
    assert names[int(edits.values[drawn])] == "tum"
    line.selectAll()
    QTest.keyClicks(line, "Tumor")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert {c.value: c.name for c in edits.classes}[int(edits.values[drawn])] == "tumor", "however it is written"
    assert len(edits.classes) == len(names)
    line.selectAll()
    QTest.keyClicks(line, "all nuclei")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert "table of counts" in tool.status.text()


def test_the_keys_work_in_the_table_and_next_keeps_its_place(found):
    _viewer, tool, _layer, edits = found
    table, model = tool.nuclei_group.table, tool.nuclei_group.model
    table.selectRow(5)
    number = int(model.rows[5])
    after = int(model.rows[6])
    QTest.keyClick(table, Qt.Key.Key_2)
    assert edits.values[number] == edits.classes.classes[1].value
    QTest.keyClick(table, Qt.Key.Key_A)
    assert "edited ones stay so" in tool.status.text()
    QTest.keyClick(table, Qt.Key.Key_Delete)
    assert edits.review[number] == REJECTED
    until(lambda: number not in model.rows)
    QTest.keyClick(table, Qt.Key.Key_N)
    assert tool.nuclei.editing.chosen == [after]
    tool.nuclei.editing.undo()
    assert tool.nuclei.editing.chosen == [number], "what came back is chosen"


def test_what_cannot_be_seen_is_not_edited(found):
    viewer, tool, layer, edits = found
    number = first(layer, edits)
    tool.nuclei.editing.choose([number])
    layer.visible = False
    key(viewer, Qt.Key.Key_Delete)
    assert edits.review[number] == 0
    assert "is hidden" in tool.status.text()
    layer.visible = True
    viewer.dims.ndisplay = 3
    place = middle_of(edits, number)
    drag(viewer, layer, [place])
    assert "2-D" in tool.status.text()
    viewer.dims.ndisplay = 2


def test_points_are_moved_and_the_keys_stay_ours(found):
    viewer, tool, layer, edits = found
    number = first(layer, edits)
    tool.nuclei.editing.choose([number])
    press(tool.nuclei_group.shape)
    marks = tool.nuclei.editing.marks
    assert viewer.layers.selection.active is marks
    ring = edits.ring(number)
    before = edits.area(number).area
    moved = marks.data[0].copy()
    moved[0] += 6 * np.sign(moved[0] - moved.mean(0))
    marks.data = [moved]
    marks.events.data(value=marks.data, action="changed", data_indices=(0,), vertex_indices=((),))
    (new,) = tool.nuclei.editing.chosen
    assert new != number
    assert edits.id_of(new) == edits.id_of(number)
    assert edits.area(new).area != pytest.approx(before)
    assert len(ring)
    key(viewer, Qt.Key.Key_Delete)
    assert edits.review[new] == REJECTED, "not the yellow outline alone"
    # A slide can be given another size of its pixels while something is chosen.
    tool.nuclei.editing.choose([number + 1])
    tool.pixel_size.apply()
    assert not tool.runner.is_busy
