"""The annotations of a recording as a table: click to go there, double-click a name to change it.

What a method marked stands in it too, in italics; it is changed once somebody has taken it over.
"""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from workbench_napari.recording.marks_model import BY, CHANNELS, LABEL, MarksModel
from workbench_napari.recording.whose import MACHINES, MarkRow

_ROW = 24


class MarksTable(QTableView):
    """Rows of annotations, in order of time; 20,000 cost as 10 do.

    Signals
    -------
    chosen
        Row that was clicked.
    renamed
        Row and its new label.
    """

    chosen = Signal(int)
    renamed = Signal(int, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = MarksModel(self)
        self.setModel(self._model)
        self.setAccessibleName("Annotations")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumWidth(120)
        self.setFixedHeight(168)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setWordWrap(False)
        rows, header = self.verticalHeader(), self.horizontalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(_ROW)
        for column, width in enumerate((58, 66, 100)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self.setColumnWidth(column, width)
        header.setSectionResizeMode(CHANNELS, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(BY, QHeaderView.ResizeMode.Fixed)
        self.clicked.connect(lambda index: self.chosen.emit(index.row()))
        self._model.renamed.connect(self.renamed)

    def show_rows(self, rows: Sequence[MarkRow]) -> None:
        """Show these annotations."""
        # Not by the contents: Qt would look at a thousand rows for one word.
        wide = self.fontMetrics().horizontalAdvance(MACHINES) + 16
        width = max(wide if any(row.is_machines for row in rows) else 0, self.horizontalHeader().sectionSizeHint(BY))
        if width != self.columnWidth(BY):
            self.setColumnWidth(BY, width)
        self._model.set_font(self.font())
        self._model.set_rows(rows)

    def row_count(self) -> int:
        return self._model.rowCount()

    def text_at(self, row: int, column: int) -> str:
        """What a cell shows."""
        return str(self._model.index(row, column).data())

    def type_label(self, row: int, text: str) -> bool:
        """Rename a row as typing into it does; returns whether it can be."""
        return self._model.setData(self._model.index(row, LABEL), text)

    @property
    def rows_chosen(self) -> list[int]:
        """Rows that are marked."""
        return sorted({i.row() for i in self.selectionModel().selectedRows()})
