"""A window that is closed takes its tools along, with all that they have made."""

import subprocess
import sys

import pytest

CODE = """
import gc, sys, time, weakref
import napari
from qtpy.QtCore import QEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

viewer = napari.Viewer()
_, tool = viewer.window.add_plugin_dock_widget("napari-workbench", sys.argv[1])
QApplication.processEvents()
tool = weakref.ref(tool)
viewer.close()
del viewer, _
end = time.monotonic() + 20
while tool() is not None and time.monotonic() < end:
    QTest.qWait(20)
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
print("gone" if tool() is None else "left")
"""


@pytest.mark.gui
@pytest.mark.parametrize("title", ["Spectra tool", "MEG tool", "Volume tool"])
def test_a_tool_goes_with_its_window(window, title):
    done = subprocess.run([sys.executable, "-c", CODE, title], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "gone\n"), done.stderr[-2000:]
