"""Six letters that follow the camera in 3-D: which way head, feet, front, back, left and right lie on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPen
from qtpy.QtWidgets import QWidget

Vector = npt.NDArray[np.float64]

LETTERS = ("HF", "PA", "LR")
"""Ends of the world axes (S, P, L): the growing one first."""
SIZE, REACH, BOX, MARGIN = 112, 40.0, 19.0, 6
BACK = QColor(20, 22, 26, 215)
NEAR, FAR = QColor(245, 246, 248), QColor(168, 172, 178)
"""Letters on `BACK`, which lies below them in both themes: images and canvas are of any brightness."""


class OrientationCube(QWidget):
    """Draws a small cross of axes in the lower left corner of the canvas; the mouse goes through."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.resize(SIZE, SIZE)
        self.places: dict[str, tuple[float, float, float]] = {}
        self._canvas, self._doubt = canvas, ""
        canvas.installEventFilter(self)
        self._put()
        self.hide()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize:
            self._put()
        return False

    def _put(self) -> None:
        self.move(MARGIN, self._canvas.height() - SIZE - MARGIN)

    def show_places(self, places: dict[str, tuple[float, float, float]], doubt: str = "") -> None:
        """Show letters where they lie (right, down, away from the person; unit length), or none.

        Only what would look different is drawn anew.
        """
        places = {k: (round(x, 2), round(y, 2), round(z, 2)) for k, (x, y, z) in places.items()}
        if (places, doubt) != (self.places, self._doubt):
            self.places, self._doubt = places, doubt
            self.setAccessibleName(", ".join(f"{where_of(at)}: {key}{doubt}" for key, at in places.items()))
            self.update()
        if bool(places) == self.isHidden():
            self.setVisible(bool(places))
            self.raise_()

    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
        font = QFont(self.font())
        font.setPixelSize(12)
        font.setBold(True)
        painter.setFont(font)
        middle = QPointF(SIZE / 2, SIZE / 2)
        # What is far is drawn first, so that what is near covers it.
        for letter, (x, y, away) in sorted(self.places.items(), key=lambda item: -item[1][2]):
            at = QPointF(SIZE / 2 + x * REACH, SIZE / 2 + y * REACH)
            ink = NEAR if away <= 0 else FAR
            for color, width in ((BACK, 4.0), (ink, 1.6)):
                painter.setPen(QPen(color, width))
                painter.drawLine(middle, at)
            box = QRectF(at.x() - BOX / 2, at.y() - BOX / 2, BOX, BOX)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(BACK.red(), BACK.green(), BACK.blue()))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(ink)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, letter + self._doubt)


def places_of(camera: Any, shown: Sequence[int]) -> dict[str, tuple[float, float, float]]:
    """Where the letters lie for a camera: right, down and away, each from -1 to 1.

    Parameters
    ----------
    shown
        The world axes (0: S, 1: P, 2: L) that the three axes of the camera are.
    """
    view, up = _unit(camera.view_direction), _unit(camera.up_direction)
    # What runs away, down and to the right is a left-handed world in the order of the axes; each turned one mirrors it.
    ways = tuple(str(getattr(o, "value", o)) for o in camera.orientation)
    mirrored = sum(a != b for a, b in zip(ways, ("away", "down", "right"), strict=True)) % 2
    right = np.cross(up, view) * (-1 if mirrored else 1)
    found = {}
    for axis, world in enumerate(shown):
        at = (float(right[axis]), float(-up[axis]), float(view[axis]))
        for letter, sign in zip(LETTERS[world], (1.0, -1.0), strict=True):
            found[letter] = (sign * at[0], sign * at[1], sign * at[2])
    return found


def where_of(place: tuple[float, float, float]) -> str:
    """The side of the screen that a letter lies on mostly, in a word."""
    words = (("right", "left"), ("bottom", "top"), ("behind", "in front"))
    main = int(np.argmax(np.abs(place)))
    return words[main][0 if place[main] > 0 else 1]


def _unit(vector: Any) -> Vector:
    found = np.asarray(vector, dtype=np.float64)
    return np.asarray(found / (np.linalg.norm(found) or 1.0), dtype=np.float64)
