"""Who computes: this process (`Here`), or others that it watches (`workbench.batch.pool.Pool`)."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from workbench.batch.case import Task, run_case
from workbench.batch.lease import Lease
from workbench.batch.outcome import Outcome
from workbench.core import registry
from workbench.core.types import Case, Progress


@dataclass(frozen=True)
class Item:
    """One case to compute, with the right to do so."""

    case: Case
    lease: Lease | None = None
    beside: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True)
class Ready:
    """What is known once the model is loaded: hash of the weights, where it computes, and a line for people."""

    weights_sha256: str | None
    device: str
    text: str


@dataclass(frozen=True)
class Event:
    """Something happened to a case that is computed: its outcome, or only that it came further, or a line to say."""

    item: Item | None
    outcome: Outcome | None = None
    done: int = 0
    total: int = 0
    warning: str = ""


class Executor(Protocol):
    """Computes cases."""

    def open(self) -> Ready:
        """Load the model; errors of the weights and the device are raised here, before any case is touched."""

    @property
    def free(self) -> int:
        """How many more cases can be started now."""

    @property
    def running(self) -> int:
        """How many cases are being computed."""

    def start(self, item: Item) -> None:
        """Begin a case."""

    def events(self, seconds: float) -> list[Event]:
        """What happened since the last call; waits at most so long for something to happen."""

    def stop(self) -> list[Item]:
        """Stop everything at once; gives the cases that were being computed."""

    def close(self) -> None:
        """End."""


class Here:
    """Computes in this process, one case after the other.

    Parameters
    ----------
    on_progress
        Gives for a case what is called with (done, total) while it is computed.
    """

    def __init__(self, task: Task, on_progress: Any = None) -> None:
        self._task = task
        self._events: deque[Event] = deque()
        self._on_progress = on_progress
        self._threads = contextlib.ExitStack()

    def open(self) -> Ready:
        model = registry.load(self._task.backend, self._task.config)
        weights = registry.weights_of(model)
        sha256 = None if weights is None else weights.sha256
        self._task = self._task.with_model(model, sha256)
        self._threads.enter_context(limited_threads(self._task.threads))
        return Ready(sha256, str(getattr(model, "device", "")), registry.describe(model))

    @property
    def model(self) -> Any:
        return self._task.model

    @property
    def free(self) -> int:
        return 0 if self._events else 1

    @property
    def running(self) -> int:
        return len(self._events)

    def start(self, item: Item) -> None:
        progress: Progress | None = None if self._on_progress is None else self._on_progress(item.case)
        outcome = run_case(self._task, item.case, lease=item.lease, beside=item.beside, progress=progress)
        self._events.append(Event(item, outcome))

    def events(self, seconds: float) -> list[Event]:
        found = list(self._events)
        self._events.clear()
        return found

    def stop(self) -> list[Item]:
        return []

    def close(self) -> None:
        self._threads.close()


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """So many threads for torch, BLAS and OpenMP inside; 0 leaves them as they are.

    Sums of floating-point numbers depend on how many threads share them.
    """
    if threads < 1:
        yield
        return
    from threadpoolctl import threadpool_limits

    torch: Any = sys.modules.get("torch")  # a method without it needs none
    before = None if torch is None else torch.get_num_threads()
    with threadpool_limits(threads):
        if torch is not None:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)
