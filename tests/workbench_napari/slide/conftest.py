"""A small slide with weights, and an open Slides tool."""

from __future__ import annotations

import pytest
from workbench_napari.launch import open_files

from tests.tiny import make_tiny_slide, make_tiny_slide_weights


@pytest.fixture(scope="session")
def slide_weights(tmp_path_factory):
    return make_tiny_slide_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="session")
def slide_file(tmp_path_factory):
    return make_tiny_slide(tmp_path_factory.mktemp("slide") / "section.ome.tif")


@pytest.fixture
def opened(window, slide_file, slide_weights, tmp_path):
    viewer = window(show=True)
    tool = open_files(viewer, [slide_file])
    tool.input.model.weights.choose_file(slide_weights)
    tool.input.model.device.setCurrentText("cpu")
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool
