"""Hand edits survive: every kind of edit, crashes, failed saves, two windows at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared import journal as module
from workbench_napari.shared.journal import journal_of
from workbench_napari.shared.recovery_panel import RecoveryPanel
from workbench_napari.shared.recovery_store import Store, is_alive, read_array
from workbench_napari.shared.saving import state_of

from workbench.volume.placement import layer_world

pytestmark = pytest.mark.gui


@pytest.fixture
def journalled(window):
    viewer = window()
    return viewer, journal_of(viewer)


def only_array(journal):
    journal.flush()
    (entry,) = journal.store.entries()
    return read_array(entry)


def test_every_kind_of_edit_is_kept(journalled):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((12, 40, 50), np.uint16), name="mine")
    assert not journal.is_unsaved(layer)
    layer.brush_size = 5
    for edit in (
        lambda: layer.paint((3, 10, 10), 2),
        lambda: layer.paint((4, 20, 30), 7),
        lambda: layer.fill((3, 0, 0), 3),
        layer.undo,
        layer.undo,
        layer.redo,
        lambda: layer.paint_polygon([[5, 1, 1], [5, 30, 1], [5, 30, 30]], 4),
        lambda: layer.data_setitem((np.array([1, 2]), np.array([3, 4]), np.array([5, 6])), 9),
        lambda: setattr(layer, "data", layer.data[:, ::-1].copy()),
        lambda: layer.paint((0, 0, 0), 1),
    ):
        edit()
        assert np.array_equal(only_array(journal), layer.data)
    assert journal.is_unsaved(layer)


def test_slices_and_views_are_no_edits(journalled, qtbot):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((12, 40, 50), np.uint8))
    viewer.dims.set_current_step(0, 3)
    layer.contour = 1
    layer.contour = 0
    layer.refresh()
    viewer.dims.ndisplay = 3
    journal.flush()
    assert not journal.is_unsaved(layer)
    assert journal.store.entries() == []


def test_a_stroke_is_kept_while_the_button_is_down(journalled):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((4, 40, 40), np.uint8))
    layer._begin_stroke()
    layer.paint((1, 10, 10), 3)
    assert np.array_equal(only_array(journal), layer.data)
    layer.paint((1, 20, 20), 3)
    assert np.array_equal(only_array(journal), layer.data)
    layer._abort_stroke()
    assert not layer.data.any()
    assert not only_array(journal).any()


def test_edits_reach_the_disk_within_five_seconds_without_help(journalled, wait):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((30, 200, 200), np.uint8))
    layer.paint((3, 10, 10), 2)
    wait(lambda: bool(journal.store.entries()), 5.0)
    layer.paint((4, 50, 50), 2)
    journal_time = journal.store.entries()[0].updated
    wait(lambda: journal.store.entries()[0].updated > journal_time, 5.0)
    (entry,) = journal.store.entries()
    assert np.array_equal(read_array(entry), layer.data)


def test_large_layer_does_not_freeze_the_window(journalled):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((256, 256, 256), np.uint16))
    layer.data[40:200, 40:200, 40:200] = 5
    layer.paint((100, 128, 128), 2)
    start = time.perf_counter()
    journal._write_dirty()
    layer.paint((101, 60, 60), 3)  # while the thread writes
    layer.paint((255, 250, 250), 3)
    journal._write_dirty()
    on_main_thread = time.perf_counter() - start
    print(f"main thread was busy for {on_main_thread * 1000:.0f} ms")
    assert on_main_thread < 0.5
    assert np.array_equal(only_array(journal), layer.data)


def test_many_edits_are_compacted(journalled, monkeypatch):
    viewer, journal = journalled
    monkeypatch.setattr(module, "_MANY_DELTAS", 3)
    layer = viewer.add_labels(np.zeros((12, 40, 50), np.uint8))
    for i in range(10):
        layer.paint((i, 4 * i, 4 * i), i + 1)
        journal.flush()
    (entry,) = journal.store.entries()
    assert len(list(entry.folder.glob("delta-*"))) <= 3
    assert len(list(entry.folder.glob("base-*"))) == 1
    assert np.array_equal(read_array(entry), layer.data)


def test_points_and_shapes(journalled):
    viewer, journal = journalled
    points = viewer.add_points(
        np.array([[1.0, 2, 3], [4, 5, 6]]), size=3, units="mm", scale=(2, 1, 1), features={"what": ["a", "b"]}, name="p"
    )
    shapes = viewer.add_shapes(ndim=2, name="s", edge_color="red")
    points.add(np.array([7.0, 8, 9]))
    shapes.add_rectangles(np.array([[0, 0], [0, 5], [5, 5], [5, 0]]))
    shapes.add_polygons(np.array([[1, 1], [2, 9], [9, 3]]))
    expected = [d.copy() for d in shapes.data]
    viewer.layers.clear()
    journal.flush()
    restored = {layer.name: layer for layer in map(journal.restore, journal.offers())}
    assert np.array_equal(restored["p"].data, [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert list(restored["p"].features["what"][:2]) == ["a", "b"]
    assert tuple(restored["p"].scale) == (2, 1, 1)
    assert restored["s"].shape_type == ["rectangle", "polygon"]
    assert all(np.array_equal(a, b) for a, b in zip(restored["s"].data, expected, strict=True))
    assert np.allclose(restored["s"].edge_color[0], (1, 0, 0, 1))


def test_removed_layer_can_be_brought_back(journalled):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((4, 30, 30), np.uint8), name="gone", scale=(3, 1, 1), units="mm")
    layer.paint((2, 9, 9), 4)
    data, world = layer.data.copy(), layer_world(state_of(layer)[1])
    panel = RecoveryPanel(viewer, journal)
    assert panel.isHidden()
    viewer.layers.remove(layer)
    journal.flush()
    panel.refresh()
    assert not panel.isHidden()
    assert "removed layer" in panel.list.item(0).text()
    (again,) = panel.restore_chosen()
    assert np.array_equal(again.data, data)
    assert np.array_equal(layer_world(state_of(again)[1]), world)
    assert journal.is_unsaved(again)
    journal.flush()
    assert panel.list.count() == 0
    assert len(journal.store.entries()) == 1
    panel.deleteLater()


def test_closing_the_window_keeps_unsaved_edits_for_the_next_start(window, wait):
    viewer = window()
    journal = journal_of(viewer)
    layer = viewer.add_labels(np.zeros((4, 30, 30), np.uint8), name="unsaved")
    layer.paint((2, 9, 9), 4)
    data = layer.data.copy()
    viewer.close()
    wait(lambda: not module._journals)
    again = window()
    tool = open_files(again, [])
    assert not tool.recovery.isHidden()
    (restored,) = tool.recovery.restore_chosen()
    assert np.array_equal(restored.data, data)
    assert journal is not tool.journal


def test_discard(journalled):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((4, 30, 30), np.uint8))
    layer.paint((2, 9, 9), 4)
    viewer.layers.remove(layer)
    journal.flush()
    panel = RecoveryPanel(viewer, journal)
    panel.discard_chosen()
    assert journal.store.entries() == []
    assert panel.isHidden()
    panel.deleteLater()


def test_damaged_copies_hide_no_other_and_are_said(journalled):
    viewer, journal = journalled
    for name in ("arrays", "record", "nested", "good"):
        viewer.add_labels(np.zeros((4, 30, 30), np.uint8), name=name).paint((2, 9, 9), 4)
    for layer in list(viewer.layers):
        viewer.layers.remove(layer)
    journal.flush()
    folders = {e.name: e.folder for e in journal.offers()}
    next(folders["arrays"].glob("base-*.npz")).write_bytes(b"PK no archive")
    record = json.loads((folders["record"] / "entry.json").read_text(encoding="utf-8"))
    (folders["record"] / "entry.json").write_text(json.dumps(record | {"attributes": {"scale": "wide"}}))
    (folders["nested"] / "entry.json").write_text("[" * 100_000)
    said = []
    journal.message.connect(said.append)
    panel = RecoveryPanel(viewer, journal)
    width = panel.minimumSizeHint().width()
    panel.problems.setText("/" + "longname" * 30)
    assert panel.minimumSizeHint().width() == width, "a path without a place to break does not widen the dock"
    panel.refresh()
    assert panel.list.count() == 3
    assert str(folders["nested"]) in panel.problems.text()
    restored = [layer.name for layer in panel.restore_chosen() if layer is not None]
    assert restored == ["good"]
    assert {s.split("'")[1] for s in said} == {"record", "arrays"}
    assert all("cannot be restored, and stays where it is: " in s and "\n" not in s for s in said)
    journal.flush()
    assert {e.name for e in journal.offers()} == {"arrays", "record"}  # kept, for whoever can save something of them
    assert folders["nested"].is_dir()
    panel.deleteLater()


def test_successful_save_clears_unless_edits_came_later(journalled):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((4, 30, 30), np.uint8))
    layer.paint((2, 9, 9), 4)
    revision = journal.revision(layer)
    layer.paint((2, 20, 20), 4)
    journal.flush()
    journal.saved(layer, revision)
    journal.flush()
    assert len(journal.store.entries()) == 1
    journal.saved(layer)
    journal.flush()
    assert journal.store.entries() == []
    layer.paint((3, 9, 9), 5)
    assert np.array_equal(only_array(journal), layer.data)


def test_what_was_just_saved_is_not_offered_while_its_copy_still_lies_there(journalled):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((4, 40, 40), np.uint8))
    layer.paint((1, 10, 10), 3)
    journal.flush()
    busy = threading.Event()
    journal._submit(lambda: busy.wait(20))
    journal.saved(layer)
    try:
        assert len(journal.store.entries()) == 1, "the writing thread has not come to it yet"
        assert journal.offers() == []
    finally:
        busy.set()
    journal.flush()
    assert journal.store.entries() == []


def test_napari_save_clears_too_and_a_failed_one_keeps(journalled, tmp_path):
    viewer, journal = journalled
    layer = viewer.add_labels(np.zeros((4, 30, 30), np.uint8), scale=(3, 1, 1), units="mm")
    layer.paint((2, 9, 9), 4)
    journal.flush()
    (tmp_path / "blocked").write_text("")
    from workbench.core.errors import InputError

    with pytest.raises(InputError, match="cannot write"):
        layer.save(str(tmp_path / "blocked" / "x.nii.gz"), plugin="napari-workbench")
    journal.flush()
    assert len(journal.store.entries()) == 1
    layer.save(str(tmp_path / "x.nii.gz"), plugin="napari-workbench")
    journal.flush()
    assert journal.store.entries() == []


def test_full_store_says_what_it_dropped(window, home):
    viewer = window()
    journal = journal_of(viewer)
    journal.store = Store(limit_bytes=60_000)
    said = []
    journal.message.connect(said.append)
    rng = np.random.default_rng(0)
    first = viewer.add_labels(rng.integers(0, 200, (5, 100, 100)).astype(np.uint8), name="first")
    first.paint((1, 1, 1), 3)
    viewer.layers.remove(first)
    second = viewer.add_labels(rng.integers(0, 200, (5, 100, 100)).astype(np.uint8), name="second")
    second.paint((1, 1, 1), 3)
    journal.flush()
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    assert [e.name for e in journal.store.entries()] == ["second"]
    assert "full" in said[0]
    assert "'first'" in said[0]


def test_a_store_that_cannot_be_written_is_told(window, home, tmp_path):
    home.write_text("a file where the folder should be")
    viewer = window()
    journal = journal_of(viewer)
    said = []
    journal.message.connect(said.append)
    layer = viewer.add_labels(np.zeros((4, 30, 30), np.uint8))
    layer.paint((1, 1, 1), 3)
    journal.flush()
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    assert "cannot be kept" in said[0]


CHILD = """
import sys, time
import napari, numpy as np
from qtpy.QtCore import QTimer
from workbench_napari.launch import open_files

def edit():
    labels = viewer.layers[-1]
    labels.brush_size = 9
    labels.paint((5, 12, 14), 2)
    labels.selected_label = 1
    np.save(sys.argv[2], labels.data)
    print("edited", flush=True)

viewer = napari.Viewer(show=True)
tool = open_files(viewer, sys.argv[3:])
if sys.argv[1] == "empty":
    image = viewer.layers[0]
    viewer.add_labels(np.zeros(image.data.shape, np.uint8), name="drawn", scale=image.scale, translate=image.translate,
                      units="mm")
QTimer.singleShot(100, edit)
napari.run()
"""


@pytest.fixture
def child(display, tmp_path, home):
    """Starts a real napari in its own process; whatever still runs at the end is killed by its own id."""
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    started = []

    def start(*arguments):
        process = subprocess.Popen([sys.executable, script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline().strip() == "edited"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        process.stdout.close()


def wait_for_entry(seconds=5.0):
    end = time.monotonic() + seconds
    while not Store().entries():
        assert time.monotonic() < end, "the edit was not kept within 5 s"
        time.sleep(0.05)


def test_kill_after_an_edit_start_again_recover(child, window, ct_file, tmp_path):
    process = child("empty", tmp_path / "truth.npy", ct_file)
    wait_for_entry()
    # A second window while the first is alive must not take its work.
    viewer = window()
    tool = open_files(viewer, [])
    assert tool.recovery.list.count() == 0
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    tool.recovery.refresh()
    assert tool.recovery.list.count() == 1
    assert "drawn" in tool.recovery.list.item(0).text()
    (layer,) = tool.recovery.restore_chosen()
    assert np.array_equal(layer.data, np.load(tmp_path / "truth.npy"))
    assert layer.data.any()
    assert layer.name == "drawn"
    assert [str(u) for u in layer.units] == ["millimeter"] * 3
    tool.journal.flush()
    (entry,) = Store().entries()
    assert is_alive(entry)
    assert np.array_equal(read_array(entry), layer.data)


@pytest.mark.slow
def test_kill_recover_save_of_labels_opened_from_a_file(child, window, wait, ct_file, tmp_path):
    import nibabel as nib

    import workbench as wb

    image = wb.read(ct_file)
    data = np.zeros(image.geometry.shape, np.uint8)
    data[4:20, 6:22, 3:9] = 1
    from workbench.core.classes import ClassTable
    from workbench.core.types import Labels

    (path,) = wb.write(Labels(data, image.geometry, ClassTable.from_names(["a", "b"])), tmp_path, name="case_labels")
    process = child("file", tmp_path / "truth.npy", path)
    wait_for_entry()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    viewer = window()
    tool = open_files(viewer, [])
    (layer,) = tool.recovery.restore_chosen()
    assert np.array_equal(layer.data, np.load(tmp_path / "truth.npy"))
    assert [layer.get_color(1), layer.get_color(2)]
    tool.folder.setText(str(tmp_path / "out"))
    assert tool.save()
    wait(lambda: not tool.runner.is_busy)
    written = nib.load(tool.last_folder / "labels.nii.gz")
    assert written.affine.tobytes() == nib.load(ct_file).affine.tobytes()
    assert np.asarray(written.dataobj).sum() == np.load(tmp_path / "truth.npy").sum()
    tool.journal.flush()
    assert Store().entries() == []
