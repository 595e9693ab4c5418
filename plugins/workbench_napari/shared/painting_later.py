"""Let what a step of ours changes be painted after the step, and not several times within it.

napari shows the controls of a layer that comes at once, which moves the canvas, which Qt then paints before the layer
has even arrived: the window stands still for the sum of all. Here the canvas waits until the event loop runs again, and
is painted once.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from qtpy.QtCore import QTimer

from workbench_napari.shared.views import canvas_of

_PAUSE_MS = 1
"""Timers have their turn between a step and its picture."""

_LATE_S = 0.04
_PICTURE_S = 0.02
"""After it was asked for, Qt paints within this."""

_asked: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
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
        _later(weakref.ref(canvas))


def _later(reference: Any, is_again: bool = False) -> None:
    QTimer.singleShot(_PAUSE_MS, partial(_paint, reference, time.monotonic(), is_again))


def _paint(reference: Any, since: float, is_again: bool) -> None:
    canvas = reference()
    if canvas is None:
        return
    if time.monotonic() - since > _LATE_S and not is_again:
        # Something long came before: others have their turn between that and this. Once: where all is slow, it is
        # painted all the same.
        _later(reference, is_again=True)
        return
    _waiting[canvas] = _waiting.get(canvas, 1) - 1
    if _waiting[canvas] <= 0:
        try:
            canvas.setUpdatesEnabled(True)
            _asked[canvas] = time.monotonic()
        except RuntimeError:  # Qt has deleted it
            return


def is_to_be_painted(viewer: Any) -> bool:
    """Whether the picture of a step is still to come: the next step waits for it, or one picture would be of all."""
    try:
        canvas = None if viewer is None else canvas_of(viewer)
    except (AttributeError, RuntimeError):
        return False
    return canvas is not None and (_waiting.get(canvas, 0) > 0 or time.monotonic() - _asked.get(canvas, 0) < _PICTURE_S)
