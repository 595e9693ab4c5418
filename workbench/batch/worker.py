"""A process that computes cases for a run: loads the model once, takes one case after the other, speaks JSON lines.

Started by `workbench.batch.pool`. Tasks come in on standard input, messages go out where standard output was; what
libraries print goes to standard error. It ends with the process that started it, whatever it is doing.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from workbench.core.errors import WorkbenchError, WorkbenchWarning, one_line
from workbench.core.exhausted import is_out_of_memory

_PROGRESS_SECONDS = 0.1


def main() -> int:
    """Take the set-up, say that we are ready, then compute what comes; 0 when nothing comes any more."""
    talk = _Talk(os.dup(1))
    os.dup2(2, 1)
    faulthandler.enable(all_threads=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), name="workbench-tasks", daemon=True).start()
    warnings.showwarning = talk.warn
    try:
        task = _set_up(tasks.get(), talk)
    except Exception as error:
        known, full = isinstance(error, WorkbenchError), is_out_of_memory(error)
        talk.say(failed={"error": type(error).__name__, "message": one_line(error), "known": known, "memory": full})
        return 1
    while True:
        _compute(task, tasks.get(), talk)


def _listen(tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        tasks.put(json.loads(line))
    os._exit(0)  # the run has ended, or was killed: nobody wants what is computed here


class _Talk:
    """Messages to the process that started this one."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.Lock()
        self._last = 0.0

    def say(self, **message: Any) -> None:
        data = json.dumps(message, default=str).encode() + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._handle, data) :]

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _PROGRESS_SECONDS or done >= total:
            self._last = now
            self.say(progress=[int(done), int(total)])

    def warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Warnings of ours are for people; those of libraries speak to programmers."""
        if issubclass(category, WorkbenchWarning):
            self.say(warning=one_line(message))


def _set_up(setup: dict[str, Any], talk: _Talk) -> Any:
    from workbench.batch.case import Task
    from workbench.core import registry, settings

    if setup.get("memory_limit"):
        _limit_memory(int(setup["memory_limit"]))
    backend = registry.find(setup["backend"])
    config = settings.build(backend.settings_of("predict"), setup["settings"])
    task = Task(
        backend,
        config,
        Path(setup["output"]),
        setup["format"],
        setup["overwrite"],
        setup["verify"],
        int(setup["threads"]),
        setup["pictures"],
    )
    model = registry.load(backend, config)
    torch: Any = sys.modules.get("torch")
    if torch is not None and task.threads:
        torch.set_num_threads(task.threads)
    weights = registry.weights_of(model)
    sha256 = None if weights is None else weights.sha256
    told = {"weights_sha256": sha256, "device": str(getattr(model, "device", "")), "text": registry.describe(model)}
    talk.say(ready=told)
    return task.with_model(model, sha256)


def _compute(task: Any, sent: dict[str, Any], talk: _Talk) -> None:
    from workbench.batch.case import run_case
    from workbench.batch.lease import Lease
    from workbench.batch.outcome import Outcome

    case = case_from_json(sent["case"])
    lease = None if sent["lease"] is None else Lease.from_json(sent["lease"])
    _forget_peak()
    _share_memory(sent["memory"])
    try:
        outcome = run_case(
            task,
            case,
            lease=lease,
            beside=sent["beside"],
            progress=talk.progress,
            on_stage=lambda stage: talk.say(stage=stage),
        )
    except BaseException as error:  # what no case may do to a run, not even KeyboardInterrupt of a stranger
        text = f"{case.image}: {type(error).__name__}: {one_line(error)}"
        outcome = Outcome(
            case.id, "failed", str(case.image), error=type(error).__name__, message=text, exit_code=1, trace=text
        )
    talk.say(outcome=outcome.to_json())


def _limit_memory(limit: int) -> None:
    """Have the system refuse more: an error in this process is better than the end of another one."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


_asked_for = os.environ.get("WORKBENCH_MEMORY_LIMIT")


def _share_memory(share: int | None) -> None:
    """What this case may take, as `workbench.core.memory` compares it; what a person has set is never widened."""
    if _asked_for is None and share is not None:
        os.environ["WORKBENCH_MEMORY_LIMIT"] = str(share)
    elif _asked_for is None:
        os.environ.pop("WORKBENCH_MEMORY_LIMIT", None)


def _end_with_parent() -> None:
    """On Linux the system kills us with our parent, even while we hold Python's lock; and us before it, for memory."""
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _forget_peak() -> None:
    """The highest memory so far was that of other cases."""
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def case_to_json(case: Any) -> dict[str, Any]:
    """A case as plain values."""
    return {
        "id": case.id,
        "image": str(case.image),
        "labels": None if case.labels is None else str(case.labels),
        "group": case.group,
        "options": dict(case.options),
        "files": [str(f) for f in case.files],
        "channels": list(case.channels),
        "problem": case.problem,
    }


def case_from_json(stored: dict[str, Any]) -> Any:
    """A case again."""
    from workbench.core.types import Case

    return Case(
        stored["id"],
        Path(stored["image"]),
        None if stored["labels"] is None else Path(stored["labels"]),
        stored["group"],
        stored["options"],
        tuple(Path(f) for f in stored["files"]),
        tuple(stored["channels"]),
        stored["problem"],
    )


if __name__ == "__main__":
    sys.exit(main())
