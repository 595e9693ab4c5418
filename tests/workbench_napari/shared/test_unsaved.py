"""The sign that something is unsaved: in the tool, in the titles of dock and window, and never when all is saved."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QDockWidget, QLabel
from workbench_napari.launch import open_files

from tests.workbench_napari.mouse import at_rest, canvas_place, drag

pytestmark = pytest.mark.gui


@pytest.fixture
def drawn(window, ct_file, tmp_path, qtbot):
    """A CT with labels of one's own over it, with nothing drawn in them yet."""
    viewer = window(show=True)
    tool = open_files(viewer, [ct_file])
    tool.folder.setText(str(tmp_path / "out"))
    viewer.window.resize(1300, 900)
    tool.drawing.new_labels(tool.image_layer)
    at_rest(viewer)
    return viewer, tool, tool.labels_layer


def dock_of(tool):
    above = tool
    while not isinstance(above, QDockWidget):
        above = above.parentWidget()
    return above


def title_of(tool):
    """What stands in the bar that napari draws."""
    return [label.text() for label in dock_of(tool).titleBarWidget().findChildren(QLabel)]


def shows(viewer, tool):
    window = viewer.window._qt_window
    told = {tool.unsaved_sign.is_on, window.isWindowModified(), dock_of(tool).isWindowModified()}
    told.add(any(text.endswith(" *") for text in title_of(tool)))
    told.add("[*]" in window.windowTitle())
    assert len(told) == 1, "the signs contradict each other"
    return told.pop()


def stroke(viewer, layer):
    layer.mode, layer.brush_size = "paint", 6
    row, column = layer.data.shape[viewer.dims.displayed[0]] // 2, layer.data.shape[viewer.dims.displayed[1]] // 2
    index = [0, 0, 0]
    index[viewer.dims.not_displayed[0]] = viewer.dims.current_step[viewer.dims.not_displayed[0]]
    places = []
    for shift in (-4, 4):
        index[viewer.dims.displayed[0]], index[viewer.dims.displayed[1]] = row, column + shift
        places.append(canvas_place(viewer, layer, index))
    before = layer.data.copy()
    drag(viewer, *places)
    assert not np.array_equal(layer.data, before), "the stroke missed"


def test_the_sign_follows_painting_undo_redo_saving_renaming_and_removing(drawn, wait):
    viewer, tool, layer = drawn
    assert not shows(viewer, tool)
    stroke(viewer, layer)
    assert shows(viewer, tool)
    assert layer.name in tool.unsaved_sign.toolTip()
    assert layer.name in tool.unsaved_sign.accessibleName()
    assert layer.name in tool.save_button.accessibleDescription()
    layer.name = "my liver"
    assert "'my liver'" in tool.unsaved_sign.toolTip()
    viewer.title = "Patient 7"
    assert shows(viewer, tool)
    assert viewer.window._qt_window.windowTitle() == "Patient 7[*]"
    layer.undo()
    assert not shows(viewer, tool)
    assert viewer.window._qt_window.windowTitle() == "Patient 7"
    layer.redo()
    assert shows(viewer, tool)
    assert tool.save()
    wait(lambda: not tool.runner.is_busy, 60)
    assert not shows(viewer, tool)
    layer.undo()
    assert shows(viewer, tool)
    layer.redo()
    assert not shows(viewer, tool), "redo leads back to what was saved"
    stroke_again = layer.data.copy()
    layer.data = np.where(stroke_again, 2, 0).astype(layer.data.dtype)
    assert shows(viewer, tool)
    viewer.layers.remove(layer)
    assert not shows(viewer, tool)


def test_a_full_history_does_not_lead_back_to_the_beginning(drawn):
    viewer, tool, layer = drawn
    for n in range(layer._undo_history.maxlen + 3):
        layer.data_setitem((np.array([1]), np.array([1]), np.array([n % 20])), n % 3 + 1)
    for _ in range(layer._undo_history.maxlen + 3):
        layer.undo()
    assert layer.data.any()
    assert shows(viewer, tool)


def test_every_viewer_has_its_own_sign_and_a_tool_tells_of_what_none_here_saves(window, ct_file, drawn):
    viewer, tool, layer = drawn
    second = window()
    other = open_files(second, [ct_file])
    layer.data_setitem((np.array([3]), np.array([4]), np.array([5])), 1)
    assert shows(viewer, tool)
    assert not shows(second, other)
    points = second.add_points(np.zeros((0, 3)), name="spots")
    points.add([[1, 2, 3]])
    assert shows(second, other)
    assert "No tool here saves 'spots'" in other.unsaved_sign.toolTip()
    assert "spots" not in tool.unsaved_sign.toolTip()


def test_a_floating_dock_and_its_title_say_it_too(drawn):
    viewer, tool, layer = drawn
    layer.data_setitem((np.array([3]), np.array([4]), np.array([5])), 1)
    dock = dock_of(tool)
    dock.setFloating(True)
    assert shows(viewer, tool)
    dock.setFloating(False)
    assert shows(viewer, tool)
    layer.undo()
    assert not shows(viewer, tool)
    assert not any("*" in text for text in title_of(tool))
