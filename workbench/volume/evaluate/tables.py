"""The files of an evaluation: scores as CSV and JSON, and a page with the worst cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.core.atomic import write_json, write_text
from workbench.core.csv_text import table_text
from workbench.core.jsonable import plain_json
from workbench.volume.evaluate.evaluation import VolumeEvaluation
from workbench.volume.evaluate.segmentation import COLUMNS, MEASURES, Row

_NAMES = {"dice": "Dice", "hd95_mm": "HD95 [mm]", "nsd": "surface Dice"}


@dataclass(order=True)
class Shown:
    """A case kept for its picture; ordered so that a heap drops the best one first."""

    badness: float
    caption: str
    picture: bytes = field(compare=False)


def scores_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV text with full precision; NaN and infinity as ``nan`` and ``inf``."""
    return table_text(COLUMNS, rows)


def write_report(
    report: VolumeEvaluation,
    out: Path,
    worst: Sequence[Shown],
    *,
    title: str,
    tolerance_mm: float,
    provenance: Mapping[str, Any],
) -> tuple[Path, ...]:
    """Write ``scores.csv``, ``scores.json`` (NaN and infinity as null and text) and ``report.html`` to `out`."""
    from workbench.report import html
    from workbench.report.compared import compared_parts

    plain = {
        "title": title,
        "tolerance_mm": tolerance_mm,
        "mean_dice": report.mean_dice,
        "mean_dice_unseen": report.mean_dice_unseen,
        "mean_over": report.compared.headline,
        "classes": report.compared.rows(),
        "unknown_reference_classes": dict(report.compared.unknown),
        "summary": report.summary,
        "rows": report.rows,
        "failures": report.failures,
        "notes": report.notes,
        "provenance": dict(provenance),
    }
    whole = report.summary[-1]
    tiles = {
        "mean Dice": whole["dice_mean"],
        **({} if report.mean_dice_unseen is None else {"mean Dice, unseen cases": report.mean_dice_unseen}),
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
        (r["case"], r["class"], *(r[m] for m in MEASURES), r["volume_ml"], r["reference_ml"], r["difference_ml"],
         r["seen"])
        for r in report.rows
    ]  # fmt: skip
    head = (
        "case",
        "class",
        *_NAMES.values(),
        "volume [mL]",
        "reference [mL]",
        "difference [mL]",
        "seen by the weights",
    )
    note = (
        f"Surface Dice: share of both surfaces within {tolerance_mm:g} mm. Classes absent from a reference do not "
        "count; those not found count with Dice 0 and as missed, and are left out of the mean HD95."
    )
    sections = [
        html.Section(
            "Result",
            [
                html.Tiles(tiles),
                html.Text(f"Mean over {report.compared.headline}."),
                html.Table(columns, summary),
                html.Text(note),
                *(html.Text(f"{n}.", "warning") for n in report.notes),
            ],
        ),
        html.Section("What was compared", compared_parts(report.compared)),
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
