"""Segmentations and contours of a tree go to the series that they were drawn on, whatever folder they lie in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from workbench.core.study import Skipped
from workbench.core.types import Case
from workbench.volume.data.dicom_index import Entry
from workbench.volume.data.dicom_roles import SEGMENTATION

_LISTED = 5


def is_drawn(entry: Entry) -> bool:
    """Whether a file is a segmentation or contours."""
    return entry.look.sop_class in SEGMENTATION or entry.look.modality == "RTSTRUCT"


def drawn_on(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """SeriesInstanceUID -> the segmentations and contours that refer to that series.

    Where they do not name it, their first source image tells it. Copies of one file are taken once.
    """
    known = list(entries)
    series_of = {e.sop: e.uid for e in known if e.sop and e.uid and not is_drawn(e)}
    found: dict[str, list[Entry]] = defaultdict(list)
    seen: set[str] = set()
    for e in known:
        if is_drawn(e) and not e.problem and e.sop not in seen:
            seen |= {e.sop} - {""}
            for uid in e.refers_to or filter(None, [series_of.get(e.source)]):
                found[uid].append(e)
    return found


def with_labels(
    cases: Sequence[tuple[Case, str]], drawn: Mapping[str, Sequence[Entry]]
) -> tuple[list[Case], list[Skipped], list[str], set[Path]]:
    """The cases with the one label map that refers to their series; of several none is taken.

    Parameters
    ----------
    cases
        Each with the SeriesInstanceUID of its volume, "" where it has none.
    drawn
        As from `drawn_on`.

    Returns
    -------
    tuple
        The cases, the label maps of which one must be chosen, a note, and all files that are spoken of here.
    """
    found, notes = [], []
    several: dict[Path, Skipped] = {}
    told: set[Path] = set()
    for case, uid in cases:
        maps = drawn.get(uid, ()) if uid else ()
        told |= {e.path for e in maps}
        if len(maps) == 1 and not case.problem:
            found.append(replace(case, labels=maps[0].path))
            notes.append(f"{case.id} ({maps[0].path.name})")
            continue
        found.append(case)
        for e in maps:
            several[e.path] = Skipped(e.path, _why_not(case, e, maps))
    more = f" and {len(notes) - _LISTED} more" if len(notes) > _LISTED else ""
    said = f"{len(notes)} case(s) have labels that refer to their series: {', '.join(notes[:_LISTED])}{more}"
    return found, list(several.values()), [said] if notes else [], told


def _why_not(case: Case, entry: Entry, maps: Sequence[Entry]) -> str:
    what = "a segmentation" if entry.look.sop_class in SEGMENTATION else "contours"
    name = f", '{entry.facts.description}'" if entry.facts.description else ""
    if len(maps) == 1:
        return f"{what} of {case.id}{name}, which cannot be opened"
    return (
        f"{what}{name}, one of {len(maps)} label maps of {case.id}: none is taken. Choose one by a list (CSV with the"
        " columns image and labels), or give it as --labels with the folder of its series"
    )
