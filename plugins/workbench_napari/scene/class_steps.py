"""Steps back in the table of classes, in one order with the strokes of the brush that napari takes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workbench.core.layers import KEY
from workbench_napari.scene.paint_layer import set_classes

_MOST = 100


@dataclass(frozen=True)
class _Step:
    """The class records before a change, how many strokes there were then, and whether one belongs to it."""

    records: dict[str, Any]
    depth: int
    has_stroke: bool = False


class ClassSteps:
    """Remembers classes before they change, for one layer at a time."""

    def __init__(self) -> None:
        self._layer: Any = None
        self._undo: list[_Step] = []
        self._redo: list[_Step] = []

    def follow(self, layer: Any) -> None:
        """Another layer is painted in: steps of the one before are no matter any more."""
        if layer is not self._layer:
            self._layer, self._undo, self._redo = layer, [], []

    def before(self) -> _Step | None:
        """How things stand now; to be given to `changed` once they are others."""
        return None if self._layer is None else _Step(_records(self._layer), _depth(self._layer))

    def changed(self, step: _Step | None) -> None:
        """Classes were changed since `before`."""
        if step is not None and self._layer is not None and step.records != _records(self._layer):
            now = _depth(self._layer)
            self._undo = [*self._undo, _Step(step.records, now, now > step.depth)][-_MOST:]
            self._redo = []

    def undo(self) -> None:
        """Take the last change back, of the table or of the pixels."""
        layer = self._layer
        if layer is None:
            return
        while self._undo and self._undo[-1].depth > _depth(layer):
            self._undo.pop()  # its stroke was taken back elsewhere
        if not self._undo or self._undo[-1].depth < _depth(layer):
            layer.undo()
            return
        self._go("undo", self._undo, self._redo)

    def redo(self) -> None:
        """Do again what was taken back last."""
        layer = self._layer
        if layer is None:
            return
        if not self._redo or self._redo[-1].depth != _depth(layer):
            layer.redo()
            return
        self._go("redo", self._redo, self._undo)

    def _go(self, what: str, steps: list[_Step], opposite: list[_Step]) -> None:
        """One step, with the stroke that belongs to it, and how to come back."""
        step, now = steps.pop(), _records(self._layer)
        if step.has_stroke:
            getattr(self._layer, what)()
        _restore(self._layer, step.records)
        opposite.append(_Step(now, _depth(self._layer), step.has_stroke))


def _records(layer: Any) -> dict[str, Any]:
    record = layer.metadata.get(KEY) or {}
    return {key: list(record.get(key, [])) for key in ("classes", "removed")}


def _restore(layer: Any, records: dict[str, Any]) -> None:
    from workbench.core.classes import ClassTable

    layer.metadata[KEY].update({key: list(value) for key, value in records.items()})
    set_classes(layer, ClassTable.from_json(records["classes"]))


def _depth(layer: Any) -> int:
    return len(getattr(layer, "_undo_history", ()))
