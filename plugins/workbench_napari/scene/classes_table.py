"""The table of classes of a scene: colour, name, pixels painted, and the area that the map gives each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.scene import area_text
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.theme import hex_of

_ROWS_SHOWN = 8
_ROW = 22


class ClassesTable(QTableWidget):
    """Shows classes and tells what people do with them; it keeps nothing but the rows.

    Parameters
    ----------
    seen
        How a colour of a class looks on the canvas; swatches have that one.

    Signals
    -------
    renamed
        Value of a class and its new name.
    recolored
        Value of a class and its new colour.
    chosen
        Value of the class to paint with.
    """

    renamed = Signal(int, str)
    recolored = Signal(int, tuple)
    chosen = Signal(int)

    def __init__(self, seen: Callable[[RGB], Any] = lambda color: color, parent: QWidget | None = None) -> None:
        super().__init__(0, 4, parent)
        self._seen = seen
        self.setAccessibleName("Classes")
        self.setHorizontalHeaderLabels(["", "Class", "Painted", "Area"])
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setToolTip(
            "Click: paint with this class. Double click: change its name, or its colour.\n"
            "Painted: pixels of this class that you gave. Area: from the map and the pixel size."
        )
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(0, 26)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for column in (2, 3):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self._classes = ClassTable()
        self.itemSelectionChanged.connect(self._on_selected)
        self.itemChanged.connect(self._on_changed)
        self.cellDoubleClicked.connect(self._on_double_click)
        self._fit()

    def show_classes(
        self,
        classes: ClassTable,
        painted: Mapping[int, int],
        areas: Mapping[int, tuple[int, float]] | None,
        selected: int | None,
    ) -> None:
        """Fill the table.

        Parameters
        ----------
        painted
            Pixels painted per class value.
        areas
            Pixels and square metres (NaN if unknown) per class value in the map, or ``None`` while there is no map.
        selected
            Value of the class that the brush has.
        """
        if self.state() == QAbstractItemView.State.EditingState:
            return
        self.blockSignals(True)
        self._classes = classes
        self.setRowCount(len(classes))
        for row, c in enumerate(classes):
            swatch = QTableWidgetItem(_swatch(self._seen(c.color)), "")
            swatch.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            swatch.setToolTip("Double click: another colour")
            name = QTableWidgetItem(c.name)
            name.setToolTip(plain_tip(f"label {c.value}. Double click: another name"))
            self.setItem(row, 0, swatch)
            self.setItem(row, 1, name)
            texts = (f"{painted.get(c.value, 0):,}", _area(areas, c.value))
            for column, text in enumerate(texts, start=2):
                item = QTableWidgetItem(text)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, item)
        self.clearSelection()
        for row, c in enumerate(classes):
            if c.value == selected:
                self.selectRow(row)
        self.blockSignals(False)
        self._fit()

    def select(self, value: int) -> None:
        """Mark the row of a class without telling anybody."""
        self.blockSignals(True)
        self.clearSelection()
        for row, c in enumerate(self._classes):
            if c.value == value:
                self.selectRow(row)
        self.blockSignals(False)

    @property
    def selected(self) -> ClassInfo | None:
        """Class of the marked row."""
        rows = {i.row() for i in self.selectedIndexes()}
        return self._classes.classes[rows.pop()] if len(rows) == 1 else None

    def _fit(self) -> None:
        rows = min(max(self.rowCount(), 2), _ROWS_SHOWN)
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * _ROW + 6)

    def _on_selected(self) -> None:
        if self.selected is not None:
            self.chosen.emit(self.selected.value)

    def _on_changed(self, item: QTableWidgetItem) -> None:
        if item.column() == 1 and item.row() < len(self._classes):
            self.renamed.emit(self._classes.classes[item.row()].value, item.text().strip())

    def _on_double_click(self, row: int, column: int) -> None:
        if column == 0 and row < len(self._classes):
            c = self._classes.classes[row]
            color = QColorDialog.getColor(QColor(*c.color), self, f"Colour of {c.name}")
            if color.isValid():
                self.recolored.emit(c.value, (color.red(), color.green(), color.blue()))


def _area(areas: Mapping[int, tuple[int, float]] | None, value: int) -> str:
    if areas is None:
        return ""
    pixels, square_metres = areas.get(value, (0, 0.0))
    return f"{pixels:,} px" if square_metres != square_metres else area_text(square_metres)


def _swatch(color: Any) -> QIcon:
    pixmap = QPixmap(12, 12)
    pixmap.fill(QColor(hex_of(color)))
    icon = QIcon(pixmap)
    # Qt would tint the colour of the chosen row.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def next_class(classes: ClassTable, name: str | None = None) -> ClassTable:
    """The classes and one more, with the first free value and the palette's colour for it."""
    value = 1
    while any(c.value == value for c in classes):
        value += 1
    (fresh,) = ClassTable.from_values([value])
    return ClassTable((*classes, ClassInfo(value, name or f"class {value}", _free_color(classes, fresh.color))))


def _free_color(classes: ClassTable, wanted: Any) -> Any:
    taken: set[Any] = {c.color for c in classes}
    palette = [c.color for c in ClassTable.from_values(list(range(1, 21)))]
    return wanted if wanted not in taken else next((c for c in palette if c not in taken), wanted)


def changed(classes: ClassTable, value: int, *, name: str | None = None, color: Any = None) -> ClassTable:
    """The classes with another name or colour of one of them."""
    return ClassTable(
        tuple(ClassInfo(c.value, name or c.name, color or c.color) if c.value == value else c for c in classes)
    )
