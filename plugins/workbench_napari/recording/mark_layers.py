"""The layers of annotations of recordings: one of the person for each, one of the last run, those of opened files."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from workbench.core.layers import KEY
from workbench.core.types import Marks, Result
from workbench.recording import in_order, marks_layer
from workbench_napari.recording.marks import is_marks, marks_of
from workbench_napari.recording.recording import OpenRecording, key_of, record_of
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.whose import OWN, PEAKS, SAVED_PEAKS, is_machines, is_own, without_machines
from workbench_napari.shared.following import our_choice
from workbench_napari.shared.journal import journal_of


class MarkLayers(QObject):
    """Adds layers of annotations, and sees to it that those of the person do not meet what they were made from.

    Signals
    -------
    current
        The layer that is to be drawn in from now on.
    said
        A line for the user.
    """

    current = Signal(object)
    said = Signal(str)

    def __init__(self, viewer: Any, shown: Shown, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._shown = viewer, shown
        self._closed = False
        self._journal = journal_of(viewer)
        self._journal.restored.connect(self._on_restored)

    def close(self) -> None:
        """Leave the layers as they are from now on."""
        self._closed = True

    @property
    def mine(self) -> list[Any]:
        """All layers of annotations of the chosen recording, those of a person first."""
        mine = [la for la in self._viewer.layers if is_marks(la) and self._shown.is_mine(la)]
        return sorted(mine, key=is_machines)

    def add(self, found: OpenRecording, marks: Marks, part: str = OWN, **record: Any) -> Any:
        """Add a layer of annotations to a recording; the layer that was active stays so."""
        from napari.layers import Layer

        own = {**found.record, **record, "part": part}
        active = self._viewer.layers.selection.active
        made = Layer.create(*marks_layer(marks, found.main.rows, own, f"{found.name} {part}"))
        with our_choice():
            layer = self._viewer.add_layer(made)
            if active is not None and active in self._viewer.layers:
                self._viewer.layers.selection.active = active
        return layer

    def add_peaks(self, found: OpenRecording, peaks: Marks, record: dict[str, Any]) -> None:
        """Peaks of surprisal in a layer of their own; an earlier one goes unless somebody worked in it."""
        for layer in [la for la in self._viewer.layers if is_machines(la) and key_of(record_of(la)) == found.key]:
            self._viewer.layers.remove(layer)
        if len(peaks):
            self.add(found, Marks(tuple(in_order(peaks))), PEAKS, **record)

    def show_peaks(self, peaks: Marks, record: dict[str, Any]) -> None:
        """These are the peaks of the recording that is shown, and no others; without any there is no layer for them."""
        if self._shown.opened is not None:
            self.add_peaks(self._shown.opened, peaks, record)

    def add_file(self, found: OpenRecording, marks: Marks, part: str, *, edited: bool = False) -> None:
        """Annotations of a file in a layer of their own; layers that hold nothing else make room for it."""
        read = set(marks)
        for layer in [la for la in self.mine if not is_machines(la) and not self._journal.is_unsaved(la)]:
            if set(marks_of(layer)) <= read:
                self._viewer.layers.remove(layer)
        self.current.emit(self.add(found, Marks(tuple(in_order(marks))), part, **({"edited": True} if edited else {})))

    def add_saved(self, found: OpenRecording, saved: Result, **record: Any) -> None:
        """Annotations that were saved: they are those of the recording now, and what is on the disk makes room.

        Annotations that are not saved yet stay beside them. What else their layer remembers is in `record`.
        """
        edited, provenance = saved.provenance.edited_by_hand, saved.provenance.to_json()
        marks, peaks = (p if isinstance(p := saved.parts.get(k), Marks) else None for k in (OWN, SAVED_PEAKS))
        if marks is not None and peaks is None:
            marks, peaks = without_machines(marks, edited=edited)
        if peaks is not None and len(peaks):
            self.add_peaks(found, peaks, {"provenance": {**provenance, "edited_by_hand": False}})
        if marks is not None:
            stay = []
            for layer in [la for la in self.mine if not is_machines(la)]:
                if self._journal.is_unsaved(layer):
                    stay.append(layer.name)
                else:
                    self._viewer.layers.remove(layer)
            self.current.emit(self.add(found, marks, OWN, **record, **({"edited": True} if edited else {})))
            if stay:
                self.said.emit(f"What is not saved stays beside it: {', '.join(stay)}.")

    def own(self, found: OpenRecording) -> Any:
        """A layer of the person to draw in; it is made where there is none."""
        drawn_in = [la for la in self.mine if not is_machines(la)]
        return drawn_in[0] if drawn_in else self.add(found, Marks(()))

    # --- one layer of a person per recording

    def receive(self, layer: Any) -> None:
        """Annotations came into the window: those of a file of their own belong to the recording that is shown."""
        record, found = record_of(layer), self._shown.opened
        if found is not None and not record.get("source"):
            layer.metadata[KEY] = {**record, **found.record, "channels": list(found.main.rows)}
        elif is_own(layer) and layer.source.parent is None and self._of_same(layer):
            QTimer.singleShot(0, partial(self._leave_out, weakref.ref(layer)))

    def _of_same(self, layer: Any) -> list[Any]:
        """Other layers of the same recording that a person worked in."""
        key = key_of(record_of(layer))
        own = [la for la in self._viewer.layers if is_own(la) and la is not layer and key_of(record_of(la)) == key]
        return [la for la in own if record_of(la).get("edited")]

    def _leave_out(self, reference: Any) -> None:
        """The annotations of a file that was opened again: those of the person were made from them and go on."""
        layer = reference()
        if self._closed or layer is None or layer not in self._viewer.layers or record_of(layer).get("edited"):
            return
        others = self._of_same(layer)
        if others:
            self._viewer.layers.remove(layer)
            self.said.emit(f"The annotations of the file stay out: yours are in {others[-1].name}.")

    def _on_restored(self, layer: Any) -> None:
        """What was brought back after a crash takes the place of what the file came with, and is drawn in."""
        if self._closed or not is_own(layer):
            return
        key = key_of(record_of(layer))
        for other in [la for la in self._viewer.layers if is_own(la) and la is not layer]:
            if key_of(record_of(other)) == key and not self._journal.is_unsaved(other):
                name = other.name
                self._viewer.layers.remove(other)
                layer.name = name
        if self._shown.is_mine(layer):
            self.current.emit(layer)
