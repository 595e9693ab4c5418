"""The bar below the traces: the whole recording, its annotations, and a frame around what is in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from workbench_napari.recording.field_power import Power
from workbench_napari.recording.overlay import GUTTER, RIGHT, MarkLine
from workbench_napari.recording.trace import number
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.theme import Colors

_LANE, _STRIP = 9, 17
"""Pixels for the annotations on top, and for each kind of sensor."""
_EDGE = 5
_SHADES = ("#8bd5ff", "#ffb454", "#7ee787", "#ff9ec6")
_NAME = "Overview of the recording"


class OverviewBar(QWidget):
    """Draws what it is told, and tells what people want to see.

    Signals
    -------
    wanted
        First and last second that are to be in sight.
    """

    wanted = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.colors = Colors()
        self.left, self.right = GUTTER, RIGHT
        """Pixels beside the time axis, on both sides."""
        self.extent, self.span = (0.0, 1.0), (0.0, 1.0)
        self.powers: Sequence[Power] = ()
        self.marks: Sequence[MarkLine] = ()
        self._drag: tuple[str, float] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_NAME)
        self.setToolTip(
            plain_tip("The whole recording. Click: go there. Drag the frame: move. Wheel: zoom. Keys: arrows, +, -")
        )
        self._say()

    # --- what is shown

    def use_colors(self, colors: Colors) -> None:
        """Draw in these colours from now on."""
        self.colors = colors
        self.update()

    def set_extent(self, start: float, stop: float) -> None:
        """The whole recording goes from here to there [s]."""
        self.extent = (start, max(stop, start + 1e-9))
        self.update()

    def set_span(self, start: float, stop: float) -> None:
        """What is in sight now [s]."""
        self.span = (start, stop)
        self._say()
        self.update()

    def set_powers(self, powers: Sequence[Power]) -> None:
        """Global field power of the whole recording, as far as it is known."""
        if len(powers) != len(self.powers):
            self.updateGeometry()
        self.powers = tuple(powers)
        self.setFixedHeight(self.sizeHint().height())
        self._say()
        self.update()

    def set_marks(self, lines: Sequence[MarkLine]) -> None:
        """Annotations, those of a method too."""
        self.marks = tuple(lines)
        self.update()

    def set_sides(self, left: int, right: int) -> None:
        """The time axis begins and ends so many pixels from the sides."""
        if (left, right) != (self.left, self.right):
            self.left, self.right = left, right
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, _LANE + _STRIP * max(1, len(self.powers)) + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def describe(self) -> str:
        """What is in sight, and the field power there, in words."""
        start, stop = self._inside()
        low, high = self.extent
        text = f"{start:.1f} to {stop:.1f} s of {low:.1f} to {high:.1f} s are in sight"
        for power in self.powers:
            first = int(max(0, (start - power.start) // power.step))
            here = power.values[first : int((stop - power.start) // power.step) + 1]
            if np.isfinite(here).any():
                text += f"; {power.title}: field power up to {number(float(np.nanmax(here)))} {power.unit}".rstrip()
        return text

    def _say(self) -> None:
        self.setAccessibleDescription(self.describe())

    def _inside(self) -> tuple[float, float]:
        (low, high), (start, stop) = self.extent, self.span
        return max(low, start), min(high, stop)

    # --- places

    def x_of(self, seconds: float) -> float:
        """Pixel of a time."""
        low, high = self.extent
        return self.left + (seconds - low) / (high - low) * max(1, self.width() - self.left - self.right)

    def time_at(self, x: float) -> float:
        """Time of a pixel [s]."""
        low, high = self.extent
        return low + (x - self.left) / max(1, self.width() - self.left - self.right) * (high - low)

    @property
    def frame(self) -> QRectF:
        """The frame around what is in sight."""
        start, stop = (self.x_of(t) for t in self._inside())
        return QRectF(start, 1, max(3.0, stop - start), self.height() - 3)

    # --- drawing

    def paintEvent(self, _event: Any) -> None:
        painter, colors = QPainter(self), self.colors
        painter.fillRect(self.rect(), QColor(colors.back))
        width = self.width() - self.left - self.right
        painter.fillRect(QRectF(self.left, 0, width, self.height()), QColor(colors.panel))
        font = QFont(self.font())
        font.setPixelSize(10)
        painter.setFont(font)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, power in enumerate(self.powers):
            self._curve(painter, power, _LANE + row * _STRIP, _SHADES[row % len(_SHADES)])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        self._marks(painter)
        outside = QColor(colors.back)
        outside.setAlpha(120)
        frame = self.frame
        painter.fillRect(QRectF(self.left, _LANE, frame.left() - self.left, self.height()), outside)
        painter.fillRect(QRectF(frame.right(), _LANE, self.left + width - frame.right(), self.height()), outside)
        painter.setPen(QPen(QColor(colors.cursor), 2))
        painter.drawRect(frame)
        if self.hasFocus():
            painter.setPen(QPen(QColor(colors.text), 1, Qt.PenStyle.DotLine))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _curve(self, painter: QPainter, power: Power, top: float, shade: str) -> None:
        bottom, color = top + _STRIP - 2, QColor(self.colors.readable(shade))
        painter.setPen(QColor(self.colors.text))
        name = QRectF(2, top, self.left - 8, _STRIP)
        text = painter.fontMetrics().elidedText(power.title, Qt.TextElideMode.ElideRight, int(name.width()))
        painter.drawText(name, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        known = np.flatnonzero(np.isfinite(power.values))
        if not known.size:
            return
        high = np.minimum(power.values[known] / power.height, 1.0) * (_STRIP - 3)
        xs = [self.x_of(power.start + (n + 0.5) * power.step) for n in known]
        points = [QPointF(x, bottom - h) for x, h in zip(xs, high, strict=True)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPolygon(QPolygonF([QPointF(xs[0], bottom), *points, QPointF(xs[-1], bottom + 0.5)]))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _marks(self, painter: QPainter) -> None:
        """Annotations in their lane; what is bad through all of it."""
        for mark in self.marks:
            left, right = self.x_of(mark.start), self.x_of(mark.stop)
            color = QColor(self.colors.readable(mark.color, 3.0))
            painter.fillRect(QRectF(left, 1, max(2.0, right - left), _LANE - 2), color)
            if mark.label.upper().startswith("BAD"):
                color.setAlpha(70)
                painter.fillRect(QRectF(left, _LANE, max(2.0, right - left), self.height() - _LANE), color)

    # --- mouse and keys

    def _want(self, start: float, stop: float) -> None:
        low, high = self.extent
        width = min(stop - start, high - low)
        start = min(max(start, low), high - width)
        self.wanted.emit(start, start + width)

    def mousePressEvent(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        x, frame = event.position().x(), self.frame
        start, stop = self.span
        if frame.width() > 4 * _EDGE and abs(x - frame.left()) <= _EDGE:
            self._drag = ("start", start - self.time_at(x))
        elif frame.width() > 4 * _EDGE and abs(x - frame.right()) <= _EDGE:
            self._drag = ("stop", stop - self.time_at(x))
        elif frame.left() <= x <= frame.right():
            self._drag = ("all", start - self.time_at(x))
        else:
            half = (stop - start) / 2
            self._want(self.time_at(x) - half, self.time_at(x) + half)
            self._drag = ("all", self.span[0] - self.time_at(x))

    def mouseMoveEvent(self, event: Any) -> None:
        x = event.position().x()
        if self._drag is None:
            frame = self.frame
            edge = frame.width() > 4 * _EDGE and min(abs(x - frame.left()), abs(x - frame.right())) <= _EDGE
            inside = frame.left() <= x <= frame.right()
            shapes = Qt.CursorShape
            self.setCursor(shapes.SizeHorCursor if edge else shapes.OpenHandCursor if inside else shapes.ArrowCursor)
            self._tell_value(event)
            return
        what, offset = self._drag
        start, stop = self.span
        at = self.time_at(x) + offset
        if what == "all":
            self._want(at, at + stop - start)
        elif what == "start":
            self._want(min(at, stop - 1e-3), stop)
        else:
            self._want(start, max(at, start + 1e-3))

    def mouseReleaseEvent(self, _event: Any) -> None:
        self._drag = None

    def _tell_value(self, event: Any) -> None:
        """When and how much, below the mouse."""
        at = self.time_at(event.position().x())
        low, high = self.extent
        values = [(p, p.at(at)) for p in self.powers]
        known = [f"{p.title} {number(v)} {p.unit}".rstrip() for p, v in values if v is not None]
        if low <= at <= high and known:
            text = plain_tip(f"{at:.2f} s, global field power: {', '.join(known)}")
            QToolTip.showText(event.globalPosition().toPoint(), text, self)

    def wheelEvent(self, event: Any) -> None:
        """Zoom around the mouse; with Shift, or sideways, move."""
        delta = event.angleDelta()
        turns = (delta.y() or delta.x()) / 120
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier or not delta.y():
            self._move(-turns / 4)
        else:
            self._zoom(0.8**turns, self.time_at(event.position().x()))
        event.accept()

    def _move(self, share: float) -> None:
        start, stop = self.span
        self._want(start + share * (stop - start), stop + share * (stop - start))

    def _zoom(self, factor: float, around: float) -> None:
        start, stop = self.span
        around = min(max(around, start), stop)
        self._want(around - (around - start) * factor, around + (stop - around) * factor)

    def keyPressEvent(self, event: Any) -> None:
        keys, (start, stop), (low, high) = Qt.Key, self.span, self.extent
        width, middle = stop - start, (start + stop) / 2
        steps = {keys.Key_Left: -0.25, keys.Key_Right: 0.25, keys.Key_PageUp: -1.0, keys.Key_PageDown: 1.0}
        if event.key() in steps:
            self._move(steps[event.key()])
        elif event.key() == keys.Key_Home:
            self._want(low, low + width)
        elif event.key() == keys.Key_End:
            self._want(high - width, high)
        elif event.key() in (keys.Key_Plus, keys.Key_Equal, keys.Key_Up):
            self._zoom(0.8, middle)
        elif event.key() in (keys.Key_Minus, keys.Key_Down):
            self._zoom(1.25, middle)
        else:
            super().keyPressEvent(event)
