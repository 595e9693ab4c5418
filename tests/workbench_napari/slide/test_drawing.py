"""Outlines over a slide: undo and redo, and the box that shows their class."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench_napari.contract_window import until
from tests.workbench_napari.mouse import at_rest, canvas_place, drag
from tests.workbench_napari.one_window import press as keys
from tests.workbench_napari.slide.hands import BOX, features, new_outline, saved

pytestmark = pytest.mark.gui


def rested(tool, layer, steps):
    until(lambda: len(tool.steps._followed[id(layer)]._undo) == steps)


def test_what_is_drawn_moved_and_deleted_is_taken_back_by_the_keys_of_the_canvas(opened):
    viewer, tool = opened
    slide = viewer.layers["section"]
    at_rest(viewer)
    layer = new_outline(viewer, tool)
    rested(tool, layer, 1)
    width = float(layer.edge_width[0])
    layer.mode = "add_rectangle"
    at_rest(viewer)
    drag(viewer, *(canvas_place(viewer, slide, p) for p in ((100, 100), (250, 250))))
    rested(tool, layer, 2)
    layer.mode = "select"
    layer.selected_data = {1}
    before = layer.data[1].copy()
    drag(viewer, *(canvas_place(viewer, slide, p) for p in ((170, 170), (170, 400))))
    rested(tool, layer, 3)
    assert layer.data[1][:, 1].min() > 300
    layer.selected_data = {0}
    keys(viewer, "Delete")
    assert len(layer.data) == 1
    keys(viewer, "Ctrl+Z")
    assert len(layer.data) == 2
    assert float(layer.edge_width[0]) == float(layer.edge_width[1]) == width
    keys(viewer, "Ctrl+Z")
    assert np.allclose(layer.data[1], before)
    keys(viewer, "Ctrl+Z")
    assert len(layer.data) == 1
    keys(viewer, "Ctrl+Z")
    assert len(layer.data) == 0
    keys(viewer, "Ctrl+Shift+Z")
    assert len(layer.data) == 1
    assert np.allclose(layer.data[0], BOX)
    assert len(features(saved(tool) / "annotations.geojson")) == 1


def test_a_polygon_that_is_being_clicked_is_one_step(opened):
    viewer, tool = opened
    at_rest(viewer)
    layer = new_outline(viewer, tool)
    rested(tool, layer, 1)
    layer.mode = "add_polygon"
    at_rest(viewer)
    for place in ((100, 100), (100, 250), (250, 250), (250, 100)):
        drag(viewer, canvas_place(viewer, viewer.layers["section"], place), steps=1)
    assert layer._is_creating
    keys(viewer, "Ctrl+Z")
    assert len(layer.data) == 1
    assert not layer._is_creating
    keys(viewer, "Ctrl+Shift+Z")
    assert len(layer.data) == 2


def test_the_class_comes_back_with_its_outline(opened):
    viewer, tool = opened
    layer = new_outline(viewer, tool)
    rested(tool, layer, 1)
    layer.selected_data = {0}
    tool.annotation_group.classes.setEditText("Tumor")
    tool.annotation_group.classes.lineEdit().editingFinished.emit()
    rested(tool, layer, 2)
    layer.remove_selected()
    tool.steps.undo()
    assert list(layer.features["class"]) == ["Tumor"]


def test_the_box_shows_the_class_of_what_is_selected(opened):
    viewer, tool = opened
    box = tool.annotation_group.classes
    layer = new_outline(viewer, tool)
    layer.add_polygons([BOX + 100, BOX + 150])
    for index, name in enumerate(("Tumor", "Stroma", "Tumor")):
        layer.selected_data = {index}
        box.setEditText(name)
        box.lineEdit().editingFinished.emit()
    layer.selected_data = {1}
    assert box.currentText() == "Stroma"
    layer.selected_data = {0, 2}
    assert box.currentText() == "Tumor"
    layer.selected_data = {0, 1}
    assert box.currentText() == ""
    # Leaving the box without a change gives nobody another class.
    box.lineEdit().editingFinished.emit()
    assert list(layer.features["class"]) == ["Tumor", "Stroma", "Tumor"]
    layer.selected_data = set()
    assert box.currentText() == "Tumor"


def test_a_class_that_was_only_typed_is_saved(opened):
    viewer, tool = opened
    layer = new_outline(viewer, tool)
    layer.selected_data = {0}
    tool.annotation_group.classes.setEditText("Tumor")
    (written,) = features(saved(tool) / "annotations.geojson")
    assert written["properties"]["classification"]["name"] == "Tumor"
