"""The table of class volumes: colour, name, mL and voxels of the chosen labels layer, following every edit."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from workbench.core.classes import ClassTable
from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY, count_labels
from workbench.volume import geometry_from_layer, volume_table
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.seen_color import seen_color

_DELAY_MS = 250
_ROWS_SHOWN = 8


class VolumesTable(QTableWidget):
    """Volumes of one labels layer; a click chooses the label to paint, a double click goes to its largest slice.

    Signals
    -------
    updated
        The table shows the present state of the layer.
    """

    updated = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self._viewer = viewer
        self._layer: Any = None
        self._counting = False
        self._again = False
        self._seen: tuple[int, int] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._count)
        self.setAccessibleName("Volumes of the classes")
        self.setHorizontalHeaderLabels(["Class", "Volume [mL]", "Voxels"])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setToolTip("Click: paint with this label. Double click: go to the slice where it is largest.")
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(30)
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.itemSelectionChanged.connect(self._on_selected)
        self.cellDoubleClicked.connect(self._on_double_click)
        self._fit()

    @property
    def layer(self) -> Any:
        return self._layer

    def set_layer(self, layer: Any) -> None:
        """Follow another labels layer, or none."""
        if layer is self._layer:
            return
        if self._layer is not None:
            for emitter in self._emitters(self._layer):
                emitter.disconnect(self._on_edit)
            self._layer.events.selected_label.disconnect(self._on_label)
            for emitter in (self._layer.events.opacity, self._layer.events.blending):
                emitter.disconnect(self._on_looks)
        self._layer = layer
        self._seen = None if layer is None else _edit_count(layer)
        self.setRowCount(0)
        self._fit()
        if layer is not None:
            for emitter in self._emitters(layer):
                emitter.connect(self._on_edit)
            layer.events.selected_label.connect(self._on_label)
            for emitter in (layer.events.opacity, layer.events.blending):
                emitter.connect(self._on_looks)
            self._show_features()
            self._timer.start()

    @staticmethod
    def _emitters(layer: Any) -> tuple[Any, ...]:
        events = layer.events
        # Undo and redo only show as set_data; position and colours change volumes and swatches.
        return (events.paint, events.set_data, events.data, events.scale, events.affine, events.units, events.colormap)

    def _on_looks(self, _event: Any = None) -> None:
        """Another opacity or blending: the swatches follow."""
        self._show_features()

    def _on_edit(self, event: Any = None) -> None:
        # A change of the slice also refreshes the layer, but leaves the history as it is.
        if event is not None and event.type == "set_data":
            history = _edit_count(self._layer)
            if history is not None and history == self._seen:
                return
            self._seen = history
        self._timer.start()

    def _count(self) -> None:
        """Count voxels in a thread: seconds in large volumes, and the brush must not wait."""
        if self._layer is None:
            return
        if self._counting:
            self._again = True
            return
        from napari.qt.threading import create_worker

        layer, data = self._layer, np.asarray(self._layer.data)
        if data.size < 1 << 21:
            self._show_counts(layer, count_labels(data))
            return
        self._counting = True
        worker = create_worker(count_labels, data)
        worker.returned.connect(lambda counts: self._counted(layer, counts))
        worker.start()

    def _counted(self, layer: Any, counts: dict[int, int]) -> None:
        self._counting = False
        if layer is self._layer:
            self._show_counts(layer, counts)
        if self._again:
            self._again = False
            self._count()

    def _show_counts(self, layer: Any, counts: dict[int, int]) -> None:
        state = layer.as_layer_data_tuple()[1]
        record = layer.metadata.get(KEY) or {}
        try:
            geometry, _, _ = geometry_from_layer(layer.data.shape, state)
        except WorkbenchError:
            return
        classes = ClassTable.from_json(record.get("classes", []))
        layer.features = volume_table(np.empty(0), classes, geometry, counts)
        self._show_features()
        self.updated.emit()

    def _show_features(self) -> None:
        features = self._layer.features
        if not {"index", "class", "volume [mL]", "voxels"} <= set(features.columns):
            return
        rows = list(features.itertuples(index=False, name=None))
        columns = list(features.columns)
        rows = [dict(zip(columns, r, strict=True)) for r in rows if r[columns.index("index")] != 0]
        self.blockSignals(True)
        self.setRowCount(len(rows))
        for i, row in enumerate(rows):
            value = int(row["index"])
            name = QTableWidgetItem(self._swatch(value), str(row["class"]))
            name.setData(Qt.ItemDataRole.UserRole, value)
            name.setToolTip(plain_tip(f"label {value}"))
            millilitres = row["volume [mL]"]
            volume = "unknown" if millilitres != millilitres else f"{millilitres:,.2f}"
            self.setItem(i, 0, name)
            for column, text in ((1, volume), (2, f"{int(row['voxels']):,}")):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(i, column, item)
        self.blockSignals(False)
        self._fit()
        self._on_label()

    def _swatch(self, value: int) -> QIcon:
        color = self._layer.get_color(value)
        pixmap = QPixmap(12, 12)
        pixmap.fill(QColor("gray" if color is None else seen_color(self._viewer, self._layer, color)))
        icon = QIcon(pixmap)
        # Qt would tint the colour of the chosen row.
        icon.addPixmap(pixmap, QIcon.Mode.Selected)
        return icon

    def _fit(self) -> None:
        """As tall as its rows, up to a limit; the rest scrolls."""
        rows = min(max(self.rowCount(), 2), _ROWS_SHOWN)
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * 22 + 6)

    def label_values(self) -> list[int]:
        """The label of every row, from top to bottom."""
        return [self._value(row) for row in range(self.rowCount())]

    def _value(self, row: int) -> int:
        return int(self.item(row, 0).data(Qt.ItemDataRole.UserRole))

    def _on_selected(self) -> None:
        rows = {i.row() for i in self.selectedIndexes()}
        if len(rows) == 1 and self._layer is not None:
            self._layer.selected_label = self._value(rows.pop())
            self._viewer.layers.selection.active = self._layer

    def _on_label(self, event: Any = None) -> None:
        """Mark the row of the label that the brush has."""
        if self._layer is None:
            return
        self.blockSignals(True)
        self.clearSelection()
        for row, value in enumerate(self.label_values()):
            if value == self._layer.selected_label:
                self.selectRow(row)
        self.blockSignals(False)

    def _on_double_click(self, row: int, _column: int) -> None:
        self.go_to(self._value(row))

    def go_to(self, value: int) -> None:
        """Move the slider to the slice along the stack axis that holds most of this label."""
        dims = self._viewer.dims
        if self._layer is None or dims.ndisplay != 2:
            return
        axis = dims.order[-3] - (dims.ndim - self._layer.data.ndim)
        others = tuple(a for a in range(self._layer.data.ndim) if a != axis)
        counts = np.array([np.count_nonzero(s == value) for s in np.moveaxis(self._layer.data, axis, 0)])
        if not counts.any():
            return
        best = int(counts.argmax())
        where = np.argwhere(np.take(self._layer.data, best, axis=axis) == value).mean(axis=0)
        index = np.zeros(self._layer.data.ndim)
        index[axis] = best
        index[list(others)] = where
        dims.set_point(dims.order[-3], float(self._layer.data_to_world(index)[axis]))


def _edit_count(layer: Any) -> tuple[int, int] | None:
    undo, redo = getattr(layer, "_undo_history", None), getattr(layer, "_redo_history", None)
    return None if undo is None or redo is None else (len(undo), len(redo))
