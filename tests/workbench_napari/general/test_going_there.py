"""After a run the view goes to the result, and it is chosen: with the mouse, in the general tool."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from workbench_napari.launch import GENERAL, open_files
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.shared.views import camera_of, canvas_of

from tests.workbench_napari.general.plates import make_plate
from tests.workbench_napari.mouse import at_rest, drag
from tests.workbench_napari.shared import threshold
from workbench.core import registry
from workbench.core.layers import KEY

pytestmark = pytest.mark.gui


def run(tool, wait):
    QTest.mouseClick(tool.run_button, Qt.MouseButton.LeftButton)
    wait(lambda: not tool.is_busy and tool.shown.token, 120)


def in_picture(viewer, layer, index):
    """Whether a place of a layer is on the canvas."""
    camera, canvas = camera_of(viewer), canvas_of(viewer)
    world = np.array(layer.data_to_world(index))[-2:]
    half = np.array([canvas.height(), canvas.width()]) / camera.zoom / 2
    return bool((np.abs(world - camera.center[-2:]) <= half).all())


@pytest.fixture
def plate(plates, window, tmp_path):
    viewer = window(show=True)
    tool = open_files(viewer, [make_plate(tmp_path / "p.plate")])
    at_rest(viewer)
    return viewer, tool


def test_the_picture_moves_to_outlines_that_are_not_in_it(plate, wait):
    viewer, tool = plate
    camera_of(viewer).zoom, camera_of(viewer).center = 60.0, (0.0, 36.0, 55.0)
    run(tool, wait)
    layer = viewer.layers.selection.active
    assert layer.metadata[KEY]["part"] == "colonies"
    assert any(in_picture(viewer, layer, np.mean(d, axis=0)) for d in layer.data)
    assert camera_of(viewer).zoom == 60.0


def test_a_picture_that_shows_some_of_it_stays_and_one_that_was_moved_meanwhile_too(plate, wait):
    viewer, tool = plate
    before = (camera_of(viewer).zoom, tuple(camera_of(viewer).center))
    run(tool, wait)
    assert (camera_of(viewer).zoom, tuple(camera_of(viewer).center)) == before
    image = viewer.layers[0]
    viewer.layers.selection.active = image
    camera_of(viewer).zoom, camera_of(viewer).center = 60.0, (0.0, 36.0, 55.0)
    QTest.mouseClick(tool.run_button, Qt.MouseButton.LeftButton)
    drag(viewer, (300, 200), (340, 200))
    moved = tuple(camera_of(viewer).center)
    assert moved[-1] != 55.0
    wait(lambda: not tool.is_busy, 60)
    assert tuple(camera_of(viewer).center) == moved
    assert viewer.layers.selection.active is not image


def test_the_slice_goes_to_labels_of_a_volume(window, wait, monkeypatch, tmp_path):
    rows = {**registry.backends(), "threshold": threshold.ROW}
    monkeypatch.setattr(registry, "backends", lambda: rows)
    data = np.zeros((20, 22, 24), np.float32)
    data[4:9, 5:12, 17:21] = 200
    nib.save(nib.Nifti1Image(data, np.diag([3.0, 3.0, 4.0, 1.0])), tmp_path / "v.nii.gz")
    viewer = window(show=True)
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, GENERAL, tabify=False)
    tool.input.model.choose("threshold")
    viewer.open(str(tmp_path / "v.nii.gz"), plugin=PLUGIN)
    viewer.dims.set_current_step(0, 2)
    at_rest(viewer)
    run(tool, wait)
    labels = viewer.layers.selection.active
    assert type(labels).__name__ == "Labels"
    assert np.asarray(labels.data)[viewer.dims.current_step[0]].any()
