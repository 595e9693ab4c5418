"""Layers made by napari's own buttons over a slide are saved, or it is said why they are not."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.shared.opening import open_path

from tests.tiny import make_tiny_slide
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.mouse import at_rest, canvas_place, drag
from tests.workbench_napari.slide.hands import BOX, features, saved

pytestmark = pytest.mark.gui


def buttons(viewer):
    return viewer.window._qt_viewer.layerButtons


def test_new_shapes_over_a_slide_are_annotations_of_it(opened):
    viewer, tool = opened
    slide = viewer.layers["section"]
    viewer.layers.selection.active = slide
    press(buttons(viewer).newShapesButton)
    layer = viewer.layers[-1]
    assert "annotations of section" in tool.status.text()
    at_rest(viewer)
    layer.mode = "add_rectangle"
    at_rest(viewer)
    drag(viewer, *(canvas_place(viewer, slide, p) for p in ((300, 300), (700, 600))))
    assert tool.save_button.isEnabled()
    assert any(layer.name in tool.area_group.where.itemText(i) for i in range(tool.area_group.where.count()))
    layer.selected_data = {0}
    tool.annotation_group.classes.setEditText("Tumor")
    tool.annotation_group.classes.lineEdit().editingFinished.emit()
    (written,) = features(saved(tool) / "annotations.geojson")
    ring = np.array(written["geometry"]["coordinates"][0])
    assert np.allclose(ring.min(0), (300, 300), atol=8)
    assert written["properties"]["classification"]["name"] == "Tumor"
    assert tool.unsaved.layers() == []


def test_new_points_too_with_undo(opened):
    viewer, tool = opened
    viewer.layers.selection.active = viewer.layers["section"]
    press(buttons(viewer).newPointsButton)
    layer = viewer.layers[-1]
    layer.add([[100.0, 200.0]])
    until(lambda: len(tool.steps._followed[id(layer)]._undo) == 1)
    layer.add([[200.0, 200.0]])
    tool.steps.undo()
    (written,) = features(saved(tool) / "annotations.geojson")
    assert written["geometry"] == {"type": "Point", "coordinates": [200.5, 100.5]}


def test_where_it_could_be_of_two_slides_that_is_said(opened, tmp_path):
    viewer, tool = opened
    open_path(viewer, make_tiny_slide(tmp_path / "other.ome.tif", seed=1), tool, "slide")
    viewer.layers.selection.active = viewer.layers["section"]
    press(buttons(viewer).newShapesButton)
    assert "could be of several images" in tool.status.text()
    assert "New annotations" in tool.status.text()
    viewer.layers[-1].add_polygons([BOX])
    assert not tool.save_button.isEnabled()


def test_one_that_lies_elsewhere_is_not_taken(opened):
    viewer, tool = opened
    viewer.add_shapes(name="stray", scale=(7, 7))
    assert "'stray' does not lie on the pixels of a slide" in tool.status.text()
    assert not tool.save_button.isEnabled()


def test_shapes_of_others_stay_what_they_are(opened):
    viewer, tool = opened
    layer = viewer.add_shapes([BOX], scale=viewer.layers["section"].scale, units=("um", "um"))
    assert tool.status.text() == ""
    assert not layer.metadata
