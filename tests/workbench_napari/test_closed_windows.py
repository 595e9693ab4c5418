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
@pytest.mark.parametrize(
    "title", ["MEG tool", *(pytest.param(t, marks=pytest.mark.slow) for t in ("Spectra tool", "Volume tool"))]
)
def test_a_tool_goes_with_its_window(window, title):
    done = subprocess.run([sys.executable, "-c", CODE, title], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "gone\n"), done.stderr[-2000:]


SAVING = """
import gc, sys, time, weakref
from pathlib import Path
import napari
import workbench as wb
from qtpy.QtCore import QEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from tests.tiny import make_tiny_scene
from workbench_napari.launch import open_files
from workbench_napari.shared.recovery_store import Store

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
write, written = wb.write, []
def slowly(*args, **named):
    time.sleep(seconds)
    if sys.argv[3:]:
        written.append(Path("nowhere"))
        raise OSError(28, "No space left on device")
    written.extend(write(*args, **named))
    return written
wb.write = slowly
viewer = napari.Viewer()
tool = open_files(viewer, [make_tiny_scene(folder / "meadow.npy")])
while not tool.empty.isHidden():
    QTest.qWait(20)
for name in ("one", "two"):
    tool.painting.add_class(name)
tool.painting.layer.paint((3, 3), 1)
tool.folder.setText(str(folder / "out"))
QTest.qWait(1500)
print(len(Store().entries()), end=" ")
tool.save_button.click()
if seconds == 0:
    while not written:
        time.sleep(0.01)
    time.sleep(0.5)  # the thread ends before anybody here is told
viewer.close()
held = weakref.ref(tool)
del viewer, tool
end = time.monotonic() + 20
while (held() is not None or not written or Store().entries()) and time.monotonic() < end:
    QTest.qWait(20)
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
print("gone" if held() is None else "left", any(p.is_file() for p in written), len(Store().entries()))
"""


@pytest.mark.gui
@pytest.mark.parametrize("seconds", [0, pytest.param(1.5, marks=pytest.mark.slow)])
def test_a_window_that_is_closed_while_it_saves_goes_when_all_is_written(window, tmp_path, monkeypatch, seconds):
    """What was written is no unsaved work any more, while other windows go on."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    command = [sys.executable, "-c", SAVING, str(tmp_path), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "1 gone True 0\n"), done.stderr[-2000:]


@pytest.mark.gui
@pytest.mark.slow
def test_a_save_that_fails_after_its_window_was_closed_is_said_and_the_work_kept(window, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    code = SAVING.replace(" or Store().entries())", ")")  # nothing waits for what is to stay
    command = [sys.executable, "-c", code, str(tmp_path), "1.5", "full"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("gone False 1\n"), "napari itself may say it, too"
    (line,) = [line for line in done.stderr.splitlines() if "after its window was closed" in line]
    assert "No space left on device" in line
    assert line.endswith("The work is kept; the tool offers it at the next start.")
