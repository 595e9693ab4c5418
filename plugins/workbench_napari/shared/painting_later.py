"""Let what a step of ours changes be painted after the step, and not several times within it.

napari shows the controls of a layer that comes at once, which moves the canvas, which Qt then paints before the layer
has even arrived: the window stands still for the sum of all. Here the canvas waits until the event loop runs again, and
is painted once.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from qtpy.QtCore import QTimer

from workbench_napari.shared.views import canvas_of

_PAUSE_MS = 1
"""Timers have their turn between a step and its picture."""

_waiting: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


@contextmanager
def painted_later(viewer: Any) -> Iterator[None]:
    """What is done meanwhile is painted once it has been done."""
    try:
        canvas = None if viewer is None else canvas_of(viewer)
    except (AttributeError, RuntimeError):  # no window, or it is about to go
        canvas = None
    if canvas is None:
        yield
        return
    _waiting[canvas] = _waiting.get(canvas, 0) + 1
    canvas.setUpdatesEnabled(False)
    try:
        yield
    finally:
        QTimer.singleShot(_PAUSE_MS, partial(_paint, weakref.ref(canvas)))


def _paint(reference: Any) -> None:
    canvas = reference()
    if canvas is None:
        return
    _waiting[canvas] = _waiting.get(canvas, 1) - 1
    if _waiting[canvas] <= 0:
        try:
            canvas.setUpdatesEnabled(True)
        except RuntimeError:  # Qt has deleted it
            return
