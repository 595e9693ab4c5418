"""CellVTA: every nucleus of a slide outlined and classified, by an adapted vision transformer.

Y. Yang, J. Zheng et al., "CellVTA", arXiv 2504.00784. Its published weights are theirs and hold those of an encoder
that may not be passed on: whoever has them loads them here, and none come with the workbench.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.types import Case, Image, Progress, Result
from workbench.slide.cell_settings import Config, EvaluateConfig, TrainConfig
from workbench.slide.predict.model import Model

if TYPE_CHECKING:
    import torch

    from workbench.core.contract import PiecesOf
    from workbench.slide.evaluate.cell_evaluation import CellEvaluation
    from workbench.slide.train.cells import CellTrainReport
    from workbench.training.loop import Event

__all__ = ["Config", "EvaluateConfig", "TrainConfig", "evaluate", "load", "predict", "train"]

NAME = "cellvta"


def describe_weights(meta: Mapping[str, Any]) -> str:
    """What weights find, in a line, from their record."""
    names = [str(c.get("name")) for c in meta.get("classes") or ()]
    recipe = meta.get("recipe") or {}
    parts = [f"nuclei: {', '.join(names)}" if names else "nuclei"]
    if recipe.get("mpp"):
        parts.append(f"taught at {recipe['mpp']:g} um per pixel")
    title = f"{meta['title']}: " if meta.get("title") else ""
    return title + ", ".join(parts)


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them."""
    from workbench import weights

    return weights.find(config.weights, NAME).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend (CellViT, say), not plain data, or of no form that is known.
    """
    from workbench.core import device as devices
    from workbench.slide.predict.cell_weights import load_model

    _, reason = devices.choose(config.device)
    return load_model(config.weights, device, reason)


def predict(
    model: Model, image: Image, config: Config, progress: Progress | None = None, pieces: PiecesOf | None = None
) -> Result:
    """Find the nuclei of a slide; see `workbench.slide.predict.cells.find_cells`."""
    from workbench.slide.predict.cells import find_cells

    return find_cells(model, image, config, progress, pieces)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> CellEvaluation:
    """Find the nuclei of pictures and score them; see `workbench.slide.evaluate.cells.evaluate_cells`."""
    from workbench.core import device as devices
    from workbench.core import provenance
    from workbench.core.seen import Seen
    from workbench.slide.evaluate.cells import evaluate_cells

    device, reason = devices.choose(config.device)
    own = config.of_predict()
    model = load(own, device)
    found = model.weights
    facts = provenance.facts_of(
        config, weights=str(found.path), weights_sha256=found.sha256, device=f"{device} ({reason})"
    )
    return evaluate_cells(
        cases, lambda image: predict(model, image, own), config, model.recipe["classes"], out=out,
        seen=Seen.of(found.meta), title=f"CellVTA, weights {found.name}", provenance=facts, progress=progress,
    )  # fmt: skip


def train(
    cases: Sequence[Case], config: TrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> CellTrainReport:
    """Teach the nuclei of labelled pictures; see `workbench.slide.train.cells.train_cells`."""
    if config.adapt == "classes":
        from workbench.slide.train.cell_examples import train_classes

        return train_classes(cases, config, out, on_step)
    from workbench.slide.train.cells import train_cells

    return train_cells(cases, config, out, on_step)
