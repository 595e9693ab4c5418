"""Run one backend over many cases: each once, whatever happens, and a failing one never stops the others.

A case counts as done when its completion record is true (`workbench.batch.record`). Runs that share an output folder
share the work (`workbench.batch.lease`). The model is loaded once in each process that computes.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.batch import estimates, failed, record
from workbench.batch.case import Task, beside, cannot_write
from workbench.batch.ends import Stop
from workbench.batch.executors import Event, Executor, Here, Item, Ready
from workbench.batch.lease import STATE, Leases
from workbench.batch.outcome import Outcome, RunReport
from workbench.batch.pool import Limits, Pool
from workbench.core import leftovers, memory
from workbench.core.errors import UsageError, WeightsError, one_line
from workbench.core.output import require_file, require_folder, require_inside
from workbench.core.registry import Backend
from workbench.core.study import Skipped
from workbench.core.types import Case, Progress

__all__ = ["Limits", "Options", "Outcome", "RunReport", "Stop", "check_output", "check_report", "processes", "run"]

_LOOK_AGAIN_SECONDS = 1.0
"""Between two looks at cases that another run has."""

_MANY = 200
"""Cases whose outcomes are kept whole; of more, what their records hold is not kept here as well."""

_SHARE = 2 * 10**9
"""Bytes of memory that a process should have when nobody says how many processes there are."""


@dataclass(frozen=True)
class Options:
    """How a run goes about it; nothing here changes a byte of a result but `threads`.

    Parameters
    ----------
    format
        In which the results are written; ``"auto"`` keeps that of each image where it can.
    overwrite
        Replace results of other settings, and compute again what is complete.
    verify
        Hash inputs and results of complete cases, whatever their sizes and times say.
    retry_failed, only_failed
        Try what was refused before again; and nothing else.
    fail_fast
        Start no more cases after one that failed.
    jobs
        How many processes; 0 computes in this one, ``None`` takes as many as there are processors and memory for.
    threads
        For each case; 0 leaves it to the libraries.
    pictures
        Make a small picture of each result, in ``overview_pictures``.
    limits, gpus
        What one case may take; which GPUs get a process each.
    part_of
        How many cases the study has that these are a part of.
    """

    format: str = "auto"
    overwrite: bool = False
    verify: bool = False
    retry_failed: bool = False
    only_failed: bool = False
    fail_fast: bool = False
    jobs: int | None = 0
    threads: int = 0
    pictures: bool = False
    limits: Limits = field(default_factory=Limits)
    gpus: tuple[str, ...] = ()
    part_of: int = 0


def run(
    backend: Backend,
    cases: list[Case],
    output: Path,
    config: Any,
    options: Options | None = None,
    *,
    on_start: Callable[[Case, int, int], Progress | None] | None = None,
    on_end: Callable[[Outcome], None] | None = None,
    on_ready: Callable[[Ready], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    skipped: Sequence[Skipped] = (),
    stop: Stop | None = None,
    **values: Any,
) -> RunReport:
    """Predict every case into ``output/<case id>/``.

    Parameters
    ----------
    config
        Settings of the backend, with ``weights`` and ``device``.
    options
        How; `values` are fields of it, by name.
    on_start, on_end
        Called around each case with (case, number, count) and its outcome; `on_start` may return a progress callable.
    on_ready
        Called once when the model is loaded.
    on_warning
        Called with a line that a process of its own had to say; those of this process are warnings of Python.
    skipped
        What of the input is no case: the record of each result names what lies beside its image.
    stop
        Asked before each case; see `workbench.batch.ends`.

    Raises
    ------
    UsageError, WeightsError
        Before any case is touched: the device, the weights or the output folder cannot be used.
    """
    how = replace(options or Options(), **values)
    check_output(output, cases)
    backend.module_for("predict")
    if output.is_dir():
        leftovers.clean(output)
    task = Task(
        backend,
        config,
        output,
        format=how.format,
        overwrite=how.overwrite,
        verify=how.verify,
        threads=how.threads,
        pictures=how.pictures,
    )
    one = _Run(task, cases, how, on_start, on_end, on_warning, skipped, stop or Stop(hears=False))
    return one.go(on_ready)


class _Run:
    """One run: what waits, what is computed, what became of it."""

    def __init__(
        self,
        task: Task,
        cases: list[Case],
        how: Options,
        on_start: Callable[[Case, int, int], Progress | None] | None,
        on_end: Callable[[Outcome], None] | None,
        on_warning: Callable[[str], None] | None,
        skipped: Sequence[Skipped],
        stop: Stop,
    ) -> None:
        self.task, self.how, self.stop = task, how, stop
        self.output, self.count = task.output, len(cases)
        self.queue, self._cases = deque(cases), cases
        self.held: deque[Case] = deque()
        self.alone: deque[Case] = deque()
        self.report = RunReport()
        self._on_start, self._on_end, self._on_warning = on_start, on_end, on_warning
        self._skipped = skipped
        self._numbers = {case.id: n for n, case in enumerate(cases)}
        self._tried: dict[str, dict[str, Any]] = {}
        self._progress: dict[str, Progress | None] = {}
        self._looked = 0.0
        self._leases = Leases(self.output)
        self._place: tuple[int, int] | None = None
        self._failed_before: set[str] = set()
        self._ending = False
        # What fails of a study is kept for other runs on it, though this part may be one case.
        self._is_study = max(self.count, how.part_of) > 1

    def go(self, on_ready: Callable[[Ready], None] | None) -> RunReport:
        executor = self._executor()
        self.stop.interrupts = True  # while the model loads, a second signal ends that
        made = begun = False
        try:
            known = self._known_weights()
            if known is not None:
                # What is complete needs no model.
                self.task = self.task.with_model(None, *known)
                made, begun = self._begin(), True
                self._settle_all()
            if not begun or self.queue:
                ready = executor.open()
                if known is not None and known != (ready.weights_sha256,):
                    raise WeightsError("the weights were changed while they were loaded. Run again.")
                self.task = self.task.with_model(None, ready.weights_sha256)
                shares = ready.device.startswith(("cuda", "mps")) and self.how.jobs is None and not self.how.gpus
                if shares and isinstance(executor, Pool):
                    executor.jobs = 1  # a second process would only share the one device
                if on_ready is not None:
                    on_ready(ready)
                made = self._begin() if not begun else made
                self.stop.interrupts = isinstance(executor, Here)
                self._compute(executor)
        except KeyboardInterrupt:
            if not self.stop.asked:
                raise
        finally:
            executor.stop()
            executor.close()
            self._leases.close()
            if made:
                with suppress(OSError):  # only one that is still empty goes
                    self.output.rmdir()
        self.report.interrupted = self.stop.asked
        self.report.wanted = getattr(self.task, "wanted", None)
        self._finish()
        return self.report

    def _known_weights(self) -> tuple[str] | None:
        """The hash of the weights, where the backend tells it without loading them and cases may be complete."""
        tells = getattr(self.task.backend.load_module(), "weights_hash", None)
        if tells is None or self.how.overwrite or self.how.verify or not self.output.is_dir():
            return None
        return (tells(self.task.config),)

    def _settle_all(self) -> None:
        left: deque[Case] = deque()
        while self.queue and not self.stop.asked:
            case = self.queue.popleft()
            if not self._settle(case):
                left.append(case)
        self.queue = deque([*left, *self.queue])

    def _executor(self) -> Executor:
        how = self.how
        number = processes(how, self.count)
        if number == 0:
            return Here(self.task, self._start_progress)
        if how.gpus:
            return Pool(self.task, number, how.limits, how.gpus)
        share = memory.available().bytes // number if number > 1 else None
        return Pool(self.task, number, how.limits, memory_share=share)

    def _begin(self) -> bool:
        made = not self.output.exists()
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            found = os.stat(self.output)
            self._place = found.st_dev, found.st_ino
            self._leases.open()
        except OSError as error:
            raise UsageError(
                f"cannot write to {self.output}: {error.strerror}. Free space, or choose another output folder."
            ) from error
        self._failed_before = {str(f.get("case")) for f in failed.every(self.output)}
        if self.how.only_failed:
            self.queue = deque(c for c in self.queue if c.id in self._failed_before)
            self.count = len(self.queue)
            self._numbers = {case.id: n for n, case in enumerate(self.queue)}
        return made

    # --- the loop

    def _compute(self, executor: Executor) -> None:
        while not self._is_over(executor):
            while executor.free and not self._ending and not self.stop.asked and self._start_one(executor):
                pass
            for event in executor.events(0.2 if executor.running or self.held else 0.0):
                self._on_event(executor, event)
            if self.stop.at_once or self.report.stopped:
                return

    def _is_over(self, executor: Executor) -> bool:
        if executor.running:
            return False
        return self._ending or bool(self.stop.asked) or not (self.queue or self.alone or self.held)

    def _start_one(self, executor: Executor) -> bool:
        """Start the next case, or settle one that needs no computing; False if there is nothing to do now."""
        try:
            if self.queue:
                case = self.queue.popleft()
                if not self._start(executor, case):
                    self.held.append(case)
                return True
            if self.alone:
                return executor.running == 0 and self._start(executor, self.alone.popleft(), alone=True)
            return self._look_again(executor)
        except OSError as error:
            self._stop_writing(f"{error.filename or self.output}: {error.strerror or one_line(error)}")
            return False
        except UsageError as error:
            self._stop_writing(one_line(error))
            return False

    def _look_again(self, executor: Executor) -> bool:
        """At what other runs had: they may have done it, or died."""
        if not self.held or time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS:
            return False
        self._looked = time.monotonic()
        for _ in range(len(self.held)):
            case = self.held.popleft()
            if not executor.free or not self._start(executor, case):
                self.held.append(case)
        return False

    def _start(self, executor: Executor, case: Case, *, alone: bool = False) -> bool:
        if self._settle(case):
            return True
        lease = self._leases.take(case.id)
        if lease is None:
            return False
        if self._settle(case):  # another run has ended it between the two
            self._leases.give_back(case.id)
            return True
        self._require_place()
        # How it was before: what is changed meanwhile is tried again.
        self._tried[case.id] = failed.key_of(case, self.task.wanted)
        item = Item(case, lease, tuple(beside(case, self._skipped)), alone)
        if not isinstance(executor, Here):
            self._start_progress(case)
        executor.start(item)
        return True

    def _settle(self, case: Case) -> bool:
        """Whether nothing has to be computed: the case is complete, or known to fail."""
        how, wanted = self.how, self.task.wanted
        base: dict[str, Any] = {"case": case.id, "source": str(case.image)}
        new = not how.overwrite or self._leases.is_since(self.output / case.id / record.NAME)
        if new and not how.verify and record.quick(self.output / case.id, case, wanted):
            if case.id in self._failed_before:
                failed.forget(self.output, case.id)
            self._end(Outcome(status="skipped", **base))
            return True
        before = failed.find(self.output, case, wanted) if self._is_study else None
        if before is None or how.overwrite:
            return False
        outcome, certain = before
        # What failed since we began failed in a run beside this one: once is enough.
        if case.id in self._failed_before and (how.retry_failed or how.only_failed or not certain):
            return False
        why = "refused before, and nothing has changed since: --retry-failed tries again"
        self._end(replace(outcome, notes=(why,), seconds=0.0, **base))
        return True

    def _start_progress(self, case: Case) -> Progress | None:
        found = self._on_start(case, self._numbers[case.id], self.count) if self._on_start is not None else None
        self._progress[case.id] = found
        return found

    def _on_event(self, executor: Executor, event: Event) -> None:
        if event.warning:
            if self._on_warning is not None:
                self._on_warning(event.warning)
            return
        item, outcome = event.item, event.outcome
        if item is None:
            return
        if outcome is None:
            progress = self._progress.get(item.case.id)
            if progress is not None:
                progress(event.done, event.total)
            return
        self._progress.pop(item.case.id, None)
        self._on_outcome(executor, item, outcome)

    def _on_outcome(self, executor: Executor, item: Item, outcome: Outcome) -> None:
        case = item.case
        if outcome.lost:
            self._leases.give_back(case.id)
            self.held.append(case)
            return
        if outcome.stops:
            self._stop_writing(outcome.stops)
            return
        if outcome.error == "OutOfMemory" and not item.alone and isinstance(executor, Pool) and executor.jobs > 1:
            self._leases.give_back(case.id)
            self.alone.append(case)  # it may fit when no other case is beside it
            return
        try:
            self._require_place()
            if outcome.status != "failed":
                failed.forget(self.output, case.id)
            elif self._is_study:
                failed.keep(self.output, outcome, self._tried[case.id])
        except (OSError, UsageError) as error:
            self._stop_writing(cannot_write(self.output) or one_line(error))
            return
        finally:
            self._tried.pop(case.id, None)
            self._leases.give_back(case.id)
        self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        # A run of a night has thousands: what is written in their records is not kept here as well.
        self.report.outcomes.append(replace(outcome, table=(), notes=(), trace="") if self.count > _MANY else outcome)
        if self._on_end is not None:
            self._on_end(outcome)
        if self.how.fail_fast and outcome.status == "failed":
            self._ending = True

    # --- the output folder

    def _require_place(self) -> None:
        """The output folder is the one that it was."""
        try:
            found = os.stat(self.output)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._place:
            raise UsageError(f"{self.output}: the output folder was removed or replaced while the run was going on")

    def _stop_writing(self, reason: str) -> None:
        self.report.stopped = self.report.stopped or reason

    def _finish(self) -> None:
        """Count what is there, and say it: nothing is called done whose record is gone."""
        ended = self.report.outcomes
        if self._place is None:  # stopped while the model was loaded
            self.report.unfinished = self.count
            return
        ended.sort(key=lambda outcome: self._numbers[outcome.case])
        for number, outcome in enumerate(ended):
            if outcome.status != "failed" and not (self.output / outcome.case / record.NAME).is_file():
                gone = f"{self.output / outcome.case}: its results were removed while the run was going on"
                ended[number] = replace(
                    outcome, status="failed", stage="write", error="UsageError", message=gone, exit_code=2, files=()
                )
        if self.report.stopped:
            # What another process was just writing when everything was stopped.
            known = {outcome.case for outcome in ended}
            for case in [c for c in self._cases if c.id in self._numbers]:
                if case.id not in known and record.quick(self.output / case.id, case, self.task.wanted):
                    ended.append(Outcome(case.id, "done", str(case.image)))
        self.report.unfinished = self.count - len(ended)
        if self.report.stopped:
            return
        estimates.remember(
            self.task.backend.name, self.task.config, self.task.wanted.weights_sha256, self.how.threads, ended
        )
        try:
            if self.output.is_dir():
                failed.listing(self.output)
        except (OSError, UsageError) as error:
            self._stop_writing(cannot_write(self.output) or one_line(error))


def processes(how: Options, count: int) -> int:
    """How many processes compute so many cases; 0 if this one does."""
    if how.gpus:
        return len(how.gpus)
    limited = how.limits.seconds is not None or how.limits.bytes is not None
    if not limited and (how.jobs == 0 or (how.jobs is None and count == 1)):
        return 0
    number = min(how.jobs or _processors(), max(1, count))
    if how.jobs is None:
        number = max(1, min(number, memory.available().bytes // _SHARE))
    return number


def _processors() -> int:
    from joblib import cpu_count  # knows of containers and of processors that we may not use

    return int(cpu_count())


def check_output(output: Path, cases: list[Case]) -> None:
    """Refuse an output that cannot be a folder, or that is one of the inputs, before any work is done."""
    require_folder(output)
    for name in (failed.LISTING, "summary.csv", "run.json", "overview.html"):
        require_inside(output / name, output)
        require_file(output / name)
    if os.path.lexists(output / STATE) and not (output / STATE).is_dir():
        raise UsageError(f"{output / STATE} is no folder; runs keep there what they tell each other. Remove it.")
    target = output.resolve()
    for case in cases:
        source = case.image.resolve()
        # A DICOM folder is one input: nothing may appear inside it. Beside other files nothing may appear either.
        inside = source.is_dir() and (target / case.id).is_relative_to(source)
        if inside or target in (source, source.parent):
            raise UsageError(f"output {output} lies with the input {case.image}; choose a folder outside the data")


def check_report(path: Path, cases: list[Case]) -> None:
    """Refuse a report path that is an input or cannot be written, before any work is done."""
    if path.exists() and any(path.resolve() == case.image.resolve() for case in cases):
        raise UsageError(f"--report {path} is an input; choose another name")
    require_file(path)
