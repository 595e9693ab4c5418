"""The leads of a page in mV over seconds, on lines of graph paper, with calipers."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from workbench.core.types import Signals
from workbench.page import in_rows, span_of
from workbench_napari.shared.panel_base import button, combo_box
from workbench_napari.shared.plain_text import plain_label
from workbench_napari.shared.theme import Colors

_ALL = "All leads"
_LEAST_ROW = 1.0
"""Millivolts between two rows at least."""
_OVERLAP = 25
"""Samples by which leads that are drawn beside each other may overlap."""
_BIG, _SMALL = (0.2, 0.5), (0.04, 0.1)
"""Seconds and millivolts of a large and of a small square of paper at 25 mm/s and 10 mm/mV."""


class LeadsView(QWidget):
    """A plot with a row for each lead, or one lead alone; it is made when it is first shown.

    Signals
    -------
    place_clicked
        Name of a lead and seconds, where a person clicked.
    """

    place_clicked = Signal(str, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(180)
        self.leads: Signals | None = None
        self.colors = Colors()
        self._offsets: dict[str, float] = {}
        self._labels: list[Any] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        row = QHBoxLayout()
        row.setContentsMargins(8, 2, 8, 0)
        self.choice = combo_box("Which lead to show")
        self.choice.addItem(_ALL)
        self.choice.setMinimumContentsLength(10)
        self.choice.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.choice.currentIndexChanged.connect(self._draw)
        tip = "Two lines to drag: time, rate and height between them"
        self.calipers_button = button("Calipers", tip, checkable=True)
        self.calipers_button.setFixedHeight(22)
        self.calipers_button.toggled.connect(self._on_calipers)
        self.info = plain_label("")
        self.info.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row.addWidget(self.choice)
        row.addWidget(self.calipers_button)
        row.addWidget(self.info, 1)
        column.addLayout(row)

    @cached_property
    def plot(self) -> Any:
        """The plot."""
        import pyqtgraph as pg

        plot = pg.PlotWidget()
        item = plot.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        for side in ("left", "bottom"):
            item.getAxis(side).enableAutoSIPrefix(False)
        item.setLabel("bottom", "Time [s]")
        self.paper = pg.GridItem()
        self.paper.setTickSpacing(x=[_BIG[0], _SMALL[0]], y=[_BIG[1], _SMALL[1]])
        self.paper.setTextPen(None)
        item.addItem(self.paper)
        self.calipers = pg.LinearRegionItem(values=(1.0, 2.0), movable=True)
        self.calipers.setZValue(20)
        self.calipers.sigRegionChanged.connect(self._measure)
        plot.scene().sigMouseClicked.connect(self._on_click)
        self.layout().addWidget(plot)
        self._dress(plot)
        return plot

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._draw()

    def use_colors(self, colors: Colors) -> None:
        """Draw in these colours from now on."""
        self.colors = colors
        self.info.setStyleSheet(f"color: {colors.quiet};")
        if "plot" in vars(self):
            self._dress(self.plot)
            self._draw()

    def _dress(self, plot: Any) -> None:
        import pyqtgraph as pg

        plot.setBackground(self.colors.panel)
        for side in ("left", "bottom"):
            axis = plot.getPlotItem().getAxis(side)
            axis.setPen(self.colors.line)
            axis.setTextPen(self.colors.text)
        self.paper.setPen(pg.mkPen(255, 90, 90, 90 if self.colors.is_dark else 130))

    def show_leads(self, leads: Signals | None) -> None:
        """Show these leads [mV], or none; what was chosen and where stays."""
        same = self.leads is not None and leads is not None and self.leads.channels == leads.channels
        self.leads = leads
        if not same:
            chosen = self.choice.currentText()
            self.choice.blockSignals(True)
            self.choice.clear()
            self.choice.addItems([_ALL, *(leads.channels if leads is not None else ())])
            self.choice.setCurrentIndex(max(self.choice.findText(chosen), 0))
            self.choice.blockSignals(False)
        if self.isVisible():
            self._draw(keep=same)

    def _draw(self, _index: int = 0, keep: bool = False) -> None:
        if not self.isVisible():
            return
        import pyqtgraph as pg

        item = self.plot.getPlotItem()
        for curve in list(item.listDataItems()):
            item.removeItem(curve)
        for label in self._labels:
            item.removeItem(label)
        self._labels = []
        leads = self.leads
        self._offsets = {}
        if leads is None:
            item.getAxis("left").setTicks([[]])
            return
        chosen = self.choice.currentText()
        names = leads.channels if chosen == _ALL else (chosen,)
        rows = [leads.data[leads.channels.index(name)] for name in names]
        spans = [span_of(values) for values in rows]
        beside = in_rows(np.array(rows), _OVERLAP)
        places = [next(k for k, row in enumerate(beside) if n in row) for n in range(len(rows))]
        heights = [float(np.ptp(r[np.isfinite(r)])) if np.isfinite(r).any() else 0.0 for r in rows]
        apart = max(_LEAST_ROW, float(np.percentile(heights, 80)) * 1.05)
        times = leads.start + np.arange(leads.data.shape[1]) / leads.sampling_rate
        pen = pg.mkPen(self.colors.text, width=1.2)
        for name, values, span, place in zip(names, rows, spans, places, strict=True):
            self._offsets[name] = -place * apart
            item.addItem(pg.PlotDataItem(times, values - place * apart, pen=pen, connect="finite"))
            if chosen == _ALL:
                label = pg.TextItem(name, color=self.colors.text, anchor=(0, 1))
                label.setPos(float(times[span[0]]), -place * apart + 0.25 * apart)
                item.addItem(label, ignoreBounds=True)
                self._labels.append(label)
        item.getAxis("left").setTicks([[]] if chosen == _ALL else None)
        item.setLabel("left", "" if chosen == _ALL else f"{chosen} [{leads.unit or ''}]")
        if not keep:
            first, last = min(s[0] for s in spans), max(s[1] for s in spans)
            item.getViewBox().setXRange(float(times[first]), float(times[last]), padding=0.01)
            shown = [r[np.isfinite(r)] - p * apart for r, p in zip(rows, places, strict=True) if np.isfinite(r).any()]
            every = np.concatenate(shown) if shown else np.array([-1.0, 1.0])
            item.getViewBox().setYRange(float(every.min()), float(every.max()), padding=0.05)
        self._measure()

    def _on_calipers(self, on: bool) -> None:
        item = self.plot.getPlotItem()
        if on and self.leads is not None:
            first, last = item.getViewBox().viewRange()[0]
            self.calipers.setRegion((first + 0.4 * (last - first), first + 0.5 * (last - first)))
            item.addItem(self.calipers, ignoreBounds=True)
        elif self.calipers.scene() is not None:
            item.removeItem(self.calipers)
        self._measure()

    def _measure(self, _item: Any = None) -> None:
        """What lies between the calipers, in words."""
        if not self.calipers_button.isChecked() or self.leads is None:
            self.info.setText("Click: show the place on the page. Wheel: zoom." if self.leads is not None else "")
            return
        first, last = self.calipers.getRegion()
        apart = abs(last - first)
        text = f"{1000 * apart:.0f} ms" + (f" · {60 / apart:.0f} /min" if apart > 0.05 else "")
        lead = self.choice.currentText()
        if lead in self.leads.channels:
            one, other = self.value(lead, first), self.value(lead, last)
            if np.isfinite([one, other]).all():
                text += f" · {other - one:+.2f} mV in {lead}"
        self.info.setText(text)

    def value(self, lead: str, seconds: float) -> float:
        """Millivolts of a lead at a moment; NaN where there is none."""
        assert self.leads is not None
        row = self.leads.data[self.leads.channels.index(lead)]
        at = round((seconds - self.leads.start) * self.leads.sampling_rate)
        return float(row[at]) if 0 <= at < len(row) else float("nan")

    def _on_click(self, event: Any) -> None:
        if self.leads is None or not self._offsets:
            return
        place = self.plot.getPlotItem().getViewBox().mapSceneToView(event.scenePos())
        seconds, height = float(place.x()), float(place.y())
        near = min(self._offsets, key=lambda name: self._distance(name, seconds, height))
        self.place_clicked.emit(near, seconds)

    def _distance(self, name: str, seconds: float, height: float) -> float:
        value = self.value(name, seconds)
        return abs(self._offsets[name] + value - height) if np.isfinite(value) else float("inf")
