"""Which cases of a data set are for training, for validation and for the test, as its own files say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.core.errors import InputError
from workbench.core.types import Case
from workbench.data import layouts
from workbench.data.layouts import DataSet

SPLITS = "splits_final.json"
_RAW, _PREPARED = "nnUNet_raw", "nnUNet_preprocessed"


@dataclass(frozen=True)
class Splits:
    """The folds of a ``splits_final.json`` of nnU-Net: ids of the cases to learn from and to validate on."""

    file: Path
    folds: tuple[tuple[frozenset[str], frozenset[str]], ...]

    def of(self, case: str) -> str:
        """What a case is in each fold, ``train``, ``val`` or ``-`` for neither, after the name of the file."""
        words = ("val" if case in val else "train" if case in train else "-" for train, val in self.folds)
        return f"{self.file.name}: {' '.join(words)}"

    @property
    def names(self) -> set[str]:
        """All cases that some fold names."""
        return {name for fold in self.folds for part in fold for name in part}


def splits_of(folder: Path) -> Splits | None:
    """The folds of a data set of nnU-Net: beside its ``dataset.json``, else in its folder of ``nnUNet_preprocessed``.

    Raises
    ------
    InputError
        The file is damaged, or holds something else.
    """
    whole = folder.resolve()
    above = [p.parent for p in whole.parents if p.name == _RAW]
    places = (folder / SPLITS, *(p / _PREPARED / whole.name / SPLITS for p in above))
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        return None
    content = layouts.read_json(path)
    folds = [(_names(row, "train"), _names(row, "val")) for row in content] if isinstance(content, list) else []
    whole_folds = [(train, val) for train, val in folds if train is not None and val is not None]
    if not folds or len(whole_folds) < len(folds):
        raise InputError(
            f"{path}: not the folds of nnU-Net, expected a list of objects with the names of the cases to 'train' and"
            " 'val'. Repair it, or move it away."
        )
    for number, (train, val) in enumerate(whole_folds):
        if both := sorted(train & val):
            raise InputError(
                f"{path}: fold {number} has {both[0]} in 'train' and in 'val', which leaks it. Repair it, or move it"
                " away."
            )
    return Splits(path, tuple(whole_folds))


def _names(row: object, key: str) -> frozenset[str] | None:
    names = row.get(key) if isinstance(row, dict) else None
    return frozenset(names) if isinstance(names, list) and all(isinstance(n, str) for n in names) else None


def divided(
    cases: Sequence[Case], part: str, about: DataSet | None, images: Path
) -> tuple[list[Case], list[str], list[str]]:
    """The cases of ``imagesTr`` or ``imagesTs`` with what the data set uses them for.

    With lines that say what does not fit, and those that make it unfit to learn from.
    """
    splits, faults = None, []
    try:
        splits = splits_of(images.parent) if part == "training" else None
    except InputError as error:
        faults.append(str(error))
    ids = {c.id for c in cases}
    known = about or DataSet()
    training, validation, tests, shared = (
        _ids(n, ids) for n in (known.training, known.validation, known.tests, known.shared)
    )
    found, moved = [], []
    for case in cases:
        use = "test" if case.id in tests else "validation" if case.id in validation else part
        if case.id in shared:  # names are numbered anew in each folder: its own says what this one is for
            use = part
        moved += [case.id] if use == "test" != part else []
        folds = {"folds": splits.of(case.id)} if splits is not None and use != "test" else {}
        found.append(replace(case, options={**case.options, "split": use, **folds}))
    notes = [f"{images}: dataset.json lists {_few(moved)} for the test"] if moved else []
    if known.listed and (strange := sorted(ids - training - validation - tests)):
        notes.append(f"{images}: dataset.json does not list {_few(strange)}: for the {part}, as the folder says")
    if splits is not None:
        here = {c.id for c in found if "folds" in c.options}
        if gone := sorted(splits.names - here):
            notes.append(f"{splits.file}: names {_few(gone)}, which are not here")
        if strange := sorted(here - splits.names):
            notes.append(f"{splits.file}: does not name {_few(strange)}: no fold learns from them or validates on them")
    return found, notes, faults


def missing_of(about: DataSet | None, part: str, ids: Collection[str], images: Path) -> list[str]:
    """Cases that ``dataset.json`` names and the folder does not hold."""
    if about is None or not part:
        return []
    apart = (images.parent / layouts.VALIDATION[0]).is_dir()
    named = {
        "training": (*about.training, *(() if apart else about.validation)),
        "validation": about.validation,
        "test": about.tests,
    }[part]
    if gone := sorted(_ids(named, ids) - set(ids)):
        return [f"{images}: dataset.json names {_few(gone)}, which are not here"]
    if part == "training" and about.stated is not None and not named and about.stated != len(ids):
        return [f"{images}: dataset.json promises {about.stated} cases (numTraining), {len(ids)} are here"]
    return []


def _ids(names: Iterable[str], ids: Collection[str]) -> set[str]:
    """Ids of listed cases: lists name the file of a channel, or the case (which may end in a number itself)."""
    bare = ((n, layouts.CHANNEL.sub("", n)) for n in names)
    return {case if n not in ids and case in ids else n for n, case in bare}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
