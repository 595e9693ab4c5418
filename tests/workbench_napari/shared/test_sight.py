"""A part that is brought into sight, in a tool that goes before it could be."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("how", ["dock", "window"])
def test_a_tool_that_goes_meanwhile_is_not_scrolled(window, qtbot, how):
    viewer = window(show=True)
    _, tool = viewer.window.add_plugin_dock_widget("napari-workbench", "Volume tool")
    tool.bring_into_sight(tool.panel.labels.box)
    qtbot.wait(50)
    assert tool._wanted is None, "it was scrolled to"
    tool.bring_into_sight(tool.panel.labels.box)
    # pytest-qt fails the test if the call comes all the same: it reaches for what Qt has deleted.
    viewer.window.remove_dock_widget(tool) if how == "dock" else viewer.close()
    del tool, _
    qtbot.wait(200)
