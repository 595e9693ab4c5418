"""Keys with the focus on the canvas, none of them napari's, and the sheet that lists them."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from workbench_napari.shared.key_sheet import KeySheet
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.shared.shortcuts import desk_of, same

pytestmark = pytest.mark.gui
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def docked(window):
    viewer = window(show=True)
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, "MEG tool", tabify=False)
    viewer.open_sample("napari-workbench", "meg_recording")
    return viewer, tool


def test_keys_work_on_the_canvas(docked, qtbot, wait):
    viewer, tool = docked
    canvas = viewer.window._qt_viewer.canvas.native
    wait(lambda: tool.stack.blocks)
    tool.stack.set_cursor(2.0)
    qtbot.keyClick(canvas, Qt.Key.Key_Right, CONTROL)
    assert tool.stack.cursor == pytest.approx(2.0 + 1 / 250)
    qtbot.keyClick(canvas, Qt.Key.Key_D, CONTROL)
    assert tool.panel.annotations.draw_button.isChecked()
    qtbot.keyClick(canvas, Qt.Key.Key_D, CONTROL)
    assert not tool.panel.annotations.draw_button.isChecked()
    assert tool.start("A job", lambda progress: [progress(0, 0) for _ in iter(int, 1)], lambda _: None)
    qtbot.keyClick(canvas, Qt.Key.Key_Period, CONTROL)
    wait(lambda: not tool.runner.is_busy)
    assert "cancelled" in tool.status.text()
    qtbot.keyClick(canvas, Qt.Key.Key_Question, SHIFT)
    (sheet,) = tool.findChildren(KeySheet)
    shown = {keys for keys, _ in sheet.rows}
    assert {k.keys for k in tool.keys.keys} <= shown
    assert {"wheel", "click"} <= shown
    qtbot.keyClick(sheet, Qt.Key.Key_Escape)
    wait(lambda: not tool.findChildren(KeySheet))


def test_no_key_is_taken_from_napari(docked):
    from napari.utils.shortcuts import default_shortcuts

    viewer, tool = docked
    mine = {same(k) for k in desk_of(viewer).bound}
    assert {same(k.keys) for k in tool.keys.keys} - mine == set(), "none had to be left out"
    # Escape is shared: the layer that needs it comes first.
    napari = {same(str(k)) for name, keys in default_shortcuts.items() for k in keys} - {"Esc"}
    menus = {s.toString() for a in viewer.window._qt_window.findChildren(QAction) for s in a.shortcuts()}
    assert not mine & (napari | menus)


def test_a_closed_tool_leaves_the_canvas(docked, qtbot):
    viewer, tool = docked
    assert desk_of(viewer).bound
    viewer.window.remove_dock_widget(tool)
    assert not desk_of(viewer).bound
    assert not [k for k in viewer.keymap if getattr(viewer.keymap[k], "__name__", "").startswith("workbench_")]
