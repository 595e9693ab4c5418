"""Score nuclei that were found on pictures against those that a person outlined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.class_match import match_classes
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled, InputError
from workbench.core.failures import none_left, note_failure
from workbench.core.frame import PIXELS
from workbench.core.output import require_folder
from workbench.core.seen import Seen, content_key, summary_note
from workbench.core.types import Case, Image, Labels, Progress, Result
from workbench.data.cases import open_case
from workbench.slide.data.nuclei_labels import Reference, painted, read_reference, require_same_picture
from workbench.slide.data.resample import ratio
from workbench.slide.data.scaled import scaled
from workbench.slide.evaluate.cell_evaluation import CellEvaluation, Shown
from workbench.slide.evaluate.classical import classical, is_there
from workbench.slide.evaluate.nuclei import Panoptic
from workbench.slide.evaluate.scored import NO_CLASSES, Scored, score, summarise
from workbench.slide.evaluate.settings import CellScoring

_MANY = 5
"""Nuclei of a picture above which not one pair means that something else is wrong."""
_CHANCE = 0.05
"""Share of pairs below which they came about by chance."""
_ADVICE = ("", "--match number")
OWN, CLASSICAL = "the weights", "classical"


def evaluate_cells(
    cases: Sequence[Case],
    find: Callable[[Image], Result],
    config: CellScoring,
    classes: ClassTable,
    *,
    out: Path | None = None,
    seen: Seen | None = None,
    title: str = "Nuclei",
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> CellEvaluation:
    """Find nuclei and score them, picture by picture; one that fails is listed and does not stop the others.

    Parameters
    ----------
    find
        The nuclei of a picture, as the backend finds them.
    classes
        Those of the weights. With one alone classes are not compared.
    out
        Folder for ``scores.csv``, ``scores.json`` and ``report.html``; nothing is written if None.
    seen
        What taught the weights: marks the rows of pictures that did.

    Raises
    ------
    UsageError
        `out` cannot be written; said before anything is found.
    InputError
        No picture has labels, or every one failed.
    """
    if out is not None:
        require_folder(out)
    judged = [c for c in cases if c.labels is not None]
    if not judged:
        raise InputError("evaluation needs pictures with labels, and none has any; give --labels or a column 'labels'")
    failures: dict[str, str] = {}
    traces: dict[str, str] = {}
    scored: dict[str, list[Scored]] = {OWN: []}
    marks: dict[str, str] = {}
    keys: dict[str, list[str]] = {}
    said: dict[str, list[str]] = {}
    shown: list[Shown] = []
    both = config.classical and is_there()
    for number, case in enumerate(judged):
        if progress is not None:
            progress(number, len(judged))
        try:
            one = _Judged.of(case, find, config, classes)
            own = one.score(one.found, one.found_types, classes)
            plain = one.score(classical(one.pixels), None, NO_CLASSES) if both else None
        except Cancelled:
            raise
        except Exception as error:
            note_failure(error, case.id, case.image, failures, traces)
            continue
        scored[OWN].append(own)
        if plain is not None:
            scored.setdefault(CLASSICAL, []).append(plain)
        key = content_key(one.pixels)
        keys.setdefault(key, []).append(case.id)
        if seen is not None:
            marks[case.id] = seen.mark([key], group=case.group or "")
        for note in one.notes:
            said.setdefault(note, []).append(case.id)
        _keep_worst(shown, config.worst, own, one)
    if progress is not None:
        progress(len(judged), len(judged))
    if not scored[OWN]:
        raise none_left("no picture could be scored", failures)
    for case in (c for c in cases if c.labels is None):
        failures[case.id] = f"{case.image}: has no labels, and is not scored. Give them, or leave it out."
    used = {c.value for c in classes} & {v for s in scored[OWN] for v in s.panoptic}
    kinds = ClassTable(tuple(c for c in classes if c.value in used))
    rows = [
        row for method, some in scored.items() for s in some
        for row in s.rows(kinds, config.radius, method, marks.get(s.case, ""))
    ]  # fmt: skip
    summary = [row for method, some in scored.items() for row in summarise(some, kinds, config.radius, method)]
    notes = [n for n in (summary_note(marks),) if n]
    notes += [f"{note}{_whose(ids, len(judged))}" for note, ids in said.items()]
    notes += _said_of(scored[OWN], len(kinds), keys)
    if config.classical and not both:
        notes.append("the classical way needs scikit-image (it comes with napari), and was left out")
    if not len(kinds):
        notes.append("classes were not compared: " + (
            "the weights know one class" if len(classes) < 2 else "the labels tell none"))  # fmt: skip
    report = CellEvaluation(rows, summary, failures, traces, tuple(notes))
    if out is None:
        return report
    from workbench.slide.evaluate.cell_report import write_report

    shown.sort(key=lambda s: s.caption)
    return replace(report, files=write_report(report, out, shown, config.radius, title, provenance or {}))


def _said_of(scored: Sequence[Scored], kinds: int, keys: Mapping[str, Sequence[str]]) -> list[str]:
    """What would make the means mislead."""
    found = []
    whole = [s.panoptic[0] for s in scored]
    if empty := [w for w in whole if not w.pairs + w.missed]:
        false = sum(w.excess for w in empty)
        found.append(
            f"{len(empty)} picture(s) have no nuclei: bPQ and AJI leave them out; PQ+ and F1 count the {false} nuclei "
            "that were found on them"
        )
    lost = [s.case for s, w in zip(scored, whole, strict=True) if _is_chance(w)]
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        found.append(
            f"hardly a found nucleus is one of those labelled on {', '.join(lost[:3])}{more}: are these the labels of "
            "that picture, in its pixels?"
        )
    if kinds and (plain := [s.case for s in scored if len(s.panoptic) == 1]):
        found.append(f"classes are scored without {len(plain)} picture(s) whose labels tell none, first {plain[0]}")
    for same in keys.values():
        if len(same) > 1:
            found.append(f"{' and '.join(same[:4])} are the same picture, and count {len(same)} times")
    return found


def _is_chance(one: Panoptic) -> bool:
    """Whether outlines that have nothing to do with a picture would match as well."""
    return min(one.missed, one.excess) >= _MANY and one.pairs < _CHANCE * min(one.missed, one.excess)


def _whose(ids: Sequence[str], all_of: int) -> str:
    if len(ids) == all_of:
        return ""
    return f" ({', '.join(ids[:3])}{f' and {len(ids) - 3} more' if len(ids) > 3 else ''})"


@dataclass(frozen=True, eq=False)
class _Judged:
    """A picture, its nuclei, and those that were found."""

    case: str
    pixels: npt.NDArray[np.uint8]
    reference: Reference
    types: npt.NDArray[np.int32] | None
    found: npt.NDArray[np.int32]
    found_types: npt.NDArray[np.int32]
    radius: float
    notes: tuple[str, ...]

    @classmethod
    def of(cls, case: Case, find: Callable[[Image], Result], config: CellScoring, classes: ClassTable) -> _Judged:
        image = open_case(case)
        slide = scaled(image, config.mpp)
        if slide.pyramid is None:
            raise InputError(f"{case.image}: is no slide: it has no levels")
        per_um = ratio(slide.pyramid, 1.0, name=case.image, allow_upsample=True)
        assert case.labels is not None
        rows, columns = slide.pyramid.levels[0].shape
        require_same_picture(case.labels, image)
        reference = read_reference(case.labels, (rows, columns))
        types, said = _matched(reference, classes, config, case, slide)
        result = find(image)
        nuclei = result.parts["nuclei"].in_frame(PIXELS)  # type: ignore[union-attr]
        found = painted(nuclei, (rows, columns))
        kinds = np.concatenate([[0], nuclei.class_values]).astype(np.int32)[found]
        pixels = slide.pyramid.read(0, 0, 0, rows, columns)
        notes = (*reference.notes, *said, *result.provenance.notes)
        return cls(case.id, pixels, reference, types, found, kinds, config.radius * per_um, notes)

    def score(self, found: npt.NDArray[np.int32], types: npt.NDArray[np.int32] | None, classes: ClassTable) -> Scored:
        pair = None if types is None or self.types is None else (self.types, types)
        return score(self.case, self.reference.labels, found, self.radius, classes, pair)


def _matched(
    reference: Reference, classes: ClassTable, config: CellScoring, case: Case, slide: Image
) -> tuple[npt.NDArray[np.int32] | None, tuple[str, ...]]:
    """Classes of the reference by the values of the weights, ``None`` where classes are not compared; what to say."""
    if reference.types is None or len(classes) < 2:
        return None, ()
    labels = Labels(reference.types, slide.geometry, reference.classes)
    source = case.labels or case.image
    matching = match_classes(classes, labels, classes=config.classes, match=config.match, source=source, advice=_ADVICE)
    said: tuple[str, ...] = ()
    if matching.unknown:
        others = ", ".join(name for name, _ in matching.unknown)
        said = (f"the weights know no class for {others}: nuclei of it count as nuclei, and in no class",)
    return np.asarray(matching.apply(reference.types), np.int32), said


def _keep_worst(shown: list[Shown], most: int, own: Scored, one: _Judged) -> None:
    pq = own.panoptic[0].pq
    if not most or pq != pq:
        return
    caption = f"PQ {pq:.3f}: {own.case}"
    shown.append(Shown(caption, one.pixels, one.reference.labels, one.found))
    shown.sort(key=lambda s: s.caption)
    del shown[most:]
