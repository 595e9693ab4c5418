"""Undo and redo of outlines and points by the keys of the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from workbench_napari.shared.steps_back import StepsBack

pytestmark = pytest.mark.gui
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def test_outlines_and_points_go_back_and_forth(window, qtbot, wait):
    viewer = window()
    canvas = viewer.window._qt_viewer.canvas.native
    square = np.array([[0, 0], [0, 9], [9, 9], [9, 0]], float)
    shapes = viewer.add_shapes([square], shape_type="polygon", features={"name": ["a"]})
    points = viewer.add_points([[1.0, 2.0]], features={"name": ["p"]})
    steps = StepsBack(viewer, lambda layer: True, viewer.window._qt_window)
    steps.look_around()
    for layer, edit in ((shapes, lambda: shapes.add_polygons([square + 20])), (points, lambda: points.add([5.0, 5.0]))):
        viewer.layers.selection.active = layer
        edit()
        wait(lambda layer=layer: len(steps._followed[id(layer)]._undo) == 1)
        layer.selected_data = {0}
        layer.remove_selected()
        assert len(layer.data) == 1
        qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL)
        assert (len(layer.data), layer.features["name"].iloc[0]) == (2, "a" if layer is shapes else "p")
        qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL)
        assert len(layer.data) == 1
        qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL | SHIFT)
        assert len(layer.data) == 2
    steps.let_go()
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL)
    assert len(points.data) == 2, "a closed tool leaves the keys"
