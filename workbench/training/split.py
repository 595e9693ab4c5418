"""Splits by group (patient, slide, scene, subject), so that nothing of a validation group is ever trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError
from workbench.core.types import Case


@dataclass(frozen=True)
class OwnSplit:
    """The split that a data set comes with.

    Attributes
    ----------
    train, val
        Indices of the cases.
    said
        Where it is from and what it leaves out, in words.
    notes
        What a person should know of it.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    said: str
    notes: tuple[str, ...] = ()


_VALIDATION = ("validation", "val", "valid")


def own_split(cases: Sequence[Case], fold: int) -> OwnSplit | None:
    """The split that a data set comes with; ``None`` without one, or where `fold` is negative.

    It is said by options of the cases: ``folds`` (``splits_final.json: val train -``, a word per fold), else ``split``
    where that is ``validation`` for some.

    Raises
    ------
    UsageError
        There is no such fold.
    """
    if fold < 0:
        return None
    told = [c.options.get("folds", "").rpartition(": ") for c in cases]
    uses = [words.split() for *_, words in told]
    count = max((len(u) for u in uses), default=0)
    if count:
        if fold >= count:
            raise UsageError(f"fold={fold}: the data set has {count} folds, 0 to {count - 1}")
        source = next(name for name, _, words in told if words)
        each = [u[fold] if len(u) > fold else "-" for u in uses]
        said = f"fold {fold} of {source}"
    else:
        if fold:
            raise UsageError(
                f"fold={fold}: the data set has no folds of its own (splits_final.json beside dataset.json)"
            )
        splits = [c.options.get("split", "").strip().lower() for c in cases]
        if not any(s in _VALIDATION for s in splits):
            return None
        each = ["val" if s in _VALIDATION else "train" for s in splits]
        said = "the validation part of the data set"
    train, val = (tuple(i for i, e in enumerate(each) if e == use) for use in ("train", "val"))
    if not train or not val:
        raise UsageError(
            f"{said}: {len(train)} of the cases given are to learn from and {len(val)} to validate on, both are needed."
            " Give the cases that it names, or split them anew by fold=-1"
        )
    notes = []
    if left := [cases[i].id for i, e in enumerate(each) if e == "-"]:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        notes.append(f"{said} does not name {', '.join(left[:3])}{more}: neither learnt from nor validated on")
    if both := sorted({cases[i].group or cases[i].id for i in train} & {cases[i].group or cases[i].id for i in val}):
        notes.append(f"{said} has {both[0]} on both sides: the score is not of patients that were never seen")
    return OwnSplit(train, val, said, tuple(notes))


def split_groups(groups: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices for training and for validation.

    Parameters
    ----------
    groups
        Group of each case, in the order of the cases. An empty name is a group of its own.
    fraction
        Share of the groups to validate on, 0 to 1 (exclusive); at least one group when above 0.
    seed
        The same groups, fraction and seed give the same split, whatever the order of the cases.

    Raises
    ------
    UsageError
        There is one group only, so a split would leak it, or the fraction is not in [0, 1).
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"val_fraction={fraction}: expected at least 0 and below 1")
    named = [g or f"\0{i}" for i, g in enumerate(groups)]
    distinct = sorted(set(named))
    if fraction == 0:
        return list(range(len(named))), []
    if len(distinct) < 2:
        raise UsageError(
            f"all {len(named)} case(s) belong to one group: give cases of at least two groups (column 'group'), "
            "or val_fraction=0"
        )
    order = np.random.default_rng(seed).permutation(len(distinct))
    count = min(len(distinct) - 1, max(1, round(fraction * len(distinct))))
    held_out = {distinct[i] for i in order[:count]}
    train = [i for i, g in enumerate(named) if g not in held_out]
    return train, [i for i, g in enumerate(named) if g in held_out]


def grouped_folds(
    labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], most: int, seed: int
) -> npt.NDArray[np.int64] | None:
    """The fold ``(N,)`` in which each item judges what the others taught: groups whole, every label on both sides.

    Parameters
    ----------
    labels, groups
        ``(N,)`` of each item.
    most
        Folds; there are fewer where a label has fewer groups.

    Returns
    -------
    array or None
        ``None`` where that cannot be done: a label of one group only.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kinds = np.unique(labels)
    least = min((len(np.unique(groups[labels == k])) for k in kinds), default=0)
    names, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    is_pure = bool((labels == labels[first][inverse]).all()) if len(labels) else False
    for count in range(min(most, least), 1, -1):
        fold = np.full(len(labels), -1, np.int64)
        if is_pure:  # as many groups of each label in each fold, however many items a group has
            plain = StratifiedKFold(count, shuffle=True, random_state=seed)
            for number, (_, judges) in enumerate(plain.split(names, labels[first])):
                fold[np.isin(inverse, judges)] = number
        else:
            split = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            for number, (_, judges) in enumerate(split.split(labels, labels, groups)):
                fold[judges] = number
        if all(len(np.unique(fold[labels == k])) > 1 for k in kinds):
            return fold
    return None
