"""A person at the mouse who knows no name of ours: finds what is written on the screen, scrolls to it, clicks it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from real_window import settle


class Person:
    """Clicks, drags, scrolls and keys in a napari window, and their number.

    Parameters
    ----------
    viewer
        A viewer with a shown window.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer, self.window = viewer, viewer.window._qt_window
        self.clicks = self.keys = self.drags = self.scrolls = 0
        self.path: list[str] = []
        self._began = time.perf_counter()

    def report(self) -> dict[str, Any]:
        """What it took so far."""
        seconds = time.perf_counter() - self._began
        return {
            "clicks": self.clicks, "keys": self.keys, "drags": self.drags, "scrolls": self.scrolls,
            "seconds": round(seconds, 1), "path": " > ".join(self.path),
        }  # fmt: skip

    # --- what is seen

    def button(self, text: str) -> Any:
        """The visible button with that text, or with that tool tip; ``None`` if there is none."""
        from qtpy.QtWidgets import QAbstractButton

        seen = [b for b in self.window.findChildren(QAbstractButton) if b.isVisible()]
        exact = [b for b in seen if b.text().replace("&", "") == text]
        told = [b for b in seen if text.startswith("tip:") and text[4:].lower() in b.toolTip().lower()]
        told = [b for b in told if not b.visibleRegion().isEmpty()]
        found = [b for b in exact or told if b.isEnabled()] or exact or told
        return found[0] if found else None

    def is_ready(self, text: str) -> bool:
        """Whether a button of that text can be pressed."""
        found = self.button(text)
        return found is not None and found.isEnabled()

    def wait(self, done: Callable[[], bool], seconds: float = 3600.0) -> None:
        """Wait as long as it takes."""
        settle(done, seconds)
        assert done(), f"waited {seconds} s in vain after {self.path}"
        settle(lambda: False, 0.3)

    # --- what is done

    def press(self, text: str, page: str = "") -> None:
        """Click a button; where it is not on the screen, turn to the page first."""
        if self.button(text) is None and page:
            self._tab(page)
        found = self.button(text)
        assert found is not None, f"no button '{text}' on the screen after {self.path}"
        self.wait(lambda: self.is_ready(text), 120)
        found = self.button(text)
        self._scroll_to(found)
        self._click(found, found.rect().center())
        self.path.append(text)

    def _tab(self, title: str) -> None:
        from qtpy.QtWidgets import QTabBar

        for bar in self.window.findChildren(QTabBar):
            for n in range(bar.count() if bar.isVisible() else 0):
                if bar.tabText(n) == title:
                    self._scroll_to(bar)
                    self._click(bar, bar.tabRect(n).center())
                    self.path.append(f"[{title}]")
                    return

    def choose_layer(self, layer: Any) -> None:
        """Click the name of a layer in napari's list."""
        from qtpy.QtWidgets import QListView

        for view in self.window.findChildren(QListView):
            if not view.isVisible() or type(view).__name__ != "QtLayerList":
                continue
            model = view.model()
            for row in range(model.rowCount()):
                index = model.index(row, 0)
                if model.data(index) == layer.name:
                    view.scrollTo(index)
                    self._click(view.viewport(), view.visualRect(index).center())
                    self.path.append("layer list")
                    return
        raise AssertionError(f"'{layer.name}' is not in the list of layers on the screen")

    def paint_tool(self) -> None:
        """Take the brush of napari, by its button, or with its key where that is not on the screen."""
        if self.viewer.layers.selection.active.mode == "paint":
            return
        if self.button("tip:paint") is not None and type(self.button("tip:paint")).__name__ == "QtModeRadioButton":
            self.press("tip:paint")
            self.path[-1] = "brush"
        else:
            self._click(self.canvas, self.canvas.rect().center())
            self._key("2")
        self.wait(lambda: str(self.viewer.layers.selection.active.mode) == "paint", 10)

    def _key(self, text: str) -> None:
        from qtpy.QtTest import QTest

        QTest.keyClicks(self.canvas, text)
        self.keys += 1
        self.path.append(f"key {text}")

    @property
    def canvas(self) -> Any:
        return self.viewer.window._qt_viewer.canvas.native

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw on the canvas, from one place (pixels) to another."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        handle = self.canvas.window().windowHandle()
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        places = [np.array(start) + (np.array(end) - np.array(start)) * n / 8 for n in range(9)]
        points = [self.canvas.mapTo(self.canvas.window(), QPoint(round(x), round(y))) for x, y in places]
        QTest.mouseMove(handle, points[0])
        settle(lambda: False, 0.05)
        QTest.mousePress(handle, left, none, points[0])
        for point in points[1:]:
            QTest.mouseMove(handle, point)
            settle(lambda: False, 0.02)
        QTest.mouseRelease(handle, left, none, points[-1])
        settle(lambda: False, 0.3)
        self.drags += 1
        self.path.append("drag")

    def place(self, layer: Any, index: Any) -> tuple[float, float]:
        """Where a place of a layer lies on the canvas in 2-D."""
        scene = getattr(self.viewer, "scene", None)
        camera = self.viewer.camera if scene is None else scene.camera
        world = np.array(layer.data_to_world(index))[-self.viewer.dims.ndim :]
        y, x = (world[axis - self.viewer.dims.ndim] for axis in self.viewer.dims.displayed)
        up = -1 if "up" in str(getattr(camera, "orientation", ("", "down"))[1]) else 1
        height, width = self.canvas.height(), self.canvas.width()
        cy, cx = camera.center[-2:]
        return (x - cx) * camera.zoom + width / 2, up * (y - cy) * camera.zoom + height / 2

    def _scroll_to(self, widget: Any) -> None:
        from qtpy.QtCore import QPoint, QPointF, Qt
        from qtpy.QtGui import QWheelEvent
        from qtpy.QtWidgets import QApplication, QScrollArea

        def seen() -> bool:
            return bool(widget.visibleRegion().contains(widget.rect().center()))

        above = widget.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if seen() or above is None:
            return
        self.scrolls += 1
        self.path.append("scroll")
        port = above.viewport()
        middle = QPointF(port.rect().center())
        down = widget.mapTo(port, widget.rect().center()).y() > port.height() / 2
        for _ in range(60):
            if seen():
                break
            where = QPointF(port.mapToGlobal(port.rect().center()))
            event = QWheelEvent(
                middle, where, QPoint(0, 0), QPoint(0, -120 if down else 120), Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
            )  # fmt: skip
            QApplication.sendEvent(port, event)
            settle(lambda: False, 0.02)
        assert seen(), f"'{widget}' cannot be scrolled to"

    def _click(self, widget: Any, at: Any) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        top = widget.window()
        place = widget.mapTo(top, at)
        hit = top.childAt(place)
        fits = hit is widget or (hit is not None and (widget.isAncestorOf(hit) or hit.isAncestorOf(widget)))
        assert fits, f"{hit} covers {widget} after {self.path}"
        QTest.mouseMove(top.windowHandle(), place)
        QTest.mouseClick(top.windowHandle(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        self.clicks += 1
        settle(lambda: False, 0.1)
