"""The page of a training of nuclei: scores before and after, the curve, a picture, how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.report import html
from workbench.report.training import course, how_it_was_made
from workbench.slide.evaluate.cell_report import picture_of
from workbench.slide.train.fields import Field
from workbench.training.loop import FitResult


def write_report(
    path: Path, out: Path, meta: Mapping[str, Any], result: FitResult, shown: Field, found: npt.NDArray[np.int32],
    before: npt.NDArray[np.int32] | None = None,
) -> Path:  # fmt: skip
    """Write the HTML report.

    Parameters
    ----------
    path, out
        HTML file to write, and the weight file it is about.
    meta
        Its record.
    shown, found
        A picture, and the numbers of the nuclei that the weights find on it.
    before
        What the weights found that it went on from.
    """
    training, scores = meta["training"], meta["scores"]
    names = [n for n in scores if not n.startswith("before ")]
    tiles = {n: scores[n] for n in names} | {
        "nuclei": training["nuclei"], "minutes": round(training["seconds"] / 60, 1), "ended": result.stopped,
    }  # fmt: skip
    parts: list[html.Part] = [html.Tiles(tiles), html.Text(f"Validated {training['validation']}.")]
    parts += [html.Text(f"{note}.", "warning") for note in training["notes"]]
    if names:
        rows = [[n, scores[n], scores.get(f"before {n}", math.nan)] for n in names]
        parts.append(html.Table(["measure", "trained", "before"], rows))
    sections = [html.Section("Result", parts)]
    if result.history:
        png = course(result.history, {n: n for n in names}, ylabel="score", limits=(0, 1.02))
        sections.append(html.Section("Course", [html.Picture(png, "Loss, and scores on what was kept apart.")]))
    where = "that was kept apart" if training["held_out_pictures"] else "that taught the weights"
    said = f"One {where}. Green: reference, red: found"
    pictures: list[html.Part] = []
    if before is not None:
        pictures.append(html.Picture(picture_of(shown.image, shown.labels, before), f"{said} before the training."))
    pictures.append(html.Picture(picture_of(shown.image, shown.labels, found), f"{said}{_after(before)}."))
    sections.append(html.Section("A picture", pictures))
    sections.append(how_it_was_made(out, meta, ("Preparation of pictures", "recipe"), ("notes",)))
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")


def _after(before: object) -> str:
    return "" if before is None else " after it"
