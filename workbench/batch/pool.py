"""Computes cases in processes of its own, which may die: that is then the failure of one case, and of no other.

Each process loads the model once and takes one case after the other. It is replaced after a crash, a limit, or an
error that nobody foresaw. This process only waits, looks at clocks and memory, and kills what is over a limit.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from workbench.batch import process_end
from workbench.batch.case import Task
from workbench.batch.executors import Event, Item, Ready
from workbench.batch.outcome import Outcome
from workbench.batch.worker import case_to_json
from workbench.core import errors, memory, settings
from workbench.core.errors import OutOfMemory, WorkbenchError

_LOOK_SECONDS = 0.1
"""Between two looks at the memory of the processes."""

_STILLBORN = 3
"""Processes in a row that may end while they load the model, after one could load it."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Limits:
    """What one case may take: seconds, and bytes of memory of its process; ``None`` for no limit."""

    seconds: float | None = None
    bytes: int | None = None


@dataclass
class _Worker:
    """One process and what is known of it."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]
    gpu: str = ""
    ready: Ready | None = None
    item: Item | None = None
    stage: str = ""
    since: float = 0.0
    killed: str = ""
    ended: bool = False
    proc: Any = None

    @property
    def is_free(self) -> bool:
        return self.ready is not None and self.item is None and not self.ended

    def give(self, item: Item) -> None:
        """This case is to be computed next."""
        self.item, self.stage, self.since = item, "start", time.monotonic()


@dataclass
class Pool:
    """Processes that compute cases; see `workbench.batch.executors.Executor`.

    Parameters
    ----------
    jobs
        How many at once.
    gpus
        As ``CUDA_VISIBLE_DEVICES`` names them: one process for each.
    memory_share
        Bytes that each may take, as `workbench.core.memory` compares them, unless its case is alone; ``None`` leaves
        that to the machine.
    """

    task: Task
    jobs: int
    limits: Limits = field(default_factory=Limits)
    gpus: tuple[str, ...] = ()
    memory_share: int | None = None
    _workers: list[_Worker] = field(default_factory=list)
    # No SimpleQueue: a signal that is heard right before its time is over makes that wait for ever (Python 3.11).
    _messages: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = field(default_factory=queue.Queue)
    _waiting: list[Event] = field(default_factory=list)
    _first: Ready | None = None
    _kills: int = 0
    _stillborn: int = 0
    _looked: float = 0.0

    def open(self) -> Ready:
        self._kills = process_end.kills_for_memory()
        self._start_process()
        while self._first is None:
            self._waiting += self.events(1.0)
        return self._first

    @property
    def free(self) -> int:
        idle = sum(w.is_free for w in self._workers)
        return idle + max(0, self.jobs - len(self._workers))

    @property
    def running(self) -> int:
        return sum(w.item is not None for w in self._workers) + len(self._waiting)

    def start(self, item: Item) -> None:
        idle = next((w for w in self._workers if w.is_free), None) or self._start_process()
        idle.give(item)
        if idle.ready is not None:
            self._send(idle)

    def events(self, seconds: float) -> list[Event]:
        found, self._waiting = self._waiting, []
        end = time.monotonic() + (0.0 if found else seconds)
        while True:
            with suppress(queue.Empty):
                while True:
                    wait = min(_LOOK_SECONDS, max(0.0, end - time.monotonic()))
                    found += self._on_message(*self._messages.get(timeout=wait if not found else 0.0))
            self._look()
            if found or time.monotonic() >= end:
                return found

    def stop(self) -> list[Item]:
        """Kill what computes; gives the cases."""
        stopped = [w.item for w in self._workers if w.item is not None]
        for worker in self._workers:
            worker.item, worker.ended = None, True
            _kill(worker)
        return stopped

    def close(self) -> None:
        for worker in self._workers:
            with suppress(OSError):
                if worker.process.stdin is not None:
                    worker.process.stdin.close()
        end = time.monotonic() + 5.0
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(worker)
                worker.process.wait()
            worker.said.close()
        self._workers.clear()

    # --- processes

    def _start_process(self) -> _Worker:
        gpu = ""
        if self.gpus:
            taken = [w.gpu for w in self._workers]
            gpu = next((g for g in self.gpus if g not in taken), self.gpus[0])
        said = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as its process)
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.batch.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=self._environment(gpu),
            # What is typed at the terminal is meant for us; we tell the others.
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        worker = _Worker(process, said, gpu)
        self._workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), name="workbench-worker", daemon=True).start()
        setup = {
            "backend": self.task.backend.name,
            "settings": self._settings(gpu),
            "output": str(self.task.output),
            "format": self.task.format,
            "overwrite": self.task.overwrite,
            "verify": self.task.verify,
            "threads": self.task.threads,
            "pictures": self.task.pictures,
            "memory_limit": self.limits.bytes,
        }
        self._write(worker, setup)
        return worker

    def _environment(self, gpu: str) -> dict[str, str]:
        own = dict(os.environ)
        # The worker finds the very package that runs here, wherever this process was started from.
        places = [str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)]
        own["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(places))
        if self.task.threads:
            own |= dict.fromkeys(_THREAD_VARIABLES, str(self.task.threads))
        if gpu:
            own["CUDA_VISIBLE_DEVICES"] = gpu
        return own

    def _settings(self, gpu: str) -> dict[str, Any]:
        values = settings.as_dict(self.task.config)
        return {**values, "device": "cuda"} if gpu and "device" in values else values

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        for line in worker.process.stdout:
            with suppress(ValueError):
                self._messages.put((worker, json.loads(line)))
        worker.process.stdout.close()
        self._messages.put((worker, None))

    def _write(self, worker: _Worker, value: Mapping[str, Any]) -> None:
        with suppress(OSError):  # it has died meanwhile; its end is told as a message
            assert worker.process.stdin is not None
            worker.process.stdin.write(json.dumps(value).encode() + b"\n")
            worker.process.stdin.flush()

    def _send(self, worker: _Worker) -> None:
        item = worker.item
        assert item is not None
        worker.stage, worker.since = "read", time.monotonic()
        process_end.empty(worker.said)
        self._write(
            worker,
            {
                "case": case_to_json(item.case),
                "lease": None if item.lease is None else item.lease.to_json(),
                "beside": list(item.beside),
                "memory": None if item.alone else self.memory_share,
            },
        )

    # --- what they say

    def _on_message(self, worker: _Worker, message: dict[str, Any] | None) -> list[Event]:
        if message is None:
            return self._on_end(worker)
        if "ready" in message:
            self._on_ready(worker, Ready(**message["ready"]))
        elif "failed" in message:
            if message["failed"].get("memory") and self.limits.bytes is not None:
                raise self._too_little("could not get memory")
            raise _error_of(message["failed"])
        elif "warning" in message:
            return [Event(worker.item, warning=str(message["warning"]))]
        elif worker.item is None:
            return []  # it was stopped meanwhile
        elif "stage" in message:
            worker.stage = str(message["stage"])
        elif "progress" in message:
            done, total = message["progress"]
            return [Event(worker.item, done=done, total=total)]
        elif "outcome" in message:
            return [self._on_outcome(worker, Outcome.from_json(message["outcome"]))]
        return []

    def _too_little(self, what: str) -> OutOfMemory:
        """The limit of a case does not even do for the model."""
        limit = self.limits.bytes or 0
        allowed = memory.size(limit) if limit >= 10**7 else f"{limit} bytes"
        return OutOfMemory(
            f"--memory-limit {allowed}: a process {what} while it loaded the model; that is "
            "too little for the model alone. Allow more."
        )

    def _on_ready(self, worker: _Worker, ready: Ready) -> None:
        worker.ready, self._stillborn = ready, 0
        if self._first is None:
            self._first = ready
        elif ready.weights_sha256 != self._first.weights_sha256:
            raise errors.WeightsError(
                "the weights were changed or replaced while the run was going on; what is done was made with the ones "
                "before. Run again with the ones that you mean."
            )
        if worker.item is not None:
            self._send(worker)

    def _on_outcome(self, worker: _Worker, outcome: Outcome) -> Event:
        item, worker.item = worker.item, None
        if outcome.status == "failed" and (outcome.trace or outcome.error == "OutOfMemory"):
            # Nobody knows what such an error leaves behind in a process, and in its memory.
            self._retire(worker)
        return Event(item, outcome)

    def _retire(self, worker: _Worker) -> None:
        worker.ended = True
        with suppress(OSError):
            if worker.process.stdin is not None:
                worker.process.stdin.close()

    def _on_end(self, worker: _Worker) -> list[Event]:
        """A process has ended: the case that it was computing failed."""
        code = worker.process.wait()
        said = process_end.last_words(worker.said)
        worker.said.close()
        with suppress(OSError):  # what was still to be written to it is lost
            if worker.process.stdin is not None:
                worker.process.stdin.close()
        if worker in self._workers:
            self._workers.remove(worker)
        item, worker.item = worker.item, None
        if worker.ready is None and not worker.killed and not worker.ended:
            self._stillborn += 1
            if self._first is None or self._stillborn > _STILLBORN:
                if self.limits.bytes is not None:
                    raise self._too_little(f"ended ({process_end.how(code)})")
                last = "".join(said.strip().splitlines()[-1:])
                raise WorkbenchError(
                    f"a worker process ended before it was ready ({process_end.how(code)}). {last}".rstrip()
                )
            # Others could load the model: what ended this one, memory say, was of the moment. The case was not begun.
            if item is not None:
                self._start_process().give(item)
            return []
        if item is None:
            return []
        return [Event(item, self._death(item, worker, code, said))]

    def _death(self, item: Item, worker: _Worker, code: int, said: str) -> Outcome:
        seconds = round(time.monotonic() - worker.since, 3)
        error, exit_code, hint = "Crash", 1, "Try it alone with -v; if it dies again, report it with what it said last."
        cause = f"its process ended: {process_end.how(code)}"
        if worker.killed == "time":
            error, exit_code = "TimeLimit", 3
            cause = f"took longer than the {self.limits.seconds:g} s that --time-limit allows, and was ended"
            hint = "Give it more time, or look at what is unusual about it."
        elif worker.killed == "memory":
            error, exit_code = "OutOfMemory", 6
            cause = (
                f"took more than the {memory.size(self.limits.bytes or 0)} that --memory-limit allows, and was ended"
            )
            hint = "Give it more memory."
        elif code == -int(getattr(signal, "SIGKILL", 9)) and (kills := process_end.kills_for_memory()) > self._kills:
            self._kills = kills
            error, exit_code, cause = "OutOfMemory", 6, "the system ended its process because memory ran out"
            hint = "Use fewer --jobs, a --memory-limit, or a machine with more memory."
        trace = said if error == "Crash" else ""
        return Outcome(
            item.case.id,
            "failed",
            str(item.case.image),
            seconds=seconds,
            stage=worker.stage,
            error=error,
            message=f"{item.case.image}: {cause} (stage: {worker.stage}). {hint}",
            hint=hint,
            exit_code=exit_code,
            trace=trace,
        )

    # --- limits

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS / 2:
            return
        self._looked = now
        for worker in self._workers:
            if worker.item is None or worker.ready is None or worker.killed:
                continue
            if self.limits.seconds is not None and now - worker.since > self.limits.seconds:
                worker.killed = "time"
                _kill(worker)
            elif self.limits.bytes is not None and _resident(worker) > self.limits.bytes:
                worker.killed = "memory"
                _kill(worker)


def _error_of(told: Mapping[str, Any]) -> Exception:
    """The error with which a worker could not begin, as if it had been raised here."""
    kind = getattr(errors, str(told.get("error")), None)
    text = str(told.get("message"))
    if isinstance(kind, type) and issubclass(kind, WorkbenchError) and kind is not errors.MissingExtra:
        return kind(text)
    return WorkbenchError(text) if told.get("known") else RuntimeError(f"{told.get('error')}: {text}")


def _kill(worker: _Worker) -> None:
    """End a process and what it has started."""
    with suppress(OSError):
        if sys.platform == "win32":
            worker.process.kill()
        else:
            os.killpg(worker.process.pid, signal.SIGKILL)


def _resident(worker: _Worker) -> int:
    import psutil

    try:
        if worker.proc is None:
            worker.proc = psutil.Process(worker.process.pid)
        return int(worker.proc.memory_info().rss)
    except psutil.Error:
        return 0
