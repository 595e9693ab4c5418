"""What is left after all windows of a life of the monkey were closed: widgets, objects, threads, memory."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

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
    widgets = Counter(_name(w) for w in QApplication.allWidgets())
    objects = Counter(
        name
        for o in gc.get_objects()
        if any(c.__name__ in KINDS for c in type(o).__mro__)
        and (name := _name(o)).startswith(("napari.", "workbench_napari."))
    )
    threads = Counter(t.name.rstrip("0123456789-_") for t in threading.enumerate())
    _give_back()
    rss = psutil.Process().memory_info().rss / 1e6
    return Life(seconds, actions, rss, widgets, objects, threads)


def _give_back() -> None:
    """Hand the system what is free: only what is still held counts, not how it lies in the memory."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _name(thing: Any) -> str:
    return f"{type(thing).__module__.partition('.')[0]}.{type(thing).__name__}"


def left_over(lives: Sequence[Life]) -> str:
    """What should have gone with its window; "" if there is nothing.

    Of ours nothing may be left at all. napari and Qt make some things when they are first needed, and keep them; so
    of theirs it counts what became more twice, after the second life.
    """
    ours = {k: n for k, n in (lives[-1].objects + lives[-1].widgets).items() if k.startswith("workbench_napari.")}
    if ours:
        return f"left over after {len(lives)} lives: {ours}"
    for what in ("objects", "widgets", "threads"):
        for name in getattr(lives[-1], what):
            counts = [getattr(life, what)[name] for life in lives[1:]]
            rises = sum(n > max(counts[:i]) for i, n in enumerate(counts) if i)
            if rises > 1:
                return f"{what} left over: {name}, {counts} after the lives from the second on"
    return ""


def slope(lives: Sequence[Life]) -> float | None:
    """Memory per minute [MB] after the first minutes; ``None`` while there are too few points.

    The median over all pairs of lives one to five minutes apart: what is leaked is leaked again and again, and what a
    driver takes once (Mesa 100 MB, when something is first drawn in three dimensions) is one step and no slope.
    """
    from statistics import median

    points = [(life.seconds / 60, life.rss_mb) for life in lives if life.seconds > _WARM_SECONDS]
    if len(points) < 4 or points[-1][0] - points[0][0] < 5:
        return None
    pairs = [(b[0] - a[0], b[1] - a[1]) for i, a in enumerate(points) for b in points[i + 1 :]]
    return float(median(rise / minutes for minutes, rise in pairs if 1 <= minutes <= 5))
