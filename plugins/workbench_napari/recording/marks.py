"""Annotations drawn by hand: rectangles of a shapes layer, their names, steps back, and who is told of changes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication

from workbench.core.classes import ClassTable
from workbench.core.layers import KEY
from workbench.core.types import Mark, Marks
from workbench.recording import in_order, mark_boxes, marks_features, marks_from_layer

LABELS = ("BAD_artefact", "BAD_movement", "blink", "heartbeat", "burst", "spike", "event")
"""Names to choose from; any other may be typed. MNE leaves out what begins with BAD."""

_DELAY_MS = 200
_SHORTEST = 1e-4
_STEPS_BACK = 200
_KEYS = {"Control-Z": "undo", "Control-Shift-Z": "redo"}
"""While the canvas has the focus; shapes layers of napari have no steps back of their own."""


def color_of(label: str) -> str:
    """One colour per label: red for what is bad, else the same one in every session."""
    if label.upper().startswith("BAD"):
        return "#e5484d"
    colors = [c.color for c in ClassTable.from_names([str(n) for n in range(8)])]
    number = LABELS.index(label) if label in LABELS else sum(ord(c) * (i + 1) for i, c in enumerate(label))
    return "#{:02x}{:02x}{:02x}".format(*colors[number % len(colors)])


def is_marks(layer: Any) -> bool:
    """Whether a layer holds annotations of a recording."""
    record = layer.metadata.get(KEY) or {}
    return type(layer).__name__ == "Shapes" and record.get("role") == "marks"


def marks_of(layer: Any, default: str = "annotation") -> list[Mark]:
    """The annotations that a layer shows now, in order of time."""
    features = layer.features
    attributes = {"metadata": layer.metadata, "features": features}
    found = marks_from_layer(layer.data, attributes)
    named = "label" in features.columns
    return in_order(m if named and m.label != "annotation" else replace(m, label=default) for m in found)


def show_marks(layer: Any, marks: Sequence[Mark]) -> None:
    """Let a layer show these annotations."""
    rows = layer.metadata[KEY].get("channels") or []
    layer.selected_data = set()
    layer.data = mark_boxes(Marks(tuple(marks)), rows)
    if marks:
        layer.features = marks_features(Marks(tuple(marks)))
    dress(layer, marks)


def dress(layer: Any, marks: Sequence[Mark]) -> None:
    """Colours by label; names are written above the canvas, where they do not cover each other."""
    layer.text.visible = False
    if len(layer.data):
        layer.edge_width = [0.0] * len(layer.data)
    if marks and len(marks) == len(layer.data):
        labels = layer.features["label"] if "label" in layer.features.columns else [m.label for m in marks]
        layer.face_color = np.array([_faint(str(label)) for label in labels])


def _key(editor: Any, name: str) -> Callable[[Any], None]:
    """What a key on the canvas does; napari wants a function with a name."""

    def step(_layer: Any) -> None:
        found = editor()
        if found is not None:
            getattr(found, name)()

    step.__name__ = f"annotations_{name}"
    return step


def _faint(label: str) -> tuple[float, ...]:
    color = color_of(label)
    return (*(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)), 0.3)


@dataclass(frozen=True)
class OtherStep:
    """A change of something else than annotations: what takes it back, and what does it again."""

    back: Callable[[], None]
    forth: Callable[[], None]


class MarksEditor(QObject):
    """The annotations of one layer: follows what is drawn, takes steps back, and tells when they changed.

    Signals
    -------
    changed
        The marks are others now.
    stepped
        A step was taken back or forth: the marks before it, and now.
    """

    changed = Signal()
    stepped = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.label = LABELS[0]
        self.whole = True
        """Whether what is drawn concerns all channels, or those that it covers."""
        self._layer: Any = lambda: None
        self._marks: list[Mark] = []
        self._undo: list[list[Mark] | OtherStep] = []
        self._redo: list[list[Mark] | OtherStep] = []
        self._mine = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._on_drawn)

    @property
    def layer(self) -> Any:
        """The layer that is edited, or ``None``."""
        return self._layer()

    @property
    def marks(self) -> Marks:
        """The annotations, in order of time."""
        return Marks(tuple(self._marks))

    def follow(self, layer: Any) -> None:
        """Edit another layer, or none."""
        before = self.layer
        if before is layer and layer is not None:
            return
        self._timer.stop()
        if before is not None:
            before.events.data.disconnect(self._on_edit)
            for keys in _KEYS:
                before.bind_key(keys, None)
        self._layer = (lambda: None) if layer is None else weakref.ref(layer)
        self._undo, self._redo = [], []
        self._marks = [] if layer is None else marks_of(layer, self.label)
        if layer is not None:
            dress(layer, self._marks)
            layer.events.data.connect(self._on_edit)
            for keys, name in _KEYS.items():
                layer.bind_key(keys, _key(weakref.ref(self), name), overwrite=True)
            self.choose_label(self.label)
        self.changed.emit()

    def choose_label(self, label: str) -> None:
        """What is drawn from now on gets this name."""
        self.label = label.strip() or LABELS[0]
        layer = self.layer
        if layer is None:
            return
        chosen, layer.selected_data = set(layer.selected_data), set()
        layer.current_edge_width = 0
        layer.current_face_color = _faint(self.label)
        if len(layer.features.columns):
            # Times of its own: a new rectangle must not take over those of another.
            own = {"label": self.label, "onset": np.nan, "duration": np.nan, "channels": ""}
            layer.feature_defaults = {c: own.get(c, "") for c in layer.features.columns}
        layer.selected_data = chosen

    def draw(self, on: bool = True) -> None:
        """Let the mouse draw rectangles, or leave it to moving the view."""
        if self.layer is not None:
            self.layer.mode = "add_rectangle" if on else "pan_zoom"

    def add(self, *marks: Mark) -> None:
        """More annotations."""
        self.set([*self._marks, *marks])

    def remove(self, rows: Iterable[int]) -> None:
        """Take annotations away, by their numbers in order of time."""
        gone = set(rows)
        self.set([m for n, m in enumerate(self._marks) if n not in gone])

    def rename(self, row: int, label: str) -> None:
        """Give an annotation another name; an empty one is refused."""
        label = label.strip()
        if label and self._marks[row].label != label:
            changed = list(self._marks)
            changed[row] = replace(changed[row], label=label)
            self.set(changed)
        else:
            self.changed.emit()

    def set(self, marks: Iterable[Mark]) -> None:
        """Let these be the annotations, as a step that can be taken back."""
        self.settle()
        wanted = in_order(marks)
        if wanted == self._marks or self.layer is None:
            return
        self._remember()
        self._show(wanted)

    def undo(self) -> bool:
        """One step back; returns whether there was one."""
        self.settle()
        return self._step(self._undo, self._redo)

    def redo(self) -> bool:
        """One step forth again."""
        self.settle()
        return self._step(self._redo, self._undo)

    @property
    def can_undo(self) -> bool:
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        return bool(self._redo)

    def settle(self) -> None:
        """Take over at once what was drawn a moment ago."""
        if self._timer.isActive():
            self._timer.stop()
            self._take_over()

    def remember(self, step: OtherStep) -> None:
        """Something else was changed: it is taken back in one order with the annotations."""
        self.settle()
        self._undo = [*self._undo, step][-_STEPS_BACK:]
        self._redo = []
        self.changed.emit()

    def _step(self, source: list[list[Mark] | OtherStep], target: list[list[Mark] | OtherStep]) -> bool:
        if not source or self.layer is None:
            return False
        step = source.pop()
        if isinstance(step, OtherStep):
            target.append(step)
            (step.back if source is self._undo else step.forth)()
            self.changed.emit()
            return True
        before = self._marks
        target.append(before)
        self._show(step)
        self.stepped.emit(before, self._marks)
        return True

    def _remember(self) -> None:
        self._undo = [*self._undo, self._marks][-_STEPS_BACK:]
        self._redo = []

    def _show(self, marks: list[Mark]) -> None:
        self._marks = marks
        self._mine = True
        try:
            show_marks(self.layer, marks)
            self.choose_label(self.label)
        finally:
            self._mine = False
        self.changed.emit()

    def _on_edit(self, _event: Any = None) -> None:
        if not self._mine:
            self._timer.start()

    def _on_drawn(self) -> None:
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self._timer.start()  # the rectangle is still being drawn
        else:
            self._take_over()

    def _take_over(self) -> None:
        """What was drawn or moved with the mouse becomes annotations."""
        layer = self.layer
        if layer is None:
            return
        known, moments = set(self._marks), {m.label for m in self._marks if m.duration == 0}
        found = []
        for mark in marks_of(layer, self.label):
            if mark in known or (mark.duration < _SHORTEST and mark.label in moments):
                found.append(mark)
            elif mark.duration >= _SHORTEST:  # less is a click that slipped
                found.append(replace(mark, channels=()) if self.whole else mark)
        if found != self._marks:
            self._remember()
        if found != self._marks or len(layer.data) != len(found):
            self._show(found)
