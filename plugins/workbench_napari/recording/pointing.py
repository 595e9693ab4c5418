"""The part of the MEG tool that points: one time cursor for all that is shown, and the value under the mouse."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from workbench_napari.recording.blocks import Block
from workbench_napari.recording.overlay import GUTTER
from workbench_napari.recording.panel import RecordingGroup
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.recording.trace import number
from workbench_napari.recording.traces import Traces
from workbench_napari.shared.pixel_reader import PixelReader

_DRAG_PIXELS = 4


class Pointing(QObject):
    """Follows the mouse and the field: the cursor goes to the canvas, the traces and the field alike.

    Signals
    -------
    said
        A line for the user.
    channel_clicked
        Name of a channel whose name on the canvas was clicked.
    channel_wanted
        The same with Shift held: it is wanted as a trace, or no longer.
    """

    said = Signal(str)
    channel_clicked = Signal(str)
    channel_wanted = Signal(str)

    def __init__(
        self, shown: Shown, stack: StackView, traces: Traces, group: RecordingGroup, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._shown, self._stack, self._traces = shown, stack, traces
        self._time, self._follow, self._place = group.time, group.follow, group.place
        self._mine = False
        self.reader = PixelReader(self)
        self.reader.arrived.connect(self._on_hover)
        self.reader.failed.connect(self.said)
        shown.changed.connect(self._on_changed)
        stack.cursor_moved.connect(self._on_cursor)
        traces.cursor_moved.connect(stack.set_cursor)
        self._time.valueChanged.connect(self._on_time)
        group.back_button.clicked.connect(lambda: self.step(-1))
        group.forth_button.clicked.connect(lambda: self.step(1))

    def close(self) -> None:
        """Stop reading."""
        self.reader.close()

    # --- the time cursor

    def step(self, samples: int) -> None:
        """Move the cursor by samples of the recording."""
        if self._shown.opened is not None:
            block = self._shown.opened.main
            now = block.sample_at(self._cursor_or_middle()) or 0
            self._stack.set_cursor(block.start + (now + samples) / block.rate, follow=True)

    def jump(self, share: float) -> None:
        """Move the cursor by a share of what is in sight."""
        start, stop = self._stack.span
        self._stack.set_cursor(self._cursor_or_middle() + share * (stop - start), follow=True)

    def _cursor_or_middle(self) -> float:
        return self._stack.cursor if self._stack.cursor is not None else sum(self._stack.span) / 2

    def _on_changed(self) -> None:
        """The field goes from the first to the last second, in steps of a sample."""
        if self._shown.opened is None:
            return
        self._mine = True
        self._time.setRange(*self._stack.extent)
        self._time.setSingleStep(1.0 / self._shown.opened.main.rate)
        if self._stack.cursor is not None:
            self._time.setValue(self._stack.cursor)
        self._mine = False

    def _on_time(self, seconds: float) -> None:
        if not self._mine:
            self._stack.set_cursor(seconds, follow=True)

    def _on_cursor(self, seconds: float) -> None:
        self._mine = True
        self._time.setValue(seconds)
        self._mine = False
        self._traces.set_cursor(seconds)

    # --- the mouse

    def _canvas_place(self, event: Any) -> tuple[float, float] | None:
        if self._shown.opened is None or not self._stack.is_active:
            return None
        x, y = (float(v) for v in np.asarray(event.pos)[:2])
        canvas = self._stack.canvas
        return (x, y) if 0 <= x <= canvas.width() and 0 <= y <= canvas.height() else None

    def on_move(self, _viewer: Any, event: Any) -> None:
        """The mouse moved over the canvas: a callback of napari."""
        at = self._canvas_place(event)
        if at is None or at[0] < GUTTER:
            return
        seconds = self._stack.time_at(at[0])
        if self._follow.isChecked():
            self._stack.set_cursor(seconds)
        row = self._stack.row_at(at[1])
        if row is not None:
            self._read_value(*row, seconds)

    def _read_value(self, block: Block, row: int, seconds: float) -> None:
        """Say soon which channel, moment and value the mouse is on."""
        token = (weakref.ref(self._shown.opened), block, row, seconds)
        sample = block.sample_at(seconds)
        if sample is not None:
            self.reader.ask(token, partial(block.value, sample, row))

    def _on_hover(self, token: Any, value: float) -> None:
        reference, block, row, seconds = token
        if self._shown.is_still(reference()):
            text = "" if not np.isfinite(value) else f": {number(value)} {block.units[row]}".rstrip()
            self._place.setText(f"{block.title}, {block.rows[row]} at {seconds:.3f} s{text}")

    def on_press(self, viewer: Any, event: Any) -> Any:
        """A click sets the cursor, or is for a channel, by its name; a drag moves the view. A callback of napari."""
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
            self._stack.set_cursor(self._stack.time_at(at[0]))
        else:
            row = self._stack.row_at(at[1])
            if row is not None:
                wanted = "Shift" in [str(getattr(m, "name", m)) for m in event.modifiers]
                (self.channel_wanted if wanted else self.channel_clicked).emit(row[0].rows[row[1]])
