"""Teach a vision transformer the look of slides without labels, and write its backbone as weights for StainNet.

The method is DINO (M. Caron et al., arXiv 2104.14294), with which StainNet (J. Li et al., arXiv 2512.10326) was made.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench import __version__, weights
from workbench.core import device
from workbench.core.agreement import Finding, settle
from workbench.core.errors import WeightsError
from workbench.core.settings import file_hashes
from workbench.core.types import Case
from workbench.data.readable import left_out
from workbench.nets.vit import VisionTransformer, infer_config
from workbench.slide.predict.view import SIZE
from workbench.slide.train.augment import as_tensor
from workbench.slide.train.batches import DinoBatch, moment_of, numbers_of, views
from workbench.slide.train.dino import Dino, DinoHead
from workbench.slide.train.settings import SlideTrainConfig, require_sense
from workbench.slide.train.study import Study, open_study
from workbench.slide.train.tiles_of import TileSource
from workbench.slide.train.validate import FOUND, SPREAD, Validation
from workbench.training import output
from workbench.training.loop import Event, FitResult, LoopSettings, fit

BACKEND = "stainnet"
_NOT_IDENTITY = ("resume", "overwrite", "device", "force", "stain_profile")  # may differ when a training is continued
_COLLAPSED = 0.02
"""Spread of embeddings below which the network says the same of every tile."""


@dataclass(frozen=True)
class SlideTrainReport:
    """What a training made.

    Parameters
    ----------
    weights, log, report
        The weight file, the CSV log and the HTML report.
    score, measure
        Of the last validation, and what it is: ``"k-NN balanced accuracy"`` where slides have regions, else
        ``"own view found"``; ``None`` if nothing was kept apart.
    scores
        All that was measured then, and the same of the network before it learnt (``"untrained ..."``) and of a colour
        histogram.
    history
        One row per validation.
    failures
        Slides that could not be read and taught nothing: id -> why.

    It is a `workbench.core.reports.TrainReport`.
    """

    weights: Path
    log: Path
    report: Path
    score: float | None
    measure: str
    scores: dict[str, float]
    history: list[dict[str, float]]
    stopped: str
    seconds: float
    validation: str
    notes: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
    test: dict[str, float] = field(default_factory=dict)


def train_dino(
    cases: Sequence[Case],
    config: SlideTrainConfig,
    out: Path,
    on_step: Callable[[Event], None] | None = None,
) -> SlideTrainReport:
    """Train and write ``out`` (``.safetensors``); log, state and report go to ``<out>_training/``.

    Parameters
    ----------
    cases
        Slides; `Case.group` is what is kept apart as a whole. Regions (`Case.labels`, GeoJSON) are not needed: they
        score, and never teach. The column ``area`` limits a case to a part of its slide.
    on_step
        Called after every step; raise `Cancelled` in it to stop and keep what is there.

    Raises
    ------
    InputError
        No slide can be read, has a known size of pixels, and tissue.
    UsageError, WeightsError, MismatchError
        Settings that cannot work, an output that exists, starting weights that do not fit or are of another scale.
    """
    from workbench.slide.train.report import write_report

    require_sense(config)
    output.check(out, resume=config.resume, overwrite=config.overwrite)
    chosen, reason = device.choose(config.device)
    start = None if config.weights == "none" else weights.find(config.weights, BACKEND)
    if start is not None:
        output.refuse_start(out, start.path)
    torch.manual_seed(config.seed)
    backbone, said = starting_network(config, start)
    study = open_study(cases, config)
    train, val = TileSource(study.train), TileSource(study.val)
    net = Dino(backbone, DinoHead(backbone.dim, config.out_dim, config.hidden_dim, config.bottleneck)).to(chosen)
    validation = Validation(study, train, val, config, chosen) if len(val) else None
    references = _references(net, validation)
    folder = output.clean(out, resume=config.resume)
    steps = config.steps or math.ceil(config.epochs * len(train) / config.batch)
    result = _fit(net, train, validation, config, chosen, steps, folder, _identity(study, config, start), on_step)
    net.load_state_dict(result.state)
    scores = {**{k: v for k, v in result.scores.items() if k != "score"}, **references}
    notes = (*said, *study.notes, *left_out(study.failures), *_warnings(scores, train, val))
    meta = record_of(backbone, study, config, result, scores, notes, (str(chosen), reason), start)
    save(out, net.teacher, meta, half=config.save_as == "float16")
    report = write_report(folder / "report.html", out, meta, result, train)
    measure = validation.measure if validation is not None else FOUND
    return SlideTrainReport(
        out, folder / "log.csv", report, scores.get(measure), measure, scores, result.history, result.stopped,
        result.seconds, study.validation, notes, study.failures,
    )  # fmt: skip


def starting_network(
    config: SlideTrainConfig, start: weights.WeightsFile | None
) -> tuple[VisionTransformer, tuple[str, ...]]:
    """The student as it begins, from scratch or from weights, and what a person should know of those.

    Raises
    ------
    WeightsError, MismatchError
        They are not those of a plain ViT; they were made for tiles of another scale, and ``config.force`` is not set.
    """
    if start is None:
        return VisionTransformer(**config.net_config(), drop_path=config.drop_path), ()
    if start.is_lora:
        raise WeightsError(f"{start.path}: an adapter cannot be trained further; start from its base weights")
    tensors = weights.load_tensors(start)
    with weights.blaming(start.path):
        net = VisionTransformer(**(start.meta.get("net") or infer_config(tensors)), drop_path=config.drop_path)
        if net.config["image_size"] != SIZE or net.config["channels"] != 3:
            raise WeightsError(
                f"a network for {net.config['image_size']} pixels; {SIZE} and three colours were expected"
            )
        net.load_state_dict({k: v.float() for k, v in tensors.items()})
    scale = start.meta.get("recipe", {}).get("mpp")
    if scale is None:
        return net, (f"weights {start.name} do not say which scale they are for, nor what their licence allows",)
    if abs(scale / config.mpp - 1) < 0.05:
        return net, ()
    advice = f"Take mpp={scale:g}."
    other = Finding("refused", "scale", f"tiles of {config.mpp:g} um per pixel, taught at {scale:g}", advice)
    return net, settle([other], subject="the slides", weights=start.name, force=config.force)


def _identity(study: Study, config: SlideTrainConfig, start: weights.WeightsFile | None) -> dict[str, Any]:
    """What must be equal for a training to be continued."""
    return {
        "config": {k: v for k, v in dataclasses.asdict(config).items() if k not in _NOT_IDENTITY},
        "tiles": [[s.case.id, len(s.chosen), int(s.chosen.sum())] for s in (*study.train, *study.val)],
        "start": start.sha256 if start else None,
        **({"files": files} if (files := file_hashes(config)) else {}),
    }


@torch.no_grad()
def _references(net: Dino, validation: Validation | None) -> dict[str, float]:
    """Scores of the network before it learns, and of a colour histogram where there are regions."""
    if validation is None:
        return {}
    net.eval()
    found = {f"untrained {k}": v for k, v in validation.scores(net).items() if k != "score"}
    if validation.study.has_labels:
        found["colour histogram, k-NN balanced accuracy"] = validation.knn_of_colours().balanced
    return found


def _warnings(scores: Mapping[str, float], train: TileSource, val: TileSource) -> list[str]:
    found = []
    if scores.get(SPREAD, 1.0) < _COLLAPSED:
        found.append(
            f"the embeddings of all tiles are nearly alike (spread {scores[SPREAD]:.3f}): the training collapsed. "
            "Lower lr or teacher_temp, or give more tiles"
        )
    if bad := len(train.damaged) + len(val.damaged):
        found.append(f"{bad} tile(s) could not be read; others of their slides stood in for them")
    return found


def _fit(
    net: Dino, train: TileSource, validation: Validation | None, config: SlideTrainConfig, chosen: torch.device,
    steps: int, folder: Path, identity: Mapping[str, Any], on_step: Callable[[Event], None] | None,
) -> FitResult:  # fmt: skip
    spent = 0.0  # share of the time that is allowed

    def heard(event: Event) -> None:
        nonlocal spent
        spent = event.seconds / (60 * config.max_minutes) if config.max_minutes else 0.0
        if on_step is not None:
            on_step(event)

    def draw(n: int) -> DinoBatch:
        return DinoBatch(n, as_tensor(train.read(numbers_of(n, len(train), config))))

    def loss_of(model: nn.Module, batch: DinoBatch) -> Tensor:
        assert isinstance(model, Dino)
        large, small = views(batch.tiles.to(chosen), config, batch.step)
        return model.loss(large, small, moment_of(batch.step, steps, config, spent))

    return fit(
        net, draw, loss_of, _loop_settings(config, steps, validation),
        validate=None if validation is None else validation.scores,
        folder=folder, resume=config.resume, fingerprint=identity, on_event=heard,
    )  # fmt: skip


def _loop_settings(config: SlideTrainConfig, steps: int, validation: Validation | None) -> LoopSettings:
    rate = config.lr * config.batch / 256
    every = config.validate_every or max(1, math.ceil(steps / 10))
    return LoopSettings(
        steps=steps, lr=rate, weight_decay=config.weight_decay, weight_decay_end=config.end_weight_decay,
        warmup=config.warmup, floor=config.end_lr / rate, ema=0.0, clip=config.clip, validate_every=every,
        save_every=every, max_minutes=config.max_minutes, seed=config.seed, precision=config.precision, keep="last",
        measure=validation.measure if validation is not None else FOUND,
    )  # fmt: skip


def record_of(
    backbone: VisionTransformer, study: Study, config: SlideTrainConfig, result: FitResult,
    scores: Mapping[str, float], notes: Sequence[str], where: tuple[str, str], start: weights.WeightsFile | None,
) -> dict[str, Any]:  # fmt: skip
    """The record of a weight file: network, how tiles are made, and how it was taught."""
    return {
        "backend": BACKEND,
        "net": backbone.config,
        "recipe": {"mpp": config.mpp, "tile": config.tile, "size": SIZE, **file_hashes(config)},
        "training": {
            "objective": "DINO (arXiv 2104.14294), backbone of the teacher",
            "slides": [s.case.id for s in study.train],
            "tiles": sum(len(s.chosen) for s in study.train),
            "held_out_slides": [s.case.id for s in study.val],
            "held_out_tiles": sum(len(s.chosen) for s in study.val),
            "validation": study.validation,
            "regions": list(study.names),
            "notes": list(notes),
            "settings": dataclasses.asdict(config),
            "steps": result.step,
            "stopped": result.stopped,
            "seconds": round(result.seconds, 1),
            "device": where[0],
            "chosen": where[1],
            "started_from": None if start is None else start.name,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "version": __version__,
            "torch": torch.__version__,
        },
        "scores": {k: round(float(v), 6) for k, v in scores.items()},
    }


def save(out: Path, backbone: VisionTransformer, meta: Mapping[str, Any], *, half: bool) -> Path:
    """Write the entries of a backbone by timm's names, in float16 or as they are."""
    state = backbone.state_dict()
    return weights.save(out, {k: v.half() for k, v in state.items()} if half else state, meta)
