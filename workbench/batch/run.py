"""Run one backend over many cases: the model is loaded once, and a failing case never stops the others.

Resuming over shards, worker processes and clusters will plug in here: an executor only has to call `run_case`.
"""

from __future__ import annotations

import json
import os
import platform
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.batch import record
from workbench.core import case_folder, contract, kinds, leftovers, memory, registry
from workbench.core.atomic import write_json, write_text
from workbench.core.errors import Cancelled, OutOfMemory, UsageError, WorkbenchError, one_line
from workbench.core.output import require_file, require_folder, require_inside
from workbench.core.provenance import versions
from workbench.core.registry import Backend
from workbench.core.study import SHOWN, Skipped
from workbench.core.types import Case, Progress, Result, Scores

KEPT = "{folder}: files there were not as the workbench had written them; they are kept in {kept}"
"""What is said where a run found files that somebody else had changed or put there."""


@dataclass(frozen=True)
class Outcome:
    """What became of one case. ``status`` is ``"done"``, ``"skipped"`` (already there, verified) or ``"failed"``."""

    case: str
    status: str
    source: str
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    table: tuple[dict[str, Any], ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stage: str = ""
    error: str = ""
    message: str = ""
    exit_code: int = 0
    trace: str = ""


@dataclass
class RunReport:
    """Outcomes of a run, in order."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failures(self) -> list[Outcome]:
        return [o for o in self.outcomes if o.status == "failed"]

    @property
    def exit_code(self) -> int:
        """0 if all are done; 6 if memory was the only problem; 3 if a case failed for another reason."""
        codes = {o.exit_code for o in self.failures}
        if not codes:
            return 0
        return 6 if codes == {6} else codes.pop() if len(self.outcomes) == 1 else 3


def run(
    backend: Backend,
    cases: list[Case],
    output: Path,
    config: Any,
    *,
    format: str = "auto",
    overwrite: bool = False,
    fail_fast: bool = False,
    on_start: Callable[[Case, int, int], Progress | None] | None = None,
    on_end: Callable[[Outcome], None] | None = None,
    on_ready: Callable[[Any], None] | None = None,
    skipped: Sequence[Skipped] = (),
) -> RunReport:
    """Predict every case into ``output/<case id>/``.

    Parameters
    ----------
    config
        Settings of the backend, with ``weights`` and ``device``.
    format
        In which the results are written; ``"auto"`` keeps that of each image where it can.
    on_start, on_end
        Called around each case with (case, number, count) and its outcome; `on_start` may return a progress callable.
    on_ready
        Called once with the loaded model.
    skipped
        What of the input is no case: the record of each result names what lies beside its image.

    Raises
    ------
    UsageError, WeightsError
        Before any case is touched: the device, the weights or the output folder cannot be used.
    """
    check_output(output, cases)
    for folder in (output, *(output / case.id for case in cases)):
        if folder == output or not folder.is_symlink():
            leftovers.clean(folder)
    backend.module_for("predict")
    model = registry.load(backend, config)
    if on_ready:
        on_ready(model)
    report = RunReport()
    for number, case in enumerate(cases):
        progress = on_start(case, number, len(cases)) if on_start else None
        outcome = run_case(
            backend, model, case, output, config, format=format, overwrite=overwrite, progress=progress, skipped=skipped
        )
        report.outcomes.append(outcome)
        if on_end:
            on_end(outcome)
        if fail_fast and outcome.status == "failed":
            break
    if report.failures and len(cases) > 1:
        write_failures(output / "failures.jsonl", report)
    elif not report.failures:
        (output / "failures.jsonl").unlink(missing_ok=True)
    return report


def run_case(
    backend: Backend,
    model: Any,
    case: Case,
    output: Path,
    config: Any,
    *,
    format: str = "auto",
    overwrite: bool,
    progress: Progress | None,
    skipped: Sequence[Skipped] = (),
) -> Outcome:
    """Read, predict and write one case; every error but a cancel becomes part of the outcome."""
    from workbench.data.cases import open_case, settled
    from workbench.data.write import family_of, with_notes, write

    clock, stage, folder = time.perf_counter(), "read", output / case.id
    base: dict[str, Any] = {"case": case.id, "source": str(case.image)}
    try:
        require_inside(folder / record.NAME, output)
        image = open_case(*settled([case], backend))
        backend.require_kind(image)
        weights = registry.weights_of(model)
        state, differing = record.compare(
            folder,
            config=config,
            weights_sha256=None if weights is None else weights.sha256,
            image=image,
            format=family_of(image, format),
            kept=family_of(image),
        )
        if state == "complete" and not overwrite:
            return Outcome(status="skipped", **base)
        if state == "edited":
            raise UsageError(
                f"{folder} was corrected by hand and is never replaced; choose another output folder or move it away"
            )
        if state == "other" and not overwrite:
            raise UsageError(
                f"{folder} holds another result ({differing} differ); add --overwrite or choose another output folder"
            )
        stage = "predict"
        result = with_notes(contract.predict(backend, model, image, config, progress), format)
        result = _with_skipped(result, case, skipped)
        stage = "write"
        files = write(result, output, format=format, name=case.id)
        kept = (case_folder.read_record(folder) or {}).get("kept")
    except (Cancelled, KeyboardInterrupt):
        raise
    except Exception as error:
        short = not isinstance(error, OutOfMemory) and memory.exhausting(error)
        failure = OutOfMemory(memory.ran_out(case.image, short)) if short else error
        known = isinstance(failure, WorkbenchError)
        return Outcome(
            status="failed",
            seconds=round(time.perf_counter() - clock, 3),
            stage=stage,
            error=type(failure).__name__,
            message=one_line(failure) if known else f"{case.image}: {type(failure).__name__}: {one_line(failure)}",
            exit_code=failure.exit_code if isinstance(failure, WorkbenchError) else 1,
            trace="" if known else traceback.format_exc(),
            **base,
        )
    sizes = result.parts.get(kinds.find(image.kind).size_part)
    table = sizes.as_dicts() if isinstance(sizes, Scores) else []
    return Outcome(
        status="done",
        seconds=round(time.perf_counter() - clock, 3),
        files=tuple(str(f) for f in files),
        table=tuple(table),
        provenance=result.provenance.to_json(),
        notes=(*result.provenance.notes, *([KEPT.format(folder=folder, kept=kept)] if kept else [])),
        **base,
    )


def _with_skipped(result: Result, case: Case, skipped: Sequence[Skipped]) -> Result:
    """The result whose record names what lies beside its image and was not read."""
    beside = [s.line() for s in skipped if s.path.is_relative_to(case.image.parent)]
    if not beside:
        return result
    more = [f"and {len(beside) - SHOWN} more"] if len(beside) > SHOWN else []
    details = {**result.provenance.details, "skipped beside the image": [*beside[:SHOWN], *more]}
    return replace(result, provenance=replace(result.provenance, details=details))


def check_output(output: Path, cases: list[Case]) -> None:
    """Refuse an output that cannot be a folder, or that is one of the inputs, before any work is done."""
    require_folder(output)
    require_inside(output / "failures.jsonl", output)
    target = output.resolve()
    for case in cases:
        source = case.image.resolve()
        # A DICOM folder is one input: nothing may appear inside it. Beside other files nothing may appear either.
        inside = source.is_dir() and (target / case.id).is_relative_to(source)
        if inside or target in (source, source.parent):
            raise UsageError(f"output {output} lies with the input {case.image}; choose a folder outside the data")


def write_failures(path: Path, report: RunReport) -> Path:
    """One JSON line per failed case: what failed, at which stage, why."""
    lines = [json.dumps({k: v for k, v in asdict(o).items() if v not in ("", (), {}, 0)}) for o in report.failures]
    return write_text(path, "\n".join(lines) + "\n")


def write_report(path: Path, report: RunReport, header: dict[str, Any]) -> Path:
    """Machine-readable report of a run (``--report``): what ran, on what, with what, and every case."""
    machine = {"system": platform.platform(), "processors": os.cpu_count(), "versions": versions()}
    cases = [asdict(o) for o in report.outcomes]
    return write_json(path, {**header, **machine, "exit_code": report.exit_code, "cases": cases})


def check_report(path: Path, cases: list[Case]) -> None:
    """Refuse a report path that is an input or cannot be written, before any work is done."""
    if path.exists() and any(path.resolve() == case.image.resolve() for case in cases):
        raise UsageError(f"--report {path} is an input; choose another name")
    require_file(path)
