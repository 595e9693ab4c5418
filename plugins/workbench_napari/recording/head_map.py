"""The part of the MEG tool that maps: the values of all sensors at the time cursor, on a head."""

from __future__ import annotations

import weakref
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench_napari.recording.blocks import KINDS, Block
from workbench_napari.recording.panel import ChannelsGroup, refill
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.shared.pixel_reader import PixelReader

_NO_MAP = ("stim", "eog", "ecg", "emg", "ref_meg", "misc")


class HeadMap(QObject):
    """Reads the values at the cursor and draws those that were chosen.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)

    def __init__(self, shown: Shown, stack: StackView, group: ChannelsGroup, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._shown, self._stack = shown, stack
        self._choice, self._picture = group.mapped, group.topomap
        self.values: dict[str, Any] = {}
        """Values of all rows at the cursor, by block."""
        self.reader = PixelReader(self)
        self.reader.arrived.connect(self._on_values)
        self.reader.failed.connect(self.said)
        shown.present.connect(self._on_present)
        shown.changed.connect(self._on_changed)
        stack.cursor_moved.connect(self._on_cursor)
        self._choice.currentIndexChanged.connect(self._on_choice)

    def close(self) -> None:
        """Stop reading."""
        self.reader.close()

    def on_bads(self) -> None:
        """Other channels are bad: they are left out of the map."""
        self._on_choice()

    def _on_present(self, there: bool) -> None:
        if not there:
            self._picture.say("Open a recording")

    def _on_changed(self) -> None:
        found = self._shown.opened
        if found is None:
            return
        kinds = dict.fromkeys((*found.main.kinds, *(k for k in found.sensors.kinds if k not in _NO_MAP)))
        maps = [(KINDS.get(k, k).capitalize() if k != "eeg" else "EEG", f"kind:{k}") for k in kinds]
        parts = [(b.title, b.key) for b in self._stack.blocks[1:] if b.key != "tokens"]
        refill(self._choice, [*maps, *parts])
        self._on_choice()

    def _on_choice(self, _index: int = 0) -> None:
        """Other rows to draw: where do they lie, and what are their values?"""
        found = self._rows()
        if found is None or self._shown.opened is None:
            self._picture.say("Open a recording")
            return
        block, rows, _ = found
        kinds = {block.kinds[r] for r in rows}
        kind = kinds.pop() if len(kinds) == 1 else ""
        if self._picture.set_sensors(self._shown.opened.recording.info, [block.rows[r] for r in rows], kind):
            if self._stack.cursor is None:
                self._picture.say("Click into the canvas:\nthe map shows that moment")
            else:
                self._on_cursor(self._stack.cursor)

    def _on_cursor(self, seconds: float) -> None:
        found = self._shown.opened
        if found is not None:
            blocks = (found.sensors, *found.parts.values())
            self.reader.ask((weakref.ref(found), seconds), lambda: {b.key: b.at(seconds) for b in blocks})

    def _on_values(self, token: Any, values: Any) -> None:
        reference, seconds = token
        if self._shown.is_still(reference()):
            self.values = values
            self._draw(seconds)

    def _rows(self) -> tuple[Block, list[int], str] | None:
        """Block and rows that the map shows, and what they are."""
        key, found = str(self._choice.currentData()), self._shown.opened
        if found is None:
            return None
        if not key.startswith("kind:"):
            part = found.parts.get(key)
            return None if part is None else (part, list(range(len(part.rows))), part.title)
        kind, block = key[5:], found.sensors
        rows = [r for r, k in enumerate(block.kinds) if k == kind and block.rows[r] not in found.bads]
        return block, rows, self._choice.currentText()

    def _draw(self, seconds: float) -> None:
        found = self._rows()
        if found is None:
            return
        block, rows, title = found
        values = self.values.get(block.key)
        if values is None:
            self._picture.say(f"No {title.lower()} at {seconds:.3f} s")
            return
        reach = block.reach(rows)
        limits = (-reach, reach) if block.reduce == "peak" else (0.0, reach)
        self._picture.show_values(values[rows], seconds, title, block.units[rows[0]] if rows else "", limits)
