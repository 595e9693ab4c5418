"""A drawn page with what was read from it, and an open ECG tool that shows it."""

from __future__ import annotations

import pytest
from PIL import Image as Pillow

import workbench as wb
from tests.workbench.page.pages import drawn
from tests.workbench_napari.contract_window import until


@pytest.fixture(scope="session")
def page():
    return drawn(83, "A", "3x4+1", 120.0, "scan")


@pytest.fixture(scope="session")
def page_file(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "page.png"
    Pillow.fromarray(page.pixels).save(path)
    return path


@pytest.fixture(scope="session")
def read(page_file):
    """What a run finds on the page: it is shown anew by each test that corrects it."""
    return wb.predict("ecg_image", wb.read(page_file, kind="page"), device="cpu")


@pytest.fixture
def opened(window, page_file, tmp_path):
    """The tool with the page in it, as its button opens it."""
    viewer = window(show=True)
    viewer.window.resize(1400, 1000)
    _, tool = viewer.window.add_plugin_dock_widget("napari-workbench", "ECG tool", tabify=False)
    tool.opening.open_path(page_file, "page")
    until(lambda: tool.layer is not None and not tool.opening.is_busy)
    tool.folder.setText(str(tmp_path / "out"))
    return viewer, tool


@pytest.fixture
def shown(opened, read):
    """The tool with leads that a run found."""
    viewer, tool = opened
    tool.start("Paper ECG", lambda _progress: read, tool._shower(tool.layer))
    until(lambda: not tool.is_busy and tool.leads.leads is not None)
    assert tool.correcting.layer is not None, tool.status.text()
    return viewer, tool
