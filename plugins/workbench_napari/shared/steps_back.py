"""Undo and redo for outlines and points, which napari has for labels only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication

_DELAY_MS = 150
_MOST = 200
_MOST_BYTES = 256 << 20
"""What the steps of one layer may take; the oldest go first."""
_KINDS = ("Shapes", "Points")
_LOOKS = {"Shapes": ("edge_width", "edge_color", "face_color"), "Points": ("size", "border_color", "face_color")}
"""What napari gives anew to shapes that come back, unless it is told."""


class StepsBack(QObject):
    """Follows outlines and points, and takes what a person does to them back and forth.

    Ctrl+Z and Ctrl+Shift+Z work on the canvas while such a layer is active.

    Parameters
    ----------
    viewer
        Whose layers are followed.
    is_ours
        Whether a layer is to be followed.
    """

    def __init__(self, viewer: Any, is_ours: Callable[[Any], bool], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._is_ours = viewer, is_ours
        self._followed: dict[int, _Followed] = {}
        self.takers: list[Callable[[Any, str], bool]] = []
        """Asked first, with the active layer and ``"undo"`` or ``"redo"``: whether the step was theirs."""

    def look_around(self) -> None:
        """Layers came or went."""
        here = {id(x): x for x in self._viewer.layers if type(x).__name__ in _KINDS and self._is_ours(x)}
        for key in [k for k in self._followed if k not in here]:
            self._followed.pop(key).let_go()
        for key, layer in here.items():
            if key not in self._followed:
                self._followed[key] = _Followed(layer, self)

    def let_go(self) -> None:
        """Follow nothing any more."""
        for followed in self._followed.values():
            followed.let_go()
        self._followed = {}

    def undo(self) -> None:
        """Take back the last edit of the layer that is active."""
        self._step("undo")

    def redo(self) -> None:
        """Do it again."""
        self._step("redo")

    def _step(self, what: str) -> None:
        layer = self._viewer.layers.selection.active
        if any(take(layer, what) for take in self.takers):
            return
        found = self._followed.get(id(layer))
        if found is not None:
            getattr(found, what)()
        elif type(layer).__name__ == "Labels":
            getattr(layer, what)()


class _Followed(QObject):
    """The steps of one layer."""

    def __init__(self, layer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._layer = layer
        self._now = _state(layer)
        self._undo: list[dict[str, Any]] = []
        self._redo: list[dict[str, Any]] = []
        self._mine = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._on_rest)
        for emitter in (layer.events.data, layer.events.features):
            emitter.connect(self._on_edit)
        for keys, work in (("Control-Z", self.undo), ("Control-Shift-Z", self.redo)):
            layer.bind_key(keys, lambda _layer, work=work: work(), overwrite=True)

    def let_go(self) -> None:
        self._timer.stop()
        for emitter in (self._layer.events.data, self._layer.events.features):
            emitter.disconnect(self._on_edit)
        for keys in ("Control-Z", "Control-Shift-Z"):
            self._layer.bind_key(keys, None)
        self.deleteLater()

    def undo(self) -> None:
        self._take_over()
        if self._undo:
            self._redo.append(self._now)
            self._show(self._undo.pop())

    def redo(self) -> None:
        self._take_over()
        if self._redo:
            self._undo.append(self._now)
            self._show(self._redo.pop())

    def _on_edit(self, _event: Any = None) -> None:
        if not self._mine:
            self._timer.start()

    def _on_rest(self) -> None:
        is_drawing = getattr(self._layer, "_is_creating", False)
        if is_drawing or QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self._timer.start()  # something is still being drawn or moved
        else:
            self._take_over()

    def _take_over(self) -> None:
        self._timer.stop()
        if getattr(self._layer, "_is_creating", False):
            self._layer._finish_drawing()  # a polygon that is still being clicked is one step, whole
        found = _state(self._layer)
        if not _same(found, self._now):
            self._undo = [*self._undo, self._now][-_MOST:]
            while sum(map(_bytes, self._undo)) > _MOST_BYTES:
                self._undo.pop(0)
            self._redo = []
            self._now = found

    def _show(self, state: dict[str, Any]) -> None:
        self._mine, self._now = True, state
        layer = self._layer
        try:
            layer.selected_data = set()
            defaults = layer.feature_defaults
            if "types" in state:
                layer.data = [(d.copy(), t) for d, t in zip(state["data"], state["types"], strict=True)]
            else:
                layer.data = np.array(state["data"])
            layer.features = state["features"].copy()
            if list(defaults.columns) == list(layer.features.columns) and len(defaults):
                layer.feature_defaults = {c: defaults[c].iloc[0] for c in defaults.columns}
            if len(layer.data):
                for name, value in state["looks"].items():
                    setattr(layer, name, list(value) if name == "edge_width" else value.copy())
        finally:
            self._mine = False


def _state(layer: Any) -> dict[str, Any]:
    state: dict[str, Any] = {"data": [np.array(d) for d in layer.data], "features": layer.features.copy()}
    state["looks"] = {name: np.array(getattr(layer, name)) for name in _LOOKS.get(type(layer).__name__, ())}
    return state | ({"types": list(layer.shape_type)} if type(layer).__name__ == "Shapes" else {})


def _bytes(state: dict[str, Any]) -> int:
    arrays = (*state["data"], *state["looks"].values())
    return sum(a.nbytes for a in arrays) + int(state["features"].memory_usage().sum())


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (
        len(one["data"]) == len(other["data"])
        and all(np.array_equal(a, b) for a, b in zip(one["data"], other["data"], strict=True))
        and one.get("types") == other.get("types")
        and one["features"].equals(other["features"])
    )
