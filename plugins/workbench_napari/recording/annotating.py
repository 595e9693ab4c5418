"""The part of the MEG tool that annotates: rectangles drawn by hand, their table, annotations of files."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from workbench.core.layers import KEY
from workbench.core.types import Marks
from workbench.recording.layers import marks_layer
from workbench.recording.marks import merge_marks
from workbench_napari.recording.looking import RecordingLooking
from workbench_napari.recording.marks import LABELS, MarksEditor, color_of, is_marks, marks_of
from workbench_napari.recording.overlay import mark_lines
from workbench_napari.recording.recording import OpenRecording, record_of
from workbench_napari.shared.layer_choice import chosen, fill, index_of


class RecordingAnnotating(RecordingLooking):
    """Follows the annotations of the recording that is shown."""

    def __init__(self, viewer: Any, backend: str, parent: QWidget | None = None) -> None:
        super().__init__(viewer, backend, parent)
        self.editor = MarksEditor(self)

    def _viewer_events(self) -> list[tuple[Any, Any]]:
        return [*super()._viewer_events(), (self.viewer.layers.selection.events.active, self._on_active)]

    def connect_annotating(self) -> None:
        """Let the buttons and keys of this part work."""
        self.connect_looking()
        self.marks_choice.currentIndexChanged.connect(self._on_marks_layer)
        self.label.currentTextChanged.connect(self.editor.choose_label)
        self.covered.currentIndexChanged.connect(self._on_covered)
        self.editor.changed.connect(self._on_marks)
        self.marks_table.chosen.connect(self.go_to_mark)
        self.marks_table.renamed.connect(self.editor.rename)
        self.draw_button.toggled.connect(self.draw)
        self.delete_button.clicked.connect(lambda: self.editor.remove(self.marks_table.rows_chosen))
        self.undo_button.clicked.connect(lambda: self.editor.undo())
        self.redo_button.clicked.connect(lambda: self.editor.redo())
        for keys, work in (
            ("Ctrl+Left", lambda: self.step(-1)),
            ("Ctrl+Right", lambda: self.step(1)),
            ("Ctrl+Shift+Left", lambda: self.jump(-0.1)),
            ("Ctrl+Shift+Right", lambda: self.jump(0.1)),
            ("Ctrl+D", self.draw_button.toggle),
            ("Ctrl+Z", self.undo_button.click),
            ("Ctrl+Shift+Z", self.redo_button.click),
        ):
            for place in (self, self.traces):
                shortcut = QShortcut(QKeySequence(keys), place)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(work)

    def _let_go(self) -> None:
        self.editor.follow(None)
        super()._let_go()

    # --- layers of annotations

    def _on_layers(self, event: Any = None) -> None:
        if not self._mine:
            super()._on_layers(event)
            if event is not None and event.type == "inserted" and is_marks(event.value):
                self._adopt(event.value)
            self._fill_marks()

    def _on_recording(self, _index: int = 0) -> None:
        super()._on_recording()
        self._fill_marks()

    def _open_recording(self, layer: Any) -> None:
        super()._open_recording(layer)
        if self.opened is not None:
            # The reader adds the annotations of the file right after its channels; they come first.
            QTimer.singleShot(0, partial(self._ensure_marks, weakref.ref(self.opened)))

    def _ensure_marks(self, reference: Any) -> None:
        """A layer to annotate in, if the file came without annotations."""
        found = reference()
        if found is None or found is not self.opened or not self._wires:
            return
        if not self.mark_layers:
            self.add_marks_layer(found, Marks(()))
        # With the layer of annotations chosen the mouse would select them instead of moving the view.
        if found.main.layer in self.viewer.layers:
            self.viewer.layers.selection.active = found.main.layer

    def add_marks_layer(self, found: OpenRecording, marks: Marks, part: str = "annotations", **record: Any) -> Any:
        """Add a layer of annotations to a recording; the layer that was active stays so."""
        from napari.layers import Layer

        own = {**found.record, **record, "part": part}
        active = self.viewer.layers.selection.active
        layer = self.viewer.add_layer(Layer.create(*marks_layer(marks, found.main.rows, own, f"{found.name} {part}")))
        if active is not None and active in self.viewer.layers:
            self.viewer.layers.selection.active = active
        return layer

    def _adopt(self, layer: Any) -> None:
        """Annotations of a file of their own belong to the recording that is shown."""
        record = record_of(layer)
        if self.opened is not None and not record.get("source"):
            layer.metadata[KEY] = {**record, **self.opened.record, "channels": list(self.opened.main.rows)}

    def _on_active(self, _event: Any = None) -> None:
        index = index_of(self.marks_choice, self.viewer.layers.selection.active)
        if index >= 0:
            self.marks_choice.setCurrentIndex(index)

    def _fill_marks(self) -> None:
        mine = [la for la in self.viewer.layers if is_marks(la) and self._is_mine(la)]
        fill(self.marks_choice, mine, default=0)
        for n, layer in enumerate(mine):  # the recording is named above
            self.marks_choice.setItemText(n, layer.name.removeprefix(f"{self.opened.name} " if self.opened else ""))
        self.stack.marks_layers = mine
        self._on_marks_layer()

    def _on_marks_layer(self, _index: int = 0) -> None:
        self.editor.follow(chosen(self.marks_choice))
        self._on_marks()
        self.stack.layout()

    @property
    def mark_layers(self) -> list[Any]:
        """All layers of annotations of the chosen recording."""
        return [self.marks_choice.itemData(n)() for n in range(self.marks_choice.count())]

    def _on_marks(self) -> None:
        marks = self.editor.marks
        self.marks_table.show_marks(marks)
        others = [la for la in self.mark_layers if la is not None and la is not self.editor.layer and la.visible]
        lines = mark_lines([*marks, *(m for la in others for m in marks_of(la))], color_of)
        self.stack.set_marks(lines)
        self.traces.set_marks(lines)
        names = [self.label.itemText(n) for n in range(self.label.count())]
        for label in sorted({m.label for m in marks} - set(names) - set(LABELS)):
            self.label.addItem(label)
        self._refresh_buttons()

    def _on_covered(self, index: int) -> None:
        self.editor.whole = index == 0

    def draw(self, on: bool) -> None:
        """Draw annotations with the mouse, or move the view with it."""
        layer = self.editor.layer
        if layer is None:
            return
        if on:
            self.viewer.layers.selection.active = layer
        self.editor.draw(on)
        self.draw_button.setChecked(on)
        self.say(f"Draw from start to end of '{self.editor.label}'; Draw again to stop." if on else "")

    def go_to_mark(self, row: int) -> None:
        """Show an annotation."""
        mark = self.editor.marks.marks[row]
        start, stop = self.stack.span
        if not start <= mark.onset <= mark.onset + mark.duration <= stop:
            width = max(min(stop - start, 10.0), 3 * mark.duration)
            middle = mark.onset + mark.duration / 2
            self.stack.set_range(middle - width / 2, middle + width / 2)
        self.stack.set_cursor(mark.onset)

    def all_marks(self) -> Marks:
        """The annotations of all layers, in order of time."""
        self.editor.settle()
        return merge_marks(*(marks_of(la, self.editor.label) for la in self.mark_layers if la is not None))
