"""The part of the MEG tool that marks bad channels: a click on a name, as in the browser of MNE, and again to go back.

The list starts from what the file says. What a person marks is kept in the layer of their annotations: with it, it is
kept for recovery and in sessions, counts as unsaved, and is saved; what a run leaves out follows it.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QListWidget

from workbench.core.layers import KEY
from workbench_napari.recording.annotating import Annotating
from workbench_napari.recording.marks import OtherStep
from workbench_napari.recording.panel import ChannelsGroup
from workbench_napari.recording.recording import OpenRecording, record_of
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.whose import is_machines
from workbench_napari.shared.journal import Journal

STORED = "bads"
"""Entry of a layer of annotations: the bad channels as a person marked them."""


class BadChannels(QObject):
    """Which channels of the recording that is shown are bad.

    Signals
    -------
    said
        A line for the user.
    changed
        Other channels are bad now.
    """

    said = Signal(str)
    changed = Signal()

    def __init__(
        self,
        shown: Shown,
        annotating: Annotating,
        group: ChannelsGroup,
        journal: Journal,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._shown, self._annotating, self._journal, self._group = shown, annotating, journal, group
        shown.changed.connect(self.look_around)
        annotating.mark_layers.current.connect(self.look_around)
        group.bad_button.clicked.connect(self._toggle_chosen)
        group.as_file_button.clicked.connect(self.as_in_file)

    # --- what a person does

    def toggle(self, name: str) -> None:
        """Mark a channel as bad, or as good again."""
        found = self._shown.opened
        if found is None:
            return
        if name not in found.recording.channels:
            self.said.emit(f"{name} is no channel of {found.name}: mark the sensors that it was made of.")
            return
        bads = set(found.bads) ^ {name}
        self.set([n for n in found.recording.channels if n in bads])

    def as_in_file(self, _checked: bool = False) -> None:
        """Go back to what the file says."""
        found = self._shown.opened
        if found is not None:
            self.set(found.recording.bads)

    def set(self, names: Sequence[str]) -> None:
        """Let these be the bad channels, as a step that can be taken back."""
        found = self._shown.opened
        if found is None or set(names) == set(found.bads):
            return
        before, stored = found.bads, self.stored
        layer = self._annotating.layer_to_draw_in()
        if layer is not self._annotating.editor.layer:
            self._annotating.mark_layers.current.emit(layer)
        after = tuple(names)
        me, it = weakref.ref(self), weakref.ref(found)
        step = OtherStep(partial(_go, me, it, before, stored is not None), partial(_go, me, it, after, True))
        self._apply(found, after)
        self._annotating.editor.remember(step)
        new, gone = [n for n in after if n not in before], [n for n in before if n not in after]
        parts = [f"{', '.join(new)} marked bad"] * bool(new) + [f"{', '.join(gone)} good again"] * bool(gone)
        parts += ["what is shown was computed without that, run again"] * bool(found.parts)
        self.said.emit(f"{'; '.join(parts)}. Undo takes it back.")

    def _toggle_chosen(self, _checked: bool = False) -> None:
        item = _current(self._group.names)
        if item is None:
            self.said.emit("Click the channel in the list first.")
        else:
            self.toggle(item.text())

    # --- where it is kept

    @property
    def stored(self) -> tuple[str, ...] | None:
        """What the layers of the person say; ``None`` where nobody has marked anything."""
        editor = self._annotating.editor.layer
        layers = sorted(self._own(), key=lambda layer: layer is not editor)
        found = (record_of(layer).get(STORED) for layer in layers)
        return next((tuple(str(n) for n in names) for names in found if names is not None), None)

    @property
    def is_unsaved(self) -> bool:
        """Whether a person marked channels, and no save has covered it."""
        return any(STORED in record_of(layer) and self._journal.is_unsaved(layer) for layer in self._own())

    def _own(self) -> list[Any]:
        return [layer for layer in self._annotating.layers if not is_machines(layer)]

    def _apply(self, found: OpenRecording, names: Sequence[str], *, store: bool = True) -> None:
        found.bads = tuple(names)
        editor = self._annotating.editor.layer
        for layer in self._own():
            if layer is editor or STORED in record_of(layer):
                self._store(layer, found.bads if store else None)
        self._tell()

    def _store(self, layer: Any, names: Sequence[str] | None) -> None:
        record = layer.metadata.setdefault(KEY, {})
        if names is None:
            record.pop(STORED, None)
        else:
            record[STORED] = list(names)
        self._journal.touch(layer)

    def go_to(self, found: OpenRecording, names: Sequence[str], *, store: bool) -> None:
        """A step back or forth."""
        if self._shown.is_still(found):
            self._apply(found, names, store=store)

    def take_over(self, found: OpenRecording, names: Sequence[str]) -> bool:
        """What was saved before counts, unless a person has marked something else since; returns whether it does."""
        if self._shown.is_still(found) and self.is_unsaved and set(names) != set(found.bads):
            self.said.emit("The bad channels that you marked, and have not saved yet, stay.")
            return False
        found.bads = tuple(names)
        if self._shown.is_still(found):
            self._tell()
        return True

    # --- what is shown

    def look_around(self, _layer: Any = None) -> None:
        """Layers came or went, or another recording is shown: what was restored with a layer counts."""
        found, stored = self._shown.opened, self.stored
        if found is not None and stored is not None and set(stored) != set(found.bads):
            found.bads = stored
            self.changed.emit()
        self._tell_group()

    def _tell(self) -> None:
        self._tell_group()
        self.changed.emit()

    def _tell_group(self) -> None:
        found, group = self._shown.opened, self._group
        group.bads.setText("" if found is None else describe(found))
        group.as_file_button.setVisible(found is not None and found.given_bads is not None)


def describe(found: OpenRecording) -> str:
    """The bad channels of a recording in a line, and who called them so."""
    of_file = found.recording.bads
    by = [f"{n} ({'file' if n in of_file else 'you'})" for n in found.bads]
    good = [n for n in of_file if n not in found.bads]
    text = f"Bad channels: {', '.join(by) or 'none'}."
    return text + (f" Good by you, bad in the file: {', '.join(good)}." if good else "")


def _current(names: QListWidget) -> Any:
    item = names.currentItem()
    return item if item is not None and not item.isHidden() else None


def _go(me: Any, reference: Any, names: Sequence[str], store: bool) -> None:
    part, found = me(), reference()
    if part is not None and found is not None:
        part.go_to(found, names, store=store)
