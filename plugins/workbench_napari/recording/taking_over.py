"""Annotations of a method become a person's: in one step, which can be taken back and forth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from workbench.core.types import Mark, Marks
from workbench_napari.recording.marks import marks_of
from workbench_napari.recording.whose import Taken, is_machines, plain_record

if TYPE_CHECKING:
    from workbench_napari.recording.annotating import Annotating


class TakingOver(QObject):
    """Moves annotations from the layer of a method into that of the person, and back where the step is taken back."""

    def __init__(self, annotating: Annotating, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._annotating = annotating
        self._taken: list[Taken] = []
        annotating.editor.stepped.connect(self._on_step)

    def take(self, rows: Iterable[int]) -> None:
        """Make these rows of the table the person's, as far as a method made them; all of its rows if none is given."""
        place = self._annotating
        chosen = [place.rows[n] for n in rows] or place.rows
        marks = frozenset(row.mark for row in chosen if row.is_machines)
        if not marks:
            return
        layer = place.layer_to_draw_in()
        taken = Taken(marks, plain_record(next(la for row in chosen if row.is_machines for la in row.layers)))
        self._taken.append(taken)
        place.editor.follow(layer)
        place.editor.add(*marks)
        self._let_go(marks, taken.record)
        place.said.emit(f"{len(marks)} annotations of the model are yours now.")

    def _on_step(self, before: list[Mark], now: list[Mark]) -> None:
        for taken in self._taken:
            if taken.is_theirs and taken.marks <= set(before) and not taken.marks & set(now):
                taken.is_theirs = False
                self._show([*self._theirs(), *taken.marks], taken.record)
            elif not taken.is_theirs and taken.marks <= set(now) and not taken.marks & set(before):
                taken.is_theirs = True
                self._let_go(taken.marks, taken.record)

    def _theirs(self) -> list[Mark]:
        return [mark for layer in self._annotating.layers if is_machines(layer) for mark in marks_of(layer)]

    def _let_go(self, marks: frozenset[Mark], record: dict[str, Any]) -> None:
        self._show([mark for mark in self._theirs() if mark not in marks], record)

    def _show(self, marks: list[Mark], record: dict[str, Any]) -> None:
        """What is left to the method, in a layer made anew: a change of the old one would be an edit by hand."""
        self._annotating.mark_layers.show_peaks(Marks(tuple(marks)), record)
