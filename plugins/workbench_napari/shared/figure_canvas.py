"""A matplotlib figure as a widget of a tool, in colours that can be read in napari's theme."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from workbench_napari.shared.theme import Colors


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

        self.colors = Colors()
        self.figure = Figure(figsize=(3.4, height / 95), facecolor=self.colors.back, layout=layout)
        self.canvas = FigureCanvasQTAgg(self.figure)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.canvas)
        self.setFixedHeight(height)

    def use_colors(self, colors: Colors) -> None:
        """Draw in these colours from now on."""
        if colors != self.colors:
            self.colors = colors
            self.figure.set_facecolor(colors.back)
            self.redraw()
            self.canvas.draw_idle()

    def redraw(self) -> None:
        """Draw anew what is shown."""

    def new_axes(self) -> Any:
        """One empty plot in the colours of the theme."""
        self.figure.clear()
        axes = self.figure.add_subplot(facecolor=self.colors.panel)
        for side in axes.spines.values():
            side.set_color(self.colors.line)
        axes.tick_params(colors=self.colors.text, labelsize=7.5, length=3, which="both")
        return axes
