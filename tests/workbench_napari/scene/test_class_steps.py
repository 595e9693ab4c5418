"""Renamed, recoloured, added and removed classes go back and forth, in one order with the strokes of the brush."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from workbench_napari.shared.opening import PLUGIN

pytestmark = pytest.mark.gui


def test_classes_and_strokes_in_one_order(window, qtbot, wait):
    viewer = window()
    canvas = viewer.window._qt_viewer.canvas.native
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, "Spectra tool", tabify=False)
    viewer.open_sample("napari-workbench", "spectral_scene")
    painting = tool.painting
    water, soil = painting.add_class("water"), painting.add_class("soil")
    layer = painting.layer

    def state():
        return [(c.name, c.color) for c in painting.classes], int((layer.data > 0).sum())

    layer.paint((5, 5), water)
    states = [state()]
    for change in (
        lambda: painting.rename_class(water, "lake"),
        lambda: layer.paint((20, 20), soil),
        lambda: painting.recolor_class(soil, (1, 2, 3)),
        lambda: painting.remove_class(water),
        lambda: painting.add_class("roof"),
    ):
        change()
        states.append(state())
    assert len({str(s) for s in states}) == 6
    for expected in states[-2::-1]:
        qtbot.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert state() == expected
    for expected in states[1:]:
        painting.redo_button.click()
        assert state() == expected
