"""How well embeddings tell classes of tiles apart: with a few labels of each, and by finding tiles like another.

The protocols of StainNet (J. Li et al., arXiv 2512.10326: few-ratio learning and retrieval), by patient: what one
patient's tiles taught is judged on those of others. Beside it the same with tiles split at random, which is too good
where a patient has several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.core.types import Progress
from workbench.slide.evaluate.tile_sets import TileSet, features_by, pictures_of
from workbench.slide.few_shot import AUROC, BALANCED, F1, scores_of
from workbench.slide.linear import LinearClasses, unit_rows
from workbench.training.split import grouped_folds

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
FOLDS, REPEATS = 5, 20
BY_PATIENT, AT_RANDOM = "by patient", "at random"
_NEAREST = (1, 3, 5)


@dataclass(frozen=True)
class FewLabels:
    """Scores with so many labels of each class.

    Parameters
    ----------
    shots
        Labels of each class.
    split
        `BY_PATIENT` or `AT_RANDOM`.
    scores
        Mean over repeats of balanced accuracy, F1 and AUROC, and the deviation of the first.
    """

    shots: int
    split: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Retrieval:
    """How often the most similar tiles are of the same class.

    Parameters
    ----------
    scores
        ``Acc@k``: one of the k nearest is; ``vote@5``: the most frequent class of the five nearest is; ``mAP``.
    queries
        Tiles that were asked about.
    """

    split: str
    scores: dict[str, float]
    queries: int


def splits_of(one: TileSet) -> list[str]:
    """How a set can be split: by patient only where it is known whose a tile is and no class comes from one alone."""
    return [BY_PATIENT, AT_RANDOM] if one.has_groups and not one.tied else [AT_RANDOM]


def few_labels(one: TileSet, features: list[Floats], shots: int, split: str, repeats: int = REPEATS) -> FewLabels:
    """A logistic regression on `shots` tiles of each class (0: all) of most patients, judged on the others.

    Every tile is judged once in a repeat (five folds), by labels drawn anew; scores are of all tiles of a repeat.

    Parameters
    ----------
    features
        ``(N, D)`` each: of one network, or of several with random numbers, over which scores are meant.

    Raises
    ------
    UsageError
        A class has fewer tiles than that on a side that teaches.
    """
    classes = ClassTable.from_names(list(one.names))
    found: dict[str, list[float]] = {BALANCED: [], F1: [], AUROC: []}
    for repeat in range(repeats):
        own = features[repeat % len(features)]
        odds = np.zeros((len(one.labels), len(one.names)), np.float32)
        for judges in _folds(one, split, repeat):
            teach = np.setdiff1d(np.arange(len(one.labels)), judges)
            values = np.zeros(len(one.labels), np.int64)
            values[_drawn(one, teach, shots, repeat)] = 1
            values *= one.labels + 1
            head = LinearClasses.fitted(own[teach], values[teach], classes)
            odds[judges] = head.probabilities(own[judges])
        scores, _ = scores_of(one.labels + 1, odds, classes)
        for name, values_of in found.items():
            values_of.append(scores[name])
    spread = float(np.std(found[BALANCED]))
    return FewLabels(shots, split, {k: float(np.mean(v)) for k, v in found.items()} | {"deviation": spread})


def _folds(one: TileSet, split: str, repeat: int) -> list[Integers]:
    from sklearn.model_selection import StratifiedKFold

    if split == AT_RANDOM:
        count = min(FOLDS, int(np.bincount(one.labels).min()))
        if count < 2:
            rare = one.names[int(np.bincount(one.labels).argmin())]
            raise UsageError(f"set {one.name}: '{rare}' has one picture: it cannot teach and judge")
        folds = StratifiedKFold(count, shuffle=True, random_state=repeat).split(one.labels, one.labels)
        return [judges for _, judges in folds]
    fold = grouped_folds(one.labels, one.groups, FOLDS, repeat)
    if fold is None:
        raise UsageError(f"set {one.name}: patients cannot be split so that every class is learnt from and judged")
    return [np.flatnonzero(fold == number) for number in range(int(fold.max()) + 1)]


def _drawn(one: TileSet, teach: Integers, shots: int, repeat: int) -> Integers:
    rng = np.random.default_rng([repeat, 51, len(teach)])
    found = []
    for i, name in enumerate(one.names):
        own = teach[one.labels[teach] == i]
        if not shots:
            found.append(own)
            continue
        if len(own) < shots:
            raise UsageError(f"{len(own)} tiles of '{name}' are on a side that teaches, fewer than {shots}")
        found.append(rng.permutation(own)[:shots])
    return np.concatenate(found)


def retrieval(one: TileSet, features: list[Floats], split: str) -> Retrieval:
    """Each tile asks for the most similar (cosine) of all others; by patient: of those of other patients.

    A tile whose class no other patient has asks nothing.
    """
    each = [_retrieved(one, own, split) for own in features]
    scores = {name: float(np.mean([s[name] for s, _ in each])) for name in each[0][0]}
    return Retrieval(split, scores, each[0][1])


def _retrieved(one: TileSet, features: Floats, split: str) -> tuple[dict[str, float], int]:
    unit = unit_rows(features)
    similar = (unit @ unit.T).astype(np.float64)
    mine = np.eye(len(unit), dtype=bool)
    if split == BY_PATIENT:
        mine |= one.groups[:, None] == one.groups[None]
    similar[mine] = -np.inf
    same = one.labels[:, None] == one.labels[None]
    asks = (same & ~mine).any(1)
    found: dict[str, list[float]] = {name: [] for name in (*(f"Acc@{k}" for k in _NEAREST), "vote@5", "mAP", "chance")}
    for i in np.flatnonzero(asks):
        order = np.argsort(-similar[i], kind="stable")[: int((~mine[i]).sum())]
        hit = same[i, order]
        for k in _NEAREST:
            found[f"Acc@{k}"].append(float(hit[:k].any()))
        votes = np.bincount(one.labels[order[:5]], minlength=len(one.names))
        found["vote@5"].append(float(votes.argmax() == one.labels[i]))
        place = np.flatnonzero(hit) + 1
        found["mAP"].append(float((np.arange(1, len(place) + 1) / place).mean()))
        found["chance"].append(float(hit.mean()))
    return {name: float(np.mean(values)) for name, values in found.items()}, int(asks.sum())


def notes_on(one: TileSet) -> list[str]:
    """What a reader of the tables must know of a set."""
    found = []
    if not one.has_groups:
        unknown = int((one.groups < 0).sum())
        found.append(
            f"{one.name}: of {unknown} of {len(one.groups)} tiles nobody says whose they are: split at random only"
        )
    elif one.tied:
        found.append(
            f"{one.name}: '{one.tied}' comes from one patient only, so that class and patient coincide: no learning, "
            "and retrieval may find the patient"
        )
    return found


def rows_of(
    one: TileSet, encoder: str, features: list[Floats], shots: list[int], repeats: int = REPEATS
) -> list[dict[str, Any]]:
    """The rows of both tables for a set and an encoder."""
    found: list[dict[str, Any]] = []
    for split in splits_of(one):
        about = {"set": one.name, "encoder": _short(encoder), "split": split}
        for count in shots if not one.tied else ():
            try:
                few = few_labels(one, features, count, split, repeats)
            except UsageError as error:
                found.append({**about, "task": f"{count or 'all'} labels", "note": str(error)})
                continue
            found.append(
                {**about, "task": f"{count or 'all'} labels", **{k: round(v, 4) for k, v in few.scores.items()}}
            )
        found_by = retrieval(one, features, split)
        own = {k: round(v, 4) for k, v in found_by.scores.items()}
        found.append({**about, "task": "retrieval", "queries": found_by.queries, **own})
    return found


def _short(encoder: str) -> str:
    """What an encoder is called in tables: weights without their folder."""
    return Path(encoder).stem if encoder.endswith(".safetensors") else encoder


def compared(
    sets: Sequence[TileSet], encoders: Sequence[str], shots: list[int], *, repeats: int = REPEATS,
    progress: Progress | None = None, pooling: str = "auto",
) -> tuple[list[dict[str, Any]], list[str]]:  # fmt: skip
    """The rows of all sets and encoders, and what a reader must know.

    Parameters
    ----------
    encoders
        See `workbench.slide.evaluate.tile_sets.features_by`.
    progress
        Called with (pictures done, pictures in all) of each encoder.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for one in sets:
        notes += notes_on(one)
        pictures = pictures_of(one)
        for encoder in encoders:
            features = features_by(encoder, pictures, progress, pooling)
            rows += rows_of(one, encoder, features, shots, repeats)
    return rows, notes
