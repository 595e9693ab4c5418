"""Teach a classifier of pictures or of leads: its last layer by convex fitting first, then all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workbench.page.net.run import features_and_logits, head_of
from workbench.page.train.examples import Examples, varied
from workbench.training.loop import Event, FitResult, LoopSettings, fit

Floats = npt.NDArray[np.float64]
MEASURE = "macro F1"


@dataclass(frozen=True)
class ClassifySettings:
    """How to teach; see `workbench.page.train.settings.PageTrainConfig` for the meaning of each.

    `warmup` is the share of steps in which the rate rises; `balanced` whether classes count alike, however many there
    are of each.
    """

    epochs: float = 30.0
    batch: int = 16
    lr: float = 5e-5
    weight_decay: float = 0.05
    smoothing: float = 0.1
    max_minutes: float = 0.0
    seed: int = 0
    adapt: Literal["all", "head"] = "all"
    validations: int = 10
    warmup: float = 0.1
    balanced: bool = True


def teach(
    net: nn.Module, examples: Examples, val: Examples | None, settings: ClassifySettings, *,
    device: torch.device, folder: Path | None = None, resume: bool = False,
    fingerprint: Mapping[str, Any] | None = None, on_event: Callable[[Event], None] | None = None,
    fit_head: bool = True,
) -> FitResult | None:  # fmt: skip
    """Teach a network in place; its best state, or ``None`` where only its head was fitted.

    Parameters
    ----------
    net
        With ``features`` and a last layer, as `workbench.page.net.classifiers.PictureNet` and
        `workbench.page.net.lead_net.LeadNet`.
    examples, val
        What teaches, and what says which state is best (by `MEASURE`).
    fit_head
        Whether the last layer is fitted to what the network already sees, before the rest learns: of a network that
        begins at random there is nothing to see.
    """
    net.to(device)
    classes = head_of(net).out_features
    if fit_head or settings.adapt == "head":
        fit_last_layer(net, examples, device)
    if settings.adapt == "head":
        return None
    weight = torch.from_numpy(_balance(examples.truth, classes)).float().to(device) if settings.balanced else None
    size = min(settings.batch, len(examples))
    per_round = max(1, len(examples) // size)
    steps = max(1, round(settings.epochs * per_round))

    def draw_batch(step: int) -> tuple[Tensor, Tensor]:
        order = np.random.default_rng([settings.seed, 1, step // per_round]).permutation(len(examples))
        chosen = np.sort(order[step % per_round * size :][:size])
        inputs, truth = examples.batch(chosen)
        return varied(inputs, np.random.default_rng([settings.seed, 2, step])).to(device), truth.to(device)

    def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return cross_entropy(model(batch[0]), batch[1], weight, label_smoothing=settings.smoothing)

    def validate(model: nn.Module) -> dict[str, float]:
        from workbench.page.evaluate.classes import accuracy, macro_f1

        assert val is not None
        found = features_and_logits(model, val.inputs, device)[1].argmax(1)
        score = macro_f1(val.truth, found, classes)
        return {"score": score, MEASURE: score, "accuracy": accuracy(val.truth, found)}

    every = max(1, steps // settings.validations)
    loop = LoopSettings(
        steps=steps, lr=settings.lr, weight_decay=settings.weight_decay, warmup=settings.warmup, validate_every=every,
        ema=min(0.999, 1 - 10 / (steps + 20)), save_every=every, max_minutes=settings.max_minutes, measure=MEASURE,
        seed=settings.seed, no_decay="position_embeddings|relative_position|cls_token|^lead$|^whose$",
    )  # fmt: skip
    found = fit(
        net, draw_batch, loss_of, loop, validate=validate if val is not None and len(val) else None, folder=folder,
        resume=resume, fingerprint=fingerprint, on_event=on_event,
    )  # fmt: skip
    net.load_state_dict(found.state)
    net.eval()
    return found


def fit_last_layer(net: nn.Module, examples: Examples, device: torch.device) -> None:
    """Multinomial regression on what the last layer sees; classes weigh alike."""
    from sklearn.linear_model import LogisticRegression

    seen, _ = features_and_logits(net, examples.inputs, device)
    mean, std = seen.mean(0), seen.std(0) + 1e-6
    found = LogisticRegression(C=0.1, class_weight="balanced", max_iter=500).fit((seen - mean) / std, examples.truth)
    head = head_of(net)
    weight, bias = np.zeros(head.weight.shape), np.full(head.out_features, -10.0)
    if len(found.classes_) == 2:
        rows, shift = np.vstack([-found.coef_, found.coef_]) / 2, np.array([-1, 1]) * found.intercept_ / 2
    else:
        rows, shift = found.coef_, found.intercept_
    for n, one in enumerate(found.classes_):
        weight[one] = rows[n] / std
        bias[one] = shift[n] - (rows[n] / std * mean).sum()
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))


def _balance(truth: npt.NDArray[np.int64], classes: int) -> Floats:
    """Weights by which all classes count alike, one on average."""
    counts = np.bincount(truth, minlength=classes).astype(float)
    weight = np.where(counts > 0, len(truth) / np.maximum(counts, 1) / max((counts > 0).sum(), 1), 0.0)
    return np.asarray(np.minimum(weight, 10.0))
