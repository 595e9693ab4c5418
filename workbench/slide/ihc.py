"""Positive nuclei of immunohistochemistry: stains apart, nuclei in both of them, index, H-score, Allred score.

A. Ruifrok and D. Johnston, Anal. Quant. Cytol. Histol. 23:291, 2001. It has no weights: thresholds are settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.types import Case, Image, Progress, Result
from workbench.slide.ihc_settings import Config, EvaluateConfig

if TYPE_CHECKING:
    from workbench.core.contract import PiecesOf
    from workbench.slide.evaluate.cell_evaluation import CellEvaluation

__all__ = ["Config", "EvaluateConfig", "evaluate", "load", "predict"]


def load(config: Config, device: Any) -> None:
    """There is nothing to load."""


def predict(
    model: None, image: Image, config: Config, progress: Progress | None = None, pieces: PiecesOf | None = None
) -> Result:
    """Find positive and negative nuclei; see `workbench.slide.predict.ihc.find_positive`."""
    from workbench.slide.predict.ihc import find_positive

    return find_positive(image, config, progress, pieces)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> CellEvaluation:
    """Find the nuclei of pictures and score them; see `workbench.slide.evaluate.cells.evaluate_cells`."""
    from workbench.core import provenance
    from workbench.slide.evaluate.cells import evaluate_cells
    from workbench.slide.ihc_scores import CLASSES, TWO, in_two

    own = config.of_predict()
    facts = provenance.facts_of(config, weights="none", device="cpu")

    def find(image: Image) -> Result:
        found = predict(None, image, own)
        return found if config.bins else in_two(found)

    return evaluate_cells(
        cases, find, config, CLASSES if config.bins else TWO, out=out, title="Positive nuclei", provenance=facts,
        progress=progress,
    )  # fmt: skip
