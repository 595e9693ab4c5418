"""Which class of a reference each class of the weights is compared with, and why: never by number unless asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.core.layers import count_labels, map_labels
from workbench.core.types import Labels
from workbench.volume.data.class_merge import ClassMerge
from workbench.volume.data.label_names import is_nameless

Why = Literal["same name", "synonym", "told by classes", "same number, as asked", "no reference class"]
MatchBy = Literal["name", "number"]

# Spellings of the same word; all else is a different word. Plurals lose their s.
_WORDS = {
    "oesophagus": "esophagus", "tumour": "tumor", "oedema": "edema", "grey": "gray", "haematoma": "hematoma",
    "haemorrhage": "hemorrhage", "vertebrae": "vertebra", "l": "left", "lt": "left", "r": "right", "rt": "right",
    "ivc": "inferior vena cava", "svc": "superior vena cava",
}  # fmt: skip
_SINGULAR = ("s", "us", "is", "as", "ss")


@dataclass(frozen=True)
class ClassMatch:
    """One class of the weights and what it is compared with.

    Parameters
    ----------
    name, value
        Of the class of the weights.
    reference
        Names and values of the reference classes that make it up; empty where there is none.
    why
        What they were matched by.
    """

    name: str
    value: int
    reference: tuple[tuple[str, int], ...]
    why: Why

    @property
    def compared_with(self) -> str:
        """``kidney_right (2) + kidney_left (3)``, or "" without a reference."""
        return " + ".join(f"{n} ({v})" for n, v in self.reference)


@dataclass(frozen=True)
class Matching:
    """The classes of the weights against those of one reference.

    Parameters
    ----------
    matches
        One per class of the weights.
    unknown
        Names and values that the reference shows and no class of the weights was compared with.
    """

    matches: tuple[ClassMatch, ...]
    unknown: tuple[tuple[str, int], ...]

    def apply(self, data: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
        """The reference with the values of the weights, 0 where they know no such class."""
        by_value = {v: m.value for m in self.matches for _, v in m.reference}
        return map_labels(data, by_value, np.min_scalar_type(max(by_value.values(), default=0)))


def match_classes(
    wanted: ClassTable, labels: Labels, *, classes: str = "", match: MatchBy = "name", source: Path | str = "reference"
) -> Matching:
    """Find the reference class of each class of the weights.

    Parameters
    ----------
    wanted
        Classes of the weights.
    labels
        The reference with the names of its classes.
    classes
        Rules of a person (``"kidneys:2+3,vertebrae:vertebrae_*"``): they come first, the rest goes by name.
    match
        ``"number"``: where the reference names no class, equal values belong together.

    Raises
    ------
    InputError
        No class can be matched, and the message says what to do; or rules for classes that the weights do not know.
    """
    found = _told(wanted, labels.classes, classes) if classes else {}
    used = {v for m in found.values() for _, v in m.reference}
    free = [c for c in labels.classes if c.value not in used]
    present = {v for v in count_labels(labels.data) if v > 0}
    nameless = is_nameless(labels.classes) and not is_nameless(wanted)
    for c in wanted:
        if c.name in found:
            continue
        if nameless:
            same = [(f.name, f.value) for f in free if f.value == c.value] if match == "number" else []
            why: Why = "same number, as asked"
        else:
            same, why = _by_name(c.name, free)
        found[c.name] = ClassMatch(c.name, c.value, tuple(same), why if same else "no reference class")
    matches = tuple(found[c.name] for c in wanted)
    taken = {v for m in matches for _, v in m.reference}
    names = {c.value: c.name for c in labels.classes}
    unknown = tuple((names.get(v, f"class {v}"), v) for v in sorted(present - taken))
    if present and not taken:
        raise InputError(_nothing(wanted, unknown, nameless, source))
    return Matching(matches, unknown)


def _told(wanted: ClassTable, reference: ClassTable, classes: str) -> dict[str, ClassMatch]:
    merge = ClassMerge.parse(classes)
    values = {c.name: c.value for c in wanted}
    strange = [n for n in merge.names if n not in values]
    if strange:
        raise InputError(f"classes: the weights know no {', '.join(strange)}; they know {', '.join(wanted.names)}")
    names = {c.value: c.name for c in reference}
    gathered: dict[str, list[tuple[str, int]]] = {n: [] for n in merge.names}
    for value, number in merge.values_in(reference).items():
        if value in names:
            gathered[merge.names[number - 1]].append((names[value], value))
    return {
        n: ClassMatch(
            n, values[n], tuple(sorted(rows, key=lambda r: r[1])), "told by classes" if rows else "no reference class"
        )
        for n, rows in gathered.items()
    }


def _by_name(name: str, free: list[Any]) -> tuple[list[tuple[str, int]], Why]:
    same = [(f.name, f.value) for f in free if f.name == name]
    if same:
        return same, "same name"
    alike = [(f.name, f.value) for f in free if words_of(f.name) == words_of(name)]
    # Two different names for it (kidney, Kidneys) would be a guess.
    return (alike, "synonym") if len({n for n, _ in alike}) == 1 else ([], "no reference class")


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in one spelling, in no order: ``Right Kidney``, ``kidney_right`` and ``kidneys, r`` agree."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words: list[str] = []
    for word in re.split(r"[^a-z0-9]+", spaced.lower()):
        plain = _WORDS.get(word, word)
        if len(plain) > 4 and plain.endswith("s") and not plain.endswith(_SINGULAR[1:]):
            plain = plain[:-1]
        words += plain.split()
    return tuple(sorted(w for w in words if w not in ("and", "the", "of")))


def _nothing(wanted: ClassTable, unknown: tuple[tuple[str, int], ...], nameless: bool, source: Path | str) -> str:
    have = ", ".join(f"{n} ({v})" if not nameless else str(v) for n, v in unknown[:6])
    more = f" and {len(unknown) - 6} more" if len(unknown) > 6 else ""
    known = ", ".join(f"{c.name} ({c.value})" for c in wanted)
    if nameless:
        return (
            f"{source}: its values ({have}{more}) have no names, and numbers alone do not say which class of the "
            f"weights ({known}) each is. Name them: --names dataset.json (a table; or totalsegmentator), --classes "
            f"'{wanted.names[0]}:{unknown[0][1]},...', or, if the numbers are those of the weights, --match number"
        )
    return (
        f"{source}: its classes ({have}{more}) are none of those of the weights ({known}); say which belong together "
        f"with --classes '{wanted.names[0]}:{unknown[0][0]},...'"
    )
