"""Where a tool stands in the window: beside the canvas where there is room, else as a tab of napari's own column.

napari's layer controls and a tool on the right would leave a canvas of 200 pixels in a window of 1000.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from workbench_napari.shared.memory import forget, keep, recall
from workbench_napari.shared.window import main_window

WIDTH = 380
"""Pixels of a tool where there is room for them."""
_LEAST_SHARE = 0.4
"""Of the window's width that the canvas must keep."""
_LOW = 620
"""In a window less high the layer list becomes a tab as well."""
_EDGES = 24


class ToolPlace(QObject):
    """Keeps a tool where the canvas has room enough, until a person moves the tool.

    Parameters
    ----------
    tool
        The widget in the dock.
    viewer
        Its viewer.
    """

    def __init__(self, tool: QWidget, viewer: Any) -> None:
        super().__init__(tool)
        self._tool, self._viewer = tool, viewer
        # Weak: a window that is closed must go with all that it holds.
        self._window_ref: Callable[[], QMainWindow | None] = lambda: None
        self._dock_ref: Callable[[], QDockWidget | None] = lambda: None
        self._is_mine = True
        self._is_moving = False
        self._was_arranged = False
        self._before: QSize | None = None
        self._grown: QSize | None = None
        self.is_tab = False
        """Whether the tool is a tab of the left column because of the width of the window."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._arrange)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._as_before)

    @property
    def _window(self) -> QMainWindow | None:
        return self._window_ref()

    @property
    def _dock(self) -> QDockWidget | None:
        return self._dock_ref()

    def docked(self, dock: QDockWidget) -> None:
        """The tool was put into a dock."""
        if dock is self._dock:
            return
        self._dock_ref = weakref.ref(dock)
        window = main_window(self._viewer)
        if window is not None:
            self._window_ref = weakref.ref(window)
        dock.topLevelChanged.connect(self._on_person)
        dock.dockLocationChanged.connect(self._on_person)
        if self._window is not None:
            self._window.installEventFilter(self)
        # napari puts the dock in its place after it has filled it.
        self._before = None if self._window is None else self._window.size()
        self._timer.start(0)

    def let_go(self) -> None:
        """Follow the window no longer."""
        self._timer.stop()
        self._again.stop()
        if self._window is not None:
            self._window.removeEventFilter(self)
        self._dock_ref = self._window_ref = lambda: None

    def eventFilter(self, watched: Any, event: Any) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self._window:
            self._timer.start(50)
        return False

    def _on_person(self, _where: Any = None) -> None:
        """Moved by hand: it stays where it was put, also at the next start."""
        window, dock = self._window, self._dock
        if window is None or dock is None:
            return
        if self._is_moving or self._timer.isActive():
            if self._is_mine and self._was_arranged:
                default_area(dock, "right")
            return
        self._is_mine = False
        if window.dockWidgetArea(dock) == Qt.DockWidgetArea.RightDockWidgetArea:
            forget(self._key)
        else:
            keep(self._key, "yes")

    @property
    def _key(self) -> str:
        """Where it is kept that a person wants the tool elsewhere."""
        return f"place/{type(self._tool).__name__}/by_hand"

    def _begin(self, window: QMainWindow, dock: QDockWidget) -> None:
        """Where napari put the tool; elsewhere than on the right only if a person once did so.

        napari takes also our own way to the left column for a wish, and would begin there in a wide window.
        """
        self._was_arranged = True
        if window.dockWidgetArea(dock) == Qt.DockWidgetArea.RightDockWidgetArea:
            return
        if recall(self._key):
            self._is_mine = False
            return
        self._is_moving = True
        try:
            window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        finally:
            self._is_moving = False
        default_area(dock, "right")

    def _arrange(self) -> None:
        window, dock = self._window, self._dock
        if window is None or dock is None or not self._is_mine or dock.isFloating():
            return
        if not self._was_arranged:
            self._begin(window, dock)
            if not self._is_mine:
                return
        beside = [d for d in napari_docks(self._viewer) if d.isVisible() or d in window.tabifiedDockWidgets(dock)]
        left = max((max(d.minimumSizeHint().width(), d.minimumWidth()) for d in beside), default=0)
        least = window.width() - left - self._tool.minimumWidth() - 2 * _EDGES
        as_tab = bool(beside) and least < _LEAST_SHARE * window.width()
        right = window.dockWidgetArea(dock) == Qt.DockWidgetArea.RightDockWidgetArea
        self._is_moving = True
        try:
            if as_tab and not self.is_tab and right:
                self._to_tab(window, dock, beside)
            elif not as_tab and self.is_tab:
                window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
                self.is_tab, right = False, True
            if not as_tab and right:
                width = min(WIDTH, max(self._tool.minimumWidth(), window.width() // 2 - left - 3 * _EDGES))
                width = max(width, self._tool.minimumWidth())
                window.resizeDocks([*beside[:1], dock], [*[left] * bool(beside), width], Qt.Orientation.Horizontal)
        finally:
            self._is_moving = False
        if self._before is not None:
            # The layout must have settled first.
            self._grown = window.size()
            self._again.start(0)

    def _as_before(self) -> None:
        """On the right, for a moment, the tool may have made the window wider than it was."""
        if self._window is not None and self._before is not None and self._window.size() == self._grown:
            self._window.resize(self._before)
        self._before = None

    def _to_tab(self, window: QMainWindow, dock: QDockWidget, beside: list[QDockWidget]) -> None:
        window.tabifyDockWidget(beside[0], dock)
        if window.height() < _LOW:
            for other in beside[1:]:
                window.tabifyDockWidget(beside[0], other)
        dock.show()
        dock.raise_()
        default_area(dock, "right")
        others = [d for d in beside[1:] if d not in window.tabifiedDockWidgets(dock)]
        if others:
            low = others[0].minimumSizeHint().height()
            heights = [window.height() - low, low]
            window.resizeDocks([dock, others[0]], heights, Qt.Orientation.Vertical)
        self.is_tab = True


def default_area(dock: Any, area: str) -> None:
    """Where napari is to put this tool at its next start."""
    from napari.settings import get_settings

    positions = getattr(get_settings().application, "plugin_widget_positions", None)
    name = getattr(dock, "name", "")
    if positions is not None and positions.get(name, "right") != area:
        positions[name] = area


def napari_docks(viewer: Any) -> list[QDockWidget]:
    """napari's own docks beside the canvas: layer controls and layer list."""
    found = getattr(viewer.window, "_qt_viewer", None)
    names = ("dockLayerControls", "dockLayerList")
    docks = (getattr(found, name, None) for name in names)
    return [dock for dock in docks if isinstance(dock, QDockWidget)]
