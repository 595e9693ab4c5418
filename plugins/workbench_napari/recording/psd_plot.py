"""Power spectra of real and generated signals in one picture: the mean over channels and the range of the channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QWidget

from workbench_napari.shared.figure_canvas import FigureWidget

_COLORS = {"real": "#8bd5ff", "generated": "#ffb454"}
Spectrum = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Frequencies [Hz] ``(F,)`` and density ``(C, F)``."""


class PsdPlot(FigureWidget):
    """A matplotlib canvas, hidden until there is something to show."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(220, parent=parent)
        self.spectra: dict[str, Spectrum] = {}
        self._unit = ""
        self.hide()

    def show_spectra(self, spectra: dict[str, Spectrum], unit: str = "z") -> None:
        """Draw ``{"real": ..., "generated": ...}``, both in the same unit."""
        self.spectra, self._unit = dict(spectra), unit
        self.setVisible(bool(spectra))
        if spectra or self.is_made:
            self.redraw()

    def redraw(self) -> None:
        self.figure.clear()
        if not self.spectra:
            return
        unit, text, line = self._unit, self.colors.text, self.colors.line
        axes = self.new_axes()
        axes.set_xlabel("Frequency [Hz]", color=text, fontsize=8)
        axes.set_ylabel(f"Power density [{f'({unit})²' if unit else '1'}/Hz]", color=text, fontsize=8)
        axes.grid(color=line, alpha=0.25, linewidth=0.6)
        for name, (frequencies, density) in self.spectra.items():
            color = self.colors.readable(_COLORS.get(name, "#ffffff"))
            low, high = np.percentile(density, (10, 90), axis=0)
            axes.fill_between(frequencies, low, high, color=color, alpha=0.16, linewidth=0)
            mean = np.exp(np.log(np.maximum(density, 1e-30)).mean(axis=0))
            axes.semilogy(frequencies, mean, color=color, linewidth=1.5, label=name)
        axes.margins(x=0)
        legend = axes.legend(
            fontsize=8, facecolor=self.colors.panel, edgecolor=line, labelcolor=text, loc="upper right"
        )
        legend.get_frame().set_alpha(0.8)
        self.canvas.draw_idle()
