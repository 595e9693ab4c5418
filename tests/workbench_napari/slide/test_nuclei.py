"""Nuclei in the Slides tool: found, painted where they are looked at, counted and saved."""

from __future__ import annotations

import json

import numpy as np
import pytest
from workbench_napari.shared.napari_versions import camera_of

from tests.workbench_napari.contract_window import until
from tests.workbench_napari.slide.hands import click, saved
from workbench.core.layers import KEY
from workbench.data.objects import read_objects
from workbench.slide import edits_in

pytestmark = pytest.mark.gui


@pytest.fixture
def cells(opened, cell_weights):
    """The tool with CellVTA chosen, and weights that find something everywhere."""
    viewer, tool = opened
    choice = tool.input.model.choice
    choice.setCurrentIndex(next(i for i in range(choice.count()) if "CellVTA" in choice.itemText(i)))
    assert tool.input.model.backend.name == "cellvta"
    tool.input.model.weights.choose_file(cell_weights)
    return viewer, tool


def test_nuclei_are_found_shown_counted_and_saved(cells):
    viewer, tool = cells
    click(tool, tool.run_button)
    assert "nuclei" in tool.result.summary.text(), tool.status.text()
    layer = viewer.layers["section nuclei"]
    assert layer.metadata[KEY]["role"] == "outlines"
    count = layer.metadata[KEY]["count"]
    assert count > 0
    painted = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    assert set(np.unique(painted)) <= {0, 1, 2, 3}
    assert painted.any()
    rows = tool.areas.texts()
    assert [row[0] for row in rows][-1] == "all nuclei"
    assert rows[-1][1].replace(",", "") == str(count)
    folder = saved(tool)
    objects = read_objects(folder / "nuclei.geojson")
    assert len(objects) == count
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["backend"] == "cellvta"


def test_they_are_seen_at_every_zoom(cells, cell_result):
    viewer, tool = cells
    tool.start("CellVTA", lambda _progress: cell_result, tool.shower(tool.layer))
    until(lambda: not tool.runner.is_busy)
    layer = viewer.layers["section nuclei"]
    assert np.allclose(layer.scale, 0.5), "in place over the slide"
    for other in viewer.layers:
        other.visible = other is layer
    for zoom in (0.5, 2.0, 8.0):
        camera_of(viewer).zoom = zoom
        camera_of(viewer).center = (128, 128)
        seen = viewer.screenshot(flash=False)
        layer.visible = False
        empty = viewer.screenshot(flash=False)
        layer.visible = True
        assert (seen != empty).any(axis=2).mean() > 0.002, zoom


def test_tissue_is_found_whatever_the_backend(cells):
    viewer, tool = cells
    click(tool, tool.area_group.find)
    assert "Tissue of section was found" in tool.status.text()
    assert tool.where.layer is viewer.layers["section mask"]


def test_layers_are_duplicated_by_napari_and_corrected_apart(cells, cell_result):
    from napari.layers._layer_actions import _duplicate_layer

    viewer, tool = cells
    tool.start("CellVTA", lambda _progress: cell_result, tool.shower(tool.layer))
    until(lambda: not tool.runner.is_busy)
    nuclei = viewer.layers["section nuclei"]
    for layer in (viewer.layers["section"], nuclei):
        viewer.layers.selection = {layer}
        _duplicate_layer(viewer.layers)
        copied = viewer.layers[f"{layer.name} copy"]
        shown = [np.asarray(x.data[-1] if x.multiscale else x.data) for x in (layer, copied)]
        np.testing.assert_array_equal(*shown)
    first, second = (edits_in(viewer.layers[name].data) for name in ("section nuclei", "section nuclei copy"))
    assert first is not second
    count = len(first)
    second.reject(np.arange(3))
    assert (len(first), len(second)) == (count, count - 3)
    assert len(read_objects(saved(tool) / "nuclei.geojson")) == count
