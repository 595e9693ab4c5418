"""An open Volume tool."""

from __future__ import annotations

import pytest
from workbench_napari.launch import open_files


@pytest.fixture
def opened(window, ct_file, tiny_weights, tmp_path):
    """A viewer with the CT open and the tool docked, tiny weights chosen."""
    viewer = window()
    tool = open_files(viewer, [ct_file])
    tool.model.weights.choose_file(tiny_weights)
    tool.model.device.setCurrentText("cpu")
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool
