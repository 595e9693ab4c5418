from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from workbench.cli.lazy import BackendGroup
from workbench.cli.options import (
    as_command,
    json_option,
    output_folder_option,
    quiet_option,
    reading_as_asked,
    reading_options,
    verbose_option,
)
from workbench.cli.say import say
from workbench.core import kinds
from workbench.core.failures import exit_code
from workbench.core.registry import Backend


def _make(backend: Backend) -> click.Command:
    @click.option(
        "-i", "--input", "source", required=True, help="CSV/JSONL list, folder (searched below), zip, or one image."
    )
    @click.option("--labels", help="Folder with the labels of an image folder, or the labels of one image.")
    @reading_options
    @output_folder_option
    @json_option
    @quiet_option
    @verbose_option
    def command(**arguments: Any) -> int:
        return _evaluate(backend, **arguments)

    config = backend.settings_of("evaluate")
    return as_command(backend.name, command, config, f"Score {backend.title} against reference labels.")


@click.group(cls=BackendGroup, make=_make, verb="evaluate")
def evaluate() -> None:
    """Score a model against reference labels: CSV, JSON, and an HTML report with pictures of the worst cases."""


def _evaluate(
    backend: Backend,
    *,
    source: str,
    labels: str | None,
    allow_truncated: bool,
    regularise: bool,
    output: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> int:
    from workbench import api
    from workbench.cli.cases import labelled_cases
    from workbench.cli.progress import bar
    from workbench.core.jsonable import plain_json

    needed = kinds.find(backend.kind).needs_labels
    cases = labelled_cases(source, labels, needed=needed, kind=backend.kind, purpose="evaluate", quiet=quiet)
    cases = reading_as_asked(cases, backend.kind, allow_truncated=allow_truncated, regularise=regularise)
    with bar("evaluating", quiet=quiet, unit="window") as draw:
        report = api.evaluate(backend.name, cases, out=output, progress=draw, **values)
    for case, why in report.failures.items():
        if verbose and case in report.traces:
            say(report.traces[case], err=True)
        say(f"Error: {case}: {why}", err=True)
    for note in report.notes:
        say(f"note: {note}", err=True)
    if as_json:
        plain = {"summary": report.summary, "rows": report.rows, "failures": report.failures, "notes": report.notes}
        say(json.dumps(plain_json(plain), indent=2, allow_nan=False))
    else:
        say(report.text())
        for file in report.files:
            say(file)
    return exit_code(report.failures)
