"""Paper electrocardiograms: from a photo, a scan or a PDF page to leads in mV, measurements, and a diagnosis.

The classifiers are those of Kilimci et al. (arXiv:2310.12630), beside one of the leads that were read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.types import Case, Image, Progress, Result
from workbench.page.predict.model import NAME, Model
from workbench.page.settings import Config, EvaluateConfig, TrainConfig

if TYPE_CHECKING:
    import torch

    from workbench.page.evaluate.diagnosis import DiagnosisEvaluation
    from workbench.page.evaluate.evaluation import PageEvaluation
    from workbench.page.train.diagnosis import DiagnosisTrainReport
    from workbench.page.train.train import PageTrainReport
    from workbench.training.loop import Event

__all__ = ["Config", "EvaluateConfig", "TrainConfig", "evaluate", "load", "predict", "train"]


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them."""
    from workbench import weights
    from workbench.page.diagnose import model as diagnosing

    own = weights.find(config.weights, NAME).sha256
    return own if config.diagnosis == "none" else f"{own} {diagnosing.find(config.diagnosis).sha256}"


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend, not plain data, or of no form that is known.
    """
    from workbench.core import device as devices
    from workbench.page.diagnose import model as diagnosing
    from workbench.page.predict.model import load_model

    _, reason = devices.choose(config.device)
    found = load_model(config.weights, device, reason)
    return found if config.diagnosis == "none" else replace(found, diagnoser=diagnosing.load(config.diagnosis, device))


def predict(model: Model, image: Image, config: Config, progress: Progress | None = None) -> Result:
    """Read a page, or measure a digital electrocardiogram; see `workbench.page.predict.read_page.read_page`."""
    from workbench.page.predict.read_page import read_page

    return read_page(model, image, config, progress)


def train(
    cases: Sequence[Case], config: TrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> PageTrainReport | DiagnosisTrainReport:
    """Learn from pages with corrected lines, or a diagnosis from pages with labels; see `workbench.page.train`.

    Raises
    ------
    UsageError
        A setting was given that does nothing for what is learnt.
    """
    from workbench.page.train.settings import refuse_foreign

    refuse_foreign(config)
    if config.learn == "diagnosis":
        from workbench.page.train.diagnosis import train_diagnosis

        return train_diagnosis(cases, config, out, on_step)
    from workbench.page.train.train import train_pages

    return train_pages(cases, config, out, on_step)


def evaluate(
    cases: Sequence[Case], config: EvaluateConfig, out: Path | None = None, progress: Progress | None = None
) -> PageEvaluation | DiagnosisEvaluation:
    """Read pages and score their leads, or diagnose them and score that; see `workbench.page.evaluate`."""
    from workbench.core import device as devices
    from workbench.core import provenance
    from workbench.core.seen import Seen
    from workbench.page.layouts import require_layout

    require_layout(config.layout)
    device, reason = devices.choose(config.device)
    own = Config(
        config.weights, config.device, config.speed, config.gain, config.layout, turn=config.turn,
        measure=config.diagnosis != "none", diagnosis=config.diagnosis, mask=config.mask,
    )  # fmt: skip
    model = load(own, device)
    found = model.weights
    facts = provenance.facts_of(
        config, weights=str(found.path), weights_sha256=found.sha256, device=f"{device} ({reason})"
    )
    if model.diagnoser is not None:
        from workbench.page.evaluate.diagnosis import evaluate_diagnosis

        by = model.diagnoser
        facts |= {"diagnosis": str(by.weights.path), "diagnosis sha256": by.weights.sha256}
        return evaluate_diagnosis(
            cases, lambda image: predict(model, image, own), by.classes, layouts=tuple(by.meta.get("layouts") or ()),
            label_column=config.label_column, out=out, seen=Seen.of(by.meta),
            title=f"Diagnoses of {by.weights.name}", provenance=facts, progress=progress,
        )  # fmt: skip
    from workbench.page.evaluate.pages import evaluate_pages

    return evaluate_pages(
        cases, lambda image: predict(model, image, own), layout=config.layout, worst=config.worst, out=out,
        seen=Seen.of(found.meta), title=f"Paper ECG, weights {found.name}", provenance=facts, progress=progress,
    )  # fmt: skip
