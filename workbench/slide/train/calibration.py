"""Whether the probabilities of slides are as often right as they say, and the temperature that makes them so.

C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from workbench.report import html

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_BINS = 10


@dataclass(frozen=True, eq=False)
class Judged:
    """What was said of slides by networks that saw nothing of their patients.

    Parameters
    ----------
    fold
        ``(S,)`` in which each slide was judged.
    logits
        ``(S, C)``.
    odds
        ``(S, C)`` probabilities, calibrated by slides of other patients.
    temperature
        Of all slides together.
    epochs
        After which each fold stopped.
    """

    fold: Integers
    logits: Floats
    odds: Floats
    temperature: float
    epochs: tuple[int, ...]


def calibration(judged: Judged, truth: Integers) -> dict[str, float]:
    """How far probabilities are from how often they are right (expected calibration error), and Brier's score.

    The probability of the label that was said, in ten bins; before and after the temperature.
    """
    found = {}
    for name, odds in (("", judged.odds), (" before calibration", softmax(judged.logits, axis=1))):
        off = sum(n * abs(p - r) for p, r, n in bins(odds, truth)) / len(truth)
        found[f"calibration error, {_BINS} bins{name}"] = float(off)
        right = np.eye(odds.shape[1])[truth]
        found[f"Brier score, summed over labels{name}"] = float(((odds - right) ** 2).sum(1).mean())
    return found


def bins(odds: Floats, truth: Integers) -> list[tuple[float, float, int]]:
    """(mean probability, share that is right, slides) of the label that was said, where a bin has slides."""
    said, sure = odds.argmax(1), odds.max(1)
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    return [
        (float(sure[place == k].mean()), float((said == truth)[place == k].mean()), int((place == k).sum()))
        for k in range(_BINS)
        if (place == k).any()
    ]


def calibration_section(judged: Judged, truth: Integers) -> html.Section:
    """The curve of the report, and its numbers."""
    rows = [[round(p, 3), round(r, 3), n] for p, r, n in bins(judged.odds, truth)]
    table = html.Table(["probability", "share right", "slides"], rows, "Of slides by how sure the label was.")
    return html.Section("Calibration", [html.Picture(_curve(judged, truth), "On the line, probabilities are as often "
                                                     "right as they say."), table])  # fmt: skip


def _curve(judged: Judged, truth: Integers) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), color="0.6", linewidth=1)
    for odds, label in ((softmax(judged.logits, axis=1), "before"), (judged.odds, "calibrated")):
        points = np.array([(p, r) for p, r, _ in bins(odds, truth)])
        axes.plot(*points.T, marker="o", label=label)
    axes.set(xlabel="probability of the label that was said", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
