"""A tool that is taken out of its dock goes by itself, whatever comes before Qt deletes it."""

import subprocess
import sys

import pytest

CODE = """
import gc, sys
import napari
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication
from workbench_napari.shared import tool_base

viewer = napari.Viewer()
viewer.open_sample("napari-workbench", sys.argv[1])
_, tool = viewer.window.add_plugin_dock_widget("napari-workbench", sys.argv[2])
QApplication.processEvents()
viewer.window.remove_dock_widget(tool)
del tool
gc.collect()
viewer.layers.clear()
gc.collect()
QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
print(len(tool_base._leaving), "left")
viewer.close()
"""


@pytest.mark.gui
@pytest.mark.parametrize(
    ("sample", "title"),
    [
        pytest.param("spectral_scene", "Spectra tool", marks=pytest.mark.slow),
        pytest.param("meg_recording", "MEG tool", marks=pytest.mark.slow),
        pytest.param("torso_ct", "Volume tool", marks=pytest.mark.slow),
        ("slide", "Slides tool"),
        pytest.param("page", "ECG tool", marks=pytest.mark.slow),
    ],
)
def test_a_tool_out_of_its_dock_survives_the_garbage_collector(window, sample, title):
    done = subprocess.run([sys.executable, "-c", CODE, sample, title], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "0 left\n"), done.stderr[-2000:]
