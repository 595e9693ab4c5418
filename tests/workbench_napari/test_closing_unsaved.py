"""Windows with unsaved hand work that are closed, in real processes: a person is asked once, everybody else never.

Each process prints one line of JSON: what was asked, and what became of the windows.
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

HEAD = """
import json, sys, time
from pathlib import Path
import napari
import numpy as np
from qtpy.QtCore import QTimer, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog
from workbench_napari.launch import close_on_sigterm, open_files
from workbench_napari.shared.closing import guard
from workbench_napari.shared.recovery_store import Store
from tests.workbench_napari.window_system import give_focus, press_close

ct, out = Path(sys.argv[1]), Path(sys.argv[2])

def opened(name):
    viewer = napari.Viewer(title="Workbench")
    tool = open_files(viewer, [ct])
    tool.folder.setText(str(out / name))
    tool.drawing.new_labels(tool.image_layer)
    tool.labels_layer.name = name
    tool.labels_layer.data_setitem((np.array([3, 3]), np.array([4, 5]), np.array([5, 5])), 1)
    return viewer, tool

def dialogs():
    return [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]

def is_open(window):
    try:
        return window.isVisible()
    except RuntimeError:  # Qt has deleted it
        return False

def rows(question):
    return [question.list.item(n).text() for n in range(question.list.count())]

def key(window, letter):
    give_focus(window)
    wait(lambda: QApplication.activeWindow() is window)
    QTest.keyClick(window, letter, Qt.KeyboardModifier.ControlModifier)

def wait(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        QTest.qWait(20)

def work(progress):
    while True:
        progress(0, 0)
        time.sleep(0.005)
"""

CASES = """
seen = {}

def case(name, how, answer=None, prepare=None):
    viewer, tool = opened(name)
    window = viewer.window._qt_window
    if prepare is not None:
        prepare(viewer, tool)
    told = seen[name] = {"asked": [], "notes": "", "others": 0}

    def answer_napari():
        # napari's own question runs a loop of its own: only a timer gets in.
        for dialog in [d for d in dialogs() if not hasattr(d, "chosen")]:
            told["others"] += 1
            dialog.accept()

    timer = QTimer()
    timer.timeout.connect(answer_napari)
    timer.start(100)
    how(viewer, window)
    wait(lambda: bool(dialogs()) or not is_open(window))
    shown = [dialog for dialog in dialogs() if hasattr(dialog, "chosen")]
    if shown:
        question = shown[0]
        told["asked"], told["notes"], told["titles"] = rows(question), question.notes.text(), len(shown)
        if answer == "cancel":
            QTest.keyClick(question, Qt.Key.Key_Escape)
        else:
            QTest.mouseClick(question.buttons[answer], Qt.MouseButton.LeftButton)
    watcher = guard(viewer) if is_open(window) else None
    wait(lambda: not is_open(window) or (watcher.question is None and not tool.runner.is_busy))
    QTest.qWait(150)
    told["stays"] = is_open(window)
    timer.stop()
    if is_open(window):
        told["unsaved"], told["said"] = [la.name for la in tool.unsaved.layers()], tool.status.text()
        viewer.close()  # a script is not asked
        assert not dialogs() and not is_open(window)
    told["kept"] = any(entry.name.split(f"{name} ")[0] in (name, "") for entry in Store().entries())
    told["files"] = sorted(p.name for p in (out / name).rglob("*.nii.gz")) if (out / name).is_dir() else []

def by_button(viewer, window): press_close(window)
def by_key(viewer, window): key(window, Qt.Key.Key_W)
def by_script(viewer, window): viewer.close()

case("saved", by_button, "save")
case("kept", by_key, "keep")
case("discarded", by_button, "discard")
case("cancelled", by_key, "cancel")
case("failed", by_button, "save", lambda viewer, tool: (out / "failed").write_text("a file instead of the folder"))
"""

FURTHER_CASES = """
case("script", by_script)
case("clean", by_button, None, lambda viewer, tool: tool.labels_layer.undo())
case("running", by_button, "save", lambda viewer, tool: tool.start("Working", work, print))
case("spots", by_button, "keep", lambda viewer, tool: viewer.add_points([[1, 2, 3]], name="dots").add([[2, 3, 4]]))
second, theirs = opened("theirs")
case("one of two", by_button, "save")
seen["one of two"]["second stays"] = is_open(second.window._qt_window) and theirs.unsaved_sign.is_on
second.close()
"""

TELL = """
print(json.dumps(seen), flush=True)
"""

LEAVING = """
viewer, tool = opened("first")
second, theirs = opened("second")
seen = []
if sys.argv[3] == "SIGTERM":
    close_on_sigterm()
    QTimer.singleShot(300, lambda: print("ready", flush=True))
else:
    QTimer.singleShot(100, lambda: key(viewer.window._qt_window, Qt.Key.Key_Q))

def look():
    QTimer.singleShot(50, look)
    for dialog in dialogs():
        if dialog not in [d for d, _ in seen]:
            seen.append((dialog, rows(dialog) if hasattr(dialog, "chosen") else None))
            QTest.mouseClick(dialog.buttons["save"], Qt.MouseButton.LeftButton)

QTimer.singleShot(100, look)
napari.run()
print(json.dumps([rows for _, rows in seen]), flush=True)
"""


def run(code, tmp_path, ct_file, display, *, send=None):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    script = tmp_path / "child.py"
    script.write_text(HEAD + code, encoding="utf-8")
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "WORKBENCH_PRELOAD": "0", "PYTHONPATH": path}
    command = [sys.executable, str(script), str(ct_file), str(tmp_path / "out"), send or "key"]
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        if send is not None:
            assert process.stdout.readline().strip() == "ready", process.communicate(timeout=60)[1]
            os.kill(process.pid, signal.SIGTERM)
        output, errors = process.communicate(timeout=500)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it hung: {process.communicate()}") from None
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "deleted" not in errors
    return json.loads(output.strip().splitlines()[-1])


def ends(seen):
    return {name: (told["stays"], told["kept"], told["files"]) for name, told in seen.items()}


def asked_about_its_own(seen, name, tmp_path):
    return seen[name]["asked"] == [f"{name}: Volume tool, {tmp_path / 'out' / name}"]


@pytest.mark.slow
def test_a_person_is_asked_once_and_gets_what_was_answered(tmp_path, home, ct_file, display):
    seen = run(CASES + TELL, tmp_path, ct_file, display)
    assert all(asked_about_its_own(seen, name, tmp_path) for name in seen)
    assert not any(told["others"] for told in seen.values()), "two questions"
    assert ends(seen) == {
        "saved": (False, False, ["labels.nii.gz"]),
        "kept": (False, True, []),
        "discarded": (False, False, []),
        "cancelled": (True, True, []),
        "failed": (True, True, []),
    }
    assert seen["cancelled"]["unsaved"] == ["cancelled"]
    assert seen["failed"]["unsaved"] == ["failed"]
    assert "cannot write" in seen["failed"]["said"]


@pytest.mark.slow
def test_scripts_clean_windows_running_jobs_and_other_viewers(tmp_path, home, ct_file, display):
    seen = run(CASES[: CASES.index('case("saved"')] + FURTHER_CASES + TELL, tmp_path, ct_file, display)
    assert ends(seen) == {
        "script": (False, True, []),
        "clean": (False, False, []),
        "running": (False, False, ["labels.nii.gz"]),
        "spots": (False, True, []),
        "one of two": (False, False, ["labels.nii.gz"]),
    }
    assert (seen["script"]["asked"], seen["clean"]["asked"]) == ([], [])
    assert seen["clean"]["others"] == 1, "of a window without unsaved work napari asks as it always does"
    assert seen["running"]["notes"] == "'Working' still runs, and stops."
    assert "dots: no tool here saves it" in seen["spots"]["asked"]
    assert asked_about_its_own(seen, "one of two", tmp_path)
    assert seen["one of two"]["second stays"]
    assert not any(told["others"] for name, told in seen.items() if name != "clean"), "two questions"


@pytest.mark.slow
def test_leaving_the_program_asks_once_about_all_windows(tmp_path, home, ct_file, display):
    (rows,) = run(LEAVING, tmp_path, ct_file, display)
    assert rows == [f"{name}: Volume tool, {tmp_path / 'out' / name}" for name in ("first", "second")]
    assert Store().entries() == []
    assert len(list((tmp_path / "out").rglob("labels.nii.gz"))) == 2


def test_a_signal_asks_nobody_and_keeps_all(tmp_path, home, ct_file, display):
    assert run(LEAVING, tmp_path, ct_file, display, send="SIGTERM") == []
    assert sorted(entry.name for entry in Store().entries()) == ["first", "second"]
    assert not list((tmp_path / "out").rglob("labels.nii.gz"))


OTHER_KINDS = """
from tests.tiny import make_tiny_recording, make_tiny_scene
from tests.workbench_napari.recording.window import draw

def waits(condition, seconds=60):
    wait(condition, seconds)

def opened(name):
    viewer = napari.Viewer(title="Workbench")
    if name.startswith("scene"):
        tool = open_files(viewer, [make_tiny_scene(ct.parent / f"{name}.npy")])
        tool.folder.setText(str(out / name))
        for n, material in enumerate(("wood", "water")):
            value = tool.painting.add_class(material)
            tool.painting.layer.paint((4 + n, 5), value)
    else:
        tool = open_files(viewer, [make_tiny_recording(ct.parent / f"{name}.npy", channels=5, seconds=8.0)])
        tool.folder.setText(str(out / name))
        wait(lambda: len(viewer.layers) > 0)
        draw(tool, waits, 1.0, 2.0)
    return viewer, tool
"""

OTHER_CASES = """
for kind in ("scene", "recording"):
    case(f"{kind} saved", by_button, "save")
    case(f"{kind} kept", by_key, "keep")
    case(f"{kind} discarded", by_button, "discard")
"""


@pytest.mark.slow
def test_what_is_drawn_in_scenes_and_recordings_is_asked_about_too(tmp_path, home, ct_file, display):
    start = CASES[: CASES.index('case("saved"')].replace("*.nii.gz", "*.*")
    seen = run(OTHER_KINDS + start + OTHER_CASES + TELL, tmp_path, ct_file, display)
    assert not any(told["others"] for told in seen.values()), "two questions"
    tools = {"scene": ("painted", "Spectra tool"), "recording": ("annotations", "MEG tool")}
    for name, told in seen.items():
        layer, tool = tools[name.split()[0]]
        assert told["asked"] == [f"{name} {layer}: {tool}, {tmp_path / 'out' / name}"]
    assert ends(seen) == {
        "scene saved": (False, False, ["areas.csv", "painted.dat", "painted.hdr", "provenance.json"]),
        "scene kept": (False, True, []),
        "scene discarded": (False, False, []),
        "recording saved": (
            False,
            False,
            ["annotations-annot.fif", "annotations.csv", "channels.tsv", "provenance.json"],
        ),
        "recording kept": (False, True, []),
        "recording discarded": (False, False, []),
    }
