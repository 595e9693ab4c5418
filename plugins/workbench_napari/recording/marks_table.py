"""The annotations of a recording as a table: click to go there, double-click a name to change it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from workbench.core.types import Marks
from workbench_napari.recording.marks import color_of
from workbench_napari.shared.plain_text import plain_tip

_COLUMNS = ("Start [s]", "Length [s]", "Label", "Channels")
_LABEL = 2


class MarksTable(QTableWidget):
    """Rows of annotations, in order of time.

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
        super().__init__(0, len(_COLUMNS), parent)
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setAccessibleName("Annotations")
        self.verticalHeader().hide()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumWidth(120)
        self.setFixedHeight(168)
        header = self.horizontalHeader()
        header.setStretchLastSection(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().setDefaultSectionSize(24)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setWordWrap(False)
        for column, width in enumerate((58, 66, 100)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self.setColumnWidth(column, width)
        self.cellClicked.connect(lambda row, _column: self.chosen.emit(row))
        self.itemChanged.connect(self._on_item)
        self._mine = False

    def show_marks(self, marks: Marks) -> None:
        """Show these annotations."""
        self._mine = True
        self.setRowCount(len(marks))
        for row, mark in enumerate(marks):
            texts = (f"{mark.onset:.3f}", f"{mark.duration:.3f}", mark.label, ", ".join(mark.channels) or "all")
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(plain_tip(text) if column >= _LABEL else "")
                if column < _LABEL:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if column == _LABEL:
                    item.setForeground(QColor(color_of(mark.label)).lighter(130))
                else:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self.setItem(row, column, item)
        self._mine = False

    @property
    def rows_chosen(self) -> list[int]:
        """Rows that are marked."""
        return sorted({i.row() for i in self.selectionModel().selectedRows()})

    def _on_item(self, item: Any) -> None:
        if not self._mine and item.column() == _LABEL:
            self.renamed.emit(item.row(), item.text())
