"""Power spectra of real and generated signals in one picture: the mean over channels and the range of the channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

_BACK, _PANEL, _TEXT = "#262930", "#1d2026", "#c8cace"
_COLORS = {"real": "#8bd5ff", "generated": "#ffb454"}
Spectrum = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Frequencies [Hz] ``(F,)`` and density ``(C, F)``."""


class PsdPlot(QWidget):
    """A matplotlib canvas, hidden until there is something to show."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # Not pyplot: it would keep every figure alive.
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(3.4, 2.3), facecolor=_BACK, layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.setFixedHeight(220)
        self.spectra: dict[str, Spectrum] = {}
        self.hide()

    def show_spectra(self, spectra: dict[str, Spectrum], unit: str = "z") -> None:
        """Draw ``{"real": ..., "generated": ...}``, both in the same unit."""
        self.spectra = dict(spectra)
        self.setVisible(bool(spectra))
        self.figure.clear()
        if not spectra:
            return
        axes = self.figure.add_subplot(facecolor=_PANEL)
        for side in axes.spines.values():
            side.set_color("#5a626c")
        axes.tick_params(colors=_TEXT, labelsize=7.5, length=3, which="both")
        axes.set_xlabel("Frequency [Hz]", color=_TEXT, fontsize=8)
        axes.set_ylabel(f"Power density [{f'({unit})²' if unit else '1'}/Hz]", color=_TEXT, fontsize=8)
        axes.grid(color="#5a626c", alpha=0.25, linewidth=0.6)
        for name, (frequencies, density) in spectra.items():
            color = _COLORS.get(name, "#ffffff")
            low, high = np.percentile(density, (10, 90), axis=0)
            axes.fill_between(frequencies, low, high, color=color, alpha=0.16, linewidth=0)
            mean = np.exp(np.log(np.maximum(density, 1e-30)).mean(axis=0))
            axes.semilogy(frequencies, mean, color=color, linewidth=1.5, label=name)
        axes.margins(x=0)
        legend = axes.legend(fontsize=8, facecolor=_PANEL, edgecolor="#5a626c", labelcolor=_TEXT, loc="upper right")
        legend.get_frame().set_alpha(0.8)
        self.canvas.draw_idle()
