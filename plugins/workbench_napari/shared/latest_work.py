"""Work in a thread of its own of which only the newest matters: counts of an array that is being edited, a search."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

Work = Callable[[Callable[[], bool]], Any]
"""Gets a function that says whether to stop; asked once per block, so that stopping is a matter of milliseconds."""

_POLL_MS = 15


def _end(pool: ThreadPoolExecutor, stop: threading.Event, _owner: Any = None) -> None:
    stop.set()
    pool.shutdown(wait=False, cancel_futures=True)


class LatestWork(QObject):
    """Does what was asked for last; what runs then is told to stop.

    Work that follows on work which was stopped is let run to its end, so that somebody who edits all the time sees
    numbers too; whoever asks meanwhile comes next.

    Signals
    -------
    arrived
        What was asked for (any object) and the answer of its function.
    failed
        The exception that the work ended with.
    """

    arrived = Signal(object, object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-latest")
        self._stop, self._closed = threading.Event(), threading.Event()
        self._running: tuple[Any, Future[Any]] | None = None
        self._next: tuple[Any, Work] | None = None
        self._follows_stopped = False
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self.destroyed.connect(partial(_end, self._pool, self._closed))

    @property
    def is_busy(self) -> bool:
        return self._running is not None or self._next is not None

    def ask(self, token: Any, work: Work) -> None:
        """Do `work` soon; the answer comes by `arrived` with `token`, unless something newer is asked for."""
        self._next = (token, work)
        if self._running is None:
            self._start()
        elif not self._follows_stopped:
            self._stop.set()

    def forget(self) -> None:
        """Nobody waits for an answer any more."""
        self._next = None
        self._stop.set()

    def close(self) -> None:
        """Do nothing any more."""
        self._timer.stop()
        self._next = self._running = None
        _end(self._pool, self._closed)

    def _start(self) -> None:
        if self._next is None or self._closed.is_set():
            return
        (token, work), self._next = self._next, None
        self._stop = stop = threading.Event()
        closed = self._closed
        self._running = (token, self._pool.submit(work, lambda: stop.is_set() or closed.is_set()))
        self._timer.start()

    def _poll(self) -> None:
        if self._running is None or not self._running[1].done():
            return
        (token, future), self._running = self._running, None
        self._timer.stop()
        stopped = self._stop.is_set()
        self._follows_stopped = stopped
        self._start()
        if stopped:
            return
        error = future.exception()
        if error is not None:
            self.failed.emit(error)
        else:
            self.arrived.emit(token, future.result())
