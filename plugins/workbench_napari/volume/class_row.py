"""The row below the volumes: the class in the brush with its colour and name, and what can be done to classes."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QColorDialog, QHBoxLayout, QLineEdit, QMenu, QPushButton, QVBoxLayout, QWidget

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench_napari.shared.panel_base import button
from workbench_napari.volume.class_editing import ClassEditing, classes_of


class ClassRow(QWidget):
    """Edits the class that the brush of the shown labels has.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)

    def __init__(self, editing: ClassEditing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.editing = editing
        self._layer: Any = None
        self.color = button("", "Colour of this class")
        self.color.setFixedWidth(30)
        self.color.setAccessibleName("Colour of this class")
        self.name = QLineEdit()
        self.name.setPlaceholderText("no class in the brush")
        self.name.setAccessibleName("Name of this class")
        self.name.setToolTip("Name of the class in the brush: type and press Return")
        self.add = button("Add class", "Add a class with a value, a name and a colour of its own")
        self.merge = QPushButton("Merge into")
        self.merge.setToolTip("Give the voxels of this class to another one (Ctrl+Z on the canvas takes it back)")
        self.merge.setMenu(QMenu(self.merge))
        self.delete = button("Delete class", "Make its voxels background (Ctrl+Z on the canvas takes it back)")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for row in ((self.color, self.name), (self.add, self.merge, self.delete)):
            line = QHBoxLayout()
            line.setSpacing(4)
            for widget in row:
                line.addWidget(widget)
            column.addLayout(line)
        self.color.clicked.connect(self._on_color)
        self.name.editingFinished.connect(self._on_name)
        self.add.clicked.connect(self._on_add)
        self.delete.clicked.connect(self._on_delete)
        self.merge.menu().aboutToShow.connect(self._fill_menu)
        editing.changed.connect(self._on_changed)
        self.show_layer(None)

    def show_layer(self, layer: Any) -> None:
        """Edit the classes of this labels layer, or of none."""
        if layer is not self._layer:
            if self._layer is not None:
                self._layer.events.selected_label.disconnect(self._show)
            self._layer = layer
            if layer is not None:
                layer.events.selected_label.connect(self._show)
        self._show()

    def _on_changed(self, layer: Any) -> None:
        if layer is self._layer:
            self._show()

    def _show(self, _event: Any = None) -> None:
        layer = self._layer
        self.setEnabled(layer is not None)
        value = 0 if layer is None else int(layer.selected_label)
        # Counting a large volume for each colour in the brush would take its time: only what is known is asked.
        found = next((c for c in _known(layer) if c["value"] == value), None)
        self.name.setEnabled(value > 0)
        self.name.setText("" if value == 0 else str(found["name"]) if found else f"class {value}")
        self.color.setEnabled(value > 0)
        for action in (self.merge, self.delete):
            action.setEnabled(value > 0)
        pixmap = QPixmap(14, 14)
        color = None if layer is None or value == 0 else layer.get_color(value)
        pixmap.fill(Qt.GlobalColor.transparent if color is None else QColor.fromRgbF(*(float(c) for c in color)))
        self.color.setIcon(QIcon(pixmap))

    @property
    def _value(self) -> int:
        return int(self._layer.selected_label)

    # --- what a person does

    def _on_name(self) -> None:
        if self._layer is not None and self._value and self.name.text().strip():
            self.editing.rename(self._layer, self._value, self.name.text())

    def _on_color(self) -> None:
        shown = self._layer.get_color(self._value)
        now = QColor("gray") if shown is None else QColor.fromRgbF(*(float(c) for c in shown))
        # Not the dialog of the system: it looks the same everywhere, and goes with the theme of the window.
        chosen = QColorDialog.getColor(
            now, self, f"Colour of {self.name.text()}", QColorDialog.ColorDialogOption.DontUseNativeDialog
        )
        if chosen.isValid():
            self.editing.recolor(self._layer, self._value, (chosen.red(), chosen.green(), chosen.blue()))

    def _on_add(self) -> None:
        try:
            self.editing.add(self._layer)
        except WorkbenchError as error:
            self.said.emit(str(error))
            return
        self.name.setFocus()
        self.name.selectAll()

    def _on_delete(self) -> None:
        name = self.name.text()
        number = self.editing.delete(self._layer, self._value)
        self.said.emit(f"Deleted '{name}' ({number:,} voxels). Ctrl+Z on the canvas takes it back.")

    def _fill_menu(self) -> None:
        menu = self.merge.menu()
        menu.clear()
        for c in classes_of(self._layer):
            if c.value != self._value:
                menu.addAction(c.name.replace("&", "&&")).triggered.connect(partial(self._on_merge, c.value, c.name))
        if menu.isEmpty():
            menu.addAction("There is no other class").setEnabled(False)

    def _on_merge(self, into: int, name: str, _checked: bool = False) -> None:
        before = self.name.text()
        number = self.editing.merge(self._layer, self._value, into)
        self.said.emit(f"'{before}' is part of '{name}' now ({number:,} voxels). Ctrl+Z on the canvas takes it back.")


def _known(layer: Any) -> list[dict[str, Any]]:
    return [] if layer is None else list((layer.metadata.get(KEY) or {}).get("classes") or [])
