"""A table of scores as it is: columns with their units, numbers on the right."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from workbench.core.types import Scores
from workbench_napari.shared.plain_text import plain_tip

_HIGHEST = 250


class ScoresTable(QTableWidget):
    """Shows `Scores`; hidden while there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 0, parent)
        self.setAccessibleName("Numbers")
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumWidth(120)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        font = self.font()
        font.setPixelSize(11)
        self.setFont(font)
        self.horizontalHeader().setFont(font)
        self.setStyleSheet("QHeaderView::section { padding: 2px 3px; } QTableView::item { padding: 1px 3px; }")
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._fit)
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
                item.setToolTip(plain_tip(f"{scores.columns[column]}: {text_of(value)}"))
                if isinstance(value, int | float) and not isinstance(value, bool):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, item)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        # The column of the longest words takes what the numbers leave.
        words = [
            max([len(str(r[c])) for r in scores.rows if isinstance(r[c], str)] or [0])
            for c in range(self.columnCount())
        ]
        if words:
            header.setSectionResizeMode(words.index(max(words)), QHeaderView.ResizeMode.Stretch)
        self._fit()
        self._timer.start()

    def _fit(self) -> None:
        """As high as its rows, up to a limit; words wrap where a column is narrow."""
        self.resizeRowsToContents()
        rows = sum(self.rowHeight(r) for r in range(self.rowCount()))
        self.setFixedHeight(min(self.horizontalHeader().sizeHint().height() + 6 + rows, _HIGHEST))

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        # The columns take their widths after this.
        self._timer.start()


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


def short_comparison(scores: Scores) -> Scores:
    """Differences, and correlations where there are such instead, in one column."""
    rows = []
    for r in scores.as_dicts():
        correlation = r.get("correlation")
        told = isinstance(correlation, float) and np.isfinite(correlation)
        rows.append(
            (r["measure"], r.get("real"), r.get("generated"), f"r = {correlation:.2f}" if told else r.get("difference"))
        )
    return Scores(("measure", "real", "generated", "differ by"), tuple(rows), scores.name)


def short_decoding(scores: Scores) -> Scores:
    """What fits beside a picture; the report has the rest."""
    rows = [
        (r["split"], r["features"], r["accuracy"], f"{r['95 % from']:.2f} to {r['95 % to']:.2f}")
        for r in scores.as_dicts()
    ]
    return Scores(("split", "features", "accuracy", "95 %"), tuple(rows), scores.name)
