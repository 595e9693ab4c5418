"""Traces of chosen channels below each other, on the time axis of the canvas, with the values at the time cursor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from workbench_napari.recording.butterfly import Wing, in_words, picture
from workbench_napari.recording.overview_bar import OverviewBar
from workbench_napari.recording.trace import Trace, number
from workbench_napari.recording.trace_plot import dress, new_plot, small_font, stretches
from workbench_napari.shared import engines
from workbench_napari.shared.panel_base import button
from workbench_napari.shared.plain_text import plain_label, plain_tip
from workbench_napari.shared.theme import Colors
from workbench_napari.shared.when_loaded import WhenLoaded

COLORS = ("#8bd5ff", "#ffb454", "#7ee787", "#ff9ec6", "#d2a8ff", "#e3e37a", "#6fdcc8", "#f0a08a", "#a5b4ff", "#c8cace")
_ROOM = 14


class Traces(QWidget):
    """The plot and its buttons; the plot is made when it is first needed, or when there is time.

    Signals
    -------
    cursor_moved
        The person clicked, or dragged the cursor [s].
    range_changed
        The person zoomed or moved the time axis [s, s].
    gain_changed
        Rows are to be so many times higher.
    channel_clicked
        Name of a channel whose name was clicked, or whose row with Ctrl held.
    butterfly_wanted
        All channels of a kind are wanted over each other, or no longer.
    """

    cursor_moved = Signal(float)
    range_changed = Signal(float, float)
    gain_changed = Signal(float)
    channel_clicked = Signal(str)
    butterfly_wanted = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(170)
        self.traces: list[Trace] = []
        self._mine = False
        self.colors = Colors()
        self._lines: Sequence[Any] = ()
        self._crowded: bool | None = None
        self._curves: list[Any] = []
        self._values: list[Any] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self._head())
        self.overview = OverviewBar()
        column.addWidget(self.overview)
        self.wings: list[Wing] = []
        self._pictures: list[Any] = []
        self._when_loaded = WhenLoaded((engines.PLOTS,), self)
        self._when_loaded.loaded.connect(self._make)
        self._dress()

    @property
    def is_made(self) -> bool:
        """Whether there is a plot yet."""
        return "_made" in vars(self)

    @cached_property
    def _made(self) -> tuple[Any, Any, Any]:
        """The plot, the line of the cursor, and the marks."""
        self._when_loaded.stop()
        plot, line, _ = made = new_plot()
        self.layout().insertWidget(1, plot)
        line.sigDragged.connect(lambda line: self.cursor_moved.emit(float(line.value())))
        plot.scene().sigMouseClicked.connect(self._on_click)
        plot.getPlotItem().getViewBox().sigXRangeChanged.connect(self._on_range)
        dress(plot, line, self.colors)
        return made

    def _make(self) -> None:
        self._made  # noqa: B018

    @property
    def plot(self) -> Any:
        return self._made[0]

    @property
    def line(self) -> Any:
        """The cursor."""
        return self._made[1]

    @property
    def marks(self) -> Any:
        """The stretches that are marked."""
        return self._made[2]

    def use_colors(self, colors: Colors) -> None:
        """Draw in these colours from now on."""
        self.colors = colors
        self.overview.use_colors(colors)
        self._dress()
        if not self.is_made:
            return
        if self.wings:
            self.set_wings(self.wings)
        else:
            self.set_traces(self.traces)
        self.set_marks(self._lines)

    def _dress(self) -> None:
        self.info.setStyleSheet(f"color: {self.colors.quiet};")
        if self.is_made:
            dress(self.plot, self.line, self.colors)

    def _head(self) -> QHBoxLayout:
        """The height of a row in words, and the buttons that change it."""
        row = QHBoxLayout()
        row.setContentsMargins(8, 2, 8, 0)
        self.info = plain_label("Choose channels in the MEG tool")
        # A long line must not push plot and buttons out of a narrow window.
        self.info.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row.addWidget(self.info, 1)
        self.butterfly_button = button("Butterfly", "All channels of a kind over each other (Ctrl+B)", checkable=True)
        self.butterfly_button.setFixedHeight(22)
        self.butterfly_button.toggled.connect(self.butterfly_wanted)
        row.addWidget(self.butterfly_button)
        for text, factor, tip in (
            ("−", 0.5, "Draw the traces half as high"),
            ("+", 2.0, "Draw the traces twice as high"),
        ):
            made = button(text, tip)
            made.setFixedSize(26, 22)
            made.clicked.connect(lambda _=False, f=factor: self.gain_changed.emit(f))
            row.addWidget(made)
        return row

    # --- what is shown

    def set_wings(self, wings: Sequence[Wing]) -> None:
        """Draw all channels of each kind over each other, from top to bottom."""
        import pyqtgraph as pg
        from qtpy.QtCore import QRectF

        none = np.zeros(0)
        rows = [
            Trace(f"{w.kind} [{w.unit}]" if w.unit else w.title, w.unit, COLORS[n % len(COLORS)], none, none, w.height)
            for n, w in enumerate(wings)
        ]
        self.set_traces(rows)
        self.wings, item = list(wings), self.plot.getPlotItem()
        grey = pg.mkColor(self.colors.line).getRgb()[:3]
        for row, wing in enumerate(wings):
            shown = pg.ImageItem(axisOrder="row-major")
            color = pg.mkColor(self.colors.readable(rows[row].color)).getRgb()[:3]
            shown.setImage(picture(wing, color, grey), levels=(0, 255))
            shown.setRect(QRectF(wing.start, -row - 0.5, wing.stop - wing.start, 1.0))
            item.addItem(shown, ignoreBounds=True)
            self._pictures.append(shown)
        self.info.setText(f"Butterfly: {', '.join(map(in_words, wings))}" if wings else "No channels to draw")
        self.info.setToolTip(plain_tip(self.info.text()))

    def _clear_wings(self) -> None:
        self.wings = []
        while self._pictures:
            self.plot.getPlotItem().removeItem(self._pictures.pop())

    def set_traces(self, traces: Sequence[Trace]) -> None:
        """Draw these channels from top to bottom."""
        if not traces and not self.is_made:
            return
        import pyqtgraph as pg

        self._clear_wings()
        item = self.plot.getPlotItem()
        self.traces = list(traces)
        while len(self._curves) > len(traces):
            item.removeItem(self._curves.pop())
        while len(self._curves) < len(traces):
            curve = pg.PlotCurveItem(connect="finite")
            item.addItem(curve, ignoreBounds=True)
            self._curves.append(curve)
        for row, (curve, trace) in enumerate(zip(self._curves, traces, strict=True)):
            curve.setPen(pg.mkPen(self._color_of(trace), width=1))
            curve.setData(trace.times, np.asarray(trace.values, float) / trace.height - row)
        self._names()
        self._mine = True
        item.setYRange(-max(len(traces), 1) + 0.3, 0.7, padding=0)
        self._mine = False
        heights = {t.unit: t.height for t in traces}
        text = ", ".join(f"{h:g} {u}".strip() for u, h in heights.items())
        self.info.setText(f"Height of a row: {text}" if traces else "Choose channels in the MEG tool")
        self.info.setToolTip(plain_tip(self.info.text()))
        self._show_values()

    def _color_of(self, trace: Trace) -> str:
        return self.colors.line if trace.is_bad else self.colors.readable(trace.color)

    def set_marks(self, lines: Sequence[Any]) -> None:
        """Marks as coloured stretches; moments only as long as there is room between them."""
        self._lines, self._crowded = list(lines), None
        self.overview.set_marks(lines)
        if lines or self.is_made:
            self._draw_marks()

    def _draw_marks(self) -> None:
        first, last = self.plot.getPlotItem().getViewBox().viewRange()[0]
        count = sum(m.stop >= first and m.start <= last for m in self._lines)
        crowded = count * _ROOM > self.plot.width()
        if crowded == self._crowded:
            return
        self._crowded = crowded
        lines = [m for m in self._lines if m.stop > m.start or not crowded]
        self.marks.setVisible(bool(lines))
        if not lines:
            return
        self.marks.setOpts(**stretches(lines))

    def set_range(self, start: float, stop: float) -> None:
        """Show a stretch of time."""
        self._mine = True
        self.plot.getPlotItem().setXRange(start, stop, padding=0)
        self._mine = False
        self._show_values()
        self._draw_marks()

    def set_cursor(self, seconds: float | None) -> None:
        """Put the time cursor somewhere, or away."""
        if seconds is None and not self.is_made:
            return
        self.line.setVisible(seconds is not None)
        if seconds is not None:
            self.line.setValue(seconds)
        self._show_values()

    def set_left(self, pixels: int) -> None:
        """Begin the time axis so many pixels from the left."""
        axis = self.plot.getPlotItem().getAxis("left")
        if abs(axis.width() - pixels) > 0.5:
            axis.setWidth(pixels)
            self._names()

    def _names(self) -> None:
        axis = self.plot.getPlotItem().getAxis("left")
        metrics = QFontMetrics(small_font())
        room = int(axis.width()) - 14
        names = [metrics.elidedText(t.name, Qt.TextElideMode.ElideMiddle, room) for t in self.traces]
        axis.setTicks([[(-row, name) for row, name in enumerate(names)]])

    def pixels(self) -> tuple[int, int]:
        """Left and right end of the time axis, in pixels of this widget."""
        box = self.plot.getPlotItem().getViewBox().sceneBoundingRect()
        left = self.plot.mapTo(self, self.plot.mapFromScene(box.topLeft())).x()
        return left, left + round(box.width())

    def value_at(self, row: int, seconds: float) -> float | None:
        """Value of a trace at a time."""
        trace = self.traces[row]
        if not len(trace.times) or not trace.times[0] <= seconds <= trace.times[-1] + 1e-9:
            return None
        return float(trace.values[int(np.abs(trace.times - seconds).argmin())])

    def _show_values(self) -> None:
        """The values at the cursor, at the right end: beside the cursor they would hide what one looks at."""
        import pyqtgraph as pg

        item = self.plot.getPlotItem()
        at = float(self.line.value())
        first, last = item.getViewBox().viewRange()[0]
        shown = self.line.isVisible() and first <= at <= last
        while len(self._values) < len(self.traces):
            text = pg.TextItem(anchor=(1.0, 0.5))
            text.setFont(small_font())
            text.setZValue(60)
            item.addItem(text, ignoreBounds=True)
            self._values.append(text)
        for row, text in enumerate(self._values):
            value = self.value_at(row, at) if shown and row < len(self.traces) else None
            text.setVisible(value is not None)
            if value is not None:
                trace = self.traces[row]
                text.fill = pg.mkBrush(self.colors.panel)
                text.setText(f"{number(value)} {trace.unit}".strip(), color=self._color_of(trace))
                text.setPos(last, -row)

    # --- the mouse

    def _on_range(self, _box: Any, span: Any) -> None:
        if not self._mine:
            self.range_changed.emit(float(span[0]), float(span[1]))

    def _on_click(self, event: Any) -> None:
        item = self.plot.getPlotItem()
        box, at = item.getViewBox(), event.scenePos()
        if event.button() != Qt.MouseButton.LeftButton:
            return
        inside = box.sceneBoundingRect().contains(at)
        names = item.getAxis("left").sceneBoundingRect().contains(at)
        if names or (inside and event.modifiers() & Qt.KeyboardModifier.ControlModifier):
            row = round(-box.mapSceneToView(at).y())
            if 0 <= row < len(self.traces) and self.traces[row].channel:
                self.channel_clicked.emit(self.traces[row].channel)
        elif inside:
            self.cursor_moved.emit(float(box.mapSceneToView(at).x()))
