"""Teach CellVTA the nuclei of labelled pictures: all of it, its decoders, or low-rank additions to its encoder."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from workbench import __version__, weights
from workbench.core import device
from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.core.seen import BEFORE, UNKNOWN, Seen, joined
from workbench.core.types import Case
from workbench.data.readable import left_out
from workbench.nets.lora import add_lora, merge_lora
from workbench.slide.evaluate.scored import score, summarise
from workbench.slide.net.cellvta import SMALL, CellVTA
from workbench.slide.predict.cell_classes import KIND
from workbench.slide.predict.cell_weights import build_network
from workbench.slide.predict.cells import rules_at
from workbench.slide.predict.nuclei import instances
from workbench.slide.train.cell_settings import CellTrainConfig
from workbench.slide.train.fields import Field, Variation, draw
from workbench.slide.train.labelled import LabelledStudy, open_labelled
from workbench.slide.train.nuclei_loss import Truth, loss_of
from workbench.training import output
from workbench.training.loop import Event, FitResult, LoopSettings, fit

BACKEND = "cellvta"
MEASURE, BY_CLASS = "bPQ", "mPQ+"
"""What chooses the weights that are kept: of nuclei without classes, and of those with."""
_PATCHES = 32
"""Sides of what the network sees are multiples of this."""
_LARGEST = 1024
"""Side of what is validated on of a larger picture: its middle."""
_RADIUS_UM = 3.0
_NOISE = 0.01
"""Difference of scores that says nothing."""
_NEW_MPP = 0.5
_DECODERS = r"^(decoder[0-3]|nuclei_binary_map_decoder|hv_map_decoder|nuclei_type_maps_decoder)\."
_NOT_IDENTITY = ("resume", "overwrite", "device")


@dataclass(frozen=True)
class CellTrainReport:
    """What a training made; a `workbench.core.reports.TrainReport`.

    Parameters
    ----------
    weights, log, report
        The weight file, the CSV log and the HTML report.
    score, measure
        bPQ of the best validation, mPQ+ where there are classes; ``None`` if nothing was kept apart.
    scores
        All that was measured then, and the same before (``"before ..."``) where the training went on from weights.
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


def train_cells(
    cases: Sequence[Case], config: CellTrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> CellTrainReport:
    """Train and write ``out`` (``.safetensors``); log, state and report go to ``<out>_training/``.

    Parameters
    ----------
    cases
        Pictures with labels of their nuclei (see `workbench.slide.data.nuclei_labels`); `Case.group` is what is kept
        apart as a whole.
    on_step
        Called after every step; raise `Cancelled` in it to stop and keep what is there.

    Raises
    ------
    InputError, GeometryError
        No picture can be read, or labels and weights have other classes.
    UsageError, WeightsError
        Settings that cannot work, an output that exists, starting weights that do not fit.
    """
    from workbench.slide.train.cell_report import write_report

    if config.crop % _PATCHES:
        raise UsageError(f"crop={config.crop}: a multiple of {_PATCHES} was expected")
    output.check(out, resume=config.resume, overwrite=config.overwrite)
    chosen, reason = device.choose(config.device)
    start = None if config.weights == "none" else weights.find(config.weights, BACKEND)
    if start is not None:
        output.refuse_start(out, start.path)
        if start.meta.get("kind") == KIND:
            raise UsageError(f"weights {start.name} only name nuclei; start from their base, {start.meta.get('base')}")
    torch.manual_seed(config.seed)
    net, recipe = _starting(start)
    target = config.target_mpp or float(recipe.get("mpp", _NEW_MPP))
    known: ClassTable | None = recipe.get("classes")
    study = open_labelled(cases, config, target, known)
    net, said = _for_classes(net, study.classes, known)
    has_new_classes = bool(said)
    if start is not None and abs(target / float(recipe["mpp"]) - 1) > 0.05:
        said = (
            *said,
            f"weights {start.name} were taught at {recipe['mpp']:g} um per pixel; this teaches at {target:g}",
        )
    before = {f"before {k}": v for k, v in _scores(net, study, target, chosen).items() if k != "score"} if start else {}
    shown = study.val[0] if study.val else study.train[0]
    found_before = finder(net, target)(shown.image) if start is not None else None
    if has_new_classes:  # the layer that names classes is new: what it said before is nobody's merit
        before.pop(f"before {BY_CLASS}", None)
    _choose_what_learns(net, config, is_new=start is None)
    net.to(chosen)
    folder = output.clean(out, resume=config.resume)
    result = _fit(net, study, config, target, chosen, folder, _identity(study, config, start), on_step)
    net.load_state_dict(result.state)
    net = merge_lora(net.cpu()) if config.adapt == "lora" and start is not None else net.cpu()  # type: ignore[assignment]
    scores = {k: v for k, v in result.scores.items() if k != "score"} | before
    notes = (*said, *study.notes, *left_out(study.failures), *_worse(scores, _measure(study)))
    meta = _record(net, study, config, target, result, scores, notes, (str(chosen), reason), start)
    _save(out, net, meta, half=config.save_as == "float16")
    found = finder(net, target)(shown.image)
    report = write_report(folder / "report.html", out, meta, result, shown, found, found_before)
    return CellTrainReport(
        out, folder / "log.csv", report, result.score, _measure(study), scores, result.history, result.stopped,
        result.seconds, study.validation, notes, study.failures,
    )  # fmt: skip


def _starting(start: weights.WeightsFile | None) -> tuple[CellVTA, dict[str, Any]]:
    if start is None:
        net = CellVTA(**SMALL, num_classes=2)
        with torch.no_grad():
            net.encoder.pos_embed.zero_()  # what a nucleus is does not depend on where in a window it lies
        return net, {}
    return build_network(start)


def _for_classes(net: CellVTA, classes: ClassTable, known: ClassTable | None) -> tuple[CellVTA, tuple[str, ...]]:
    """The network for these classes: its last layer for them is new where they are others."""
    if known is not None and known.names == classes.names:
        return net, ()
    if known is None and net.num_classes == len(classes) + 1:
        return net, ()
    other = CellVTA(**{**net.config, "num_classes": len(classes) + 1})
    own = net.state_dict()
    last = "nuclei_type_maps_decoder.decoder0_header.2."
    kept = {k: v for k, v in own.items() if not k.startswith(last)}
    other.load_state_dict(kept, strict=False)
    if known is None:
        return other, ()
    return other, (
        f"the weights knew {', '.join(known.names)}; the labels have {', '.join(classes.names)}: the layer that names "
        "classes is taught anew",
    )


def _choose_what_learns(net: CellVTA, config: CellTrainConfig, *, is_new: bool) -> None:
    if is_new or config.adapt == "all":
        if not net.encoder.pos_embed.any():
            net.encoder.pos_embed.requires_grad_(False)
        return
    if config.adapt == "lora":
        add_lora(net, config.lora_rank, train_also=_DECODERS)
        return
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(not name.startswith("encoder."))


def _identity(study: LabelledStudy, config: CellTrainConfig, start: weights.WeightsFile | None) -> dict[str, Any]:
    """What must be equal for a training to be continued."""
    return {
        "config": {k: v for k, v in dataclasses.asdict(config).items() if k not in _NOT_IDENTITY},
        "pictures": [s.to_json() for s in study.seen],
        "nuclei": study.nuclei,
        "start": start.sha256 if start else None,
    }


def _fit(
    net: CellVTA, study: LabelledStudy, config: CellTrainConfig, target: float, chosen: torch.device, folder: Path,
    identity: Mapping[str, Any], on_step: Callable[[Event], None] | None,
) -> FitResult:  # fmt: skip
    variation = Variation(zoom=config.zoom, stain=config.stain, blur=config.blur)

    def batch(step: int) -> tuple[Tensor, Truth]:
        return draw(study.train, step, count=config.batch, size=config.crop, seed=config.seed, variation=variation)

    def loss(model: nn.Module, one: tuple[Tensor, Truth]) -> Tensor:
        images, truth = one
        own = Truth(truth.nuclei.to(chosen), truth.hv.to(chosen), truth.types.to(chosen))
        return loss_of(model(images.to(chosen)), own)

    every = config.validate_every or max(1, math.ceil(config.steps / 10))
    settings = LoopSettings(
        steps=config.steps, lr=config.lr, weight_decay=config.weight_decay, validate_every=every, save_every=every,
        max_minutes=config.max_minutes, seed=config.seed, measure=_measure(study), keep="best" if study.val else "last",
    )  # fmt: skip
    return fit(
        net, batch, loss, settings, validate=(lambda _: _scores(net, study, target, chosen)) if study.val else None,
        folder=folder, resume=config.resume, fingerprint=identity, on_event=on_step,
    )  # fmt: skip


def finder(net: CellVTA, target: float) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.int32]]:
    """A function that finds the nuclei of a picture at `target` um per pixel: ``(H, W, 3)`` to ``(H, W)`` numbers."""
    return lambda image: _found(net, image, target)[0]


@torch.inference_mode()
def _found(
    net: CellVTA, image: npt.NDArray[np.uint8], target: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Numbers of nuclei, and the class of every pixel."""
    net.eval()
    rows, columns = image.shape[:2]
    wide = np.pad(image, ((0, -rows % _PATCHES), (0, -columns % _PATCHES), (0, 0)), mode="symmetric")
    x = torch.from_numpy(wide.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    maps = net(x.to(next(net.parameters()).device))
    nuclei = (maps.nuclei[0, 1] > maps.nuclei[0, 0]).cpu().numpy()[:rows, :columns]
    hv = np.ascontiguousarray(maps.hv[0].float().cpu().numpy()[:, :rows, :columns])
    kinds = maps.types[0].argmax(0).cpu().numpy()[:rows, :columns]
    labels = instances(np.ascontiguousarray(nuclei), hv, rules_at(target))
    return labels, np.ascontiguousarray(kinds, np.int32)


def _scores(net: CellVTA, study: LabelledStudy, target: float, chosen: torch.device) -> dict[str, float]:
    """Of the pictures to validate on; ``score`` is what chooses."""
    from workbench.slide.data.nuclei_labels import of_most

    net.to(chosen)
    classes = study.classes if len(study.classes) > 1 else ClassTable()
    scored = []
    for number, one in enumerate(study.val):
        image, right, types = _middle(one)
        labels, kinds = _found(net, image, target)
        pair = (types, of_most(labels, kinds)) if types is not None and len(classes) else None
        scored.append(score(str(number), right, labels, _RADIUS_UM / target, classes, pair))
    if not scored:
        return {}
    rows = summarise(scored, classes, _RADIUS_UM, "")
    found = {MEASURE: rows[0]["bPQ"], "PQ+": rows[0]["PQ+"], "AJI": rows[0]["AJI"]}
    found[f"F1 ({_RADIUS_UM:g} um)"] = rows[0][f"F1 ({_RADIUS_UM:g} um)"]
    if len(classes):
        found[BY_CLASS] = rows[-1][BY_CLASS]
    return {"score": found[_measure(study)], **found}


def _measure(study: LabelledStudy) -> str:
    return BY_CLASS if len(study.classes) > 1 else MEASURE


def _middle(
    one: Field,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int32] | None]:
    cut = tuple(slice(max(0, (n - _LARGEST) // 2), max(0, (n - _LARGEST) // 2) + _LARGEST) for n in one.labels.shape)
    types = None if one.types is None else np.ascontiguousarray(one.types[cut], np.int32)
    return one.image[cut], np.ascontiguousarray(one.labels[cut]), types


def _worse(scores: Mapping[str, float], measure: str) -> list[str]:
    before, after = scores.get(f"before {measure}"), scores.get(measure)
    if before is None or after is None or after > before - _NOISE:
        return []
    return [f"{measure} on what was kept apart fell from {before:.3f} to {after:.3f}: the weights before were better"]


def _record(
    net: CellVTA, study: LabelledStudy, config: CellTrainConfig, target: float, result: FitResult,
    scores: Mapping[str, float], notes: Sequence[str], where: tuple[str, str], start: weights.WeightsFile | None,
) -> dict[str, Any]:  # fmt: skip
    before = Seen.of(start.meta) if start is not None else Seen()
    seen: dict[str, Any] = {"seen": joined(before.cases, study.seen)}
    if start is not None and not before.told:
        seen[BEFORE] = UNKNOWN
    return {
        "backend": BACKEND,
        "net": dict(net.config),
        "recipe": {"mpp": target, "mean": [0.5] * 3, "std": [0.5] * 3},
        "classes": study.classes.to_json(),
        **seen,
        "training": {
            "objective": "nuclei, distances and classes of labelled pictures (arXiv:2504.00784)",
            "pictures": len(study.train),
            "nuclei": study.nuclei,
            "held_out_pictures": len(study.val),
            "validation": study.validation,
            "notes": list(notes),
            "settings": dataclasses.asdict(config),
            "steps": result.step,
            "best_step": result.best_step,
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


def _save(out: Path, net: CellVTA, meta: Mapping[str, Any], *, half: bool) -> Path:
    state = {k: v.half() if half and v.is_floating_point() else v for k, v in net.state_dict().items()}
    return weights.save(out, {k: v.contiguous() for k, v in state.items()}, meta)
