"""How well classes were told, and whether their probabilities are as often right as they say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_BINS = 10


def accuracy(truth: Integers, found: Integers) -> float:
    """Share that is right."""
    return float(np.mean(np.asarray(truth) == np.asarray(found)))


def recall(truth: Integers, found: Integers, classes: int) -> Floats:
    """Of each class the share that was found; NaN of classes of which there is none."""
    return np.array([
        float(np.mean(found[truth == n] == n)) if (truth == n).any() else np.nan for n in range(classes)
    ])  # fmt: skip


def macro_f1(truth: Integers, found: Integers, classes: int) -> float:
    """Mean over the classes, of which there is one or which were said, of 2 TP / (2 TP + FP + FN)."""
    scores = []
    for n in range(classes):
        right = int(((truth == n) & (found == n)).sum())
        total = int((truth == n).sum() + (found == n).sum())
        if total:
            scores.append(2 * right / total)
    return float(np.mean(scores)) if scores else float("nan")


def macro_auroc(truth: Integers, odds: Floats) -> float:
    """Mean over classes of the area under the curve of each against the rest; NaN where no class has both."""
    from sklearn.metrics import roc_auc_score

    scores = [
        roc_auc_score(truth == n, odds[:, n]) for n in range(odds.shape[1]) if 0 < (truth == n).sum() < len(truth)
    ]
    return float(np.mean(scores)) if scores else float("nan")


def calibration_error(truth: Integers, odds: Floats) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599) of the class that is said, in ten bins."""
    said, sure = odds.argmax(1), odds.max(1)
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for n in range(_BINS):
        own = place == n
        if own.any():
            total += own.sum() * abs(float(sure[own].mean()) - float((said[own] == truth[own]).mean()))
    return total / len(truth)
