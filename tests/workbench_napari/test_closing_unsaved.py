"""Windows with unsaved hand work that are closed, each as a process: a person is asked once, everybody else never.

The process prints one line of JSON when it has ended its event loop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from workbench_napari.shared.recovery_store import Store

pytestmark = pytest.mark.gui

CHILD = """
import json, sys, time
from pathlib import Path
import napari
import numpy as np
from qtpy.QtCore import QTimer, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog
from workbench_napari.launch import close_on_sigterm, open_files
from tests.workbench_napari.window_system import press_close

how, answer, ct, out = sys.argv[1:]
viewer = napari.Viewer()
tool = open_files(viewer, [ct])
tool.folder.setText(out)
tool.drawing.new_labels(tool.image_layer)
layer, window = tool.labels_layer, viewer.window._qt_window
layer.name = "mine"
if how in ("one of two", "exit of two"):
    second = napari.Viewer()
    theirs = open_files(second, [ct])
    theirs.folder.setText(out + "-second")
    theirs.drawing.new_labels(theirs.image_layer)
    theirs.labels_layer.name = "theirs"
seen = {"asked": [], "stays": False, "others": 0}
if how == "SIGTERM":
    close_on_sigterm()

def draw(layer):
    layer.data_setitem((np.array([3, 3]), np.array([4, 5]), np.array([5, 5])), 1)

def work(progress):
    while True:
        progress(0, 0)
        time.sleep(0.005)

def begin():
    draw(layer)
    if how in ("one of two", "exit of two"):
        draw(theirs.labels_layer)
    if how == "clean":
        layer.undo()
    if how == "while a job runs":
        assert tool.start("Working", work, print)
    QTimer.singleShot(300, act)

def act():
    QTimer.singleShot(50, look)
    if how in ("SIGTERM", "kill"):
        print("ready", flush=True)
    elif how == "script":
        viewer.close()
    elif how in ("exit", "exit of two"):
        window.activateWindow()
        QTest.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    elif how == "close":
        QTest.keyClick(window, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    else:
        press_close(window)

answered = []

def look():
    QTimer.singleShot(50, look)
    shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]
    ours = [w for w in shown if hasattr(w, "chosen")]
    seen["others"] += len(shown) - len(ours)
    for other in [w for w in shown if w not in ours]:
        other.accept()
    for question in ours:
        if question not in answered:
            answered.append(question)
            seen["asked"].append([question.list.item(n).text() for n in range(question.list.count())])
            seen["notes"] = question.notes.text()
            button = question.buttons[answer]
            if answer == "cancel":
                QTest.keyClick(question, Qt.Key.Key_Escape)
            else:
                QTest.mouseClick(button, Qt.MouseButton.LeftButton)
            QTimer.singleShot(1500, still)

def still():
    here = [w for w in (window,) if w.isVisible()]
    if here and not tool.runner.is_busy:
        seen["stays"] = True
        seen["unsaved"] = [la.name for la in tool.unsaved.layers()]
        seen["said"] = tool.status.text()
        viewer.close()
    elif here:
        QTimer.singleShot(100, still)
    if how == "one of two" and not here:
        seen["second stays"] = second.window._qt_window.isVisible()
        second.close()

QTimer.singleShot(500, begin)
napari.run()
print(json.dumps(seen), flush=True)
"""


def close(tmp_path, home, ct_file, display, how, answer="none", out=None):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    script = tmp_path / "child.py"
    script.write_text(CHILD, encoding="utf-8")
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "WORKBENCH_PRELOAD": "0", "PYTHONPATH": path}
    command = [sys.executable, str(script), how, answer, str(ct_file), str(out or tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if how == "SIGTERM":
        line = process.stdout.readline()
        assert line.strip() == "ready", process.communicate(timeout=60)[1]
        os.kill(process.pid, signal.SIGTERM)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "deleted" not in errors
    seen = json.loads(output.strip().splitlines()[-1])
    kept = sorted(entry.name for entry in Store().entries())
    return seen, kept


def saved(folder):
    return sorted(p.name for p in Path(folder).rglob("*.nii.gz"))


@pytest.mark.parametrize("how", ["button", "exit", "close"])
@pytest.mark.parametrize("answer", ["save", "keep", "discard"])
def test_a_person_is_asked_once_and_gets_what_was_answered(how, answer, tmp_path, home, ct_file, display):
    seen, kept = close(tmp_path, home, ct_file, display, how, answer)
    assert seen["asked"] == [[f"mine: Volume tool, {tmp_path / 'out'}"]]
    assert (seen["others"], seen["stays"]) == (0, False), "another question, or the window is still there"
    assert kept == (["mine"] if answer == "keep" else [])
    assert saved(tmp_path / "out") == (["labels.nii.gz"] if answer == "save" else [])


def test_cancel_leaves_the_window_and_a_script_that_closes_it_then_is_not_asked(tmp_path, home, ct_file, display):
    seen, kept = close(tmp_path, home, ct_file, display, "button", "cancel")
    assert len(seen["asked"]) == 1
    assert (seen["stays"], seen["unsaved"]) == (True, ["mine"])
    assert kept == ["mine"]


def test_a_save_that_fails_leaves_the_window_and_the_work(tmp_path, home, ct_file, display):
    (tmp_path / "out").write_text("a file where the folder should be")
    seen, kept = close(tmp_path, home, ct_file, display, "button", "save")
    assert (seen["stays"], seen["unsaved"]) == (True, ["mine"])
    assert "cannot write" in seen["said"]
    assert kept == ["mine"]


@pytest.mark.parametrize("how", ["script", "SIGTERM", "clean"])
def test_nobody_is_asked_by_scripts_and_signals_and_without_unsaved_work(how, tmp_path, home, ct_file, display):
    seen, kept = close(tmp_path, home, ct_file, display, how)
    assert seen["asked"] == []
    assert kept == ([] if how == "clean" else ["mine"])
    assert seen["others"] == (1 if how == "clean" else 0), "of clean windows napari asks as it always does"


def test_a_job_that_runs_is_named_and_stops_and_the_work_is_saved(tmp_path, home, ct_file, display):
    seen, kept = close(tmp_path, home, ct_file, display, "while a job runs", "save")
    assert "'Working' still runs, and stops." in seen["notes"]
    assert (seen["others"], seen["stays"]) == (0, False)
    assert (kept, saved(tmp_path / "out")) == ([], ["labels.nii.gz"])


def test_closing_one_viewer_of_two_asks_about_its_own_layers_only(tmp_path, home, ct_file, display):
    seen, kept = close(tmp_path, home, ct_file, display, "one of two", "save")
    assert seen["asked"] == [[f"mine: Volume tool, {tmp_path / 'out'}"]]
    assert seen["second stays"]
    assert (kept, saved(tmp_path / "out")) == (["theirs"], ["labels.nii.gz"])


def test_leaving_the_program_asks_once_about_all_viewers(tmp_path, home, ct_file, display):
    seen, kept = close(tmp_path, home, ct_file, display, "exit of two", "save")
    assert [len(rows) for rows in seen["asked"]] == [2]
    assert kept == []
    assert (saved(tmp_path / "out"), saved(tmp_path / "out-second")) == (["labels.nii.gz"], ["labels.nii.gz"])
