"""What searching looks like: tiles that were picked, where to search, and a gallery of what was found."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListView, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box
from workbench_napari.shared.plain_text import WrappedLabel, plain_tip
from workbench_napari.slide.search_work import Similar

HERE, STUDY = "This slide", "All results in the folder"
_ICON = 72


class SearchGroup(QWidget):
    """Pick tiles, search, and go to what was found."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Similar tiles")
        self.pick = button("Pick tiles", "Click tiles on the slide; a second click leaves one out", checkable=True)
        self.clear = button("Clear", "Pick none")
        self.find = button("Search", "Find the tiles that an encoder sees most like those that are picked")
        column.addLayout(button_row(self.pick, self.clear, self.find))
        form = form_layout()
        self.where = combo_box("Search this slide, or all slides whose results lie in the folder for results")
        self.where.addItems([HERE, STUDY])
        add_row(form, "Search in", self.where)
        column.addLayout(form)
        self.hint = WrappedLabel()
        column.addWidget(self.hint)
        self.gallery = QListWidget()
        self.gallery.setAccessibleName("Similar tiles, the most similar first")
        self.gallery.setViewMode(QListView.ViewMode.IconMode)
        self.gallery.setResizeMode(QListView.ResizeMode.Adjust)
        self.gallery.setMovement(QListView.Movement.Static)
        self.gallery.setIconSize(QSize(_ICON, _ICON))
        self.gallery.setMinimumHeight(2 * (_ICON + 34))
        self.gallery.hide()
        column.addWidget(self.gallery)
        outer.addWidget(group)

    def show_found(self, tiles: list[Similar]) -> None:
        """Show what was found, the most similar first."""
        self.gallery.clear()
        several = len({tile.source for tile in tiles}) > 1
        for tile in tiles:
            item = QListWidgetItem(f"{tile.similarity:.3f}")
            if tile.picture is not None:
                item.setIcon(_icon(tile.picture))
            x, y = tile.corner
            item.setToolTip(plain_tip(f"{tile.slide}, x {x:.0f}, y {y:.0f}: {tile.similarity:.4f}"))
            if several:
                item.setText(f"{tile.similarity:.3f}\n{tile.slide[:12]}")
            item.setData(Qt.ItemDataRole.UserRole, tile)
            self.gallery.addItem(item)
        self.gallery.setVisible(bool(tiles))


def _icon(pixels: Any) -> QIcon:
    pixels = np.ascontiguousarray(pixels)
    rows, columns = pixels.shape[:2]
    image = QImage(pixels.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
    return QIcon(QPixmap.fromImage(image.copy()))
