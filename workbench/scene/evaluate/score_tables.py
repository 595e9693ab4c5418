"""Tables of the scores of one class map, for reports."""

from __future__ import annotations

from workbench.report import html
from workbench.scene.evaluate.scores import NOT_MAPPED, MapScores


def score_tables(scores: MapScores) -> list[html.Part]:
    """Accuracy and F1 per class, and the confusion matrix."""
    names = scores.classes.names
    rows = [
        (name, accuracy, f1, int(scores.confusion[i].sum()))
        for i, (name, accuracy, f1) in enumerate(zip(names, scores.accuracy, scores.f1, strict=True))
    ]
    confusion = [(name, *map(int, row)) for name, row in zip(names, scores.confusion, strict=True)]
    return [
        html.Table(("class", "accuracy", "F1", "test pixels"), rows, digits=4),
        html.Table(("reference \\ map", *names, NOT_MAPPED), confusion, caption="Confusion matrix [pixels]"),
    ]
