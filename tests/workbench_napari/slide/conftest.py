"""A small slide with weights, and an open Slides tool."""

from __future__ import annotations

import pytest
from workbench_napari.launch import open_files

import workbench as wb
from tests.tiny import make_tiny_cell_weights, make_tiny_slide, make_tiny_slide_weights
from tests.workbench_napari.contract_window import press, until
from workbench.slide import edits_in


@pytest.fixture(scope="session")
def slide_weights(tmp_path_factory):
    return make_tiny_slide_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="session")
def slide_file(tmp_path_factory):
    return make_tiny_slide(tmp_path_factory.mktemp("slide") / "section.ome.tif")


@pytest.fixture(scope="session")
def cell_weights(tmp_path_factory):
    return make_tiny_cell_weights(tmp_path_factory.mktemp("weights") / "cells.safetensors")


@pytest.fixture(scope="session")
def cell_result(slide_file, cell_weights):
    """What a run finds on the slide: it is shown anew by each test that corrects it."""
    return wb.predict("cellvta", slide_file, weights=str(cell_weights), device="cpu", embeddings=True)


@pytest.fixture
def opened(window, slide_file, slide_weights, tmp_path):
    viewer = window(show=True)
    tool = open_files(viewer, [slide_file])
    tool.input.model.weights.choose_file(slide_weights)
    tool.input.model.device.setCurrentText("cpu")
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool


@pytest.fixture
def found(opened, cell_weights, cell_result):
    """The tool with nuclei that a run found, and the layer that shows them active."""
    viewer, tool = opened
    tool.input.model.choose("cellvta")
    tool.input.model.weights.choose_file(cell_weights)
    tool.start("CellVTA", lambda _progress: cell_result, tool._shower(tool.layer))
    until(lambda: not tool.runner.is_busy)
    layer = next(x for x in viewer.layers if edits_in(x.data) is not None)
    assert tool.nuclei.editing.layer is layer, tool.status.text()
    viewer.layers.selection.active = layer
    press(tool.nuclei_group.outlines)  # areas, so that what is painted can be asked for
    return viewer, tool, layer, edits_in(layer.data)
