"""Read, predict and write one case: in this process or in a worker, what happens is the same."""

from __future__ import annotations

import errno
import json
import math
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from workbench.batch import record
from workbench.batch.lease import Lease
from workbench.batch.outcome import Outcome
from workbench.core import case_folder, contract, leftovers, memory, provenance
from workbench.core.atomic import write_text
from workbench.core.errors import Cancelled, OutOfMemory, UsageError, WorkbenchError, one_line
from workbench.core.output import require_inside
from workbench.core.pieces import Pieces
from workbench.core.registry import Backend
from workbench.core.study import SHOWN, Skipped
from workbench.core.types import Case, Image, Progress, Result, Scores

KEPT = "{folder}: files there were not as the workbench had written them; they are kept in {kept}"
"""What is said where a run found files that somebody else had changed or put there."""

NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""What the system says where nothing more can be written: no other case can be done either."""


@dataclass(frozen=True)
class Task:
    """One backend with its model, and what to do with each case.

    Parameters
    ----------
    format, overwrite, verify
        Of the results; whether those of other settings are replaced; whether finished ones are hashed.
    threads
        How many threads compute; 0 says nothing about it.
    pictures
        Whether a small picture of each result is made for the overview.
    """

    backend: Backend
    config: Any
    output: Path
    format: str = "auto"
    overwrite: bool = False
    verify: bool = False
    threads: int = 0
    pictures: bool = False
    wanted: record.Wanted = field(init=False)
    model: Any = None

    def with_model(self, model: Any, weights_sha256: str | None) -> Task:
        """The same with the loaded model."""
        task = replace(self, model=model)
        wanted = record.Wanted.of(self.backend.name, self.config, weights_sha256, self.format)
        object.__setattr__(task, "wanted", wanted)
        return task


def run_case(
    task: Task,
    case: Case,
    *,
    lease: Lease | None = None,
    beside: Sequence[str] = (),
    progress: Progress | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Outcome:
    """Read, predict and write one case; every error but a cancel becomes part of the outcome.

    Parameters
    ----------
    lease
        Nothing is written once somebody else has it.
    beside
        What lies beside the image and was not read, a line each: its record names it.
    on_stage
        Called with ``"read"``, ``"predict"`` and ``"write"`` when these begin.
    """
    clock = time.perf_counter()
    base: dict[str, Any] = {"case": case.id, "source": str(case.image)}
    stage = "read"

    def begin(name: str) -> None:
        nonlocal stage
        stage = name
        if on_stage is not None:
            on_stage(name)

    try:
        begin("read")
        done = _run(task, case, lease, beside, progress, begin)
    except (Cancelled, KeyboardInterrupt):
        raise
    except case_folder.Superseded as error:
        return Outcome(status="failed", message=str(error), lost=True, **base)
    except (Exception, SystemExit) as error:  # a backend that ends the program ends its case
        failed = _failure(error, stage, case)
        if reason := _no_place(error, stage, task, lease):
            failed = replace(failed, stops=reason)
    else:
        failed = done
    return replace(
        failed,
        seconds=round(time.perf_counter() - clock, 3) if failed.status != "skipped" else 0.0,
        peak_memory_mb=round(provenance.peak_memory_mb(), 1),
        **base,
    )


def _run(
    task: Task,
    case: Case,
    lease: Lease | None,
    beside: Sequence[str],
    progress: Progress | None,
    begin: Callable[[str], None],
) -> Outcome:
    from workbench.data.cases import open_case, settled
    from workbench.data.write import family_of, with_notes, write

    folder = task.output / case.id
    require_inside(folder / record.NAME, task.output)
    if not folder.is_symlink():
        leftovers.clean(folder)
    (case,) = settled([case], task.backend)
    image = open_case(case)
    task.backend.require_kind(image)
    state, differing = record.compare(
        folder,
        task.wanted,
        case,
        image,
        format=family_of(image, task.format),
        kept=family_of(image),
        verify=task.verify,
    )
    if state == "complete" and not task.overwrite:
        record.refresh(folder, case, image, task.wanted)
        return Outcome(case.id, "skipped", "")
    if state == "edited" and not task.overwrite and record.is_of(folder, image):
        return Outcome(case.id, "skipped", "", notes=(f"{folder}: was corrected by hand, and stays as it is",))
    if state == "edited":
        raise UsageError(
            f"{folder} was corrected by hand and is never replaced; choose another output folder or move it away"
        )
    if state == "other" and not task.overwrite:
        raise UsageError(
            f"{folder} holds another result ({differing} differ); add --overwrite or choose another output folder"
        )
    changed = (f"{case.image}: was changed since it was done before; computed again",) if state == "changed" else ()
    begin("predict")
    pieces = partial(Pieces, folder)
    result = contract.predict(task.backend, task.model, image, task.config, progress, pieces)
    result = with_notes(result, task.format)
    result = _with_details(result, beside, task.threads)
    begin("write")
    _require_there(task.output, lease)
    about = record.about(case, image, task.format, task.wanted.files)
    allowed = None if lease is None else lease.is_held
    files = write(result, task.output, format=task.format, name=case.id, about=about, allowed=allowed)
    pieces({}).clear()
    kept = (case_folder.read_record(folder) or {}).get("kept")
    sizes = result.parts.get(task.backend.size_part)
    if task.pictures:
        _draw(result, task.output, case)
    return Outcome(
        case.id,
        "done",
        "",
        files=tuple(str(f) for f in files),
        samples=samples_of(image),
        table=tuple(_plain(sizes.as_sizes()) if isinstance(sizes, Scores) else ()),
        notes=(*changed, *result.provenance.notes, *([KEPT.format(folder=folder, kept=kept)] if kept else [])),
    )


def samples_of(image: Image) -> int:
    """How many samples an image has, of all channels."""
    return len(image.channels) * math.prod(image.geometry.shape)


class _Gone(UsageError):
    """The output folder is not there any more."""


def _require_there(output: Path, lease: Lease | None) -> None:
    """Somebody may have moved the output folder away: a new one with one result in it would hide that."""
    if lease is None or lease.is_held():
        return
    if not lease.path.exists():
        raise _Gone(f"{output}: the output folder was removed, or emptied, while the run was going on")
    raise case_folder.Superseded(f"{output}: another run has taken the case over; nothing was written")


def _with_details(result: Result, beside: Sequence[str], threads: int) -> Result:
    """The result whose record names what lies beside its image and was not read, and how many threads computed."""
    details = dict(result.provenance.details)
    if beside:
        more = [f"and {len(beside) - SHOWN} more"] if len(beside) > SHOWN else []
        details["skipped beside the image"] = [*beside[:SHOWN], *more]
    if threads:
        details["threads"] = threads
    return replace(result, provenance=replace(result.provenance, details=details))


def beside(case: Case, skipped: Sequence[Skipped]) -> list[str]:
    """What of the input lies in the folder of an image and is no case, a line each."""
    return [s.line() for s in skipped if s.path.is_relative_to(case.image.parent)]


def _failure(error: BaseException, stage: str, case: Case) -> Outcome:
    short = not isinstance(error, OutOfMemory) and memory.exhausting(error)
    failure = OutOfMemory(memory.ran_out(case.image, short)) if short else error
    known = isinstance(failure, WorkbenchError)
    return Outcome(
        case.id,
        "failed",
        "",
        stage=stage,
        error=type(failure).__name__,
        message=_named(failure, stage, case) if known else f"{case.image}: {type(failure).__name__}: {_text(failure)}",
        exit_code=failure.exit_code if isinstance(failure, WorkbenchError) else 1,
        trace="" if known else traceback.format_exc(),
    )


def _named(error: object, stage: str, case: Case) -> str:
    """What an error says; who writes knows the parts of a result, and not which case they are of."""
    text = _text(error)
    named = any(one_line(name) in text for name in (case.image.name, case.id))
    return text if named or stage != "write" else f"{one_line(case.image)}: {text}"


def _text(error: object) -> str:
    try:
        return one_line(error)
    except Exception as broken:  # an error of a stranger that cannot even be shown
        return f"(its text cannot be shown: {type(broken).__name__})"


def _no_place(error: BaseException, stage: str, task: Task, lease: Lease | None) -> str:
    """Why nothing more can be written, if that is so: a full disk, a quota, a share that is gone."""
    if isinstance(error, _Gone):
        return str(error)
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno in NO_PLACE and (stage == "write" or cause.errno != errno.EROFS):
            return f"{_name(cause.filename) or task.output}: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    if stage != "write":
        return ""
    return cannot_write(task.output)


def _name(file: Any) -> str:
    return os.fsdecode(file) if isinstance(file, str | bytes) else ""


def cannot_write(output: Path) -> str:
    """What the system says when a small file is written into the output folder; "" if that works."""
    try:
        probe = write_text(output / f"{leftovers.PART}-probe-{leftovers.tag()}", " " * 65536)
        probe.unlink()
    except (OSError, UsageError) as error:
        known = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return f"{output}: {getattr(known, 'strerror', None) or one_line(known)}"
    return ""


def _draw(result: Result, output: Path, case: Case) -> None:
    """A small picture of the result for the overview; one that cannot be drawn is left out."""
    from workbench.core.preview import preview_of

    if png := preview_of(result):
        from workbench.batch.pictures import keep

        keep(output, case.id, png)


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers of NumPy as those of Python."""
    found: list[dict[str, Any]] = json.loads(
        json.dumps(rows, default=lambda v: v.item() if hasattr(v, "item") else str(v))
    )
    return found
