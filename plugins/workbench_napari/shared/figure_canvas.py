"""A matplotlib figure as a widget of a tool, in the colours of napari's dark theme."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

BACK, PANEL, TEXT, LINE = "#262930", "#1d2026", "#c8cace", "#5a626c"


class FigureWidget(QWidget):
    """``figure`` and its ``canvas``, of one height.

    Parameters
    ----------
    height
        Pixels.
    layout
        Layout engine of the figure, or none.
    """

    def __init__(self, height: int, *, layout: str | None = "constrained", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # Not pyplot: it would keep every figure alive.
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(3.4, height / 95), facecolor=BACK, layout=layout)
        self.canvas = FigureCanvasQTAgg(self.figure)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.canvas)
        self.setFixedHeight(height)

    def new_axes(self) -> Any:
        """One empty plot in the colours of the theme."""
        self.figure.clear()
        axes = self.figure.add_subplot(facecolor=PANEL)
        for side in axes.spines.values():
            side.set_color(LINE)
        axes.tick_params(colors=TEXT, labelsize=7.5, length=3, which="both")
        return axes
