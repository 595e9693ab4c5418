"""A list of slides with labels, as it is before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import InputError
from workbench.core.types import Case
from workbench.data.cases import load_cases, taught_by
from workbench.data.groups import group_of
from workbench.slide.marked import alike

EMBEDDED = (".h5", ".hdf5")
NOBODY = ("", "unknown", "none", "nan", "na", "n/a", "?")
"""Groups that say that nobody knows whose a slide is."""
_NO_LABELS = ("image", "labels", "group", "id", "patient", "subject", "patient_id")


@dataclass(frozen=True)
class LabelList:
    """Slides, or files of their embeddings, with columns that can be labels.

    Parameters
    ----------
    path
        The list.
    cases
        Its rows that may teach.
    notes
        What is said of it, such as rows that are left out.
    """

    path: Path
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose values tell slides apart, ``label`` first."""
        found = {k: len({c.options.get(k, "") for c in self.cases}) for k in _columns(self.cases)}
        return tuple(sorted((k for k, n in found.items() if n > 1), key=lambda k: (k != "label", k)))

    @property
    def patients(self) -> frozenset[str]:
        """Whose the slides are."""
        return frozenset(patient_of(case) for case in self.cases)

    @property
    def is_embedded(self) -> bool:
        """Whether all are files of embeddings, and no slide has to be embedded."""
        return all(case.image.suffix.lower() in EMBEDDED for case in self.cases)

    def counts(self, column: str) -> list[tuple[str, int, int]]:
        """Rows of label, slides, and patients, in the order of their names.

        Raises
        ------
        InputError
            A slide has no label in this column.
        """
        said = labels_of(self.cases, column)
        rows = []
        for name in sorted(set(said.values())):
            own = [case for case in self.cases if said[case.id] == name]
            rows.append((name, len(own), len({patient_of(case) for case in own})))
        return rows

    def doubts(self, column: str) -> list[str]:
        """What may be wrong with these labels, a line each."""
        names = sorted(set(labels_of(self.cases, column).values()))
        found = alone_of([patient_of(case) for case in self.cases], [case.id for case in self.cases])
        return [*found, *alike(names)]


def read_label_list(path: Path) -> LabelList:
    """Read a list (CSV, TSV, JSONL) of slides with labels.

    Raises
    ------
    InputError
        It cannot be read, or no column tells slides apart.
    """
    cases, notes = taught_by(load_cases(path, kind="slide"))
    found = LabelList(path, tuple(cases), tuple(notes))
    if not found.columns:
        raise InputError(
            f"{path}: no column says a label of its {len(cases)} slides (found: image"
            f"{''.join(f', {k}' for k in _columns(cases))}). Add a column 'label' with two values or more."
        )
    return found


def labels_of(cases: Sequence[Case], column: str) -> dict[str, str]:
    """The label of each case by its id.

    Raises
    ------
    InputError
        A case has none; there is no such column.
    """
    known = sorted({k for case in cases for k in case.options})
    if column in _NO_LABELS:
        raise InputError(
            f"the column '{column}' of a list says something else than the label of a slide. Choose another."
        )
    if not any(column in case.options for case in cases):
        have = f"it has {', '.join(known)}" if known else "it has no further columns"
        raise InputError(f"the list has no column '{column}' with the labels of slides; {have}. Give --label-column.")
    missing = [case.id for case in cases if not str(case.options.get(column, "")).strip()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(
            f"{', '.join(missing[:3])}{more}: no '{column}' in the list. Give it, or leave the slides out."
        )
    return {case.id: str(case.options[column]).strip() for case in cases}


def patient_of(case: Case) -> str:
    """Whose a slide is; one that nobody knows of counts as a patient of its own."""
    return case.group if case.group.lower() not in NOBODY else case.id


def alone_of(patients: Sequence[str], ids: Sequence[str]) -> list[str]:
    """What to say of slides that no column says the patient of: each counts as one."""
    alone = [own for whose, own in zip(patients, ids, strict=True) if whose in (own, group_of(own))]
    if alone and len(alone) == len(ids):
        return [
            "no column 'group' or 'patient' names whose the slides are: each counts as a patient of its own, and "
            "scores are too good where several are of one"
        ]
    if alone:
        return [f"{len(alone)} slide(s) count as patients of their own, as the list names none: {', '.join(alone[:3])}"]
    return []


def _columns(cases: Sequence[Case]) -> list[str]:
    return sorted({k for case in cases for k in case.options} - set(_NO_LABELS))
