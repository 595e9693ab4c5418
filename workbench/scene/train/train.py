"""Train LoLA-SpecViT on labelled pixels of one scene: from scratch, or low-rank additions to weights of another scene.

`learn_scene` works in memory (for the hand that paints), `train_pixels` on files.
"""

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
import torch.nn.functional as F

from workbench import __version__, weights
from workbench.core import device
from workbench.core.errors import UsageError
from workbench.core.types import Case, Image, Labels
from workbench.nets.lora import lora_state
from workbench.scene.data.scene import open_blocks
from workbench.scene.data.seen_pixels import remember
from workbench.scene.data.spectra import valid_map
from workbench.scene.data.taught import gather
from workbench.scene.net.lola_specvit import LolaSpecViT
from workbench.scene.predict.blocks import Scene
from workbench.scene.train.begin import BACKEND, Begun
from workbench.scene.train.data import PixelData, loss_function
from workbench.scene.train.learnt import Learnt, seen_before
from workbench.scene.train.map import map_taught
from workbench.scene.train.network import starting_network
from workbench.scene.train.prepared import Prepared, prepare
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.study import open_study
from workbench.training.loop import Event, LoopSettings, fit
from workbench.training.schedule import warmup_cosine

_KEPT_PIXELS = 4000
_NOT_IDENTITY = ("resume", "device", "force", "names", "match", "test_labels")
"""Settings that change no number that is learnt, or only by the pixels, which are compared themselves."""


@dataclass(frozen=True)
class SceneTrainReport:
    """What a training made.

    Parameters
    ----------
    weights, log, report
        The weight file, the CSV log and the HTML report.
    score, measure
        Best validation score and its name.
    history
        One row per validation.
    test
        OA, AA and kappa on the test pixels of a random or disjoint split; empty if all pixels were learnt from.

    It is a `workbench.core.reports.TrainReport`.
    """

    weights: Path
    log: Path
    report: Path
    score: float | None
    history: list[dict[str, float]]
    stopped: str
    seconds: float
    validation: str
    test: dict[str, float] = field(default_factory=dict)
    measure: str = "accuracy"
    copied: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def train_pixels(
    cases: Sequence[Case],
    config: SceneTrainConfig,
    out: Path,
    on_event: Callable[[Event], None] | None = None,
) -> SceneTrainReport:
    """Train on one scene and write ``out`` (``.safetensors``); log and report go to ``<out>_training/``.

    Raises
    ------
    InputError
        Not exactly one scene with a label map on its grid, or samples that cannot be used.
    UsageError, WeightsError
        Settings that cannot work, starting weights that do not fit.
    """
    from workbench.scene.evaluate.scores import score_map
    from workbench.scene.train.report import write_report

    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: weights are written as .safetensors; choose such a name")
    study = open_study(cases, config)
    image = study.image
    folder = out.with_name(out.stem + "_training")
    learnt = learn_scene(image, study.labels, config, test=study.test, folder=folder, on_event=on_event)
    found = map_pixels(learnt, image)
    test = (
        score_map(found[0], learnt.labels.data, learnt.split.test, learnt.classes) if learnt.split.test.size else None
    )
    meta = record_of(learnt, image)
    if test is not None:
        meta["scores"] |= test.to_json()
    save(out, learnt, meta)
    report = write_report(folder / "report.html", out, image, learnt.labels, learnt, meta, found[0], test)
    result = learnt.result
    return SceneTrainReport(
        out, folder / "log.csv", report, result.scores.get("accuracy"), result.history, result.stopped, result.seconds,
        learnt.validation, {} if test is None else {"OA": test.oa, "AA": test.aa, "kappa": test.kappa},
        notes=(*study.notes, *learnt.notes),
    )  # fmt: skip


def learn_scene(
    image: Image,
    labels: Labels,
    config: SceneTrainConfig,
    *,
    prepared: Prepared | None = None,
    test: Labels | None = None,
    folder: Path | None = None,
    on_event: Callable[[Event], None] | None = None,
    begun: Begun | None = None,
) -> Learnt:
    """Teach a network the labelled pixels of a scene.

    Parameters
    ----------
    image
        Spectral cube.
    labels
        Label map on its grid, 0 where nothing is known. Classes that do not occur are left out.
    prepared
        What `prepare` made of these, if it was asked before.
    test
        Label map of the pixels to test on; then those of `labels` are all learnt from.
    folder
        Holds the log and the state for resuming; nothing is written if None.
    on_event
        Called after every step; raise `Cancelled` in it to stop and keep the best so far.
    begun
        What `begin` made of this scene with this `config`, where somebody needed it before.

    Returns
    -------
    Learnt
        The network in evaluation mode, on the device of the training, its adapters (if any) still apart.
    """
    prepared = prepared or prepare(image, labels, config, test=test, begun=begun)
    agreed, classes, split, start = prepared.agreed, prepared.classes, prepared.split, prepared.start
    labels, values = prepared.labels, [c.value for c in classes]
    fitted, seen_as = agreed.fitted, agreed.image
    chosen, _ = device.choose(config.device)
    torch.manual_seed(config.seed)
    net = starting_network(config, start, fitted, len(values))
    size = net.patch_size
    data = PixelData(
        Scene(open_blocks(seen_as), fitted.apply), labels.data, values, split.train, split.val, config,
        size=size, channels=fitted.recipe.channels, standardise=fitted.recipe.patch,
    )  # fmt: skip
    net.to(chosen)
    if config.head_start and "centre" in net._modules:
        _head_start(net, data, config, chosen, on_event)
    result = fit(
        net,
        data.draw,
        loss_function(net, config, chosen),
        _loop_settings(config),
        validate=(lambda model: data.scores(model, chosen)) if split.val.size else None,
        folder=folder,
        resume=config.resume,
        fingerprint={
            "config": {k: v for k, v in dataclasses.asdict(config).items() if k not in _NOT_IDENTITY},
            "pixels": [int(split.train.size), int(split.train.sum()), int(split.val.sum())],
            "start": start.sha256 if start else None,
        },
        on_event=on_event,
    )
    net.load_state_dict(result.state)
    known_pixels = _some(split.learning, config.seed)
    samples, _ = data.spectra(known_pixels)
    taught = gather(seen_as, fitted, stated=image)
    seen = seen_before(start)
    seen.append(remember(seen_as, fitted, split.train, split.val).to_json())
    return Learnt(
        net.eval(), fitted, classes, split, result, config, start, chosen,
        samples.numpy(), labels.data.flat[known_pixels].astype(np.int64), agreed,
        taught if prepared.before is None else prepared.before.and_then(taught), seen, labels, prepared.notes,
    )  # fmt: skip


def _some(pixels: npt.NDArray[np.intp], seed: int) -> npt.NDArray[np.intp]:
    """The pixels, or a random draw of them where they are many."""
    if pixels.size <= _KEPT_PIXELS:
        return pixels
    return np.sort(np.random.default_rng([seed, 3]).choice(pixels, _KEPT_PIXELS, replace=False))


def _head_start(
    net: LolaSpecViT,
    data: PixelData,
    config: SceneTrainConfig,
    chosen: torch.device,
    on_event: Callable[[Event], None] | None,
) -> None:
    """Let the pixel's own spectrum learn alone first: a second, and the surroundings start from a sound classifier."""
    began = time.monotonic()
    spectra_only, targets = (t.to(chosen) for t in data.spectra(data.train))
    parameters = [*net.centre.parameters(), *net.head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    random = np.random.default_rng([config.seed, 2])
    for step in range(config.head_start):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * warmup_cosine(step / config.head_start, 0.1)
        here = torch.from_numpy(data.balanced(random, min(256, 4 * config.batch))).to(chosen)
        x = spectra_only[here]
        if config.noise:
            x = x + config.noise * torch.from_numpy(random.standard_normal(x.shape, np.float32)).to(chosen)
        loss = F.cross_entropy(net.spectral_logits(x), targets[here], label_smoothing=config.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if on_event is not None and step % 10 == 0:
            # Step 0 of the training proper: nothing to count yet, but a cancel must not wait.
            on_event(Event(0, config.steps, float(loss.detach()), group["lr"], time.monotonic() - began, 0.0))


def map_pixels(learnt: Learnt, image: Image, where: Any = None, **options: Any) -> tuple[Any, Any]:
    """Class values and confidence (rows, columns) of a scene; 0 where it holds no spectrum, or not `where`."""
    agreed = learnt.view(image)
    valid = valid_map(agreed.image, agreed.fitted, where=where)
    where = valid & where if where is not None else None if valid.all() else valid
    found = map_taught(learnt.net, agreed.fitted, agreed.image, learnt.device, where=where, **options)
    lookup = np.array([0, *(c.value for c in learnt.classes)])
    return lookup[found.labels].astype(np.uint16), found.confidence


def _loop_settings(config: SceneTrainConfig) -> LoopSettings:
    every = config.validate_every or max(1, math.ceil(config.steps / 20))
    return LoopSettings(
        steps=config.steps, lr=config.lr, weight_decay=config.weight_decay, warmup=config.warmup, ema=config.ema,
        validate_every=every, save_every=config.steps, patience=config.patience, max_minutes=config.max_minutes,
        seed=config.seed, precision=config.precision, measure="accuracy",
    )  # fmt: skip


def record_of(learnt: Learnt, image: Image) -> dict[str, Any]:
    """The record of a weight file: network, classes, preparation, and how it was taught."""
    split, result, config = learnt.split, learnt.result, learnt.config
    record: dict[str, Any] = {"kind": "full"}
    if config.lora_rank:
        record = {"kind": "lora", "lora": {"rank": config.lora_rank}}
    return {
        "backend": BACKEND,
        "net": learnt.net.config,
        "classes": learnt.classes.to_json(),
        "spectra": learnt.fitted.to_json(),
        "training": {
            "scene": image.name,
            "notes": list(learnt.notes),
            "wavelengths_nm": learnt.agreed.image.header.get("wavelengths_nm"),
            "split": split.name,
            "guard_pixels": split.guard,
            "halved": list(split.halved),
            "left_out": {str(v): why for v, why in split.left_out.items()},
            "train_pixels": int(split.train.size),
            "val_pixels": int(split.val.size),
            "test_pixels": int(split.test.size),
            "validation": learnt.validation,
            "settings": dataclasses.asdict(config),
            "steps": result.step,
            "best_step": result.best_step,
            "stopped": result.stopped,
            "seconds": round(result.seconds, 1),
            "device": str(learnt.device),
            "started_from": None if learnt.start is None else learnt.start.name,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "version": __version__,
            "torch": torch.__version__,
        },
        "scores": {"validation accuracy": result.scores.get("accuracy")},
        "taught": learnt.taught.to_json(),
        "seen": learnt.seen,
        **record,
    }


def save(out: Path, learnt: Learnt, meta: Mapping[str, Any]) -> Path:
    """Write all weights, or only the adapters and what else was trained; the spectra's arrays in full precision."""
    state = lora_state(learnt.net) if learnt.config.lora_rank else learnt.net.state_dict()
    if learnt.config.lora_rank and learnt.start is not None:
        meta = {**meta, **weights.base_record(learnt.start, out)}
    if learnt.config.save_as == "float16":
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    arrays = {k: torch.from_numpy(v.copy()) for k, v in learnt.fitted.arrays().items()}
    arrays |= {
        "spectra.known": torch.from_numpy(learnt.spectra.copy()),
        "spectra.values": torch.from_numpy(learnt.values.copy()),
    }
    return weights.save(out, {**state, **arrays}, meta)
