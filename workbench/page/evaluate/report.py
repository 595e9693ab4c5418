"""The files of a scoring of pages: CSV, JSON, and a page with the worst readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.atomic import write_json, write_text
from workbench.core.csv_text import table_text
from workbench.core.jsonable import plain_json
from workbench.page.evaluate.evaluation import Judged, PageEvaluation
from workbench.report import html

_RULES = (
    "PhysioNet 2024: decibels of each lead against its error, after the shift of up to 0.5 s and 1 mV that fits best, "
    "times the share of samples that were found; mean over leads, then over pages. Kaggle (PhysioNet - Digitization of "
    "ECG Images): shifts of up to 0.2 s, what is missing counts as 0 mV, all leads of a page together, at most "
    "25.84 dB; over pages the ratio is averaged, not the decibels. Lag: milliseconds by which a lead comes late. Gain "
    "and time scale: by how much a lead is too high and too long. Named right: no other lead of the reference "
    "fits what was found better."
)


def write_report(
    report: PageEvaluation, out: Path, shown: Sequence[Judged], title: str, provenance: Mapping[str, Any]
) -> tuple[Path, ...]:
    """Write ``scores.csv``, ``leads.csv``, ``scores.json`` and ``report.html`` to `out`."""
    plain = {
        "title": title, "summary": report.summary, "rows": report.rows, "leads": report.leads,
        "failures": dict(report.failures), "notes": report.notes, "provenance": dict(provenance),
    }  # fmt: skip
    first = report.summary[0]
    tiles = {name: value for name, value in first.items() if name not in ("pages", "n")} | {"pages": first["n"]}
    sections = [
        html.Section("Result", [
            html.Tiles(tiles),
            _table(report.summary),
            html.Text(_RULES),
            *(html.Text(f"{n}.", "warning") for n in report.notes),
        ]),
        html.Section("Worst pages", [
            html.Picture(drawn(j), f"{j.case}: {j.score.physionet:.1f} dB (PhysioNet 2024), worst lead "
                         f"{j.score.worst[0]}. Black: reference, red: as it was read.")
            for j in shown
        ]),
        html.Section("All pages", [_table(report.rows)]),
        html.Section("All leads", [_table(report.leads)]),
    ]  # fmt: skip
    if report.failures:
        sections.append(html.Section("Not scored", [html.Table(("page", "why"), list(report.failures.items()))]))
    sections.append(html.Section("How it was made", [html.Facts(provenance)]))
    return (
        write_text(out / "scores.csv", table_text(list(report.rows[0]), report.rows)),
        write_text(out / "leads.csv", table_text(list(report.leads[0]), report.leads)),
        write_json(out / "scores.json", plain_json(plain)),
        html.write(out / "report.html", title, sections, subtitle="Research use only."),
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> html.Table:
    columns = list(rows[0])
    return html.Table(columns, [[row[c] for c in columns] for row in rows], digits=2)


def drawn(page: Judged) -> bytes:
    """PNG of the leads of a page: the reference, and over it what was read, each around its own median."""
    from matplotlib.figure import Figure

    from workbench.report.pictures import png_of

    names = list(page.due)
    figure = Figure(figsize=(11, 0.4 + 0.75 * len(names)), layout="constrained")
    every = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
    for ax, name in zip(every, names, strict=True):
        for values, colour, width in ((page.due[name], "black", 1.4), (page.found.get(name), "#e0103c", 0.8)):
            if values is not None and np.isfinite(values).any():
                ax.plot(np.arange(len(values)) / page.rate, values - np.nanmedian(values), color=colour, lw=width)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.set_yticks([])
        ax.spines[["top", "right", "left"]].set_visible(False)
    every[-1].set_xlabel("seconds")
    return png_of(figure)
