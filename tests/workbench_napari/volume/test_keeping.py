"""Corrected labels in a real window: never replaced, never in the folder of another image, whole after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.recovery_store import Store

import workbench as wb
from tests.tiny import make_volume
from tests.workbench_napari.contract_window import press
from tests.workbench_napari.mouse import canvas_of, canvas_place, drag
from tests.workbench_napari.shared import threshold
from workbench.core.atomic import sha256_of
from workbench.core.layers import KEY

pytestmark = pytest.mark.gui


@pytest.fixture
def bright(monkeypatch):
    """A real backend that takes no time."""
    from workbench.core import registry

    rows = {**registry.backends(), "threshold": threshold.ROW}
    monkeypatch.setattr(registry, "backends", lambda: rows)
    monkeypatch.setenv("WORKBENCH_AUTHOR", "anna")


@pytest.fixture
def desk(bright, window, wait, tmp_path):
    """Makes a window with a volume tool, the backend chosen."""

    def opened(*files):
        viewer = window(show=True)
        tool = open_files(viewer, list(files), tool="volume")
        tool.model.choose("threshold")
        tool.folder.setText(str(tmp_path / "out"))
        wait(lambda: canvas_of(viewer).width() > 200)
        return viewer, tool

    return opened


def run(tool, wait):
    press(tool.run_button)
    wait(lambda: not tool.runner.is_busy, 60)
    return tool.labels_layer


def save(tool, wait):
    press(tool.save_button)
    wait(lambda: not tool.runner.is_busy, 60)
    assert tool.runner.error is None, tool.status.text()
    return tool.last_folder


def paint(viewer, labels, value, row=10):
    """A stroke of the brush with the mouse."""
    viewer.layers.selection.active = labels
    viewer.dims.set_current_step(0, 10)
    labels.selected_label, labels.brush_size, labels.mode = value, 5, "paint"
    before = np.array(labels.data)
    drag(viewer, canvas_place(viewer, labels, (10, row, 8)), canvas_place(viewer, labels, (10, row, 24)))
    labels.mode = "pan_zoom"
    assert (labels.data != before).any(), "the stroke met the layer"


def labels_in(folder):
    """The labels of a folder as the window shows them."""
    from workbench.volume.placement import place

    image = wb.read(folder / "labels.nii.gz")
    return place(image.geometry).to_layer(image.data[0])


def record_in(folder):
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert all(sha256_of(folder / name) == entry["sha256"] for name, entry in record["files"].items())
    return record


def versions(folder):
    return sorted((folder / "versions").iterdir()) if (folder / "versions").exists() else []


def test_run_paint_save_run_save_keeps_the_corrected_labels(desk, wait, tmp_path):
    viewer, tool = desk(make_volume(tmp_path / "ct.nii.gz"))
    first = run(tool, wait)
    paint(viewer, first, 3)
    corrected = np.array(first.data)
    folder = save(tool, wait)
    assert not tool.journal.is_unsaved(first)
    assert np.array_equal(labels_in(folder), corrected)
    second = run(tool, wait)
    assert second is not first
    assert save(tool, wait) == folder
    assert np.array_equal(labels_in(folder), second.data)
    assert record_in(folder)["edited_by_hand"] is False
    (kept,) = versions(folder)
    assert np.array_equal(labels_in(kept), corrected)
    about = record_in(kept)
    assert (about["edited_by_hand"], about["author"], about["saved"][-6:]) == (True, "anna", "+00:00")
    assert kept.name.endswith("Z_anna")
    assert "what anna had saved on " in tool.status.text()
    assert f"is kept in ct/versions/{kept.name}" in tool.status.text()
    from napari.utils.notifications import notification_manager

    assert any(kept.name in record.message for record in notification_manager.records)
    # Back to the corrected ones, and on with them: hand work follows hand work.
    tool.panel.labels.layers.setCurrentText(first.name)
    paint(viewer, first, 3, row=20)
    save(tool, wait)
    assert record_in(folder)["edited_by_hand"] is True
    assert len(versions(folder)) == 1, "what the second run made can be had again"
    paint(viewer, first, 0, row=10)
    save(tool, wait)
    assert len(versions(folder)) == 2
    assert sum(np.array_equal(labels_in(v), corrected) for v in versions(folder)) == 1


def test_labels_opened_from_their_folder_and_corrected_go_back_there(desk, wait, tmp_path):
    scan = make_volume(tmp_path / "ct.nii.gz")
    viewer, tool = desk(scan)
    paint(viewer, run(tool, wait), 3)
    folder = save(tool, wait)
    before = labels_in(folder)
    other, again = desk(scan, folder / "labels.nii.gz")
    layer = again.labels_layer
    assert np.array_equal(layer.data, before)
    paint(other, layer, 3, row=25)
    assert save(again, wait) == folder
    record = record_in(folder)
    assert (record["edited_by_hand"], record["backend"]) == (True, "threshold")
    assert np.array_equal(labels_in(folder), layer.data)
    assert [np.array_equal(labels_in(v), before) for v in versions(folder)] == [True]


def volume_of(seed):
    data = np.random.default_rng(seed).normal(size=(20, 30, 32)).astype(np.float32) * 100
    return data


def add(viewer, seed, how):
    """An image that no reader of ours has opened, called "image" as so many are."""
    da = pytest.importorskip("dask.array")
    data = volume_of(seed)
    if how == "dask":
        data = da.from_array(data, chunks=(5, 16, 16))
    own = {"scale": (2, 1, 1), "units": "mm", "name": "image"}
    return viewer.add_image(data, **own)


@pytest.mark.parametrize("how", ["array", pytest.param("dask", marks=pytest.mark.slow)])
def test_two_patients_called_image_get_a_folder_each(desk, wait, tmp_path, how):
    out = tmp_path / "out"
    found = {}
    for patient in (1, 2):  # in two sessions
        viewer, tool = desk()
        add(viewer, patient, how)
        layer = run(tool, wait)
        assert layer.name == "image labels"
        paint(viewer, layer, 3)
        folder = save(tool, wait)
        found[patient] = (folder, np.array(layer.data))
    assert [found[p][0].name for p in (1, 2)] == ["image", "image-2"]
    assert "image holds a result of another image and was kept" in tool.status.text()
    for folder, data in found.values():
        assert np.array_equal(labels_in(folder), data)
        assert record_in(folder)["details"]["identity"]["of"] == "layer"
        assert versions(folder) == []
    # Each finds its own folder again, also of a copy in other pieces.
    viewer, tool = desk()
    add(viewer, 1, "array")
    run(tool, wait)
    assert save(tool, wait) == out / "image"
    assert len(versions(out / "image")) == 1
    assert len(list(out.iterdir())) == 2


def test_new_labels_stay_with_the_image_they_were_drawn_over(desk, wait, tmp_path):
    viewer, tool = desk()
    add(viewer, 1, "array")
    viewer._new_labels()
    labels = viewer.layers[-1]
    paint(viewer, labels, 2)
    # The first patient goes, another one comes, before anything was saved.
    image = viewer.layers["image"]
    add(viewer, 2, "array")
    viewer.layers.remove(image)
    tool.panel.labels.layers.setCurrentText(labels.name)
    first = save(tool, wait)
    assert first.name == "image"
    over = viewer.add_labels(np.zeros((20, 30, 32), np.uint8), name="mine", scale=(2, 1, 1), units="mm")
    paint(viewer, over, 2)
    second = save(tool, wait)
    assert second.name == "image-2"
    tool.panel.labels.layers.setCurrentText(labels.name)
    paint(viewer, labels, 2, row=20)
    assert save(tool, wait) == first


def test_labels_are_of_the_image_they_lie_on_though_another_of_their_shape_is_chosen(desk, wait):
    viewer, tool = desk()
    place = {"scale": (2, 1, 1), "units": "mm"}
    for number, (name, at) in enumerate((("here", 0), ("there", 500))):
        pixels = np.random.default_rng(number).normal(size=(20, 30, 32)).astype(np.float32)
        viewer.add_image(pixels, name=name, translate=(at, 0, 0), **place)
    tool.panel.image.combos[0].setCurrentText("there")
    drawn = np.zeros((20, 30, 32), np.uint8)
    drawn[10, 5:9, 5:9] = 1
    labels = viewer.add_labels(drawn, name="mine", **place)
    assert tool.image_layer is viewer.layers["there"]
    assert labels.metadata[KEY]["drawn_over"] == "here"
    assert save(tool, wait).name == "here"


def test_labels_over_nothing_are_a_drawing_of_their_own(desk, wait):
    viewer, tool = desk()
    alone = viewer.add_labels(np.zeros((20, 30, 32), np.uint8), name="sketch", scale=(2, 1, 1), units="mm")
    paint(viewer, alone, 1)
    assert save(tool, wait).name == "sketch"
    paint(viewer, alone, 1, row=20)
    assert save(tool, wait).name == "sketch"


@pytest.mark.slow
def test_two_files_of_one_name_a_moved_one_and_one_in_the_place_of_another(desk, wait, tmp_path):
    for seed, place in enumerate("ab"):
        make_volume(tmp_path / place / "scan.nii.gz", seed=seed)
    found = []
    for place in "ab":
        _, tool = desk(tmp_path / place / "scan.nii.gz")
        run(tool, wait)
        found.append(save(tool, wait).name)
    assert found == ["scan", "scan-2"]
    (tmp_path / "archive").mkdir()
    moved = shutil.move(tmp_path / "a" / "scan.nii.gz", tmp_path / "archive" / "scan.nii.gz")
    _, tool = desk(moved)
    run(tool, wait)
    assert save(tool, wait).name == "scan", "where it lies does not matter"
    viewer, tool = desk(tmp_path / "b" / "scan.nii.gz")
    paint(viewer, run(tool, wait), 3)
    make_volume(tmp_path / "b" / "scan.nii.gz", seed=7)
    assert save(tool, wait).name == "scan-2", "the labels are those of the image that was opened"
    layer = run(tool, wait)
    assert "changed or replaced after it was opened" in " ".join(layer.metadata[KEY]["provenance"]["notes"])
    _, tool = desk(tmp_path / "b" / "scan.nii.gz")
    run(tool, wait)
    assert save(tool, wait).name == "scan-3", "another image of that name, at that place"


CHILD = """
import os, signal, sys
import napari, numpy as np
from qtpy.QtTest import QTest
from workbench.core import registry
from tests.workbench_napari.shared import threshold
rows = {**registry.backends(), "threshold": threshold.ROW}
registry.backends = lambda: rows
from workbench_napari.launch import open_files
from tests.workbench_napari.contract_window import press, until
from tests.workbench_napari.mouse import canvas_of
from tests.workbench_napari.volume.test_keeping import paint

scan, out, truth, wanted = sys.argv[1:]
viewer = napari.Viewer(show=True)
tool = open_files(viewer, [scan])
tool.model.choose("threshold")
tool.folder.setText(out)
until(lambda: canvas_of(viewer).width() > 200)

def save():
    press(tool.save_button)
    until(lambda: not tool.runner.is_busy)
    assert tool.runner.error is None, tool.status.text()

press(tool.run_button)
until(lambda: not tool.runner.is_busy)
labels = tool.labels_layer
paint(viewer, labels, 3)
np.save(truth + "/first.npy", labels.data)
save()
paint(viewer, labels, 3, row=20)
np.save(truth + "/second.npy", labels.data)
tool.journal.flush()

def killing(name):
    real = getattr(os, name)
    def step(*arguments, **named):
        if f"{name} {os.path.basename(str(arguments[-1]))}".startswith(wanted):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    setattr(os, name, step)

for name in ("link", "rename", "replace", "rmdir"):
    killing(name)
save()
print("was not killed", flush=True)
"""

STEPS = ["link labels.nii.gz", "rename 2", "rename .part-next", "replace labels.nii.gz", "replace provenance.json"]
"""Where the second save is killed: while the version is made, when it gets its name, when the new state begins to
count, while it is put in place, before its record."""


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_in_the_middle_of_a_save_nothing_is_lost(display, desk, wait, tmp_path, step):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    script, scan = tmp_path / "child.py", make_volume(tmp_path / "ct.nii.gz")
    script.write_text(textwrap.dedent(CHILD))
    root = Path(__file__).resolve().parents[3]
    path = os.pathsep.join([str(root), str(root / "plugins"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(script), str(scan), str(tmp_path / "out"), str(tmp_path), step]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr
    first, second = np.load(tmp_path / "first.npy"), np.load(tmp_path / "second.npy")
    case = tmp_path / "out" / "ct"
    whole = [v for v in (case, *versions(case)) if not v.name.startswith(".") and _holds(v, first)]
    assert whole, "what was saved first lies somewhere, with its record"
    assert len(Store().entries()) == 1, "the recovery copy goes only once the save is complete"
    viewer, tool = desk(scan)
    (back,) = tool.recovery.restore_chosen()
    assert np.array_equal(back.data, second)
    tool.panel.labels.layers.setCurrentText(back.name)
    assert save(tool, wait) == case
    assert np.array_equal(labels_in(case), second)
    assert record_in(case)["edited_by_hand"] is True
    assert [np.array_equal(labels_in(v), first) for v in versions(case)] == [True]
    assert [p.name for p in case.rglob(".*")] == []
    tool.journal.flush()
    assert Store().entries() == []
    assert viewer.layers


def _holds(folder, labels):
    try:
        record_in(folder)
        return np.array_equal(labels_in(folder), labels)
    except (AssertionError, OSError, ValueError, wb.WorkbenchError):
        return False
