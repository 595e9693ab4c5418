"""The table of classes or objects that the tools share: a click chooses, a header sorts, 20,000 rows cost as 10 do."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from workbench_napari.shared.class_model import ClassModel, ClassRows

_ROWS_SHOWN = 8
_ROW = 22
_SAMPLED = 30
"""Rows whose texts say how wide a column is, besides the one of the largest number."""


class ClassView(QTableView):
    """Shows a `ClassModel`, and tells what people do.

    Signals
    -------
    chosen
        Label of the row that a person marked.
    opened
        Label and column of a double click.
    """

    chosen = Signal(int)
    opened = Signal(int, int)

    def __init__(self, model: ClassModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._silent = False
        self._waiting: ClassRows | None = None
        self._marked: int | None = None
        model.setParent(self)
        self.setModel(model)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        rows = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(_ROW)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(model.name_column, QHeaderView.ResizeMode.Stretch)
        for column in range(model.name_column):
            self.setColumnWidth(column, 26)
        # A third click on a header brings back the order of the classes.
        header.setSortIndicator(-1, header.sortIndicatorOrder())
        header.setSortIndicatorClearable(True)
        self.setSortingEnabled(True)
        self.doubleClicked.connect(self._on_double_click)
        self._fit()

    # --- what is shown

    def show_rows(self, rows: ClassRows, marked: int | None) -> None:
        """Show these rows with this label marked; while somebody types a name they wait."""
        if self.state() == QAbstractItemView.State.EditingState:
            self._waiting, self._marked = rows, marked
            return
        self._waiting = None
        self._silent = True
        at = self.verticalScrollBar().value()
        anew = self._model.set_rows(rows)
        if anew:
            self.verticalScrollBar().setValue(at)
        self._silent = False
        self._fit()
        self.select(marked)

    def repaint_rows(self) -> None:
        """Colours are others now."""
        self._model.repaint()

    def closeEditor(self, editor: Any, hint: Any) -> None:
        super().closeEditor(editor, hint)
        if self._waiting is not None:
            self.show_rows(self._waiting, self._marked)

    def select(self, value: int | None) -> None:
        """Mark the row of a label without telling anybody."""
        row = -1 if value is None else self._model.row_of(value)
        if row >= 0 and self._marked_rows() == [row]:
            return
        self._silent = True
        if row < 0:
            self.clearSelection()
        else:
            flags = QItemSelectionModel.SelectionFlag
            self.selectionModel().setCurrentIndex(
                self._model.index(row, self._model.name_column), flags.ClearAndSelect | flags.Rows
            )
        self._silent = False

    def label_values(self) -> list[int]:
        """The label of every row, from top to bottom."""
        return self._model.values()

    def row_count(self) -> int:
        return self._model.rowCount()

    def text_at(self, row: int, column: int) -> str:
        """What a cell shows."""
        return str(self._model.index(row, column).data())

    @property
    def marked_value(self) -> int | None:
        """Label of the marked row."""
        rows = self._marked_rows()
        return self._model.value_at(rows[0]) if len(rows) == 1 else None

    def _marked_rows(self) -> list[int]:
        return [i.row() for i in self.selectionModel().selectedRows(self._model.name_column)]

    def _fit(self) -> None:
        """As tall as its rows, up to a limit; the rest scrolls. Numbers get the width they need."""
        header, rows = self.horizontalHeader(), self._model.rows
        shown = min(max(len(rows), 2), _ROWS_SHOWN)
        self.setFixedHeight(header.sizeHint().height() + shown * _ROW + 6)
        metrics = self.fontMetrics()
        for n, numbers in enumerate(rows.numbers):
            column = self._model.name_column + 1 + n
            sampled = list(range(min(len(rows), _SAMPLED)))
            if len(rows) and np.isfinite(numbers.values).any():
                sampled.append(int(np.nanargmax(numbers.values)))
            widest = max((metrics.horizontalAdvance(numbers.text(numbers.values[i])) for i in sampled), default=0)
            width = max(widest + 16, header.sectionSizeHint(column))
            if width != self.columnWidth(column):
                self.setColumnWidth(column, width)

    # --- what people do

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        super().selectionChanged(selected, deselected)
        if not self._silent and self.marked_value is not None:
            self.chosen.emit(self.marked_value)

    def _on_double_click(self, index: QModelIndex) -> None:
        self.opened.emit(self._model.value_at(index.row()), index.column())
