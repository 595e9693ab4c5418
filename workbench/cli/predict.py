from __future__ import annotations

import errno
import json
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    run_options,
    series_option,
    verbose_option,
)
from workbench.cli.say import say, take_lost
from workbench.cli.told import Wanted, others_than, tell
from workbench.core import kinds
from workbench.core.atomic import write_json
from workbench.core.errors import one_line
from workbench.core.registry import Backend

if TYPE_CHECKING:
    from workbench.core.study import Study
    from workbench.core.types import Case

_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))


def _make(backend: Backend) -> click.Command:
    config = backend.settings_of("predict")

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
    @run_options
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

    Each case gets its own folder in the output, with its completion record. A case that fails, even by a crash, is
    reported and does not stop the others. Cases whose record is true are skipped. docs/batch.md says what is promised.
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
    num_shards: int,
    shard_index: int,
    dry_run: bool,
    report: Path | None,
    overview: bool,
    log_format: str,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> int:
    from workbench.batch.inputs import find
    from workbench.batch.run import RunReport, Stop, check_report, processes, run
    from workbench.batch.shards import shard
    from workbench.cli.cases import say_skipped
    from workbench.cli.progress import bar
    from workbench.cli.running import Shown, event, tell_warnings_as_events
    from workbench.core import settings

    if log_format == "json":
        tell_warnings_as_events()
    if kind is not None:
        kinds.find(kind)
    study = find(inputs, series=series, kind=kind or backend.kind)
    if log_format == "json":
        for left in () if quiet else study.skipped:
            event("left out", **left.to_json())
        for note in study.notes:
            event("note", text=note)
    else:
        say_skipped(study, quiet=quiet, everything=dry_run)
    cases = list(study.cases)
    if kind is not None:
        cases = [replace(c, options={**c.options, "kind": kind}) for c in cases]
    cases = reading_as_asked(cases, backend.kind, allow_truncated=allow_truncated, regularise=regularise)
    how = _options(values, len(cases), overview and len(cases) > 1)
    config = settings.build(backend.settings_of("predict"), values)
    mine = shard(cases, num_shards, shard_index)
    if report:
        check_report(report, cases)
    if dry_run:
        from workbench.batch.estimates import estimates

        expected = estimates(backend, config, mine, how.threads)
        rows = [_planned(c, output) | expected.of(c) for c in mine]
        for line in expected.lines(processes(how, len(mine))):
            say(line, err=True)
        if report:
            write_json(report, {"command": sys.argv, "dry_run": True, "planned": rows, **_left(study)})
        say(json.dumps(rows, indent=2) if as_json else "\n".join("\t".join(r.values()) for r in rows))
        return 0
    clock = time.monotonic()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    hidden = quiet or log_format == "json"
    with bar("loading", quiet=hidden, unit="case" if len(mine) > 1 else "window") as draw:
        shown = Shown(draw, backend.size_column, as_json=as_json, quiet=quiet, verbose=verbose, log=log_format)
        with Stop(shown.on_stop) as stop:
            done = run(
                backend,
                mine,
                output,
                config,
                how,
                on_start=shown.on_start,
                on_end=shown.on_end,
                on_ready=shown.on_ready,
                on_warning=shown.on_warning,
                skipped=study.skipped,
                stop=stop,
            )
    seconds = round(time.monotonic() - clock, 1)
    told = {
        "command": sys.argv,
        "seconds": seconds,
        "started": started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    part = f"-{shard_index}of{num_shards}" if num_shards > 1 else ""
    wanted = Wanted(as_json=as_json, report=report, overview=overview and len(cases) > 1, part=part)
    problem = tell(backend, cases, mine, output, done, how, {**told, **_left(study)}, wanted)
    if log_format == "text" and (lost := take_lost()):
        say(f"note: {lost} line(s) were lost, as nobody read them in time", err=True)
    code = RunReport(stopped=problem).exit_code if problem else done.exit_code
    if log_format == "json":
        shown.on_finish(
            **{name: done.count(name) for name in ("done", "skipped", "failed")},
            not_run=done.unfinished,
            exit_code=code,
            interrupted=done.interrupted,
            error=done.stopped or problem,
            other_cases=others_than(cases, output),
        )
        return code
    if len(cases) > 1:
        _summary(done, output)
        if wanted.overview and not (problem or done.stopped) and (output / "overview.html").is_file():
            say(f"Overview with pictures: {output / 'overview.html'}", err=True)
        if others := others_than(cases, output):
            say(f"note: {output} holds results of {others} other case(s), which are not in the overview", err=True)
    if done.interrupted:
        say(f"Interrupted ({done.interrupted}). Run again to go on.", err=True)
    if done.stopped or problem:
        count = done.count("done") + done.count("skipped")
        reason = done.stopped or problem
        advice = "free space" if reason.endswith(_FULL) else "mend that"
        say(
            f"Error: {reason}. {count} case(s) are complete; {advice} or choose another output folder, and run again: "
            "only the rest is computed.",
            err=True,
        )
    return code


def _options(values: dict[str, Any], count: int, pictures: bool) -> Any:
    """The options of the run, taken out of the values; what is left are settings of the backend."""
    from workbench.batch.run import Limits, Options
    from workbench.core.memory import parse_size

    limit = values.pop("memory_limit")
    limits = Limits(values.pop("time_limit"), None if limit is None else parse_size(limit, "--memory-limit"))
    gpus = tuple(g.strip() for g in (values.pop("gpus") or "").split(",") if g.strip())
    threads = values.pop("threads")
    # Sums depend on how many threads share them: a study gives the same bytes on every machine.
    threads = (1 if count > 1 else 0) if threads is None else threads
    names = ("overwrite", "verify", "retry_failed", "only_failed", "fail_fast", "jobs")
    chosen = {name: values.pop(name) for name in names}
    return Options(
        format=values.pop("written"),
        threads=threads,
        pictures=pictures,
        limits=limits,
        gpus=gpus,
        part_of=count,
        **chosen,
    )


def _summary(done: Any, output: Path) -> None:
    counts = f"{done.count('done')} done, {done.count('skipped')} already complete, {len(done.failures)} failed"
    say(counts + (f", {done.unfinished} not run" if done.unfinished else ""), err=True)
    if done.failures and not done.stopped:
        say(f"Failures are listed in {output / 'failures.jsonl'}", err=True)


def _planned(case: Case, output: Path) -> dict[str, str]:
    """A row of a dry run; a case that is known to fail says why."""
    row = {"case": case.id, "image": str(case.image), "output": str(output / case.id)}
    if case.files:
        row["image"] = ", ".join([str(case.image), *(f.name for f in case.files[1:])])
    return row | ({"problem": f"cannot be opened: {one_line(case.problem)}"} if case.problem else {})


def _left(study: Study) -> dict[str, Any]:
    """What of the input is no case, for reports."""
    return {"skipped": [s.to_json() for s in study.skipped], "input_notes": list(study.notes)}
