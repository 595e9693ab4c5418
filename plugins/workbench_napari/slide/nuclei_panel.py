"""What the page for correcting nuclei looks like: what the mouse does, buttons, classes, the table by probability."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QComboBox,
    QDoubleSpinBox,
    QHeaderView,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from workbench.core.objects import REVIEW
from workbench.slide import mpp_of
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box
from workbench_napari.shared.plain_text import WrappedLabel

SELECT, LASSO, DRAW, SPLIT, BRUSH, ERASE = "select", "lasso", "draw", "split", "brush", "erase"
MODES = (
    (SELECT, "Select", "Click chooses a nucleus, Shift+click one more; dragging moves the view (V)"),
    (LASSO, "Lasso", "Drag around nuclei to choose them (L)"),
    (DRAW, "Draw", "Drag around a nucleus that was not found (D)"),
    (SPLIT, "Split", "Drag a line across a nucleus that is two (S)"),
    (BRUSH, "Brush", "Paint on the chosen nucleus: what the brush goes over belongs to it (B)"),
    (ERASE, "Erase", "Take off the chosen nucleus what the brush goes over (E)"),
)
_EVERY = "All"


class NucleiGroup(QWidget):
    """The page of nuclei."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Nuclei")
        self.none = WrappedLabel()
        self.none.setText("No nuclei of this slide are shown: run CellVTA, or open a file of them.")
        column.addWidget(self.none)
        self.open = button("Open nuclei...", "Nuclei that were saved here, or outlines of QuPath (GeoJSON, GeoParquet)")
        column.addLayout(button_row(self.open))
        self.body = QWidget()
        column.addWidget(self.body)
        inner = QVBoxLayout(self.body)
        inner.setContentsMargins(0, 0, 0, 0)
        self.modes = QButtonGroup(self)
        self.mode_buttons = {}
        for name, text, tip in MODES:
            made = button(text, tip, checkable=True)
            made.setProperty("mode", name)
            self.modes.addButton(made)
            self.mode_buttons[name] = made
        self.mode_buttons[SELECT].setChecked(True)
        made_rows = list(self.mode_buttons.values())
        inner.addLayout(button_row(*made_rows[:3]))
        inner.addLayout(button_row(*made_rows[3:]))
        self.accept = button("Accept", "The chosen nuclei are right (A)")
        self.reject = button("Reject", "The chosen are no nuclei: they are kept apart and count no longer (Delete)")
        self.merge = button("Merge", "The chosen nuclei are one (M)")
        self.undo = button("Undo", "Take the last step back (Ctrl+Z)")
        self.redo = button("Redo", "Do it again (Ctrl+Shift+Z)")
        self.shape = button("Edit points", "Move the points of the chosen outline with the tools of napari")
        inner.addLayout(button_row(self.accept, self.reject, self.merge))
        inner.addLayout(button_row(self.shape, self.undo, self.redo))
        form = form_layout()
        self.classes = combo_box("Class of the chosen nuclei, and of those that are drawn next; a new name makes one")
        self.classes.setEditable(True)
        self.classes.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.classes.setCompleter(None)  # "lymph" is a name of its own
        add_row(form, "Class", self.classes)
        self.radius = QDoubleSpinBox()
        self.radius.setRange(1, 200)
        self.radius.setValue(5)
        self.radius.setSuffix(" px")
        self.radius.setToolTip("Radius of the brush, in pixels of the slide")
        self.outlines = button("Outlines", "Show the edges of the nuclei alone, or their areas", checkable=True)
        self.outlines.setChecked(True)
        brush = button_row(self.radius, self.outlines)
        add_row(form, "Brush", brush)
        inner.addLayout(form)
        self.learn = button(
            "Learn classes",
            "Name all nuclei after those that you named: a few of each of two classes or more are enough",
        )
        self.keep = button("Save classes...", "What was learnt as a small file of weights, for other slides")
        self.keep.setEnabled(False)
        inner.addLayout(button_row(self.learn, self.keep))
        self.teach = button(
            "Teach outlines...",
            "Weights that learn from your corrections, as a file of their own: what lies around the nuclei that you "
            "accepted, edited or rejected counts as right. About a minute without a GPU.",
        )
        inner.addLayout(button_row(self.teach))
        self.told = WrappedLabel()
        self.told.hide()
        inner.addWidget(self.told)
        form = form_layout()
        self.state = combo_box("Which nuclei are listed")
        self.state.addItems([_EVERY, *(word.capitalize() for word in REVIEW)])
        add_row(form, "Listed", self.state)
        inner.addLayout(form)
        self.model = NucleiModel(self)
        self.table = NucleiTable(self.model)
        inner.addWidget(self.table)
        self.count = WrappedLabel()
        inner.addWidget(self.count)
        outer.addWidget(group)
        self.body.hide()

    @property
    def mode(self) -> str:
        return str(self.modes.checkedButton().property("mode"))

    @property
    def listed(self) -> int | None:
        """The review state that is listed, ``None`` for all."""
        return self.state.currentIndex() - 1 if self.state.currentIndex() > 0 else None


class NucleiModel(QAbstractTableModel):
    """Rows of nuclei, of any number: their arrays are looked into when a row is painted."""

    TITLES = ("Id", "Class", "Prob.", "Area", "Review")
    sorted_anew = Signal()

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._edits: Any = None
        self._names: dict[int, str] = {}
        self._areas: npt.NDArray[np.float64] = np.zeros(0)
        self._unit = "px"
        self._listed: int | None = None
        self._by, self._down = 2, False
        self.rows: npt.NDArray[np.int64] = np.zeros(0, np.int64)

    def show(self, edits: Any, listed: int | None) -> None:
        """List the nuclei of an edit, in the order that was chosen."""
        self.beginResetModel()
        self._edits, self._listed = edits, listed
        if edits is None:
            self.rows = np.zeros(0, np.int64)
        else:
            self._names = {0: "", **{c.value: c.name for c in edits.classes}}
            self._areas, self._unit = edits.areas(), "px" if mpp_of(edits.base) is None else "um2"
            self._order()
        self.endResetModel()

    def _order(self) -> None:
        edits = self._edits
        # Rejected ones are listed when they are asked for: they are nuclei no longer.
        kept = edits.is_there if self._listed is None else ~edits.gone & (edits.review == self._listed)
        chosen = np.flatnonzero(kept)
        keys = (chosen, edits.values, edits.probabilities, self._areas, edits.review)
        key = chosen if self._by == 0 else np.asarray(keys[self._by], np.float64)[chosen]
        if self._by == 1:  # by name
            place = {v: i for i, (_, v) in enumerate(sorted((name, v) for v, name in self._names.items()))}
            key = np.array([place.get(int(v), -1) for v in range(int(max(place)) + 1)])[key.astype(int)]
        # Numbers that nobody knows stand last whichever way it is sorted.
        order = np.argsort(-key if self._down else key, kind="stable")
        self.rows = chosen[order]

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        self._by, self._down = column, order == Qt.SortOrder.DescendingOrder
        if self._edits is not None:
            self.beginResetModel()
            self._order()
            self.endResetModel()
            self.sorted_anew.emit()

    def rowCount(self, parent: Any = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Any = None) -> int:
        return len(self.TITLES)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return {2: "How probable the class of the nucleus is, or that it is one", 3: "Area"}.get(section)
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            title = self.TITLES[section]
            return self._unit if title == "Area" else title
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() in (0, 2, 3):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        number, edits = int(self.rows[index.row()]), self._edits
        if index.column() == 0:
            return str(edits.id_of(number))
        if index.column() == 1:
            return self._names.get(int(edits.values[number]), "")
        if index.column() == 2:
            odds = float(edits.probabilities[number])
            return "" if odds != odds else f"{odds:.3f}"
        if index.column() == 3:
            return f"{self._areas[number]:,.1f}"
        return REVIEW[int(edits.review[number])]

    def row_of(self, number: int) -> int | None:
        found = np.flatnonzero(self.rows == number)
        return int(found[0]) if found.size else None


class NucleiTable(QTableView):
    """The table; a click on a row goes to its nucleus.

    Signals
    -------
    wanted
        Number of the nucleus to go to.
    """

    wanted = Signal(int)

    def __init__(self, model: NucleiModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setAccessibleName("Nuclei by probability")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        header = self.horizontalHeader()
        header.setResizeContentsPrecision(30)  # rows that are looked at for it: there may be hundreds of thousands
        for column in range(len(model.TITLES)):
            mode = QHeaderView.ResizeMode.Stretch if column == 1 else QHeaderView.ResizeMode.ResizeToContents
            header.setSectionResizeMode(column, mode)
        header.setMaximumSectionSize(110)  # ids may be long
        self.setSortingEnabled(True)
        self.sortByColumn(2, Qt.SortOrder.AscendingOrder)
        self.setMinimumHeight(180)
        self._quiet = False
        self.actions: dict[str, Callable[[], Any]] = {}
        """What keys do here, by their names."""
        self.selectionModel().currentRowChanged.connect(self._on_current)

    def keyPressEvent(self, event: Any) -> None:
        """The keys of the canvas work here too; Qt would search for ids with them."""
        special = {Qt.Key.Key_Delete: "Delete", Qt.Key.Key_Backspace: "Backspace"}
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        action = self.actions.get(special.get(event.key(), event.text().upper())) if plain else None
        if action is not None:
            action()
        else:
            super().keyPressEvent(event)

    def _on_current(self, now: QModelIndex, _before: QModelIndex) -> None:
        if now.isValid() and not self._quiet:
            self.wanted.emit(int(self.model().rows[now.row()]))  # type: ignore[union-attr]

    def show_number(self, number: int | None) -> None:
        """Mark the row of a nucleus, without going there."""
        model = self.model()
        row = None if number is None else model.row_of(number)  # type: ignore[union-attr]
        self._quiet = True
        try:
            if row is None:
                self.clearSelection()
            else:
                self.selectRow(row)
                self.scrollTo(model.index(row, 0))
        finally:
            self._quiet = False
