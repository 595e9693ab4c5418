"""The report of a volume training: the curve, the scores, pictures of the worst validation case, and the recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.report import html
from workbench.report.pictures import curves
from workbench.types import ClassTable


def write_report(
    path: Path,
    out: Path,
    history: Sequence[Mapping[str, float]],
    meta: Mapping[str, Any],
    pictures: Sequence[html.Picture] = (),
) -> Path:
    """Write the HTML report of a training.

    Parameters
    ----------
    path
        HTML file to write.
    out
        The weight file it is about.
    history
        Rows of the log.
    meta
        The record in the weight file.
    pictures
        Of validation cases.
    """
    training, scores = meta["training"], meta["scores"]
    table = ClassTable.from_json(meta["classes"])
    tiles: dict[str, Any] = {
        "mean Dice": scores["dice"],
        "steps": training["steps"],
        "best at step": training["best_step"],
        "minutes": round(training["seconds"] / 60, 1),
        "ended because": training["stopped"],
    }
    parts: list[html.Part] = [html.Tiles(tiles)]
    tone = "" if "held-out" in training["validation"] else "warning"
    parts.append(html.Text(f"Dice was computed {training['validation']}.", tone))
    if history:
        parts.append(html.Picture(_curve(history, table), "Loss and validation Dice of the averaged weights."))
    rows = [(c.name, scores["per_class"].get(c.name, math.nan)) for c in table]
    sections = [
        html.Section("Result", parts),
        html.Section("Dice per class", [html.Table(("class", "Dice"), rows)]),
    ]
    if pictures:
        sections.append(html.Section("Validation cases", pictures))
    facts: dict[str, Any] = {k: v for k, v in training.items() if k not in ("settings", "cases")}
    sections.append(
        html.Section(
            "How it was made",
            [
                html.Facts({"weights": out.name, **facts}),
                html.Facts(training["settings"], folded=True, title="Settings"),
                html.Facts(meta["recipe"], folded=True, title="Preparation of images"),
                html.Facts(meta["net"], folded=True, title="Network"),
            ],
        )
    )
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")


def _curve(history: Sequence[Mapping[str, float]], table: ClassTable) -> bytes:
    minutes = [row["seconds"] / 60 for row in history]
    lines = {}
    for name, label in (("score", "mean Dice"), *((c.name, c.name) for c in table)):
        if any(name in row for row in history):
            lines[label] = (minutes, [row.get(name, math.nan) for row in history])
    loss = {"loss": (minutes, [row["loss"] for row in history])}
    return curves(lines, xlabel="minutes", ylabel="Dice", limits=(0, 1), right=loss, right_label="loss")
