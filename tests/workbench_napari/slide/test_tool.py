"""The Slides tool in a real window: open, find tissue, paint, run, draw, save, and what is too large to be shown."""

from __future__ import annotations

import json
import tempfile

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog
from workbench_napari.launch import open_files
from workbench_napari.shared.napari_versions import scale_bar_of
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.slide.on_slide import state_now

import workbench as wb
from tests.tiny import make_tiny_slide
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.mouse import at_rest, canvas_place, drag, pause
from tests.workbench_napari.slide.hands import BOX, click, new_outline, saved
from workbench.core.layers import KEY
from workbench.slide.annotations.geojson_features import feature_of
from workbench.slide.annotations.read import read_annotations
from workbench.slide.annotations.types import Annotation, Annotations, Shape
from workbench.slide.annotations.write import write_annotations
from workbench.slide.data import lazy_levels
from workbench.slide.data.heat_maps import read_labels, read_map
from workbench.slide.drawn_layers import annotations_in

pytestmark = pytest.mark.gui


def same(one, other):
    return [feature_of(a) for a in one] == [feature_of(a) for a in other]


# --- open


def test_a_slide_opens_as_levels_in_micrometres_with_a_scale_bar(opened, slide_file):
    viewer, tool = opened
    assert type(tool).__name__ == "SlideTool"
    layer = viewer.layers["section"]
    assert layer.rgb
    assert layer.multiscale
    assert np.allclose(layer.scale, 0.5)
    assert [str(u) for u in layer.units] == ["micrometer", "micrometer"]
    assert scale_bar_of(viewer).visible
    assert tool.layer is layer
    assert [x.name for x in viewer.layers] == ["section"]
    assert tool.minimumWidth() == tool.MIN_WIDTH, "too wide to stand beside the canvas of a small window"
    assert not tool.place.is_tab
    until(lambda: not layer.data[0].cache.is_reading)
    assert np.array_equal(np.asarray(layer.data[-1]), wb.read(slide_file).pyramid.read(1, 0, 0, 512, 512))


def test_the_scale_bar_stays_off_once_a_person_turned_it_off(opened, tmp_path):
    viewer, tool = opened
    scale_bar_of(viewer).visible = False
    press(tool.area_group.find)
    until(lambda: not tool.runner.is_busy)
    assert not scale_bar_of(viewer).visible


def test_the_button_opens_a_file_and_the_sample_a_slide(window, slide_file, monkeypatch):
    viewer = window(show=True)
    tool = open_files(viewer, [], tool="slide")
    assert not tool.run_button.isEnabled()
    assert not tool.body.isVisible()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (str(slide_file), ""))
    press(tool.open_slide_button)
    until(lambda: tool.layer is not None)
    assert tool.layer.name == "section"
    assert tool.run_button.isEnabled()
    viewer.layers.clear()
    press(tool.sample_button)
    until(lambda: tool.layer is not None)
    assert tool.layer.name == "slide_9301"


def test_a_real_slide_by_the_menu_of_napari_and_nothing_of_its_label(window, shared_data):
    viewer = window()
    viewer.open(str(shared_data / "slide" / "cmu-1-small-region.svs"), plugin=PLUGIN)
    (layer,) = viewer.layers
    assert layer.data[0].shape == (2967, 2220, 3)
    assert np.allclose(layer.scale, 0.499)
    tool = open_files(viewer, [], tool="slide")
    assert tool.layer is layer
    click(tool, tool.area_group.find)
    assert [type(x).__name__ for x in viewer.layers] == ["Image", "Labels"]
    assert not any(word in json.dumps(x.metadata).lower() for x in viewer.layers for word in ("macro", "barcode"))


# --- run


def test_a_run_shows_tissue_maps_areas_and_notes(opened):
    viewer, tool = opened
    click(tool, tool.run_button)
    assert tool.runner.error is None, tool.status.text()
    seen = {x.name.removeprefix("section "): x for x in viewer.layers}
    assert list(seen) == ["section", "tissue", "sharpness", "structure"]
    assert [seen[n].visible for n in ("tissue", "sharpness", "structure")] == [True, False, True]
    assert seen["structure"].opacity <= 0.4
    assert seen["tissue"].editable
    assert viewer.layers.selection.active is seen["tissue"]
    rows = tool.areas.texts()
    assert [row[0] for row in rows] == ["tissue", "tiles"]
    assert float(rows[0][1]) == pytest.approx(np.pi * 400 * 300 * 0.25e-6, rel=0.05)
    assert not tool.areas.isHidden()
    assert "tiles of 256 pixels" in tool.result.summary.text()


def test_notes_stand_beside_the_result(opened, tmp_path):
    _, tool = opened
    tool.input.model.form.set_values({"tissue": 0.0, "target_mpp": 0.25, "allow_upsample": True})
    click(tool, tool.run_button)
    assert "enlarged from 0.5 um" in tool.result.notes.text
    assert not tool.result.notes.isHidden()


def test_a_run_that_is_cancelled_leaves_nothing(opened):
    viewer, tool = opened
    tool.input.model.form.set_values({"stride": 4})
    press(tool.run_button)
    until(lambda: tool.progress.isVisible() and tool.runner.job is not None and tool.runner.job.steps[0] > 0)
    until(lambda: not tool._guard.isActive())
    assert tool.run_button.text() == "Cancel"
    press(tool.run_button)
    until(lambda: not tool.runner.is_busy)
    assert tool.status.text().endswith("cancelled")
    assert [x.name for x in viewer.layers] == ["section"]


def test_areas_follow_what_is_painted_in_the_tissue(opened):
    viewer, tool = opened
    click(tool, tool.run_button)
    before = float(tool.areas.texts()[0][1])
    layer = viewer.layers["section tissue"]
    taken = np.nonzero(layer.data == 1)
    half = len(taken[0]) // 2
    layer.data_setitem(tuple(t[:half] for t in taken), 0)
    until(lambda: float(tool.areas.texts()[0][1]) < 0.6 * before, 20)
    assert tool.areas.texts()[-1][0] == "tiles"
    folder = saved(tool)
    assert np.array_equal(read_labels(folder / "tissue.ome.tif").data, layer.data)
    first = (folder / "areas.csv").read_text(encoding="utf-8").splitlines()[1]
    assert float(first.split(",")[1]) == pytest.approx(0.5 * before, rel=0.02)
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["edited_by_hand"]


def test_a_slide_of_unknown_scale_takes_the_one_that_is_given(window, slide_weights, tmp_path):
    import tifffile

    path = tmp_path / "bare.tif"
    pixels = tifffile.imread(make_tiny_slide(tmp_path / "s.ome.tif"))
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256))
    viewer = window()
    tool = open_files(viewer, [path], kind="slide")
    layer = viewer.layers["bare"]
    assert [str(u) for u in layer.units] == ["pixel", "pixel"]
    tool.input.model.weights.choose_file(slide_weights)
    tool.input.model.device.setCurrentText("cpu")
    drawn = new_outline(viewer, tool)
    click(tool, tool.area_group.find)
    assert "how many micrometres" in tool.status.text()
    tool.input.model.form.set_values({"mpp": 0.5})
    click(tool, tool.area_group.find)
    mask = viewer.layers["bare mask"]
    for shown in (layer, drawn, mask):
        assert [str(u) for u in shown.units] == ["micrometer", "micrometer"]
    assert np.allclose(layer.scale, 0.5)
    assert np.allclose(drawn.data_to_world((100, 100)), layer.data_to_world((100, 100)))
    click(tool, tool.run_button)
    assert tool.runner.error is None, tool.status.text()
    assert float(tool.areas.texts()[0][1]) == pytest.approx(np.pi * 400 * 300 * 0.25e-6, rel=0.05)


# --- tissue that is painted


def test_tissue_is_found_painted_and_run_on(opened):
    viewer, tool = opened
    click(tool, tool.area_group.find)
    mask = viewer.layers["section mask"]
    assert tool.where.layer is mask
    assert float((mask.data == 1).mean()) == pytest.approx(np.pi * 400 * 300 / 1024**2, rel=0.05)
    mask.data_setitem(np.nonzero(mask.data), 0)
    at_rest(viewer)
    viewer.layers.selection.active = mask
    mask.mode, mask.selected_label, mask.brush_size = "paint", 1, 60
    rows, columns = mask.data.shape
    start, end = (canvas_place(viewer, mask, (rows * 0.5, columns * x)) for x in (0.35, 0.6))
    drag(viewer, start, end)
    assert 0.05 < float((mask.data == 1).mean()) < 0.3
    click(tool, tool.run_button)
    assert tool.runner.error is None, tool.status.text()
    found = viewer.layers["section tissue"]
    assert np.array_equal(found.data, mask.data)
    assert "section mask" in tool.result.notes.text
    assert not mask.visible
    folder = saved(tool)
    assert np.array_equal(read_labels(folder / "mask.ome.tif").data, mask.data)
    made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert made["settings"]["roi"] == "mask.ome.tif"
    assert made["edited_by_hand"]
    assert not tool.unsaved.layers()
    # The shell takes the very file.
    again = wb.predict(
        "stainnet", tool.layer.metadata[KEY]["source"], weights=tool.input.model.weights.value, device="cpu",
        roi=str(folder / "mask.ome.tif"),
    )  # fmt: skip
    assert np.array_equal(again.parts["tissue"].data, mask.data)


def test_an_empty_mask_is_refused_by_the_name_of_its_layer(opened):
    viewer, tool = opened
    click(tool, tool.area_group.find)
    mask = viewer.layers["section mask"]
    mask.data_setitem(np.nonzero(mask.data), 0)
    click(tool, tool.run_button)
    assert tool.status.text().startswith("'section mask': marks nothing")
    assert tempfile.gettempdir() not in tool.status.text().split("marks")[0]


# --- annotations


def test_outlines_are_drawn_with_the_mouse_named_saved_and_come_back_equal(opened, monkeypatch):
    viewer, tool = opened
    at_rest(viewer)
    press(tool.annotation_group.new)
    layer = viewer.layers.selection.active
    layer.mode = "add_rectangle"
    at_rest(viewer)
    drag(viewer, *(canvas_place(viewer, viewer.layers["section"], p) for p in ((300, 300), (700, 600))))
    assert len(layer.data) == 1
    assert np.allclose(layer.data[0].min(axis=0), (300, 300), atol=8)
    assert np.allclose(layer.data[0].max(axis=0), (700, 600), atol=8)
    layer.selected_data = {0}
    tool.annotation_group.classes.setEditText("Tumor")
    tool.annotation_group.classes.lineEdit().editingFinished.emit()
    assert list(layer.features["class"]) == ["Tumor"]
    shown = annotations_in([state_now(layer)])
    folder = saved(tool)
    written = read_annotations(folder / "annotations.geojson")
    assert [a.class_name for a in written] == ["Tumor"]
    assert written.items[0].shape.same(shown.items[0].shape)
    regions = (folder / "annotations.csv").read_text(encoding="utf-8").splitlines()
    assert regions[0] == "class,annotations,area [mm2]"
    assert float(regions[1].split(",")[2]) == pytest.approx(400 * 300 * 0.25e-6, rel=0.05)
    assert not tool.unsaved.layers()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (str(folder / "annotations.geojson"), ""))
    click(tool, tool.annotation_group.open)
    (back,) = [x for x in viewer.layers if x.name == "annotations"]
    assert same(annotations_in([state_now(back)]), written)
    assert np.allclose(back.data_to_world((10, 10)), viewer.layers["section"].data_to_world((10, 10)))


def test_files_of_others_are_layers_in_place_points_too(opened, tmp_path, monkeypatch):
    viewer, tool = opened
    items = (
        Annotation(Shape("areas", ((BOX[:, ::-1], BOX[:, ::-1] * 0.1 + 500),)), "a", "ring", "Tumor", (200, 0, 0)),
        Annotation(Shape("lines", ((np.array([[1.5, 2.5], [30.0, 40.0]]),),)), "b"),
        Annotation(Shape("points", ((np.array([[100.25, 200.5]]),),)), "c", class_name="Mitosis"),
    )
    write_annotations(Annotations(items), tmp_path / "q.geojson")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (str(tmp_path / "q.geojson"), ""))
    click(tool, tool.annotation_group.open)
    layers = [x for x in viewer.layers if x.metadata[KEY]["role"] == "annotations"]
    assert [type(x).__name__ for x in layers] == ["Shapes", "Points"]
    assert tool.status.text().startswith("3 annotations")
    read = read_annotations(tmp_path / "q.geojson")
    assert same(annotations_in(map(state_now, layers)), read)
    assert same(read_annotations(saved(tool) / "annotations.geojson"), read)


def test_a_damaged_file_is_refused_in_one_line(opened, tmp_path, monkeypatch):
    _, tool = opened
    (tmp_path / "q.geojson").write_text('{"type": "FeatureCollection", "features": [{"type"', encoding="utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (str(tmp_path / "q.geojson"), ""))
    click(tool, tool.annotation_group.open)
    assert tool.status.text().startswith(str(tmp_path / "q.geojson"))
    assert "\n" not in tool.status.text()


def test_tiles_are_taken_only_in_the_drawn_outlines(opened):
    viewer, tool = opened
    layer = new_outline(viewer, tool)
    index = next(i for i in range(tool.area_group.where.count()) if "outlines" in tool.area_group.where.itemText(i))
    tool.area_group.where.setCurrentIndex(index)
    assert tool.where.layer is layer
    click(tool, tool.run_button)
    assert tool.runner.error is None, tool.status.text()
    region = viewer.layers["section tissue"]
    place = np.argwhere(region.data)
    low, high = (region.data_to_world(p)[0] for p in (place.min(axis=0), place.max(axis=0)))
    assert low == pytest.approx(150, abs=4)
    assert high == pytest.approx(410, abs=4)
    assert "section annotations" in tool.result.notes.text
    folder = saved(tool)
    assert (
        json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["settings"]["roi"] == "annotations.geojson"
    )
    assert (folder / "annotations.geojson").is_file()
    data, _ = read_map(folder / "structure.ome.tif")
    assert np.array_equal(data, viewer.layers["section structure"].data, equal_nan=True)


def test_a_layer_without_an_outline_is_refused_by_its_name(opened):
    viewer, tool = opened
    press(tool.annotation_group.new)
    tool.where.choose(viewer.layers.selection.active)
    click(tool, tool.run_button)
    assert tool.status.text().startswith("'section annotations': there is no outline")


def test_hand_work_is_unsaved_until_it_is_saved_and_the_tool_covers_it(opened):
    viewer, tool = opened
    assert not tool.save_button.isEnabled()
    layer = new_outline(viewer, tool)
    assert tool.unsaved.layers() == [layer]
    assert tool.unsaved.tool_for(layer) is tool
    assert tool.save_button.isEnabled()
    saved(tool)
    assert tool.unsaved.layers() == []


# --- looking


def test_a_level_that_is_too_large_is_refused_in_one_line_and_the_window_goes_on(opened, monkeypatch):
    viewer, tool = opened
    layer = viewer.layers["section"]
    if not hasattr(layer, "locked_data_level"):
        pytest.skip("this napari locks no level")
    until(lambda: not layer.data[0].cache.is_reading)
    monkeypatch.setattr(lazy_levels, "MOST_PIXELS", 300_000)
    layer.locked_data_level = 0
    until(lambda: layer.locked_data_level is None)
    assert tool.status.text().startswith("1,024 x 1,024 pixels of a slide at once")
    assert "\n" not in tool.status.text()
    assert layer.data_level == 1
    tool.say("")
    viewer.reset_view()
    pause(0.1)
    assert tool.status.text() == ""


def test_what_is_looked_at_is_read_in_the_background(opened):
    viewer, _ = opened
    layer = viewer.layers["section"]
    until(lambda: not layer.data[0].cache.is_reading)
    cache = layer.data[0].cache
    told = []
    cache.later = lambda: told.append(True)
    stand_in = layer.data[0][100:300, 100:300]
    assert stand_in.shape == (200, 200, 3)
    right = np.asarray(wb.read(layer.metadata[KEY]["source"]).pyramid.read(0, 100, 100, 200, 200))
    assert np.abs(stand_in.astype(int) - right).mean() < 12, "the coarser level stands in"
    until(lambda: bool(told) and not cache.is_reading)
    assert np.array_equal(layer.data[0][100:300, 100:300], right)


def test_without_the_tool_pixels_are_read_when_they_are_asked_for(opened):
    viewer, tool = opened
    layer = viewer.layers["section"]
    viewer.window.remove_dock_widget(tool)
    assert layer.data[0].cache.later is None
    right = wb.read(layer.metadata[KEY]["source"]).pyramid.read(0, 0, 0, 1024, 1024)
    assert np.array_equal(np.asarray(layer.data[0]), right)


# --- bounds


def test_annotations_count_from_the_bounds_where_the_other_program_does(opened, monkeypatch):
    from dataclasses import replace

    from workbench_napari.slide import saving

    viewer, tool = opened
    plain = saving.slide_image

    def with_bounds(record):
        image = plain(record)
        return replace(image, pyramid=replace(image.pyramid, bounds=(100, 200, 700, 600)))

    new_outline(viewer, tool)
    tool.input.model.form.set_values({"frame": "bounds"})
    folder = saved(tool)
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert any("the slide marks no bounds" in note for note in record["notes"])
    monkeypatch.setattr(saving, "slide_image", with_bounds)
    tool.annotation_group.new.click()
    viewer.layers.selection.active.add_polygons([BOX + 10])
    folder = saved(tool)
    text = json.loads((folder / "annotations.geojson").read_text(encoding="utf-8"))
    assert text["workbench"]["bounds"] == [100, 200, 700, 600]
    x, y = np.array(text["features"][0]["geometry"]["coordinates"][0])[:-1].T
    assert (x.min(), y.min()) == (BOX[:, 1].min() + 0.5 - 200, BOX[:, 0].min() + 0.5 - 100)
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert any("counts from the bounds of the slide, column 200, row 100" in note for note in record["notes"])
    again = read_annotations(folder / "annotations.geojson", frame="bounds", bounds=(100, 200, 700, 600))
    assert again.items[0].shape.parts[0][0].min(0).tolist() == [BOX[:, 1].min() + 0.5, BOX[:, 0].min() + 0.5]
