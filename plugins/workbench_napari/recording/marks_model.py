"""The rows of the table of annotations: a view asks only for what it shows, and only what changed is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from qtpy.QtGui import QColor, QFont

from workbench_napari.recording.marks import color_of
from workbench_napari.recording.whose import MarkRow
from workbench_napari.shared.plain_text import plain_tip

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("Start [s]", "Length [s]", "Label", "Channels", "By")
LABEL, CHANNELS, BY = 2, 3, 4
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class MarksModel(QAbstractTableModel):
    """Rows of `MarkRow`, in the order they come.

    Signals
    -------
    renamed
        Row and the label that was typed for it; the model itself keeps the old one until it is given new rows.
    """

    renamed = Signal(int, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[MarkRow] = []
        self._colors: dict[str, QColor] = {}
        self._italic = QFont()
        self._italic.setItalic(True)

    def set_font(self, font: QFont) -> None:
        """The font of the view, in which what a method marked is slanted."""
        self._italic = QFont(font)
        self._italic.setItalic(True)

    def set_rows(self, rows: Sequence[MarkRow]) -> None:
        """Show other rows. Those before the first and after the last that changed stay, and so what is marked there."""
        new, old = list(rows), self._rows
        shorter = min(len(new), len(old))
        head = next((n for n in range(shorter) if not _same(old[n], new[n])), shorter)
        room = shorter - head
        tail = next((n for n in range(room) if not _same(old[-1 - n], new[-1 - n])), room)
        gone, come = len(old) - head - tail, len(new) - head - tail
        changed = min(gone, come)
        if changed:
            self._rows = [*old[:head], *new[head : head + changed], *old[head + changed :]]
            self.dataChanged.emit(self.index(head, 0), self.index(head + changed - 1, len(COLUMNS) - 1))
        if gone > come:
            self.beginRemoveRows(QModelIndex(), head + changed, head + gone - 1)
            self._rows = new
            self.endRemoveRows()
        elif come > gone:
            self.beginInsertRows(QModelIndex(), head + changed, head + come - 1)
            self._rows = new
            self.endInsertRows()
        self._rows = new  # other layers may hold them

    # --- what Qt asks

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
        if index.column() == LABEL and not self._rows[index.row()].is_machines:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole and LABEL <= column <= CHANNELS:
            return plain_tip(_text(row, column))
        if role == Qt.ItemDataRole.TextAlignmentRole and column < LABEL:
            return _RIGHT
        if role == Qt.ItemDataRole.ForegroundRole and column == LABEL:
            return self._color(row.mark.label)
        if role == Qt.ItemDataRole.FontRole and row.is_machines:
            return self._italic
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.EditRole or not self.flags(index) & Qt.ItemFlag.ItemIsEditable:
            return False
        self.renamed.emit(index.row(), str(value))
        return True

    def _color(self, label: str) -> QColor:
        if label not in self._colors:
            self._colors[label] = QColor(color_of(label)).lighter(130)
        return self._colors[label]


def _text(row: MarkRow, column: int) -> str:
    mark = row.mark
    if column == 0:
        return f"{mark.onset:.3f}"
    if column == 1:
        return f"{mark.duration:.3f}"
    if column == LABEL:
        return mark.label
    return (", ".join(mark.channels) or "all") if column == CHANNELS else row.by


def _same(one: MarkRow, other: MarkRow) -> bool:
    """Whether two rows look the same; nearly always it is the very same annotation."""
    return (one.mark is other.mark or one.mark == other.mark) and one.is_machines == other.is_machines
