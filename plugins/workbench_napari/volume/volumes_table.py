"""The table of class volumes: colour, name, mL and voxels of the chosen labels layer, following every edit."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QWidget

from workbench.core.classes import ClassTable
from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY, count_labels
from workbench.core.types import Geometry
from workbench.volume import geometry_from_layer, volume_table
from workbench_napari.shared.class_model import ClassModel, ClassRows, Numbers
from workbench_napari.shared.class_view import ClassView
from workbench_napari.shared.label_color import color_of
from workbench_napari.shared.label_search import Found, find_label
from workbench_napari.shared.latest_work import LatestWork
from workbench_napari.shared.layer_features import set_features
from workbench_napari.shared.saving import samples_of, unread_state
from workbench_napari.shared.seen_color import seen_color
from workbench_napari.shared.views import camera_of
from workbench_napari.shared.worker import report

_DELAY_MS = 250
_COLUMNS = ("index", "class", "volume [mL]", "voxels")

Table = Mapping[str, npt.NDArray[Any]]


class VolumesTable(ClassView):
    """Volumes of one labels layer; a click chooses the label to paint, a double click goes to where it is largest.

    Voxels are counted and labels searched for in threads: seconds in large volumes, and the brush must not wait.

    Signals
    -------
    updated
        The table shows the present state of the layer.
    """

    updated = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        model = ClassModel(("Class", "Volume [mL]", "Voxels"), self._color, _tip)
        super().__init__(model, parent)
        self._viewer = viewer
        self._layer: Any = None
        self._seen: tuple[int, int] | None = None
        self._counting, self._searching = LatestWork(self), LatestWork(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._count)
        self.setAccessibleName("Volumes of the classes")
        self.setToolTip(
            "Click: paint with this label. Double click: go to where it is largest.\nClick on a title: sort by it."
        )
        self.chosen.connect(self._on_chosen)
        self.opened.connect(lambda value, _column: self.go_to(value))
        self._counting.arrived.connect(self._on_counted)
        self._searching.arrived.connect(self._on_found)
        for work in (self._counting, self._searching):
            work.failed.connect(report)

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
            for emitter in self._looks(self._layer):
                emitter.disconnect(self._on_colors)
            self._layer.events.selected_label.disconnect(self._on_label)
        self._counting.forget()
        self._searching.forget()
        self._timer.stop()
        self._layer = layer
        self._seen = None if layer is None else _edit_count(layer)
        if layer is None:
            self.show_rows(ClassRows(), None)
            return
        for emitter in self._emitters(layer):
            emitter.connect(self._on_edit)
        for emitter in self._looks(layer):
            emitter.connect(self._on_colors)
        layer.events.selected_label.connect(self._on_label)
        self.show_rows(_rows_of(layer.features), int(layer.selected_label))
        self._timer.start()

    # --- what is counted

    @staticmethod
    def _emitters(layer: Any) -> tuple[Any, ...]:
        events = layer.events
        # Undo and redo only show as set_data; the position changes volumes.
        return (events.paint, events.set_data, events.data, events.scale, events.affine, events.units)

    @staticmethod
    def _looks(layer: Any) -> tuple[Any, ...]:
        """What changes how the swatches look."""
        return layer.events.colormap, layer.events.opacity, layer.events.blending

    def _on_edit(self, event: Any = None) -> None:
        # A change of the slice also refreshes the layer, but leaves the history as it is.
        if event is not None and event.type == "set_data":
            history = _edit_count(self._layer)
            if history is not None and history == self._seen:
                return
            self._seen = history
        self._timer.start()

    def _count(self) -> None:
        layer = self._layer
        if layer is None:
            return
        data, state = unread_state(layer)
        record = layer.metadata.get(KEY) or {}
        try:
            geometry, _, _ = geometry_from_layer(data.shape, state)
        except WorkbenchError:
            return
        classes = list(record.get("classes", []))
        self._counting.ask(weakref.ref(layer), partial(_table_of, data, classes, geometry))

    def _on_counted(self, reference: Callable[[], Any], table: Table | None) -> None:
        layer = reference()
        if layer is None or layer is not self._layer or table is None:
            return
        set_features(layer, table)
        self.show_rows(_rows_of(table), int(layer.selected_label))
        self.updated.emit()

    # --- what the layer tells

    def _color(self, value: int) -> str:
        layer = self._layer
        return "#808080" if layer is None else seen_color(self._viewer, layer, color_of(layer, value))

    def _on_colors(self, _event: Any = None) -> None:
        self.repaint_rows()

    def _on_label(self, _event: Any = None) -> None:
        """Mark the row of the label that the brush has."""
        if self._layer is not None:
            self.select(int(self._layer.selected_label))

    # --- what a person does

    def _on_chosen(self, value: int) -> None:
        if self._layer is not None:
            self._layer.selected_label = value
            self._viewer.layers.selection.active = self._layer

    @property
    def is_busy(self) -> bool:
        """Whether voxels are counted, or a label is searched for."""
        return self._timer.isActive() or self._counting.is_busy or self._searching.is_busy

    def go_to(self, value: int) -> None:
        """Go to the slice along the stack axis that holds most of this label; in 3-D, look at its middle."""
        layer, dims = self._layer, self._viewer.dims
        if layer is None:
            return
        data = samples_of(layer)
        axis = max(0, dims.order[-3] - (dims.ndim - len(data.shape)))
        self._searching.ask((weakref.ref(layer), axis), partial(find_label, data, value, axis))

    def _on_found(self, token: Any, found: Found | None) -> None:
        (reference, axis), dims = token, self._viewer.dims
        layer = reference()
        if layer is None or layer is not self._layer or found is None:
            return
        before = dims.ndim - layer.ndim
        if dims.ndisplay == 3:
            world = np.zeros(dims.ndim)
            world[before:] = layer.data_to_world(found.middle)
            camera_of(self._viewer).center = tuple(float(world[a]) for a in dims.displayed)
            # Whoever goes back to slices finds it there.
            for a in range(before, dims.ndim):
                dims.set_point(a, float(world[a]))
        else:
            dims.set_point(axis + before, float(layer.data_to_world(found.largest)[axis]))


def _table_of(data: Any, classes: list[Any], geometry: Geometry, stop: Callable[[], bool]) -> Table | None:
    """The table of a layer's features, as arrays; takes as long as the volume is large, so call it in a thread."""
    counts = count_labels(data, stop)
    if stop():
        return None
    table = volume_table(np.empty(0), ClassTable.from_json(classes), geometry, counts)
    kinds: dict[str, Any] = {"index": np.int64, "class": object, "volume [mL]": np.float64, "voxels": np.int64}
    return {name: np.array(column, kinds[name]) for name, column in table.items()}


def _rows_of(table: Any) -> ClassRows:
    """Rows of a table of features, without its background; none where it is no table of volumes."""
    if not set(_COLUMNS) <= set(table):
        return ClassRows(numbers=(Numbers(np.zeros(0), _millilitres), Numbers(np.zeros(0, np.int64), _voxels)))
    index, names, volumes, voxels = (np.asarray(table[name]) for name in _COLUMNS)
    real = index != 0
    return ClassRows(
        index[real].astype(np.int64),
        names[real].tolist(),
        (Numbers(volumes[real].astype(np.float64), _millilitres), Numbers(voxels[real].astype(np.int64), _voxels)),
    )


def _tip(value: int, column: int) -> str:
    return "" if column else f"label {value}"


def _millilitres(value: Any) -> str:
    return "unknown" if value != value else f"{value:,.2f}"


def _voxels(value: Any) -> str:
    return f"{int(value):,}"


def _edit_count(layer: Any) -> tuple[int, int] | None:
    undo, redo = getattr(layer, "_undo_history", None), getattr(layer, "_redo_history", None)
    return None if undo is None or redo is None else (len(undo), len(redo))
