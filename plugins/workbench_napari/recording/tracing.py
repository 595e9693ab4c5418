"""The part of the MEG tool that traces: which channels are drawn below the canvas, and their values in sight."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QListWidgetItem

from workbench_napari.recording.blocks import KINDS, Block
from workbench_napari.recording.butterfly import Wing, rows_by_kind, wings_of
from workbench_napari.recording.overlay import GUTTER, RIGHT
from workbench_napari.recording.panel import RecordingPanel, refill
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.recording.trace import Trace, nice
from workbench_napari.recording.traces import COLORS, Traces
from workbench_napari.shared.pixel_reader import PixelReader
from workbench_napari.shared.plain_text import plain_tip

_FIRST = 8
_MOST_TRACES = 40
_HEIGHT = 330
_BESIDE = 60  # pixels that the plot is away from the left of the canvas before it counts as docked elsewhere


class Tracing(QObject):
    """Fills the list of channels and the plot of those that are chosen, on the time axis of the canvas.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)

    def __init__(
        self,
        viewer: Any,
        shown: Shown,
        stack: StackView,
        traces: Traces,
        panel: RecordingPanel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._shown, self._stack, self._plot = viewer, shown, stack, traces
        self._names, self._source = panel.channels.names, panel.channels.traced
        self._button = panel.recording.traces_button
        self.gain = 1.0
        """Rows are so many times higher than the values of their channels need."""
        self.reader = PixelReader(self)
        self.reader.arrived.connect(self._on_lines)
        self.reader.failed.connect(self.said)
        shown.switched.connect(self._on_switched)
        shown.changed.connect(self._on_changed)
        stack.range_changed.connect(self._align)
        stack.settled.connect(self._on_settled)
        traces.range_changed.connect(self._on_plot_range)
        # The plot has no parent until it is docked: a window that closes does not take it along.
        self.destroyed.connect(partial(_delete, traces))
        traces.gain_changed.connect(self._on_gain)
        traces.butterfly_wanted.connect(self._on_butterfly)
        self._button.toggled.connect(self.show_dock)
        self._names.itemSelectionChanged.connect(self._on_names)
        self._source.currentIndexChanged.connect(self._read)
        panel.channels.filter.textChanged.connect(self._on_filter)
        panel.channels.first_button.clicked.connect(lambda: self.choose(range(_FIRST)))
        panel.channels.none_button.clicked.connect(lambda: self.choose(()))

    def close(self) -> None:
        """Stop reading, and take the plot out of the window."""
        self.reader.close()
        self.show_dock(False)
        self._plot.deleteLater()

    def _on_switched(self) -> None:
        if self._shown.opened is not None:
            self._fill_names()
            self.show_dock(True)

    def _on_changed(self) -> None:
        if self._shown.opened is not None:
            refill(self._source, [("Recording", "recording"), *((b.title, b.key) for b in self._stack.blocks[1:])])
            self._on_names()

    # --- the plot in the window

    def show_dock(self, on: bool) -> None:
        """Put the traces below the canvas, or away."""
        if on == (self._plot.parent() is not None):
            self._button.setChecked(on)
            return
        if on:
            dock = self._viewer.window.add_dock_widget(self._plot, name="MEG traces", area="bottom")
            window = dock.parent()
            if hasattr(window, "setCorner"):
                # The plot shares its time axis with the canvas, so it must not reach under the docks beside it.
                window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
                window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
                window.resizeDocks([dock], [min(_HEIGHT, window.height() * 2 // 5)], Qt.Orientation.Vertical)
            self._plot.show()
        else:
            self._viewer.window.remove_dock_widget(self._plot)
        self._button.setChecked(on)
        self._stack.layout()

    @property
    def origin(self) -> int:
        """How far right of the canvas the plot begins [px]."""
        corner = self._plot.mapToGlobal(self._plot.rect().topLeft())
        return int(self._stack.canvas.mapFromGlobal(corner).x())

    def _align(self, start: float, stop: float) -> None:
        """The same second at the same place: below each other where the plot is docked under the canvas."""
        if not self._plot.isVisible():
            self._plot.set_range(start, stop)
            return
        origin = self.origin
        beside = abs(origin) > _BESIDE
        self._plot.set_left(GUTTER if beside else GUTTER - origin)
        left, right = self._plot.pixels()
        if beside or right - left < 20:
            self._plot.set_range(start, stop)
        else:
            self._plot.set_range(self._stack.time_at(origin + left), self._stack.time_at(origin + right))
        self._plot.overview.set_sides(left, self._plot.width() - right)

    def _on_plot_range(self, first: float, last: float) -> None:
        """The person moved the time axis of the plot: the canvas goes along."""
        left, right = self._plot.pixels()
        per_pixel = (last - first) / max(1, right - left)
        origin = 0 if abs(self.origin) > _BESIDE else self.origin
        start = first + (GUTTER - origin - left) * per_pixel
        self._stack.set_range(start, start + (self._stack.overlay.width() - GUTTER - RIGHT) * per_pixel)

    def _on_gain(self, factor: float) -> None:
        self.gain *= factor
        self._read()

    # --- which channels

    def _fill_names(self) -> None:
        found = self._shown.opened
        assert found is not None
        self._names.blockSignals(True)
        self._names.clear()
        # Channels of the picture first, then the others of the file.
        others = [n for n in found.sensors.rows if n not in set(found.main.rows)]
        for name in (*found.main.rows, *others):
            kind = found.sensors.kinds[found.sensors.rows.index(name)]
            item = QListWidgetItem(name)
            item.setData(Qt.ItemDataRole.UserRole, KINDS.get(kind, kind))
            self._names.addItem(item)
        self._strike_out()
        for n in range(min(_FIRST, len(found.main.rows))):
            self._names.item(n).setSelected(True)
        self._names.blockSignals(False)

    def _strike_out(self) -> None:
        """Strike the bad channels out in the list."""
        found = self._shown.opened
        bads = set() if found is None else set(found.bads)
        for n in range(self._names.count()):
            item = self._names.item(n)
            bad, kind = item.text() in bads, item.data(Qt.ItemDataRole.UserRole)
            item.setToolTip(plain_tip(f"{item.text()}: {kind}{', bad' if bad else ''}"))
            font = item.font()
            if font.strikeOut() != bad:
                font.setStrikeOut(bad)
                item.setFont(font)

    def on_bads(self) -> None:
        """Other channels are bad."""
        self._names.blockSignals(True)
        self._strike_out()
        self._names.blockSignals(False)
        self._read()

    def choose(self, numbers: Iterable[int]) -> None:
        """Draw these channels (numbers in the list) as traces."""
        wanted = set(numbers)
        self._names.blockSignals(True)
        for n in range(self._names.count()):
            self._names.item(n).setSelected(n in wanted)
        self._names.blockSignals(False)
        self._on_names()

    def toggle(self, name: str) -> None:
        """Draw a channel as a trace, or no longer."""
        for item in self._names.findItems(name, Qt.MatchFlag.MatchExactly):
            item.setSelected(not item.isSelected())

    @property
    def chosen(self) -> list[str]:
        """Names of the channels that are drawn as traces, in the order of the list."""
        items = (self._names.item(n) for n in range(self._names.count()))
        return [i.text() for i in items if i.isSelected()][:_MOST_TRACES]

    def _on_filter(self, text: str) -> None:
        for n in range(self._names.count()):
            item = self._names.item(n)
            item.setHidden(text.strip().lower() not in item.text().lower())

    def _on_names(self) -> None:
        """Names of traced channels on the canvas in the colours of their traces, and the traces."""
        colors = {name: COLORS[n % len(COLORS)] for n, name in enumerate(self.chosen)}
        self._stack.set_traced(
            {b.key: {r: colors[n] for r, n in enumerate(b.rows) if n in colors} for b in self._stack.blocks}
        )
        self._read()

    # --- their values

    def _on_settled(self) -> None:
        if self._shown.opened is not None:
            self._read()

    def _block(self) -> Block | None:
        """The block that traces are taken from."""
        found, key = self._shown.opened, self._source.currentData()
        if found is None:
            return None
        return found.sensors if key == "recording" else found.parts.get(str(key))

    @property
    def is_butterfly(self) -> bool:
        """Whether all channels of a kind are drawn over each other."""
        return self._plot.butterfly_button.isChecked()

    def _on_butterfly(self, on: bool) -> None:
        if on:
            self.show_dock(True)
        self._read()

    def _read_wings(self, block: Block) -> None:
        """Pictures of what is in sight and a little more, as many pixels as it has on the screen."""
        found, (start, stop) = self._shown.opened, self._stack.span
        assert found is not None
        whose = found.main.kinds if block is found.sensors else block.kinds
        kinds = rows_by_kind(block, whose, found.bads)
        room, width = 0.5 * (stop - start), 2 * max(200, self._plot.plot.width())
        size = (max(40, self._plot.plot.height() // max(1, len(kinds))), width)
        work = partial(wings_of, block, kinds, start - room, stop + room, size, self.gain)
        self.reader.ask(weakref.ref(found), work)

    def _read(self, _event: Any = None) -> None:
        block = self._block()
        if block is not None and self.is_butterfly:
            self._read_wings(block)
            return
        if block is None:
            self._plot.set_traces([])
            return
        where = {name: r for r, name in enumerate(block.rows)}
        rows = [(where[name], COLORS[n % len(COLORS)]) for n, name in enumerate(self.chosen) if name in where]
        start, stop = self._stack.span
        room = 0.5 * (stop - start)
        most = 2 * max(400, self._plot.width())
        assert self._shown.opened is not None
        token, bads = weakref.ref(self._shown.opened), frozenset(self._shown.opened.bads)
        self.reader.ask(token, lambda: traces_of(block, rows, start - room, stop + room, most, bads))

    def _on_lines(self, token: Any, traces: Any) -> None:
        if not self._shown.is_still(token()):
            return
        is_wings = bool(traces) and isinstance(traces[0], Wing)
        if self.is_butterfly:
            if is_wings or not traces:
                self._plot.set_wings(traces)
        elif not is_wings:
            self._plot.set_traces([replace(t, height=nice(t.height / self.gain * (1 - 1e-6))) for t in traces])
        self._align(*self._stack.span)


def traces_of(
    block: Block,
    rows: list[tuple[int, str]],
    start: float,
    stop: float,
    most: int,
    bads: frozenset[str] = frozenset(),
) -> list[Trace]:
    """Traces of some rows (number and colour) from `start` to `stop` [s]; rows of one unit get one height.

    Those that are bad do not count for the height, unless all are.
    """
    times, values = block.lines(start, stop, [r for r, _ in rows], most)
    heights = {}
    for unit in {block.units[r] for r, _ in rows}:
        alike = [r for r, _ in rows if block.units[r] == unit]
        heights[unit] = nice(1.5 * block.reach([r for r in alike if block.rows[r] not in bads] or alike))
    made = []
    for n, (r, color) in enumerate(rows):
        name, unit = block.rows[r], block.units[r]
        made.append(Trace(block.labels[r], unit, color, times, values[n], heights[unit], name, name in bads))
    return made


def _delete(plot: Any, _tracing: Any = None) -> None:
    """The tool has gone with its window: its plot would be held for ever by what it is connected to."""
    with suppress(RuntimeError):  # docked in the window it has gone too
        plot.deleteLater()
