"""The part of the MEG tool that looks: the blocks of a recording on the canvas, and the stretch of time in sight."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench_napari.recording.panel import WINDOWS, RecordingGroup
from workbench_napari.recording.recording import record_of
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView, show_columns
from workbench_napari.shared.pixel_reader import PixelReader


class Looking(QObject):
    """Puts the blocks of the recording that is shown below each other, and reads long ones where the view rests.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)

    def __init__(
        self, viewer: Any, shown: Shown, stack: StackView, group: RecordingGroup, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._shown, self._stack = viewer, shown, stack
        self.reader = PixelReader(self)
        self.reader.arrived.connect(self._on_columns)
        self.reader.failed.connect(self.said)
        for text, seconds in WINDOWS.items():
            action = stack.show_all if seconds is None else partial(stack.show_window, seconds)
            group.window_buttons[text].clicked.connect(lambda _=False, go=action: go())
        shown.present.connect(self._on_present)
        shown.switched.connect(self._clear)
        shown.changed.connect(self._arrange)
        stack.settled.connect(self._read_view)

    def close(self) -> None:
        """Let go of the canvas."""
        self.reader.close()
        self._stack.close()

    def _on_present(self, there: bool) -> None:
        if not there:
            self._clear()

    def _clear(self) -> None:
        self._stack.set_blocks([])

    def _arrange(self) -> None:
        """Blocks of the chosen recording below each other; layers of other recordings are switched off."""
        found = self._shown.opened
        if found is None:
            return
        for layer in self._viewer.layers:
            other = record_of(layer).get("kind") == "recording" and not self._shown.is_mine(layer)
            if other and layer.visible:
                layer.visible = False
        if not self._stack.blocks:
            found.main.layer.visible = True
        self._stack.set_blocks(found.shown_blocks(self._viewer), bads=found.bads)

    def _read_view(self) -> None:
        """The view rests: read what is in sight of long blocks."""
        long = [b for b in self._stack.visible if b.is_long]
        if self._shown.opened is None or not long:
            return
        start, stop = self._stack.span
        room = 0.25 * (stop - start)
        most = 2 * max(400, self._stack.canvas.width())
        token = weakref.ref(self._shown.opened)
        self.reader.ask(token, lambda: [(b, b.columns(start - room, stop + room, most)) for b in long])

    def _on_columns(self, token: Any, found: Any) -> None:
        if self._shown.is_still(token()):
            for block, columns in found:
                show_columns(block, columns)
            self._stack.layout()
