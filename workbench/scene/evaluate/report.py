"""Scores of class maps over draws, splits and methods: rows, summary, and CSV, JSON and a report with maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_json, write_text
from workbench.core.class_match import Compared, MatchBy, Matching, compared_lines, match_classes
from workbench.core.classes import ClassTable
from workbench.core.csv_text import table_text
from workbench.core.errors import InputError
from workbench.core.types import Image, Labels, Result
from workbench.report import html
from workbench.report.compared import compared_parts
from workbench.scene.data.agreed import Agreed
from workbench.scene.data.scene import open_blocks
from workbench.scene.data.spectra import FittedSpectra, with_spectra
from workbench.scene.evaluate.pictures import maps_picture
from workbench.scene.evaluate.score_tables import score_tables
from workbench.scene.evaluate.scores import (
    TITLES,
    MapScores,
    Reference,
    added_up,
    fit_reference,
    mean_and_deviation,
    score_map,
)
from workbench.scene.evaluate.seen_rows import parted, seen_notes, standings
from workbench.scene.evaluate.written import Written, roles_of

Array = npt.NDArray[Any]
NONE: npt.NDArray[np.intp] = np.array([], np.intp)


@dataclass(frozen=True, eq=False)
class Run:
    """One method on one draw of pixels.

    Parameters
    ----------
    spectra
        What it was fed with.
    map, mask
        Paths beside the table of its class map, and of which pixels do what (the test is 3); "" where none is written.
    """

    split: str
    method: str
    spectra: str
    seed: int
    scores: MapScores
    train_pixels: int
    seconds: float
    seen: str = "no"
    map: str = ""
    mask: str = ""

    def row(self) -> dict[str, Any]:
        """Plain values for the tables."""
        s = self.scores
        head = {"split": self.split, "method": TITLES.get(self.method, self.method), "spectra": self.spectra}
        values = {"seed": self.seed, "OA": s.oa, "AA": s.aa, "kappa": s.kappa, "train_pixels": self.train_pixels}
        tail = {"test_pixels": int(s.confusion.sum()), "seen": self.seen, "seconds": round(self.seconds, 2)}
        written = {"map": self.map, "mask": self.mask} if self.map else {}
        return {
            **head,
            **values,
            **tail,
            **written,
            **{f"accuracy {n}": a for n, a in zip(s.classes.names, s.accuracy, strict=True)},
        }


@dataclass(frozen=True, eq=False)
class SceneEvaluation:
    """Scores of a scene.

    Parameters
    ----------
    rows
        One per split, method and seed: OA, AA, kappa (0 to 1), accuracy per class; ``seen`` says whether its test
        pixels taught the weights that were given.
    summary
        One per split and method: mean and sample deviation over seeds.
    failures, traces
        Splits that could not be drawn or taught, and why; the others are in the rows.
    notes
        What a reader of the scores should know.
    files
        What was written.
    compared
        Which class of the labels each class of given weights was compared with, and why; empty where networks were
        taught anew.

    It is a `workbench.core.reports.EvaluationReport`.
    """

    rows: list[dict[str, Any]]
    summary: list[dict[str, Any]]
    failures: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    traces: dict[str, str] = field(default_factory=dict)
    compared: Compared = field(default_factory=Compared)

    def text(self) -> str:
        """The summary as aligned text."""
        width = max(len(r["method"]) for r in self.summary)
        wide = max(len(r["spectra"]) for r in self.summary)
        split = max(9, *(len(r["split"]) for r in self.summary))
        lines = [
            f"{'split':<{split}} {'method':<{width}}  {'fed with':<{wide}}  runs  OA                AA"
            "                kappa"
        ]
        for r in self.summary:
            values = "  ".join(f"{r[m]:.4f} ± {r[m + '_sd']:.4f}" for m in ("OA", "AA", "kappa"))
            lines.append(
                f"{r['split']:<{split}} {r['method']:<{width}}  {r['spectra']:<{wide}}  {r['runs']:>4}  {values}"
            )
        if self.compared.classes:
            lines.append(f"mean over {self.compared.headline}")
            lines += [f"  {line}" for line in compared_lines(self.compared.classes)]
        return "\n".join(lines)


def teach_reference(
    method: Any, image: Image, labels: Labels, pixels: npt.NDArray[np.intp], fitted: FittedSpectra, seed: int = 0,
    *, search: bool = True,
) -> Reference:  # fmt: skip
    """A reference method taught on given pixels (flat indices) of a scene."""
    rows, columns = np.divmod(pixels, labels.data.shape[1])
    raw = open_blocks(image).spectra(rows, columns)
    features = fitted.apply(raw.T[:, :, None])[:, :, 0].T
    return fit_reference(method, features, labels.data.flat[pixels], seed=seed, search=search)


def summarise(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Mean and sample deviation over the seeds, per split, method and input."""
    keys = list(dict.fromkeys((r.split, r.method, r.spectra) for r in runs))
    summary = []
    for key in keys:
        same = [r for r in runs if (r.split, r.method, r.spectra) == key]
        row: dict[str, Any] = {
            "split": key[0],
            "method": TITLES.get(key[1], key[1]),
            "spectra": key[2],
            "runs": len(same),
            "seen": " / ".join(dict.fromkeys(r.seen for r in same)),
        }
        for name, (mean, deviation) in mean_and_deviation([r.scores for r in same]).items():
            row |= {name: mean, f"{name}_sd": deviation}
        summary.append(row | {"seconds": float(np.mean([r.seconds for r in same]))})
    return summary


def match_labels(wanted: ClassTable, labels: Labels, *, classes: str, match: MatchBy, source: Path | str) -> Matching:
    """Which class of a label map each class of the weights is compared with; see `core.class_match.match_classes`.

    Classes that a header names and no pixel shows are none to compare with.

    Raises
    ------
    InputError
        No pixel has a label, or no class of the labels is one of the weights.
    """
    present = set(np.unique(labels.data).tolist()) - {0}
    if not present:
        raise InputError(f"{source}: no pixel has a label, so there is nothing to compare with")
    shown = ClassTable(tuple(c for c in labels.classes if c.value in present))
    return match_classes(wanted, replace(labels, classes=shown), classes=classes, match=match, source=source)


def score_weights(
    image: Image,
    labels: Labels,
    matching: Matching,
    result: Result,
    facts: Mapping[str, Any],
    out: Path | None = None,
    *,
    record: Mapping[str, Any],
    agreed: Agreed,
    reach: int,
    said: Sequence[str] = (),
) -> SceneEvaluation:
    """Compare a predicted map with the labels of a scene whose classes the weights know.

    Pixels that taught the weights, pixels near those, and unseen ones get a row each, the unseen ones first.

    Parameters
    ----------
    matching
        Which class of the labels each class of the weights is compared with.
    record
        Of the weights.
    agreed
        The scene as the weights saw it.
    reach
        Side of all that the network sees around a pixel.
    said
        Notes of the caller.

    Raises
    ------
    InputError
        No pixel of a class that the weights know holds a whole spectrum.
    """
    found, table = result.labels, result.labels.classes
    labels, empty = with_spectra(labels, [(agreed.image, agreed.fitted)], then="they are in no score")
    reference = matching.apply(labels.data)
    pixels = np.flatnonzero(reference)
    if not pixels.size:
        raise InputError(f"{image.name}: no labelled pixel holds a spectrum, so there is nothing to compare")
    compared = Compared.of([matching])
    clock = result.provenance.seconds
    known = standings(record, agreed, reach)
    own = "the weights' own"
    written = Written(image, out)
    drawn = written.map("network", found.data, table)
    written.map("reference", reference, table)
    runs = []
    for name, mark, some in parted(pixels, known):
        mask = written.mask(name, roles_of(found.data.shape, NONE, NONE, some))
        scores = score_map(found.data, reference, some, table)
        runs.append(Run(name, "network", own, 0, scores, 0, clock, mark, drawn, mask))
    notes = [*said, *empty, *result.provenance.notes, *seen_notes(record, pixels, known)]
    notes += [compared.note] if compared.note else []
    labelled = int(np.count_nonzero(labels.data))
    unknown = labelled - pixels.size
    if unknown:
        notes.append(
            f"{unknown} of {labelled} labelled pixels are of classes that the weights do not know: they are in no score"
        )
    picture = html.Picture(maps_picture(image, {"reference": reference, "map": found.data}, table), image.name)
    evaluation = SceneEvaluation([r.row() for r in runs], summarise(runs), notes=tuple(notes), compared=compared)
    return evaluation if out is None else write_report(evaluation, runs, [picture], facts, out, written.files)


def write_report(
    evaluation: SceneEvaluation,
    runs: Sequence[Run],
    pictures: Sequence[html.Picture],
    facts: Mapping[str, Any],
    out: Path,
    written: Sequence[Path] = (),
) -> SceneEvaluation:
    """Write scores and report; `written` are the maps and masks that are there already."""
    columns = list(dict.fromkeys(k for row in evaluation.rows for k in row))
    compared: dict[str, Any] = {}
    if evaluation.compared.classes:
        compared = {"mean_over": evaluation.compared.headline, "classes": evaluation.compared.rows()}
        compared |= {"unknown_reference_classes": list(evaluation.compared.unknown)}
    plain = {
        "summary": evaluation.summary,
        "runs": [{**r.row(), **r.scores.to_json()} for r in runs],
        "notes": list(evaluation.notes),
        "failures": dict(evaluation.failures),
        **compared,
        "provenance": dict(facts),
    }
    rows = []
    for r in evaluation.summary:
        values = [f"{r[m]:.4f} ± {r[m + '_sd']:.4f}" for m in ("OA", "AA", "kappa")]
        rows.append((r["split"], r["method"], r["spectra"], r["seen"], r["runs"], *values, round(r["seconds"], 1)))
    head = ("split", "method", "fed with", "seen", "runs", "OA", "AA", "kappa", "seconds to teach")
    note = (
        "OA: share of test pixels that are right; AA: mean over classes. Mean and sample deviation over the draws. "
        "A random split lets the patches of training and test pixels overlap and flatters methods that look at "
        "patches; in the disjoint split no test pixel lies within a patch of a training pixel. All methods of a split "
        "are scored on the same pixels: those of value 3 in its mask (the folder splits). Of draws after the first, "
        "maps of the network hold the test pixels only."
    )
    network = [r for r in runs if r.method == "network"]
    failed = [html.Text(f"{name}: {why}", "warning") for name, why in evaluation.failures.items()]
    said = [html.Text(n[:1].upper() + n[1:] + ".", "warning") for n in evaluation.notes]
    result = html.Section("Result", [*failed, *said, html.Table(head, rows), html.Text(note)])
    sections = [result, html.Section("Maps", pictures)]
    if evaluation.compared.classes:
        sections.insert(1, html.Section("What was compared", compared_parts(evaluation.compared)))
    for split in dict.fromkeys(r.split for r in network):
        same = [r.scores for r in network if r.split == split]
        tables = score_tables(added_up(same))
        sections.append(html.Section(f"LoLA-SpecViT, {split}: mean over runs, counts added up", tables))
    sections.append(html.Section("How it was made", [html.Facts(facts)]))
    files = (
        write_text(out / "scores.csv", table_text(columns, evaluation.rows)),
        write_json(out / "scores.json", _finite(plain)),
        html.write(out / "report.html", "Scene evaluation", sections, subtitle="Research use only."),
    )
    return replace(evaluation, files=(*files, *written))


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value
