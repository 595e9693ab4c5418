"""The table of a diagnosis: each opinion and both together, over all folds and on one part kept apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from workbench.page.diagnose.model import TOGETHER
from workbench.page.diagnose.opinions import mean_log, pooled
from workbench.page.evaluate.classes import accuracy, calibration_error, macro_auroc, macro_f1, recall
from workbench.page.train.diagnosis_study import DiagnosisStudy
from workbench.training.calibration import temperature_of

Floats = npt.NDArray[np.float64]
Row = dict[str, Any]

PUBLISHED = (
    ("BEiT (Kilimci et al. 2025)", 0.959, 0.966),
    ("Swin-Tiny (Kilimci et al. 2025)", 0.952, None),
    ("DeiT (Kilimci et al. 2025)", 0.949, None),
    ("ViT (Kilimci et al. 2025)", 0.943, None),
)
"""Accuracy by 5-fold cross-validation and on a hold-out of 20 %, as doi:10.1016/j.imavis.2025.105666 reports them on
the four-class data set. Its splits are not known to be by patient."""
_FOUR = ("normal", "abnormal", "history", "myocardial")
"""Words in the names of the folders of that data set."""


def scored(study: DiagnosisStudy, logits: Mapping[str, Floats]) -> list[Row]:
    """Rows of accuracy, macro F1, macro AUROC, calibration error and recall of each class.

    Parameters
    ----------
    logits
        By path, ``(pages, classes)`` of networks that the group of the page did not teach; NaN where there was nothing
        to see. Each page is judged with the temperatures of the other folds.
    """
    odds = {path: _calibrated(study, values) for path, values in logits.items()}
    if len(odds) > 1:
        odds[TOGETHER] = _together(study, list(odds.values()))
    protocols = {
        f"{study.folds} folds": np.ones(len(study), bool), f"hold-out of 1/{study.folds}": study.fold == 0,
    }  # fmt: skip
    rows = []
    for protocol, chosen in protocols.items():
        for name in (TOGETHER, *logits):
            if name in odds:
                good = chosen & np.isfinite(odds[name]).all(axis=1)
                if good.any():
                    rows.append(_row(name, protocol, study.truth[good], odds[name][good], study.classes))
    return rows


def published_rows(study: DiagnosisStudy) -> list[Row]:
    """What the paper reports, for a data set whose classes are its four; else nothing."""
    names = [name.lower() for name in study.classes]
    if len(names) != len(_FOUR) or not all(any(word in name for name in names) for word in _FOUR):
        return []
    return [{"opinion": name, "5 folds": five, "hold-out of 1/5": held} for name, five, held in PUBLISHED]


def _calibrated(study: DiagnosisStudy, logits: Floats) -> Floats:
    """Probabilities of each fold by the temperature of the others."""
    out = np.full(logits.shape, np.nan)
    good = np.isfinite(logits).all(axis=1)
    for fold in range(study.folds):
        others, own = good & (study.fold != fold), good & (study.fold == fold)
        t = temperature_of(logits[others], study.truth[others]) if others.any() else 1.0
        out[own] = softmax(logits[own] / t, axis=1)
    return out


def temperature_together(study: DiagnosisStudy, odds: Sequence[Floats]) -> float:
    """That of `pooled`, from pages of which there are all opinions, ``(pages, classes)`` each."""
    good = np.isfinite(np.stack(odds)).all(axis=(0, 2))
    return temperature_of(mean_log([one[good] for one in odds]), study.truth[good]) if good.any() else 1.0


def _together(study: DiagnosisStudy, odds: Sequence[Floats]) -> Floats:
    """Both opinions, by the temperature of the other folds; where one is lacking the other."""
    out = np.full(odds[0].shape, np.nan)
    both = np.ones(len(study), bool)
    for one in odds:
        has = np.isfinite(one).all(axis=1)
        out[has] = one[has]
        both &= has
    for fold in range(study.folds):
        others, own = both & (study.fold != fold), both & (study.fold == fold)
        t = temperature_of(mean_log([one[others] for one in odds]), study.truth[others]) if others.any() else 1.0
        out[own] = pooled([one[own] for one in odds], t)
    return out


def _row(opinion: str, protocol: str, truth: npt.NDArray[np.int64], odds: Floats, classes: tuple[str, ...]) -> Row:
    found = odds.argmax(axis=1)
    row: Row = {
        "opinion": opinion, "protocol": protocol, "pages": len(truth), "accuracy": accuracy(truth, found),
        "macro F1": macro_f1(truth, found, len(classes)), "macro AUROC": macro_auroc(truth, odds),
        "calibration error": calibration_error(truth, odds),
    }  # fmt: skip
    row |= {f"recall {name}": float(v) for name, v in zip(classes, recall(truth, found, len(classes)), strict=True)}
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
