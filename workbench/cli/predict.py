from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from workbench.cli.lazy import BackendGroup
from workbench.cli.options import (
    as_command,
    input_option,
    json_option,
    kind_option,
    output_folder_option,
    quiet_option,
    reading_as_asked,
    reading_options,
    series_option,
    verbose_option,
)
from workbench.cli.say import say
from workbench.core import kinds, registry
from workbench.core.atomic import write_json
from workbench.core.errors import one_line
from workbench.core.registry import Backend
from workbench.core.study import Study
from workbench.core.types import Case


def _make(backend: Backend) -> click.Command:
    config = backend.load_module().Config

    @input_option
    @output_folder_option
    @series_option
    @kind_option
    @reading_options
    @click.option(
        "--format",
        "written",
        type=click.Choice(["auto", *kinds.find(backend.kind).formats]),
        default="auto",
        help="Format of the results; auto keeps that of the input where it can.",
    )
    @click.option("--overwrite", is_flag=True, help="Replace results of other settings.")
    @click.option("--fail-fast", is_flag=True, help="Stop at the first case that fails.")
    @click.option("--dry-run", is_flag=True, help="List the cases and stop.")
    @click.option("--report", type=click.Path(path_type=Path), help="Write a JSON report of the run here.")
    @json_option
    @quiet_option
    @verbose_option
    def command(**arguments: Any) -> int:
        return _predict(backend, **arguments)

    return as_command(backend.name, command, config, f"{backend.title}: {backend.task}.")


@click.group(cls=BackendGroup, make=_make, verb="predict")
def predict() -> None:
    """Run a model over a file, a folder, a glob or a CSV/JSONL list.

    Each case gets its own folder in the output, with its provenance. A case that fails is reported and does not stop
    the others. Cases that are already complete (verified by hash) are skipped.
    """


def _predict(
    backend: Backend,
    *,
    inputs: tuple[str, ...],
    output: Path,
    series: str | None,
    kind: str | None,
    allow_truncated: bool,
    regularise: bool,
    written: str,
    overwrite: bool,
    fail_fast: bool,
    dry_run: bool,
    report: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> int:
    from workbench.batch.inputs import find
    from workbench.batch.run import Outcome, check_report, run, write_report
    from workbench.cli.cases import say_skipped
    from workbench.cli.progress import bar
    from workbench.core import settings
    from workbench.core.types import Progress

    if kind is not None:
        kinds.find(kind)
    study = find(inputs, series=series, kind=kind or backend.kind)
    say_skipped(study, quiet=quiet, everything=dry_run)
    cases = list(study.cases)
    if kind is not None:
        cases = [replace(c, options={**c.options, "kind": kind}) for c in cases]
    cases = reading_as_asked(cases, backend.kind, allow_truncated=allow_truncated, regularise=regularise)
    config = settings.build(backend.load_module().Config, values)
    if dry_run:
        rows = [_planned(c, output) for c in cases]
        if report:
            check_report(report, cases)
            write_json(report, {"command": sys.argv, "dry_run": True, "planned": rows, **_left(study)})
        say(json.dumps(rows, indent=2) if as_json else "\n".join("\t".join(r.values()) for r in rows))
        return 0
    if report:
        check_report(report, cases)
    started = datetime.now(UTC).isoformat(timespec="seconds")

    with bar("loading", quiet=quiet, unit="window") as draw:

        def on_start(case: Case, number: int, count: int) -> Progress:
            draw.label(f"[{number + 1}/{count}] {case.id}")
            return draw

        def on_end(outcome: Outcome) -> None:
            with draw.paused():
                _say(outcome, kinds.find(backend.kind).size_column, as_json=as_json, quiet=quiet, verbose=verbose)

        def on_ready(model: Any) -> None:
            if not quiet:
                with draw.paused():
                    say(registry.describe(model), err=True)

        outcome = run(
            backend,
            cases,
            output,
            config,
            format=written,
            overwrite=overwrite,
            fail_fast=fail_fast,
            on_start=on_start,
            on_end=on_end,
            on_ready=on_ready,
            skipped=study.skipped,
        )
    if as_json:
        say(json.dumps([o.__dict__ for o in outcome.outcomes], indent=2, default=str))
    if report:
        header = {"command": sys.argv, "started": started, "finished": datetime.now(UTC).isoformat(timespec="seconds")}
        write_report(report, outcome, {**header, **_left(study)})
    if len(cases) > 1:
        done = sum(o.status == "done" for o in outcome.outcomes)
        skipped = sum(o.status == "skipped" for o in outcome.outcomes)
        say(f"{done} done, {skipped} already complete, {len(outcome.failures)} failed", err=True)
        if outcome.failures:
            say(f"Failures are listed in {output / 'failures.jsonl'}", err=True)
    return outcome.exit_code


def _planned(case: Case, output: Path) -> dict[str, str]:
    """A row of a dry run; a case that is known to fail says why."""
    row = {"case": case.id, "image": str(case.image), "output": str(output / case.id)}
    if case.files:
        row["image"] = ", ".join([str(case.image), *(f.name for f in case.files[1:])])
    return row | ({"problem": f"cannot be opened: {one_line(case.problem)}"} if case.problem else {})


def _left(study: Study) -> dict[str, Any]:
    """What of the input is no case, for reports."""
    return {"skipped": [s.to_json() for s in study.skipped], "input_notes": list(study.notes)}


def _say(outcome: Any, size_column: str, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    if outcome.status == "failed":
        if verbose and outcome.trace:
            say(outcome.trace, err=True)
        say(f"Error: {outcome.message}", err=True)
        return
    if not quiet:
        how = "already complete" if outcome.status == "skipped" else f"{outcome.seconds:.1f} s"
        say(f"{outcome.case}: {how}", err=True)
        for note in outcome.notes:
            say(f"  note: {note}", err=True)
        for row in outcome.table:
            say(f"  {row.get('class', '')!s:<24} {_amount(row, size_column)}".rstrip(), err=True)
    if not as_json:
        for file in outcome.files:
            say(file)


def _amount(row: Any, size_column: str) -> str:
    """The size of a class, in the unit that its table is in; counted samples where that is all the table has."""
    value = row.get(size_column)
    unit = size_column.partition("[")[2].rstrip("]")
    if isinstance(value, int | float):
        return f"{value:>10.1f} {unit}"
    counted = next((name for name in ("pixels", "voxels") if name in row), None)
    return "" if counted is None else f"{row[counted]:>10} {counted}"
