"""Windows and docks that are closed while a job runs, each as a process with a real event loop: none hangs or crashes.

The process prints one line of JSON when it has ended its event loop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.gui

CHILD = """
import json, sys, threading, time
import napari
from qtpy.QtCore import QTimer
from workbench_napari.launch import close_on_sigterm, open_files
from workbench_napari.shared import worker

how = sys.argv[1]
viewer = napari.Viewer()
other = napari.Viewer() if how == "other viewer" else None
tool = open_files(viewer, [])
begun, seen = threading.Event(), {"how": how, "ends": [], "answers": []}

def work(progress):
    begun.set()
    end = time.monotonic() + (30 if how in ("own window", "SIGTERM", "quit") else 1.5)
    while time.monotonic() < end:
        progress(0, 0)
        time.sleep(0.005)
    return "answer"

tool.runner.finished.connect(lambda how, text: seen["ends"].append(how))
runner, began = tool.runner, time.monotonic()
if how == "SIGTERM":
    close_on_sigterm()

def start():
    assert tool.start("Working", work, tool.runner_answer)

def act():
    if not begun.is_set():
        QTimer.singleShot(20, act)
    elif how == "own window":
        viewer.close()
    elif how == "other viewer":
        other.close()
    elif how == "quit":
        from napari.qt import get_qapp
        get_qapp().quit()
    elif how == "dock":
        dock = tool.parentWidget()
        while not hasattr(dock, "destroyOnClose"):
            dock = dock.parentWidget()
        dock.destroyOnClose()
    else:
        print("ready", flush=True)

def look():
    if how in ("other viewer", "dock") and begun.is_set() and not runner.is_busy:
        seen["held"] = [held.answer for held in runner.held]
        viewer.close()
    else:
        QTimer.singleShot(20, look)

tool.runner_answer = lambda answer: seen["answers"].append(answer)
if how == "dock":
    tool.runner_answer = tool.segmenting._show  # an answer that another tool of the kind can show
QTimer.singleShot(100, start)
QTimer.singleShot(120, act)
QTimer.singleShot(200, look)
napari.run()
seen["seconds"] = time.monotonic() - began
seen["threads"] = [t.name for t in threading.enumerate() if t.name == "workbench-job"]
print(json.dumps(seen), flush=True)
"""


def child(how, tmp_path):
    script = tmp_path / "child.py"
    script.write_text(CHILD, encoding="utf-8")
    environment = {**os.environ, "WORKBENCH_PRELOAD": "0"}
    command = [sys.executable, str(script), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("how", ["own window", "other viewer", "dock", "quit", "SIGTERM"])
def test_a_process_ends_whatever_is_closed_during_a_run(display, tmp_path, how):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    process = child(how, tmp_path)
    if how == "SIGTERM":
        line = process.stdout.readline()
        assert line.strip() == "ready", process.communicate(timeout=30)[1]
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
    output, errors = process.communicate(timeout=120)
    if how == "SIGTERM":
        assert time.monotonic() - began < 20, "it hung"
    assert process.returncode == 0, errors
    seen = json.loads(output.strip().splitlines()[-1])
    assert seen["threads"] == [], "its thread still ran after the event loop"
    if how == "other viewer":
        assert (seen["ends"], seen["answers"]) == (["done"], ["answer"])
    elif how == "dock":
        assert (seen["ends"], seen["held"]) == (["waits"], ["answer"])
    else:
        assert seen["answers"] == []
    assert "deleted" not in errors
    assert "Traceback" not in errors
