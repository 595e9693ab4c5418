"""The part of the MEG tool that annotates: rectangles drawn by hand, their table, annotations of files."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.types import Marks
from workbench.recording import in_order, marks_layer, merge_marks
from workbench_napari.recording.marks import LABELS, MarksEditor, color_of, is_marks, marks_of
from workbench_napari.recording.overlay import mark_lines
from workbench_napari.recording.pages import AnnotationsPage
from workbench_napari.recording.recording import OpenRecording, record_of
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.recording.traces import Traces
from workbench_napari.shared.layer_choice import chosen, fill, index_of
from workbench_napari.shared.worker import report

PEAKS = "surprisal peaks"
"""Name of the annotations that a run makes."""


class Annotating(QObject):
    """Follows the annotations of the recording that is shown.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)

    def __init__(
        self,
        viewer: Any,
        shown: Shown,
        stack: StackView,
        traces: Traces,
        page: AnnotationsPage,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._shown, self._stack, self._traces, self._page = viewer, shown, stack, traces, page
        self._closed = False
        self.editor = MarksEditor(self)
        shown.switched.connect(self._on_switched)
        shown.changed.connect(self._fill)
        self.editor.changed.connect(self._on_marks)
        page.layer.currentIndexChanged.connect(self._on_choice)
        page.label.currentTextChanged.connect(self.editor.choose_label)
        page.covered.currentIndexChanged.connect(self._on_covered)
        page.table.chosen.connect(self.go_to)
        page.table.renamed.connect(self.editor.rename)
        page.draw_button.toggled.connect(self.draw)
        page.delete_button.clicked.connect(lambda: self.editor.remove(page.table.rows_chosen))
        page.undo_button.clicked.connect(lambda: self.editor.undo())
        page.redo_button.clicked.connect(lambda: self.editor.redo())
        page.open_button.clicked.connect(self._browse)

    def close(self) -> None:
        """Let go of the layer that is edited."""
        self._closed = True
        self.editor.follow(None)

    # --- layers of annotations

    def look_around(self, event: Any = None) -> None:
        """Layers came, went, or have another name."""
        if event is not None and event.type == "inserted" and is_marks(event.value):
            self._adopt(event.value)
        self._fill()

    def on_active(self, _event: Any = None) -> None:
        """Another layer is active: a callback of napari. A layer of annotations is then the one to edit."""
        index = index_of(self._page.layer, self._viewer.layers.selection.active)
        if index >= 0:
            self._page.layer.setCurrentIndex(index)

    @property
    def layers(self) -> list[Any]:
        """All layers of annotations of the chosen recording."""
        listed = (self._page.layer.itemData(n)() for n in range(self._page.layer.count()))
        return [layer for layer in listed if layer is not None]

    def add_layer(self, found: OpenRecording, marks: Marks, part: str = "annotations", **record: Any) -> Any:
        """Add a layer of annotations to a recording; the layer that was active stays so."""
        from napari.layers import Layer

        own = {**found.record, **record, "part": part}
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_layer(Layer.create(*marks_layer(marks, found.main.rows, own, f"{found.name} {part}")))
        if active is not None and active in self._viewer.layers:
            self._viewer.layers.selection.active = active
        return layer

    def add_peaks(self, found: OpenRecording, peaks: Marks, record: dict[str, Any]) -> None:
        """Peaks of surprisal in a layer of their own; an earlier one goes unless somebody worked in it."""
        for layer in [la for la in self._viewer.layers if is_marks(la) and self._shown.is_mine(la)]:
            own = record_of(layer)
            if own.get("part") == PEAKS and not own.get("edited"):
                self._viewer.layers.remove(layer)
        self.add_layer(found, peaks, PEAKS, **record)

    def add_file(self, found: OpenRecording, marks: Marks, part: str) -> None:
        """Annotations of a file in a layer of their own; layers that hold nothing else make room for it."""
        read = set(marks)
        for layer in self.layers:
            if not record_of(layer).get("edited") and set(marks_of(layer)) <= read:
                self._viewer.layers.remove(layer)
        layer = self.add_layer(found, Marks(tuple(in_order(marks))), part)
        self._fill()
        self._page.layer.setCurrentIndex(max(0, index_of(self._page.layer, layer)))

    def _on_switched(self) -> None:
        if self._shown.opened is not None:
            # The reader adds the annotations of the file right after its channels; they come first.
            QTimer.singleShot(0, partial(self._ensure_layer, weakref.ref(self._shown.opened)))

    def _ensure_layer(self, reference: Any) -> None:
        """A layer to annotate in, if the file came without annotations."""
        found = reference()
        if self._closed or not self._shown.is_still(found):
            return
        if not self.layers:
            self.add_layer(found, Marks(()))
        # With the layer of annotations chosen the mouse would select them instead of moving the view.
        if found.main.layer in self._viewer.layers:
            self._viewer.layers.selection.active = found.main.layer

    def _adopt(self, layer: Any) -> None:
        """Annotations of a file of their own belong to the recording that is shown."""
        record, found = record_of(layer), self._shown.opened
        if found is not None and not record.get("source"):
            layer.metadata[KEY] = {**record, **found.record, "channels": list(found.main.rows)}

    def _fill(self) -> None:
        mine = [la for la in self._viewer.layers if is_marks(la) and self._shown.is_mine(la)]
        fill(self._page.layer, mine, default=0)
        found = self._shown.opened
        for n, layer in enumerate(mine):  # the recording is named above
            self._page.layer.setItemText(n, layer.name.removeprefix(f"{found.name} " if found else ""))
        self._stack.marks_layers = mine
        self._on_choice()

    def _on_choice(self, _index: int = 0) -> None:
        self.editor.follow(chosen(self._page.layer))
        self._on_marks()
        self._stack.layout()

    # --- annotations

    def all_marks(self) -> Marks:
        """The annotations of all layers, in order of time."""
        self.editor.settle()
        return merge_marks(*(marks_of(layer, self.editor.label) for layer in self.layers))

    def draw(self, on: bool) -> None:
        """Draw annotations with the mouse, or move the view with it."""
        layer = self.editor.layer
        if layer is None:
            return
        if on:
            self._viewer.layers.selection.active = layer
        self.editor.draw(on)
        self._page.draw_button.setChecked(on)
        self.said.emit(f"Draw from start to end of '{self.editor.label}'; Draw again to stop." if on else "")

    def go_to(self, row: int) -> None:
        """Show an annotation, by its number in the table."""
        mark = self.editor.marks.marks[row]
        start, stop = self._stack.span
        if not start <= mark.onset <= mark.onset + mark.duration <= stop:
            width = max(min(stop - start, 10.0), 3 * mark.duration)
            middle = mark.onset + mark.duration / 2
            self._stack.set_range(middle - width / 2, middle + width / 2)
        self._stack.set_cursor(mark.onset)

    def _on_covered(self, index: int) -> None:
        self.editor.whole = index == 0

    def _on_marks(self) -> None:
        marks, layer, page = self.editor.marks, self.editor.layer, self._page
        page.table.show_marks(marks)
        others = [la for la in self.layers if la is not layer and la.visible]
        lines = mark_lines([*marks, *(m for la in others for m in marks_of(la))], color_of)
        self._stack.set_marks(lines)
        self._traces.set_marks(lines)
        names = [page.label.itemText(n) for n in range(page.label.count())]
        for label in sorted({m.label for m in marks} - set(names) - set(LABELS)):
            page.label.addItem(label)
        for button in (page.draw_button, page.delete_button):
            button.setEnabled(layer is not None)
        page.undo_button.setEnabled(self.editor.can_undo)
        page.redo_button.setEnabled(self.editor.can_redo)

    # --- files of annotations

    def _browse(self) -> None:
        pattern = "Annotations (*-annot.fif *_annot.fif *.csv *.tsv *.txt *.edf *.vmrk);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self._page.widget, "Open annotations", "", pattern)
        if path:
            self.open_file(path)

    def open_file(self, path: str | Path) -> bool:
        """Show the annotations of a file beside those that are there; returns whether it could."""
        from workbench.recording import read_marks

        found = self._shown.opened
        assert found is not None, "the button is there only with a recording"
        try:
            marks = read_marks(path, found.image)
        except WorkbenchError as error:
            self.said.emit(report(error))
            return False
        self.add_file(found, marks, Path(path).stem)
        self.said.emit(f"{len(marks)} annotations of {Path(path).name}.")
        return True
