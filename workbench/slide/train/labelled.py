"""Labelled pictures as fields to learn nuclei from: at one scale, with classes of one table, split by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.class_match import match_classes
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, NothingFound, UsageError
from workbench.core.failures import Failure
from workbench.core.seen import SeenCase, content_key
from workbench.core.types import Case, Geometry, Labels
from workbench.data.cases import naming, open_case
from workbench.slide.data.bicubic import resized
from workbench.slide.data.nuclei_labels import Reference, read_reference, require_same_picture
from workbench.slide.data.resample import ratio, upsampling_note
from workbench.slide.data.scaled import scaled
from workbench.slide.train.cell_settings import CellTrainConfig
from workbench.slide.train.fields import Field
from workbench.slide.train.looked_at import Patch, reviewed, squares_of
from workbench.training.split import own_split, split_groups

ONE = ClassTable.from_names(["nucleus"])
NEW = "new"
_SAME = 0.02
"""Scales that differ by less are not resampled."""
_MOST_HASHED = 100_000_000
"""Pixels of a picture that is known again by its content, where squares of it teach."""


@dataclass(frozen=True, eq=False)
class LabelledStudy:
    """Fields to learn from and to validate on.

    Parameters
    ----------
    classes
        Of the fields' `Field.types`.
    seen
        The pictures by their content, for the record of the weights.
    """

    train: tuple[Field, ...]
    val: tuple[Field, ...]
    classes: ClassTable
    seen: tuple[SeenCase, ...]
    validation: str
    notes: tuple[str, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def nuclei(self) -> int:
        """How many there are to learn from."""
        return sum(_count(f) for f in self.train)


def _count(one: Field) -> int:
    return int(np.count_nonzero(np.bincount(one.labels.ravel())[1:]))


@dataclass(frozen=True, eq=False)
class _Opened:
    case: Case
    image: Field
    reference: Reference
    key: str
    is_part: bool = False


def open_labelled(
    cases: Sequence[Case], config: CellTrainConfig, target: float, known: ClassTable | None
) -> LabelledStudy:
    """Open pictures and their nuclei; one that cannot be read is left out and named.

    Parameters
    ----------
    target
        Scale to learn at [um per pixel].
    known
        Classes of the starting weights; ``None`` for a network made anew.

    Raises
    ------
    InputError, NothingFound
        No picture is left, none has a nucleus, or their classes are not those of the weights.
    UsageError
        One group only; or a picture that would teach and judge.
    """
    opened, notes, failures = _open_all(cases, config, target, known)
    classes, fields = _in_classes(opened, config, known)
    train, val, said, more = _split(opened, config)
    _require_apart([opened[i] for i in train], [opened[i] for i in val])
    if not any(_count(fields[i]) for i in train):
        raise InputError("the pictures to learn from have no nucleus: are these the labels of nuclei?")
    if val and not any(_count(fields[i]) for i in val):
        raise InputError("the pictures to validate on have no nucleus; give other groups, or val_fraction=0")
    learnt = set(train)
    seen = tuple(
        dict.fromkeys(
            SeenCase(o.case.id, (o.key,), "learnt" if i in learnt else "chosen by", o.case.group or "")
            for i, o in enumerate(opened)
        )
    )
    return LabelledStudy(
        tuple(fields[i] for i in train), tuple(fields[i] for i in val), classes, seen, said, (*notes, *more), failures
    )


def _require_apart(train: Sequence[_Opened], val: Sequence[_Opened]) -> None:
    """Refuse pictures that would teach and judge: copies under another name."""
    by_key = {o.key: o.case for o in train}
    for o in val:
        if o.key in by_key:
            raise UsageError(
                f"{o.case.image} and {by_key[o.key].image} are the same picture: one would teach and the other judge. "
                "Leave one out, or give both one group"
            )


def _open_all(
    cases: Sequence[Case], config: CellTrainConfig, target: float, known: ClassTable | None
) -> tuple[list[_Opened], list[str], dict[str, str]]:
    labelled = [c for c in cases if c.labels is not None]
    if not labelled:
        raise InputError("nuclei are learnt from labels, and no picture has any; give --labels or a column 'labels'")
    opened: list[_Opened] = []
    notes: list[str] = []
    failures = {c.id: f"{c.image}: has no labels, and teaches nothing" for c in cases if c.labels is None}
    first: Exception | None = None
    for case in labelled:
        try:
            with naming(case):
                some, said = _opened(case, config, target, known)
        except (InputError, NothingFound) as error:
            first = first or error
            failures[case.id] = Failure.of(error, case)
            continue
        opened += some
        notes += [f"{case.id}: {note}" for note in said]
    if not opened:
        assert first is not None
        raise first
    return opened, notes, failures


def _opened(
    case: Case, config: CellTrainConfig, target: float, known: ClassTable | None
) -> tuple[list[_Opened], list[str]]:
    """The picture, or the squares of it that a person looked at, at the scale that is taught."""
    image = open_case(case)
    slide = scaled(image, config.mpp)
    pyramid = slide.pyramid
    if pyramid is None:
        raise InputError(f"{case.image}: is no slide: it has no levels")
    factor = ratio(pyramid, target, allow_upsample=config.allow_upsample, name=case.image)
    rows, columns = pyramid.levels[0].shape
    assert case.labels is not None
    require_same_picture(case.labels, image)
    said = [n for n in (upsampling_note(pyramid, target),) if n]
    looked = None if config.everywhere else reviewed(case.labels)
    if looked is None:
        squares = [Patch(0, 0, read_reference(case.labels, (rows, columns)))]
        said += squares[0].reference.notes
    else:
        squares, note = squares_of(looked, (rows, columns), config.crop * factor, case.labels)
        said.append(note)
    is_small = looked is not None and rows * columns <= _MOST_HASHED
    key = content_key(pyramid.read(0, 0, 0, rows, columns)) if is_small else ""
    opened, lost = [], 0
    for square in squares:
        reference = _with_only_class(square.reference, known)
        high, wide = reference.labels.shape
        pixels = pyramid.read(0, square.row, square.column, high, wide)
        own_key = key or content_key(pixels)
        _require_classes(reference, case.labels)
        if abs(factor - 1) > _SAME:
            before = len(reference)
            pixels, reference = _at_scale(pixels, reference, factor)
            lost += before - len(reference)
        opened.append(_Opened(case, Field(pixels, reference.labels), reference, own_key, looked is not None))
    if lost:
        said.append(f"{lost} nuclei are smaller than a pixel of {target:g} um, and teach nothing")
    return opened, said


def _with_only_class(reference: Reference, known: ClassTable | None) -> Reference:
    """Nuclei without a class are of the only one where the weights know no other, and the labels none: theirs are."""
    if known is None or len(known) != 1 or reference.types is None or reference.classes.names != known.names:
        return reference
    (only,) = reference.classes
    return replace(reference, types=np.where(reference.labels > 0, np.int32(only.value), np.int32(0)))


def _require_classes(reference: Reference, labels: Path) -> None:
    """Refuse nuclei without a class beside those with one."""
    bare = (reference.labels > 0) & (reference.types == 0) if reference.types is not None else None
    if bare is not None and bare.any():
        count = len(np.unique(reference.labels[bare]))
        raise InputError(f"{labels}: {count} nuclei have no class, others do: give all of them one")


def _at_scale(
    pixels: npt.NDArray[np.uint8], reference: Reference, factor: float
) -> tuple[npt.NDArray[np.uint8], Reference]:
    """Both with `factor` times larger pixels."""
    rows, columns = reference.labels.shape
    high, wide = max(1, round(rows / factor)), max(1, round(columns / factor))
    y = np.minimum(((np.arange(high) + 0.5) * rows / high).astype(int), rows - 1)
    x = np.minimum(((np.arange(wide) + 0.5) * columns / wide).astype(int), columns - 1)
    types = None if reference.types is None else np.ascontiguousarray(reference.types[np.ix_(y, x)])
    labels = np.ascontiguousarray(reference.labels[np.ix_(y, x)])
    return resized(pixels, (high, wide)), replace(reference, labels=labels, types=types)


def _in_classes(
    opened: Sequence[_Opened], config: CellTrainConfig, known: ClassTable | None
) -> tuple[ClassTable, list[Field]]:
    """The table of all, and the fields with classes by its values."""
    told = [o.reference.types is not None for o in opened]
    if any(told) and not all(told):
        without = next(o.case for o, has in zip(opened, told, strict=True) if not has)
        raise InputError(
            f"{without.labels}: tells no classes, others do ({sum(told)} of {len(told)}): give classes for all or none"
        )
    if not any(told):
        if known is not None and len(known) > 1 and config.classes != NEW:
            raise InputError(
                f"the labels tell no classes, and the weights know {len(known)} ({', '.join(known.names)}): give "
                "classes, start from weights with one class, or --classes new for nuclei without classes"
            )
        return (known if known is not None and len(known) == 1 else ONE), [o.image for o in opened]
    if config.classes not in ("", NEW) and (known is None or len(known) == 1):
        names = [rule.partition(":")[0].strip() for rule in config.classes.split(",")]
        known = ClassTable.from_names(list(dict.fromkeys(names)))
        return known, [replace(o.image, types=_matched(o, known, config.classes)) for o in opened]
    if known is not None and len(known) > 1 and config.classes != NEW:
        return known, [replace(o.image, types=_matched(o, known, config.classes)) for o in opened]
    names = sorted({c.name for o in opened for c in o.reference.classes})
    place = {name: i for i, name in enumerate(names, 1)}
    fields = []
    for o in opened:
        types = o.reference.types
        assert types is not None
        table = np.zeros(int(types.max(initial=0)) + 1, np.int32)
        for c in o.reference.classes:
            if c.value < len(table):
                table[c.value] = place[c.name]
        fields.append(replace(o.image, types=table[types]))
    return ClassTable.from_names(names), fields


def _matched(one: _Opened, known: ClassTable, rules: str) -> npt.NDArray[np.int32]:
    types = one.reference.types
    assert types is not None
    labels = Labels(types, Geometry(types.shape, None, ("rows", "columns"), None), one.reference.classes)
    matching = match_classes(known, labels, classes=rules, source=one.case.labels or one.case.image, advice=("",))
    return np.asarray(matching.apply(types), np.int32)


def _split(opened: Sequence[_Opened], config: CellTrainConfig) -> tuple[list[int], list[int], str, list[str]]:
    cases = [o.case for o in opened]
    own = own_split(cases, 0) if config.val_fraction else None
    if own is not None:
        return list(own.train), list(own.val), f"on {len(own.val)} picture(s): {own.said}", list(own.notes)
    groups = [c.group or c.id for c in cases]
    if config.val_fraction and all(o.is_part for o in opened) and len({c.id for c in cases}) == 1:
        said = "on nothing: all squares are of one picture"
        return list(range(len(cases))), [], said, ["nothing was kept apart to judge by: correct a second slide, too"]
    train, val = split_groups(groups, config.val_fraction, config.seed)
    if not val:
        return train, [], "on nothing: nothing was kept apart (val_fraction=0)", []
    held = {groups[i] for i in val}
    return train, val, f"on {len(val)} held-out picture(s) of {len(held)} group(s)", []
