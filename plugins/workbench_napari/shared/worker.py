"""One long job per viewer, in a worker thread: progress, cancel within one step, one clear message when it fails.

The job is a plain function that takes a progress callable. The thread never touches Qt or layers: it leaves numbers
behind, which a timer on the main thread picks up.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from workbench.core.agreement import KNOW_BETTER
from workbench.core.errors import Cancelled, MismatchError, WorkbenchError, one_line
from workbench.core.types import Progress
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.window import main_window, unwrap

Work = Callable[[Progress], Any]

_POLL_MS = 80
_runners: dict[int, JobRunner] = {}


def runner_of(viewer: Any) -> JobRunner:
    """The runner of a viewer: every tool of that viewer shares it, so jobs cannot trample on each other."""
    viewer = unwrap(viewer)
    found = _runners.get(id(viewer))
    if found is None or found._viewer() is not viewer:
        found = _runners[id(viewer)] = JobRunner(viewer)
    return found


def _end(key: int, _runner: Any = None) -> None:
    _runners.pop(key, None)


class JobRunner(QObject):
    """Runs one job at a time.

    Signals
    -------
    started
        Title of the job.
    progressed
        Steps done and steps in all (0 while unknown).
    finished
        How it ended: ``"done"``, ``"cancelled"`` or ``"failed"``, and a line for the user.

    Attributes
    ----------
    error
        What the last job failed with, or ``None`` if it did not fail.
    """

    started = Signal(str)
    progressed = Signal(int, int)
    finished = Signal(str, str)

    def __init__(self, viewer: Any) -> None:
        super().__init__(main_window(viewer))
        self._key = id(viewer)
        self._worker: Any = None
        self._cancel = threading.Event()
        self._state = (0, 0)
        self._done: Callable[[Any], None] | None = None
        self._title = ""
        self.error: BaseException | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._viewer = weakref.ref(viewer)
        self.destroyed.connect(partial(_end, self._key))

    @property
    def is_busy(self) -> bool:
        return self._worker is not None

    @property
    def title(self) -> str:
        """Title of the running job, or ""."""
        return self._title

    def start(self, title: str, work: Work, done: Callable[[Any], None]) -> bool:
        """Start `work(progress)` in a thread and call `done(result)` on the main thread.

        Returns False, and does nothing, while another job is running.
        """
        if self.is_busy:
            return False
        from napari.qt.threading import create_worker

        self._cancel = cancel = threading.Event()
        self._state, self._done, self._title = (0, 0), done, title

        def progress(steps: int, total: int) -> None:
            self._state = (steps, total)
            # napari itself asks the worker to stop when its window closes.
            if cancel.is_set() or worker.abort_requested:
                raise Cancelled(title)

        def run() -> tuple[str, Any]:
            try:
                return "done", work(progress)
            except Cancelled:
                return "cancelled", None
            except BaseException as error:
                return "failed", error

        worker = create_worker(run)
        self._worker = worker
        worker.returned.connect(self._on_returned)
        self._timer.start()
        self.started.emit(title)
        worker.start()
        return True

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        self._cancel.set()

    @property
    def is_cancelling(self) -> bool:
        return self.is_busy and self._cancel.is_set()

    def _poll(self) -> None:
        self.progressed.emit(*self._state)

    def _on_returned(self, outcome: tuple[str, Any]) -> None:
        how, value = outcome
        title, done = self._title, self._done
        self._timer.stop()
        self._poll()
        self._worker, self._done, self._title = None, None, ""
        if how == "done" and done is not None:
            try:
                done(value)
            except Exception as error:  # whatever it is, the job has ended, and the next one must be able to start
                how, value = "failed", error
        text = {"done": f"{title}: done", "cancelled": f"{title}: cancelled"}.get(how, "")
        self.error = value if how == "failed" else None
        if how == "failed":
            text = report(value)
        self.finished.emit(how, text)


def report(error: BaseException) -> str:
    """Show an error once, as one notification; returns its line. Only unexpected errors offer their traceback.

    What weights refuse is for the tool to show.
    """
    from napari.utils.notifications import notification_manager, show_error

    line = (one_line(error) or type(error).__name__).replace(KNOW_BETTER, "Where you know better: tick 'Use anyway'.")
    if isinstance(error, MismatchError):
        pass  # stands in the tool with the way around it, and must not outlive the choice that it is about
    elif isinstance(error, WorkbenchError):
        show_error(plain_tip(line))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
        line = f"{type(error).__name__}: {line}"
    return line
