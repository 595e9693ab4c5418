"""Paper electrocardiograms: from a photo, a scan or a PDF page to leads in mV and measurements.

The classifiers of Kilimci et al. (arXiv:2310.12630) are for another day; what is here is the digitiser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.types import Case, Image, Progress, Result
from workbench.page.predict.model import NAME, Model
from workbench.page.settings import Config, EvaluateConfig, TrainConfig

if TYPE_CHECKING:
    import torch

    from workbench.page.evaluate.evaluation import PageEvaluation
    from workbench.page.train.train import PageTrainReport
    from workbench.training.loop import Event

__all__ = ["Config", "EvaluateConfig", "TrainConfig", "evaluate", "load", "predict", "train"]


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them."""
    from workbench import weights

    return weights.find(config.weights, NAME).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend, not plain data, or of no form that is known.
    """
    from workbench.core import device as devices
    from workbench.page.predict.model import load_model

    _, reason = devices.choose(config.device)
    return load_model(config.weights, device, reason)


def predict(model: Model, image: Image, config: Config, progress: Progress | None = None) -> Result:
    """Read a page, or measure a digital electrocardiogram; see `workbench.page.predict.read_page.read_page`."""
    from workbench.page.predict.read_page import read_page

    return read_page(model, image, config, progress)


def train(
    cases: Sequence[Case], config: TrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> PageTrainReport:
    """Learn from pages with corrected lines; see `workbench.page.train.train.train_pages`."""
    from workbench.page.train.train import train_pages

    return train_pages(cases, config, out, on_step)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> PageEvaluation:
    """Read pages and score their leads; see `workbench.page.evaluate.pages.evaluate_pages`."""
    from workbench.core import device as devices
    from workbench.core import provenance
    from workbench.core.seen import Seen
    from workbench.page.evaluate.pages import evaluate_pages
    from workbench.page.layouts import require_layout

    require_layout(config.layout)
    device, reason = devices.choose(config.device)
    own = Config(
        config.weights, config.device, config.speed, config.gain, config.layout, turn=config.turn, measure=False
    )
    model = load(own, device)
    found = model.weights
    facts = provenance.facts_of(
        config, weights=str(found.path), weights_sha256=found.sha256, device=f"{device} ({reason})"
    )
    return evaluate_pages(
        cases, lambda image: predict(model, image, own), layout=config.layout, worst=config.worst, out=out,
        seen=Seen.of(found.meta), title=f"Paper ECG, weights {found.name}", provenance=facts, progress=progress,
    )  # fmt: skip
