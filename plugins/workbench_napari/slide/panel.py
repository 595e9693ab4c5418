"""What the Slides tool looks like besides the parts of the general tool: where to take tiles, annotations, areas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from workbench.core.types import Scores
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box

FOUND = "Tissue that the run finds"


class AreaGroup(QWidget):
    """Where tiles are taken: tissue that the run finds, a mask that was painted, or outlines."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Tissue")
        self.find = button(
            "Find tissue",
            "Find the tissue without a network, as a layer to paint in; the run takes its tiles of it then",
        )
        column.addLayout(button_row(self.find))
        form = form_layout()
        self.where = combo_box(
            "Where tiles are taken: in tissue that the run looks for itself, in a mask as it is painted now, or only "
            "in the drawn outlines"
        )
        add_row(form, "Tiles in", self.where)
        column.addLayout(form)
        outer.addWidget(group)


class AnnotationGroup(QWidget):
    """Outlines, lines and points that people draw, with their classes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Annotations")
        self.new = button("New annotations", "A layer to draw outlines in, in the frame of the slide")
        self.open = button("Open...", "Annotations of QuPath (GeoJSON), NDP.view (NDPA), ASAP or ImageScope (XML)")
        column.addLayout(button_row(self.new, self.open))
        form = form_layout()
        self.classes = combo_box("Class of the selected shapes, and of those that are drawn next")
        self.classes.setEditable(True)
        self.classes.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        add_row(form, "Class", self.classes)
        column.addLayout(form)
        outer.addWidget(group)


def turned(scores: Scores) -> Scores:
    """The table with rows for columns: a few things of which much is said."""
    names, *columns = zip(scores.columns, *scores.rows, strict=True)
    return Scores(tuple(str(name) for name in names), tuple(columns), scores.name)


class ScoresTable(QTableWidget):
    """A small table of a result, to be read."""

    MOST_ROWS = 12

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.verticalHeader().hide()
        self.hide()

    def show_scores(self, scores: Any, colors: Mapping[str, tuple[int, int, int]] | None = None) -> None:
        """Show a table; hidden where there is none.

        Parameters
        ----------
        colors
            By what stands in the first column: a square of that colour stands beside it.
        """
        self.setVisible(isinstance(scores, Scores) and bool(scores.rows))
        if not isinstance(scores, Scores):
            return
        self.setColumnCount(len(scores.columns))
        self.setHorizontalHeaderLabels(list(scores.columns))
        self.setRowCount(len(scores.rows))
        for r, row in enumerate(scores.rows):
            for c, value in enumerate(row):
                number = isinstance(value, int | float)
                item = QTableWidgetItem(f"{value:,.4g}" if isinstance(value, float) else str(value))
                if c == 0 and colors and str(value) in colors:
                    item.setData(Qt.ItemDataRole.DecorationRole, QColor(*colors[str(value)]))
                if number:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(r, c, item)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.resizeRowsToContents()
        shown = min(len(scores.rows), self.MOST_ROWS)
        self.setFixedHeight(self.horizontalHeader().height() + sum(self.rowHeight(r) for r in range(shown)) + 4)

    def texts(self) -> list[list[str]]:
        """What stands in it."""
        return [
            [self.item(r, c).text() for c in range(self.columnCount())]  # type: ignore[union-attr]
            for r in range(self.rowCount())
        ]
