"""What a tool does in one turn of the event loop: docked or in another theme, it leaves the window time to answer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.shared.theme import colors_of

pytestmark = pytest.mark.gui
TITLES = ("Volume tool", "Spectra tool", "MEG tool", "Any backend")
DOCKED = """
import sys
import napari
from qtpy.QtWidgets import QApplication

viewer = napari.Viewer()
_, tool = viewer.window.add_plugin_dock_widget("napari-workbench", sys.argv[1], tabify=False)
QApplication.processEvents()
print([name for name in ("matplotlib", "mne", "monai", "pyqtgraph", "torch") if name in sys.modules])
viewer.close()
"""


@pytest.mark.parametrize("title", TITLES)
def test_docking_a_tool_loads_no_large_library(window, title):
    own = os.environ | {"WORKBENCH_PRELOAD": "0"}
    command = [sys.executable, "-c", DOCKED, title]
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr[-2000:]


@pytest.mark.parametrize("title", TITLES)
def test_another_theme_dresses_the_tool_once_and_after_napari(window, wait, title, monkeypatch):
    viewer = window(show=True)
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=False)
    dressed = []
    real = tool._painted
    monkeypatch.setattr(tool, "_painted", lambda: dressed.append(viewer.theme) or real())
    for theme in ("light", "dark", "light"):
        viewer.theme = theme
    assert dressed == []
    wait(lambda: bool(dressed), 5)
    assert dressed == ["light"]
    notes = [w for w in real() if w.property("quiet")]
    assert notes
    assert all(colors_of("light").quiet in note.styleSheet() for note in notes)
    # A style for many widgets makes Qt go through all of them again.
    styled = [w for w in (tool, tool.body, tool.pages, *tool.pages.pages) if w.styleSheet()]
    assert styled == []
