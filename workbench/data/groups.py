"""Which cases are of one patient: by the names of folders and files, and by what their headers say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from workbench.core.types import Case

# Names that certainly begin with a patient: "sub-01_ses-2", "patient007_frame01", "P12-followup", "TCGA-AB-1234-01".
# Anything looser would lump together studies such as "BraTS2021_00012".
_PATIENT = re.compile(
    r"^(sub-[A-Za-z0-9]+|(?:patient|pat|subject|subj|case|pt|p)[-_]?\d+|TCGA-\w{2}-\w{4})(?=[-_.]|$)", re.IGNORECASE
)

_PSEUDONYM = re.compile(r"patient-[0-9a-f]{8}")


def group_of(case_id: str) -> str:
    """The patient-like beginning of an id, or the id itself."""
    match = _PATIENT.match(case_id)
    return match[1] if match else case_id


def is_patient(name: str) -> bool:
    """Whether a name certainly begins with a patient."""
    return _PATIENT.match(name) is not None


def grouped(cases: Sequence[Case], root: Path) -> tuple[list[Case], list[str]]:
    """The cases of a tree with their groups, and what a person should know of them.

    Parameters
    ----------
    cases
        Their `Case.group` is what the headers say of the patient (a pseudonym), or empty.
    root
        The top of the tree.

    Notes
    -----
    What is one patient by a name or by a header is one group: nothing may lie on both sides of a split. A single
    PatientID for several patients' folders is what anonymisers leave, and does not count.
    """
    named = [_named(case, root) for case in cases]
    patients = {c.group for c in cases if _PSEUDONYM.fullmatch(c.group)}
    names = {n for n, c in zip(named, cases, strict=True) if n and c.group in patients}
    notes = []
    if len(patients) == 1 and len(names) > 1:
        notes.append("all cases have one PatientID: patients are told apart by the names of folders")
        patients = set()
    elif len(patients) == 1 and len([c for c in cases if c.group in patients]) > 1:
        notes.append(
            "all DICOM cases have one PatientID and count as one patient; give groups in a list if they are not"
        )
    of_patient: dict[str, str] = {}
    for name, case in zip(named, cases, strict=True):
        if case.group in patients:
            of_patient.setdefault(case.group, name or case.group)
    tops = _tops(cases, root)
    found = []
    for name, top, case in zip(named, tops, cases, strict=True):
        own = "" if _PSEUDONYM.fullmatch(case.group) else case.group
        found.append(replace(case, group=of_patient.get(case.group) or own or name or top))
    alone = [t for t, n, c in zip(tops, named, cases, strict=True) if not n and not c.group and t != c.id]
    if len(set(alone)) < len(alone):
        notes.append("cases of one folder count as one patient, as nothing else tells; give groups in a list if not")
    return found, notes


def lacking_channels(cases: Sequence[Case]) -> list[str]:
    """A note on cases of named channels without some that most others have (a sequence that was not copied)."""
    stacks = [c for c in cases if len(c.files) > 1 and c.channels and not c.problem]
    counts = Counter(c.channels for c in stacks)
    if len(counts) < 2:
        return []
    usual = max(counts, key=lambda names: (counts[names], len(names)))
    fewer = [(c, [n for n in usual if n not in c.channels]) for c in stacks if set(c.channels) < set(usual)]
    if not fewer:
        return []
    first, names = fewer[0]
    return [
        f"{len(fewer)} of {len(stacks)} cases lack channels that the others have, first {first.id}: no"
        f" {', '.join(names)}; the others have {', '.join(usual)}"
    ]


def _named(case: Case, root: Path) -> str:
    """The patient that a folder or the file is named after, "" where none certainly is."""
    names = [case.id, *_parts(case, root), *([root.name] if case.image == root else [])]
    return next((m[1] for n in names if (m := _PATIENT.match(n))), "")


def _tops(cases: Sequence[Case], root: Path) -> list[str]:
    """Without any of that the first folders that differ stand for the patients, where there are folders."""
    places = [_parts(case, root)[:-1] for case in cases]
    common = 0
    while places and all(len(p) > common and p[common] == places[0][common] for p in places):
        common += 1
    return [p[common] if len(p) > common else c.id for p, c in zip(places, cases, strict=True)]


def _parts(case: Case, root: Path) -> tuple[str, ...]:
    try:
        return case.image.relative_to(root).parts
    except ValueError:
        return ()
