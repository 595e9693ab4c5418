"""The part of the MEG tool that annotates: rectangles drawn by hand, their table, annotations of files."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QFileDialog

from workbench.core import case_folder
from workbench.core.errors import WorkbenchError
from workbench.core.types import Mark, Marks, Part
from workbench.recording import in_order
from workbench_napari.recording.mark_layers import MarkLayers
from workbench_napari.recording.marks import LABELS, MarksEditor, color_of, is_marks, marks_of, show_marks
from workbench_napari.recording.overlay import mark_lines
from workbench_napari.recording.pages import AnnotationsPage
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.recording.taking_over import TakingOver
from workbench_napari.recording.traces import Traces
from workbench_napari.recording.whose import OWN, SAVED_PEAKS, Locks, MarkRow, is_machines, marks_by_layer, rows_of
from workbench_napari.shared.following import our_choice
from workbench_napari.shared.layer_choice import chosen, fill, index_of
from workbench_napari.shared.worker import report

_ENSURE_MS = 60


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
        self._rows: list[MarkRow] = []
        self._followed: list[tuple[Any, Any]] = []
        self.mark_layers = MarkLayers(viewer, shown, self)
        self.mark_layers.current.connect(self._choose)
        self.mark_layers.said.connect(self.said)
        self._locks = Locks(self)
        self.editor = MarksEditor(self)
        self.taking_over = TakingOver(self.editor, self.mark_layers, self)
        shown.switched.connect(self._on_switched)
        shown.changed.connect(self._fill)
        self.editor.changed.connect(self._on_marks)
        page.layer.currentIndexChanged.connect(self._on_choice)
        page.label.currentTextChanged.connect(self.editor.choose_label)
        page.covered.currentIndexChanged.connect(self._on_covered)
        page.table.chosen.connect(self.go_to)
        page.table.renamed.connect(self.rename)
        page.draw_button.toggled.connect(self.draw)
        page.delete_button.clicked.connect(lambda: self.remove(page.table.rows_chosen))
        page.take_button.clicked.connect(lambda: self.take_over(page.table.rows_chosen))
        page.undo_button.clicked.connect(lambda: self.editor.undo())
        page.redo_button.clicked.connect(lambda: self.editor.redo())
        page.open_button.clicked.connect(self._browse)

    def close(self) -> None:
        """Let go of the layer that is edited."""
        self._closed = True
        self.mark_layers.close()
        self.editor.follow(None)
        self._follow(())
        self._locks.keep(())

    # --- layers of annotations

    def look_around(self, event: Any = None) -> None:
        """Layers came, went, or have another name."""
        if event is not None and event.type == "inserted" and is_marks(event.value):
            self.mark_layers.receive(event.value)
        self._fill()

    def on_active(self, _event: Any = None) -> None:
        """Another layer is active: a callback of napari. A layer of annotations is then the one to edit."""
        index = index_of(self._page.layer, self._viewer.layers.selection.active)
        if index >= 0:
            self._page.layer.setCurrentIndex(index)

    @property
    def layers(self) -> list[Any]:
        """All layers of annotations of the chosen recording, those of a person first."""
        return self.mark_layers.mine

    def layer_to_draw_in(self) -> Any:
        """The layer of the person that is drawn in; it is made where there is none."""
        found = self._shown.opened
        return None if found is None else self.editor.layer or self.mark_layers.own(found)

    def _choose(self, layer: Any) -> None:
        """Draw in this layer from now on."""
        self._fill()
        self._page.layer.setCurrentIndex(max(0, index_of(self._page.layer, layer)))

    def _on_switched(self) -> None:
        if self._shown.opened is not None:
            # The reader adds the annotations of the file right after its channels; they come first. And the window
            # would stand still for both layers if the second came in the same turn of the event loop.
            QTimer.singleShot(_ENSURE_MS, partial(self._ensure_layer, weakref.ref(self._shown.opened)))

    def _ensure_layer(self, reference: Any) -> None:
        """A layer to annotate in, if the file came without annotations."""
        found = reference()
        if self._closed or not self._shown.is_still(found):
            return
        self.mark_layers.own(found)
        # With the layer of annotations chosen the mouse would select them instead of moving the view.
        if found.main.layer in self._viewer.layers:
            with our_choice():
                self._viewer.layers.selection.active = found.main.layer

    def _fill(self) -> None:
        mine = self.layers
        theirs = [la for la in mine if is_machines(la)]
        drawn_in = [la for la in mine if not is_machines(la)]
        fill(self._page.layer, drawn_in, default=0)
        found = self._shown.opened
        for n, layer in enumerate(drawn_in):  # the recording is named above
            self._page.layer.setItemText(n, layer.name.removeprefix(f"{found.name} " if found else ""))
        self._locks.keep(theirs)
        self._stack.marks_layers = mine
        self._on_choice()

    def _on_choice(self, _index: int = 0) -> None:
        layer = chosen(self._page.layer)
        self._follow([la for la in self.layers if la is not layer])
        self.editor.follow(layer)
        self._on_marks()
        self._stack.layout()

    def _follow(self, layers: Sequence[Any]) -> None:
        """The table shows these layers too."""
        for _, emitter in self._followed:
            emitter.disconnect(self._on_marks)
        self._followed = [(la, e) for la in layers for e in (la.events.data, la.events.features)]
        for _, emitter in self._followed:
            emitter.connect(self._on_marks)

    # --- annotations

    def all_marks(self) -> Marks:
        """The annotations of all layers, in order of time: those that the table shows."""
        self.editor.settle()
        return Marks(tuple(row.mark for row in self._rows), OWN)

    def parts(self) -> dict[str, Part]:
        """What the table shows, as parts of a result: a person's annotations, and those of a method if any."""
        self.editor.settle()
        parts: dict[str, Part] = {OWN: Marks(tuple(r.mark for r in self._rows if not r.is_machines), OWN)}
        theirs = tuple(r.mark for r in self._rows if r.is_machines)
        return parts | ({SAVED_PEAKS: Marks(theirs, SAVED_PEAKS)} if theirs else {})

    @property
    def rows(self) -> list[MarkRow]:
        """What the table shows."""
        return self._rows

    def rename(self, row: int, label: str) -> None:
        """Give an annotation of a person another name; an empty one is refused."""
        chosen = self._rows[row]
        label = label.strip()
        if chosen.is_machines or not label or label == chosen.mark.label:
            self._on_marks()
            return
        renamed = replace(chosen.mark, label=label)
        self._change([chosen], lambda marks: [renamed if m == chosen.mark else m for m in marks])

    def remove(self, rows: Iterable[int]) -> None:
        """Take annotations of a person away, by their rows; those of a method have to be taken over first."""
        chosen = [self._rows[n] for n in rows]
        gone = {row.mark for row in chosen if not row.is_machines}
        self._change([r for r in chosen if not r.is_machines], lambda marks: [m for m in marks if m not in gone])
        if any(row.is_machines for row in chosen):
            self.said.emit("What the model marked stays until you take it over.")

    def take_over(self, rows: Iterable[int]) -> None:
        """Make rows of the model the person's, to change or delete them; all of them if none is given."""
        wanted = [self._rows[n] for n in rows] or self._rows
        layer = self.layer_to_draw_in()
        if layer is not self.editor.layer:
            self._choose(layer)
        count = self.taking_over.take(wanted)
        if count:
            self.said.emit(f"{count} annotations of the model are yours now; Undo gives them back.")

    def _change(self, rows: Sequence[MarkRow], change: Callable[[list[Mark]], list[Mark]]) -> None:
        """Change annotations in every layer of a person that holds them; the one that is drawn in comes last."""
        now = self.editor.layer
        found = {id(la): la for row in rows for la in row.layers if not is_machines(la)}
        for layer in sorted(found.values(), key=lambda la: la is now):
            if layer is not now:
                show_marks(layer, in_order(change(marks_of(layer, self.editor.label))))
            else:
                self.editor.set(change(list(self.editor.marks)))

    def draw(self, on: bool) -> None:
        """Draw annotations with the mouse, or move the view with it."""
        if self.editor.layer is None and on and self._shown.opened is not None:
            self._choose(self.layer_to_draw_in())
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
        mark = self._rows[row].mark
        start, stop = self._stack.span
        if not start <= mark.onset <= mark.onset + mark.duration <= stop:
            width = max(min(stop - start, 10.0), 3 * mark.duration)
            middle = mark.onset + mark.duration / 2
            self._stack.set_range(middle - width / 2, middle + width / 2)
        self._stack.set_cursor(mark.onset)

    def _on_covered(self, index: int) -> None:
        self.editor.whole = index == 0

    def _on_marks(self, _event: Any = None) -> None:
        marks, layer, page = self.editor.marks, self.editor.layer, self._page
        layers = self.layers
        held = marks_by_layer([la for la in layers if la is not layer], self.editor.label)
        if layer is not None:
            held[id(layer)] = list(marks)
        self._rows = rows_of([la for la in layers if id(la) in held], held)
        page.table.show_rows(self._rows)
        seen = {m for la in layers if la.visible or la is layer for m in held.get(id(la), ())}
        lines = mark_lines(in_order(seen), color_of)
        self._stack.set_marks(lines)
        self._traces.set_marks(lines)
        names = [page.label.itemText(n) for n in range(page.label.count())]
        for label in sorted({m.label for m in marks} - set(names) - set(LABELS)):
            page.label.addItem(label)
        page.draw_button.setEnabled(self._shown.opened is not None)
        page.delete_button.setEnabled(bool(self._rows))
        page.take_button.setEnabled(any(row.is_machines for row in self._rows))
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
        edited = bool((case_folder.record_of_file(Path(path)) or {}).get("edited_by_hand"))
        self.mark_layers.add_file(found, marks, Path(path).stem, edited=edited)
        self.said.emit(f"{len(marks)} annotations of {Path(path).name}.")
        return True
