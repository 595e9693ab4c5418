"""The report of a volume training: the curve, the scores, pictures of the worst validation case, and the recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.core.classes import ClassTable
from workbench.report import html
from workbench.report.training import course, how_it_was_made


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
    parts += [html.Text(f"{note}.", "warning") for note in training.get("notes", ())]
    if history:
        dice = {"mean Dice": "score", **{c.name: c.name for c in table}}
        picture = course(history, dice, ylabel="Dice", limits=(0, 1), against="minutes")
        parts.append(html.Picture(picture, "Loss and validation Dice of the averaged weights."))
    rows = [(c.name, scores["per_class"].get(c.name, math.nan)) for c in table]
    sections = [
        html.Section("Result", parts),
        html.Section("Dice per class", [html.Table(("class", "Dice"), rows)]),
    ]
    if pictures:
        sections.append(html.Section("Validation cases", pictures))
    sections.append(how_it_was_made(out, meta, ("Preparation of images", "recipe"), ("cases",)))
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")
