"""Blocks of a recording below each other on one time axis, filling the canvas at every zoom, with one time cursor.

napari shows both axes to the same scale, which makes a recording a thread: minutes wide, twelve rows high. So the
height of a row follows the zoom: the wheel zooms time only, and all rows stay in sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal

from workbench_napari.recording.blocks import Block, Columns
from workbench_napari.recording.overlay import BOTTOM, GUTTER, RIGHT, TITLE, TOP, Band, CanvasOverlay
from workbench_napari.shared.views import camera_of, canvas_of

_SETTLE_MS = 150
_SHORTEST = 0.02


class StackView(QObject):
    """Lays out the layers of blocks and knows what is where.

    Signals
    -------
    range_changed
        First and last second in sight.
    settled
        The view has come to rest: time to read what is in sight.
    cursor_moved
        The time cursor [s].
    """

    range_changed = Signal(float, float)
    settled = Signal()
    cursor_moved = Signal(float)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.blocks: list[Block] = []
        self.marks_layers: list[Any] = []
        self.cursor: float | None = None
        self._span = (0.0, 1.0)
        self._mine = False
        self._traced: dict[str, dict[int, str]] = {}
        self._bads: frozenset[str] = frozenset()
        self._wires: list[tuple[Any, Any]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._timer.timeout.connect(self.settled)
        self.canvas = canvas_of(viewer)
        self.overlay = CanvasOverlay(self.canvas)
        self.canvas.installEventFilter(self)
        camera = camera_of(viewer)
        for emitter in (camera.events.zoom, camera.events.center):
            emitter.connect(self._on_camera)

    def close(self) -> None:
        """Leave the canvas as it was."""
        self._timer.stop()
        camera = camera_of(self._viewer)
        for emitter in (camera.events.zoom, camera.events.center):
            emitter.disconnect(self._on_camera)
        self._unwire()
        try:
            self.canvas.removeEventFilter(self)
            self.overlay.setParent(None)
            self.overlay.deleteLater()
        except RuntimeError:
            pass  # the window has gone first, and the overlay with it

    # --- what is shown

    def set_blocks(self, blocks: Sequence[Block], *, bads: Sequence[str] = ()) -> None:
        """Show these blocks from top to bottom; the view stays where it is if it shows any of them."""
        before = bool(self.blocks)
        self._unwire()
        self.blocks = [b for b in blocks if b.layer is not None]
        self._bads = frozenset(bads)
        self._wires = [(b.layer.events.visible, self.layout) for b in self.blocks]
        for emitter, callback in self._wires:
            emitter.connect(callback)
        if self.blocks and not before:
            self.show_all()
        else:
            self.layout()

    def set_traced(self, colors: dict[str, dict[int, str]]) -> None:
        """Colours of the rows that are drawn as traces, by block and row."""
        self._traced = colors
        self.layout()

    def set_bads(self, names: Sequence[str]) -> None:
        """Rows of these channels are grey, and their names struck out."""
        self._bads = frozenset(names)
        self.layout()

    def set_marks(self, lines: list[Any]) -> None:
        """Marks to write above the blocks."""
        self.overlay.marks = lines
        self.overlay.update()

    def _unwire(self) -> None:
        for emitter, callback in self._wires:
            emitter.disconnect(callback)
        self._wires = []

    @property
    def visible(self) -> list[Block]:
        """Blocks that are switched on."""
        return [b for b in self.blocks if b.layer is not None and b.layer.visible]

    @property
    def is_active(self) -> bool:
        """Whether the canvas shows blocks and nothing else; else the camera belongs to others."""
        mine = {id(layer) for layer in (*(b.layer for b in self.blocks), *self.marks_layers)}
        others = any(layer.visible and id(layer) not in mine for layer in self._viewer.layers)
        return bool(self.visible) and not others and self._viewer.dims.ndisplay == 2

    # --- where the view is

    @property
    def extent(self) -> tuple[float, float]:
        """First and last second of the blocks."""
        if not self.blocks:
            return 0.0, 1.0
        return min(b.start for b in self.blocks), max(b.stop for b in self.blocks)

    @property
    def span(self) -> tuple[float, float]:
        """First and last second in sight."""
        return self._span

    def show_all(self) -> None:
        """The whole recording."""
        self.set_range(*self.extent)

    def show_window(self, seconds: float) -> None:
        """So many seconds around the cursor, or around the middle of what is in sight."""
        start, stop = self._span
        middle = self.cursor if self.cursor is not None and start <= self.cursor <= stop else (start + stop) / 2
        low, high = self.extent
        begin = min(max(middle - seconds / 2, low), max(high - seconds, low))
        self.set_range(begin, begin + seconds)

    def set_range(self, start: float, stop: float) -> None:
        """Show a stretch of time."""
        low, high = self.extent
        room = max(high - low, _SHORTEST)
        width = min(max(stop - start, _SHORTEST), 1.1 * room)
        start = min(max(start, low - width / 2), high - width / 2)
        self._span = (start, start + width)
        self.layout()
        self.range_changed.emit(*self._span)
        self._timer.start()

    def set_cursor(self, seconds: float, *, follow: bool = False) -> None:
        """Move the time cursor; with `follow` the view goes along if it leaves it."""
        low, high = self.extent
        seconds = min(max(float(seconds), low), high)
        self.cursor = self.overlay.cursor_time = seconds
        start, stop = self._span
        if follow and not start <= seconds <= stop:
            width = stop - start
            self.set_range(seconds - width / 2, seconds + width / 2)
        self.overlay.update()
        self.cursor_moved.emit(seconds)

    def time_at(self, x: float) -> float:
        """Time [s] of a pixel of the canvas."""
        start, stop = self._span
        width = max(1, self.canvas.width() - GUTTER - RIGHT)
        return start + (x - GUTTER) / width * (stop - start)

    def row_at(self, y: float) -> tuple[Block, int] | None:
        """Block and row at a height [px] of the canvas."""
        for block, band in zip(self.visible, self.overlay.bands, strict=False):
            row = int(np.floor((y - band.top) / band.row))
            if 0 <= row < len(block.rows):
                return block, row
        return None

    # --- layout

    def layout(self, _event: Any = None) -> None:
        """Put camera, layers and overlay where the span says."""
        if self._mine:
            return
        if not self.is_active:
            self.overlay.hide()
            return
        width, height = max(1, self.canvas.width()), max(1, self.canvas.height())
        start, stop = self._span
        zoom = max(1, width - GUTTER - RIGHT) / (stop - start)
        self.overlay.setGeometry(self.canvas.rect())
        self.overlay.bands = self._bands(height)
        self.overlay.span = self._span
        self._mine = True
        try:
            camera = camera_of(self._viewer)
            camera.zoom = zoom
            camera.center = (0.0, height / 2 / zoom, start + (width / 2 - GUTTER) / zoom)
            for block, band in zip(self.visible, self.overlay.bands, strict=True):
                layer = block.layer
                place(layer, band.row / zoom, (band.top + band.row / 2) / zoom)
            # Annotations count rows of the first block.
            band = self.overlay.bands[0]
            whole = self.visible[0] is not self.blocks[0]
            row = (height - TOP - BOTTOM) / max(1, len(self.blocks[0].rows)) if whole else band.row
            for layer in self.marks_layers:
                place(layer, row / zoom, ((TOP if whole else band.top) + row / 2) / zoom)
        finally:
            self._mine = False
        self.overlay.show()
        self.overlay.raise_()
        self.overlay.update()

    def _bands(self, height: int) -> list[Band]:
        blocks = self.visible
        free = height - TOP - BOTTOM - TITLE * len(blocks)
        weights = np.sqrt([max(1, len(b.rows)) for b in blocks])
        bands, top = [], float(TOP + TITLE)
        for block, share in zip(blocks, weights / weights.sum(), strict=True):
            row = max(free * share / max(1, len(block.rows)), 0.2)
            unit = "robust SD" if block.reduce == "peak" else block.unit
            title = f"{block.title} [{unit}]" if unit else block.title
            bads = frozenset(i for i, n in enumerate(block.rows) if n in self._bads)
            bands.append(Band(title, block.labels, top, row, self._traced.get(block.key, {}), bads))
            top += row * len(block.rows) + TITLE
        return bands

    # --- the camera and the mouse

    def _on_camera(self, _event: Any = None) -> None:
        """Somebody else moved the camera (a drag, the home button): keep its time, and all rows in sight."""
        if self._mine or not self.is_active:
            return
        camera = camera_of(self._viewer)
        zoom, x = float(camera.zoom), float(camera.center[-1])
        width = self.canvas.width()
        start = x + (GUTTER - width / 2) / zoom
        self.set_range(start, start + (width - GUTTER - RIGHT) / zoom)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The wheel zooms time around the mouse, with Shift it moves; a canvas of another size is filled anew."""
        if event is None or not self.blocks:
            return False
        if event.type() == QEvent.Type.Resize:
            QTimer.singleShot(0, self.layout)
        elif event.type() == QEvent.Type.Wheel and self.is_active:
            keys = event.modifiers()  # type: ignore[attr-defined]
            if keys & Qt.KeyboardModifier.ControlModifier:
                return False
            delta = event.angleDelta()  # type: ignore[attr-defined]
            turns = (delta.y() or delta.x()) / 120
            if keys & Qt.KeyboardModifier.ShiftModifier or not delta.y():
                self.move_by(-turns / 10)
            else:
                self.zoom_by(0.8**turns, self.time_at(event.position().x()))  # type: ignore[attr-defined]
            return True
        return False

    def move_by(self, share: float) -> None:
        """Move by a share of what is in sight."""
        start, stop = self._span
        self.set_range(start + share * (stop - start), stop + share * (stop - start))

    def zoom_by(self, factor: float, around: float) -> None:
        """Show `factor` times as much time, with `around` [s] staying where it is."""
        start, stop = self._span
        low, high = self.extent
        factor = min(factor, 1.1 * (high - low) / max(stop - start, 1e-9))
        self.set_range(around - (around - start) * factor, around + (stop - around) * factor)


def place(layer: Any, row: float, top: float) -> None:
    """Height of a row and place of the first one; only what changes is set, for every change draws anew."""
    scale, translate = np.array(layer.scale), np.array(layer.translate)
    moves = not np.isclose(translate[0], top, rtol=1e-6, atol=1e-12)
    if not np.isclose(scale[0], row, rtol=1e-6, atol=0):
        # napari measures all layers anew for every change: for both together once.
        with layer.events.scale.blocker() if moves else nullcontext():
            layer.scale = (row, *scale[1:])
    if moves:
        layer.translate = (top, *translate[1:])


def show_columns(block: Block, columns: Columns) -> None:
    """Put columns into the layer of a block, at their time."""
    layer = block.layer
    if layer is None or not columns.data.shape[1]:
        return
    scale, translate = np.array(layer.scale), np.array(layer.translate)
    layer.data = np.asarray(block.colours(columns.data), layer.data.dtype)
    width = columns.step / block.rate
    layer.scale = (scale[0], width)
    layer.translate = (translate[0], columns.start + (columns.step - 1) / 2 / block.rate)
