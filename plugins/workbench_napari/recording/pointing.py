"""The part of the MEG tool that points: one time cursor for all that is shown, values under the mouse, the map."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from workbench_napari.recording.blocks import Block
from workbench_napari.recording.overlay import GUTTER
from workbench_napari.recording.panel import RecordingPanel
from workbench_napari.recording.recording import OpenRecording
from workbench_napari.recording.stack import StackView
from workbench_napari.recording.traces import Traces, number
from workbench_napari.shared.pixel_reader import PixelReader
from workbench_napari.shared.tool_base import DockTool

_DRAG_PIXELS = 4


class RecordingPointing(DockTool, RecordingPanel):
    """Follows the mouse: the cursor goes to the canvas, the traces, the map and the field alike."""

    def __init__(self, viewer: Any, backend: str, parent: QWidget | None = None) -> None:
        super().__init__(viewer, backend, parent)
        self.opened: OpenRecording | None = None
        self.values: dict[str, Any] = {}
        self._mine = False
        self.stack = StackView(self.viewer, self)
        self.traces = Traces()
        self.cursor_reader, self.hover_reader = PixelReader(self), PixelReader(self)

    def connect_pointing(self) -> None:
        """Follow the mouse, and let the buttons of this part work."""
        self.follow_mouse(self._on_move, self._on_press)
        self.stack.cursor_moved.connect(self._on_cursor)
        self.time.valueChanged.connect(self._on_time)
        self.back_button.clicked.connect(lambda: self.step(-1))
        self.forth_button.clicked.connect(lambda: self.step(1))
        self.traces.cursor_moved.connect(self.stack.set_cursor)
        self.mapped.currentIndexChanged.connect(self._on_mapped)
        self.cursor_reader.arrived.connect(self._on_values)
        self.hover_reader.arrived.connect(self._on_hover)
        for reader in (self.cursor_reader, self.hover_reader):
            reader.failed.connect(self.say)

    def _let_go(self) -> None:
        for reader in (self.cursor_reader, self.hover_reader):
            reader.close()

    # --- the time cursor

    def _on_time(self, seconds: float) -> None:
        if not self._mine:
            self.stack.set_cursor(seconds, follow=True)

    def step(self, samples: int) -> None:
        """Move the cursor by samples of the recording."""
        if self.opened is not None:
            block = self.opened.main
            now = block.sample_at(self._cursor_or_middle()) or 0
            self.stack.set_cursor(block.start + (now + samples) / block.rate, follow=True)

    def jump(self, share: float) -> None:
        """Move the cursor by a share of what is in sight."""
        start, stop = self.stack.span
        self.stack.set_cursor(self._cursor_or_middle() + share * (stop - start), follow=True)

    def _cursor_or_middle(self) -> float:
        return self.stack.cursor if self.stack.cursor is not None else sum(self.stack.span) / 2

    def _on_cursor(self, seconds: float) -> None:
        self._mine = True
        self.time.setValue(seconds)
        self._mine = False
        self.traces.set_cursor(seconds)
        found = self.opened
        if found is not None:
            blocks = (found.sensors, *found.parts.values())
            work = lambda: {b.key: b.at(seconds) for b in blocks}  # noqa: E731
            self.cursor_reader.ask((weakref.ref(found), seconds), work)

    def _on_values(self, token: Any, values: Any) -> None:
        reference, seconds = token
        if reference() is not None and reference() is self.opened:
            self.values = values
            self._draw_map(seconds)

    def _mapped_rows(self) -> tuple[Block, list[int], str] | None:
        """Block and rows that the map shows, and what they are."""
        key = str(self.mapped.currentData())
        if self.opened is None:
            return None
        if not key.startswith("kind:"):
            block = self.opened.parts.get(key)
            return None if block is None else (block, list(range(len(block.rows))), block.title)
        kind, block = key[5:], self.opened.sensors
        rows = [r for r, k in enumerate(block.kinds) if k == kind and block.rows[r] not in self.opened.recording.bads]
        return block, rows, self.mapped.currentText()

    def _draw_map(self, seconds: float) -> None:
        found = self._mapped_rows()
        values = None if found is None else self.values.get(found[0].key)
        if found is None:
            return
        block, rows, title = found
        if values is None:
            self.topomap.say(f"No {title.lower()} at {seconds:.3f} s")
            return
        reach = block.reach(rows)
        limits = (-reach, reach) if block.reduce == "peak" else (0.0, reach)
        self.topomap.show_values(values[rows], seconds, title, block.units[rows[0]] if rows else "", limits)

    def _on_mapped(self, _index: int = 0) -> None:
        found = self._mapped_rows()
        if found is None or self.opened is None:
            self.topomap.say("Open a recording")
            return
        block, rows, _ = found
        kinds = {block.kinds[r] for r in rows}
        kind = kinds.pop() if len(kinds) == 1 else ""
        if self.topomap.set_sensors(self.opened.recording.info, [block.rows[r] for r in rows], kind):
            if self.stack.cursor is None:
                self.topomap.say("Click into the canvas:\nthe map shows that moment")
            else:
                self._on_cursor(self.stack.cursor)

    # --- the mouse

    def _canvas_place(self, event: Any) -> tuple[float, float] | None:
        if self.opened is None or not self.stack.is_active:
            return None
        x, y = (float(v) for v in np.asarray(event.pos)[:2])
        return (x, y) if 0 <= x <= self.stack.canvas.width() and 0 <= y <= self.stack.canvas.height() else None

    def _on_move(self, _viewer: Any, event: Any) -> None:
        at = self._canvas_place(event)
        if at is None or at[0] < GUTTER:
            return
        seconds = self.stack.time_at(at[0])
        if self.follow.isChecked():
            self.stack.set_cursor(seconds)
        row = self.stack.row_at(at[1])
        if row is not None:
            block, number = row
            self.cursor_place(block, number, seconds)

    def cursor_place(self, block: Block, row: int, seconds: float) -> None:
        """Say which channel, moment and value the mouse is on."""
        token = (weakref.ref(self.opened), block, row, seconds)
        sample = block.sample_at(seconds)
        if sample is not None:
            self.hover_reader.ask(token, partial(block.value, sample, row))

    def _on_hover(self, token: Any, value: float) -> None:
        reference, block, row, seconds = token
        if reference() is not None and reference() is self.opened:
            text = "" if not np.isfinite(value) else f": {number(value)} {block.units[row]}".rstrip()
            self.place.setText(f"{block.title}, {block.rows[row]} at {seconds:.3f} s{text}")

    def _on_press(self, viewer: Any, event: Any) -> Any:
        """A click sets the cursor, or chooses a channel by its name; a drag moves the view."""
        at = self._canvas_place(event)
        active = viewer.layers.selection.active
        drawing = str(getattr(active, "mode", "pan_zoom")) not in ("pan_zoom", "transform")
        yield
        moved = 0.0
        start = np.array(event.pos)
        while event.type == "mouse_move":
            moved = max(moved, float(np.abs(np.array(event.pos) - start).max()))
            yield
        if at is None or drawing or event.button != 1 or moved >= _DRAG_PIXELS:
            return
        if at[0] >= GUTTER:
            self.stack.set_cursor(self.stack.time_at(at[0]))
        else:
            row = self.stack.row_at(at[1])
            if row is not None:
                self.toggle_channel(row[0].rows[row[1]])

    def toggle_channel(self, name: str) -> None:
        """Draw a channel as a trace, or no longer."""
        for item in self.channels.findItems(name, Qt.MatchFlag.MatchExactly):
            item.setSelected(not item.isSelected())
