"""Go on teaching the network of pages with pages whose lines a person corrected, and forget nothing on the way."""

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
from workbench.core import device as devices
from workbench.core.seen import BEFORE, UNKNOWN, Seen, joined
from workbench.core.types import Case
from workbench.data.readable import left_out
from workbench.page.net.page_net import PageMaps, PageNet
from workbench.page.predict.maps import likes_bfloat16, shares
from workbench.page.predict.model import NAME, load_model
from workbench.page.rectified import PER_MM
from workbench.page.train.crops import Crop, crops, random_page
from workbench.page.train.learn import Batch, as_meta, batch_of, loss_of_maps, loss_of_taught
from workbench.page.train.settings import PageTrainConfig
from workbench.page.train.study import PageStudy, open_pages
from workbench.page.train.taught import TaughtPage, piece
from workbench.training import output
from workbench.training.loop import Event, FitResult, LoopSettings, fit

MEASURE = "Dice of traces"
_NOT_IDENTITY = ("resume", "overwrite", "device")
_LEARNS = {"all": "", "decoder": "up. line. words. names.", "last": "up.2. line."}
"""Beginnings of the names of parameters that learn; of all: any."""
_OF_A_PAGE = 8
"""Pieces of a drawn page."""
_PER_DRAWN = 3
"""Steps after which one more drawn page is there to learn from: the first steps do not wait for all of them."""
_NOISE = 0.01


@dataclass(frozen=True)
class PageTrainReport:
    """What a training made; a `workbench.core.reports.TrainReport`.

    Parameters
    ----------
    weights, log, report
        The weight file, the CSV log and the HTML report.
    score
        Dice of the traces of pages that were kept apart, at the best validation; ``None`` if none were.
    scores
        The same under `MEASURE`, with ``"before ..."``, and of the pages that taught (``"... of pages that taught"``).
    """

    weights: Path
    log: Path
    report: Path
    score: float | None
    scores: dict[str, float]
    history: list[dict[str, float]]
    stopped: str
    seconds: float
    validation: str
    notes: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    measure: str = MEASURE
    copied: tuple[str, ...] = ()
    test: dict[str, float] = field(default_factory=dict)


def train_pages(
    cases: Sequence[Case], config: PageTrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> PageTrainReport:
    """Train and write ``out`` (``.safetensors``); log, state and report go to ``<out>_training/``.

    Parameters
    ----------
    cases
        Pictures of pages, each with its lines as `Case.labels`; `Case.group` is what is kept apart as a whole.
    on_step
        Called after every step; raise `Cancelled` in it to stop and keep what is there.

    Raises
    ------
    InputError
        No page has lines that can be used.
    UsageError, WeightsError
        Settings that cannot work, an output that exists, starting weights that do not fit.
    """
    from workbench.page.train.report import write_report

    output.check(out, resume=config.resume, overwrite=config.overwrite)
    chosen, reason = devices.choose(config.device)
    start = load_model(config.weights, chosen, reason)
    output.refuse_start(out, start.weights.path)
    net: PageNet = start.net
    study = open_pages(cases, config, net, chosen)
    judged = study.val or study.train
    before = dice(judged, [page.seen for page in judged])
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(not _LEARNS[config.adapt] or name.startswith(tuple(_LEARNS[config.adapt].split())))
    folder = output.clean(out, resume=config.resume)
    result = _fit(net, study, config, chosen, folder, _identity(study, config, start.weights), on_step)
    net.load_state_dict(result.state)
    net.eval()
    where = MEASURE if study.val else f"{MEASURE} of pages that taught"
    seen = [traces_of(net, page, chosen) for page in judged]
    scores = {where: dice(judged, seen), f"before {where}": before}
    notes = (*study.notes, *left_out(study.failures), *_worse(scores, where))
    meta = _record(net, study, config, result, scores, notes, (str(chosen), reason), start.weights)
    half = config.save_as == "float16"
    state = {k: v.half() if half and v.is_floating_point() else v for k, v in net.state_dict().items()}
    weights.save(out, {k: v.contiguous() for k, v in state.items()}, meta)
    report = write_report(folder / "report.html", out, meta, result, judged[0], (judged[0].seen, seen[0]))
    return PageTrainReport(
        out, folder / "log.csv", report, result.score, scores, result.history, result.stopped, result.seconds,
        study.validation, notes, study.failures,
    )  # fmt: skip


def _identity(study: PageStudy, config: PageTrainConfig, start: weights.WeightsFile) -> dict[str, Any]:
    """What must be equal for a training to be continued."""
    return {
        "config": {k: v for k, v in dataclasses.asdict(config).items() if k not in _NOT_IDENTITY},
        "pages": [s.to_json() for s in study.seen],
        "lines": [int(page.trace.sum(dtype=np.int64)) for page in (*study.train, *study.val)],
        "start": start.sha256,
    }


def _fit(
    net: PageNet, study: PageStudy, config: PageTrainConfig, chosen: torch.device, folder: Path,
    identity: Mapping[str, Any], on_step: Callable[[Event], None] | None,
) -> FitResult:  # fmt: skip
    old = OldPages(config.old_pages, config.seed)
    every = config.validate_every or max(1, math.ceil(config.steps / 5))
    settings = LoopSettings(
        steps=config.steps, lr=config.lr, weight_decay=config.weight_decay, ema=0.95, validate_every=every,
        save_every=every, max_minutes=config.max_minutes, seed=config.seed, measure=MEASURE,
        precision="bfloat16" if likes_bfloat16(chosen) else "float32", keep="best" if study.val else "last",
    )  # fmt: skip

    def draw_batch(step: int) -> tuple[Batch, Batch | None]:
        rng = np.random.default_rng([config.seed, step])
        count = config.batch // 2 if config.old_pages else config.batch
        some = [piece(study.train[int(rng.integers(len(study.train)))], rng) for _ in range(count)]
        taught = batch_of({name: np.stack([one[name] for one in some]) for name in some[0]})
        return _on(taught, chosen), _on(old.draw(step, config.batch - count, rng), chosen) if config.old_pages else None

    def validate(model: nn.Module) -> dict[str, float]:
        found = dice(study.val, [traces_of(model, page, chosen) for page in study.val])
        return {"score": found, MEASURE: found}

    return fit(
        net, draw_batch, loss_of_both, settings, validate=validate if study.val else None, folder=folder,
        resume=config.resume, fingerprint=identity, on_event=on_step,
    )  # fmt: skip


def _on(batch: Batch, device: torch.device) -> Batch:
    return {name: tensor.to(device) for name, tensor in batch.items()}


def loss_of_both(model: nn.Module, both: tuple[Batch, Batch | None]) -> Tensor:
    """Of pieces of corrected pages, and of pieces of drawn ones that are learnt again.

    What batches have in common (their means and deviations) stays as it was learnt: a few pages of one kind say nothing
    of all pages.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    taught, old = both
    if old is None:
        return loss_of_taught(model(taught["pixels"]), taught)
    maps: PageMaps = model(torch.cat([taught["pixels"], old["pixels"]]))
    n = len(taught["pixels"])
    new = PageMaps(maps.trace[:n], maps.pulse[:n], maps.words[:n], maps.names[:n])
    rest = PageMaps(maps.trace[n:], maps.pulse[n:], maps.words[n:], maps.names[n:])
    return loss_of_taught(new, taught) + loss_of_maps(rest, old)


class OldPages:
    """Drawn pages as those that taught the demo weights, drawn when they are first needed."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._pieces: dict[int, list[Crop]] = {}

    def draw(self, step: int, count: int, rng: np.random.Generator) -> Batch:
        """Pieces for a step, which decides from which of the pages."""
        there = min(self.count, 2 + step // _PER_DRAWN)
        some = [self._of(int(rng.integers(there)))[int(rng.integers(_OF_A_PAGE))] for _ in range(count)]
        return batch_of({f.name: np.stack([getattr(one, f.name) for one in some]) for f in dataclasses.fields(Crop)})

    def _of(self, number: int) -> list[Crop]:
        if number not in self._pieces:
            rng = np.random.default_rng([self.seed, number, 1])
            self._pieces[number] = list(crops(random_page(rng), rng, _OF_A_PAGE))
        return self._pieces[number]


def traces_of(net: Any, page: TaughtPage, device: Any) -> npt.NDArray[np.bool_]:
    """Where the network sees traces on a page: ``(rows, 2 * columns)``."""
    return np.asarray(shares(net, page.pixels, device)[0] > 0.5)


def dice(pages: Sequence[TaughtPage], seen: Sequence[npt.NDArray[np.bool_]]) -> float:
    """Twice what is seen and right, over what is seen and what is right; mean over pages, where lines say it."""
    found = []
    for page, traces in zip(pages, seen, strict=True):
        known, true = page.known > 127, page.trace > 127
        both, total = (traces & true & known).sum(), (traces & known).sum() + (true & known).sum()
        found.append(float((2 * both + 1e-6) / (total + 1e-6)))
    return float(np.mean(found))


def _worse(scores: Mapping[str, float], name: str) -> list[str]:
    before, after = scores[f"before {name}"], scores[name]
    if after > before - _NOISE:
        return []
    return [f"{name} fell from {before:.3f} to {after:.3f}: the weights before were better"]


def _record(
    net: PageNet, study: PageStudy, config: PageTrainConfig, result: FitResult, scores: Mapping[str, float],
    notes: Sequence[str], where: tuple[str, str], start: weights.WeightsFile,
) -> dict[str, Any]:  # fmt: skip
    before = Seen.of(start.meta)
    seen: dict[str, Any] = {"seen": joined(before.cases, study.seen)}
    if not before.told:
        seen[BEFORE] = UNKNOWN
    return {
        "backend": NAME,
        "net": as_meta(net.config),
        "task": "digitise",
        "recipe": {"pixels per mm": PER_MM},
        **seen,
        "training": {
            "objective": "traces of corrected pages; pulses, words and names as before; drawn pages again",
            "pages": len(study.train),
            "held_out_pages": len(study.val),
            "names_of_leads": sum(page.named for page in study.train),
            "validation": study.validation,
            "notes": list(notes),
            "settings": dataclasses.asdict(config),
            "steps": result.step,
            "best_step": result.best_step,
            "stopped": result.stopped,
            "seconds": round(result.seconds, 1),
            "device": where[0],
            "chosen": where[1],
            "started_from": start.name,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "version": __version__,
            "torch": torch.__version__,
        },
        "scores": {k: round(float(v), 6) for k, v in scores.items()},
    }
