"""Layers made by napari's own buttons over a slide are saved, or it is said why they are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from qtpy.QtWidgets import QFileDialog, QLabel
from workbench_napari.launch import open_files
from workbench_napari.shared.opening import open_path

from tests.tiny import make_tiny_slide
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.mouse import at_rest, canvas_place, drag
from tests.workbench_napari.slide.hands import BOX, click, features, saved

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


# --- pictures


def test_a_picture_that_is_no_slide_is_named_with_the_way_out(window, tmp_path, monkeypatch):
    viewer = window(show=True)
    tool = open_files(viewer, [], tool="slide")
    assert "PNG" in " ".join(label.text() for label in tool.empty.findChildren(QLabel))
    viewer.add_image(np.zeros((60, 80, 3), np.uint8), name="plain")
    assert tool.not_a_slide.isVisibleTo(tool)
    assert "'plain' is a picture without a file of a slide" in tool.not_a_slide.text()
    path = tmp_path / "region.png"
    Image.fromarray(np.full((300, 400, 3), 200, np.uint8)).save(path)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (str(path), ""))
    press(tool.open_slide_button)
    until(lambda: tool.layer is not None)
    assert tool.layer.name == "region"
    assert not tool.not_a_slide.isVisibleTo(tool)


def test_a_picture_of_others_beside_a_slide_says_why_it_does_not_count(opened):
    viewer, tool = opened
    plain = viewer.add_image([np.zeros((64, 64)), np.zeros((32, 32))], name="pyramid", multiscale=True)
    viewer.layers.selection.active = viewer.layers["section"]
    viewer.layers.selection.active = plain
    assert "'pyramid' is a picture without a file of a slide" in tool.status.text()
    assert tool.layer is viewer.layers["section"]


def test_long_names_can_be_read_in_the_list_of_places(opened):
    viewer, tool = opened
    press(tool.annotation_group.new)
    viewer.layers[-1].name = "outlines of the whole tumour with its front and the tissue around it"
    where = tool.area_group.where
    assert where.view().minimumWidth() >= where.fontMetrics().horizontalAdvance(where.itemText(1))


def test_another_slide_can_be_opened_while_one_is(opened, tmp_path, monkeypatch):
    _, tool = opened
    other = make_tiny_slide(tmp_path / "other.ome.tif", seed=1)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (str(other), ""))
    assert tool.open_button_above.isVisibleTo(tool)
    press(tool.open_button_above)
    until(lambda: tool.layer.name == "other")


def test_what_cannot_be_done_is_said_in_words_of_the_window(opened, tmp_path):
    viewer, tool = opened
    tool.input.model.form.set_values({"mpp": 2.0})
    click(tool, tool.area_group.find)
    press(tool.annotation_group.new)
    viewer.layers[-1].add_polygons([BOX + 5000])
    tool.where.choose(viewer.layers[-1])
    tool.input.model.form.set_values({"target_mpp": 2.0})
    click(tool, tool.run_button)
    assert "('Frame')" in tool.status.text()
    assert "--" not in tool.status.text()


# --- folders


def test_a_run_goes_on_in_the_folder_of_the_outlines_that_were_saved_before(opened):
    viewer, tool = opened
    press(tool.annotation_group.new)
    viewer.layers[-1].add_polygons([BOX])
    first = saved(tool)
    click(tool, tool.run_button)
    assert saved(tool) == first
    assert "was kept" not in tool.status.text()
    assert (first / "embeddings.h5").is_file()
    assert len(features(first / "annotations.geojson")) == 1
    assert len(list((first / "versions").iterdir())) == 1
