"""The files of a scoring of nuclei: CSV, JSON, and a page with the worst pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_json, write_text
from workbench.core.csv_text import table_text
from workbench.core.jsonable import plain_json
from workbench.report import html

if TYPE_CHECKING:
    from workbench.slide.evaluate.cell_evaluation import CellEvaluation, Shown

_RIGHT, _FOUND = "#00c853", "#ff1744"
_MOST_PIXELS = 1500
"""Side of a picture in the report; of larger ones the part with most nuclei is shown."""


def write_report(
    report: CellEvaluation, out: Path, shown: Sequence[Shown], radius: float, title: str, provenance: Mapping[str, Any]
) -> tuple[Path, ...]:
    """Write ``scores.csv``, ``scores.json`` and ``report.html`` to `out`."""
    plain = {
        "title": title, "radius_um": radius, "summary": report.summary, "rows": report.rows,
        "failures": dict(report.failures), "notes": report.notes, "provenance": dict(provenance),
    }  # fmt: skip
    first = report.summary[0]
    tiles = {name: first[name] for name in ("bPQ", "PQ+", "AJI", f"F1 ({radius:g} um)")}
    tiles |= {"pictures": first["pictures"], "reference nuclei": first["reference nuclei"]}
    columns = list(dict.fromkeys(k for row in report.summary for k in row))
    heads = list(report.rows[0])
    sections = [
        html.Section("Result", [
            html.Tiles(tiles),
            html.Table(columns, [[row.get(c, float("nan")) for c in columns] for row in report.summary]),
            html.Text(_RULES.format(radius=f"{radius:g}")),
            *(html.Text(f"{n}.", "warning") for n in report.notes),
        ]),
        html.Section("Worst pictures", [
            html.Picture(picture_of(s.pixels, s.right, s.found), f"{s.caption}. Green: reference, red: found.")
            for s in shown
        ]),
        html.Section("All pictures", [html.Table(heads, [[row[c] for c in heads] for row in report.rows])]),
    ]  # fmt: skip
    if report.failures:
        sections.append(html.Section("Not scored", [html.Table(("case", "why"), list(report.failures.items()))]))
    sections.append(html.Section("How it was made", [html.Facts(provenance)]))
    return (
        write_text(out / "scores.csv", table_text(heads, report.rows)),
        write_json(out / "scores.json", plain_json(plain)),
        html.write(out / "report.html", title, sections, subtitle="Research use only."),
    )


_RULES = (
    "A found and a right nucleus are a pair where their IoU is above one half. PQ is DQ (F1 of the pairs) times SQ "
    "(mean IoU of the pairs); bPQ and mPQ are means over pictures that have nuclei (PanNuke), PQ+ and mPQ+ of the "
    "counts of all pictures together (CoNIC). AJI: mean over pictures. Precision, recall and F1: centres within "
    "{radius} um, one to one."
)


def picture_of(image: npt.NDArray[np.uint8], right: npt.NDArray[np.int32], found: npt.NDArray[np.int32]) -> bytes:
    """PNG: a picture, and beside it with the outlines of right and found nuclei; of a large one the densest part."""
    from matplotlib.figure import Figure

    from workbench.report.pictures import png_of

    part = _densest(right)
    pixels = image[part]
    rows, columns = pixels.shape[:2]
    figure = Figure(figsize=(11, 11 * rows / (2 * columns) + 0.1), layout="constrained")
    for ax, drawn in zip(figure.subplots(1, 2), (False, True), strict=True):
        ax.imshow(pixels)
        ax.set_axis_off()
        if drawn:
            for labels, color in ((right[part], _RIGHT), (found[part], _FOUND)):
                _outline(ax, labels, color)
    return png_of(figure)


def _outline(ax: Any, labels: npt.NDArray[np.int32], color: str) -> None:
    from matplotlib.collections import LineCollection

    from workbench.slide.predict.traced import parted, traced

    found = traced(parted(labels))
    rings = np.split(found.coordinates - 0.5, found.offsets[1:-1])
    ax.add_collection(LineCollection([np.vstack([r, r[:1]]) for r in rings if len(r)], colors=color, linewidths=1.2))


def _densest(labels: npt.NDArray[np.int32]) -> tuple[slice, slice]:
    rows, columns = labels.shape
    if max(rows, columns) <= _MOST_PIXELS:
        return slice(None), slice(None)
    half = _MOST_PIXELS // 2
    best = max(
        ((r, c) for r in range(0, max(1, rows - half), half) for c in range(0, max(1, columns - half), half)),
        key=lambda p: np.count_nonzero(labels[p[0] : p[0] + _MOST_PIXELS, p[1] : p[1] + _MOST_PIXELS]),
    )
    return slice(best[0], best[0] + _MOST_PIXELS), slice(best[1], best[1] + _MOST_PIXELS)
