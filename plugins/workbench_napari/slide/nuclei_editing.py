"""Correcting nuclei with mouse and keys: choosing, drawing, splitting, painting, classes, review, undo."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from workbench.core.errors import WorkbenchError, one_line
from workbench.core.objects import REJECTED, REVIEW
from workbench.slide import NucleiEdits, edits_in, outline_colors
from workbench_napari.shared.views import camera_of
from workbench_napari.slide.nuclei_hand import NucleiHand
from workbench_napari.slide.nuclei_marks import MOST, NucleiMarks, bind
from workbench_napari.slide.nuclei_panel import BRUSH, DRAW, ERASE, LASSO, MODES, SELECT, SPLIT, NucleiGroup
from workbench_napari.slide.on_slide import record_of

_LIST_MS = 150
"""From an edit to the table that shows it."""
_FEW = 50
"""Nuclei that are chosen again after a step back; those of a step over the whole slide are not."""
_TAKE_BACK = "Rejected nuclei have no class: take them back first (Delete)."
_KEYS = {
    "V": SELECT, "L": LASSO, "D": DRAW, "S": SPLIT, "B": BRUSH, "E": ERASE,
}  # fmt: skip


class NucleiEditing(QObject):
    """Lets a person correct the nuclei of the layer of outlines that is meant.

    Parameters
    ----------
    group
        The page with its buttons.

    Signals
    -------
    said
        A line for the user.
    went
        What was undone or done again, and which of the two.
    """

    said = Signal(str)
    went = Signal(str, str)

    def __init__(self, viewer: Any, group: NucleiGroup, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self.group = viewer, group
        self._layer: Callable[[], Any] = lambda: None
        self._keys = self._bound()
        self._marks = NucleiMarks(viewer, self._keys, self)
        self._marks.moved.connect(self._on_moved)
        self._hand = NucleiHand(self)
        self.chosen: list[int] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_LIST_MS)
        self._timer.timeout.connect(self._list)
        group.modes.buttonToggled.connect(self._on_mode)
        for button, work in (
            (group.accept, self.accept), (group.reject, self.reject), (group.merge, self.merge),
            (group.undo, self.undo), (group.redo, self.redo), (group.shape, self.edit_points),
        ):  # fmt: skip
            button.clicked.connect(partial(_call, work))
        group.outlines.toggled.connect(self._on_outlines)
        group.classes.lineEdit().returnPressed.connect(self.take_class)
        group.classes.activated.connect(self.take_class)
        group.state.currentIndexChanged.connect(self._list)
        group.table.wanted.connect(self.go_to)
        group.table.actions = {k: work for k, work in self._keys.items() if len(k) == 1 or k in ("Delete", "Backspace")}
        self._row = 0
        self._zoomed = QTimer(self)
        self._zoomed.setSingleShot(True)
        self._zoomed.setInterval(_LIST_MS)
        self._zoomed.timeout.connect(self.mark)
        group.model.sorted_anew.connect(self._mark_row)

    # --- which nuclei

    @property
    def layer(self) -> Any:
        """The layer whose nuclei are corrected, or ``None``."""
        found = self._layer()
        return found if found is not None and found in self._viewer.layers else None

    @property
    def edits(self) -> NucleiEdits | None:
        layer = self.layer
        return None if layer is None else edits_in(layer.data)

    @property
    def followed(self) -> Any:
        """The layer that was followed last, in the window or not."""
        return self._layer()

    @property
    def marks(self) -> Any:
        """The layer that shows what is chosen, or ``None``."""
        return self._marks.layer

    def follow(self, layer: Any) -> None:
        """The layer of outlines that is meant now; ``None`` for none."""
        if layer is self._layer() and layer is not None:
            return
        self.let_go()
        group = self.group
        group.body.setVisible(layer is not None)
        group.none.setVisible(layer is None)
        if layer is None:
            group.model.show(None, None)
            return
        self._layer = weakref.ref(layer)
        edits = edits_in(layer.data)
        assert edits is not None
        edits.listeners.append(self._on_edit)
        layer.mouse_drag_callbacks.append(self._hand.on_drag)
        camera_of(self._viewer).events.zoom.connect(self._on_zoom)
        bind(layer, self._keys)
        self.group.classes.setCurrentText("")  # of other nuclei, whose classes these need not have
        self._classes()
        self._pan()
        self._on_outlines()
        self._list()

    def let_go(self) -> None:
        """Follow nothing any more."""
        layer = self._layer()
        self._timer.stop()
        self._zoomed.stop()
        self._layer, self.chosen = (lambda: None), []
        self._marks.let_go()
        if layer is None:
            return
        camera_of(self._viewer).events.zoom.disconnect(self._on_zoom)
        edits = edits_in(layer.data)
        if edits is not None and self._on_edit in edits.listeners:
            edits.listeners.remove(self._on_edit)
        if self._hand.on_drag in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._hand.on_drag)
        for keys in self._keys:
            layer.bind_key(keys, None)
        layer.mouse_pan = True

    def _bound(self) -> dict[str, Callable[[], Any]]:
        found: dict[str, Callable[[], Any]] = {key: partial(self.take_mode, mode) for key, mode in _KEYS.items()}
        found |= {
            "A": self.accept, "Delete": self.reject, "Backspace": self.reject, "M": self.merge,
            "N": self.go_to_next, "Control-Z": self.undo, "Control-Shift-Z": self.redo,
        }  # fmt: skip
        return found | {str(i): partial(self.take_number, i) for i in range(1, 10)}

    # --- what the mouse does

    @property
    def mode(self) -> str:
        return self.group.mode

    def take_mode(self, name: str) -> None:
        """Let the mouse do something else: "select", "lasso", "draw", "split", "brush" or "erase"."""
        self.group.mode_buttons[name].setChecked(True)

    def _on_mode(self, _button: Any, checked: bool) -> None:
        if checked:
            self._pan()
            self.said.emit({name: tip for name, _, tip in MODES}[self.mode])
            layer = self.layer
            if layer is not None and self._viewer.layers.selection.active is not layer:
                self._viewer.layers.selection.active = layer

    def _on_outlines(self, _checked: bool = False) -> None:
        layer = self.layer
        if layer is not None:
            layer.data[0].outlines.edges = self.group.outlines.isChecked()
            layer.refresh(extent=False, thumbnail=False)

    def _pan(self) -> None:
        layer = self.layer
        if layer is not None:
            layer.mouse_pan = self.mode == SELECT
            layer.cursor = "standard" if self.mode == SELECT else "cross"

    def may_work(self) -> bool:
        """Whether nuclei can be seen as they are corrected; says why not."""
        layer = self.layer
        if layer is None:
            return False
        if self._viewer.dims.ndisplay != 2:
            self.said.emit("Nuclei are corrected in 2-D: press the button for it below the list of layers.")
        elif not layer.visible:
            self.said.emit(f"'{layer.name}' is hidden: show it to correct its nuclei.")
        else:
            return True
        return False

    def tell(self, edits: NucleiEdits) -> None:
        """Say what the last edit did besides."""
        if edits.said:
            self.said.emit(edits.said)
            edits.said = ""

    # --- what is chosen

    def choose(self, numbers: list[int]) -> None:
        """Choose nuclei, and show which."""
        edits = self.edits
        self.chosen = [] if edits is None else [i for i in numbers if not edits.gone[i]]
        self.mark()
        self._mark_row()
        self._show_class()
        if len(self.chosen) > 1:
            some = f" The first {MOST} are marked." if len(self.chosen) > MOST else ""
            self.said.emit(f"{len(self.chosen):,} nuclei are chosen.{some}")

    def go_to(self, number: int) -> None:
        """Choose a nucleus, and let the view go there."""
        layer, edits = self.layer, self.edits
        if layer is None or edits is None:
            return
        ring = edits.ring(number)
        low, high = ring.min(0), ring.max(0)
        middle = layer.data_to_world(((low + high) / 2 - 0.5)[::-1])
        camera = camera_of(self._viewer)
        side = float(max(high - low)) * float(abs(layer.scale[-1]))
        camera.center = tuple(camera.center[: -len(middle)]) + tuple(middle)
        if side * camera.zoom < 25:  # else it is large enough, and the person chose the scale
            camera.zoom = 60 / max(side, 1e-6)
        self.choose([number])

    def go_to_next(self) -> None:
        """Go to the next nucleus of the table that nobody has looked at."""
        edits, rows = self.edits, self.group.model.rows
        if edits is None or not len(rows):
            return
        at = self.group.model.row_of(self.chosen[0]) if self.chosen else None
        start = min(self._row, len(rows)) if at is None else at + 1  # what was chosen may be listed no more
        left = np.flatnonzero(edits.review[np.roll(rows, -start)] == 0)
        if left.size:
            self.go_to(int(np.roll(rows, -start)[left[0]]))
        else:
            self.said.emit("All nuclei of the table were looked at.")

    # --- edits

    def accept(self) -> None:
        """Those that are chosen are right."""

        def work(edits: NucleiEdits) -> None:
            new = sum(edits.review[i] == 0 for i in self.chosen)
            edits.accept(self.chosen)
            if all(edits.review[i] == REJECTED for i in self.chosen):
                self.said.emit(_TAKE_BACK)
            else:
                self.said.emit(f"{_count(new)} accepted." if new else "Looked at before: edited ones stay so.")

        self._edit(work)

    def reject(self) -> None:
        """Those that are chosen are no nuclei; rejected ones that are listed come back."""

        def work(edits: NucleiEdits) -> None:
            count = len(self.chosen)
            if all(edits.review[i] == REJECTED for i in self.chosen):
                edits.back(self.chosen)
                self.said.emit(f"{_count(count)} taken back.")
                return
            edits.reject(self.chosen)
            self.choose([])
            self.said.emit(f"{_count(count)} rejected: kept apart, and counted no longer.")

        self._edit(work)

    def merge(self) -> None:
        """Those that are chosen are one."""

        def work(edits: NucleiEdits) -> None:
            count = len(self.chosen)
            self.choose([edits.merge(self.chosen)])
            self.said.emit(f"{count} nuclei are one now.")
            self.tell(edits)

        self._edit(work)

    def undo(self) -> None:
        """Take the last step back."""
        self._back("undo", "taken back")

    def redo(self) -> None:
        """Do it again."""
        self._back("redo", "done again")

    def _back(self, which: str, how: str) -> None:
        edits = self.edits
        if edits is not None:
            text = getattr(edits, which)()
            there = edits.is_there
            few = [int(i) for i in edits.last if there[i]] if text and len(edits.last) <= _FEW else []
            self.choose(few or [i for i in self.chosen if there[i]])
            self._classes()
            if text:
                self.went.emit(text, which)
            self.said.emit(f"{text.capitalize()}: {how}." if text else f"Nothing to {which}.")

    def _edit(self, work: Callable[[NucleiEdits], Any]) -> None:
        edits = self.edits
        if edits is None:
            return
        if not self.chosen:
            self.said.emit("Choose nuclei first: click on one, or drag around some with the lasso.")
            return
        if not self.may_work():
            return
        try:
            work(edits)
        except WorkbenchError as error:
            self.said.emit(one_line(error))
            return
        self.mark()

    def take_number(self, place: int) -> None:
        """The class at a place of the list of classes, from 1 on."""
        edits = self.edits
        if edits is not None and place <= len(edits.classes):
            self._give(edits.classes.classes[place - 1].value)

    def take_class(self, _index: int = 0) -> None:
        """The class whose name stands in the box; a new name is a new class."""
        edits, name = self.edits, self.group.classes.currentText().strip()
        if edits is None:
            return
        try:
            value = edits.new_class(name) if name else 0
        except WorkbenchError as error:
            self.said.emit(one_line(error))
            return
        self._classes()
        self._give(value)

    def _give(self, value: int) -> None:
        edits = self.edits
        assert edits is not None
        names = {0: "", **{c.value: c.name for c in edits.classes}}
        self.group.classes.setCurrentText(names[value])
        if self.chosen and self.may_work():
            there = [i for i in self.chosen if edits.is_there[i]]
            if not there:
                self.said.emit(_TAKE_BACK)
                return
            edits.reclass(there, value)
            count = len(there)
            self.said.emit(
                f"{count:,} {'nucleus is' if count == 1 else 'nuclei are'} '{names[value] or 'unclassified'}'."
            )

    def next_class(self) -> int:
        """The class of a nucleus that is drawn: that of the box, else the first."""
        edits, name = self.edits, self.group.classes.currentText().strip()
        assert edits is not None
        # A name that was typed counts, whether Enter was pressed or not.
        return edits.new_class(name) if name else next((c.value for c in edits.classes), 0)

    def _classes(self) -> None:
        """Offer the classes that there are, and paint them."""
        edits, layer, combo = self.edits, self.layer, self.group.classes
        if edits is None or layer is None:
            return
        names = list(edits.classes.names)
        if [combo.itemText(i) for i in range(combo.count())] != names:
            text = combo.currentText()
            combo.blockSignals(True)
            combo.clear()
            combo.addItems(names)
            combo.setCurrentText(text)
            combo.blockSignals(False)
        if not combo.currentText() and names and not combo.lineEdit().hasFocus():
            combo.setCurrentText(names[0])
        if record_of(layer).get("classes") != edits.classes.to_json():
            from napari.utils.colormaps import DirectLabelColormap

            record_of(layer)["classes"] = edits.classes.to_json()
            layer.colormap = DirectLabelColormap(color_dict=outline_colors(edits.classes))

    def _show_class(self) -> None:
        edits = self.edits
        if edits is None or not self.chosen:
            return
        found = {int(edits.values[i]) for i in self.chosen}
        names = {c.value: c.name for c in edits.classes}
        self.group.classes.setCurrentText(names.get(found.pop(), "") if len(found) == 1 else "")

    def _on_edit(self, _index: Any) -> None:
        """Something changed, whoever did it: paint, note, and list anew in a moment."""
        layer, edits = self.layer, self.edits
        if layer is None or edits is None:
            return
        self._classes()
        record_of(layer)["count"] = len(edits)
        layer.refresh(extent=False, thumbnail=False)
        layer.events.features()  # by it the copy for recovery and the numbers of the result know
        self._timer.start()

    # --- what is shown

    def _list(self, _index: int = 0) -> None:
        edits, group = self.edits, self.group
        group.model.show(edits, group.listed)
        self._mark_row()
        if edits is None:
            return
        kept = ~edits.gone
        counts = np.bincount(edits.review[kept], minlength=len(REVIEW))
        words = [f"{int(n):,} {word}" for n, word in zip(counts, REVIEW, strict=True) if n]
        group.count.setText(f"{len(edits):,} nuclei: {', '.join(words)}.")

    def _mark_row(self) -> None:
        number = self.chosen[0] if len(self.chosen) == 1 else None
        row = None if number is None else self.group.model.row_of(number)
        self._row = self._row if row is None else row
        self.group.table.show_number(number)

    def _on_zoom(self, _event: Any = None) -> None:
        if self.chosen and self.marks is not None and self._viewer.layers.selection.active is not self.marks:
            self._zoomed.start()

    def mark(self, stroke: Any = None) -> None:
        """Draw the outlines of what is chosen, and the line that a hand is drawing."""
        layer, edits = self.layer, self.edits
        if layer is not None and edits is not None:
            self._marks.show(layer, [edits.ring(i) for i in self.chosen[:MOST] if not edits.gone[i]], stroke)

    def edit_points(self) -> None:
        """Let the points of the one chosen outline be moved."""
        edits = self.edits
        if edits is None or len(self.chosen) != 1 or not self.may_work():
            self.said.emit("Choose one nucleus to move the points of its outline.")
            return
        if not edits.is_there[self.chosen[0]]:
            self.said.emit(_TAKE_BACK)
            return
        self.mark()
        if self._marks.edit_points():
            self.said.emit("Drag points of the outline; choose what the mouse does above to go on with the nuclei.")

    def _on_moved(self, ring: Any) -> None:
        """Points of the chosen outline were moved by hand."""
        edits = self.edits
        if edits is None or len(self.chosen) != 1:
            return
        try:
            self.chosen = [edits.reshape(self.chosen[0], ring)]
            self.tell(edits)
        except WorkbenchError as error:
            self.said.emit(one_line(error))
            self.mark()
        self._mark_row()


def _count(number: int) -> str:
    return "1 nucleus is" if number == 1 else f"{number:,} nuclei are"


def _call(work: Callable[[], Any], _checked: bool = False) -> None:
    work()
