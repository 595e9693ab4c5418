"""Whose annotations are whose: a person draws in layers of their own; what a method marked is looked at, not drawn in.

The table of the tool shows the annotations of all layers of a recording, and what it shows is what is saved.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qtpy.QtCore import QObject

from workbench.core.layers import KEY
from workbench.core.types import Mark, Marks
from workbench.recording import PEAK_LABEL, in_order
from workbench_napari.recording.marks import is_marks, marks_of
from workbench_napari.recording.recording import record_of

OWN = "annotations"
"""What a person draws: a part of results, and the name of the layer."""

PEAKS = "surprisal peaks"
"""What a run marks: the part of its layer."""

SAVED_PEAKS = "peaks"
"""The same as a part of saved results; files are named after it."""


MACHINES = "model"
"""Who marked what no person did, as the table says it."""


def is_machines(layer: Any) -> bool:
    """Whether a method made the annotations of a layer and nobody has changed them since."""
    own = record_of(layer)
    return is_marks(layer) and own.get("part") == PEAKS and not own.get("edited")


def is_own(layer: Any) -> bool:
    """Whether a layer holds what a person drew in this recording, or what its file came with."""
    return is_marks(layer) and record_of(layer).get("part") in (None, OWN)


def without_machines(marks: Marks, *, edited: bool) -> tuple[Marks, Marks]:
    """Annotations of a result as a person's and a method's.

    Results of the shell, and of versions that saved all of them as one, tell them apart by their label, as long as no
    person has worked on them.
    """
    theirs = [] if edited else [m for m in marks if m.label == PEAK_LABEL]
    return Marks(tuple(m for m in marks if m not in theirs), marks.name), Marks(tuple(theirs), SAVED_PEAKS)


@dataclass(frozen=True)
class MarkRow:
    """One annotation of the table, and the layers that hold it."""

    mark: Mark
    layers: tuple[Any, ...] = ()
    is_machines: bool = False

    @property
    def by(self) -> str:
        """Who marked it, where that was no person."""
        return MACHINES if self.is_machines else ""


def rows_of(layers: Sequence[Any], marks: dict[int, Sequence[Mark]]) -> list[MarkRow]:
    """The annotations of several layers in order of time, equal ones once.

    Parameters
    ----------
    marks
        The annotations of each layer, by its ``id``.
    """
    holders: dict[Mark, list[Any]] = {}
    for layer in layers:
        for mark in marks[id(layer)]:
            holders.setdefault(mark, []).append(layer)
    return [
        MarkRow(mark, tuple(holders[mark]), all(is_machines(la) for la in holders[mark])) for mark in in_order(holders)
    ]


class Locks(QObject):
    """Keeps layers of a method from being drawn in with napari's own tools, too."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wires: dict[int, Any] = {}

    def keep(self, layers: Iterable[Any]) -> None:
        """These layers are a method's, and no others any more."""
        wanted = {id(layer): layer for layer in layers}
        for key in [k for k in self._wires if k not in wanted]:
            layer = self._wires.pop(key)()
            if layer is not None:
                layer.events.editable.disconnect(self._on_editable)
                layer.editable = True
        for key, layer in wanted.items():
            if key not in self._wires:
                self._wires[key] = weakref.ref(layer)
                layer.events.editable.connect(self._on_editable)
            layer.editable = False

    def _on_editable(self, event: Any) -> None:
        # napari makes every layer editable again when the view goes from 3-D to 2-D.
        if event.source.editable:
            event.source.editable = False


@dataclass
class Taken:
    """Annotations of a method that a person took over in one step."""

    marks: frozenset[Mark]
    record: dict[str, Any] = field(default_factory=dict)
    is_theirs: bool = True


def plain_record(layer: Any) -> dict[str, Any]:
    """What a layer of a method remembers of its run, for another layer of the same run."""
    kept = ("provenance", "result")
    return {k: v for k, v in (layer.metadata.get(KEY) or {}).items() if k in kept}


def marks_by_layer(layers: Sequence[Any], label: str) -> dict[int, Sequence[Mark]]:
    return {id(layer): marks_of(layer, label) for layer in layers}
