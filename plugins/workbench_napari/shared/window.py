"""The viewer and the main window behind what napari hands to a dock widget."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QApplication, QMainWindow


def unwrap(viewer: Any) -> Any:
    """The viewer itself: napari gives dock widgets a proxy, a new one each time, which hides identity."""
    return getattr(viewer, "__wrapped__", viewer)


def main_window(viewer: Any) -> QMainWindow | None:
    """The Qt main window of a viewer; things that must end with the window are made its children."""
    window = getattr(unwrap(viewer).window, "_qt_window", None)
    if isinstance(window, QMainWindow):
        return window
    # napari has announced to hide that attribute one day: its window is then the top-level one.
    return next((w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow)), None)
