"""Tiles as dots of a plane, in the colours of their clusters, to be chosen by a click, a box or a lasso."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QImage, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.theme import Colors
from workbench_napari.slide.scatter_image import drawn, inside, nearest, radius_of

_HEIGHT = 200
_MARGINS = np.array([14, 24])
"""Pixels beside the dots, and above and below them, where the axes are named."""
_CLICK, _REACH = 4, 9
"""Pixels that a click may move, and that a dot may be away from it."""
_ZOOM, _MOST_ZOOM = 1.25, 200.0
_TIP = (
    "Click a dot, or drag a box over dots (with Shift: a lasso) to mark their tiles on the slide; Ctrl adds to what is "
    "chosen. Wheel: zoom. Right button: move. Double click, Home: all. Escape: none"
)


class TileScatter(QWidget):
    """Draws what it is told, and tells which dots people choose.

    Signals
    -------
    picked
        Numbers of the dots that are chosen now.
    """

    picked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.colors = Colors()
        self.axes: tuple[str, str] = ("", "")
        self.describe: Callable[[int], str] = str
        """What a dot is, in words."""
        self._points = np.zeros((0, 2))
        self._dots = np.zeros((0, 3), np.uint8)
        self._labels = np.zeros(0, np.int64)
        self._seen = self._chosen = np.zeros(0, bool)
        self._zoom, self._middle = 1.0, np.zeros(2)
        self._drag: list[QPointF] = []
        self._lasso = False
        self._moved_from: QPointF | None = None
        self._picture: QImage | None = None
        self._pixels: npt.NDArray[np.uint32] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.setAccessibleName("Tiles as dots, in the colours of their clusters")
        self.setToolTip(plain_tip(_TIP))

    def sizeHint(self) -> QSize:
        return QSize(280, _HEIGHT)

    # --- what is shown

    def show_tiles(
        self, points: npt.ArrayLike, labels: npt.ArrayLike, colors: npt.ArrayLike, axes: tuple[str, str]
    ) -> None:
        """Show other tiles.

        Parameters
        ----------
        points
            ``(N, 2)``, any unit.
        labels, colors
            ``(N,)`` from 1, and the colour ``(K, 3)`` of each label.
        axes
            What stands beside the axes.
        """
        self._points = np.asarray(points, np.float64)
        self._labels = np.asarray(labels, np.int64)
        self._dots = np.asarray(colors, np.uint8)[self._labels - 1]
        self._seen, self._chosen = np.ones(len(self._points), bool), np.zeros(len(self._points), bool)
        self.axes = axes
        self.show_all()

    def show_all(self) -> None:
        """All dots are in sight."""
        self._zoom = 1.0
        if len(self._points):
            self._middle = (self._points.min(0) + self._points.max(0)) / 2
        self._draw_anew()

    @property
    def chosen(self) -> npt.NDArray[np.int64]:
        """Numbers of the dots that are chosen."""
        return np.flatnonzero(self._chosen)

    def choose(self, numbers: Iterable[int] | npt.NDArray[Any], *, more: bool = False) -> None:
        """Choose these dots, as far as they are seen; `more` keeps those that were chosen."""
        now = self._chosen.copy() if more else np.zeros(len(self._points), bool)
        now[np.asarray(numbers, np.int64)] = True
        now &= self._seen
        if (now != self._chosen).any():
            self._chosen = now
            self._draw_anew()

    def hide_labels(self, labels: Iterable[int]) -> None:
        """Draw no dots of these clusters; none of them stays chosen."""
        self._seen = ~np.isin(self._labels, list(labels))
        self._chosen = self._chosen & self._seen
        self._draw_anew()

    def use_colors(self, colors: Colors) -> None:
        """Draw in these colours from now on."""
        self.colors = colors
        self._draw_anew()

    def _draw_anew(self) -> None:
        self._picture = None
        number = int(self._chosen.sum())
        self.setAccessibleDescription(f"{int(self._seen.sum()):,} tiles, {number:,} of them chosen")
        self.update()

    # --- places

    @property
    def _scale(self) -> npt.NDArray[np.float64]:
        """Pixels of the window for a unit along both axes: the dots fill it, whatever their spread along each."""
        if not len(self._points):
            return np.ones(2)
        extent = np.maximum(np.ptp(self._points, axis=0), 1e-9)
        room = np.array([self.width(), self.height()]) - 2 * _MARGINS
        found: npt.NDArray[np.float64] = np.maximum(room, 10) / extent * self._zoom
        return found

    def places(self) -> npt.NDArray[np.float64]:
        """Where each dot lies in the widget ``(N, 2)``."""
        away = (self._points - self._middle) * self._scale * (1, -1)
        found: npt.NDArray[np.float64] = away + np.array([self.width() / 2, self.height() / 2])
        return found

    # --- drawing

    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        if self._picture is None:
            self._picture = self._drawn()
        painter.drawImage(QPointF(0, 0), self._picture)
        self._write_axes(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if len(self._drag) > 1:
            fill = QColor(self.colors.cursor)
            fill.setAlpha(40)
            painter.setPen(QPen(QColor(self.colors.cursor), 1.5))
            painter.setBrush(fill)
            painter.drawPolygon(QPolygonF(self._line()))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self.colors.text if self.hasFocus() else self.colors.line), 1))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def _drawn(self) -> QImage:
        ratio = self.devicePixelRatioF()
        shape = max(1, round(self.height() * ratio)), max(1, round(self.width() * ratio))
        back, ring = (QColor(c).getRgb()[:3] for c in (self.colors.panel, self.colors.text))
        self._pixels = drawn(
            self.places() * ratio, self._dots, shape, back=back, ring=ring,
            radius=radius_of(len(self._points), ratio), seen=self._seen, chosen=self._chosen,
        )  # fmt: skip
        image = QImage(self._pixels.data, shape[1], shape[0], 4 * shape[1], QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(ratio)
        return image

    def _write_axes(self, painter: QPainter) -> None:
        font = QFont(self.font())
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(self.colors.quiet))
        room = self.rect().adjusted(6, 3, -6, -3)
        across, up = self.axes
        painter.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, across)
        painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, up)

    def resizeEvent(self, event: Any) -> None:
        self._picture = None
        super().resizeEvent(event)

    # --- mouse and keys

    def _line(self) -> list[QPointF]:
        """The box or the lasso that is being drawn."""
        first, last = self._drag[0], self._drag[-1]
        if self._lasso:
            return self._drag
        return [first, QPointF(last.x(), first.y()), last, QPointF(first.x(), last.y())]

    def mousePressEvent(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._drag = [event.position()]
            self._lasso = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        elif event.button() in (Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton):
            self._moved_from = event.position()

    def mouseMoveEvent(self, event: Any) -> None:
        at = event.position()
        if self._moved_from is not None:
            step = at - self._moved_from
            self._middle = self._middle - np.array([step.x(), -step.y()]) / self._scale
            self._moved_from = at
            self._draw_anew()
        elif self._drag and (len(self._drag) > 1 or (at - self._drag[0]).manhattanLength() > _CLICK):
            self._drag.append(at)
            self.update()

    def mouseReleaseEvent(self, event: Any) -> None:
        self._moved_from = None
        if event.button() != Qt.MouseButton.LeftButton or not self._drag:
            return
        more = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if len(self._drag) > 1:
            line = np.array([(p.x(), p.y()) for p in self._line()])
            found = np.flatnonzero(inside(self.places(), line) & self._seen)
        else:
            at = self._drag[0]
            one = nearest(self.places(), self._seen, (at.x(), at.y()), _REACH)
            found = np.array([] if one is None else [one], np.int64)
        self._drag = []
        self.choose(found, more=more)
        self.update()
        self.picked.emit(self.chosen)

    def mouseDoubleClickEvent(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.show_all()

    def wheelEvent(self, event: Any) -> None:
        """Zoom around the mouse."""
        turns = event.angleDelta().y() / 120
        at = np.array([event.position().x() - self.width() / 2, self.height() / 2 - event.position().y()])
        before = self._scale
        self._zoom = float(np.clip(self._zoom * _ZOOM**turns, 1.0, _MOST_ZOOM))
        self._middle = self._middle + at / before - at / self._scale
        self._draw_anew()
        event.accept()

    def keyPressEvent(self, event: Any) -> None:
        if event.key() == Qt.Key.Key_Escape and self._chosen.any():
            self.choose([])
            self.picked.emit(self.chosen)
        elif event.key() == Qt.Key.Key_Home:
            self.show_all()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: Any) -> None:
        self.update()
        super().focusInEvent(event)

    def focusOutEvent(self, event: Any) -> None:
        self.update()
        super().focusOutEvent(event)

    def event(self, event: Any) -> bool:
        if event.type() == QEvent.Type.ToolTip and len(self._points):
            one = nearest(self.places(), self._seen, (event.pos().x(), event.pos().y()), _REACH)
            if one is not None:
                QToolTip.showText(event.globalPos(), plain_tip(self.describe(one)), self)
                return True
        return bool(super().event(event))
