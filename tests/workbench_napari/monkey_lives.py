"""What is left after all windows of a life of the monkey were closed: widgets, objects, threads, memory."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_WARM_SECONDS = 300.0
"""Memory counts from here on: what is loaded once has been loaded."""
KINDS = ("DockTool", "JobRunner", "Journal", "Desk", "Layer", "ViewerModel", "QtViewer")
"""Classes whose objects must go with their window."""


@dataclass
class Life:
    """What was left after all windows had been closed."""

    seconds: float
    actions: int
    rss_mb: float
    widgets: Counter[str]
    objects: Counter[str]
    threads: Counter[str]


def left(seconds: float, actions: int) -> Life:
    """Count what is there now, after everything that can go has gone."""
    import psutil
    from qtpy.QtCore import QEvent
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    for _ in range(3):
        QTest.qWait(150)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
    widgets = Counter(f"{type(w).__module__.split('.')[0]}.{type(w).__name__}" for w in QApplication.allWidgets())
    objects = Counter(
        type(o).__name__
        for o in gc.get_objects()
        if any(c.__name__ in KINDS for c in type(o).__mro__) and "napari" in type(o).__module__
    )
    threads = Counter(t.name.rstrip("0123456789-_") for t in threading.enumerate())
    rss = psutil.Process().memory_info().rss / 1e6
    return Life(seconds, actions, rss, widgets, objects, threads)


def left_over(lives: Sequence[Life]) -> str:
    """What was not there after the second life, when everything had been loaded; "" if there is nothing."""
    if len(lives) < 3:
        return ""
    for what in ("objects", "widgets", "threads"):
        more = getattr(lives[-1], what) - getattr(lives[1], what)
        if more:
            return f"{what} left over after {len(lives)} lives: {dict(more)}"
    return ""


def slope(lives: Sequence[Life]) -> float | None:
    """Memory per minute [MB] after the first minutes; ``None`` while there are too few points."""
    import numpy as np

    points = [(life.seconds / 60, life.rss_mb) for life in lives if life.seconds > _WARM_SECONDS]
    if len(points) < 4 or points[-1][0] - points[0][0] < 5:
        return None
    return float(np.polyfit(*np.array(points).T, 1)[0])
