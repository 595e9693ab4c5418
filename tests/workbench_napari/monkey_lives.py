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

_WARM_WINDOWS = 20
"""Memory counts from here on: what is made once, for all windows, has been made."""
_APART = (4, 18)
"""Windows between two lives that are compared."""
_MB_A_WINDOW = 0.85
"""3 MB a minute, at the 3.5 windows a minute of a machine that does nothing else."""
_WARM_SECONDS = 300.0
_MB_A_MINUTE = 3.0
"""Of a straight line through all lives from then on: steps count, too."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of ``mallopt``, in ``malloc.h`` of the glibc."""
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
    windows: int
    """How many had been opened since the beginning."""


def left(seconds: float, actions: int, windows: int) -> Life:
    """Count what is there now, after everything that can go has gone."""
    from qtpy.QtWidgets import QApplication

    _let_go()
    widgets = Counter(_name(w) for w in QApplication.allWidgets())
    objects = Counter(
        name
        for o in gc.get_objects()
        if any(c.__name__ in KINDS for c in type(o).__mro__)
        and (name := _name(o)).startswith(("napari.", "workbench_napari."))
    )
    threads = Counter(t.name.rstrip("0123456789-_") for t in threading.enumerate())
    return Life(seconds, actions, _held_mb(), widgets, objects, threads, windows)


def _let_go() -> None:
    """Qt deletes in later turns of its loop, and Python collects what is then garbage.

    Qt's cache of pictures takes half a MB of icons with every window, of a plain napari as well, until it holds 10 MB.
    """
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QPixmapCache
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    for _ in range(3):
        QTest.qWait(150)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
    QPixmapCache.clear()


def _held_mb() -> float:
    import psutil

    _give_back()
    return float(psutil.Process().memory_info().rss / 1e6)


def give_back_at_once() -> None:
    """Let the C library keep little of what is freed; to be called before any thread begins.

    Each thread of a job otherwise frees into a heap of its own, whose end `_give_back` does not reach: up to 64 MB, as
    the glibc keeps more once something large has been freed. A life seemed to cost 50 MB of which it held 1 MB.
    """
    for parameter, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, 128 << 10), (_TRIM_THRESHOLD, 128 << 10)):
        _glibc("mallopt", parameter, value)


def _give_back() -> None:
    """Hand the system what is free: only what is still held counts, not how it lies in the memory."""
    _glibc("malloc_trim", 0)


def _glibc(function: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library than glibc
            getattr(ctypes.CDLL("libc.so.6"), function)(*arguments)


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


def rise(lives: Sequence[Life]) -> float | None:
    """Memory per window [MB], from the twentieth window on; ``None`` while there are too few points."""
    points = [(life.windows, life.rss_mb) for life in lives if life.windows > _WARM_WINDOWS]
    if len(points) < 4 or points[-1][0] - points[0][0] < 2 * _APART[0]:
        return None
    return _a_window(points)


def slope(lives: Sequence[Life]) -> float | None:
    """Memory per minute [MB] after the first minutes, steps included; ``None`` while there are too few points."""
    import numpy as np

    points = [(life.seconds / 60, life.rss_mb) for life in lives if life.seconds > _WARM_SECONDS]
    if len(points) < 4 or points[-1][0] - points[0][0] < 5:
        return None
    return float(np.polyfit(*np.array(points).T, 1)[0])


def too_much_memory(lives: Sequence[Life]) -> bool:
    """Whether memory rises with every window, or as a whole."""
    a_window, a_minute = rise(lives), slope(lives)
    return (a_window or 0) > _MB_A_WINDOW or (a_minute or 0) > _MB_A_MINUTE


def said_of_memory(lives: Sequence[Life]) -> str:
    """Both numbers, for people."""
    a_window, a_minute = rise(lives), slope(lives)
    if a_window is None and a_minute is None:
        return "memory: too few points for a slope"
    parts = [
        f"{value:.2f} MB a {what}" for value, what in ((a_window, "window"), (a_minute, "minute")) if value is not None
    ]
    return f"memory rises by {' and '.join(parts)}"


def _a_window(points: Sequence[tuple[int, float]]) -> float:
    """The median over all pairs 4 to 18 windows apart, as many as are opened in one to five minutes.

    What is leaked is leaked again and again; what a driver or a library takes once is one step and no slope here (the
    straight line of `slope` sees it).
    """
    from statistics import median

    pairs = [(b[0] - a[0], b[1] - a[1]) for i, a in enumerate(points) for b in points[i + 1 :]]
    return float(median(mb / windows for windows, mb in pairs if _APART[0] <= windows <= _APART[1]))
