"""Labels of whole slides from their tiles: gated attention (Ilse 2018) on embeddings, judged on patients left out.

Every patient is left out once: a network that never saw it judges it, when to stop is decided on others again, and
probabilities are calibrated by a temperature (C. Guo et al., ICML 2017, arXiv 1706.04599) that its own answers have no
part in. The weights that are kept learn from all patients, as long as the folds did on average.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.special import softmax

from workbench.core.atomic import write_text
from workbench.core.classes import ClassTable
from workbench.core.csv_text import table_text
from workbench.core.errors import UsageError
from workbench.core.types import Case
from workbench.slide.few_shot import AUROC, BALANCED, scores_of
from workbench.slide.marked import alike
from workbench.slide.net.attention import GatedAttention
from workbench.slide.predict.heads import SLIDE
from workbench.slide.train.bags import Bag, open_bags
from workbench.slide.train.calibration import Judged, calibration, calibration_section
from workbench.slide.train.label_list import alone_of, labels_of
from workbench.slide.train.on_top import as_step, finish, require_output
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.train import SlideTrainReport
from workbench.training.calibration import temperature_of, unlikely
from workbench.training.loop import Event
from workbench.training.split import grouped_folds

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
HIDDEN, ATTENTION = 256, 128
_PATIENCE = 12
_INNER = 0.2
"""Share of the patients of a fold on which it is decided when to stop."""
_DECAY = 1e-4
_MOST_TILES = 4096
"""Of a slide in a step; drawn anew each time."""


def train_mil(
    cases: Sequence[Case], config: SlideTrainConfig, out: Path, on_step: Callable[[Any], None] | None = None
) -> SlideTrainReport:
    """Learn labels of slides and write ``out``, a small file beside the weights of the encoder.

    Parameters
    ----------
    cases
        Slides, or files of their embeddings, each with a label in the column ``config.label_column`` of the list;
        `Case.group` is the patient, of whom there may be several slides.

    Raises
    ------
    InputError
        No slide can be read, or one has no label.
    UsageError
        One label only, or a label of fewer than two patients; an output that exists.
    """
    require_output(out, config)
    began = time.monotonic()
    labels = labels_of(cases, config.label_column)
    bags = open_bags(cases, config, as_step(on_step))
    items = [bag for bag in bags.items if len(bag.tiles.features)]
    notes = [f"{bag.case.id} has no tile, and was left out" for bag in bags.items if not len(bag.tiles.features)]
    names = sorted({labels[bag.case.id] for bag in items})
    truth = np.array([names.index(labels[bag.case.id]) for bag in items], np.int64)
    groups = np.unique([bag.group for bag in items], return_inverse=True)[1].astype(np.int64)
    try:
        fold = folds_of(truth, groups, names, config.folds, config.seed)
    except UsageError as error:
        lost = [f"{len(bags.failures)} slide(s) left out: {why}" for why in bags.failures.values()] + notes
        raise UsageError(f"{error}; {lost[0]}" if lost else str(error)) from error
    notes += _said_of(items, truth, groups, names)
    tell = _Steps(on_step, int(fold.max()) + 2, config.bag_epochs)
    judged = _judged(items, truth, groups, fold, len(names), config, tell)
    epochs = max(1, round(float(np.mean(judged.epochs))))
    net, _ = taught(items, truth, len(names), config, epochs=epochs, tell=tell)
    classes = ClassTable.from_names(names)
    scores, confusion = scores_of(truth + 1, judged.odds.astype(np.float32), classes)
    scores |= calibration(judged, truth)
    if judged.temperature == 1.0:
        notes.append(
            "probabilities are as the network says them: the temperature that slides of other patients chose made them "
            "no better"
        )
    patients, count = len(np.unique(groups)), int(fold.max()) + 1
    validation = f"cross-validated on {len(items)} slides of {patients} patients in {count} folds, patients kept whole"
    rows = [
        {"label": n, "slides": int((truth == i).sum()), "patients": len(np.unique(groups[truth == i])),
         "recall": round(scores.get(f"recall of {n}", float("nan")), 4)}
        for i, n in enumerate(names)
    ]  # fmt: skip
    learnt = {
        "objective": "labels of slides by gated attention (arXiv 1802.04712)", "validation": validation,
        "epochs": epochs, "stopped_after": list(judged.epochs), "label_column": config.label_column,
        "confusion": confusion.tolist(),
    }  # fmt: skip
    about = {
        "features": net.config["dim"], "classes": len(names), "hidden": HIDDEN, "attention": ATTENTION,
        "temperature": round(judged.temperature, 6),
    }  # fmt: skip
    tensors = {k: v.numpy() for k, v in net.state_dict().items()}
    report = finish(
        out, bags, config, kind=SLIDE, tensors=tensors, classes=classes, net=about, learnt=learnt, scores=scores,
        measure=AUROC if AUROC in scores else BALANCED, rows=rows, notes=notes, began=began,
        more=[calibration_section(judged, truth)],
    )  # fmt: skip
    write_text(report.log.with_name("slides.csv"), _slide_table(items, truth, judged, names))
    return report


def folds_of(truth: Integers, groups: Integers, names: Sequence[str], folds: int, seed: int) -> Integers:
    """The fold ``(S,)`` in which each slide judges; patients whole, every label on both sides of each.

    Raises
    ------
    UsageError
        One label only, or one of fewer than two patients.
    """
    patients = {name: len(np.unique(groups[truth == i])) for i, name in enumerate(names)}
    if len(names) < 2:
        raise UsageError(f"all slides have the label '{names[0]}': there is nothing to tell apart")
    if min(patients.values()) < 2:
        lone = [f"'{n}' has {k}" for n, k in patients.items() if k < 2]
        few = ", ".join(lone[:5]) + (f" and {len(lone) - 5} more" if len(lone) > 5 else "")
        hint = ". Is the column a number, and no label?" if len(names) > 5 and all(map(_is_number, names)) else ""
        raise UsageError(
            f"each label needs slides of two patients at least, so that one can judge the other: {few}{hint}"
        )
    fold = grouped_folds(truth, groups, folds, seed)
    if fold is None:
        raise UsageError("patients cannot be split so that every label is learnt from and judged: give more patients")
    return fold


def taught(
    items: Sequence[Bag], truth: Integers, classes: int, config: SlideTrainConfig, *, epochs: int,
    judge: Integers | None = None, learn: Integers | None = None, salt: int = 0, tell: _Steps | None = None,
) -> tuple[GatedAttention, int]:  # fmt: skip
    """A network that learnt from slides, and after how many passes it stopped; with `judge` the state best on those.

    Parameters
    ----------
    learn, judge
        Which slides teach (by default all), and which decide when to stop.
    """
    learn = np.arange(len(items)) if learn is None else learn
    torch.manual_seed(config.seed * 1009 + salt)
    rng = np.random.default_rng([config.seed, 31, salt])
    width = items[0].tiles.features.shape[1]
    net = GatedAttention(width, classes, HIDDEN, ATTENTION)
    mean, scale = _scaling([items[i] for i in learn.tolist()])
    net.mean.copy_(torch.from_numpy(mean))
    net.scale.copy_(torch.from_numpy(scale))
    weight = torch.from_numpy(_weights(truth[learn], classes))
    optimiser = torch.optim.Adam(net.parameters(), lr=config.bag_lr, weight_decay=_DECAY)
    best, state, stopped = np.inf, copy.deepcopy(net.state_dict()), epochs
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for i in rng.permutation(learn).tolist():
            logits, _ = net(_tensor(items[i], rng))
            loss = F.cross_entropy(logits[None], torch.tensor([int(truth[i])]), weight=weight, reduction="sum")
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += float(loss.detach())
        if tell is not None:
            tell(total / len(learn))
        if judge is None:
            continue
        net.eval()
        said = logits_of(net, [items[i] for i in judge.tolist()])
        own = float(F.cross_entropy(torch.from_numpy(said), torch.from_numpy(truth[judge]), weight=weight.double()))
        if own < best - 1e-4:
            best, state, stopped = own, copy.deepcopy(net.state_dict()), epoch + 1
        elif epoch + 1 - stopped >= _PATIENCE:
            break
    if judge is not None:
        net.load_state_dict(state)
    return net.eval(), stopped


@torch.inference_mode()
def logits_of(net: GatedAttention, items: Sequence[Bag]) -> Floats:
    """``(S, C)`` of slides."""
    return np.stack([net(_tensor(bag))[0].double().numpy() for bag in items])


def _judged(
    items: Sequence[Bag], truth: Integers, groups: Integers, fold: Integers, classes: int, config: SlideTrainConfig,
    tell: _Steps,
) -> Judged:  # fmt: skip
    logits = np.zeros((len(items), classes))
    epochs = []
    for number in range(int(fold.max()) + 1):
        tell.begin(number)
        others = np.flatnonzero(fold != number)
        learn, judge = _inner(others, truth, groups, config.seed + number)
        net, stopped = taught(
            items,
            truth,
            classes,
            config,
            epochs=config.bag_epochs,
            learn=learn,
            judge=judge,
            salt=number + 1,
            tell=tell,
        )
        epochs.append(stopped)
        judges = np.flatnonzero(fold == number)
        logits[judges] = logits_of(net, [items[i] for i in judges.tolist()])
    tell.begin(int(fold.max()) + 1)
    odds = np.zeros_like(logits)
    for number in range(int(fold.max()) + 1):
        own = fold == number
        odds[own] = softmax(logits[own] / temperature_of(logits[~own], truth[~own]), axis=1)
    plain = softmax(logits, axis=1)
    if unlikely(odds, truth) >= unlikely(plain, truth):
        return Judged(fold, logits, plain, 1.0, tuple(epochs))
    return Judged(fold, logits, odds, temperature_of(logits, truth), tuple(epochs))


def _inner(others: Integers, truth: Integers, groups: Integers, seed: int) -> tuple[Integers, Integers | None]:
    """Slides of a fold that teach, and those of other patients that decide when to stop; none where few are left."""
    rng = np.random.default_rng([seed, 32])
    held: set[int] = set()
    for label in np.unique(truth[others]).tolist():
        own = np.unique(groups[others[truth[others] == label]])
        if len(own) < 3:
            return others, None
        held |= set(rng.permutation(own)[: max(1, round(_INNER * len(own)))].tolist())
    inside = np.isin(groups[others], list(held))
    learn, judge = others[~inside], others[inside]
    if len(np.unique(truth[learn])) < len(np.unique(truth[others])):
        return others, None
    return learn, judge


def _slide_table(items: Sequence[Bag], truth: Integers, judged: Judged, names: Sequence[str]) -> str:
    """A row per slide: what is true, and what was said of it by a network that never saw its patient."""
    rows = [
        {
            "slide": bag.case.id, "patient": bag.group, "fold": int(judged.fold[i]), "label": names[truth[i]],
            "said": names[int(judged.odds[i].argmax())],
            **{f"probability {n}": round(float(judged.odds[i, k]), 6) for k, n in enumerate(names)},
        }
        for i, bag in enumerate(items)
    ]  # fmt: skip
    return table_text(list(rows[0]), rows)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _said_of(items: Sequence[Bag], truth: Integers, groups: Integers, names: Sequence[str]) -> list[str]:
    found = []
    mixed = [g for g in np.unique(groups) if len(np.unique(truth[groups == g])) > 1]
    if mixed:
        found.append(
            f"{len(mixed)} patient(s) have slides of more than one label: is the column of slides or of patients?"
        )
    found += alone_of([bag.group for bag in items], [bag.case.id for bag in items])
    found += alike(names)
    few = [n for i, n in enumerate(names) if len(np.unique(groups[truth == i])) < 10]
    if few:
        found.append(f"fewer than ten patients have the label {', '.join(few)}: the scores can be off by much")
    return found


def _tensor(bag: Bag, rng: np.random.Generator | None = None) -> torch.Tensor:
    features = np.asarray(bag.tiles.features, np.float32)
    if rng is not None and len(features) > _MOST_TILES:
        features = features[rng.choice(len(features), _MOST_TILES, replace=False)]
    return torch.from_numpy(np.ascontiguousarray(features))


def _scaling(items: Sequence[Bag]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and deviation of embeddings; each slide weighs the same."""
    means = np.stack([bag.tiles.features.mean(0, dtype=np.float64) for bag in items])
    squares = np.stack([np.square(bag.tiles.features.astype(np.float64)).mean(0) for bag in items])
    mean = means.mean(0)
    scale = np.sqrt(np.maximum(squares.mean(0) - mean**2, 1e-12))
    return mean.astype(np.float32), scale.astype(np.float32)


def _weights(truth: Integers, classes: int) -> npt.NDArray[np.float32]:
    """Rare labels weigh more: each label the same in all."""
    counts = Counter(truth.tolist())
    return np.array([len(truth) / (classes * max(1, counts[k])) for k in range(classes)], np.float32)


class _Steps:
    """Passes over the slides, as steps of all folds and of the last training."""

    def __init__(self, on_step: Callable[[Any], None] | None, runs: int, epochs: int) -> None:
        self._on_step, self._steps, self._epochs = on_step, runs * epochs, epochs
        self._began, self._run, self._done = time.monotonic(), 0, 0

    def begin(self, run: int) -> None:
        self._run, self._done = run, 0

    def __call__(self, loss: float) -> None:
        self._done += 1
        if self._on_step is None:
            return
        step = self._run * self._epochs + self._done
        seconds = time.monotonic() - self._began
        left = seconds / step * (self._steps - step)
        self._on_step(Event(step, self._steps, loss, 0.0, seconds, left, measure="fold"))
