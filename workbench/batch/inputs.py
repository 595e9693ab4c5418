"""From what the user typed to a list of cases with unique names."""

from __future__ import annotations

import glob
import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, NothingFound, WorkbenchWarning, one_line
from workbench.core.study import SHOWN, Skipped, Study, joined
from workbench.core.types import Case, case_name, plain_name


def expand(inputs: Iterable[str], *, series: str | None = None, kind: str | None = None) -> list[Case]:
    """The cases of `find`."""
    return list(find(inputs, series=series, kind=kind).cases)


def find(inputs: Iterable[str], *, series: str | None = None, kind: str | None = None) -> Study:
    """Cases for files, folders, archives, globs and CSV/JSONL lists, sorted by id, and what was skipped.

    A folder is searched with all folders below it (see `workbench.data.tree`). What is named and does not exist is a
    case, which fails when it is opened, as long as there are others.

    Parameters
    ----------
    series
        Which of several images of one folder to take; ``all``: each page of a file is a case.
    kind
        Only cases of that kind of data are looked for in folders.

    Raises
    ------
    NothingFound
        Nothing readable matched, or no path that was named exists.
    """
    from workbench.data import all_series

    inputs = list(inputs)
    each = all_series.are_asked(series, kind)
    series = None if each else series
    parts: list[Study] = []
    roots: dict[int, str] = {}
    missing: list[tuple[str, NothingFound]] = []
    for text in inputs:
        try:
            found = _find_one(text, series, kind)
            parts.append(all_series.spread(found, kind) if each else found)
            roots |= {id(c): case_name(Path(text).expanduser()) for c in parts[-1].cases if _is_root(text)}
        except NothingFound as error:
            missing.append((text, error))
    study = joined(parts)
    if missing and not study.cases:
        raise missing[0][1]
    # One of several that is not there is a case that fails, and does not stop the others.
    cases = [*study.cases, *(_case(Path(text).expanduser(), series) for text, _ in missing)]
    if not cases:
        why = "; ".join(s.line() for s in study.skipped[:3])
        raise NothingFound(f"no readable image matched {', '.join(inputs)}" + (f". Skipped: {why}" if why else ""))
    named = [*(part.cases for part in parts), tuple(c for c in cases if not any(c is s for s in study.cases))]
    once = _once(named)
    if twice := len(cases) - len(once):
        warnings.warn(f"{twice} case(s) given more than once, each taken once", WorkbenchWarning, stacklevel=2)
    named_apart = _with_unique_ids(once, roots)
    notes = (*study.notes, *_renamed(once, named_apart))
    return replace(study, notes=notes, cases=tuple(sorted(named_apart, key=lambda c: c.id)))


def _renamed(before: list[Case], after: list[Case]) -> list[str]:
    """Which names of a list became others: who joins by them must know."""
    lines = [
        f"'{one_line(old.id)}' of the list is the case {new.id} (a folder cannot have its name, or another differs "
        "only in capitals)"
        for old, new in zip(before, after, strict=True)
        if old.id != new.id and old.id != case_name(old.image)
    ]
    return lines[:SHOWN] + ([f"and {len(lines) - SHOWN} more names of the list"] if len(lines) > SHOWN else [])


def _once(named: Iterable[Iterable[Case]]) -> list[Case]:
    """Cases of each input without those that another one named before.

    Within one input only what is the same in every column is one case: the rows of a list have names of their own.
    """
    found: list[Case] = []
    before: set[tuple[Any, ...]] = set()
    for cases in named:
        own = {(c.id, c.group, content := _content(c)): (c, content) for c in cases}
        new = [(c, content) for c, content in own.values() if content not in before]
        before |= {content for _, content in new}
        found += [c for c, _ in new]
    return found


def _content(case: Case) -> tuple[Any, ...]:
    return (case.image.resolve(), case.files, case.labels, case.problem, *sorted(case.options.items()))


def _find_one(text: str, series: str | None, kind: str | None) -> Study:
    from workbench.data.case_lists import is_list
    from workbench.data.cases import load_cases
    from workbench.data.formats import is_companion, split_address
    from workbench.data.own_files import of_others

    path = Path(text).expanduser()
    if path.name.upper() == "DICOMDIR" and path.is_file():
        path = path.parent  # the index of what lies beside it
    file, key = split_address(path)
    if not file.exists() and glob.has_magic(text):
        matching = [Path(p) for p in sorted(glob.glob(str(path), recursive=True))]
        # A pattern that matches only headers means them.
        scenes = [p for p in matching if not is_companion(p)] or matching
        wanted, ours = of_others(scenes)
        skipped = Study((), tuple(Skipped(p, why) for p, why in ours))
        return joined([*(_matched(p, series, kind) for p in wanted), skipped])
    if not file.exists():
        raise NothingFound(f"{file}: no such file or folder")
    if key is not None:
        return Study((_case(path, series, f"{case_name(file)}_{key}"),))
    if path.is_file() and is_list(path):
        given = {"series": series} if series else {}
        found = load_cases(path, missing_ok=True)
        return Study(tuple(replace(c, options={**given, **c.options}) for c in found))
    if file.is_dir():
        return _folder(path, series, kind)
    return Study((_case(path, series),))  # of a device or a pipe the reader says so


def _matched(path: Path, series: str | None, kind: str | None) -> Study:
    """What a pattern matched: cases of folders have these in their names, as several match."""
    from workbench.data.formats import is_readable, split_address

    if path.name.startswith("."):
        return Study(())
    try:
        if split_address(path)[0].is_dir():
            study = _folder(path, series, kind)
            name = case_name(path)
            return replace(study, cases=tuple(_below(c, path, name) for c in study.cases))
    except InputError as error:
        return Study((), (Skipped(path, one_line(error).removeprefix(f"{path}: ")),))
    if is_readable(path):
        return Study((_case(path, series),))
    return Study((), (Skipped(path, "no image that can be read"),))


def _below(case: Case, folder: Path, name: str) -> Case:
    return case if case.id.startswith(name) else replace(case, id=f"{name}_{case.id}")


def _folder(path: Path, series: str | None, kind: str | None) -> Study:
    from workbench.data import tree

    return tree.find(path, series=series, kind=kind)


def _case(path: Path, series: str | None, name: str | None = None) -> Case:
    name = name or case_name(path)
    if series is None:
        return Case(id=name, image=path, group=name)
    return Case(id=f"{name}_series-{series}", image=path, group=name, options={"series": series})


def _is_root(text: str) -> bool:
    """Whether it is a folder or an archive that was searched, and no list."""
    path = Path(text).expanduser()
    return path.is_dir() or path.suffix.lower() == ".zip"


def _with_unique_ids(cases: list[Case], roots: Mapping[int, str]) -> list[Case]:
    """Equal names get the name of the folder that was given in front, of a file that of its own folder, and letters of
    their place if that is not enough.

    Names are equal that differ in capitals only: some systems take them for one.
    """
    fronts = [roots.get(id(c)) or c.image.resolve().parent.name for c in cases]
    cases = [replace(c, id=plain_name(c.id)) for c in cases]
    counts = Counter(c.id.casefold() for c in cases)
    named = [
        replace(c, id=f"{plain_name(front)}_{c.id}") if counts[c.id.casefold()] > 1 else c
        for c, front in zip(cases, fronts, strict=True)
    ]
    counts = Counter(c.id.casefold() for c in named)
    return [replace(c, id=f"{c.id}-{_mark(c)}") if counts[c.id.casefold()] > 1 else c for c in named]


def _mark(case: Case) -> str:
    text = f"{case.image.resolve().as_posix()}|{sorted(case.options.items())}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
