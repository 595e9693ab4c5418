"""Classes of tissue from a few marked regions: a probe on embeddings of tiles, scored on regions that did not teach.

Tiles of one region look alike, whatever is learnt: what taught never judges, nor does a tile that shares pixels with
one that judges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.slide.linear import Floats, Integers, LinearClasses, unit_rows
from workbench.training.split import grouped_folds

How: TypeAlias = Literal["logistic", "knn"]
_FOLDS = 5
_NEIGHBOURS = 20
BALANCED, F1, AUROC = "balanced accuracy", "macro F1", "AUROC"


@dataclass(frozen=True, eq=False)
class NeighbourClasses:
    """The vote of the most similar examples (cosine); each class weighs the same however many examples it has.

    Parameters
    ----------
    classes
        Values from 1 on.
    features, values
        ``(M, F)`` of unit length and ``(M,)``: the examples.
    """

    classes: ClassTable
    features: Floats
    values: Integers

    def probabilities(self, features: Floats) -> Floats:
        """``(N, F)`` to ``(N, C)``: shares of the vote."""
        counts = np.bincount(self.values, minlength=len(self.classes) + 1)[1:]
        votes = min(_NEIGHBOURS, max(1, 2 * int(counts[counts > 0].min()) - 1), len(self.values))
        found = np.zeros((len(features), len(self.classes)), np.float32)
        for start in range(0, len(features), 4096):
            similar = unit_rows(features[start : start + 4096]) @ self.features.T
            nearest = np.argpartition(-similar, votes - 1, 1)[:, :votes]
            for value in range(1, len(self.classes) + 1):
                own = (self.values[nearest] == value).sum(1) / max(1, counts[value - 1])
                found[start : start + 4096, value - 1] = own
        total: Floats = found / found.sum(1, keepdims=True)
        return total

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """What a weight file holds."""
        return {"features": self.features, "values": self.values}

    @classmethod
    def of(cls, tensors: Mapping[str, Any], classes: ClassTable) -> NeighbourClasses:
        """Inverse of `tensors`.

        Raises
        ------
        ValueError
            They do not fit together.
        """
        features, values = np.asarray(tensors["features"], np.float32), np.asarray(tensors["values"], np.int64)
        good = features.ndim == 2 and values.shape == features.shape[:1] and len(values) and np.isfinite(features).all()
        if not good or not ((values > 0) & (values <= len(classes))).all():
            raise ValueError("its parts do not fit together")
        return cls(classes, features, values)

    @classmethod
    def fitted(cls, features: Floats, values: Integers, classes: ClassTable) -> NeighbourClasses:
        """The examples ``values > 0`` among features ``(N, F)``."""
        given = values > 0
        if len(np.unique(values[given])) < 2:
            raise UsageError("examples of fewer than two classes: there is nothing to tell apart")
        return cls(classes, unit_rows(features[given]), values[given])


Head: TypeAlias = LinearClasses | NeighbourClasses
HEADS: dict[str, type[LinearClasses] | type[NeighbourClasses]] = {"logistic": LinearClasses, "knn": NeighbourClasses}


@dataclass(frozen=True, eq=False)
class Examples:
    """Tiles, some of which were marked.

    Parameters
    ----------
    features
        ``(N, F)`` embeddings of all tiles of the slides.
    values
        ``(N,)`` class from 1 on, 0 where nobody said anything.
    regions
        ``(N,)`` the region that says so, a number of its own over all slides; -1 without.
    slides
        ``(N,)`` number of the slide.
    corners
        ``(N, 2)``, (x, y) of each tile in pixels of level 0 of its slide.
    sides
        ``(N,)`` side of each, in those pixels.
    groups
        The patient (or whatever is kept apart) of each slide.
    """

    features: Floats
    values: Integers
    regions: Integers
    slides: Integers
    corners: npt.NDArray[np.float64]
    sides: npt.NDArray[np.float64]
    groups: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Taught:
    """What was learnt.

    Parameters
    ----------
    head
        The classifier.
    scores
        Cross-validated: `BALANCED`, `F1`, `AUROC` (one against the others, mean over classes), ``recall of CLASS``,
        ``regions right`` (share of regions most of whose tiles are given their class). Empty where that cannot be done.
    confusion
        ``(C, C)`` tiles by true class (rows) and by what was said, cross-validated.
    validation
        In words, how.
    tiles, regions
        By class.
    fold, odds
        ``(N,)`` in which each tile judged, -1 for those that did not; and what was said of it then ``(N, C)``. Empty
        where nothing was validated.
    """

    head: Head
    scores: dict[str, float]
    confusion: Integers
    validation: str
    tiles: dict[str, int]
    regions: dict[str, int]
    fold: Integers
    odds: Floats

    @property
    def classes(self) -> ClassTable:
        """Those that were marked on a tile."""
        return self.head.classes


def learn_tiles(examples: Examples, classes: ClassTable, how: How = "logistic") -> Taught:
    """Learn classes from marked tiles, and score that by cross-validation.

    Parameters
    ----------
    how
        ``"logistic"``: regression on all numbers of an embedding; ``"knn"``: the vote of the most similar examples.

    Raises
    ------
    UsageError
        Fewer than two classes were marked.
    """
    given = examples.values > 0
    names = {c.value: c.name for c in classes}
    kinds = np.unique(examples.values[given]).tolist()
    if len(kinds) < 2:
        known = f"only '{names[kinds[0]]}' is" if kinds else "none is"
        raise UsageError(f"Mark regions of two classes or more, each with a class: {known} marked on a tile now.")
    examples, classes = _of_marked(examples, classes, kinds)
    head = HEADS[how].fitted(examples.features, examples.values, classes)
    fold, said = folds_of(examples)
    scores: dict[str, float] = {}
    confusion: Integers = np.zeros((0, 0), np.int64)
    odds = np.zeros((0, len(classes)), np.float32)
    if fold is not None:
        odds, more = _judged(examples, classes, how, fold)
        said += more
        if len(odds):
            own = np.flatnonzero(fold >= 0)
            scores, confusion = scores_of(examples.values[own], odds[own], classes, examples.regions[own])
    each = {c.name: examples.values == c.value for c in classes}
    return Taught(
        head, scores, confusion, said, {n: int(v.sum()) for n, v in each.items()},
        {n: len(np.unique(examples.regions[v])) for n, v in each.items()},
        np.zeros(0, np.int64) if fold is None or not len(odds) else fold, odds,
    )  # fmt: skip


def _of_marked(examples: Examples, classes: ClassTable, kinds: list[int]) -> tuple[Examples, ClassTable]:
    """The same with those classes alone that are marked on a tile, numbered anew."""
    by_value = {c.value: c for c in classes}
    table = ClassTable(tuple(replace(by_value[k], value=i) for i, k in enumerate(kinds, 1)))
    place = np.zeros(max(by_value) + 1, np.int64)
    place[kinds] = np.arange(1, len(kinds) + 1)
    return replace(examples, values=place[examples.values]), table


def folds_of(examples: Examples) -> tuple[Integers | None, str]:
    """The fold ``(N,)`` in which each marked tile judges (-1: nothing), and in words how they were made.

    Patients are kept apart where each class was marked on two of them at least; regions else.
    """
    given = examples.values > 0
    names = {g: i for i, g in enumerate(dict.fromkeys(examples.groups))}
    patients = np.array([names[examples.groups[s]] for s in examples.slides.tolist()], np.int64)
    if len(names) > 1:
        fold = _in_folds(patients, examples.values, given)
        if fold is not None:
            count = int(fold.max()) + 1
            known = len(np.unique(patients[given]))
            return fold, f"cross-validated over {known} patients (or slides of unknown ones) in {count} folds"
    fold = _in_folds(examples.regions, examples.values, given)
    if fold is None:
        return None, "not validated: each class needs two regions at least, of which one can judge the other"
    count, regions = int(fold.max()) + 1, len(np.unique(examples.regions[given]))
    warning = "" if len(names) < 2 else "; patients are on both sides, as not every class was marked on two of them"
    return fold, f"cross-validated over {regions} regions in {count} folds{warning}"


def _in_folds(units: Integers, values: Integers, given: npt.NDArray[np.bool_]) -> Integers | None:
    """Units (regions, patients) in folds, so that each class of a fold that judges was taught elsewhere."""
    own = grouped_folds(values[given], units[given], _FOLDS, 0)
    if own is None:
        return None
    found: Integers = np.full(len(units), -1, np.int64)
    found[given] = own
    return found


def _judged(examples: Examples, classes: ClassTable, how: How, fold: Integers) -> tuple[Floats, str]:
    """What is said of each fold by what the others teach, tiles that share pixels with it left out; none where nothing
    is left to teach.
    """
    odds = np.zeros((len(fold), len(classes)), np.float32)
    left_out = 0
    for number in range(int(fold.max()) + 1):
        judges = np.flatnonzero(fold == number)
        teaches = (fold >= 0) & (fold != number)
        near = touching(examples, np.flatnonzero(teaches), judges)
        left_out += len(near)
        own = np.where(teaches, examples.values, 0)
        own[near] = 0
        if set(np.unique(own[own > 0]).tolist()) != set(np.unique(examples.values[fold >= 0]).tolist()):
            more = "; no scores: regions lie so close that none is left to teach where tiles that share pixels are out"
            return np.zeros((0, len(classes)), np.float32), more
        head = HEADS[how].fitted(examples.features, own, classes)
        odds[judges] = head.probabilities(examples.features[judges])
    more = f"; {left_out} times a tile did not teach, as it shares pixels with one that judged" if left_out else ""
    return odds, more


def touching(examples: Examples, some: Integers, others: Integers) -> Integers:
    """Those of some tiles that share pixels with any of other tiles."""
    from scipy.spatial import cKDTree

    found = []
    for slide in np.unique(examples.slides[others]).tolist():
        here, there = some[examples.slides[some] == slide], others[examples.slides[others] == slide]
        if not len(here):
            continue
        side = float(examples.sides[there].max())
        away, _ = cKDTree(examples.corners[there]).query(examples.corners[here], p=math.inf)
        found.append(here[away < side - 0.5])
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def scores_of(
    truth: Integers, odds: Floats, classes: ClassTable, regions: Integers | None = None
) -> tuple[dict[str, float], Integers]:
    """Scores of probabilities ``(N, C)`` by true classes ``(N,)``, and the table of confusion ``(C, C)``.

    AUROC is that of one class against all others, its mean over classes that are there and are not all.
    """
    from sklearn.metrics import roc_auc_score

    said = odds.argmax(1) + 1
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (truth - 1, said - 1), 1)
    kinds = np.unique(truth)
    right = np.diag(confusion)
    recall = {int(k): float(right[k - 1] / confusion[k - 1].sum()) for k in kinds}
    f1 = [2 * right[k - 1] / (confusion[k - 1].sum() + confusion[:, k - 1].sum()) for k in kinds]
    areas = [roc_auc_score(truth == k, odds[:, k - 1]) for k in kinds if 0 < (truth == k).sum() < len(truth)]
    scores = {BALANCED: float(np.mean(list(recall.values()))), F1: float(np.mean(f1))}
    if areas:
        scores[AUROC] = float(np.mean(areas))
    names = {c.value: c.name for c in classes}
    scores |= {f"recall of {names[k]}": v for k, v in recall.items()}
    if regions is not None:
        good = [(said[regions == r] == truth[regions == r]).mean() > 0.5 for r in np.unique(regions)]
        scores["regions right"] = float(np.mean(good))
    return scores, confusion
