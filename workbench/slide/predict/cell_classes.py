"""Classes of nuclei that a person taught by a few examples: a linear classifier on what the encoder saw of each.

As F. Hoerst et al. do on frozen embeddings ("CellViT++", arXiv 2501.05269), and QuPath's object classifiers on
measurements (P. Bankhead et al., Sci. Rep. 7:16878, 2017).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.slide.linear import Floats, LinearClasses, regression
from workbench.slide.predict.mosaic import Cells

KIND = "classes"
"""Of such weights, as their record says it."""
_FOLDS = 5


class CellClasses(LinearClasses):
    """A classifier of the features of nuclei (`features_of`)."""

    def named(self, cells: Cells, mpp: float) -> Cells:
        """The same nuclei with these classes, and how probable that of each is."""
        if not len(cells):
            return cells
        odds = self.probabilities(features_of(cells, mpp))
        return replace(
            cells, types=(odds.argmax(1) + 1).astype(cells.types.dtype),
            probabilities=odds.max(1).astype(cells.probabilities.dtype),
        )  # fmt: skip


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

    head = CellClasses.fitted(features, values, classes)
    given = values > 0
    kinds, counts = np.unique(values[given], return_counts=True)
    x, y = (features[given] - head.mean) / head.scale, values[given]
    scores: dict[str, float] = {}
    folds = min(_FOLDS, int(counts.min()))
    if folds > 1:
        split = StratifiedKFold(folds, shuffle=True, random_state=0)
        guessed = cross_val_predict(regression(), x, y, cv=split)
        names = {c.value: c.name for c in classes}
        recall = {names[int(k)]: float((guessed[y == k] == k).mean()) for k in kinds}
        scores = {"balanced accuracy": float(np.mean(list(recall.values())))}
        scores |= {f"recall of {name}": value for name, value in recall.items()}
    return head, scores
