"""The part of the MEG tool that looks: which recording is shown, which stretch of it, and which channels as traces."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidgetItem, QWidget

from workbench.core.errors import WorkbenchError
from workbench_napari.recording.blocks import KINDS, Block
from workbench_napari.recording.overlay import GUTTER, RIGHT
from workbench_napari.recording.panel import WINDOWS
from workbench_napari.recording.pointing import RecordingPointing
from workbench_napari.recording.recording import OpenRecording, is_recording, key_of, record_of
from workbench_napari.recording.stack import show_columns
from workbench_napari.recording.traces import COLORS, Trace, nice
from workbench_napari.shared.layer_choice import chosen, fill, index_of
from workbench_napari.shared.pixel_reader import PixelReader
from workbench_napari.shared.worker import report

_FIRST = 8
_MOST_TRACES = 40
_TRACES_HEIGHT = 330
_NO_MAP = ("stim", "eog", "ecg", "emg", "ref_meg", "misc")


class RecordingLooking(RecordingPointing):
    """Follows the viewer: layers that come and go, the stretch of time in sight, and the traces of it."""

    def __init__(self, viewer: Any, backend: str, parent: QWidget | None = None) -> None:
        super().__init__(viewer, backend, parent)
        self._open: dict[int, OpenRecording] = {}
        self._gain = 1.0
        self.image_reader, self.trace_reader = PixelReader(self), PixelReader(self)

    def connect_looking(self) -> None:
        """Follow the camera, and let the buttons of this part work."""
        self.connect_pointing()
        self.recordings.currentIndexChanged.connect(self._on_recording)
        for text, seconds in WINDOWS.items():
            action = self.stack.show_all if seconds is None else partial(self.stack.show_window, seconds)
            self.window_buttons[text].clicked.connect(lambda _=False, go=action: go())
        self.traces_button.toggled.connect(self.show_traces_dock)
        self.stack.range_changed.connect(self._align_traces)
        self.stack.settled.connect(self._read_view)
        self.traces.range_changed.connect(self._on_trace_range)
        self.traces.gain_changed.connect(self._on_gain)
        self.channels.itemSelectionChanged.connect(self._on_channels)
        self.filter.textChanged.connect(self._on_filter)
        self.first_button.clicked.connect(lambda: self.choose_channels(range(_FIRST)))
        self.none_button.clicked.connect(lambda: self.choose_channels(()))
        self.traced.currentIndexChanged.connect(self._read_traces)
        self.image_reader.arrived.connect(self._on_columns)
        self.trace_reader.arrived.connect(self._on_lines)
        for reader in (self.image_reader, self.trace_reader):
            reader.failed.connect(self.say)

    def _let_go(self) -> None:
        super()._let_go()
        for reader in (self.image_reader, self.trace_reader):
            reader.close()
        self.stack.close()
        self.show_traces_dock(False)
        self.traces.deleteLater()

    # --- layers come and go

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Add and remove layers of our own without looking around after every one of them."""
        self._mine = True
        try:
            yield
        finally:
            self._mine = False

    def _on_layers(self, event: Any = None) -> None:
        if self._mine:
            return
        shown = [layer for layer in self.viewer.layers if is_recording(layer)]
        fill(self.recordings, shown, default=len(shown) - 1)
        if event is not None and event.type == "inserted" and is_recording(event.value):
            self.recordings.setCurrentIndex(index_of(self.recordings, event.value))
        self.empty.setVisible(not shown)
        self.body.setVisible(bool(shown))
        self.run_button.setVisible(bool(shown))
        self._on_recording()

    def _on_recording(self, _index: int = 0) -> None:
        layer = chosen(self.recordings)
        if layer is None:
            self.opened = None
            self.stack.set_blocks([])
            self.topomap.say("Open a recording")
        else:
            if self.opened is None or self.opened.main.layer is not layer:
                self._open_recording(layer)
            self._arrange()
        self._refresh_buttons()

    def _open_recording(self, layer: Any) -> None:
        self.opened = None
        self.stack.set_blocks([])
        known = self._open.get(id(layer))
        try:
            found = known if known is not None and known.main.layer is layer else OpenRecording.open(layer)
        except (WorkbenchError, OSError) as error:
            self.info.setText(report(error))
            return
        self._open[id(layer)] = self.opened = found
        self.info.setText(found.describe())
        self._fill_channels()
        self.show_traces_dock(True)

    def _is_mine(self, layer: Any) -> bool:
        record = record_of(layer)
        return self.opened is not None and record.get("kind") == "recording" and key_of(record) == self.opened.key

    def _arrange(self) -> None:
        """Blocks of the chosen recording below each other; layers of other recordings are switched off."""
        found = self.opened
        if found is None:
            return
        for layer in self.viewer.layers:
            other = record_of(layer).get("kind") == "recording" and not self._is_mine(layer)
            if other and layer.visible:
                layer.visible = False
        blocks = found.shown_blocks(self.viewer)
        if not self.stack.blocks:
            found.main.layer.visible = True
        self.stack.set_blocks(blocks)
        low, high = self.stack.extent
        self._mine = True
        self.time.setRange(low, high)
        self.time.setSingleStep(1.0 / found.main.rate)
        self._mine = False
        kinds = dict.fromkeys((*found.main.kinds, *(k for k in found.sensors.kinds if k not in _NO_MAP)))
        maps = [(KINDS.get(k, k).capitalize() if k != "eeg" else "EEG", f"kind:{k}") for k in kinds]
        parts = [(b.title, b.key) for b in blocks[1:] if b.key != "tokens"]
        _refill(self.traced, [("Recording", "recording"), *((b.title, b.key) for b in blocks[1:])])
        _refill(self.mapped, [*maps, *parts])
        self._on_mapped()
        self._on_channels()

    # --- the view

    def _align_traces(self, start: float, stop: float) -> None:
        """The same second at the same place: below each other where the plot is docked under the canvas."""
        if not self.traces.isVisible():
            self.traces.set_range(start, stop)
            return
        origin = self._traces_origin()
        beside = abs(origin) > 60
        self.traces.set_left(GUTTER if beside else GUTTER - origin)
        left, right = self.traces.pixels()
        if beside or right - left < 20:
            self.traces.set_range(start, stop)
        else:
            self.traces.set_range(self.stack.time_at(origin + left), self.stack.time_at(origin + right))

    def _traces_origin(self) -> int:
        """How far right of the canvas the plot begins [px]."""
        corner = self.traces.mapToGlobal(self.traces.rect().topLeft())
        return int(self.stack.canvas.mapFromGlobal(corner).x())

    def _on_trace_range(self, first: float, last: float) -> None:
        """The person moved the time axis of the plot: the canvas goes along."""
        left, right = self.traces.pixels()
        per_pixel = (last - first) / max(1, right - left)
        origin = self._traces_origin()
        origin = 0 if abs(origin) > 60 else origin
        width = self.stack.overlay.width()
        start = first + (GUTTER - origin - left) * per_pixel
        self.stack.set_range(start, start + (width - GUTTER - RIGHT) * per_pixel)

    def _read_view(self) -> None:
        """The view rests: read what is in sight of long blocks, and the traces."""
        if self.opened is None:
            return
        long = [b for b in self.stack.visible if b.is_long]
        if long:
            start, stop = self.stack.span
            room = 0.25 * (stop - start)
            most = 2 * max(400, self.stack.canvas.width())
            token = weakref.ref(self.opened)
            self.image_reader.ask(token, lambda: [(b, b.columns(start - room, stop + room, most)) for b in long])
        self._read_traces()

    def _on_columns(self, token: Any, found: Any) -> None:
        if token() is not None and token() is self.opened:
            for block, columns in found:
                show_columns(block, columns)
            self.stack.layout()

    # --- traces

    def show_traces_dock(self, on: bool) -> None:
        """Put the traces below the canvas, or away."""
        if on == (self.traces.parent() is not None):
            self.traces_button.setChecked(on)
            return
        if on:
            dock = self.viewer.window.add_dock_widget(self.traces, name="MEG traces", area="bottom")
            window = dock.parent()
            if hasattr(window, "setCorner"):
                # The plot shares its time axis with the canvas, so it must not reach under the docks beside it.
                window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
                window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
                window.resizeDocks([dock], [_TRACES_HEIGHT], Qt.Orientation.Vertical)
            self.traces.show()
        else:
            self.viewer.window.remove_dock_widget(self.traces)
        self.traces_button.setChecked(on)
        self.stack.layout()

    def _fill_channels(self) -> None:
        found = self.opened
        self.channels.blockSignals(True)
        self.channels.clear()
        if found is not None:
            # Channels of the picture first, then the others of the file.
            others = [n for n in found.sensors.rows if n not in set(found.main.rows)]
            for name in (*found.main.rows, *others):
                kind = found.sensors.kinds[found.sensors.rows.index(name)]
                bad = name in found.recording.bads
                item = QListWidgetItem(name)
                item.setToolTip(f"{name}: {KINDS.get(kind, kind)}{', marked bad' if bad else ''}")
                if bad:
                    font = item.font()
                    font.setStrikeOut(True)
                    item.setFont(font)
                self.channels.addItem(item)
            for n in range(min(_FIRST, len(found.main.rows))):
                self.channels.item(n).setSelected(True)
        self.channels.blockSignals(False)

    def choose_channels(self, numbers: Any) -> None:
        """Draw these channels (numbers in the list) as traces."""
        wanted = set(numbers)
        self.channels.blockSignals(True)
        for n in range(self.channels.count()):
            self.channels.item(n).setSelected(n in wanted)
        self.channels.blockSignals(False)
        self._on_channels()

    @property
    def chosen_names(self) -> list[str]:
        """Names of the channels that are drawn as traces, in the order of the list."""
        items = (self.channels.item(n) for n in range(self.channels.count()))
        return [i.text() for i in items if i.isSelected()][:_MOST_TRACES]

    def _on_filter(self, text: str) -> None:
        for n in range(self.channels.count()):
            item = self.channels.item(n)
            item.setHidden(text.strip().lower() not in item.text().lower())

    def _on_channels(self) -> None:
        self._show_traced_rows()
        self._read_traces()

    def _show_traced_rows(self) -> None:
        """Names of traced channels in the colours of their traces."""
        names = self.chosen_names
        colors = {name: COLORS[n % len(COLORS)] for n, name in enumerate(names)}
        self.stack.set_traced(
            {b.key: {r: colors[n] for r, n in enumerate(b.rows) if n in colors} for b in self.stack.blocks}
        )

    def _on_gain(self, factor: float) -> None:
        self._gain *= factor
        self._read_traces()

    def _traced_rows(self) -> list[tuple[int, str]]:
        """Row and colour of every trace."""
        block = self._block(self.traced.currentData())
        where = {} if block is None else {name: r for r, name in enumerate(block.rows)}
        names = enumerate(self.chosen_names)
        return [(where[name], COLORS[n % len(COLORS)]) for n, name in names if name in where]

    def _read_traces(self, _event: Any = None) -> None:
        rows, block = self._traced_rows(), self._block(self.traced.currentData())
        if block is None or self.opened is None:
            self.traces.set_traces([])
            return
        start, stop = self.stack.span
        room = 0.5 * (stop - start)
        most = 2 * max(400, self.traces.width())

        def work() -> list[Trace]:
            times, values = block.lines(start - room, stop + room, [r for r, _ in rows], most)
            heights = {
                unit: nice(1.5 * block.reach([r for r, _ in rows if block.units[r] == unit]))
                for unit in {block.units[r] for r, _ in rows}
            }
            return [
                Trace(block.labels[r], block.units[r], color, times, values[n], heights[block.units[r]])
                for n, (r, color) in enumerate(rows)
            ]

        self.trace_reader.ask(weakref.ref(self.opened), work)

    def _on_lines(self, token: Any, traces: Any) -> None:
        if token() is None or token() is not self.opened:
            return
        self.traces.set_traces([replace(t, height=nice(t.height / self._gain * (1 - 1e-6))) for t in traces])
        self._align_traces(*self.stack.span)

    def _block(self, key: str | None) -> Block | None:
        """The block that traces are taken from."""
        if self.opened is None:
            return None
        return self.opened.sensors if key == "recording" else self.opened.parts.get(str(key))


def _refill(combo: Any, rows: list[tuple[str, str]]) -> None:
    """Other entries; the choice stays if it is still there."""
    before = combo.currentData()
    combo.blockSignals(True)
    combo.clear()
    for title, key in rows:
        combo.addItem(title, key)
    combo.setCurrentIndex(max(0, combo.findData(before)))
    combo.blockSignals(False)
