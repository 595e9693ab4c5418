"""A linear classifier on what an encoder saw: a few examples are enough, and it says how probable each class is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
_SHRINK = 0.1
"""Inverse strength of the penalty (scikit-learn's C): a few examples, some hundred numbers of each."""
_LARGEST = 1e12
"""No number of a classifier is as large; a comparison that numbers which are none fail, too."""
_TENSORS = ("mean", "scale", "weight", "bias")


@dataclass(frozen=True, eq=False)
class LinearClasses:
    """A classifier.

    Parameters
    ----------
    classes
        Values from 1 on.
    mean, scale
        ``(F,)`` of the features of what lies around the examples.
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
        from scipy.special import softmax

        logits = (features - self.mean) / self.scale @ self.weight.T + self.bias
        found: Floats = softmax(logits, axis=1).astype(np.float32)
        return found

    def tensors(self) -> dict[str, Floats]:
        """What a weight file holds."""
        return {name: getattr(self, name) for name in _TENSORS}

    @classmethod
    def of(cls, tensors: Mapping[str, Any], classes: ClassTable) -> Self:
        """Inverse of `tensors`.

        Raises
        ------
        ValueError
            They do not fit together.
        """
        found = {name: np.asarray(tensors[name], np.float32) for name in _TENSORS}
        count, length = found["weight"].shape
        if count != len(classes) or any(found[n].shape != (length,) for n in ("mean", "scale")) or (
            found["bias"].shape != (count,)) or not all((np.abs(v) < _LARGEST).all() for v in found.values()) or (
            not (found["scale"] > 0).all()):  # fmt: skip
            raise ValueError("its parts do not fit together")
        return cls(classes, **found)

    @classmethod
    def fitted(cls, features: Floats, values: Integers, classes: ClassTable) -> Self:
        """Logistic regression on examples, classes weighing the same however many examples they have.

        Parameters
        ----------
        features
            ``(N, F)`` of all that lies around the examples.
        values
            ``(N,)``: the class of an example, 0 for what is none.

        Raises
        ------
        UsageError
            Fewer than two classes have examples.
        """
        given = values > 0
        kinds = np.unique(values[given])
        if len(kinds) < 2:
            raise UsageError(f"examples of {len(kinds)} class(es): two at least are needed to tell apart")
        mean, scale = scaling(features)
        fitted = regression().fit((features[given] - mean) / scale, values[given])
        weight, bias = fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)
        if len(kinds) == 2:  # scikit-learn keeps one row for two classes
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return cls(classes, mean.astype(np.float32), scale.astype(np.float32), weight, bias)


def scaling(features: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Mean and deviation ``(F,)`` of features ``(N, F)``; none is 0."""
    return features.mean(0), np.maximum(features.std(0), 1e-6)


def regression() -> Any:
    """The logistic regression of scikit-learn that all of these are."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_SHRINK, class_weight="balanced", max_iter=1000)


def unit_rows(features: npt.NDArray[np.floating]) -> Floats:
    """The same with rows of unit length; nothing stays nothing."""
    length = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    found: Floats = (features / length).astype(np.float32)
    return found
