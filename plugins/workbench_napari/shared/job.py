"""A long piece of work in a thread of its own: what it is called, how far it is, and how it ended. No Qt here.

The work is a plain function that takes a progress callable. Its thread never touches Qt or layers: it leaves numbers
and its answer behind, which `workbench_napari.shared.worker` picks up on the main thread.

The thread is ours and not one of napari's workers: napari asks the workers of all its windows to stop when one window
closes, and those never tell that they ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from workbench.core.errors import Cancelled
from workbench.core.types import Progress

Work = Callable[[Progress], Any]
Done = Callable[[Any], "Iterator[None] | None"]
"""Takes an answer, at once or in steps."""
Prepare = Callable[[Callable[[], bool]], None]
"""Gets ready for the work; is given a function that says whether to stop, and returns soon once it does."""


class Job:
    """One piece of work.

    Parameters
    ----------
    title
        For people: ``Segmenting ct``.
    work
        Runs in a thread; its progress callable raises `Cancelled` to stop it.
    done
        Takes the answer, on the main thread; an iterator that it returns is gone through a step at a time, so that the
        window goes on between the steps. See `workbench_napari.shared.delivery` for one that outlives its tool.
    prepare
        What has to be there first, and what is said meanwhile: the engine, say.
    writes
        Whether it puts a person's work on disk: it is not stopped when the window is closed.

    Attributes
    ----------
    steps
        Steps done and steps in all (0 while unknown).
    phase
        What goes on before the first step, in a line for people; else "".
    outcome
        ``("done", answer)``, ``("cancelled", None)`` or ``("failed", error)``; ``None`` while it waits or runs.
    """

    def __init__(
        self,
        title: str,
        work: Work,
        done: Done,
        *,
        prepare: tuple[str, Prepare] | None = None,
        writes: bool = False,
    ) -> None:
        self.title, self.done, self.writes = title, done, writes
        self._work, self._prepare = work, prepare
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.steps = (0, 0)
        self.phase = ""
        self.outcome: tuple[str, Any] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it was neither started nor cancelled."""
        return self._thread is None and self.outcome is None

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_cancelling(self) -> bool:
        """Whether it was asked to stop and has not ended yet."""
        return self._stop.is_set() and self.outcome is None

    def start(self) -> None:
        """Start the thread. At the end of Python it is not waited for without a limit, so it is a daemon."""
        self._thread = threading.Thread(target=self._run, name="workbench-job", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to stop at its next step; what waits ends at once."""
        self._stop.set()
        if self._thread is None:
            self.outcome = ("cancelled", None)

    def join(self, seconds: float) -> bool:
        """Wait for the thread; returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.is_alive

    def _progress(self, done: int, total: int) -> None:
        self.steps, self.phase = (done, total), ""
        if self._stop.is_set():
            raise Cancelled(self.title)

    def _run(self) -> None:
        try:
            if self._prepare is not None:
                self.phase, prepare = self._prepare
                prepare(self._stop.is_set)
                self.phase = ""
                if self._stop.is_set():
                    raise Cancelled(self.title)
            outcome: tuple[str, Any] = ("done", self._work(self._progress))
        except Cancelled:
            outcome = ("cancelled", None)
        except BaseException as error:
            outcome = ("failed", error)
        # What the work holds must not live as long as the answer, which may wait to be shown.
        self._work, self._prepare, self.phase = _nothing, None, ""
        self.outcome = outcome


def _nothing(_progress: Progress) -> None:
    """What an ended job still has to do."""


def join_all(jobs: Iterable[Job], seconds: float) -> list[Job]:
    """Wait for several jobs, all in all not longer than so many seconds; returns those that still run."""
    end = time.monotonic() + seconds
    return [job for job in jobs if not job.join(max(0.0, end - time.monotonic()))]
