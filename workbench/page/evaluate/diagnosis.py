"""Diagnose labelled pages and score each opinion, both together, and what is said; each layout by itself as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_json, write_text
from workbench.core.csv_text import table_text
from workbench.core.errors import Cancelled, InputError, nearest, one_line
from workbench.core.failures import none_left, note_failure
from workbench.core.jsonable import plain_json
from workbench.core.output import require_folder
from workbench.core.seen import Seen, content_key, summary_note
from workbench.core.types import Case, Image, Progress, Result, Scores
from workbench.data.cases import open_case
from workbench.page.data.labelled import labelled, plain_label
from workbench.page.errors import NotAPage
from workbench.page.evaluate.classes import accuracy, calibration_error, macro_auroc, macro_f1, recall
from workbench.page.evaluate.evaluation import aligned
from workbench.report import html

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]
OPINIONS = ("image", "signal", "together")
_DETAIL = "diagnosis"
_REFUSED = "refused"
_FEWEST = 4
"""Pages of a layout from which on it has a row of its own."""
_NOT_TAUGHT = "layout {} (not taught)"
_RULES = (
    "Image, signal: what each network says alone, wherever its opinion counts. Together: those that count, pooled "
    "by their logarithms. Said: only pages of which a diagnosis was said, because those that were asked agree and are "
    "sure enough; its share of all pages stands beside it. Macro F1 and macro AUROC weigh classes alike; the "
    "calibration error (ten bins) says by how much probabilities are off."
)


@dataclass(frozen=True)
class DiagnosisEvaluation:
    """Scores of diagnoses; a `workbench.core.reports.EvaluationReport`.

    Parameters
    ----------
    rows
        A row for each page: its label, what was said and why, what each opinion holds for likeliest.
    summary
        A row for each opinion, over all pages and over those of one layout.
    """

    rows: list[Row]
    summary: list[Row]
    failures: Mapping[str, str] = field(default_factory=dict)
    traces: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def text(self) -> str:
        """The summary as aligned text."""
        return "\n".join(aligned(self.summary))


@dataclass(frozen=True, eq=False)
class _Judged:
    row: Row
    truth: int
    odds: Mapping[str, Floats]
    said: str
    layout: str


def evaluate_diagnosis(
    cases: Sequence[Case],
    read: Callable[[Image], Result],
    classes: Sequence[str],
    *,
    layouts: Sequence[str] = (),
    label_column: str = "label",
    out: Path | None = None,
    seen: Seen | None = None,
    title: str = "Diagnoses",
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> DiagnosisEvaluation:
    """Diagnose labelled pages or records; one that fails is listed and does not stop the others.

    Parameters
    ----------
    read
        The result of a page with its ``diagnosis``, as the backend makes it.
    classes
        What the weights can say, in their order.
    layouts
        Arrangements that taught the weights; empty where they do not say.
    label_column
        Column of the list with the labels; without one folders are classes.
    out
        Folder for ``scores.csv`` (pages), ``summary.csv``, ``scores.json``, ``report.html``; ``None`` writes nothing.

    Raises
    ------
    UsageError
        `out` cannot be written.
    InputError
        Labels are not those of the weights, or every page failed.
    """
    if out is not None:
        require_folder(out)
    told = labelled(cases, label_column)
    numbers = _numbers(told.labels, classes, told.cases[0].image)
    failures: dict[str, str] = {}
    traces: dict[str, str] = {}
    judged: list[_Judged] = []
    for n, (case, number) in enumerate(zip(told.cases, numbers, strict=True)):
        if progress is not None:
            progress(n, len(told.cases))
        try:
            judged.append(_judge(case, number, read, classes, seen))
        except Cancelled:
            raise
        except Exception as error:
            note_failure(error, case.id, case.image, failures, traces)
    if progress is not None:
        progress(len(told.cases), len(told.cases))
    if not judged:
        raise none_left("no page could be diagnosed", failures)
    marks = {j.row["page"]: j.row["seen"] for j in judged}
    notes = [n for n in (summary_note(marks, "page(s)") if seen is not None else "",) if n]
    notes += told.notes
    if failures:
        notes.append(f"{len(failures)} page(s) failed, and are in no row")
    report = DiagnosisEvaluation(
        [j.row for j in judged], summarise(judged, tuple(classes), tuple(layouts)), failures, traces, tuple(notes)
    )
    return report if out is None else replace(report, files=_write(report, out, title, provenance or {}))


def _numbers(labels: Sequence[str], classes: Sequence[str], first: Path) -> list[int]:
    """Numbers of labels among the classes of the weights, whatever their capitals."""
    exact = {name: n for n, name in enumerate(classes)}
    known = {plain_label(name): n for name, n in exact.items()}
    other = sorted({label for label in labels if plain_label(label) not in known})
    if other:
        raise InputError(
            f"{first}: the label '{other[0]}' is none that the weights know ({', '.join(classes)})."
            f"{nearest(other[0], classes)} Give the labels of a list by their names (--label-column)."
        )
    return [exact.get(label, known[plain_label(label)]) for label in labels]


def _judge(
    case: Case, truth: int, read: Callable[[Image], Result], classes: Sequence[str], seen: Seen | None
) -> _Judged:
    image = open_case(case)
    mark = "" if seen is None else seen.mark([content_key(np.asarray(image.samples()))], group=case.group or "")
    row: Row = {"page": case.id, "label": classes[truth]}
    try:
        result = read(image)
    except NotAPage as error:
        why = one_line(error).removeprefix(f"{case.image}: ")
        return _Judged({**row, "said": _REFUSED, "reason": why, "seen": mark}, truth, {}, "", "")
    table, detail = result.parts["diagnosis"], result.provenance.details[_DETAIL]
    assert isinstance(table, Scores)
    by_name = {r["diagnosis"]: r for r in table.as_dicts()}
    odds = {
        name: np.array([float(by_name[c][name]) for c in classes])
        for name in OPINIONS
        if all(by_name[c][name] is not None for c in classes)
    }
    said, layout = str(detail["said"]), str(result.provenance.details.get("layout", ""))
    row |= {"said": said, "reason": detail["reason"], "layout": layout}
    for name, values in odds.items():
        row |= {name: classes[int(values.argmax())], f"{name} probability": round(float(values.max()), 4)}
    row["attribution outside the traces"] = detail.get("attribution outside the traces")
    return _Judged({**row, "seen": mark}, truth, odds, said, layout)


def summarise(judged: Sequence[_Judged], classes: tuple[str, ...], layouts: tuple[str, ...]) -> list[Row]:
    """Rows of all pages, of those that did not teach where others did, and of each layout."""
    parts: dict[str, list[_Judged]] = {"all": list(judged)}
    unseen = [j for j in judged if j.row.get("seen") in ("no", "not known", "")]
    if unseen and len(unseen) < len(judged):
        parts["not seen in training"] = unseen
    found = sorted({j.layout for j in judged if j.layout})
    for layout in found if len(found) > 1 else []:
        own = [j for j in judged if j.layout == layout]
        if len(own) >= _FEWEST:
            is_new = bool(layouts) and layout not in layouts
            parts[_NOT_TAUGHT.format(layout) if is_new else f"layout {layout}"] = own
    return [row for name, some in parts.items() for row in _rows(name, some, classes)]


def _rows(name: str, judged: Sequence[_Judged], classes: tuple[str, ...]) -> list[Row]:
    rows = []
    for opinion in (*OPINIONS, "said"):
        if opinion == "said":
            some = [(j.truth, j.odds["together"]) for j in judged if j.said and "together" in j.odds]
        else:
            some = [(j.truth, j.odds[opinion]) for j in judged if opinion in j.odds]
        row: Row = {"pages": name, "opinion": opinion, "n": len(some), "answered": len(some) / len(judged)}
        if some:
            truth, odds = np.array([t for t, _ in some]), np.stack([o for _, o in some])
            first = odds.argmax(axis=1)
            row |= {
                "accuracy": accuracy(truth, first), "macro F1": macro_f1(truth, first, len(classes)),
                "macro AUROC": macro_auroc(truth, odds), "calibration error": calibration_error(truth, odds),
            }  # fmt: skip
            row |= {f"recall {c}": float(v) for c, v in zip(classes, recall(truth, first, len(classes)), strict=True)}
        outside = [j.row.get("attribution outside the traces") for j in judged]
        known = [float(v) for v in outside if v is not None]
        if opinion == "image" and known:
            row["attribution outside the traces"] = float(np.mean(known))
        rows.append(row)
    return rows


def _write(report: DiagnosisEvaluation, out: Path, title: str, provenance: Mapping[str, Any]) -> tuple[Path, ...]:
    plain = {
        "title": title, "summary": report.summary, "rows": report.rows, "failures": dict(report.failures),
        "notes": report.notes, "provenance": dict(provenance),
    }  # fmt: skip
    sections = [
        html.Section("Result", [
            _table(report.summary), html.Text(_RULES), *(html.Text(f"{n}.", "warning") for n in report.notes),
        ]),
        html.Section("All pages", [_table(report.rows)]),
    ]  # fmt: skip
    if report.failures:
        sections.append(html.Section("Not scored", [html.Table(("page", "why"), list(report.failures.items()))]))
    sections.append(html.Section("How it was made", [html.Facts(provenance)]))
    return (
        write_text(out / "scores.csv", table_text(_columns(report.rows), report.rows)),
        write_text(out / "summary.csv", table_text(_columns(report.summary), report.summary)),
        write_json(out / "scores.json", plain_json(plain)),
        html.write(out / "report.html", title, sections, subtitle="Research use only."),
    )


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(k for row in rows for k in row))


def _table(rows: Sequence[Row]) -> html.Table:
    columns = _columns(rows)
    return html.Table(columns, [["" if row.get(c) is None else row[c] for c in columns] for row in rows], digits=3)
