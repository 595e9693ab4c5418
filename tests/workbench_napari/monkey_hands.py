"""What the monkey does with mouse and keys: on the canvas, and in the tools."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from tests.workbench_napari.monkey_actions import action
from tests.workbench_napari.mouse import canvas_of, drag

_NOT_CLICKED = ("Open folder",)
"""Buttons that leave the window."""
_KEYS = (
    "Ctrl+Z", "Ctrl+Shift+Z", "Escape", "Ctrl+.", "Ctrl+D", "Ctrl+Left", "Ctrl+Right", "Ctrl+Shift+Right", "1", "2",
    "3", "4", "M", "[", "]", "Delete", "Ctrl+E", "Ctrl+Return", "Ctrl+Shift+Return", "?", "Tab", "Space",
)  # fmt: skip


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
    m.wait(lambda: not any(tool.runner.is_busy for tool in busy), 300)
    return "ended"


@action(9)
def save(m: Any, rng: Random) -> str | None:
    ready = [tool for tool in m.desk.tools.values() if tool.save_button.isEnabled()]
    if not ready:
        return None
    tool = rng.choice(ready)
    return f"{type(tool).__name__} {m.saves.pressed(tool, lambda: m.click(tool.save_button))}"


@action(5)
def leads(m: Any, rng: Random) -> str | None:
    """Correct the lines of an electrocardiogram, its scale, or look at it."""
    tool = m.desk.tools.get("ECG tool")
    if tool is None or tool.layer is None:
        return None
    group, scale = tool.correct_group, tool.scale_group
    what = rng.choice(("draw", "gap", "choose", "points", "lead", "grid", "scale", "leads", "place", "undo"))
    if what in ("draw", "gap", "choose", "points", "undo"):
        box = getattr(group, what)
        if not box.isEnabled():
            return None
        m.click(box)
    elif what == "lead" and tool.correcting.layer is not None:
        shown = tool.correcting.layer
        shown.selected_data = {rng.randrange(len(shown.data))} if len(shown.data) and rng.random() < 0.7 else set()
        group.lead.setCurrentText(rng.choice(("I", "V2", "II strip", "nothing", "aVR")))
        group.lead.activated.emit(0)
    elif what == "grid" and scale.grid.isEnabled():
        m.click(scale.grid)
    elif what == "scale":
        tool.scaling.take_click(rng.uniform(0, 500), rng.uniform(0, 300))
        if rng.random() < 0.5:
            m.click(scale.apply)
    elif what == "leads" and tool.show_group.leads.isEnabled():
        m.click(tool.show_group.leads)
    elif what == "place":
        tool.go_to(rng.choice(("II", "V5", "II strip")), rng.uniform(0, 10))
    return what


@action(5)
def nuclei(m: Any, rng: Random) -> str | None:
    """Show some nuclei on the slide that is chosen, or correct those that are shown."""
    from workbench_napari.slide.on_slide import record_of, slide_image

    from workbench.core.objects import Objects
    from workbench.core.types import Provenance, Result
    from workbench.slide import edits_in, frame_of

    tool = m.desk.tools.get("Slides tool")
    if tool is None or tool.layer is None or tool.is_busy:
        return None
    editing, group = tool.nuclei.editing, tool.nuclei_group
    if editing.edits is None:
        image = slide_image(record_of(tool.layer))
        if image.geometry.unit != "um":
            return None
        places = np.random.default_rng(rng.getrandbits(32)).uniform(20, 900, (60, 1, 2))
        square = np.array([[0, 0], [18, 0], [18, 18], [0, 18]], float)
        objects = Objects.from_polygons(
            (places + square).astype(np.float32), frame=frame_of(image.geometry), name="nuclei"
        )
        result = Result({"nuclei": objects}, image, Provenance("cellvta", "none", None, {}))
        tool.start("Nuclei", lambda _progress: result, tool.shower(tool.layer))
        return "shown"
    edits = editing.edits
    there = np.flatnonzero(edits.is_there).tolist()
    if there and rng.random() < 0.7:
        editing.choose(rng.sample(there, min(len(there), rng.choice((1, 1, 2, 5)))))
    what = rng.choice(("accept", "reject", "merge", "undo", "redo", "edit_points", "go_to_next", "take_class", "mode"))
    if what == "mode":
        rng.choice(list(group.mode_buttons.values())).click()
    elif what == "take_class":
        group.classes.setCurrentText(rng.choice(("tumour", "stroma", "", "mitosis")))
        editing.take_class()
    else:
        getattr(editing, what)()
    assert edits_in(editing.layer.data) is edits if editing.layer is not None else True
    return what


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
