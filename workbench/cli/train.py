from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench.cli.lazy import BackendGroup
from workbench.cli.options import (
    as_command,
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
    @click.option(
        "-o", "--output", required=True, type=click.Path(path_type=Path), help="Weight file to write (.safetensors)."
    )
    @quiet_option
    @verbose_option
    def command(**arguments: Any) -> int:
        return _train(backend, **arguments)

    return as_command(backend.name, command, backend.settings_of("train"), f"Teach {backend.title}.")


@click.group(cls=BackendGroup, make=_make, verb="train")
def train() -> None:
    """Teach a model with your corrections, or from scratch (--weights none).

    The weights, a log (CSV) and a report with the curve are written. An interrupted training goes on with --resume.
    """


def _train(
    backend: Backend,
    *,
    source: str,
    labels: str | None,
    allow_truncated: bool,
    regularise: bool,
    output: Path,
    quiet: bool,
    verbose: bool,
    **values: Any,
) -> int:
    from workbench import api
    from workbench.cli.cases import labelled_cases
    from workbench.cli.progress import bar

    needed = kinds.find(backend.kind).needs_labels
    cases = labelled_cases(source, labels, needed=needed, kind=backend.kind, purpose="train", quiet=quiet)
    cases = reading_as_asked(cases, backend.kind, allow_truncated=allow_truncated, regularise=regularise)
    with bar("preparing", quiet=quiet, unit="step") as draw:

        def on_event(event: Any) -> None:
            draw.label(event.line())
            draw(event.step, event.steps)
            if event.validated and not quiet:
                with draw.paused():
                    say(event.line(), err=True)

        report = api.train(backend.name, cases, out=output, on_step=on_event, **values)
    if not quiet:
        score = "none" if report.score is None else f"{report.score:.3f}"
        say(f"{report.measure} {score} {report.validation}; {report.seconds:.0f} s; ended: {report.stopped}", err=True)
        for name, value in report.test.items():
            say(f"test {name} {value:.4f}", err=True)
        if report.copied:
            say(f"Taken over from {values['weights']}: {', '.join(report.copied)}", err=True)
    for note in getattr(report, "notes", ()):
        say(f"note: {note}", err=True)
    # Cases that it went on without; not every backend of others tells.
    failures = getattr(report, "failures", {})
    for why in failures.values():
        say(f"Error: {why}", err=True)
    for file in (report.weights, report.log, report.report):
        say(file)
    return exit_code(failures)
