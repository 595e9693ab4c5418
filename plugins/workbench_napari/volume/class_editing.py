"""Add, rename, recolour, delete and merge the classes of a labels layer; napari's own undo takes each of them back."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import UsageError
from workbench.core.layers import KEY, colormap, count_labels
from workbench.volume import shown_colors


@dataclass
class _Step:
    """One change: the entry in napari's history that stands for it, and the classes before and after."""

    atom: Any
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    colors: tuple[Any, Any]
    is_done: bool = True


class ClassEditing(QObject):
    """Changes the classes of labels layers, and follows undo and redo.

    Signals
    -------
    changed
        The classes of this layer are others now.
    """

    changed = Signal(object)

    def __init__(self, journal: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._journal = journal
        self._steps: dict[int, list[_Step]] = {}
        self._wires: dict[int, tuple[weakref.ref[Any], Callable[..., None]]] = {}

    def let_go(self) -> None:
        """Let go of all layers."""
        for reference, callback in self._wires.values():
            layer = reference()
            if layer is not None:
                layer.events.set_data.disconnect(callback)
        self._wires, self._steps = {}, {}

    # --- what can be done

    def add(self, layer: Any, name: str = "", color: RGB | None = None) -> int:
        """Add a class and take it into the brush; returns its value.

        Raises
        ------
        UsageError
            The type of the layer holds no further value.
        """
        table = classes_of(layer)
        value = max((c.value for c in table), default=0) + 1
        if value > np.iinfo(layer.data.dtype).max:
            raise UsageError(f"'{layer.name}' holds values up to {value - 1}, and all are taken: merge classes first")
        (new,) = ClassTable.from_values([value])
        new = replace(new, name=name.strip() or new.name, color=color or new.color)
        self._change(layer, (*table, new))
        layer.selected_label = value
        return value

    def rename(self, layer: Any, value: int, name: str) -> None:
        """Give a class another name."""
        name = name.strip()
        if name:
            self._set(layer, value, name=name)

    def recolor(self, layer: Any, value: int, color: RGB) -> None:
        """Give a class another colour."""
        self._set(layer, value, color=color)

    def _set(self, layer: Any, value: int, **how: Any) -> None:
        table = classes_of(layer, value)
        changed = tuple(replace(c, **how) if c.value == value else c for c in table)
        if changed != table.classes:
            self._change(layer, changed)

    def delete(self, layer: Any, value: int) -> int:
        """Take a class away and make its voxels background; returns how many these were."""
        return self._replace(layer, value, 0)

    def merge(self, layer: Any, value: int, into: int) -> int:
        """Make the voxels of a class those of another one, and take it away; returns how many these were."""
        return self._replace(layer, value, into) if value != into else 0

    def _replace(self, layer: Any, value: int, by: int) -> int:
        table = classes_of(layer)
        rest = tuple(c for c in table if c.value != value)
        where = np.nonzero(np.asarray(layer.data) == value)
        self._change(layer, rest, where, by)
        layer.selected_label = by or next((c.value for c in rest), 1)
        return int(where[0].size)

    # --- how it is done, and undone

    def _change(self, layer: Any, classes: tuple[ClassInfo, ...], where: Any = None, by: int = 0) -> None:
        before, colors = classes_of(layer).to_json(), layer.colormap
        if where is not None and where[0].size:
            layer.data_setitem(where, by)
        else:
            # A step of napari's history that changes no voxel: the next undo takes back the class, not a stroke.
            nothing = np.zeros(0, np.intp)
            layer._save_history(((nothing,) * layer.data.ndim, np.zeros(0, layer.data.dtype), layer.data.dtype.type(0)))
        after = ClassTable(classes).to_json()
        self._show(layer, after, colormap(ClassTable(classes)))
        steps = self._steps.setdefault(id(layer), [])
        steps.append(_Step(layer._undo_history[-1][0], before, after, (colors, layer.colormap)))
        self._follow(layer)

    def _show(self, layer: Any, classes: list[dict[str, Any]], colors: Any) -> None:
        layer.metadata.setdefault(KEY, {})["classes"] = classes
        layer.colormap = colors
        self._journal.touch(layer)
        self.changed.emit(layer)

    def _follow(self, layer: Any) -> None:
        if id(layer) in self._wires and self._wires[id(layer)][0]() is layer:
            return
        reference = weakref.ref(layer)

        def on_history(_event: Any = None) -> None:
            now = reference()
            if now is not None:
                self._on_history(now)

        layer.events.set_data.connect(on_history)
        self._wires[id(layer)] = (reference, on_history)

    def _on_history(self, layer: Any) -> None:
        """Undo and redo: the classes are those that belong to the voxels again."""
        steps = self._steps.get(id(layer), [])
        if not steps:
            return
        done, undone = ({id(a) for item in stack for a in item} for stack in (layer._undo_history, layer._redo_history))
        for step in reversed(steps):
            if step.is_done and id(step.atom) in undone:
                step.is_done = False
                self._show(layer, step.before, step.colors[0])
        for step in steps:
            if not step.is_done and id(step.atom) in done:
                step.is_done = True
                self._show(layer, step.after, step.colors[1])
        self._steps[id(layer)] = [s for s in steps if id(s.atom) in done or id(s.atom) in undone]


def classes_of(layer: Any, value: int = 0) -> ClassTable:
    """The classes of a labels layer: those that it knows, and the values that were drawn without one, as shown.

    `value` is one that nobody may have painted with yet, and that gets a class all the same.
    """
    known = ClassTable.from_json((layer.metadata.get(KEY) or {}).get("classes", []))
    extra = known.unlisted({*count_labels(np.asarray(layer.data)), value})
    shown = shown_colors({"colormap": layer.colormap}, [c.value for c in extra])
    return ClassTable((*known, *(replace(c, color=shown.get(c.value, c.color)) for c in extra)))
