"""The rows of a table of classes or objects: arrays, of which a view asks only for what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap

from workbench_napari.shared.plain_text import plain_tip

Index = QModelIndex | QPersistentModelIndex
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ICONS_KEPT = 4096


@dataclass(frozen=True, eq=False)
class Numbers:
    """One column of numbers.

    Parameters
    ----------
    values
        One number per row; the column is sorted by them, and NaN comes last.
    text
        What is shown for a number; asked for rows that are in sight only.
    """

    values: npt.NDArray[Any]
    text: Callable[[Any], str]

    def same(self, other: Numbers) -> bool:
        """Whether nothing of it would look different; columns of one title have one way to write numbers."""
        return np.array_equal(self.values, other.values, equal_nan=self.values.dtype.kind == "f")


@dataclass(frozen=True, eq=False)
class ClassRows:
    """The label, name and numbers of every row."""

    values: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    names: Sequence[str] = ()
    numbers: tuple[Numbers, ...] = ()

    def __len__(self) -> int:
        return len(self.values)


class ClassModel(QAbstractTableModel):
    """Rows of `ClassRows`, sorted by any column; swatches are drawn when they come into sight.

    Parameters
    ----------
    titles
        Of all columns: that of the swatches if there is one ("" is its title), that of the names, those of the numbers.
    color_of
        The colour of a label as it is seen, ``#rrggbb``.
    tip_of
        The tooltip of a label and a column.
    editable
        Whether names can be changed.

    Signals
    -------
    renamed
        A label and the name that was typed for it; the model itself keeps the old one until it is given new rows.
    """

    renamed = Signal(int, str)

    def __init__(
        self,
        titles: tuple[str, ...],
        color_of: Callable[[int], str],
        tip_of: Callable[[int, int], str],
        *,
        editable: bool = False,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._titles, self._color_of, self._tip_of, self._editable = titles, color_of, tip_of, editable
        self._swatch = 0
        self.name_column = 1 if titles[0] == "" else 0
        self._rows = ClassRows()
        self._order: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._sorted: tuple[int, bool] | None = None
        self._icons: dict[tuple[int, int, int], QIcon] = {}

    # --- rows

    @property
    def rows(self) -> ClassRows:
        """What is shown, in the order it came in."""
        return self._rows

    def set_rows(self, rows: ClassRows) -> bool:
        """Show other rows; returns whether the view has to start anew (other rows, or in another order)."""
        order = self._ordered(rows)
        same = len(rows) == len(self._rows) and np.array_equal(rows.values[order], self._rows.values[self._order])
        if same:
            before, self._rows, self._order = self._rows, rows, order
            numbers = zip(rows.numbers, before.numbers, strict=False)
            if list(rows.names) != list(before.names) or not all(a.same(b) for a, b in numbers):
                self.repaint()
            return False
        self.beginResetModel()
        self._rows, self._order = rows, order
        self.endResetModel()
        return True

    def repaint(self) -> None:
        """Texts or colours are others now."""
        if len(self._rows):
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(self._titles) - 1))

    def value_at(self, row: int) -> int:
        """The label of a row, as the rows are sorted now."""
        return int(self._rows.values[self._order[row]])

    def values(self) -> list[int]:
        """The label of every row, from top to bottom."""
        found: list[int] = self._rows.values[self._order].tolist()
        return found

    def row_of(self, value: int) -> int:
        """Where a label stands; -1 if it does not."""
        found = np.flatnonzero(self._rows.values[self._order] == value)
        return int(found[0]) if len(found) else -1

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; by none (-1) the rows stand as they came."""
        self._sorted = None if column < 0 else (column, order == Qt.SortOrder.DescendingOrder)
        self.layoutAboutToBeChanged.emit()
        kept = self.persistentIndexList()
        labels = [self._rows.values[self._order[i.row()]] for i in kept]
        self._order = self._ordered(self._rows)
        to = [self.index(self.row_of(int(v)), i.column()) for v, i in zip(labels, kept, strict=True)]
        self.changePersistentIndexList(kept, to)
        self.layoutChanged.emit()

    def _ordered(self, rows: ClassRows) -> npt.NDArray[np.int64]:
        if self._sorted is None or not len(rows):
            return np.arange(len(rows))
        column, falls = self._sorted
        number = column - self.name_column - 1
        if number >= 0:
            keys = rows.numbers[number].values.astype(np.float64)
        elif column == self.name_column:
            names = {name: i for i, name in enumerate(sorted(set(rows.names), key=str.casefold))}
            keys = np.array([names[name] for name in rows.names], np.float64)
        else:
            keys = rows.values.astype(np.float64)
        return np.argsort(-keys if falls else keys, kind="stable")

    # --- what Qt asks

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._titles)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        if role == Qt.ItemDataRole.InitialSortOrderRole:
            # Who sorts by a volume looks for the largest.
            falls = section > self.name_column
            return Qt.SortOrder.DescendingOrder if falls else Qt.SortOrder.AscendingOrder
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        if self._editable and index.column() == self.name_column:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = int(self._order[index.row()]), index.column()
        number = column - self.name_column - 1
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            if column == self.name_column:
                return str(self._rows.names[row])
            return self._rows.numbers[number].text(self._rows.numbers[number].values[row]) if number >= 0 else ""
        if role == Qt.ItemDataRole.DecorationRole and column == self._swatch:
            return self._icon(self._color_of(int(self._rows.values[row])))
        if role == Qt.ItemDataRole.TextAlignmentRole and number >= 0:
            return _RIGHT
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(self._tip_of(int(self._rows.values[row]), column)) or None
        if role == Qt.ItemDataRole.UserRole:
            return int(self._rows.values[row])
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.EditRole or index.column() != self.name_column or not self._editable:
            return False
        self.renamed.emit(self.value_at(index.row()), str(value).strip())
        return True

    def _icon(self, color: str) -> QIcon:
        found = self._icons.get(color)
        if found is None:
            if len(self._icons) >= _ICONS_KEPT:
                self._icons.clear()
            pixmap = QPixmap(12, 12)
            pixmap.fill(QColor(color))
            found = self._icons[color] = QIcon(pixmap)
            # Qt would tint the colour of the chosen row.
            found.addPixmap(pixmap, QIcon.Mode.Selected)
        return found
