"""The viewer and the main window behind what napari hands to a dock widget."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
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


def announce(viewer: Any, title: str, cancel: Callable[[], None]) -> Callable[[], None]:
    """Tell a viewer's window of a job, so that it asks before it is closed; returns what takes that back.

    Only this window is told: the registry of napari's own workers would stop a job when any other window closes.
    """
    window = getattr(viewer, "window", None)
    register, update = getattr(window, "_register_task_status", None), getattr(window, "_update_task_status", None)
    if register is None or update is None:
        return _nothing
    try:
        from napari.utils.task_status import Status

        stop = weakref.WeakMethod(cancel)  # napari keeps its list as long as the window lives
        number = register("napari-workbench", Status.BUSY, title, cancel_callback=lambda: (stop() or _nothing)())
    except (ImportError, TypeError):  # another version of napari: nothing asks there
        return _nothing
    return partial(_take_back, update, number, Status.COMPLETED)


def _take_back(update: Callable[..., Any], number: Any, status: Any) -> None:
    update(number, status)


def _nothing() -> None:
    """There is nothing to take back."""
