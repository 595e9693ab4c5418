"""What a run leaves to be read: JSON on standard output, a report, and the overview of a study."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.say import say
from workbench.core import leftovers
from workbench.core.errors import UsageError, one_line
from workbench.core.lock import locked
from workbench.core.registry import Backend

if TYPE_CHECKING:
    from workbench.core.types import Case


@dataclass(frozen=True)
class Wanted:
    """What is to be told; `part` is added to names of files of one part of a study."""

    as_json: bool
    report: Path | None
    overview: bool
    part: str = ""


def tell(
    backend: Backend,
    cases: list[Case],
    mine: list[Case],
    output: Path,
    done: Any,
    how: Any,
    told: Mapping[str, Any],
    wanted: Wanted,
) -> str:
    """Tell it; gives why something could not be written, or ""."""
    from workbench.batch.on_disk import OnDisk, spooled

    outcomes = {o.case: o for o in done.outcomes}
    whole = OnDisk(output, mine, outcomes, backend.size_part, done.wanted, whole=True)
    if wanted.as_json:
        try:
            _print(whole)
        except BrokenPipeError:
            raise
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return f"standard output: {error.strerror}"
    if wanted.report is None and not wanted.overview:
        return ""
    from workbench.batch.overview import write_overview
    from workbench.batch.summary import write_run, write_summary
    from workbench.data.own_files import PICTURES

    header = {**told, "options": _plain(how), "exit_code": done.exit_code}
    try:
        if wanted.report is not None:
            write_run(wanted.report, header, whole)
        if not wanted.overview or done.stopped or not output.is_dir():
            return ""
        study = OnDisk(output, cases, outcomes, backend.size_part, done.wanted)
        # Of runs that end together the last one sees what all of them have done.
        with locked(output / f"{leftovers.PART}-overview-lock", 600.0), spooled(study) as rows:
            write_run(output / f"run{wanted.part}.json", header, rows)
            write_summary(output / "summary.csv", rows, backend.size_column)
            write_overview(
                output / "overview.html",
                rows,
                title=f"{backend.title}: {output.absolute().name}",
                facts=header,
                size_column=backend.size_column,
                pictures=output / PICTURES,
            )
    except (OSError, UsageError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return f"{output}: {getattr(cause, 'strerror', None) or one_line(error)}"
    return ""


def others_than(cases: list[Case], output: Path) -> int:
    """How many results of other cases lie in an output folder: a smaller study is told of alone."""
    from workbench.core.case_folder import RECORD

    known = {case.id for case in cases}
    with suppress(OSError):
        return sum(e.name not in known and os.path.isfile(os.path.join(e.path, RECORD)) for e in os.scandir(output))
    return 0


def _print(rows: Any) -> None:
    """A JSON array on standard output, a case after the other."""
    say("[")
    last = len(rows) - 1
    for number, row in enumerate(rows):
        say(json.dumps(row, indent=2, default=str) + ("," if number < last else ""))
    say("]")


def _plain(how: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(how)
