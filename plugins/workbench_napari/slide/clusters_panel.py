"""What clusters look like: how many, a plane of all tiles, and a list of clusters that can be hidden."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QSpinBox, QVBoxLayout, QWidget

from workbench.slide import MOST_CLUSTERS, Clusters, Plane, has_umap
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box
from workbench_napari.shared.plain_text import WrappedLabel, plain_tip
from workbench_napari.slide.scatter import TileScatter

PCA, UMAP = "PCA", "UMAP"
_MOST_ROWS = 8
_SWATCH = 12


class ClustersGroup(QWidget):
    """Ask for clusters, look at them, and hide some.

    Signals
    -------
    hidden
        The clusters that are hidden now.
    wanted
        A cluster all of whose tiles are to be chosen.
    """

    hidden = Signal(object)
    wanted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Clusters")
        form = form_layout()
        self.count = QSpinBox()
        self.count.setRange(1, MOST_CLUSTERS)  # one cluster is none: there stands "automatic"
        self.count.setSpecialValueText("automatic")
        self.count.setToolTip(plain_tip("How many; automatic takes the number from 2 to 12 whose tiles lie best apart"))
        add_row(form, "Number", self.count)
        self.by = combo_box("How tiles are laid out as dots: by principal components, or by UMAP, which takes longer")
        self.by.addItems([PCA, UMAP] if has_umap() else [PCA])
        if has_umap():
            add_row(form, "Dots by", self.by)
        column.addLayout(form)
        self.find = button("Find clusters", "Group the tiles of this slide by what the encoder sees of them")
        self.clear = button("Clear", "Take the clusters away")
        column.addLayout(button_row(self.find, self.clear))
        self.hint = WrappedLabel()
        column.addWidget(self.hint)
        self.scatter = TileScatter()
        column.addWidget(self.scatter)
        self.list = QListWidget()
        self.list.setAccessibleName("Clusters, the largest first")
        self.list.setToolTip(plain_tip("Without its check mark a cluster is hidden; a double click chooses its tiles"))
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.itemChanged.connect(self._on_check)
        self.list.itemDoubleClicked.connect(self._on_row)
        column.addWidget(self.list)
        outer.addWidget(group)
        self.show_nothing()

    def show_nothing(self) -> None:
        """No clusters were found yet."""
        self.list.clear()
        self.scatter.show_tiles(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3)), ("", ""))
        self.scatter.hide()
        self.list.hide()

    def show_found(self, clusters: Clusters, plane: Plane) -> None:
        """Show the tiles as dots, and a row for each cluster."""
        colors = np.array([c.color for c in clusters.classes], np.uint8)
        self.scatter.show_tiles(plane.points, clusters.labels, colors, plane.axes)
        self.list.blockSignals(True)
        self.list.clear()
        whole = max(len(clusters.labels), 1)
        for info, size in zip(clusters.classes, clusters.sizes, strict=True):
            item = QListWidgetItem(_swatch(QColor(*info.color)), f"{info.value}:  {size:,} tiles, {size / whole:.1%}")
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            self.list.addItem(item)
        self.list.blockSignals(False)
        rows = min(self.list.count(), _MOST_ROWS)
        self.list.setFixedHeight(rows * max(self.list.sizeHintForRow(0), 18) + 2 * self.list.frameWidth() + 2)
        self.scatter.show()
        self.list.show()

    def hidden_now(self) -> list[int]:
        """The clusters without a check mark."""
        rows = range(self.list.count())
        return [row + 1 for row in rows if self.list.item(row).checkState() != Qt.CheckState.Checked]

    def _on_check(self, _item: QListWidgetItem) -> None:
        self.hidden.emit(self.hidden_now())

    def _on_row(self, item: QListWidgetItem) -> None:
        self.wanted.emit(self.list.row(item) + 1)


def _swatch(color: QColor) -> QIcon:
    pixels = QPixmap(_SWATCH, _SWATCH)
    pixels.fill(color)
    return QIcon(pixels)
