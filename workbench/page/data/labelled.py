"""Pages with a diagnosis: by the column of a list, or by the folder that they lie in, a folder per class."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbench.core.errors import InputError
from workbench.core.types import Case
from workbench.data.groups import group_of

_COLUMN = "label"
_FEWEST = 2
_KEPT = 6


@dataclass(frozen=True)
class Labelled:
    """Cases and what they are called.

    Parameters
    ----------
    cases
        Those that have a label, each with its group: what is kept on one side of a split.
    labels
        Of each case.
    classes
        The labels in the order of their names, normal ones first.
    notes
        What a person should know.
    """

    cases: tuple[Case, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def labelled(cases: Sequence[Case], column: str = _COLUMN) -> Labelled:
    """The labels of cases: of the column of their list, else the names of their folders.

    A folder that is a class is no patient: pages in it are told apart by their names, and what looks alike is grouped
    later (see `workbench.page.train.copies`).

    Raises
    ------
    InputError
        Fewer than two classes.
    """
    by_column = [str(c.options.get(column, c.options.get(column.strip().lower(), ""))).strip() for c in cases]
    if column != _COLUMN and not any(by_column):
        have = ", ".join(sorted({name for case in cases for name in case.options})) or "no further ones"
        raise InputError(
            f"{cases[0].image if cases else 'no page'}: no page has a label in a column '{column}'. Give a column of "
            f"the list (it has {have}) as --label-column."
        )
    notes: list[str] = []
    if any(by_column):
        lacking = [c.id for c, label in zip(cases, by_column, strict=True) if not label]
        if lacking:
            notes.append(f"{len(lacking)} page(s) have no '{column}' and are left out: {', '.join(lacking[:3])}")
        found = [(c, label) for c, label in zip(cases, by_column, strict=True) if label]
    else:
        found = []
        for case in cases:
            folder = case.image.parent.name
            is_class = case.group in ("", folder, group_of(case.id))
            found.append((replace(case, group=case.id) if is_class else case, folder))
        notes.append("labels are the names of the folders that the pages lie in")
    found, spelt = _one_spelling(found)
    notes += spelt
    classes = ordered(label for _, label in found)
    if len(classes) < _FEWEST:
        first = cases[0].image if cases else "no page"
        have = f"one class only ({classes[0]})" if classes else "no label"
        raise InputError(
            f"{first}: {have}. Give a list with the columns image and '{column}', or a folder for each class."
        )
    few = [f"{name} ({n})" for name in classes if (n := sum(label == name for _, label in found)) < _KEPT]
    if few:
        notes.append(f"classes with very few pages: {', '.join(few)}; little can be learnt or said of them")
    return Labelled(tuple(c for c, _ in found), tuple(label for _, label in found), classes, tuple(notes))


def _one_spelling(found: list[tuple[Case, str]]) -> tuple[list[tuple[Case, str]], list[str]]:
    """Labels that differ in capitals and spaces alone are one class, under the spelling that is commonest."""
    spellings: dict[str, Counter[str]] = {}
    for _, label in found:
        spellings.setdefault(plain_label(label), Counter())[label] += 1
    common = {plain: counts.most_common(1)[0][0] for plain, counts in spellings.items()}
    notes = [
        f"{', '.join(repr(one) for one in sorted(counts))} are taken for one class, {common[plain]!r}"
        for plain, counts in spellings.items() if len(counts) > 1
    ]  # fmt: skip
    return [(case, common[plain_label(label)]) for case, label in found], notes


def plain_label(label: str) -> str:
    """What two spellings of one label share."""
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def ordered(labels: object) -> tuple[str, ...]:
    """Labels without repetition: those that begin with "normal" first, then by name."""
    return tuple(sorted(set(labels), key=lambda n: (not n.lower().startswith("norm"), n.lower(), n)))  # type: ignore[call-overload]
