"""Weights taught by what a person corrected in the window: squares of the slide, its nuclei as they are now."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.core.types import Case, case_name
from workbench.data.geojson import write_geojson
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.nuclei_now import NUCLEI, REJECTED_NUCLEI
from workbench.slide.train.cell_settings import CellTrainConfig
from workbench.slide.train.cells import CellTrainReport, train_cells

TEACHING_STEPS, _CROP, _BATCH = 40, 128, 4
"""About a minute on two cores without a GPU."""


def teach_corrected(
    edits: NucleiEdits, slide: Path, weights: str, out: Path, *, mpp: float | None = None, steps: int = TEACHING_STEPS,
    overwrite: bool = False, on_step: Callable[[Any], None] | None = None,
) -> CellTrainReport:  # fmt: skip
    """Teach weights (by LoRA) the outlines around the nuclei that a person looked at, and write ``out``.

    Parameters
    ----------
    edits
        The nuclei of the slide. Their classes teach only where the weights know several.
    slide
        Its file.
    weights
        Those that found the nuclei: a name or a file.
    mpp
        Micrometres per pixel, where the file does not say.
    on_step
        Called after every step; `Cancelled` raised in it stops and keeps what was learnt.

    Raises
    ------
    UsageError
        Nobody has looked at a nucleus; an output that exists.
    WorkbenchError
        As `workbench.slide.train.cells.train_cells`.
    """
    from workbench import weights as files

    nuclei, rejected = edits.objects(), edits.rejected()
    if not len(rejected) and (nuclei.review is None or not nuclei.review.any()):
        raise UsageError("Nobody has looked at these nuclei: correct or accept some, and reject what is none.")
    if len(files.find(weights, "cellvta").meta.get("classes") or ()) < 2:
        nuclei, rejected = (replace(o, class_values=np.zeros_like(o.class_values), classes=ClassTable())
                            for o in (nuclei, rejected))  # fmt: skip
    config = CellTrainConfig(
        weights=weights, mpp=mpp, steps=steps, crop=_CROP, batch=_BATCH, val_fraction=0.0, overwrite=overwrite
    )
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        labels = Path(folder) / f"{NUCLEI}.geojson"
        write_geojson(nuclei, labels)
        if len(rejected):
            write_geojson(rejected, labels.with_name(f"{REJECTED_NUCLEI}.geojson"))
        return train_cells([Case(case_name(slide), slide, labels)], config, out, on_step)
