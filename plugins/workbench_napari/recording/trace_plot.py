"""The plot of the traces: made by pyqtgraph, which is imported when the first plot is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtGui import QFont

from workbench_napari.recording.overlay import GUTTER
from workbench_napari.shared.theme import Colors


def new_plot() -> tuple[Any, Any, Any]:
    """A plot, the line of the cursor, and the marks."""
    import pyqtgraph as pg

    plot = pg.PlotWidget()
    item = plot.getPlotItem()
    _arrange(item)
    line = pg.InfiniteLine(angle=90, movable=True)
    line.setZValue(50)
    line.hide()
    marks = pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[], pen=None)
    marks.setZValue(-10)
    item.addItem(marks, ignoreBounds=True)
    item.addItem(line, ignoreBounds=True)
    return plot, line, marks


def dress(plot: Any, line: Any, colors: Colors) -> None:
    """Draw plot, cursor and axes in these colours from now on."""
    import pyqtgraph as pg

    plot.setBackground(colors.panel)
    line.setPen(pg.mkPen(colors.cursor, width=1))
    line.setHoverPen(pg.mkPen(colors.cursor, width=3))
    item = plot.getPlotItem()
    for side in ("left", "bottom"):
        item.getAxis(side).setPen(colors.line)
        item.getAxis(side).setTextPen(colors.text)
    item.setLabel("bottom", "Time [s]", color=colors.text, **{"font-size": "8.5pt"})


def _arrange(item: Any) -> None:
    """Names at the left, seconds below; the mouse moves time only."""
    item.setMenuEnabled(False)
    item.layout.setContentsMargins(0, 0, 0, 7)  # pyqtgraph lets the label stick out
    item.hideButtons()
    item.setMouseEnabled(x=True, y=False)
    # pyqtgraph would shrink the numbers to powers of ten of its own choice.
    for side in ("left", "bottom"):
        axis = item.getAxis(side)
        axis.enableAutoSIPrefix(False)
        axis.setStyle(tickLength=-4, tickFont=small_font(), autoExpandTextSpace=False, hideOverlappingLabels=False)
    item.getAxis("left").setWidth(GUTTER)
    item.getAxis("bottom").setHeight(42)
    item.showGrid(x=True, y=False, alpha=0.18)


def small_font() -> QFont:
    """For names and values."""
    font = QFont()
    font.setPixelSize(11)
    return font


def stretches(lines: Sequence[Any]) -> dict[str, list[Any]]:
    """What the marks are told, to show these as coloured stretches from top to bottom."""
    import pyqtgraph as pg

    brushes, pens = [], []
    for line in lines:
        color = pg.mkColor(line.color)
        color.setAlpha(110)
        pens.append(pg.mkPen(color))
        color.setAlpha(45)
        brushes.append(pg.mkBrush(color))
    return {
        "x0": [m.start for m in lines],
        "x1": [m.stop for m in lines],
        "y0": [-1000.0] * len(lines),
        "y1": [1000.0] * len(lines),
        "brushes": brushes,
        "pens": pens,
    }
