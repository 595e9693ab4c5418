"""The annotations of a recording as a table: click to go there, double-click a name to change it.

What a method marked stands in it too, in italics; it is changed once somebody has taken it over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from workbench_napari.recording.marks import color_of
from workbench_napari.recording.whose import MarkRow
from workbench_napari.shared.plain_text import plain_tip

_COLUMNS = ("Start [s]", "Length [s]", "Label", "Channels", "By")
_LABEL, _CHANNELS, _BY = 2, 3, 4


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
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().setDefaultSectionSize(24)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setWordWrap(False)
        for column, width in enumerate((58, 66, 100)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self.setColumnWidth(column, width)
        header.setSectionResizeMode(_CHANNELS, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(_BY, QHeaderView.ResizeMode.ResizeToContents)
        self.cellClicked.connect(lambda row, _column: self.chosen.emit(row))
        self.itemChanged.connect(self._on_item)
        self._mine = False

    def show_rows(self, rows: Sequence[MarkRow]) -> None:
        """Show these annotations."""
        self._mine = True
        self.setRowCount(len(rows))
        for number, row in enumerate(rows):
            mark = row.mark
            channels = ", ".join(mark.channels) or "all"
            texts = (f"{mark.onset:.3f}", f"{mark.duration:.3f}", mark.label, channels, row.by)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(plain_tip(text) if _LABEL <= column <= _CHANNELS else "")
                if column < _LABEL:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if column == _LABEL:
                    item.setForeground(QColor(color_of(mark.label)).lighter(130))
                if column != _LABEL or row.is_machines:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                if row.is_machines:
                    font = item.font()
                    font.setItalic(True)
                    item.setFont(font)
                self.setItem(number, column, item)
        self._mine = False

    @property
    def rows_chosen(self) -> list[int]:
        """Rows that are marked."""
        return sorted({i.row() for i in self.selectionModel().selectedRows()})

    def _on_item(self, item: Any) -> None:
        if not self._mine and item.column() == _LABEL:
            self.renamed.emit(item.row(), item.text())
