"""The jobs of a viewer: one runs, others wait in order; every end frees the next, and no answer is lost with a dock.

The runner belongs to the viewer's model. Tools come and go: they start jobs, hear of them by signals, and take over
what waits for a tool of their kind. Only closing the viewer's window ends the jobs themselves.
"""

from __future__ import annotations

import atexit
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from workbench.core.errors import MismatchError, WorkbenchError, one_line
from workbench_napari.shared import collecting
from workbench_napari.shared.delivery import Delivery, NotNow
from workbench_napari.shared.job import Done, Job, Work, join_all
from workbench_napari.shared.painting_later import painted_later
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.window import announce, main_window, unwrap
from workbench_napari.shared.window_words import in_window

__all__ = ["Held", "JobRunner", "Work", "report", "runner_of"]

_POLL_MS = 40
_JOIN_SECONDS = 10.0
"""How long the end of the program waits for jobs that were told to stop, and for what is being written."""

_KEPT = "The work is kept; the tool offers it at the next start."

_runners: dict[int, JobRunner] = {}
_leaving: list[Job] = []
"""Jobs of closed windows whose threads have not ended yet."""


def runner_of(viewer: Any) -> JobRunner:
    """The runner of a viewer, which all its tools share."""
    viewer = unwrap(viewer)
    found = _runners.get(id(viewer))
    if found is None or found.viewer is not viewer:
        found = _runners[id(viewer)] = JobRunner(viewer)
    return found


@dataclass(frozen=True, eq=False)
class Held:
    """An answer that waits for a tool to show it, and why."""

    delivery: Delivery
    answer: Any
    why: str

    @property
    def title(self) -> str:
        return self.delivery.title


class JobRunner(QObject):
    """Runs one job at a time, in the order they came.

    Signals
    -------
    started
        Title of the job that begins to run.
    progressed
        Steps done and steps in all (0 while unknown) of the job that runs.
    finished
        How a job ended and a line for the user: ``"done"``, ``"cancelled"``, ``"failed"``, or ``"waits"``: it is done,
        and its answer waits to be shown.
    changed
        Other jobs run or wait, or other answers wait to be shown.

    Attributes
    ----------
    job
        The job that runs, or ``None``.
    ended
        The job that ended last.
    waiting
        Jobs that have not begun yet, in their order.
    held
        Answers that wait for a tool.
    error
        What the last job failed with, or ``None`` if it did not fail.
    """

    started = Signal(str)
    progressed = Signal(int, int)
    finished = Signal(str, str)
    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()  # no child of the window: a job must be able to end after it
        self._viewer = weakref.ref(viewer)
        self.job: Job | None = None
        self.ended: Job | None = None
        self.waiting: list[Job] = []
        self.held: list[Held] = []
        self.error: BaseException | None = None
        self.is_closed = False
        self._withdraw: Callable[[], None] = _nothing
        self._steps: Iterator[None] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        key = id(viewer)
        window = main_window(viewer)
        if window is not None:
            window.destroyed.connect(partial(_close, key, weakref.ref(self)))
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(end_all)

    @property
    def viewer(self) -> Any:
        """The viewer whose jobs these are, or ``None`` once it is gone."""
        return self._viewer()

    @property
    def is_busy(self) -> bool:
        """Whether a job runs or waits."""
        return self.job is not None or bool(self.waiting)

    @property
    def title(self) -> str:
        """Title of the running job, or ""."""
        return "" if self.job is None else self.job.title

    @property
    def is_cancelling(self) -> bool:
        return self.job is not None and self.job.is_cancelling

    # --- jobs

    def start(self, title: str, work: Work, done: Done) -> bool:
        """Start `work(progress)` in a thread and call `done(answer)` on the main thread; returns whether it is taken.

        While another job runs it waits for its turn.
        """
        return self.submit(Job(title, work, done))

    def submit(self, job: Job) -> bool:
        """Take a job: it runs at once, or waits for its turn. A closed window takes none."""
        if self.is_closed:
            return False
        self.waiting.append(job)
        if self.job is None:
            self._next()
        else:
            self.changed.emit()
        return True

    def cancel(self, job: Job | None = None) -> None:
        """Ask a job (the one that runs) to stop at its next step; one that waits goes at once."""
        job = job or self.job
        if job is None:
            return
        job.cancel()
        if job in self.waiting:
            self.waiting.remove(job)
            self._tell(job, "cancelled", f"{job.title}: cancelled")
        self.changed.emit()

    def _next(self) -> None:
        """Begin the next job, if one waits."""
        if self.job is not None or not self.waiting:
            return
        job = self.job = self.waiting.pop(0)
        self._withdraw = announce(self.viewer, job.title, job.cancel)
        job.start()
        self._timer.start()
        self.started.emit(job.title)
        self.changed.emit()

    def _poll(self) -> None:
        """Pick up what the thread left, or show the next part of an answer."""
        job = self.job
        if job is None:
            self._timer.stop()
        elif self._steps is not None:
            self._hand_over(job, partial(self._next_step, job))
        else:
            ended = job.outcome is not None
            with painted_later(self.viewer):
                self.progressed.emit(*job.steps)
            if ended and self.job is job:
                self._ended(job)

    def _ended(self, job: Job) -> None:
        """The thread has ended: hand over its answer, or say why there is none."""
        assert job.outcome is not None
        how, value = job.outcome
        if how == "done":
            self._hand_over(job, partial(self._first_step, job, value))
        else:
            self._free(job, how, value, f"{job.title}: cancelled" if how == "cancelled" else "")

    def _first_step(self, job: Job, answer: Any) -> str | None:
        own = job.done if isinstance(job.done, Delivery) else None
        if own is not None and own.tool is None and own.without is not None:
            text = own.without(answer)
            notify(text)
            return text
        steps = job.done(answer)
        if steps is None:
            return f"{job.title}: done"
        self._steps = iter(steps)
        self._timer.start(0)
        return None

    def _next_step(self, job: Job) -> str | None:
        assert self._steps is not None
        if isinstance(job.done, Delivery):
            job.done.require_tool()
        for _ in self._steps:
            return None
        return f"{job.title}: done"

    def _hand_over(self, job: Job, step: Callable[[], str | None]) -> None:
        """Take one step of handing over an answer; the last one gives the line to say."""
        assert job.outcome is not None
        try:
            with painted_later(self.viewer):
                text = step()
        except NotNow as reason:
            if isinstance(job.done, Delivery):
                job.done.forget_tool()
                self.held.append(Held(job.done, job.outcome[1], one_line(reason)))
                notify(one_line(reason))
                self._free(job, "waits", None, one_line(reason))
            else:
                self._free(job, "failed", reason, "")
        except Exception as error:  # whatever it is, the job has ended, and the next one must be able to start
            self._free(job, "failed", error, "")
        else:
            if text is not None:
                self._free(job, "done", None, text)

    def _free(self, job: Job, how: str, error: BaseException | None, text: str) -> None:
        """The job is over, however it went: let the next one begin, whatever is done with the news."""
        self._timer.stop()
        self._timer.setInterval(_POLL_MS)
        self.job, self._steps = None, None
        self._withdraw()
        job.outcome, job.done = (how, None), _no_answer
        self.error = error
        try:
            self._tell(job, how, text if error is None else report(error))
        finally:
            self._next()
            self.changed.emit()

    def _tell(self, job: Job, how: str, text: str) -> None:
        self.ended = job
        self.finished.emit(how, text)

    # --- answers that wait

    def offers(self, kind: str) -> list[Held]:
        """Answers that wait for a tool of a kind; see `workbench_napari.shared.delivery.kind_of`."""
        return [held for held in self.held if held.delivery.kind == kind]

    def show(self, held: Held, tool: Any) -> None:
        """Let a tool show an answer that waits; one that cannot be shown goes on waiting.

        Raises
        ------
        WorkbenchError
            It cannot be shown now.
        """
        for _ in held.delivery.to(tool, held.answer) or ():
            pass
        self.discard(held)

    def discard(self, held: Held) -> None:
        """Let an answer go."""
        if held in self.held:
            self.held.remove(held)
            self.changed.emit()

    # --- the end

    def close(self) -> None:
        """The window is gone: stop what runs, drop what waits, but let be written what is to be saved."""
        if self.is_closed:
            return
        self.is_closed = True
        self._timer.stop()
        jobs, self.waiting, self.held = [self.job, *self.waiting], [], []
        self.job, self._steps = None, None
        for job in [j for j in jobs if j is not None]:
            if not job.writes:
                job.cancel()
                job.done = _no_answer
            elif job.is_waiting:
                job.start()
            if job.is_alive or job.writes:  # what was written already is to be told, too
                _leaving.append(job)


def _close(key: int, reference: Callable[[], JobRunner | None], _window: Any = None) -> None:
    """A window is gone. Nobody waits here for the threads: another window may be open."""
    runner = reference()
    if runner is None:
        return
    runner.close()
    collecting.thaw()
    if _runners.get(key) is runner:
        del _runners[key]
    _see_off()


def _see_off() -> None:
    """Settle the jobs of closed windows as soon as their threads have ended: nothing of a window is kept until then."""
    for job in [job for job in _leaving if not job.is_alive]:
        _leaving.remove(job)
        _settle(job)
    if _leaving and QCoreApplication.instance() is not None:
        QTimer.singleShot(_POLL_MS, _see_off)


def end_all() -> None:
    """The event loop ends, or the program: stop the jobs of all windows and wait for them, but not for ever.

    A window that is open all the same, because its event loop starts again, still hears how its job ended.
    """
    running = []
    for runner in list(_runners.values()):
        for job in [j for j in runner.waiting if not j.writes]:
            runner.cancel(job)
        if runner.job is not None:
            running.append(runner.job)
            if not runner.job.writes:
                runner.cancel()
    join_all([*running, *_leaving], _JOIN_SECONDS)
    for job in _leaving:
        _settle(job)
    _leaving[:] = [job for job in _leaving if job.is_alive]


@atexit.register
def _at_exit() -> None:
    """Python ends: now no window hears of anything any more."""
    for runner in list(_runners.values()):
        with suppress(RuntimeError):  # Qt may have gone before
            runner.close()
    join_all(_leaving, _JOIN_SECONDS)
    for job in _leaving:
        _settle(job)


def _settle(job: Job) -> None:
    """What was written after its window was closed is no unsaved work at the next start; what was not is said."""
    if not job.writes or job.outcome is None:
        return
    how, answer = job.outcome
    if how == "done":
        with suppress(Exception):
            job.done.without(answer)  # type: ignore[attr-defined]
    elif how == "failed":
        _say_lost(f"{job.title} failed after its window was closed: {one_line(answer)} {_KEPT}")
    job.outcome = (how, None)


def _say_lost(line: str) -> None:
    """To whoever sees it: in a window that is still open, and where the program was started."""
    print(line, file=sys.stderr)
    with suppress(Exception):  # there may be no window any more, and no napari
        from napari.utils.notifications import show_error

        show_error(plain_tip(line))


def _nothing() -> None:
    """What has to be taken back of a job that nobody was told of."""


def _no_answer(_answer: Any) -> None:
    """What takes the answer of a job that is over."""


def notify(text: str) -> None:
    """Say something where it is seen although no tool may be there to say it."""
    from napari.utils.notifications import show_info

    show_info(plain_tip(text))


def report(error: BaseException) -> str:
    """Show an error once, as one notification; returns its line. Only unexpected errors offer their traceback.

    What weights refuse is for the tool to show.
    """
    from napari.utils.notifications import notification_manager, show_error

    line = in_window(one_line(error) or type(error).__name__)
    if isinstance(error, MismatchError):
        pass  # stands in the tool with the way around it, and must not outlive the choice that it is about
    elif isinstance(error, WorkbenchError):
        show_error(plain_tip(line))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
        line = f"{type(error).__name__}: {line}"
    return line
