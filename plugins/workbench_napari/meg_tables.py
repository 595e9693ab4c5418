"""A table of scores as it is: columns with their units, numbers on the right."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from workbench.types import Scores


class ScoresTable(QTableWidget):
    """Shows `Scores`; hidden while there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 0, parent)
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumWidth(120)
        self.setWordWrap(True)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.hide()

    def show_scores(self, scores: Scores | None) -> None:
        """Show a table, or none."""
        self.setVisible(scores is not None and bool(scores.rows))
        if scores is None:
            self.setRowCount(0)
            return
        self.setColumnCount(len(scores.columns))
        self.setHorizontalHeaderLabels([_wrapped(c) for c in scores.columns])
        self.setRowCount(len(scores.rows))
        for row, values in enumerate(scores.rows):
            for column, value in enumerate(values):
                item = QTableWidgetItem(text_of(value))
                item.setToolTip(f"{scores.columns[column]}: {text_of(value)}")
                if isinstance(value, int | float) and not isinstance(value, bool):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, item)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.resizeRowsToContents()
        height = header.sizeHint().height() + 6 + sum(self.rowHeight(r) for r in range(min(len(scores.rows), 8)))
        self.setFixedHeight(height)


def text_of(value: Any) -> str:
    """A value for people: three or four digits, nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.3g}"
    return str(value)


def _wrapped(title: str) -> str:
    """A long title in two lines, the unit in the second."""
    return title.replace(" [", "\n[") if len(title) > 10 else title
