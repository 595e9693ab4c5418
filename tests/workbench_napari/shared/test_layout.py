"""Every tool in small and large windows: the canvas keeps its room, Run, Save and status stay in sight, nothing hidden
gets the focus, and sections stay as a person left them."""

from __future__ import annotations

import pytest
from napari.settings import get_settings
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QWidget
from workbench_napari.shared.opening import PLUGIN
from workbench_napari.shared.section import Section
from workbench_napari.shared.spoken import fields_of, spoken

pytestmark = pytest.mark.gui
TOOLS = {
    "Volume tool": "torso_ct_labels",
    "Spectra tool": "spectral_scene",
    "MEG tool": "meg_recording",
    "Slides tool": "slide",
    "ECG tool": "page",
    "Any backend": "torso_ct",
}


@pytest.fixture
def dock(window, wait):
    """Docks a tool in a window of this size and opens its sample."""

    def put(title, size=(1000, 700), sample=True):
        viewer = window(show=True)
        viewer.window.resize(*size)
        _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=False)
        if sample:
            viewer.open_sample("napari-workbench", TOOLS[title])
        wait(lambda: tool.isVisible() and not tool.place._timer.isActive() and not tool.pages._timer.isActive())
        return viewer, tool

    return put


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas.native


def in_sight(viewer, widget):
    """Whether all of a widget lies in the window, with nothing of it cut off."""
    outer = viewer.window._qt_window
    place = widget.mapTo(outer, QPoint(0, 0))
    inside = place.y() + widget.height() <= outer.height() and place.x() + widget.width() <= outer.width()
    return inside and widget.visibleRegion().boundingRect().height() >= widget.height()


@pytest.mark.parametrize("title", list(TOOLS))
def test_a_window_of_1000_x_700(dock, wait, title):
    viewer, tool = dock(title)
    outer = viewer.window._qt_window
    wait(lambda: canvas_of(viewer).width() >= outer.width() / 2)
    # The tool must not widen the window.
    wait(lambda: (outer.width(), outer.height()) == (1000, 700))
    tool.say("A line for the person")
    wait(lambda: in_sight(viewer, tool.status))
    assert all(in_sight(viewer, part) for part in (tool._main_button(), tool.save_button, tool.keys_button))
    assert tool.pages.are_tabs
    # What a page shows is as wide as the page: nothing is cut off at the right.
    for n in range(tool.pages.bar.count()):
        tool.pages.bar.setCurrentIndex(n)
        inner = tool.scroll.widget()
        assert inner.minimumSizeHint().width() <= tool.scroll.viewport().width(), tool.pages.bar.tabText(n)


def test_a_tool_goes_back_beside_the_canvas_when_there_is_room(dock, wait):
    viewer, tool = dock("Volume tool")
    wait(lambda: tool.place.is_tab)
    viewer.window.resize(1500, 900)
    wait(lambda: not tool.place.is_tab)
    outer = viewer.window._qt_window
    assert outer.dockWidgetArea(tool._dock()) == Qt.DockWidgetArea.RightDockWidgetArea
    wait(lambda: canvas_of(viewer).width() >= outer.width() / 2)
    tool._dock().setFloating(True)
    viewer.window.resize(1000, 700)
    wait(lambda: not tool.place._timer.isActive())
    assert tool._dock().isFloating(), "a tool that a person has moved stays where it was put"


def _place_of(tool):
    return get_settings().application.plugin_widget_positions.get(tool._dock().name, "right")


def test_its_own_way_to_the_left_column_is_no_wish_for_the_next_start(dock, wait):
    viewer, tool = dock("Slides tool", size=(1500, 950))
    outer = viewer.window._qt_window
    assert outer.dockWidgetArea(tool._dock()) == Qt.DockWidgetArea.RightDockWidgetArea
    viewer.window.resize(800, 600)
    wait(lambda: tool.place.is_tab)
    assert _place_of(tool) == "right"
    # As an earlier version left it.
    get_settings().application.plugin_widget_positions[tool._dock().name] = "left"
    viewer, again = dock("Slides tool", size=(1500, 950))
    outer = viewer.window._qt_window
    wait(lambda: outer.dockWidgetArea(again._dock()) == Qt.DockWidgetArea.RightDockWidgetArea)
    wait(lambda: again.height() > 600)
    assert _place_of(again) == "right"


def test_a_tool_that_a_person_put_to_the_left_begins_there(dock, wait):
    viewer, tool = dock("Slides tool", size=(1500, 950))
    wait(lambda: not tool.place._again.isActive())
    viewer.window._qt_window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, tool._dock())
    assert _place_of(tool) == "left"
    viewer, again = dock("Slides tool", size=(1500, 950))
    outer = viewer.window._qt_window
    wait(lambda: not again.place._timer.isActive())
    assert outer.dockWidgetArea(again._dock()) == Qt.DockWidgetArea.LeftDockWidgetArea


def test_pages_and_sections_are_as_the_person_left_them(dock, qtbot, wait):
    _, tool = dock("Volume tool")
    model = next(s for s in tool.findChildren(Section) if s.title == "Model")
    fields = [w for w in fields_of(model.inside) if w.isVisible()]
    assert fields
    qtbot.mouseClick(model.head, Qt.MouseButton.LeftButton)
    assert not model.is_open
    assert not any(w.isVisible() for w in fields)
    qtbot.mouseClick(tool.pages.bar, Qt.MouseButton.LeftButton, pos=tool.pages.bar.tabRect(1).center())
    _, other = dock("Volume tool")
    folded = {s.title: s.is_open for s in other.findChildren(Section)}
    assert (folded["Model"], folded["Image"]) == (False, True)
    assert other.pages.bar.tabText(other.pages.bar.currentIndex()) == "Labels"


@pytest.mark.parametrize("title", list(TOOLS))
def test_tab_goes_through_visible_fields_only_and_all_have_names(dock, title):
    _, tool = dock(title)
    for section in tool.findChildren(Section):
        section.set_open(True)
    nameless = [f"{type(w).__name__} {w.toolTip()}" for w in fields_of(tool) if not spoken(w)]
    assert not nameless
    for n in range(tool.pages.bar.count()):
        tool.pages.bar.setCurrentIndex(n)
        tool.keys_button.setFocus()
        seen: list[QWidget] = []
        outer = tool.window()
        while outer.focusNextPrevChild(True) and (now := outer.focusWidget()) is not tool.keys_button:
            if not tool.isAncestorOf(now):
                continue
            assert now not in seen
            seen.append(now)
            assert now.isVisible()
            assert now.height() > 0
            tops = [a.height() for a in ancestors(now, tool)] or [1]
            assert min(tops) > 0, f"{now.accessibleName()} lies in something folded"
        assert len(seen) > 2


def ancestors(widget, top):
    above = widget.parentWidget()
    while above is not None and above is not top:
        yield above
        above = above.parentWidget()
