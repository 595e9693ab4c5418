"""Spectra as curves: the pixel under the cursor, pinned pixels, and mean and deviation of the painted classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QWidget

from workbench.scene import ClassSpectrum
from workbench_napari.shared.figure_canvas import FigureWidget
from workbench_napari.shared.theme import LINE

_BANDS = ("#e5484d", "#46a758", "#3e8ed0")
_PINS = ("#ffffff", "#ffb454", "#8bd5ff", "#d2a8ff", "#7ee787", "#ff9ec6", "#e3e37a", "#a5b4c4")


@dataclass(frozen=True, eq=False)
class Pin:
    """A clicked pixel with its spectrum ``(bands,)``."""

    row: int
    column: int
    spectrum: npt.NDArray[Any]
    color: str


class SpectrumPlot(FigureWidget):
    """A matplotlib canvas that redraws only the cursor's curve while the mouse moves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(210, parent=parent)
        self.pins: list[Pin] = []
        self.classes: list[ClassSpectrum] = []
        self.bands: tuple[int, ...] = ()
        self._x = np.arange(1.0)
        self._shown = np.ones(1, bool)
        self._label = "band"
        self._unit = ""
        self._limits = (0.0, 1.0)
        self._background: Any = None
        self._cursor: Any = None

    def first_drawing(self) -> None:
        self.canvas.mpl_connect("draw_event", self._on_drawn)
        self.redraw()

    def set_scene(
        self,
        wavelengths_nm: Sequence[float] | None,
        good: Sequence[bool] | None,
        n_bands: int,
        *,
        limits: tuple[float, float] = (0.0, 1.0),
        unit: str | None = None,
    ) -> None:
        """Axis of another cube: wavelengths [nm], or band numbers from 1 where there are none; bad bands are greyed."""
        known = wavelengths_nm is not None and bool(np.isfinite(np.asarray(wavelengths_nm)).all())
        self._x = np.asarray(wavelengths_nm, float) if known else np.arange(1.0, n_bands + 1)
        self._label = "Wavelength [nm]" if known else "Band number"
        self._shown = np.ones(n_bands, bool) if good is None else np.asarray(good, dtype=bool)
        self._unit = unit or ""
        self._limits = limits
        self.pins, self.classes, self.bands = [], [], ()
        self.redraw()

    def set_bands(self, bands: Sequence[int]) -> None:
        """Mark the bands that are shown as red, green and blue."""
        self.bands = tuple(bands)
        self.redraw()

    def set_classes(self, classes: Sequence[ClassSpectrum]) -> None:
        """Mean and deviation per painted class."""
        if not classes and not self.classes:
            return  # an empty tool must not make the figure already
        self.classes = list(classes)
        self.redraw()

    def pin(self, row: int, column: int, spectrum: npt.NDArray[Any]) -> Pin:
        """Keep the spectrum of a pixel."""
        free = [c for c in _PINS if c not in {p.color for p in self.pins}]
        added = Pin(row, column, np.array(spectrum), free[0] if free else _PINS[len(self.pins) % len(_PINS)])
        self.pins.append(added)
        self.redraw()
        return added

    def clear_pins(self) -> None:
        self.pins = []
        self.redraw()

    def show_cursor(self, spectrum: npt.NDArray[Any] | None) -> None:
        """Show the spectrum under the cursor, or none."""
        if self._cursor is None:
            return
        if spectrum is None:
            self._cursor.set_visible(False)
        else:
            self._cursor.set_data(self._axis(), self._curve(spectrum))
            self._cursor.set_visible(True)
            low, high = self._seen(spectrum)
            if low < self._limits[0] or high > self._limits[1]:
                self._limits = (min(low, self._limits[0]), max(high, self._limits[1]))
                self.redraw()
                return
        self._blit()

    @property
    def cursor_shown(self) -> bool:
        return bool(self._cursor is not None and self._cursor.get_visible())

    def redraw(self) -> None:
        """Draw everything anew, when Qt next has time."""
        if not self.is_made:
            self.first_drawing()
            return
        cursor = None
        if self._cursor is not None and self.cursor_shown:
            cursor = self._cursor.get_data()
        axes = self.new_axes()
        axes.set_xlabel(self._label, color=self.colors.text, fontsize=8)
        axes.set_ylabel(self._unit or "value", color=self.colors.text, fontsize=8)
        axes.margins(x=0)
        order = np.argsort(self._x, kind="stable")
        if len(order) > 1:
            axes.set_xlim(float(self._x[order[0]]), float(self._x[order[-1]]))
        for start, stop in bad_runs(self._x, self._shown):
            axes.axvspan(start, stop, color="#8a9099", alpha=0.22, linewidth=0)
        for band, color in zip(self.bands, _BANDS, strict=False):
            axes.axvline(self._x[band], color=self.colors.readable(color, LINE), linewidth=1.1, alpha=0.85)
        for c in self.classes:
            rgb = tuple(v / 255 for v in c.color)
            mean, deviation = self._curve(c.mean), self._curve(c.deviation)
            axes.fill_between(self._axis(), mean - deviation, mean + deviation, color=rgb, alpha=0.22, linewidth=0)
            axes.plot(self._axis(), mean, color=self.colors.readable(c.color, LINE), linewidth=1.8, label=c.name)
        for p in self.pins:
            color, dashes = self.colors.readable(p.color, LINE), (0, (4, 1.5))
            axes.plot(self._axis(), self._curve(p.spectrum), color=color, linewidth=1.0, linestyle=dashes)
        (self._cursor,) = axes.plot([], [], color=self.colors.text, linewidth=1.2, animated=True, zorder=9)
        if cursor is not None and len(cursor[0]) == len(self._axis()):
            self._cursor.set_data(*cursor)
        else:
            self._cursor.set_visible(False)
        low, high = self._limits
        for values in (*(c.mean + c.deviation for c in self.classes), *(p.spectrum for p in self.pins)):
            seen = self._seen(values)
            low, high = min(low, seen[0]), max(high, seen[1])
        room = 0.04 * (high - low or 1.0)
        axes.set_ylim(low - room, high + room)
        if high - low >= 1e4:
            axes.ticklabel_format(axis="y", style="sci", scilimits=(3, 3))
            axes.yaxis.get_offset_text().set(color=self.colors.text, fontsize=7)
        self._background = None
        self.canvas.draw_idle()

    def _axis(self) -> npt.NDArray[np.float64]:
        return self._x

    def _curve(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Values with gaps at bad bands."""
        curve: npt.NDArray[np.float64] = np.where(self._shown, np.asarray(values, dtype=np.float64), np.nan)
        return curve

    def _seen(self, values: npt.NDArray[Any]) -> tuple[float, float]:
        usable = np.asarray(values, dtype=np.float64)[self._shown]
        usable = usable[np.isfinite(usable)]
        return (float(usable.min()), float(usable.max())) if usable.size else self._limits

    def _on_drawn(self, _event: Any) -> None:
        self._background = self.canvas.copy_from_bbox(self.figure.bbox)
        if self._cursor is not None and self._cursor.get_visible():
            self.figure.axes[0].draw_artist(self._cursor)

    def _blit(self) -> None:
        if self._background is None:
            self.canvas.draw_idle()
            return
        self.canvas.restore_region(self._background)
        if self._cursor.get_visible():
            self.figure.axes[0].draw_artist(self._cursor)
        self.canvas.blit(self.figure.bbox)


def bad_runs(x: npt.NDArray[np.float64], shown: npt.NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Intervals of the axis that bad bands cover: half way to the neighbouring bands."""
    bad = np.flatnonzero(~shown)
    if not bad.size or len(x) < 2:
        return []
    edges = np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]])
    runs = np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1)
    return [(float(edges[r[0]]), float(edges[r[-1] + 1])) for r in runs]
