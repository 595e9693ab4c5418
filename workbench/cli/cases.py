"""Cases with reference labels from what the user typed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from workbench.cli.say import say
from workbench.core.errors import InputError, NothingFound
from workbench.core.study import Study
from workbench.core.types import Case, case_name


def labelled_cases(
    source: str, labels: str | None, *, needed: bool = True, kind: str | None = None,
    purpose: Literal["train", "evaluate"] = "train", quiet: bool = False,
) -> list[Case]:  # fmt: skip
    """Cases of a list, a folder or an archive, or of one image with its labels; these must have labels where `needed`.

    To learn from, each; to be scored, some, and the others fail. What was skipped is said.
    """
    from workbench.data.cases import load_study, scored_on, taught_by
    from workbench.data.formats import split_address

    path = Path(source).expanduser()
    file, _ = split_address(path)
    if not file.exists():
        raise NothingFound(f"{file}: no such file or folder")
    one_map = labels is not None and split_address(Path(labels).expanduser())[0].is_file()
    if labels is not None and (file.is_file() or one_map):
        reference = Path(labels).expanduser()
        if not split_address(reference)[0].is_file():
            raise NothingFound(f"{split_address(reference)[0]}: no such label file")
        return [Case(case_name(path), path, reference, case_name(path))]
    # One of a list that is not there fails when it is opened, and does not stop the others.
    study = load_study(path, Path(labels).expanduser() if labels else None, missing_ok=True, kind=kind)
    say_skipped(study, quiet=quiet)
    faults = study.faults
    if purpose == "evaluate" and any(c.labels is not None for c in study.cases):
        # Those without labels fail by themselves, and the others are scored.
        lacking = tuple(f"{c.image}: " for c in study.cases if c.labels is None)
        faults = tuple(f for f in faults if not f.startswith(lacking))
    if faults:
        raise InputError(faults[0])
    cases, notes = (taught_by if purpose == "train" else scored_on)(study.cases)
    for note in notes:
        say(f"note: {note}", err=True)
    without = [c.id for c in cases if c.labels is None]
    if without and needed:
        said = f"{len(without)} of {len(cases)} cases have no labels"
        if purpose == "train" or len(without) == len(cases):
            raise InputError(f"{path}: {said}, e.g. {without[0]}")
        say(f"note: {said} and are not scored: {', '.join(without)}", err=True)
    return cases


def say_skipped(study: Study, *, quiet: bool = False, everything: bool = False) -> None:
    """What is no case, and why; the first few, and a count."""
    for line in () if quiet else study.skipped_lines(None if everything else 10):
        say(line, err=True)
    for note in study.notes:
        say(f"note: {note}", err=True)
