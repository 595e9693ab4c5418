"""The Slides tool in a real window: open, find tissue, correct it, embed in it, annotate, save, open again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from workbench_napari.shared.opening import PLUGIN

from tests.tiny import make_tiny_slide, make_tiny_slide_weights
from workbench.core.layers import KEY
from workbench.slide.annotations.read import read_annotations
from workbench.slide.data.embedding_files import read_hdf5

TITLE = "Slides tool"


@pytest.fixture
def opened(window, tmp_path):
    viewer = window()
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE, tabify=False)
    viewer.open(str(make_tiny_slide(tmp_path / "slide.ome.tif")), plugin=PLUGIN)
    tool.input.model.choose("stainnet")
    tool.input.model.weights.choose_file(make_tiny_slide_weights(tmp_path / "w.safetensors"))
    tool.input.model.device.setCurrentText("cpu")
    widgets = tool.input.model.form.widgets
    widgets["tile"].value, widgets["target_mpp"].value = 64, 1.0
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool


def finished(qtbot, tool, work):
    with qtbot.waitSignal(tool.runner.finished, timeout=120_000) as ended:
        work()
    assert ended.args[0] == "done", ended.args


@pytest.mark.gui
def test_a_slide_is_embedded_and_saved_as_it_is_shown(opened, qtbot, tmp_path):
    viewer, tool = opened
    slide = viewer.layers["slide"]
    assert slide.multiscale
    assert slide.rgb
    assert tuple(slide.scale) == (0.5, 0.5)
    assert tool.layer is slide
    finished(qtbot, tool, tool.run_button.click)
    parts = {x.metadata[KEY]["part"]: x for x in viewer.layers if x.metadata.get(KEY, {}).get("part")}
    assert {"tissue", "sharpness", "structure"} <= set(parts)
    parts["tissue"].data_setitem((np.array([3]), np.array([4])), 2)
    finished(qtbot, tool, tool.save_button.click)
    folder = tmp_path / "out" / "slide"
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["edited_by_hand"]
    assert len(read_hdf5(folder / "embeddings.h5").coords) == record["details"]["tiles"]
    import tifffile

    np.testing.assert_array_equal(tifffile.imread(folder / "tissue.ome.tif"), parts["tissue"].data)


@pytest.mark.gui
def test_tiles_are_taken_in_tissue_that_was_found_and_corrected(opened, qtbot):
    viewer, tool = opened
    finished(qtbot, tool, tool.area_group.find.click)
    mask = tool.where.layer
    assert mask is not None
    assert mask.data.any()
    _rows, columns = mask.data.shape
    mask.data[:, : columns // 2] = 0  # only the right half
    mask.refresh()
    finished(qtbot, tool, tool.run_button.click)
    sharpness = next(x for x in viewer.layers if x.metadata.get(KEY, {}).get("part") == "sharpness")
    there = np.argwhere(np.isfinite(sharpness.data))
    centres = sharpness.translate[1] + sharpness.scale[1] * there[:, 1]
    assert len(centres) > 3
    assert centres.min() > 512 * 0.5 - 64 * 0.5
    assert any("tiles were taken in the mask" in n for n in tool.shown.now()[0].provenance.notes)


@pytest.mark.gui
def test_what_is_drawn_is_saved_and_opens_again_equal(opened, qtbot, tmp_path):
    viewer, tool = opened
    tool.annotation_group.new.click()
    shapes = viewer.layers.selection.active
    ring = np.array([[100.0, 100.0], [100.0, 300.0], [250.0, 300.0], [250.0, 100.0]])
    shapes.add_polygons([ring])
    finished(qtbot, tool, tool.save_button.click)
    saved = sorted((tmp_path / "out").rglob("*.geojson"))
    assert [p.name for p in saved] == ["annotations.geojson"]
    (item,) = read_annotations(saved[0]).items
    points = np.asarray(item.shape.parts[0][0])
    # Row and column of pixel centres become x and y from the corner of the first pixel.
    np.testing.assert_allclose(np.sort(np.unique(points[:, 0])), [100.5, 300.5], atol=1e-3)
    np.testing.assert_allclose(np.sort(np.unique(points[:, 1])), [100.5, 250.5], atol=1e-3)
