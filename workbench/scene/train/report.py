"""The report of a training on pixels: scores, the map beside the scene, the curve, and how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.types import Image, Labels
from workbench.report import html
from workbench.report.training import course, how_it_was_made
from workbench.scene.evaluate.pictures import maps_picture
from workbench.scene.evaluate.score_tables import score_tables
from workbench.scene.evaluate.scores import MapScores
from workbench.scene.train.learnt import Learnt


def write_report(
    path: Path,
    out: Path,
    image: Image,
    labels: Labels,
    learnt: Learnt,
    meta: Mapping[str, Any],
    found: npt.NDArray[np.integer[Any]],
    test: MapScores | None,
) -> Path:
    """Write the HTML report of a training.

    Parameters
    ----------
    path, out
        HTML file to write, and the weight file it is about.
    labels
        All labels of the scene; those learnt from are shown.
    found
        (rows, columns) class map of the taught network.
    test
        Scores on test pixels, where some were kept apart.
    """
    training, result = meta["training"], learnt.result
    tiles: dict[str, Any] = {"validation accuracy": result.scores.get("accuracy", math.nan)}
    if test is not None:
        tiles |= {"OA": test.oa, "AA": test.aa, "kappa": test.kappa}
    tiles |= {"training pixels": training["train_pixels"], "seconds": training["seconds"], "ended": result.stopped}
    parts: list[html.Part] = [html.Tiles(tiles), html.Text(f"Validation accuracy: {learnt.validation}.")]
    if test is None:
        parts.append(html.Text("Every labelled pixel was learnt from: nothing was kept apart to test on.", "warning"))
    painted = np.zeros_like(labels.data)
    painted.flat[learnt.split.learning] = labels.data.flat[learnt.split.learning]
    picture = maps_picture(image, {"learnt from": painted, "map": found}, learnt.classes)
    parts.append(html.Picture(picture, f"{image.name}: the scene, the pixels learnt from, and the map."))
    sections = [html.Section("Result", parts)]
    if test is not None:
        sections.append(html.Section("Test pixels", score_tables(test)))
    if result.history:
        png = course(result.history, {"accuracy": "accuracy"}, ylabel="validation accuracy", limits=(0, 1.02))
        sections.append(html.Section("Course", [html.Picture(png, "Loss, and accuracy of the averaged weights.")]))
    sections.append(how_it_was_made(out, meta, ("Preparation of spectra", "spectra"), ("wavelengths_nm",)))
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")
