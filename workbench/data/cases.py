"""Cases of a study: images, their reference labels and the group each belongs to, from folders or from a list.

A folder is what `workbench.data.tree` finds in it, for every verb; a CSV or JSONL list has the columns ``image``,
``labels``, ``group``, ``id``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from workbench.core import kinds, settings
from workbench.core.errors import InputError, NothingFound, UsageError, WorkbenchError, WorkbenchWarning
from workbench.core.registry import Backend, wrong_kind
from workbench.core.study import Study
from workbench.core.types import Case, Image, case_name
from workbench.data import formats, tree
from workbench.data.case_lists import LISTS, from_list, is_list
from workbench.data.copies import one_group
from workbench.data.groups import group_of
from workbench.data.layouts import LABEL_ENDINGS
from workbench.data.stacked import named, stacked

_YES, _NO = ("yes", "true", "1"), ("", "no", "false", "0")


def load_cases(
    path: str | Path, labels: str | Path | None = None, *, missing_ok: bool = False, kind: str | None = None
) -> list[Case]:
    """All cases of a study, sorted by id; see `load_study`.

    Raises
    ------
    NothingFound
        If the path does not exist or holds no readable image.
    InputError
        If a row or a file does not fit; the message names it. Images without labels beside those with labels do not.
    """
    study = load_study(path, labels, missing_ok=missing_ok, kind=kind)
    if study.faults:
        raise InputError(study.faults[0])
    return list(study.cases)


def load_study(
    path: str | Path, labels: str | Path | None = None, *, missing_ok: bool = False, kind: str | None = None,
    series: str | None = None,
) -> Study:  # fmt: skip
    """All cases of a study, sorted by id, and what was skipped.

    Parameters
    ----------
    path
        A folder, searched with all folders below it (see `workbench.data.tree`); a zip archive, which is taken for a
        folder; a CSV or JSONL list. Paths in a list are relative to the list.
    labels
        Folder with the label maps, named as the cases (``scan.nii.gz``), or with ``_seg``, ``_label``... added.
    missing_ok
        A list may name files that do not exist: whoever opens such a case is told.
    kind
        Only cases of that kind of data.
    series
        Which of several images of one folder to take.

    Notes
    -----
    `Case.group` is the column ``group``, else the patient that the id begins with (``sub-01_ses-2`` -> ``sub-01``,
    ``patient007_frame01`` -> ``patient007``), else the id; of DICOM files their PatientID counts too, and goes by a
    pseudonym. Other columns go into `Case.options`; for recordings ``subject`` (also the group, where none is given),
    ``session``, ``sampling_rate`` and ``events`` (a file, relative to the list) mean something.

    Raises
    ------
    NothingFound, InputError
        As `load_cases`.
    """
    path = Path(path).expanduser()
    file, _ = formats.split_address(path)
    if not file.exists():
        raise NothingFound(f"{path}: no such file or folder. Give a folder of images, or a CSV or JSONL list.")
    formats.require_regular_or_folder(file)
    if file.is_file():
        if not is_list(path):
            if not formats.is_readable(path):
                raise InputError(f"{path}: neither a list of cases ({', '.join(LISTS)}) nor a readable image.")
            study = Study(tuple(_in_file(path, labels)) or (_single(path, labels),))
        elif labels is not None:
            raise InputError(f"{path}: a list names its own labels in the column 'labels'; leave out the label folder.")
        else:
            study = Study(tuple(_once(from_list(path, missing_ok), path)))
    else:
        study = tree.find(path, series=series, kind=kind)
        if labels is not None:
            study = _with_labels_of(study, path, Path(labels).expanduser(), kind)
    if not study.cases and file.is_file():
        raise NothingFound(f"{path}: the list names no image: it has no row below its head.")
    if not study.cases:
        why = "; ".join(s.line() for s in study.skipped[:3])
        more = f" Skipped: {why}" if why else ""
        raise NothingFound(f"{path}: no readable images in it. Can be read: {', '.join(formats.suffixes())}.{more}")
    _check_unique(study.cases, path)
    cases, same = one_group(sorted(study.cases, key=lambda c: c.id), given=file.is_file())
    return replace(study, cases=tuple(cases), notes=(*study.notes, *same))


def _with_labels_of(study: Study, path: Path, labels: Path, kind: str | None) -> Study:
    if not formats.split_address(labels)[0].is_dir():
        raise InputError(f"{labels}: no such folder of label maps. Give the folder that holds them.")
    own = kinds.find(kind).hook("cases", "labels_in") if kind else None
    cases, faults = tree.labelled(study.cases, path, labels, own=own(labels) if own else None)
    return replace(study, cases=tuple(cases), faults=(*study.faults, *faults))


def taught_by(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """The cases that a training may see: not those that the data set keeps for a test. And what to say of it."""
    tests = [c for c in cases if c.options.get("split") == "test"]
    if not tests or len(tests) == len(cases):
        return list(cases), []
    kept = [c for c in cases if c.options.get("split") != "test"]
    return kept, [f"{len(tests)} test case(s) of the data set are left out of the training, first {tests[0].id}"]


def scored_on(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """The cases that a score is for: those of the test part where it has labels, else without that part."""
    tests = [c for c in cases if c.options.get("split") == "test"]
    having = [c for c in tests if c.labels is not None]
    if not tests or len(tests) == len(cases):
        return list(cases), []
    if having:
        return having, [f"scored on the {len(having)} test case(s) of the data set, as these have labels"]
    kept = [c for c in cases if c.options.get("split") != "test"]
    return kept, [f"{len(tests)} test case(s) of the data set have no labels and are left out, first {tests[0].id}"]


def join_cases(parts: Iterable[Case | str | Path], *, kind: str | None = None) -> list[Case]:
    """Cases as they are, and those that paths stand for (see `load_cases`), in the order given.

    Raises
    ------
    NothingFound, InputError
        As `load_cases`; or two of one name.
    """
    found: list[Case] = []
    for part in parts:
        found += [part] if isinstance(part, Case) else load_cases(part, kind=kind)
    _check_unique(found, Path("the cases given"))
    return found


def open_case(case: Case) -> Image:
    """The image of a case: header now, samples when asked for.

    Of its options, ``series`` chooses a DICOM series or an evoked response, ``kind`` says what kind of data it is, and
    ``allow_truncated`` (yes or no) reads what is there of a file that was cut off, ``regularise`` (yes or no) resamples
    slices in uneven steps;
    what others mean is said by the ``cases`` module of each kind (for recordings ``sampling_rate`` and ``events``).

    Raises
    ------
    NothingFound, InputError, GeometryError
        As `workbench.data.formats.read`.
    """
    if case.problem:
        raise InputError(case.problem)
    path, series = case_address(case)
    kind, truncated = case.options.get("kind") or None, _is_yes(case, "allow_truncated")
    even = _is_yes(case, "regularise")
    files = case.files or (path,)
    images = [formats.read(f, series=series, kind=kind, allow_truncated=truncated, regularise=even) for f in files]
    image = stacked(images, case.channels) if case.files else named(images[0], case.channels)
    add = kinds.find(image.kind).hook("cases", "opened")
    return image if add is None else cast(Image, add(image, case))


def read_as(case: Case, asked: Iterable[str]) -> Case:
    """The case with such columns as ``allow_truncated`` set to yes; see `workbench.data.formats.asked_of`."""
    options = dict.fromkeys(asked, "yes")
    return replace(case, options={**case.options, **options}) if options else case


def _is_yes(case: Case, column: str) -> bool:
    """What a column of yes and no says; an empty one says no."""
    text = str(case.options.get(column, "")).strip().lower()
    if text not in _YES and text not in _NO:
        raise InputError(f"case '{case.id}': '{column}' is {text!r}, yes or no was expected.")
    return text in _YES


def case_address(case: Case) -> tuple[Path, str | None]:
    """Path and series of a case, with what its options say of them worked in."""
    plain = case.image, case.options.get("series")
    for _, own in kinds.hooks("cases", "case_path"):
        if (found := own(case)) != plain:
            return cast("tuple[Path, str | None]", found)
    return plain


def settled(cases: list[Case], backend: Backend, *, go_on: bool = False) -> list[Case]:
    """The cases of a backend's own kind of data; where a file could be of several, the case says so from now on.

    With `go_on`, a case that is missing, damaged or of another kind is kept as it is, as long as there are others:
    whoever opens it is told.

    Raises
    ------
    InputError, NothingFound
        A case is of another kind, or is not there; with `go_on` only where this is so of all of them.
    """
    found: list[Case] = []
    bad: list[WorkbenchError] = []
    _require_no_files(cases, backend)
    for case in cases:
        try:
            found.append(_settled(case, backend))
        except (InputError, NothingFound) as error:
            if not go_on:
                raise
            found.append(case)
            bad.append(error)
    if bad and len(bad) == len(cases):
        raise bad[0]
    return found


def _require_no_files(cases: list[Case], backend: Backend) -> None:
    """Refuse a column of a list that is called as a setting which names a file: nobody would use it."""
    columns = {name for case in cases for name, value in case.options.items() if value}
    for name, one in settings.describe(backend.settings_of("predict")).items() if columns else ():
        if one.names_file and name in columns:
            raise UsageError(
                f"the list has a column '{name}', and {name} is a setting, the same for all cases: leave the column "
                f"out, and give --{name.replace('_', '-')} (a folder that holds a file per case, where it takes one)"
            )


def _settled(case: Case, backend: Backend) -> Case:
    path, _ = case_address(case)
    told = case.options.get("kind") or None
    if any(row.name == backend.kind and own(path) for row, own in kinds.hooks("cases", "holds_results")):
        return case
    with naming(case):
        kind = formats.kind_of(path, kind=told, hint=backend.kind).name
        if kind != backend.kind:
            raise wrong_kind(backend, kind, path)
    unclear = told is None and set(kinds.candidates(*formats.split_address(path))) != {kind}
    return replace(case, options={**case.options, "kind": kind}) if unclear else case


@contextmanager
def naming(case: Case) -> Iterator[None]:
    """Put the id of the case in front of our errors inside: a study has hundreds, and file names repeat."""
    try:
        yield
    except (InputError, NothingFound) as error:
        prefix = f"case '{case.id}': "
        if str(error).startswith(prefix):
            raise
        raise type(error)(f"{prefix}{error}") from error


def _in_file(path: Path, labels: str | Path | None) -> list[Case]:
    """The cases of a file that holds several images; none where it holds one."""
    given = None if labels is None else Path(labels).expanduser()
    for _, own in kinds.hooks("cases", "cases_in"):
        if found := own(path, given):
            return list(found)
    return []


def _single(path: Path, labels: str | Path | None) -> Case:
    name = case_name(path)
    mask = None if labels is None else Path(labels).expanduser()
    if mask is not None and mask.is_dir():
        maps = {c.id: c.image for c in tree.find(mask, maps=True).cases}
        mask = next((maps[name + e] for e in LABEL_ENDINGS if name + e in maps), None)
    if labels is not None and (mask is None or not formats.split_address(mask)[0].exists()):
        raise InputError(f"{path}: no label map for it at {labels}. Name it {name}.nii.gz.")
    return Case(name, path, mask, group_of(name))


def _once(cases: Iterable[Case], path: Path) -> list[Case]:
    """The rows of a list without those that repeat another in every column, which is said."""
    rows = list(cases)
    once = {(c.id, c.image, c.files, c.labels, c.group, *sorted(c.options.items())): c for c in rows}
    if twice := len(rows) - len(once):
        warnings.warn(
            f"{path}: {twice} row(s) repeat another in every column: left out", WorkbenchWarning, stacklevel=3
        )
    return list(once.values())


def _check_unique(found: Sequence[Case], path: Path) -> None:
    seen: set[str] = set()
    for case in found:
        if case.id in seen:
            raise InputError(f"{path}: the id '{case.id}' occurs twice. Give each case its own id in the column 'id'.")
        seen.add(case.id)
