"""From what the user typed to a list of cases with unique names."""

from __future__ import annotations

import glob
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from workbench.core.errors import NothingFound, WorkbenchWarning
from workbench.core.types import Case, case_name, plain_name


def expand(inputs: Iterable[str], *, series: str | None = None) -> list[Case]:
    """Cases for files, folders, globs and CSV/JSONL lists, sorted by id.

    A folder with DICOM files is one case; any other folder gives one case per readable file or DICOM folder in it
    (files inside its sub-folders are not searched). What is named and does not exist is a case, which fails when it is
    opened, as long as there are others.

    Raises
    ------
    NothingFound
        Nothing readable matched, or no path that was named exists.
    """
    inputs = list(inputs)
    cases: list[Case] = []
    missing: list[tuple[str, NothingFound]] = []
    for text in inputs:
        try:
            cases += _expand_one(text, series)
        except NothingFound as error:
            missing.append((text, error))
    if missing and not cases:
        raise missing[0][1]
    # One of several that is not there is a case that fails, and does not stop the others.
    cases += [_case(Path(text).expanduser(), series) for text, _ in missing]
    if not cases:
        raise NothingFound(f"no readable image matched {', '.join(inputs)}")
    # Only what is the same in every column is one case: the rows of a list have names, labels and series of their own.
    once = {(c.id, c.image.resolve(), c.labels, c.group, *sorted(c.options.items())): c for c in cases}
    if twice := len(cases) - len(once):
        warnings.warn(f"{twice} case(s) given more than once, each taken once", WorkbenchWarning, stacklevel=2)
    return sorted(_with_unique_ids(list(once.values())), key=lambda c: c.id)


def _expand_one(text: str, series: str | None) -> list[Case]:
    from workbench.data.cases import LISTS, folder_cases, load_cases
    from workbench.data.formats import is_companion, is_readable, split_address

    path = Path(text).expanduser()
    file, key = split_address(path)
    if not file.exists() and glob.has_magic(text):
        matching = [Path(p) for p in sorted(glob.glob(str(path), recursive=True))]
        # A pattern that matches only headers means them.
        scenes = [p for p in matching if not is_companion(p)] or matching
        return [_case(p, series) for p in scenes if is_readable(p)]
    if not file.exists():
        raise NothingFound(f"{file}: no such file or folder")
    if key is not None:
        return [_case(path, series, f"{case_name(file)}_{key}")]
    if path.is_file() and path.suffix.lower() in LISTS:
        given = {"series": series} if series else {}
        return [replace(c, options={**given, **c.options}) for c in load_cases(path, missing_ok=True)]
    if path.is_dir() and series is None and (found := folder_cases(path)):
        return found
    if path.is_file() or is_readable(path):
        return [_case(path, series)]
    entries = [p for p in sorted(path.iterdir()) if not p.name.startswith(".") and is_readable(p)]
    # A series can only be chosen among those of a DICOM folder.
    return [_case(p, series if p.is_dir() else None) for p in entries if not is_companion(p)]


def _case(path: Path, series: str | None, name: str | None = None) -> Case:
    name = name or case_name(path)
    if series is None:
        return Case(id=name, image=path, group=name)
    return Case(id=f"{name}_series-{series}", image=path, group=name, options={"series": series})


def _with_unique_ids(cases: list[Case]) -> list[Case]:
    """Equal names get the name of their folder in front, and a number if that is not enough."""
    cases = [replace(c, id=plain_name(c.id)) for c in cases]
    counts = Counter(c.id for c in cases)
    named = [replace(c, id=f"{c.image.resolve().parent.name}_{c.id}") if counts[c.id] > 1 else c for c in cases]
    seen: Counter[str] = Counter()
    unique = []
    for case in named:
        seen[case.id] += 1
        unique.append(case if seen[case.id] == 1 else replace(case, id=f"{case.id}_{seen[case.id]}"))
    return unique
