"""Which class of a reference each class of the weights is compared with, and why: never by number unless asked.

The same for every kind of data whose labels meet the classes of weights: label maps of volumes, maps of scenes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.class_merge import ClassMerge
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError
from workbench.core.layers import count_labels, map_labels
from workbench.core.types import Labels

Why = Literal[
    "same name", "same name, which several values have", "synonym", "told by classes", "same number, as asked",
    "same number, neither has names", "no reference class",
]  # fmt: skip
MatchBy = Literal["name", "number"]

# Spellings of the same word; all else is a different word. Plurals lose their s.
_WORDS = {
    "oesophagus": "esophagus", "tumour": "tumor", "oedema": "edema", "grey": "gray", "haematoma": "hematoma",
    "haemorrhage": "hemorrhage", "vertebrae": "vertebra", "l": "left", "lt": "left", "r": "right", "rt": "right",
    "ivc": "inferior vena cava", "svc": "superior vena cava",
}  # fmt: skip
_JOINED = 4  # reference classes in an example
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
    shown
        Classes of the weights of which the reference has samples.
    """

    matches: tuple[ClassMatch, ...]
    unknown: tuple[tuple[str, int], ...]
    shown: tuple[str, ...] = ()

    def apply(self, data: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
        """The reference with the values of the weights, 0 where they know no such class."""
        by_value = {v: m.value for m in self.matches for _, v in m.reference}
        return map_labels(data, by_value, np.min_scalar_type(max(by_value.values(), default=0)))


def match_classes(
    wanted: ClassTable,
    labels: Labels,
    *,
    classes: str = "",
    match: MatchBy = "name",
    source: Path | str = "reference",
    advice: Sequence[str] = ("--names FILE (a table of values and names: text, CSV, JSON)", "--match number"),
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
        ``"number"``: where the reference or the weights name no class, equal values belong together.

    advice
        What else gives names, and what takes equal numbers for the same class, of those who ask.

    Raises
    ------
    InputError
        No class can be matched, and the message says what to do; or rules for classes that the weights do not know.
    """
    found = _told(wanted, labels.classes, classes) if classes else {}
    used = {v for m in found.values() for _, v in m.reference}
    free = [c for c in labels.classes if c.value not in used]
    present = {v for v in count_labels(labels.data) if v > 0}
    nameless = labels.classes.is_nameless != wanted.is_nameless
    nameless = nameless and not (labels.classes.is_numbered and wanted.is_numbered)
    for c in wanted:
        if c.name in found:
            continue
        if nameless:
            same = [(f.name, f.value) for f in free if f.value == c.value] if match == "number" else []
            why: Why = "same number, as asked"
        else:
            same, why = _by_name(c, free, match)
        found[c.name] = ClassMatch(c.name, c.value, tuple(same), why if same else "no reference class")
    matches = tuple(found[c.name] for c in wanted)
    taken = {v for m in matches for _, v in m.reference}
    names = {c.value: c.name for c in labels.classes}
    unknown = tuple((names.get(v, f"class {v}"), v) for v in sorted(present - taken))
    if present and not taken:
        raise InputError(_nothing(wanted, unknown, labels.classes.is_nameless, source, advice))
    shown = tuple(m.name for m in matches if any(v in present for _, v in m.reference))
    return Matching(matches, unknown, shown)


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


def _by_name(wanted: ClassInfo, free: Sequence[ClassInfo], match: MatchBy) -> tuple[list[tuple[str, int]], Why]:
    if wanted.is_nameless:
        # A number is all that either has: no name could say it better, but it is said.
        why: Why = "same number, as asked" if match == "number" else "same number, neither has names"
        return [(f.name, f.value) for f in free if f.value == wanted.value and f.is_nameless], why
    same = [(f.name, f.value) for f in free if f.name == wanted.name]
    if same:
        return same, "same name" if len(same) == 1 else "same name, which several values have"
    alike = [(f.name, f.value) for f in free if words_of(f.name) and words_of(f.name) == words_of(wanted.name)]
    # Two different names for it (kidney, Kidneys) would be a guess.
    return (alike, "synonym") if len({n for n, _ in alike}) == 1 else ([], "no reference class")


def adapting_note(known: ClassTable, learnt: ClassTable) -> str:
    """What a training that goes on from weights makes of their classes; "" where all stay, by the same names.

    Parameters
    ----------
    known
        Classes of the weights that the training starts from.
    learnt
        Classes of its labels, which are those of the new weights.
    """
    if learnt.is_nameless and not known.is_nameless:
        return (
            f"the labels do not name their classes ({_few(learnt.names)}): learnt as new classes, not as those of the "
            f"weights ({_few(f'{c.name} ({c.value})' for c in known)}); name them (--names FILE, in the window the "
            "list of classes), or take them by --match number"
        )
    parts = []
    alike = {
        new.name: old.name
        for new in learnt
        for old in known
        if new.name != old.name and not new.is_nameless and words_of(new.name) == words_of(old.name)
    }
    fresh = [f"{c.name}, which the weights call {alike[c.name]}" if c.name in alike else c.name for c in learnt
             if c.name not in known.names]  # fmt: skip
    lost = [c.name for c in known if c.name not in learnt.names and c.name not in alike.values()]
    if fresh:
        parts.append(f"classes of the labels that the weights do not know by this name: {_few(fresh)}")
    if lost:
        parts.append(f"classes of the weights that are in no label, so the new weights do not know them: {_few(lost)}")
    return "; ".join(parts)


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


def _nothing(
    wanted: ClassTable, unknown: tuple[tuple[str, int], ...], nameless: bool, source: Path | str, advice: Sequence[str]
) -> str:
    have = ", ".join(f"{n} ({v})" if not nameless else str(v) for n, v in unknown[:6])
    more = f" and {len(unknown) - 6} more" if len(unknown) > 6 else ""
    known = _few(f"{c.name} ({c.value})" for c in wanted)
    ways = [*advice[:1], f"--classes '{wanted.names[0]}:{unknown[0][1]},...'"]
    ways += [f"or, if its numbers are theirs, {way}" for way in advice[1:]]
    if nameless:
        return (
            f"{source}: its values ({have}{more}) have no names, and numbers alone do not say which class of the "
            f"weights ({known}) each is. Name them: {', '.join(w for w in ways if w)}"
        )
    by_number = "".join(f" (or {way}, if the numbers are the same)" for way in advice[1:])
    ask = by_number if wanted.is_nameless else ""
    return (
        f"{source}: its classes ({have}{more}) are none of those of the weights ({known}); say which belong together "
        f"with --classes '{wanted.names[0]}:{unknown[0][0]},...'{ask}"
    )


@dataclass(frozen=True)
class Compared:
    """Which classes of a study were compared, over all its cases.

    Parameters
    ----------
    classes
        Per class of the weights what it was compared with and why, and in how many cases; most often one row.
    unknown
        Classes of the references that the weights do not know: name -> in how many cases they occur.
    shown
        Classes of the weights -> in how many cases the reference has samples of them.
    cases
        How many cases there were.
    """

    classes: tuple[tuple[ClassMatch, int], ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)
    cases: int = 0

    @classmethod
    def of(cls, matchings: Iterable[Matching]) -> Compared:
        """From the matching of every case that was scored."""
        counts: dict[ClassMatch, int] = {}
        unknown: dict[str, int] = {}
        shown: dict[str, int] = {}
        cases = 0
        for matching in matchings:
            cases += 1
            for name in dict.fromkeys(matching.shown):
                shown[name] = shown.get(name, 0) + 1
            for m in matching.matches:
                counts[m] = counts.get(m, 0) + 1
            for name, _ in matching.unknown:
                unknown[name] = unknown.get(name, 0) + 1
        return cls(tuple(sorted(counts.items(), key=lambda item: item[0].value)), unknown, shown, cases)

    @property
    def names(self) -> tuple[str, ...]:
        """Classes of the weights that had a reference class in some case."""
        return tuple(dict.fromkeys(m.name for m, _ in self.classes if m.reference))

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes of the weights without a reference class in any case."""
        with_one = set(self.names)
        return tuple(dict.fromkeys(m.name for m, _ in self.classes if m.name not in with_one))

    @property
    def note(self) -> str:
        """What a reader of scores has to know of it, "" where every class met its own."""
        notes = [f"the mean is over {self.headline}"] if self.missing or self.unknown else []
        if example := next(filter(None, map(self._joining, self.missing)), ""):
            notes.append(f"reference classes are joined by --classes, e.g. --classes '{example}'")
        if any(m.why == "same number, neither has names" for m, _ in self.classes):
            notes.append(
                "neither the weights nor the labels name their classes: equal numbers were compared, which is right "
                "only if they mean the same"
            )
        shared = [m for m, _ in self.classes if m.why != "told by classes" and _shares_names(m)]
        if shared:
            joined = _few(dict.fromkeys(m.compared_with for m in shared))
            notes.append(f"values of the references that share a name were compared as one class: {joined}")
        return "; ".join(notes)

    def _joining(self, name: str) -> str:
        """The rule by which reference classes that say more (kidney_left, kidney_right) make up a class; "" without."""
        words = set(words_of(name))
        parts = [u for u in self.unknown if words and words < set(words_of(u))]
        return f"{name}:{'+'.join(parts)}" if 1 < len(parts) <= _JOINED else ""

    @property
    def headline(self) -> str:
        """Over which classes the means are: ``3 of 6 classes of the weights (liver, spleen, aorta)``."""
        total = len(self.names) + len(self.missing)
        text = f"{len(self.names)} of {total} classes of the weights ({', '.join(self.names)})"
        lacking = [f"{n} in {self.shown.get(n, 0)}" for n in self.names if self.shown.get(n, 0) < self.cases]
        if lacking:
            text += f"; of {self.cases} case(s) the reference shows {_few(lacking)} only"
        if self.missing:
            text += f"; without a reference class: {', '.join(self.missing)}"
        if self.unknown:
            text += f"; {len(self.unknown)} reference class(es) that the weights do not know: {_few(self.unknown)}"
        return text

    def rows(self) -> list[dict[str, object]]:
        """One plain row per class of the weights and way of comparing."""
        return [
            {
                "class": m.name, "value": m.value, "reference": m.compared_with,
                "reference_values": [v for _, v in m.reference], "why": m.why, "cases": count,
            }
            for m, count in self.classes
        ]  # fmt: skip


def _shares_names(match: ClassMatch) -> bool:
    return len({n for n, _ in match.reference}) < len(match.reference)


def _few(names: Iterable[str], most: int = 8) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def compared_lines(classes: Sequence[tuple[ClassMatch, int]]) -> list[str]:
    """``kidneys: kidney_right (2) + kidney_left (3), told by classes`` per class of the weights.

    A class that was compared in several ways has a line for each, with the number of cases.
    """
    ways = Counter(m.name for m, _ in classes)
    total = {name: sum(n for m, n in classes if m.name == name) for name in ways}
    return [
        (f"{m.name} ({m.value}): {m.compared_with}, {m.why}" if m.reference else f"{m.name} ({m.value}): {m.why}")
        + (f", in {count} of {total[m.name]} cases" if ways[m.name] > 1 else "")
        for m, count in classes
    ]
