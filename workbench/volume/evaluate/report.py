"""Score a backend on cases with references; write tables (CSV, JSON) and a report with the worst cases."""

from __future__ import annotations

import heapq
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_json, write_text
from workbench.core.classes import ClassTable
from workbench.core.csv_text import table_text
from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.core.jsonable import plain_json
from workbench.core.output import require_folder
from workbench.core.types import Case, Geometry, Image, Labels, Progress
from workbench.data import formats
from workbench.data.cases import open_case
from workbench.volume.data.class_merge import ClassMerge
from workbench.volume.evaluate.segmentation import COLUMNS, MEASURES, Row, score_case, summarise

_NAMES = {"dice": "Dice", "hd95_mm": "HD95 [mm]", "nsd": "surface Dice"}


@dataclass(frozen=True)
class VolumeEvaluation:
    """Scores of a study.

    Parameters
    ----------
    rows, summary
        See `score_case` and `summarise`.
    failures
        Cases that could not be scored: id -> why.
    files
        What was written: ``scores.csv``, ``scores.json``, ``report.html``; empty if nothing was asked for.
    notes
        What readers of the scores should know, e.g. cases whose distances are approximate.
    traces
        Tracebacks of failures that were not foreseen, by case.

    It is a `workbench.core.reports.EvaluationReport`.
    """

    rows: list[Row]
    summary: list[Row]
    failures: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    traces: dict[str, str] = field(default_factory=dict)

    @property
    def mean_dice(self) -> float:
        """Mean Dice over all classes and cases."""
        return float(self.summary[-1]["dice_mean"])

    def text(self) -> str:
        """The summary per class as aligned text."""
        width = max(len(str(r["class"])) for r in self.summary)
        lines = [f"{'class':<{width}}  cases   Dice     sd  HD95 [mm]  surface Dice  missed"]
        for r in self.summary:
            scores = f"{r['dice_mean']:.3f}  {r['dice_sd']:.3f}  {r['hd95_mm_mean']:>9.2f}  {r['nsd_mean']:>12.3f}"
            lines.append(f"{r['class']:<{width}}  {r['cases']:>5}  {scores}  {r['missed']:>6}")
        return "\n".join(lines)


@dataclass(order=True)
class _Shown:
    """A case kept for its picture; ordered so that a heap drops the best one first."""

    badness: float
    caption: str
    picture: bytes = field(compare=False)


def evaluate_cases(
    cases: Sequence[Case],
    predict: Callable[[Image, Progress | None], Labels],
    *,
    out: Path | None = None,
    classes: str = "",
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
        Label map of an image, in the voxel order of the file, with its class table.
    out
        Folder for ``scores.csv``, ``scores.json`` and ``report.html``; nothing is written if None.
    classes
        How reference values become the predicted classes, as in training (``"kidneys:2+3,..."``); empty: equal names,
        or equal values where the reference names none.
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
    rows: list[Row] = []
    failures: dict[str, str] = {}
    traces: dict[str, str] = {}
    sheared: list[str] = []
    shown: list[_Shown] = []
    overall = _Overall(progress, len(judged))
    for number, case in enumerate(judged):
        overall.begin(number)
        try:
            image = open_case(case)
            found = predict(image, overall.within if progress else None)
            reference = _reference(case, image, found.classes, classes)
            spacing = image.geometry.spacing or (1.0, 1.0, 1.0)
            scores = score_case(
                found.data, reference, spacing, found.classes,
                case=case.id, tolerance_mm=tolerance_mm, voxel_mm3=image.geometry.sample_volume,
            )  # fmt: skip
            if worst > 0:
                _keep_worst(shown, worst, case.id, scores, image, found, reference)
        except Cancelled:
            raise
        except WorkbenchError as error:
            failures[case.id] = str(error)
            continue
        except Exception as error:
            failures[case.id] = f"{case.image}: {type(error).__name__}: {error}"
            traces[case.id] = traceback.format_exc()
            continue
        rows += scores
        if is_sheared(image.geometry):
            sheared.append(case.id)
    overall.begin(len(judged))
    if not rows:
        raise InputError(f"no case could be scored; the first failure: {next(iter(failures.values()))}")
    notes = (_SHEARED.format(count=len(sheared), cases=", ".join(sheared[:5])),) if sheared else ()
    report = VolumeEvaluation(rows, summarise(rows), failures, notes=notes, traces=traces)
    if out is None:
        return report
    pictures = sorted(shown, reverse=True)
    files = write_report(report, out, pictures, title=title, tolerance_mm=tolerance_mm, provenance=provenance or {})
    return replace(report, files=files)


_SHEARED = (
    "{count} case(s) have axes that are not orthogonal ({cases}): distances were measured along the axes with the "
    "spacing of each, so HD95 and surface Dice are approximate there; Dice and volumes are exact"
)


def is_sheared(geometry: Geometry) -> bool:
    """Whether axes stand more than about 0.06 degrees off the right angle."""
    if geometry.affine is None:
        return False
    axes = geometry.affine[:-1, :-1] / np.sqrt((geometry.affine[:-1, :-1] ** 2).sum(axis=0))
    return bool(np.abs(axes.T @ axes - np.eye(len(axes))).max() > 1e-3)


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


def _reference(case: Case, image: Image, wanted: ClassTable, classes: str) -> npt.NDArray[np.integer[Any]]:
    """The reference with the values of the predicted classes."""
    assert case.labels is not None
    labels = formats.read_labels(case.labels, reference=image.geometry)
    names = {c.name for c in labels.classes}
    if classes:
        merge = ClassMerge.parse(classes)
        values = {n: c.value for n in merge.names for c in wanted if c.name == n}
        unknown = [n for n in merge.names if n not in values]
        if unknown:
            raise InputError(f"classes: the weights know no {', '.join(unknown)}; they know {', '.join(wanted.names)}")
        lookup = np.array([0, *(values[n] for n in merge.names)], np.uint8)
        return lookup[merge.apply(labels)]
    if names & set(wanted.names):
        by_name = {c.name: c.value for c in wanted}
        present, inverse = np.unique(labels.data, return_inverse=True)
        known = {c.value: by_name.get(c.name, 0) for c in labels.classes}
        return np.array([known.get(int(v), 0) for v in present], np.int32)[inverse].reshape(labels.data.shape)
    if all(c.name == f"class {c.value}" for c in labels.classes):
        return labels.data
    raise InputError(
        f"{case.labels}: its classes ({', '.join(sorted(names)[:6])}...) are none of the predicted ones "
        f"({', '.join(wanted.names)}); say which belong together with --classes 'kidneys:2+3,...'"
    )


def _keep_worst(
    shown: list[_Shown], count: int, case: str, scores: list[Row], image: Image, found: Labels,
    reference: npt.NDArray[np.integer[Any]],
) -> None:  # fmt: skip
    """Draw the case if it is among the worst so far: only pictures are kept, no volumes."""
    from workbench.volume.evaluate.pictures import comparison

    values = [r["dice"] for r in scores if not math.isnan(r["dice"])]
    badness = 1 - sum(values) / len(values) if values else -1.0
    if len(shown) == count and badness <= shown[0].badness:
        return
    title = f"{case}: mean Dice {1 - badness:.3f}" if values else f"{case}: none of the classes in the reference"
    item = _Shown(badness, title, comparison(image, found.data, reference, found.classes))
    if len(shown) < count:
        heapq.heappush(shown, item)
    else:
        heapq.heapreplace(shown, item)


def scores_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV text with full precision; NaN and infinity as ``nan`` and ``inf``."""
    return table_text(COLUMNS, rows)


def write_report(
    report: VolumeEvaluation,
    out: Path,
    worst: Sequence[_Shown],
    *,
    title: str,
    tolerance_mm: float,
    provenance: Mapping[str, Any],
) -> tuple[Path, ...]:
    """Write ``scores.csv``, ``scores.json`` (NaN and infinity as null and text) and ``report.html`` to `out`."""
    from workbench.report import html

    plain = {
        "title": title,
        "tolerance_mm": tolerance_mm,
        "mean_dice": report.mean_dice,
        "summary": report.summary,
        "rows": report.rows,
        "failures": report.failures,
        "notes": report.notes,
        "provenance": dict(provenance),
    }
    whole = report.summary[-1]
    tiles = {
        "mean Dice": whole["dice_mean"],
        "mean HD95 [mm]": whole["hd95_mm_mean"],
        "mean surface Dice": whole["nsd_mean"],
        "cases": len({r["case"] for r in report.rows}),
        "missed organs": whole["missed"],
    }
    columns = ["class", "cases", "missed"]
    columns += [f"{_NAMES[m]} {k}" for m in MEASURES for k in ("mean", "sd", "median")] + ["volume error [%]"]
    summary = [
        (r["class"], r["cases"], r["missed"], *(r[f"{m}_{k}"] for m in MEASURES for k in ("mean", "sd", "median")),
         r["volume_error_percent"])
        for r in report.summary
    ]  # fmt: skip
    cases = [
        (r["case"], r["class"], *(r[m] for m in MEASURES), r["volume_ml"], r["reference_ml"], r["difference_ml"])
        for r in report.rows
    ]
    head = ("case", "class", *_NAMES.values(), "volume [mL]", "reference [mL]", "difference [mL]")
    note = (
        f"Surface Dice: share of both surfaces within {tolerance_mm:g} mm. Classes absent from a reference do not "
        "count; those not found count with Dice 0 and as missed, and are left out of the mean HD95."
    )
    sections = [
        html.Section(
            "Result",
            [
                html.Tiles(tiles),
                html.Table(columns, summary),
                html.Text(note),
                *(html.Text(f"{n}.", "warning") for n in report.notes),
            ],
        ),
        html.Section(
            "Worst cases",
            [html.Picture(w.picture, f"{w.caption}. Solid: reference, dashed: prediction.") for w in worst],
        ),
        html.Section("All cases", [html.Table(head, cases, digits=2)]),
    ]
    if report.failures:
        sections.append(html.Section("Not scored", [html.Table(("case", "why"), list(report.failures.items()))]))
    sections.append(html.Section("How it was made", [html.Facts(provenance)]))
    return (
        write_text(out / "scores.csv", scores_csv(report.rows)),
        write_json(out / "scores.json", plain_json(plain)),
        html.write(out / "report.html", title, sections, subtitle="Research use only."),
    )
