"""Options that several commands share, and flags made from the settings of a backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from workbench.core.settings import Setting, describe

if TYPE_CHECKING:
    from workbench.core.types import Case

F = TypeVar("F", bound=Callable[..., Any])


class FiniteRange(click.FloatRange):
    """Numbers of a range, without those that no range stops."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value!r} is no finite number.", param, ctx)


verbose_option = click.option("-v", "--verbose", is_flag=True, help="More messages, and tracebacks of errors.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress bars; only errors and the summary.")
kind_option = click.option(
    "--kind", help="Read the input as this kind of data (volume, scene, recording, ...), where a file could be several."
)
series_option = click.option(
    "--series",
    help="DICOM series where a folder holds several: UID, end of UID, number in the listing of `info`, or a rule"
    ' for all folders, e.g. "description=*arterial*,modality=CT,slices>40".'
    " Of a PDF or TIFF file the number of the page, or `all` for each.",
)
truncated_option = click.option(
    "--allow-truncated", is_flag=True, help="Read what is there of a recording that was cut off or never closed."
)
regularise_option = click.option(
    "--regularise", is_flag=True, help="Resample DICOM slices in uneven steps to even ones; it is noted."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
input_option = click.option(
    "-i",
    "--input",
    "inputs",
    required=True,
    multiple=True,
    help="File, folder, zip, glob, or CSV/JSONL list; repeatable.",
)
output_folder_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the results; made if missing."
)


def run_options(function: F) -> F:
    """How a study is gone through: what is done again, by how many processes, with which limits."""
    options = [
        click.option("--overwrite", is_flag=True, help="Replace results of other settings; compute all again."),
        click.option("--resume", is_flag=True, help="Skip what is complete, the default.", expose_value=False),
        click.option(
            "--verify", is_flag=True, help="Hash inputs and results of complete cases before they are skipped."
        ),
        click.option(
            "--retry-failed", is_flag=True, help="Also try again what was refused before and has not changed."
        ),
        click.option("--only-failed", is_flag=True, help="Only the cases that failed before."),
        click.option("--fail-fast", is_flag=True, help="Start no more cases after one that failed."),
        click.option(
            "--jobs",
            type=click.IntRange(min=0),
            envvar="WORKBENCH_JOBS",
            help="Worker processes; 0 computes in this one. Default: 0 for one case, else as many as there are"
            " processors and memory for.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            help="Threads for each case; they change the last bits. Default: 1 for a study, all for one case.",
        ),
        click.option("--gpus", help="GPUs with a worker each, by number: 0,1."),
        click.option("--time-limit", type=FiniteRange(min=0, min_open=True), help="Seconds that a case may take."),
        click.option("--memory-limit", help='Memory that a case may take, e.g. "8GB".'),
        click.option(
            "--num-shards", type=click.IntRange(min=1), default=1, help="Parts of the study, for several machines."
        ),
        click.option("--shard-index", type=click.IntRange(min=0), default=0, help="Which part to do; the first is 0."),
        click.option(
            "--overview/--no-overview",
            default=True,
            help="Of a study, write overview.html, summary.csv and run.json into the output folder.",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            default="text",
            help="Lines for people, or a JSON object per step, on standard error.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def reading_options(function: F) -> F:
    """How files are read that are not as they should be: the options whose values `reading_as_asked` takes."""
    return truncated_option(regularise_option(function))


def reading_as_asked(cases: list[Case], kind: str, *, allow_truncated: bool, regularise: bool) -> list[Case]:
    """The cases with ``--allow-truncated`` and ``--regularise``, each where their kind knows of such a thing."""
    from workbench.core import kinds
    from workbench.data.cases import read_as
    from workbench.data.formats import asked_of

    asked = asked_of(kinds.find(kind), allow_truncated=allow_truncated, regularise=regularise)
    return [read_as(c, asked) for c in cases]


def setting_option(s: Setting) -> click.Option:
    """The flag of one setting: type, range, choices, unit and default come from its declaration."""
    bounds = " ".join(t for t in (range_text(s), s.unit) if t)
    notes = [f"[{bounds}]"] if bounds else []
    default = s.default
    if default is not None and not (s.size and not default) and default != "" and s.type is not bool:
        shown = " ".join(map(str, default)) if s.size else str(default)
        notes.append(f"(default: {shown})")
    text = " ".join([s.help, *notes])
    if s.type is bool:
        return click.Option([f"{s.flag}/--no-{s.flag[2:]}"], default=default, help=text, show_default=True)
    kind: Any = click.Choice([str(c) for c in s.choices]) if s.choices else s.type
    if s.size > 0:
        return click.Option([s.name, *s.flags], nargs=s.size, type=kind, default=default, help=text)
    if s.size < 0:
        return click.Option([s.name, *s.flags], multiple=True, type=kind, default=default, help=f"{text} Repeatable.")
    return click.Option([s.name, *s.flags], type=kind, default=default, help=text)


def range_text(s: Setting) -> str:
    """The allowed range in mathematical signs, or "" where there is none."""
    if s.low is not None and s.high is not None:
        return f"{s.low:g} to {s.high:g}"
    if s.low is not None:
        return f">= {s.low:g}"
    return f"<= {s.high:g}" if s.high is not None else ""


def settings_options(config: type) -> list[click.Parameter]:
    """Flags for all settings of a config class, advanced ones last."""
    declared = sorted(describe(config).values(), key=lambda s: s.advanced)
    return [setting_option(s) for s in declared]


def parameters_of(function: Callable[..., Any]) -> list[click.Parameter]:
    """The options that decorators have attached to a function, in reading order."""
    attached: list[click.Parameter] = getattr(function, "__click_params__", [])
    return list(reversed(attached))


def as_command(name: str, function: Callable[..., Any], config: type, help: str) -> click.Command:
    """A command from a function with shared options plus one flag per setting (passed as ``**settings``)."""
    return click.Command(
        name, callback=function, params=[*parameters_of(function), *settings_options(config)], help=help
    )
