"""The mouse of a person on the canvas of napari: events of the window system, with all that Qt makes of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def canvas_of(viewer: Any) -> Any:
    """The widget that is drawn on."""
    return viewer.window._qt_viewer.canvas.native


def drag(viewer: Any, *places: tuple[float, float], steps: int = 6) -> None:
    """Press at the first place (pixels of the canvas), move through the others, and release at the last."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    canvas = canvas_of(viewer)
    # Events for the window, not the widget: only then Qt itself knows that a button is down.
    window = canvas.window().windowHandle()
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier

    def at(place: tuple[float, float]) -> Any:
        return canvas.mapTo(canvas.window(), QPoint(round(place[0]), round(place[1])))

    QTest.mouseMove(window, at(places[0]))
    QTest.mousePress(window, left, none, at(places[0]))
    for (x0, y0), (x1, y1) in pairwise(places):
        for n in range(1, steps + 1):
            QTest.mouseMove(window, at((x0 + (x1 - x0) * n / steps, y0 + (y1 - y0) * n / steps)))
            QApplication.processEvents()
    QTest.mouseRelease(window, left, none, at(places[-1]))
    QApplication.processEvents()


def pause(seconds: float) -> None:
    """Let Qt work for a while; unlike the `QTest.qWait` that vispy makes for PySide6, without taking the processor."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def at_rest(viewer: Any, seconds: float = 0.4) -> None:
    """Let Qt work until the canvas has kept its size for a while: docks make room one after the other."""
    import time

    canvas, end = canvas_of(viewer), time.monotonic() + 30
    size, since = None, time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < seconds:
        pause(0.02)
        if canvas.size() != size:
            size, since = canvas.size(), time.monotonic()


def canvas_place(viewer: Any, layer: Any, index: Any) -> tuple[float, float]:
    """Where on the canvas a place of a layer lies that is shown in 2-D."""
    from workbench_napari.shared.views import camera_of

    camera, canvas = camera_of(viewer), canvas_of(viewer)
    world = layer.data_to_world(index)
    y, x = (world[axis] for axis in viewer.dims.displayed)
    centre_y, centre_x = camera.center[-2:]
    return (x - centre_x) * camera.zoom + canvas.width() / 2, (y - centre_y) * camera.zoom + canvas.height() / 2
