"""The table of classes of a scene: colour, name, pixels painted, and the area that the map gives each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QWidget

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.scene import area_text
from workbench_napari.shared.class_model import ClassModel, ClassRows, Numbers
from workbench_napari.shared.class_view import ClassView
from workbench_napari.shared.theme import hex_of

_GRAY = (128, 128, 128)


class ClassesTable(ClassView):
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
        Value of the class to paint with (of `ClassView`).
    """

    renamed = Signal(int, str)
    recolored = Signal(int, tuple)

    def __init__(self, seen: Callable[[RGB], Any] = lambda color: color, parent: QWidget | None = None) -> None:
        self._by_value: dict[int, ClassInfo] = {}
        self._seen = seen
        model = ClassModel(("", "Class", "Painted", "Area"), self._color, _tip, editable=True)
        super().__init__(model, parent)
        self.setAccessibleName("Classes")
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setToolTip(
            "Click: paint with this class. Double click: change its name, or its colour.\n"
            "Painted: pixels of this class that you gave. Area: from the map and the pixel size.\n"
            "Click on a title: sort by it."
        )
        model.renamed.connect(self.renamed)
        self.opened.connect(self._on_double_click)

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
        self._by_value = {c.value: c for c in classes}
        values = np.array([c.value for c in classes], np.int64)
        pixels = np.array([painted.get(c.value, 0) for c in classes], np.int64)
        mapped = np.full((len(classes), 2), np.nan)
        if areas is not None and len(classes):
            mapped[:] = [areas.get(c.value, (0, 0.0)) for c in classes]
        # One column is pixels or square metres, never both: a scene has a pixel size or has none.
        in_pixels = bool(len(mapped)) and np.isnan(mapped[:, 1]).all()
        area = Numbers(mapped[:, 0] if in_pixels else mapped[:, 1], _pixels_text if in_pixels else _area_text)
        rows = ClassRows(values, classes.names, (Numbers(pixels, "{:,}".format), area))
        self.show_rows(rows, selected)
        self.repaint_rows()  # in other colours, or seen through another opacity

    @property
    def selected(self) -> ClassInfo | None:
        """Class of the marked row."""
        value = self.marked_value
        return None if value is None else self._by_value.get(value)

    def _color(self, value: int) -> str:
        found = self._by_value.get(value)
        return hex_of(_GRAY if found is None else self._seen(found.color))

    def _on_double_click(self, value: int, column: int) -> None:
        c = self._by_value.get(value)
        if column == 0 and c is not None:
            color = QColorDialog.getColor(QColor(*c.color), self, f"Colour of {c.name}")
            if color.isValid():
                self.recolored.emit(c.value, (color.red(), color.green(), color.blue()))


def _tip(value: int, column: int) -> str:
    return ("Double click: another colour", f"label {value}. Double click: another name", "", "")[column]


def _area_text(square_metres: Any) -> str:
    return "" if square_metres != square_metres else str(area_text(float(square_metres)))


def _pixels_text(pixels: Any) -> str:
    return "" if pixels != pixels else f"{int(pixels):,} px"


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
