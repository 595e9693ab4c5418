"""Spectra of single pixels, read in a thread of their own: the mouse must not wait for a slow disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

_POLL_MS = 15


def _end(pool: ThreadPoolExecutor, _reader: Any = None) -> None:
    """A read that is going on may take its time; nobody waits for it any more."""
    pool.shutdown(wait=False, cancel_futures=True)


class PixelReader(QObject):
    """Answers the latest request; older ones that wait are dropped.

    Signals
    -------
    arrived
        What was asked for (any object) and the answer of its function.
    failed
        One line why a request could not be answered.
    """

    arrived = Signal(object, object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workbench-spectra")
        self._running: tuple[Any, Future[Any]] | None = None
        self._next: tuple[Any, Callable[[], Any]] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self.destroyed.connect(partial(_end, self._pool))

    def ask(self, token: Any, work: Callable[[], Any]) -> None:
        """Do `work` soon; the answer comes by `arrived` with `token`."""
        self._next = (token, work)
        self._start()

    @property
    def is_busy(self) -> bool:
        return self._running is not None or self._next is not None

    def close(self) -> None:
        """Stop answering."""
        self._timer.stop()
        self._next = self._running = None
        _end(self._pool)

    def _start(self) -> None:
        if self._running is None and self._next is not None:
            (token, work), self._next = self._next, None
            self._running = (token, self._pool.submit(work))
            self._timer.start()

    def _poll(self) -> None:
        if self._running is None or not self._running[1].done():
            return
        (token, future), self._running = self._running, None
        self._timer.stop()
        self._start()
        error = future.exception()
        if error is not None:
            self.failed.emit(str(error).splitlines()[0] if str(error) else type(error).__name__)
        else:
            self.arrived.emit(token, future.result())
