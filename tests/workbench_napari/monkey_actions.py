"""What the monkey does in a window: each action is a function of its desk and a random generator of its own.

An action returns a few words about what it did, or ``None`` where it could not be done now.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from tests.workbench_napari.mouse import canvas_of, drag

TOOLS = ("Volume tool", "Spectra tool", "MEG tool", "Any backend")
_MOST_LAYERS = 14
_NOT_CLICKED = ("Open folder",)
"""Buttons that leave the window."""
_KEYS = (
    "Ctrl+Z", "Ctrl+Shift+Z", "Escape", "Ctrl+.", "Ctrl+D", "Ctrl+Left", "Ctrl+Right", "Ctrl+Shift+Right", "1", "2",
    "3", "4", "M", "[", "]", "Delete", "Ctrl+E", "Ctrl+Return", "Ctrl+Shift+Return", "?", "Tab", "Space",
)  # fmt: skip

Action = Callable[[Any, Random], str | None]
ACTIONS: dict[str, tuple[int, Action]] = {}
"""Weight and function, by name."""


def action(weight: int) -> Callable[[Action], Action]:
    """Let the monkey do it, so often in comparison with the others."""

    def add(function: Action) -> Action:
        ACTIONS[function.__name__] = (weight, function)
        return function

    return add


# --- windows and docks


@action(1)
def second_viewer(m: Any, rng: Random) -> str | None:
    if len(m.desks) > 1:
        return None
    m.open_window()
    return f"{len(m.desks)} windows"


@action(1)
def close_viewer(m: Any, rng: Random) -> str | None:
    if len(m.desks) < 2:
        return None
    m.close_window(rng.choice(m.desks))
    return f"{len(m.desks)} left"


@action(5)
def dock(m: Any, rng: Random) -> str | None:
    free = [title for title in TOOLS if title not in m.desk.tools]
    if not free:
        return None
    title = rng.choice(free)
    m.desk.dock(title, rng)
    return title


@action(2)
def undock(m: Any, rng: Random) -> str | None:
    if not m.desk.tools:
        return None
    title = rng.choice(list(m.desk.tools))
    m.desk.undock(title, by_button=rng.random() < 0.5)
    return title


@action(2)
def float_dock(m: Any, rng: Random) -> str | None:
    if (dock := m.desk.any_dock(rng)) is None:
        return None
    dock.setFloating(not dock.isFloating())
    return f"floating {dock.isFloating()}"


@action(2)
def raise_dock(m: Any, rng: Random) -> str | None:
    if (dock := m.desk.any_dock(rng)) is None:
        return None
    dock.raise_()
    return dock.windowTitle()


@action(3)
def theme(m: Any, rng: Random) -> str:
    m.desk.viewer.theme = rng.choice(("dark", "light"))
    return str(m.desk.viewer.theme)


@action(3)
def resize(m: Any, rng: Random) -> str:
    size = rng.choice(((1000, 700), (1600, 1000), (1280, 800), (700, 500)))
    m.desk.window.resize(*size)
    return f"{size[0]} x {size[1]}"


# --- files and layers


@action(10)
def open_file(m: Any, rng: Random) -> str | None:
    from workbench_napari.shared.opening import open_path

    viewer = m.desk.viewer
    if len(viewer.layers) >= _MOST_LAYERS:
        return None
    kind = rng.choice(list(m.files.by_kind))
    path = rng.choice(m.files.by_kind[kind])
    open_path(viewer, path, m.desk.any_tool(rng) or _Silent())
    return f"{kind} {path.name}"


class _Silent:
    def say(self, text: str) -> None:
        """There is no tool to say it."""


@action(4)
def remove_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layer = rng.choice(list(layers))
    if rng.random() < 0.5:
        layers.remove(layer)
    else:
        layers.selection = {layer}
        layers.remove_selected()
    return str(layer.name)


@action(1)
def remove_all(m: Any, rng: Random) -> str:
    m.desk.viewer.layers.clear()
    return "all layers"


@action(2)
def duplicate_layer(m: Any, rng: Random) -> str | None:
    from napari.layers import Layer

    viewer = m.desk.viewer
    if not len(viewer.layers) or len(viewer.layers) >= _MOST_LAYERS:
        return None
    data, attributes, kind = rng.choice(list(viewer.layers)).as_layer_data_tuple()
    viewer.add_layer(Layer.create(np.array(data) if kind in ("image", "labels") else data, attributes, kind))
    return str(attributes["name"])


@action(4)
def rename_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layer = rng.choice(list(layers))
    layer.name = rng.choice(("a", "liver", "<i>x</i>", "a/b:c", "labels", " ", "Ä ö 한", "x" * 80))
    return str(layer.name)


@action(4)
def choose_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layers.selection.active = rng.choice(list(layers))
    return str(layers.selection.active)


@action(2)
def look_at_layer(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if not len(layers):
        return None
    layer = rng.choice(list(layers))
    layer.visible, layer.opacity = rng.random() < 0.8, rng.choice((0.3, 0.7, 1.0))
    return str(layer.name)


@action(2)
def new_layer(m: Any, rng: Random) -> str | None:
    """napari's own buttons: new points, shapes, labels."""
    buttons = m.desk.viewer.window._qt_viewer.layerButtons
    if len(m.desk.viewer.layers) >= _MOST_LAYERS:
        return None
    name = rng.choice(("newPointsButton", "newShapesButton", "newLabelsButton"))
    m.click(getattr(buttons, name))
    return name


@action(2)
def order_layers(m: Any, rng: Random) -> str | None:
    layers = m.desk.viewer.layers
    if len(layers) < 2:
        return None
    layers.move(rng.randrange(len(layers)), rng.randrange(len(layers)))
    return "moved"


# --- the canvas


@action(10)
def paint(m: Any, rng: Random) -> str | None:
    layers = [la for la in m.desk.viewer.layers if type(la).__name__ == "Labels" and la.visible and not la.multiscale]
    if not layers or m.desk.viewer.dims.ndisplay == 3:
        return None
    layer = rng.choice(layers)
    m.desk.viewer.layers.selection.active = layer
    layer.mode = mode = rng.choice(("paint", "paint", "erase", "fill", "pick"))
    layer.brush_size, layer.selected_label = rng.choice((1, 5, 20)), rng.choice((1, 2, 3, 7))
    drag(m.desk.viewer, *m.desk.places(rng, 3), steps=4)
    layer.mode = "pan_zoom"
    return f"{mode} in {layer.name}"


@action(4)
def draw_shapes(m: Any, rng: Random) -> str | None:
    layers = [la for la in m.desk.viewer.layers if type(la).__name__ in ("Shapes", "Points") and la.visible]
    if not layers or m.desk.viewer.dims.ndisplay == 3:
        return None
    layer = rng.choice(layers)
    m.desk.viewer.layers.selection.active = layer
    layer.mode = "add" if type(layer).__name__ == "Points" else "add_rectangle"
    drag(m.desk.viewer, *m.desk.places(rng, 2), steps=4)
    if layer in m.desk.viewer.layers:
        layer.mode = "pan_zoom"
    return str(layer.name)


@action(5)
def drag_canvas(m: Any, rng: Random) -> str:
    drag(m.desk.viewer, *m.desk.places(rng, rng.choice((1, 2, 3))), steps=4)
    return "dragged"


@action(4)
def key(m: Any, rng: Random) -> str:
    from qtpy.QtGui import QKeySequence
    from qtpy.QtTest import QTest

    keys = rng.choice(_KEYS)
    tool = m.desk.any_tool(rng)
    place = canvas_of(m.desk.viewer) if tool is None or rng.random() < 0.7 else tool
    place.setFocus()
    saver = tool if keys == "Ctrl+Shift+Return" and place is tool else None
    if keys == "Ctrl+Shift+Return" and saver is None:
        return None  # of which tool Save is, is not known here
    press = lambda: QTest.keySequence(place, QKeySequence(keys))  # noqa: E731
    said = m.saves.pressed(saver, press) if saver is not None else press()
    return f"{keys} {said or ''}"


@action(2)
def turn(m: Any, rng: Random) -> str:
    dims = m.desk.viewer.dims
    what = rng.choice(("3d", "roll", "step", "reset"))
    if what == "3d":
        dims.ndisplay = 3 if dims.ndisplay == 2 and dims.ndim > 2 else 2
    elif what == "roll":
        dims.roll()
    elif what == "step" and dims.ndim > 2:
        dims.set_current_step(0, rng.randrange(max(1, int(dims.nsteps[0]))))
    else:
        m.desk.viewer.reset_view()
    return what


# --- in the tools


@action(9)
def main_button(m: Any, rng: Random) -> str | None:
    """Run, or Cancel."""
    tool = m.desk.any_tool(rng)
    if tool is None or not tool._main_button().isEnabled():
        return None
    button = tool._main_button()
    text = button.text()
    (m.double_click if rng.random() < 0.2 else m.click)(button)
    return f"{text} of {type(tool).__name__}"


@action(6)
def let_run(m: Any, rng: Random) -> str | None:
    """Wait for what runs."""
    busy = [tool for desk in m.desks for tool in desk.tools.values() if tool.runner.is_busy]
    if not busy:
        return None
    m.wait(lambda: not any(tool.runner.is_busy for tool in busy), 40)
    return "ended"


@action(9)
def save(m: Any, rng: Random) -> str | None:
    ready = [tool for tool in m.desk.tools.values() if tool.save_button.isEnabled()]
    if not ready:
        return None
    tool = rng.choice(ready)
    return f"{type(tool).__name__} {m.saves.pressed(tool, lambda: m.click(tool.save_button))}"


@action(8)
def click_button(m: Any, rng: Random) -> str | None:
    from qtpy.QtWidgets import QAbstractButton

    tool = m.desk.any_tool(rng)
    if tool is None:
        return None
    buttons = [
        b
        for b in tool.findChildren(QAbstractButton)
        if b.isVisible() and b.isEnabled() and b is not tool.save_button and b.text() not in _NOT_CLICKED
    ]
    if not buttons:
        return None
    button = rng.choice(buttons)
    text = button.text() or button.accessibleName() or button.toolTip()
    m.click(button)
    return f"{text[:40]!r} of {type(tool).__name__}"


@action(3)
def fold(m: Any, rng: Random) -> str | None:
    from workbench_napari.shared.section import Section

    tool = m.desk.any_tool(rng)
    sections = [] if tool is None else [s for s in tool.findChildren(Section) if s.isVisible()]
    if not sections:
        return None
    section = rng.choice(sections)
    m.click(section.head)
    return f"{section.title}: {section.is_open}"


@action(3)
def choose(m: Any, rng: Random) -> str | None:
    """Another entry of a box that offers a choice."""
    from qtpy.QtWidgets import QComboBox

    tool = m.desk.any_tool(rng)
    boxes = [] if tool is None else [b for b in tool.findChildren(QComboBox) if b.isVisible() and b.count() > 1]
    # A real network on a real device takes its time, and would be all that is ever tested.
    boxes = [b for b in boxes if b.findText("cuda") < 0 and "demo" not in b.currentText()]
    if not boxes:
        return None
    box = rng.choice(boxes)
    texts = [box.itemText(n) for n in range(box.count())]
    allowed = [n for n, text in enumerate(texts) if "demo" not in text and "DICOM" not in text and "..." not in text]
    if not allowed:
        return None
    box.setCurrentIndex(rng.choice(allowed))
    return f"{box.accessibleName() or box.toolTip()[:30]}: {box.currentText()}"


@action(2)
def page(m: Any, rng: Random) -> str | None:
    tool = m.desk.any_tool(rng)
    if tool is None or not tool.pages.are_tabs:
        return None
    tool.pages.bar.setCurrentIndex(rng.randrange(tool.pages.bar.count()))
    return tool.pages.bar.tabText(tool.pages.bar.currentIndex())


@action(4)
def double_click_row(m: Any, rng: Random) -> str | None:
    from qtpy.QtCore import Qt
    from qtpy.QtGui import QKeySequence
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication, QLineEdit, QTableView

    tool = m.desk.any_tool(rng)
    tables = [] if tool is None else [t for t in tool.findChildren(QTableView) if t.isVisible() and t.model()]
    tables = [t for t in tables if t.model().rowCount()]
    if not tables:
        return None
    table = rng.choice(tables)
    index = table.model().index(rng.randrange(table.model().rowCount()), rng.randrange(table.model().columnCount()))
    place = table.visualRect(index).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    QTest.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    editor = QApplication.focusWidget()
    if isinstance(editor, QLineEdit) and table.isAncestorOf(editor):
        editor.selectAll()
        QTest.keyClicks(editor, rng.choice(("liver", "x", "<b>", "BAD_x", "")))
        QTest.keySequence(editor, QKeySequence(rng.choice(("Return", "Escape"))))
        return "and typed a name"
    return "row"


@action(3)
def wheel(m: Any, rng: Random) -> str:
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    canvas = canvas_of(m.desk.viewer)
    (place,) = m.desk.places(rng, 1)
    at = QPointF(*place)
    turn, none = rng.choice((-120, 120)), Qt.KeyboardModifier.NoModifier
    if math.isfinite(turn):
        event = QWheelEvent(
            at, QPointF(canvas.mapToGlobal(at.toPoint())), QPoint(0, 0), QPoint(0, turn), Qt.MouseButton.NoButton, none,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(canvas, event)
    return f"{turn}"


@action(3)
def rest(m: Any, rng: Random) -> str:
    from qtpy.QtTest import QTest

    QTest.qWait(rng.choice((200, 500, 1200)))
    return "waited"
