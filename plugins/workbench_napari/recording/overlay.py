"""What is written over the canvas: names of channels, seconds, titles, marks, and the time cursor through everything.

A widget on top of napari's canvas that lets the mouse through: no layers of our own clutter the list, and lines stay
one pixel wide at every zoom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen
from qtpy.QtWidgets import QWidget

from workbench_napari.shared.theme import Colors

GUTTER, RIGHT, TOP, BOTTOM, TITLE = 112, 12, 29, 24, 17
"""Pixels for names on the left, on the right, for marks on top, for seconds below, and above every block."""
_ROOM = 14
_VEIL = 205
"""How much of what lies on a bad row is hidden, of 255."""


@dataclass
class Band:
    """A block on the canvas: its top and the height of a row in pixels, and how its rows are called."""

    title: str
    names: tuple[str, ...]
    top: float
    row: float
    colors: dict[int, str] = field(default_factory=dict)
    bads: frozenset[int] = frozenset()


@dataclass
class MarkLine:
    """A mark to draw: where it begins and ends [s], its name and its colour."""

    start: float
    stop: float
    label: str
    color: str


class CanvasOverlay(QWidget):
    """Draws over the canvas; `workbench_napari.recording.stack` tells it what is where."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.bands: list[Band] = []
        self.marks: list[MarkLine] = []
        self.cursor_time: float | None = None
        self.span = (0.0, 1.0)
        self.hidden = True
        self.colors = Colors()
        self.setGeometry(canvas.rect())
        self.hide()

    def use_colors(self, colors: Colors) -> None:
        """Draw in these colours from now on."""
        self.colors = colors
        self.update()

    def x_of(self, seconds: float) -> float:
        """Pixel of a time."""
        start, stop = self.span
        return GUTTER + (seconds - start) / max(stop - start, 1e-9) * (self.width() - GUTTER - RIGHT)

    def paintEvent(self, _event: Any) -> None:
        if not self.bands:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        bottom = self.height() - BOTTOM
        painter.fillRect(QRectF(0, 0, self.width(), TOP), QColor(self.colors.back))
        painter.fillRect(QRectF(0, 0, GUTTER, self.height()), QColor(self.colors.back))
        painter.fillRect(QRectF(0, bottom, self.width(), BOTTOM), QColor(self.colors.back))
        painter.fillRect(QRectF(self.width() - RIGHT, 0, RIGHT, self.height()), QColor(self.colors.back))
        for band in self.bands:
            self._band(painter, band)
        self._marks(painter, bottom)
        self._seconds(painter, bottom)
        self._cursor(painter, bottom)

    def _band(self, painter: QPainter, band: Band) -> None:
        painter.fillRect(QRectF(GUTTER, band.top - TITLE, self.width() - GUTTER, TITLE - 1), QColor(self.colors.back))
        painter.setPen(QColor(self.colors.text))
        painter.drawText(QPointF(GUTTER + 4, band.top - 5), band.title)
        font = QFont(painter.font())
        size = int(min(11, max(8, band.row - 1)))
        font.setPixelSize(size)
        painter.save()
        painter.setFont(font)
        veil = QColor(self.colors.back)
        veil.setAlpha(_VEIL)
        for row in band.bads:
            top = band.top + row * band.row
            painter.fillRect(QRectF(GUTTER, top, self.width() - GUTTER - RIGHT, band.row), veil)
        metrics = QFontMetricsF(font)
        every = max(1, int(np.ceil((size + 2) / max(band.row, 1e-6))))
        for row in range(0, len(band.names), every):
            middle = band.top + (row + 0.5) * band.row
            plain = self.colors.quiet if row in band.bads else self.colors.text
            color = QColor(self.colors.readable(band.colors[row]) if row in band.colors else plain)
            painter.setPen(color)
            text = metrics.elidedText(band.names[row], Qt.TextElideMode.ElideMiddle, GUTTER - 12)
            rect = QRectF(2, middle - size, GUTTER - 8, 2 * size)
            painter.drawText(rect, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
            if row in band.bads:
                width = metrics.horizontalAdvance(text)
                painter.drawLine(QPointF(GUTTER - 6 - width, middle), QPointF(GUTTER - 6, middle))
        painter.restore()

    def _seconds(self, painter: QPainter, bottom: float) -> None:
        painter.setPen(QColor(self.colors.line))
        painter.drawLine(QPointF(GUTTER, bottom), QPointF(self.width() - RIGHT, bottom))
        metrics = QFontMetricsF(painter.font())
        for at, text in ticks(*self.span, most=max(2, int((self.width() - GUTTER) // 90))):
            x = self.x_of(at)
            painter.setPen(QColor(self.colors.line))
            painter.drawLine(QPointF(x, bottom), QPointF(x, bottom + 4))
            width = metrics.horizontalAdvance(text)
            if x + width / 2 < self.width() and x - width / 2 > GUTTER - 10:
                painter.setPen(QColor(self.colors.text))
                painter.drawText(QPointF(x - width / 2, bottom + 17), text)
        painter.setPen(QColor(self.colors.quiet))
        painter.drawText(QPointF(8, bottom + 17), "Time [s]")

    def _marks(self, painter: QPainter, bottom: float) -> None:
        metrics = QFontMetricsF(painter.font())
        taken: list[list[tuple[float, float]]] = [[], []]
        start, stop = self.span
        seen = [m for m in self.marks if m.stop >= start and m.start <= stop]
        crowded = len(seen) * _ROOM > self.width() - GUTTER
        # Names in two lines, where there is room: first of what is long.
        for mark in sorted(seen, key=lambda m: (m.start - m.stop, m.start)):
            left, right = self.x_of(mark.start), self.x_of(mark.stop)
            color = QColor(self.colors.readable(mark.color))
            faint = QColor(color)
            faint.setAlpha(150)
            pen = QPen(faint)
            moment = right - left < 3
            if moment:
                pen.setStyle(Qt.PenStyle.DashLine)
            painter.setPen(pen)
            # Lines through everything help only as long as there is room between them.
            end = TOP + 5 if crowded and moment else bottom
            for x in {left, right}:
                if GUTTER <= x <= self.width() - RIGHT:
                    painter.drawLine(QPointF(x, TOP), QPointF(x, end))
            begin = max(left, float(GUTTER)) + 2
            width = metrics.horizontalAdvance(mark.label)
            if begin + width > self.width() - RIGHT:
                continue
            for line, others in enumerate(taken):
                if all(begin > b or begin + width < a for a, b in others):
                    painter.setPen(color)
                    painter.drawText(QPointF(begin, TOP - 4 - 13 * line), mark.label)
                    others.append((begin - 6, begin + width + 6))
                    break

    def _cursor(self, painter: QPainter, bottom: float) -> None:
        if self.cursor_time is None:
            return
        x = self.x_of(self.cursor_time)
        if not GUTTER <= x <= self.width() - RIGHT:
            return
        painter.setPen(QPen(QColor(self.colors.cursor), 1))
        painter.drawLine(QPointF(x, TOP), QPointF(x, bottom))
        text = f"{self.cursor_time:.3f} s"
        metrics = QFontMetricsF(painter.font())
        width = metrics.horizontalAdvance(text) + 8
        left = min(max(x - width / 2, GUTTER), self.width() - width)
        painter.fillRect(QRectF(left, bottom + 4, width, 17), QColor(self.colors.cursor))
        painter.setPen(QColor(self.colors.back))
        painter.drawText(QPointF(left + 4, bottom + 17), text)


def ticks(start: float, stop: float, most: int = 10) -> list[tuple[float, str]]:
    """Round times between two, and their texts."""
    span = max(stop - start, 1e-9)
    raw = span / max(most, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(power * f) for f in (1, 2, 5, 10) if power * f >= raw)
    digits = max(0, int(-np.floor(np.log10(step) + 1e-9)))
    first = int(np.ceil(start / step - 1e-9))
    last = int(np.floor(stop / step + 1e-9))
    return [(n * step, f"{n * step:.{digits}f}") for n in range(first, last + 1)]


def mark_lines(marks: Sequence[Any], color_of: Any) -> list[MarkLine]:
    """What to draw of marks."""
    return [MarkLine(m.onset, m.onset + m.duration, m.label, color_of(m.label)) for m in marks]
