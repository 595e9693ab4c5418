"""Classes of nuclei that a person taught by a few examples: a linear classifier on what the encoder saw of each.

As F. Hoerst et al. do on frozen embeddings ("CellViT++", arXiv 2501.05269), and QuPath's object classifiers on
measurements (P. Bankhead et al., Sci. Rep. 7:16878, 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.slide.predict.mosaic import Cells

KIND = "classes"
"""Of such weights, as their record says it."""
_FOLDS = 5
_SHRINK = 0.1
"""Inverse strength of the penalty (scikit-learn's C): a few examples, some hundred numbers of each."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CellClasses:
    """A classifier.

    Parameters
    ----------
    classes
        Values from 1 on.
    mean, scale
        ``(F,)`` of the features (`features_of`) of the nuclei around the examples.
    weight, bias
        ``(C, F)`` and ``(C,)``, for features with that mean and scale.
    """

    classes: ClassTable
    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats

    def probabilities(self, features: Floats) -> Floats:
        """``(N, F)`` to ``(N, C)``."""
        logits = (features - self.mean) / self.scale @ self.weight.T + self.bias
        logits -= logits.max(1, keepdims=True)
        odds = np.exp(logits)
        found: Floats = (odds / odds.sum(1, keepdims=True)).astype(np.float32)
        return found

    def named(self, cells: Cells, mpp: float) -> Cells:
        """The same nuclei with these classes, and how probable that of each is."""
        if not len(cells):
            return cells
        odds = self.probabilities(features_of(cells, mpp))
        return replace(
            cells, types=(odds.argmax(1) + 1).astype(cells.types.dtype),
            probabilities=odds.max(1).astype(cells.probabilities.dtype),
        )  # fmt: skip

    def tensors(self) -> dict[str, Floats]:
        """What a weight file holds."""
        return {name: getattr(self, name) for name in ("mean", "scale", "weight", "bias")}

    @classmethod
    def of(cls, tensors: Mapping[str, Any], classes: ClassTable) -> CellClasses:
        """Inverse of `tensors`.

        Raises
        ------
        ValueError
            They do not fit together.
        """
        found = {name: np.asarray(tensors[name], np.float32) for name in ("mean", "scale", "weight", "bias")}
        count, length = found["weight"].shape
        if count != len(classes) or any(found[n].shape != (length,) for n in ("mean", "scale")) or (
            found["bias"].shape != (count,)) or not all(np.isfinite(v).all() for v in found.values()):  # fmt: skip
            raise ValueError("its parts do not fit together")
        return cls(classes, **found)


def features_of(cells: Cells, mpp: float) -> Floats:
    """What is known of each nucleus: its embedding, size (logarithm of um2), eccentricity and stains: ``(N, F)``.

    Raises
    ------
    UsageError
        The nuclei have no embeddings.
    """
    if not cells.embeddings.shape[1]:
        raise UsageError("nuclei without embeddings cannot be told apart by examples")
    shape = np.stack([np.log(np.maximum(cells.areas * mpp**2, 1e-3)), cells.eccentricities], 1)
    found: Floats = np.concatenate([cells.embeddings, shape, cells.stains], 1).astype(np.float32)
    return found


def learn(features: Floats, values: npt.NDArray[np.int64], classes: ClassTable) -> tuple[CellClasses, dict[str, float]]:
    """A classifier from examples, and its scores by cross-validation.

    Parameters
    ----------
    features
        ``(N, F)`` of all nuclei around the examples.
    values
        ``(N,)``: the class of an example (its place in `classes`, from 1 on), 0 for nuclei that are none.

    Returns
    -------
    CellClasses
    dict
        ``balanced accuracy`` and ``recall of CLASS`` over folds that hold every class; empty where a class has one
        example only.

    Raises
    ------
    UsageError
        Fewer than two classes have examples.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    given = values > 0
    kinds, counts = np.unique(values[given], return_counts=True)
    if len(kinds) < 2:
        raise UsageError(f"examples of {len(kinds)} class(es): two at least are needed to tell apart")
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-6)
    x, y = (features[given] - mean) / scale, values[given]
    scores: dict[str, float] = {}
    folds = min(_FOLDS, int(counts.min()))
    if folds > 1:
        split = StratifiedKFold(folds, shuffle=True, random_state=0)
        guessed = cross_val_predict(_classifier(), x, y, cv=split)
        names = {c.value: c.name for c in classes}
        recall = {names[int(k)]: float((guessed[y == k] == k).mean()) for k in kinds}
        scores = {"balanced accuracy": float(np.mean(list(recall.values())))}
        scores |= {f"recall of {name}": value for name, value in recall.items()}
    fitted = _classifier().fit(x, y)
    weight, bias = fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
    if len(kinds) == 2:  # scikit-learn keeps one row for two classes
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return CellClasses(classes, mean.astype(np.float32), scale.astype(np.float32), weight, bias), scores


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_SHRINK, class_weight="balanced", max_iter=1000)
