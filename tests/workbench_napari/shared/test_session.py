"""A session comes back as it was: layers, unsaved work, tools and their settings; what strangers put in it does not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared import session_file
from workbench_napari.shared.journal import journal_of
from workbench_napari.shared.session import save_session
from workbench_napari.shared.session_file import FileRef, copies_of, read_copy, read_session
from workbench_napari.shared.views import camera_of

import workbench as wb

pytestmark = pytest.mark.gui

REOPEN = """
import json, sys, time
import napari
from qtpy.QtWidgets import QApplication
from workbench_napari.launch import open_files
from tests.workbench_napari.shared.test_session import state_of_window

viewer = napari.Viewer()
tool = open_files(viewer, [sys.argv[1]])
state = state_of_window(viewer, tool)
assert tool.save(), tool.status.text()
while tool.runner.is_busy:
    QApplication.processEvents()
    time.sleep(0.01)
print(json.dumps([state, tool.status.text(), tool.unsaved_sign.is_on]), flush=True)
viewer.close()
"""


def state_of_window(viewer, tool):
    """All that must be equal after a session was opened, as plain values."""
    layers = []
    for layer in viewer.layers:
        data = layer.data if isinstance(layer.data, list) else [layer.data]
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in data)).hexdigest()
        affine = np.asarray(layer.data_to_world(np.ones(layer.ndim))).round(9).tolist()
        looks = [layer.name, type(layer).__name__, bool(layer.visible), layer.opacity, str(layer.blending)]
        limits = [float(v) for v in layer.contrast_limits] if hasattr(layer, "contrast_limits") else []
        colors = layer.colormap.name if hasattr(layer, "contrast_limits") else ""
        layers.append([*looks, digest, affine, limits, colors, journal_of(viewer).is_unsaved(layer)])
    camera, dims = camera_of(viewer), viewer.dims
    return {
        "layers": layers,
        "active": viewer.layers.selection.active.name,
        "camera": [round(float(v), 6) for v in (*camera.center, camera.zoom, *camera.angles)],
        "dims": [list(dims.order), dims.ndisplay, [int(v) for v in dims.current_step]],
        "settings": tool.remembered.snapshot(),
        "chosen": tool.labels_layer.name,
    }


def store(viewer, path, wait):
    assert save_session(viewer, path)
    runner = session_runner(viewer)
    wait(lambda: not runner.is_busy, 60)
    assert runner.error is None, runner.error
    return path


def session_runner(viewer):
    from workbench_napari.shared.worker import runner_of

    return runner_of(viewer)


@pytest.fixture
def work(window, ct_file, tmp_path, wait):
    """A CT of a folder of its own with hand work over it: one map saved, one not, and layers without files."""
    (tmp_path / "data").mkdir()
    ct = shutil.copy(ct_file, tmp_path / "data" / "ct.nii.gz")
    viewer = window()
    tool = open_files(viewer, [ct])
    (tmp_path / "out").mkdir()
    tool.folder.setText(str(tmp_path / "out"))
    tool.format.setCurrentText("NIfTI (.nii.gz)")
    tool.drawing.new_labels(tool.image_layer)
    tool.labels_layer.data_setitem(tuple(np.array([[3, 3, 4], [4, 5, 5], [5, 5, 6]])), 1)
    return viewer, tool, Path(ct)


def test_a_session_opens_in_another_process_as_it_was_and_saves_the_same(work, window, tmp_path, wait, display):
    viewer, tool, _ = work
    tool.labels_layer.name = "my organs"
    assert tool.save()
    wait(lambda: not tool.runner.is_busy, 60)
    (saved,) = (tmp_path / "out").rglob("labels.nii.gz")
    before = saved.read_bytes()
    tool.drawing.new_labels(tool.image_layer)
    tool.labels_layer.name = "a second reader"
    tool.labels_layer.data_setitem(tuple(np.array([[8], [9], [9]])), 1)
    viewer.add_image(np.random.default_rng(0).random((5, 6, 7)), name="no file", colormap="magma", visible=False)
    viewer.add_points([[1.0, 2.0, 3.0]], name="spots", size=3).add([[4, 5, 6]])
    viewer.layers["ct"].contrast_limits = (-90, 210)
    viewer.layers["ct"].name = "patient 7"
    viewer.layers["spots"].opacity = 0.4
    viewer.layers.selection.active = viewer.layers["my organs"]
    viewer.dims.current_step = (7, 8, 9)
    camera_of(viewer).zoom = 3.5
    assert tool.labels_layer.name == "my organs"
    expected = state_of_window(viewer, tool)
    path = store(viewer, tmp_path / "week 3.session", wait)
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", REOPEN, str(path)], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
    state, said, sign = json.loads(done.stdout.strip().splitlines()[-1])
    assert state == expected
    unsaved = {row[0]: row[-1] for row in state["layers"]}
    assert unsaved["my organs"] is False
    assert unsaved["a second reader"] is True
    assert sign, "what was restored as unsaved is unsaved again"
    assert said.startswith("Saved labels.nii.gz")
    assert [p for p in (tmp_path / "out").rglob("labels.nii.gz") if p.read_bytes() != before] == []
    assert saved.read_bytes() == before
    assert (
        len(list((tmp_path / "out").iterdir()))
        == len([p for p in (tmp_path / "out").iterdir() if p.name[0] == "."]) + 1
    )


def test_what_has_moved_is_found_and_what_is_gone_or_changed_is_said_by_name(work, window, tmp_path, wait):
    viewer, tool, ct = work
    tool.labels_layer.name = "mine"
    store(viewer, tmp_path / "data" / "a.session", wait)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "data", moved)
    ct.unlink()
    again = open_files(window(), [moved / "a.session"])
    assert [layer.name for layer in again.viewer.layers] == ["ct", "mine"]
    assert again.status.text() == ""
    assert again.viewer.layers["ct"].metadata["workbench"]["source"] == str(moved / "ct.nii.gz")
    assert again.labels_layer.metadata["workbench"].get("source", str(moved / "ct.nii.gz")) == str(moved / "ct.nii.gz")
    (moved / "ct.nii.gz").write_bytes((moved / "ct.nii.gz").read_bytes() + b"\0")
    changed = open_files(window(), [moved / "a.session"])
    assert [layer.name for layer in changed.viewer.layers] == ["mine"]
    assert f"'ct': {moved / 'ct.nii.gz'}: has changed since the session was saved" in changed.status.text()
    (moved / "ct.nii.gz").unlink()
    gone = open_files(window(), [moved / "a.session"])
    assert f"'ct': {ct}: is gone" in gone.status.text()
    assert gone.unsaved_sign.is_on
    assert np.array_equal(gone.labels_layer.data, tool.labels_layer.data)


def test_saving_again_replaces_copies_and_a_failure_leaves_the_session_as_it_was(work, window, tmp_path, wait):
    viewer, _, _ = work
    path = store(viewer, tmp_path / "a.session", wait)
    first = {p.name for p in copies_of(path).root.iterdir()}
    store(viewer, path, wait)
    second = {p.name for p in copies_of(path).root.iterdir()}
    assert len(second) == len(first) == 1
    assert not first & second
    before = path.read_bytes()

    def fail():
        raise OSError("the disk is full")

    with pytest.raises(wb.UsageError, match="full"):
        session_file.write_session(path, {"layers": [{"name": "x"}]}, {0: fail})
    assert path.read_bytes() == before
    assert {p.name for p in copies_of(path).root.iterdir()} == second


def test_a_session_of_a_window_that_holds_something_gets_a_window_of_its_own(work, window, tmp_path, wait, ct_file):
    import napari
    from workbench_napari.shared.session import open_and_tell
    from workbench_napari.shared.session_commands import dock_tool

    viewer, _, _ = work
    path = store(viewer, tmp_path / "a.session", wait)
    before = list(viewer.layers)
    other = open_and_tell(viewer, path, dock_tool)
    try:
        assert other is not viewer
        assert list(viewer.layers) == before
        assert [layer.name for layer in other.layers] == [layer.name for layer in before]
    finally:
        other.close()
    assert isinstance(other, napari.Viewer)


def test_the_menu_saves_and_opens(work, window, tmp_path, wait, monkeypatch):
    from app_model.types import MenuItem
    from napari._app_model import get_app_model
    from qtpy.QtWidgets import QFileDialog

    viewer, _, _ = work
    path = tmp_path / "by menu.session"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: (str(path.with_suffix("")), ""))
    app = get_app_model()
    items = app.menus.get_menu("napari/file/io_utilities")
    titles = {item.command.title: item.command.id for item in items if isinstance(item, MenuItem)}
    found = {title.split(" (")[0]: command for title, command in titles.items()}
    app.commands.execute_command(found["Save session as..."]).result()
    wait(path.exists, 30)
    wait(lambda: not session_runner(viewer).is_busy, 30)
    empty = window()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: (str(path), ""))
    app.commands.execute_command(found["Open session..."]).result()
    assert [layer.name for layer in empty.layers] == [layer.name for layer in viewer.layers]


# --- files of strangers


def test_a_later_format_and_what_is_no_session_are_refused_in_a_line(window, tmp_path, wait):
    path = tmp_path / "later.session"
    path.write_text(json.dumps({"format": 2, "layers": []}))
    tool = open_files(window(), [path], tool="volume")
    with pytest.raises(wb.InputError, match=r"later version of the workbench \(format 2, this one reads 1\)"):
        read_session(path)
    assert not len(tool.viewer.layers)
    for text in (
        "",
        "[]",
        "{}",
        '{"format": "1"}',
        '{"format": 1, "layers": {}}',
        '{"format": 1, "layers": [3]}',
        "[" * 9999,
    ):
        path.write_text(text)
        with pytest.raises(wb.InputError, match=r"later\.session"):
            read_session(path)


@pytest.mark.parametrize("name", ["../secret", "/etc", "..", "", "20261128-150034-1523c2c8/../../x", "a" * 300])
def test_a_copy_is_looked_for_by_a_plain_name_only(tmp_path, name):
    (tmp_path / "secret").mkdir()
    np.savez(tmp_path / "secret" / "base-000001.npz", data=np.ones(3))
    path = tmp_path / "a.session"
    copies_of(path).root.mkdir()
    with pytest.raises(wb.InputError, match="no copy of this session"):
        read_copy(copies_of(path), name)


def test_links_objects_and_bombs_in_copies_are_refused(tmp_path, monkeypatch):
    path, name = tmp_path / "a.session", "20261128-150034-1523c2c8"
    outside = tmp_path / "outside"
    outside.mkdir()
    np.savez(outside / "base-000001.npz", data=np.ones(3))
    (tmp_path / "a.session-layers").symlink_to(outside)
    with pytest.raises(wb.InputError, match="a link"):
        copies_of(path)
    (tmp_path / "a.session-layers").unlink()
    root = copies_of(path).root
    root.mkdir()
    (root / name).symlink_to(outside)
    with pytest.raises(wb.InputError, match="no copy"):
        read_copy(copies_of(path), name)
    (root / name).unlink()
    (root / name).mkdir()
    np.savez(root / name / "base-000001.npz", data=np.array([{}], dtype=object))
    with pytest.raises(wb.InputError):
        read_copy(copies_of(path), name)
    np.savez_compressed(root / name / "base-000001.npz", data=np.zeros(3_000_000, np.uint8))
    monkeypatch.setattr(session_file, "LIMIT_BYTES", 1_000_000)
    with pytest.raises(wb.InputError, match="GB"):
        read_copy(copies_of(path), name)


def test_a_session_reads_only_the_file_that_was_open_and_writes_none(tmp_path):
    victim = tmp_path / "victim.nii.gz"
    victim.write_bytes(b"of somebody else")
    session = tmp_path / "s" / "a.session"
    session.parent.mkdir()
    row = {"path": "../victim.nii.gz", "absolute": str(victim), "files": [["victim.nii.gz", 3, 4, None]]}
    with pytest.raises(wb.InputError, match="has changed"):
        FileRef.from_json(row).find(session)
    for broken in ({}, {"path": 3}, {**row, "files": []}, {**row, "files": [[1, 2, 3, 4]]}, {**row, "path": "a\0b"}):
        assert FileRef.from_json(broken) is None
    assert victim.read_bytes() == b"of somebody else"


def test_a_header_and_its_samples_are_one_file(tmp_path):
    (tmp_path / "cube.hdr").write_text("ENVI")
    (tmp_path / "cube.dat").write_bytes(b"12345678")
    reference = FileRef.of(tmp_path / "cube.hdr", tmp_path / "a.session")
    assert reference.path == "cube.hdr"
    assert reference.find(tmp_path / "a.session") == tmp_path / "cube.hdr"
    (tmp_path / "cube.dat").write_bytes(b"12345679")
    with pytest.raises(wb.InputError, match="has changed"):
        reference.find(tmp_path / "a.session")
