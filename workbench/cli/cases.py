"""Cases with reference labels from what the user typed."""

from __future__ import annotations

from pathlib import Path

from workbench.core.errors import InputError, NothingFound
from workbench.core.types import Case, case_name


def labelled_cases(source: str, labels: str | None, *, needed: bool = True) -> list[Case]:
    """Cases of a list, of a folder pair, or of one image with its labels; each must have labels where `needed`."""
    from workbench.data.cases import load_cases
    from workbench.data.formats import split_address

    path = Path(source).expanduser()
    file, _ = split_address(path)
    if not file.exists():
        raise NothingFound(f"{file}: no such file or folder")
    if labels is not None and file.is_file():
        reference = Path(labels).expanduser()
        if not split_address(reference)[0].is_file():
            raise NothingFound(f"{split_address(reference)[0]}: no such label file")
        return [Case(case_name(path), path, reference, case_name(path))]
    # One of a list that is not there fails when it is opened, and does not stop the others.
    cases = load_cases(path, Path(labels).expanduser() if labels else None, missing_ok=True)
    without = [c.id for c in cases if c.labels is None]
    if without and needed:
        raise InputError(f"{path}: {len(without)} of {len(cases)} cases have no labels, e.g. {without[0]}")
    return cases
