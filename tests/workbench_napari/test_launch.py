"""The window comes first: no torch, no MONAI, and quickly; the engines load afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.gui

CODE = """
import json, sys, time
import napari
from napari.qt import get_qapp
start = time.perf_counter()
viewer = napari.Viewer(show=True)
from workbench_napari.launch import open_files
tool = open_files(viewer, [])
app = get_qapp()
app.processEvents()
empty = time.perf_counter() - start
tool = open_files(viewer, sys.argv[1:])
app.processEvents()
seconds = time.perf_counter() - start
heavy = sorted({"torch", "monai", "nibabel.freesurfer.none"} & set(sys.modules))
from workbench_napari.engines import preload
thread = preload()
thread.join(120)
print(json.dumps({"dock": empty, "with_file": seconds, "heavy": heavy, "visible": tool.isVisible(),
                  "after": sorted({"torch", "monai"} & set(sys.modules)), "layers": len(viewer.layers)}))
viewer.close()
"""


def test_window_and_dock_without_torch_then_engines_in_the_background(display, ct_file):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    environment = {**os.environ, "WORKBENCH_PRELOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(ct_file)], capture_output=True, text=True, timeout=180, env=environment
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    print(seen)
    assert seen["heavy"] == []
    assert seen["visible"]
    assert seen["layers"] == 1
    assert seen["after"] == ["monai", "torch"]
    # The goal is 2 s on an idle machine; tests share theirs.
    assert seen["dock"] < 10


def test_module_can_be_run(display, ct_file):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    code = (
        "import sys, runpy; from qtpy.QtCore import QTimer; import napari\n"
        "def check():\n"
        "    viewer = napari.current_viewer(); print(len(viewer.layers), viewer.title, flush=True); viewer.close()\n"
        "real = napari.run\n"
        "def run(**kwargs):\n"
        "    QTimer.singleShot(500, check); real(**kwargs)\n"
        "napari.run = run\n"
        "runpy.run_module('workbench_napari', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(ct_file)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "1 Workbench", done.stderr
    assert done.returncode == 0


def test_a_folder_that_holds_nothing_for_us_says_what_it_holds(window, tmp_path):
    from workbench_napari.launch import open_files

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "letter.txt").write_text("x")
    viewer = window()
    tool = open_files(viewer, [tmp_path / "texts"])
    assert not len(viewer.layers)
    assert "texts: " in tool.status.text()
    assert "letter.txt" in tool.status.text()


def test_all_lines_of_a_refusal_are_said(window, ct_file, tmp_path, monkeypatch):
    from workbench_napari.launch import open_files

    import workbench as wb

    def refuse(*args, **kwargs):
        raise wb.InputError("ct.nii.gz: cannot be right:\n[1] this\n[2] that")

    monkeypatch.setattr(wb, "read", refuse)
    tool = open_files(window(), [ct_file])
    assert tool.status.text() == "ct.nii.gz: cannot be right: [1] this [2] that"


def test_a_file_that_cannot_be_opened_does_not_stop_the_others(window, ct_file, tmp_path):
    from workbench_napari.launch import open_files

    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no NIfTI")
    viewer = window()
    tool = open_files(viewer, [broken, tmp_path / "missing.nii.gz", ct_file])
    assert [layer.name for layer in viewer.layers] == ["ct"]
    assert "missing.nii.gz" in tool.status.text()
