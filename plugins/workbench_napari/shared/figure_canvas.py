"""A matplotlib figure as a widget of a tool, in colours that can be read in napari's theme."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from workbench_napari.shared import engines
from workbench_napari.shared.theme import Colors
from workbench_napari.shared.when_loaded import WhenLoaded


class FigureWidget(QWidget):
    """``figure`` and its ``canvas``, of one height; made when they are first needed, or when there is time.

    Importing matplotlib takes as long as all else of a tool, and a tool is docked before there is anything to draw.

    Parameters
    ----------
    height
        Pixels.
    layout
        Layout engine of the figure, or none.
    """

    def __init__(self, height: int, *, layout: str | None = "constrained", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layout, self._height = layout, height
        self.colors = Colors()
        self._repainting = QTimer(self, singleShot=True, interval=0)
        self._repainting.timeout.connect(self._paint_anew)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.setFixedHeight(height)
        self._when_loaded = WhenLoaded(engines.FIGURES, self)
        # Made before it is needed, once that takes no time.
        self._when_loaded.loaded.connect(self._on_loaded)

    @property
    def is_made(self) -> bool:
        """Whether there is a figure yet."""
        return "canvas" in vars(self)

    @cached_property
    def figure(self) -> Any:
        # Not pyplot: it would keep every figure alive.
        from matplotlib.figure import Figure

        return Figure(figsize=(3.4, self._height / 95), facecolor=self.colors.back, layout=self._layout)

    @cached_property
    def canvas(self) -> Any:
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg

        self._when_loaded.stop()
        canvas = FigureCanvasQTAgg(self.figure)
        canvas.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.layout().addWidget(canvas)
        return canvas

    def _on_loaded(self) -> None:
        self.first_drawing()

    def first_drawing(self) -> None:
        """What is to be seen as long as there is nothing to show."""
        self.canvas.draw_idle()

    def showEvent(self, event: Any) -> None:
        if not self.is_made:
            self.first_drawing()
        super().showEvent(event)

    def use_colors(self, colors: Colors) -> None:
        """Draw in these colours from now on; what is shown is drawn anew in the next turn of the event loop.

        Another theme of napari styles every widget of the window, which takes as long as one turn should.
        """
        if colors != self.colors:
            self.colors = colors
            if self.is_made:
                self._repainting.start()

    def _paint_anew(self) -> None:
        self.figure.set_facecolor(self.colors.back)
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
