"""Annotations of a method become a person's: in one step, which can be taken back and forth."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QObject

from workbench.core.types import Mark, Marks
from workbench_napari.recording.mark_layers import MarkLayers
from workbench_napari.recording.marks import MarksEditor, marks_of
from workbench_napari.recording.whose import MarkRow, Taken, is_machines, plain_record


class TakingOver(QObject):
    """Moves annotations from the layer of a method into that of the person, and back where the step is taken back."""

    def __init__(self, editor: MarksEditor, layers: MarkLayers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._editor, self._layers = editor, layers
        self._taken: list[Taken] = []
        editor.stepped.connect(self._on_step)

    def take(self, rows: Sequence[MarkRow]) -> int:
        """Make these rows of the table the person's, as far as a method made them; returns how many that were."""
        theirs = [row for row in rows if row.is_machines]
        if not theirs or self._editor.layer is None:
            return 0
        taken = Taken(frozenset(row.mark for row in theirs), plain_record(theirs[0].layers[0]))
        self._taken.append(taken)
        self._editor.add(*taken.marks)
        self._let_go(taken)
        return len(theirs)

    def _on_step(self, before: list[Mark], now: list[Mark]) -> None:
        for taken in self._taken:
            if taken.is_theirs and taken.marks <= set(before) and not taken.marks & set(now):
                taken.is_theirs = False
                self._show([*self._of_method(), *taken.marks], taken)
            elif not taken.is_theirs and taken.marks <= set(now) and not taken.marks & set(before):
                taken.is_theirs = True
                self._let_go(taken)

    def _of_method(self) -> list[Mark]:
        return [mark for layer in self._layers.mine if is_machines(layer) for mark in marks_of(layer)]

    def _let_go(self, taken: Taken) -> None:
        self._show([mark for mark in self._of_method() if mark not in taken.marks], taken)

    def _show(self, marks: list[Mark], taken: Taken) -> None:
        """What is left to the method, in a layer made anew: a change of the old one would be an edit by hand."""
        self._layers.show_peaks(Marks(tuple(marks)), taken.record)
