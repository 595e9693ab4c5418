"""One training loop for every backend: it knows no data and no network, only callables.

AdamW, warm-up and cosine, clipped gradients, averaged weights, the best checkpoint by validation score, early stopping,
a time budget, and a state file from which a killed training continues as if nothing had happened: every batch is a
function of its step number, so a resumed run sees the same numbers as an uninterrupted one.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from workbench.core.atomic import write_text
from workbench.core.csv_text import table_text
from workbench.core.errors import Cancelled, UsageError
from workbench.training import checkpoint
from workbench.training.schedule import Ema, half_cosine, warmup_cosine

Batch = TypeVar("Batch")
Stop = Literal["finished", "no progress", "time is up", "cancelled"]


@dataclass(frozen=True)
class LoopSettings:
    """How to train; see the settings of the backends for the meaning of each.

    `no_decay` is searched in the names of parameters: those that match (embeddings, say) do not decay, as norms and
    biases never do. `floor` is the share of `lr` that is left at the end; 1 keeps the rate as it is after the warm-up.
    `weight_decay_end` is where the decay has gone by the end, along half a cosine; by default it stays as it is.
    `keep` ``"last"`` is for trainings whose course is planned to its end (a temperature that falls, say): their last
    state is the one that counts, whatever scored best on the way.
    """

    steps: int
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01
    no_decay: str = ""
    warmup: float = 0.05
    floor: float = 0.01
    ema: float = 0.99
    clip: float = 1.0
    validate_every: int = 100
    save_every: int = 100
    patience: int = 0
    max_minutes: float = 0.0
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    measure: str = "Dice"
    keep: Literal["best", "last"] = "best"
    weight_decay_end: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.validate_every < 1 or self.save_every < 1:
            raise UsageError(f"a training needs at least one step between events, got {self}")


@dataclass(frozen=True)
class Event:
    """Where a training stands, for a progress line; `score` and `scores` are those of the latest validation."""

    step: int
    steps: int
    loss: float
    lr: float
    seconds: float
    seconds_left: float
    score: float | None = None
    best: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    validated: bool = False
    measure: str = "Dice"

    def line(self) -> str:
        """One line for people: loss, score and time left."""
        score = "" if self.score is None else f"  {self.measure} {self.score:.3f} (best {self.best:.3f})"
        minutes, seconds = divmod(int(self.seconds_left), 60)
        return f"step {self.step}/{self.steps}  loss {self.loss:.3f}{score}  {minutes}:{seconds:02d} left"


@dataclass(frozen=True)
class FitResult:
    """Best state (averaged weights at the best validation; the last ones without validation, or to keep the last)."""

    state: dict[str, Tensor]
    score: float | None
    scores: dict[str, float]
    best_step: int
    step: int
    stopped: Stop
    seconds: float
    history: list[dict[str, float]]


@dataclass
class _Progress:
    """The part of the state that is plain values; `stopped` tells a finished training from one to be continued."""

    step: int = 0
    seconds: float = 0.0
    loss: float = float("nan")
    score: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_scores: dict[str, float] = field(default_factory=dict)
    best_step: int = 0
    since_best: int = 0
    stopped: Stop = "finished"
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    model: nn.Module,
    draw_batch: Callable[[int], Batch],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    settings: LoopSettings,
    *,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    folder: Path | None = None,
    resume: bool = False,
    fingerprint: Mapping[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> FitResult:
    """Train `model` in place and return its best state.

    Parameters
    ----------
    model
        Parameters with ``requires_grad=False`` stay untouched.
    draw_batch
        Batch number n, n from 0; called ahead in another thread. Must depend on n only, for resuming to be exact.
    loss_of
        Scalar loss of the model on a batch (the model is in training mode, autocast already on where wanted).
    settings
        With ``max_minutes`` the learning rate follows the clock where that is ahead of the steps: the rate has fallen
        to its end when the time is up, but the result then depends on the speed of the machine.
    validate
        Scores of the model (averaged weights, evaluation mode), higher is better in ``"score"``; NaN never wins.
    folder
        Holds ``state.safetensors`` for resuming and ``log.csv``; nothing is written if None.
    resume
        Continue from the state in `folder` if there is one.
    fingerprint
        Plain values that must be equal for a state to be continued (data, network, settings).
    on_event
        Called after every step and validation. `Cancelled` raised from it ends the training and keeps the best so far.

    Raises
    ------
    UsageError
        The state in `folder` belongs to a training with another fingerprint.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise UsageError("nothing to train: every parameter is frozen")
    groups = _decay_groups(model, settings.weight_decay, settings.no_decay)
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps)
    ema = Ema(model, settings.ema)
    best = {k: v.clone() for k, v in ema.state.items()}
    p = _Progress()
    plain = {k: v for k, v in asdict(settings).items() if k != "weight_decay_end" or v is not None}  # newer than states
    identity = {"settings": plain, **(fingerprint or {})}
    state_file = folder / "state.safetensors" if folder else None
    if resume and state_file is not None and state_file.exists():
        saved = checkpoint.load(state_file)
        _require_same(saved.values["identity"], identity, state_file)
        model.load_state_dict(saved.model)
        ema.restore(saved.ema)
        best = saved.best
        checkpoint.restore_optimizer(optimizer, saved.optimizer)
        p = _Progress(**saved.values["progress"])
    began = time.monotonic() - p.seconds

    def keep() -> None:
        p.seconds = time.monotonic() - began
        if folder is not None and state_file is not None:
            checkpoint.save(
                state_file, model, ema.state, best, optimizer, {"identity": identity, "progress": asdict(p)}
            )
            write_text(folder / "log.csv", history_csv(p.history))

    def tell(validated: bool) -> None:
        if on_event is None:
            return
        left = p.seconds / max(p.step, 1) * (settings.steps - p.step)
        if settings.max_minutes:
            left = min(left, settings.max_minutes * 60 - p.seconds)
        rate = optimizer.param_groups[0]["lr"]
        on_event(
            Event(
                p.step,
                settings.steps,
                p.loss,
                rate,
                p.seconds,
                max(0.0, left),
                p.score,
                p.best,
                p.scores,
                validated,
                settings.measure,
            )
        )

    stopped = p.stopped
    # One that had come to its end before the steps were done is not taken any further by resuming it.
    last_step = settings.steps if stopped == "finished" else p.step
    try:
        with _ahead(draw_batch, p.step, last_step) as batches:
            for batch in batches:
                fraction = _fraction(p, settings)
                for group in optimizer.param_groups:
                    group["lr"] = settings.lr * warmup_cosine(fraction, settings.warmup, settings.floor)
                if settings.weight_decay_end is not None:
                    decay = half_cosine(settings.weight_decay, settings.weight_decay_end, fraction)
                    optimizer.param_groups[0]["weight_decay"] = decay  # the other group never decays
                loss = _step(model, batch, loss_of, optimizer, trainable, settings, p.step)
                p.step += 1
                p.loss = loss if p.step == 1 else 0.95 * p.loss + 0.05 * loss
                p.seconds = time.monotonic() - began
                ema.update(model, p.step)
                late = bool(settings.max_minutes) and p.seconds >= settings.max_minutes * 60
                last = late or p.step == settings.steps
                due = p.step % settings.validate_every == 0 or last
                if due and validate is not None and _validate(model, ema, validate, p):
                    best = {k: v.clone() for k, v in ema.state.items()}
                if due:
                    p.seconds = time.monotonic() - began
                    p.history.append(
                        {"step": p.step, "seconds": round(p.seconds, 1), "lr": optimizer.param_groups[0]["lr"],
                         "loss": p.loss, **p.scores}
                    )  # fmt: skip
                if settings.patience and p.since_best >= settings.patience:
                    p.stopped = "no progress"
                elif late and p.step < settings.steps:
                    p.stopped = "time is up"
                if due or p.step % settings.save_every == 0:
                    keep()
                tell(due and validate is not None)
                stopped = p.stopped
                if stopped != "finished":
                    break
    except Cancelled:
        stopped = "cancelled"
        keep()
    except KeyboardInterrupt:
        keep()
        raise
    if p.best is None or settings.keep == "last":
        best = ema.state
    if settings.keep == "last" and p.score is not None:
        p.best, p.best_scores, p.best_step = p.score, p.scores, p.step
    return FitResult(best, p.best, p.best_scores, p.best_step or p.step, p.step, stopped, p.seconds, p.history)


def history_csv(history: list[dict[str, float]]) -> str:
    """The log as CSV text; columns that came later are empty in earlier rows."""
    columns = list(dict.fromkeys(k for row in history for k in row))
    return table_text(columns, history)


def _decay_groups(model: nn.Module, weight_decay: float, no_decay: str = "") -> list[dict[str, Any]]:
    """Matrices and kernels decay; norms and biases, which only have one axis, and what `no_decay` names do not."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    decays = [p.ndim > 1 and not (no_decay and re.search(no_decay, n)) for n, p in named]
    return [
        {"params": [p for (_, p), d in zip(named, decays, strict=True) if d], "weight_decay": weight_decay},
        {"params": [p for (_, p), d in zip(named, decays, strict=True) if not d], "weight_decay": 0.0},
    ]


def _fraction(p: _Progress, settings: LoopSettings) -> float:
    """How far the training has come, by steps or by the clock, whichever is further."""
    by_clock = p.seconds / (settings.max_minutes * 60) if settings.max_minutes else 0.0
    return min(1.0, max((p.step + 1) / settings.steps, by_clock))


def _step(
    model: nn.Module,
    batch: Batch,
    loss_of: Callable[[nn.Module, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    trainable: list[nn.Parameter],
    settings: LoopSettings,
    step: int,
) -> float:
    """One optimiser step; random numbers inside (dropout) depend on seed and step only."""
    torch.manual_seed(settings.seed * 1_000_003 + step)
    model.train()
    device = trainable[0].device.type
    with torch.autocast(device, torch.bfloat16) if settings.precision == "bfloat16" else contextlib.nullcontext():
        loss = loss_of(model, batch)
    if not torch.isfinite(loss):
        raise UsageError(f"the loss became {loss.item()} at step {step}: lower lr (now {settings.lr}) or use float32")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if settings.clip > 0:
        nn.utils.clip_grad_norm_(trainable, settings.clip)
    optimizer.step()
    return float(loss.detach())


def _validate(model: nn.Module, ema: Ema, validate: Callable[[nn.Module], dict[str, float]], p: _Progress) -> bool:
    """Score the averaged weights; True if they are the best so far."""
    ema.swap(model)
    model.eval()
    try:
        with torch.no_grad():
            p.scores = {k: float(v) for k, v in validate(model).items()}
    finally:
        ema.swap(model)
    p.score = p.scores["score"]
    if p.score == p.score and (p.best is None or p.score > p.best):
        p.best, p.best_scores, p.best_step, p.since_best = p.score, p.scores, p.step, 0
        return True
    p.since_best += 1
    return False


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    import json

    plain = json.loads(json.dumps(wanted))
    differing = sorted(k for k in set(found) | set(plain) if found.get(k) != plain.get(k))
    if differing:
        inner = [
            f"{k}.{n}"
            for k in differing
            if isinstance(plain.get(k), dict) and isinstance(found.get(k), dict)
            for n in plain[k]
            if found[k].get(n) != plain[k][n]
        ]
        raise UsageError(
            f"{path}: the interrupted training differed in {', '.join(inner or differing)}; "
            "use the same settings to resume it, or resume=false to start again"
        )


class _ahead(Generic[Batch]):
    """Iterate over batches first..last-1, drawing the next one in another thread meanwhile."""

    def __init__(self, draw: Callable[[int], Batch], first: int, last: int) -> None:
        self.draw, self.first, self.last = draw, first, last
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="batches")

    def __enter__(self) -> Iterator[Batch]:
        return self._batches()

    def __exit__(self, *exc: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _batches(self) -> Iterator[Batch]:
        coming = self.pool.submit(self.draw, self.first) if self.first < self.last else None
        for n in range(self.first, self.last):
            assert coming is not None
            batch = coming.result()
            coming = self.pool.submit(self.draw, n + 1) if n + 1 < self.last else None
            yield batch
