"""An orientation that no file gives, set by hand in the Volume tool: nothing comes apart, and what is saved says so."""

from __future__ import annotations

import json
import time

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from workbench_napari.launch import open_files
from workbench_napari.shared.journal import journal_of
from workbench_napari.volume.orientation import letters_of

from tests.workbench_napari.mouse import at_rest
from tests.workbench_napari.shared import threshold
from tests.workbench_napari.volume.window import run, save
from workbench.core import registry
from workbench.core.layers import KEY

pytestmark = pytest.mark.gui

SPACING = (4.0, 3.0, 2.0)
SHAPE = (14, 20, 26)


def stack():
    """Bright in one corner of the array, brightest towards its origin: no two orientations look the same."""
    data = np.zeros(SHAPE, np.float32)
    data[2:6, 3:8, 4:11] = 200
    data[2:4, 3:5, 4:6] = 250
    return data


@pytest.fixture
def desk(window, monkeypatch, tmp_path):
    """A viewer with a stack of another reader, the tool docked, and a threshold as method."""
    rows = {**registry.backends(), "threshold": threshold.ROW}
    monkeypatch.setattr(registry, "backends", lambda: rows)
    viewer = window(show=True)
    image = viewer.add_image(stack(), name="stack", scale=SPACING, units="mm")
    tool = open_files(viewer, [], tool="volume")
    tool.model.choose("threshold")
    tool.model.form.set_values({"level": 100.0})
    tool.folder.setText(str(tmp_path / "out"))
    at_rest(viewer)
    return viewer, tool, image


def click(tool, part):
    tool.pages.turn_to(part)
    end = time.monotonic() + 20
    while not (part.isEnabled() and part.height()) and time.monotonic() < end:
        QTest.qWait(20)  # a page that was just turned to is laid out in the next turn
    tool._wanted = part
    tool._scroll_to()
    assert part.isVisible()
    assert part.isEnabled()
    QTest.mouseClick(part, Qt.MouseButton.LeftButton)


def choose(tool, code):
    """Choose in the list with the mouse."""
    box = tool.panel.image.orientation.codes
    tool.pages.turn_to(box)
    tool._wanted = box
    tool._scroll_to()
    end = time.monotonic() + 20
    while not box.view().isVisible() and time.monotonic() < end:
        QTest.mouseClick(box, Qt.MouseButton.LeftButton)
        QTest.qWait(50)
    QTest.qWait(QApplication.doubleClickInterval() + 100)  # Qt takes an earlier release for that of the first click
    index = box.model().index(box.findData(code), 0)
    box.view().scrollTo(index)
    QTest.qWait(50)
    place = box.view().visualRect(index).center()
    QTest.mouseMove(box.view().viewport(), place)
    QTest.mouseClick(box.view().viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert box.currentData() == code


def bright(layer, value=200):
    return np.array([layer.data_to_world(i) for i in np.argwhere(np.asarray(layer.data) >= value)]).mean(axis=0)


def test_the_box_says_what_is_assumed_and_is_not_there_where_the_file_tells(desk, ct_file):
    viewer, tool, image = desk
    box = tool.panel.image.orientation
    assert box.isVisible()
    assert "SPL is assumed" in box.told.text()
    assert "layer axes were taken as z: to the head" in box.told.text()
    assert not box.reset.isEnabled()
    assert letters_of(viewer, image) == {"left": "R?", "right": "L?", "top": "A?", "bottom": "P?"}
    viewer.open(str(ct_file), plugin="napari-workbench")
    assert tool.image_layer.name == "ct"
    assert not box.isVisible()


def test_a_flip_turns_image_labels_points_and_letters_together_and_back(desk, wait):
    viewer, tool, image = desk
    labels = run(tool, wait)
    points = viewer.add_points([[8.0, 9.0, 10.0], [10.0, 12.0, 14.0]], name="marks", units="mm")
    other = viewer.add_labels(np.ones((5, 5, 5), np.uint8), name="elsewhere", translate=(900, 900, 900), units="mm")
    viewer.layers.selection.active = image
    where = other.data_to_world((1, 2, 3))
    start = [x.data.copy() for x in (image, labels, points)]
    before, seen = bright(image), [points.data_to_world(p) for p in points.data]
    value = [float(image.data[tuple(np.rint(image.world_to_data(p)).astype(int))]) for p in seen]
    click(tool, tool.panel.image.orientation.flips["L"])
    assert "set to SPR by hand, and 2 layers with it" in tool.status.text()
    assert letters_of(viewer, image) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    middle = (np.array(SHAPE) - 1) / 2 * SPACING
    assert np.allclose(bright(image), before * (1, 1, -1) + (0, 0, 2 * middle[2]))
    assert np.allclose(bright(labels, 1), bright(image))
    now = [points.data_to_world(p) for p in points.data]
    assert np.allclose(now, [p * (1, 1, -1) + (0, 0, 2 * middle[2]) for p in np.array(seen)])
    assert [float(image.data[tuple(np.rint(image.world_to_data(p)).astype(int))]) for p in now] == value
    assert np.allclose(other.data_to_world((1, 2, 3)), where), "what lies elsewhere stays"
    click(tool, tool.panel.image.orientation.reset)
    for layer, data in zip((image, labels, points), start, strict=True):
        assert np.array_equal(layer.data, data)
    assert np.allclose(image.data_to_world((1, 2, 3)), np.array(SPACING) * (1, 2, 3))
    assert "assumed" in tool.panel.image.orientation.told.text()


@pytest.mark.slow
def test_axes_are_exchanged_and_the_run_and_the_file_see_it(desk, wait, tmp_path):
    viewer, tool, image = desk
    choose(tool, "LPS")
    assert image.data.shape == SHAPE[::-1]
    assert np.allclose(image.scale, SPACING[::-1])
    labels = run(tool, wait)
    assert np.allclose(bright(labels, 1), bright(image))
    folder = save(tool, wait)
    written = nib.load(folder / "labels.nii.gz")
    assert "".join(nib.aff2axcodes(written.affine)) == "LPS"
    assert np.array_equal(np.asarray(written.dataobj) > 0, stack() > 100), "in the order of the array that was opened"
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert "orientation set by hand: LPS instead of SPL" in record["notes"]
    assert not record["edited_by_hand"]
    viewer.layers.remove(labels)
    choose(tool, "PIR")
    labels = run(tool, wait)
    assert save(tool, wait) == folder, "turned another way it still is the same image"
    choose(tool, "LPS")
    # Turned after it was made: what is shown is what is saved.
    viewer.layers.selection.active = image
    click(tool, tool.panel.image.orientation.flips["S"])
    assert journal_of(viewer).is_unsaved(labels)
    folder = save(tool, wait)
    written = nib.load(folder / "labels.nii.gz")
    assert "".join(nib.aff2axcodes(written.affine)) == "LPI"
    assert np.array_equal(np.asarray(written.dataobj) > 0, stack() > 100)
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert "orientation set by hand: LPI instead of SPL" in record["notes"]
    assert not record["edited_by_hand"], "no voxel was corrected"
    again = viewer.open(str(folder / "labels.nii.gz"), plugin="napari-workbench", layer_type="labels")[0]
    assert np.allclose(bright(again, 1), bright(image))


def test_undo_takes_back_strokes_and_orientation_in_the_order_they_came(desk):
    viewer, tool, image = desk
    tool.drawing.new_labels(image)
    labels = tool.labels_layer
    labels.brush_size = 3
    labels.paint((4, 5, 6), 1)
    one = labels.data.copy()
    labels.data_setitem((np.array([9, 9]), np.array([8, 7]), np.array([7, 7])), 2)
    both = labels.data.copy()
    viewer.layers.selection.active = image
    choose(tool, "PIR")
    turned = labels.data.copy()
    labels.paint((3, 3, 3), 1)
    back = lambda: QTest.keyClick(tool, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)  # noqa: E731
    forth = lambda: QTest.keyClick(  # noqa: E731
        tool, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    back()
    assert np.array_equal(labels.data, turned), "the stroke came last"
    labels.undo()
    assert np.count_nonzero(labels.data == 2) == 0
    assert np.count_nonzero(labels.data) == np.count_nonzero(one), "a stroke of before, where it lies now"
    click(tool, tool.panel.image.orientation.reset)
    assert np.array_equal(labels.data, one)
    back()
    assert labels.data.shape == turned.shape, "the orientation came last"
    labels.redo()
    assert np.array_equal(labels.data, turned)
    click(tool, tool.panel.image.orientation.reset)
    assert np.array_equal(labels.data, both)
    back()
    forth()
    assert np.array_equal(labels.data, both)


def test_arrows_through_the_list_are_one_step(desk):
    _, tool, image = desk
    box = tool.panel.image.orientation.codes
    tool._wanted = box
    tool._scroll_to()
    box.setFocus()
    for _ in range(3):
        QTest.keyClick(box, Qt.Key.Key_Up)
    assert image.metadata[KEY]["orientation"]["set"] == box.currentData() != "SPL"
    tool._step("undo")
    assert "set" not in image.metadata[KEY]["orientation"]
    assert np.array_equal(image.data, stack())


def test_after_a_crash_labels_come_back_turned_and_the_image_follows_them(desk, wait, window):
    viewer, tool, image = desk
    tool.drawing.new_labels(image)
    labels = tool.labels_layer
    labels.paint((4, 5, 6), 1)
    viewer.layers.selection.active = image
    choose(tool, "PIR")
    wanted, place = labels.data.copy(), bright(labels, 1)
    journal = journal_of(viewer)
    journal.flush()
    viewer.layers.remove(labels)
    viewer.layers.remove(image)
    journal.flush()
    image = viewer.add_image(stack(), name="stack", scale=SPACING, units="mm")
    (entry,) = journal.offers()
    labels = journal.restore(entry)
    assert np.array_equal(labels.data, wanted)
    assert np.allclose(bright(labels, 1), place)
    assert image.data.shape == labels.data.shape
    assert np.allclose(image.data_to_world((1, 2, 3)), labels.data_to_world((1, 2, 3)))
    assert "as its labels were set by hand" in tool.status.text()
    assert image.metadata[KEY]["orientation"]["set"] == "PIR"


def test_a_pyramid_is_turned_at_every_level(desk, wait):
    viewer, tool, _ = desk
    data = stack()[:, :, :24]
    many = viewer.add_image([data, data[::2, ::2, ::2]], name="many", multiscale=True, scale=SPACING, units="mm")
    viewer.layers.selection.active = many
    tool.panel.image.combos[0].setCurrentText("many")
    tool.panel.image.level.setCurrentIndex(1)
    choose(tool, "LPI")
    assert [tuple(x.shape) for x in many.data] == [(24, 20, 14), (12, 10, 7)]
    assert "LPI" in tool.panel.image.orientation.told.text()
    labels = run(tool, wait)
    fine = np.array([many.data_to_world(i) for i in np.argwhere(np.asarray(many.data[0]) > 100)]).mean(axis=0)
    assert np.allclose(bright(labels, 1), fine, atol=max(SPACING))
    assert letters_of(viewer, many) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    click(tool, tool.panel.image.orientation.reset)
    assert [tuple(x.shape) for x in many.data] == [(14, 20, 24), (7, 10, 12)]
    assert np.allclose(many.data_to_world((1, 2, 3)), np.array(SPACING) * (1, 2, 3))
    assert np.allclose(bright(labels, 1), np.argwhere(data > 100).mean(axis=0) * SPACING, atol=max(SPACING))
