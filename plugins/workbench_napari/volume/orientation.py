"""The letters on the canvas that say which way the patient lies, in 2-D and 3-D: left, right, front, back, ..."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter
from qtpy.QtWidgets import QWidget

from workbench.core.errors import WorkbenchError
from workbench.volume import Below, geometry_from_layer, letters, screen_direction, taken
from workbench_napari.shared.views import camera_of, canvas_of
from workbench_napari.volume.drawing import below
from workbench_napari.volume.orientation_cube import OrientationCube, places_of

_EDGES = ("left", "right", "top", "bottom")
_BACK, _TEXT = QColor(20, 22, 26, 190), QColor(245, 246, 248)
_MARGIN, _PAD = 6, 4


class OrientationLetters(QWidget):
    """Draws a letter in a small box at each edge of the canvas; the mouse goes through.

    The boxes are dark with light letters in both themes: images below them are of any brightness.
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.shown: dict[str, str] = {}
        self.setGeometry(canvas.rect())
        canvas.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and isinstance(watched, QWidget):
            self.setGeometry(watched.rect())
        return False

    def show_letters(self, shown: dict[str, str]) -> None:
        """Show these letters by edge (left, right, top, bottom), or none."""
        if shown != self.shown:
            self.shown = shown
            self.setAccessibleName(", ".join(f"{edge}: {text}" for edge, text in shown.items()))
            self.update()
        self.setVisible(bool(shown))
        self.raise_()

    def paintEvent(self, _event: Any) -> None:
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
        font = QFont(self.font())
        font.setPixelSize(15)
        font.setBold(True)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        height = metrics.height() + _PAD
        for edge, text in self.shown.items():
            width = max(metrics.horizontalAdvance(text) + 2 * _PAD, height)
            x, y = (self.width() - width) / 2, (self.height() - height) / 2
            x = {"left": _MARGIN, "right": self.width() - width - _MARGIN}.get(edge, x)
            y = {"top": _MARGIN, "bottom": self.height() - height - _MARGIN}.get(edge, y)
            box = QRectF(x, y, width, height)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(_BACK)
            painter.drawRoundedRect(box, 3, 3)
            painter.setPen(_TEXT)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


class Orientation(QObject):
    """Keeps the letters true to the volume that is chosen and to how the viewer shows it."""

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image: Any = None
        canvas = canvas_of(viewer)
        self.letters, self.cube = OrientationLetters(canvas), OrientationCube(canvas)
        self._space: tuple[tuple[int, ...], str] | None = None

    def follow(self, image: Any) -> None:
        """Another volume may be chosen."""
        self._image = image
        self.look()

    def look(self, _event: Any = None) -> None:
        """The view, or the volume, may be turned another way."""
        self.letters.show_letters(letters_of(self._viewer, self._image))
        self._space = space_of(self._viewer, self._image)
        self.turn()

    def turn(self, _event: Any = None) -> None:
        """The camera may have been turned: nothing is asked of the layer, this happens many times a second."""
        if self._space is None:
            self.cube.show_places({})
        else:
            self.cube.show_places(places_of(camera_of(self._viewer), self._space[0]), self._space[1])

    def close(self) -> None:
        """Take the letters away."""
        self._image = None
        for drawn in (self.letters, self.cube):
            drawn.hide()
            drawn.setParent(None)
            drawn.deleteLater()


def letters_of(viewer: Any, image: Any) -> dict[str, str]:
    """The letter of each edge of the view; none in 3-D and for a volume that says nothing about where it lies.

    A question mark says that the orientation was assumed because nothing tells.
    """
    dims = viewer.dims
    if image is None or image not in viewer.layers or not image.visible or dims.ndisplay != 2 or dims.ndim < 3:
        return {}
    shown = (dims.order[-2] - (dims.ndim - 3), dims.order[-1] - (dims.ndim - 3))
    if min(shown) < 0:
        return {}
    layer = below(image)
    try:
        geometry, _, _ = geometry_from_layer(layer.shape, layer.attributes)
    except WorkbenchError:
        return {}
    if geometry.affine is None:
        return {}
    doubt = doubt_of(layer)
    _, vertical, horizontal = (str(getattr(o, "value", o)) for o in camera_of(viewer).orientation)
    down = screen_direction(layer.shape, layer.attributes, shown, 0) * (1 if vertical == "down" else -1)
    right = screen_direction(layer.shape, layer.attributes, shown, 1) * (1 if horizontal == "right" else -1)
    directions = dict(zip(_EDGES, (-right, right, -down, down), strict=True))
    return {edge: letters(direction) + doubt for edge, direction in directions.items()}


def space_of(viewer: Any, image: Any) -> tuple[tuple[int, ...], str] | None:
    """World axes (0: S, 1: P, 2: L) that are shown in 3-D, and the sign of doubt; ``None`` for no letters."""
    dims = viewer.dims
    if image is None or image not in viewer.layers or not image.visible or dims.ndisplay != 3 or dims.ndim < 3:
        return None
    shown = tuple(int(a) - (dims.ndim - 3) for a in dims.order[-3:])
    layer = below(image)
    try:
        geometry, _, _ = geometry_from_layer(layer.shape, layer.attributes)
    except WorkbenchError:
        return None
    return None if min(shown) < 0 or geometry.affine is None else (shown, doubt_of(layer))


def doubt_of(layer: Below) -> str:
    """A question mark where the orientation was assumed, and nobody has set it."""
    found = taken(layer.shape, layer.attributes)
    return "?" if found is not None and not found.is_set else ""
