"""Score a backend on cases with references; write tables (CSV, JSON) and a report with the worst cases."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.class_match import ClassMatch, Compared, MatchBy, Matching, match_classes
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled, InputError
from workbench.core.failures import none_left, note_failure
from workbench.core.output import require_folder
from workbench.core.seen import Seen, summary_note
from workbench.core.types import Case, Image, Labels, Progress, Result
from workbench.data.cases import open_case
from workbench.data.geometry import is_sheared
from workbench.volume.data.content import mark_of
from workbench.volume.data.label_names import LabelReader
from workbench.volume.evaluate import tables
from workbench.volume.evaluate.evaluation import VolumeEvaluation
from workbench.volume.evaluate.segmentation import Row, score_case, summarise
from workbench.volume.evaluate.tables import Shown


def evaluate_cases(
    cases: Sequence[Case],
    predict: Callable[[Image, Progress | None], Labels | Result],
    *,
    out: Path | None = None,
    classes: str = "",
    match: MatchBy = "name",
    labels: LabelReader | None = None,
    seen: Seen | None = None,
    wanted: ClassTable | None = None,
    tolerance_mm: float = 2.0,
    worst: int = 3,
    title: str = "Evaluation",
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> VolumeEvaluation:
    """Predict and score every case; a case that fails is listed and does not stop the others.

    Parameters
    ----------
    cases
        With labels on the grid of their image.
    predict
        Label map of an image, in the voxel order of the file, with its class table; as a `Result` its notes become
        notes of the evaluation.
    out
        Folder for ``scores.csv``, ``scores.json`` and ``report.html``; nothing is written if None.
    classes
        How reference values become the predicted classes, as in training (``"kidneys:2+3,..."``); all others are
        matched by name.
    match
        ``"number"``: equal values belong together where the reference names none; see `match_classes`.
    labels
        How reference maps are read; what was done to them becomes notes of the evaluation.
    seen
        What taught the weights: marks the rows of cases that did.
    wanted
        The classes that will be predicted, where they are known before.
    tolerance_mm
        Of the surface Dice.
    worst
        How many cases to show, those with the lowest mean Dice.
    title, provenance
        Head of the report, and plain values for its end (weights, settings).
    progress
        Called within and between cases with (windows done, windows in all), assuming that the cases to come need as
        many windows as the present one; with cases instead of windows if `predict` tells no progress. What it raises
        stops the work.

    Raises
    ------
    UsageError
        `out` cannot be a folder that we may write into; said before anything is predicted.
    InputError
        No case has labels, or every case failed.
    """
    if out is not None:
        require_folder(out)
    judged = [c for c in cases if c.labels is not None]
    if not judged:
        raise InputError("evaluation needs cases with labels, and none has any; give --labels or a column 'labels'")
    read = labels or LabelReader()
    rows: list[Row] = []
    failures: dict[str, str] = {}
    traces: dict[str, str] = {}
    sheared: list[str] = []
    marks: dict[str, str] = {}
    told: dict[str, Sequence[str]] = {}
    matchings: list[Matching] = []
    shown: list[Shown] = []
    overall = _Overall(progress, len(judged))
    for number, case in enumerate(judged):
        overall.begin(number)
        try:
            image = open_case(case)
            assert case.labels is not None
            given = read(case, image.geometry)
            if wanted is not None:  # what cannot be matched is said before it is predicted
                match_classes(wanted, given, classes=classes, match=match, source=case.labels)
            made = predict(image, overall.within if progress else None)
            found = made.labels if isinstance(made, Result) else made
            matching = match_classes(found.classes, given, classes=classes, match=match, source=case.labels)
            reference = matching.apply(given.data)
            mark = "" if seen is None else mark_of(seen, image, group=case.group or "")
            spacing = image.geometry.spacing or (1.0, 1.0, 1.0)
            scores = score_case(
                found.data, reference, spacing, found.classes,
                case=case.id, tolerance_mm=tolerance_mm, voxel_mm3=image.geometry.sample_volume,
            )  # fmt: skip
            by_value = {m.value: m for m in matching.matches}
            scores = [_compared_row(r, by_value[r["value"]], mark) for r in scores]
            if worst > 0:
                _keep_worst(shown, worst, case.id, scores, image, found, reference)
        except Cancelled:
            raise
        except Exception as error:
            note_failure(error, case.id, case.image, failures, traces)
            continue
        rows += scores
        matchings.append(matching)
        told[case.id] = (*given.notes, *(made.provenance.notes if isinstance(made, Result) else ()))
        if seen is not None:
            marks[case.id] = mark
        if is_sheared(image.geometry):
            sheared.append(case.id)
    overall.begin(len(judged))
    if not rows:
        raise none_left("no case could be scored", failures)
    for case in (c for c in cases if c.labels is None):
        failures[case.id] = f"{case.image}: has no labels, and is not scored. Give them, or leave it out."
    notes = [summary_note(marks)] if summary_note(marks) else []
    notes += _notes(told, len(told))
    notes += [_SHEARED.format(count=len(sheared), cases=", ".join(sheared[:5]))] if sheared else []
    compared = Compared.of(matchings)
    notes += [compared.note] if compared.note else []
    report = VolumeEvaluation(rows, summarise(rows), failures, notes=tuple(notes), traces=traces, compared=compared)
    if out is None:
        return report
    pictures = sorted(shown, reverse=True)
    files = tables.write_report(
        report, out, pictures, title=title, tolerance_mm=tolerance_mm, provenance=provenance or {}
    )
    return replace(report, files=files)


def _compared_row(row: Row, match: ClassMatch, mark: str) -> Row:
    """The row with what it was compared with; what no reference names has no volume there, not one of 0 mL."""
    unknown = {} if match.reference else {"reference_ml": math.nan, "difference_ml": math.nan}
    return {**row, **unknown, "reference": match.compared_with, "why": match.why, "seen": mark}


_SHEARED = (
    "{count} case(s) have axes that are not orthogonal ({cases}): distances were measured along the axes with the "
    "spacing of each, so HD95 and surface Dice are approximate there; Dice and volumes are exact"
)


class _Overall:
    """Progress over all cases from the progress within one, in the windows of the present case."""

    def __init__(self, progress: Progress | None, cases: int) -> None:
        self.progress, self.cases, self.number, self.windows = progress, cases, 0, 1

    def begin(self, number: int) -> None:
        """`number` cases are done."""
        self.number = number
        self._tell(0)

    def within(self, done: int, total: int) -> None:
        """The present case has come so far."""
        self.windows = max(1, total)
        self._tell(min(done, self.windows))

    def _tell(self, done: int) -> None:
        if self.progress:
            self.progress(self.number * self.windows + done, self.cases * self.windows)


def _notes(told: Mapping[str, Sequence[str]], cases: int) -> list[str]:
    """What was noted of single cases: a line each, with the cases where not all said it."""
    by_note: dict[str, list[str]] = {}
    for case, notes in told.items():
        for note in notes:
            by_note.setdefault(note, []).append(case)
    return [
        note
        if len(ids) == cases
        else f"{note} ({', '.join(ids[:3])}{f' and {len(ids) - 3} more' if len(ids) > 3 else ''})"
        for note, ids in by_note.items()
    ]


def _keep_worst(
    shown: list[Shown], count: int, case: str, scores: list[Row], image: Image, found: Labels,
    reference: npt.NDArray[np.integer[Any]],
) -> None:  # fmt: skip
    """Draw the case if it is among the worst so far: only pictures are kept, no volumes."""
    from workbench.volume.evaluate.pictures import comparison

    values = [r["dice"] for r in scores if not math.isnan(r["dice"])]
    badness = 1 - sum(values) / len(values) if values else -1.0
    if len(shown) == count and badness <= shown[0].badness:
        return
    title = f"{case}: mean Dice {1 - badness:.3f}" if values else f"{case}: none of the classes in the reference"
    item = Shown(badness, title, comparison(image, found.data, reference, found.classes))
    if len(shown) < count:
        heapq.heappush(shown, item)
    else:
        heapq.heapreplace(shown, item)
