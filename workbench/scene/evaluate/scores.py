"""Scores of class maps: overall and average accuracy, kappa, and per class; and the references to compare with.

References learn from the same pixels: a support vector machine with a Gaussian kernel on principal components, its two
settings chosen by cross-validation on the training pixels as people do, and a random forest.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.types import Image, Progress
from workbench.scene.data.scene import open_blocks
from workbench.scene.data.spectra import FittedSpectra

Array = npt.NDArray[Any]
NOT_MAPPED = "not mapped"
"""The column of a confusion matrix for pixels without any of its classes."""

ReferenceName = Literal["svm", "forest"]
REFERENCES: tuple[ReferenceName, ...] = ("svm", "forest")
TITLES = {"svm": "SVM (RBF)", "forest": "random forest", "network": "LoLA-SpecViT"}


@dataclass(frozen=True, eq=False)
class MapScores:
    """Scores of one class map on its test pixels, all 0 to 1.

    Parameters
    ----------
    oa, aa, kappa
        Share of pixels that are right; mean over classes of that share; Cohen's kappa (can be negative).
    accuracy, f1
        Per class, in the order of `classes`; NaN where a class has no test pixel.
    confusion
        (classes, classes + 1) counts that add up to the test pixels; rows: reference, columns: map, the last one for
        pixels that the map gives none of the classes.
    """

    oa: float
    aa: float
    kappa: float
    accuracy: tuple[float, ...]
    f1: tuple[float, ...]
    confusion: npt.NDArray[np.int64]
    classes: ClassTable

    def to_json(self) -> dict[str, Any]:
        return {
            "OA": self.oa,
            "AA": self.aa,
            "kappa": self.kappa,
            "accuracy": dict(zip(self.classes.names, self.accuracy, strict=True)),
            "F1": dict(zip(self.classes.names, self.f1, strict=True)),
            "confusion": self.confusion.tolist(),
            "confusion_rows": list(self.classes.names),
            "confusion_columns": [*self.classes.names, NOT_MAPPED],
            "pixels": int(self.confusion.sum()),
        }


def score_map(found: Array, reference: Array, pixels: npt.NDArray[np.intp], classes: ClassTable) -> MapScores:
    """Compare a class map with the reference.

    Parameters
    ----------
    found, reference
        (rows, columns) class values.
    pixels
        Flat indices of the test pixels; all must be labelled in the reference.
    classes
        The classes; a found value outside of them counts as wrong.
    """
    from sklearn.metrics import cohen_kappa_score, f1_score, recall_score

    values = [c.value for c in classes]
    truth, said = reference.ravel()[pixels], found.ravel()[pixels]
    present = np.isin(values, truth)
    with warnings.catch_warnings():
        # One class only: kappa is 0/0, which is not worth a message.
        warnings.simplefilter("ignore")
        recall = recall_score(truth, said, labels=values, average=None, zero_division=0)
        f1 = f1_score(truth, said, labels=values, average=None, zero_division=0)
        kappa = float(cohen_kappa_score(truth, said))
    place = {v: i for i, v in enumerate(values)}
    confusion = np.zeros((len(values), len(values) + 1), np.int64)
    pairs, counts = np.unique(np.stack([truth, said]).astype(np.int64), axis=1, return_counts=True)
    for (wanted, mapped), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
        confusion[place[wanted], place.get(mapped, len(values))] += count
    accuracy = np.where(present, recall, np.nan)
    return MapScores(
        float((truth == said).mean()), float(np.nanmean(accuracy)), kappa, tuple(map(float, accuracy)),
        tuple(map(float, np.where(present, f1, np.nan))), confusion, classes,
    )  # fmt: skip


def added_up(scores: Sequence[MapScores]) -> MapScores:
    """Several scores as one: counts added up, accuracy and F1 of each class averaged over where it was tested."""
    table = {c.value: c for s in scores for c in s.classes}
    classes = ClassTable(tuple(table[v] for v in sorted(table)))
    place = {c.value: i for i, c in enumerate(classes)}
    confusion = np.zeros((len(classes), len(classes) + 1), np.int64)
    each = np.full((2, len(scores), len(classes)), np.nan)
    for number, s in enumerate(scores):
        here = [place[c.value] for c in s.classes]
        confusion[np.ix_(here, [*here, len(classes)])] += s.confusion
        each[0, number, here], each[1, number, here] = s.accuracy, s.f1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class without test pixels in any of them
        accuracy, f1 = np.nanmean(each, axis=1)
    mean = mean_and_deviation(scores)
    return MapScores(
        mean["OA"][0], mean["AA"][0], mean["kappa"][0], tuple(map(float, accuracy)), tuple(map(float, f1)), confusion,
        classes,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference method that has learnt; `predict` maps prepared pixels (n, channels) to class values."""

    name: str
    model: Any
    settings: dict[str, Any]

    def predict(self, pixels: Array) -> Array:
        return np.asarray(self.model.predict(pixels))

    def map(self, image: Image, fitted: FittedSpectra, progress: Progress | None = None, on_tile: Any = None) -> Array:
        """Class values (rows, columns) uint16 of a whole scene, block by block; 0 where there is no spectrum."""
        blocks = open_blocks(image)
        found = np.zeros(blocks.shape[1:], np.uint16)
        done = 0
        for rows, columns in blocks.windows(16 << 20):
            raw = blocks.read(rows, columns)
            block = fitted.apply(raw)
            labels = self.predict(block.reshape(len(block), -1).T).reshape(block.shape[1:])
            labels = np.where(fitted.valid(raw), labels, 0)
            found[rows, columns] = labels
            if on_tile:
                on_tile(rows, columns, labels)
            done += labels.size
            if progress:
                progress(done, found.size)
        return found


def fit_reference(
    name: ReferenceName, pixels: Array, values: Array, *, seed: int = 0, search: bool = True
) -> Reference:
    """Teach a reference method.

    Parameters
    ----------
    name
        ``"svm"`` or ``"forest"``.
    pixels
        (n, channels) float, prepared spectra.
    values
        (n,) class values.
    search
        Choose C and gamma of the support vector machine by cross-validation over a grid, else C 100 and ``"scale"``.
    """
    if name == "forest":
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(300, random_state=seed).fit(pixels, values)
        return Reference(name, forest, {"trees": 300})
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    fewest = int(np.unique(values, return_counts=True)[1].min())
    if not search or fewest < 2:
        return Reference(name, SVC(C=100.0).fit(pixels, values), {"C": 100.0, "gamma": "scale"})
    grid = {"C": [1.0, 10.0, 100.0, 1000.0], "gamma": ["scale", 0.01, 0.03, 0.1, 0.3, 1.0]}
    folds = StratifiedKFold(min(5, fewest), shuffle=True, random_state=seed)
    found = GridSearchCV(SVC(), grid, cv=folds).fit(pixels, values)
    return Reference(name, found.best_estimator_, dict(found.best_params_))


def mean_and_deviation(scores: Sequence[MapScores]) -> dict[str, tuple[float, float]]:
    """Mean and sample deviation (0 for a single run) of OA, AA and kappa."""
    table = {"OA": [s.oa for s in scores], "AA": [s.aa for s in scores], "kappa": [s.kappa for s in scores]}
    return {k: (float(np.mean(v)), float(np.std(v, ddof=1)) if len(v) > 1 else 0.0) for k, v in table.items()}
