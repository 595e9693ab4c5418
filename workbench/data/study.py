"""Whatever a path leads to: one image, or a study of several; for verbs that take either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import InputError, NothingFound, WorkbenchError
from workbench.core.study import Study
from workbench.core.types import Case, Image
from workbench.data import formats, tree
from workbench.data.cases import open_case, read_as

_NAMED = 8


def is_study(path: Path, kind: str | None = None) -> bool:
    """Whether a path is a folder that has to be searched: none that some kind knows as one image or data set."""
    file, key = formats.split_address(path)
    if key is not None or not file.is_dir():
        return False
    rows = [kinds.find(kind)] if kind is not None else list(kinds.kinds().values())
    return not any(row.hook("cases", "takes") is None and row.sniff(file) == "sure" for row in rows)


def read(
    path: Path,
    *,
    series: str | None,
    kind: str | None,
    hint: str | None,
    allow_truncated: bool,
    regularise: bool = False,
) -> Image:
    """Open the one image that a path is, or that a folder holds.

    Raises
    ------
    InputError
        A folder holds several; the message names them.
    """
    wanted, direct = kind or hint, _direct(path)
    if not is_study(path, kind) or (direct and wanted in (None, direct)):
        return formats.read(
            path, series=series, kind=kind, hint=hint, allow_truncated=allow_truncated, regularise=regularise
        )
    study = tree.find(path, series=series, kind=wanted)
    if len(study.cases) == 1:
        case = study.cases[0]
        if (allow_truncated or regularise) and not case.problem:
            row = formats.kind_of(case.image, kind=case.options.get("kind") or kind, hint=hint)
            case = read_as(case, formats.asked_of(row, allow_truncated=allow_truncated, regularise=regularise))
        return open_case(_of_kind(case, wanted))
    if study.cases:
        names = ", ".join(c.id for c in study.cases[:_NAMED])
        more = f" and {len(study.cases) - _NAMED} more" if len(study.cases) > _NAMED else ""
        which = " Choose one by --series, or give its folder."
        raise InputError(f"{path}: holds {len(study.cases)} images: {names}{more}.{which}")
    if direct:  # nothing of what was expected: whoever expected it says what the folder is
        return formats.read(
            path, series=series, kind=kind, hint=hint, allow_truncated=allow_truncated, regularise=regularise
        )
    raise nothing_in(path, study)


def _direct(path: Path) -> str:
    """The kind of which a folder is one study by itself (DICOM), as it always was; "" if it is none."""
    file, _ = formats.split_address(path)
    takers = (row for row in kinds.kinds().values() if row.hook("cases", "takes") is not None)
    return next((row.name for row in takers if row.sniff(file) == "sure"), "")


def nothing_in(path: Path, study: Study) -> NothingFound:
    """The error for a folder without a case."""
    why = "; ".join(s.line() for s in study.skipped[:3])
    return NothingFound(f"{path}: no readable images in it." + (f" Skipped: {why}" if why else ""))


def info(path: Path, *, kind: str | None = None, allow_truncated: bool = False) -> tuple[list[dict[str, Any]], Study]:
    """Rows of `workbench.data.formats.info` for all that a path leads to, and what was skipped.

    Rows of folders name their ``case``. A folder of DICOM files has a row per series, those that are no volumes too.
    """
    if not is_study(path, kind):
        return formats.info(path, kind=kind, allow_truncated=allow_truncated), Study(())
    study = tree.find(path, kind=kind)
    if not study.cases and not _direct(path):
        raise nothing_in(path, study)
    direct = {c.image for c in study.cases} <= {path} and bool(_direct(path))
    if not direct:
        cases = [_of_kind(case, kind) for case in study.cases]
        return [row for case in cases for row in _rows(case, allow_truncated=allow_truncated)], study
    try:
        rows = formats.info(path, kind=kind, allow_truncated=allow_truncated)
    except NothingFound as error:
        raise nothing_in(path, study) from error
    by_uid = {c.options.get("series", ""): c.id for c in study.cases}
    labels = {c.id: c.labels for c in study.cases}
    for row in rows:
        if row.get("series_uid") in by_uid or (len(study.cases) == 1 and "" in by_uid):
            row["case"] = by_uid.get(row["series_uid"]) or study.cases[0].id
            if labels[row["case"]] is not None:
                row["labels"] = str(labels[row["case"]])
    return rows, study


def _of_kind(case: Case, kind: str | None) -> Case:
    """The case, as what a person says that all of the folder are."""
    if kind is None or case.options.get("kind"):
        return case
    return replace(case, options={**case.options, "kind": kind})


def _rows(case: Case, *, allow_truncated: bool) -> list[dict[str, Any]]:
    """What the header of a case says; where several series of a folder could be it, what each of them says."""
    if case.problem and formats.split_address(case.image)[0].is_dir():
        found = formats.info(case.image)
        return [{**row, "case": case.id, "problem": row.get("problem") or case.problem} for row in found]
    try:
        # A folder holds data of several kinds, of which only some are ever read in part.
        if allow_truncated and formats.can_be_cut_off(formats.kind_of(case.image)):
            case = read_as(case, ("allow_truncated",))
        image = open_case(case)
    except WorkbenchError as error:
        return [{"case": case.id, "path": str(case.image), "problem": str(error)}]
    row = {"case": case.id, **formats.describe(image)}
    if case.labels is not None:
        row["labels"] = str(case.labels)
    uid = image.header.get("SeriesInstanceUID")
    if uid:
        about = {"series_uid": uid, "description": image.header.get("SeriesDescription") or ""}
        row |= {**about, "n_files": image.header.get("n_files", 1)}
    return [row]
