"""The temperature that makes probabilities as often right as they say.

C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def temperature_of(logits: Floats, truth: Integers) -> float:
    """The temperature by which probabilities are most likely right, from 0.05 to 20.

    With few examples hardly anything is known of it: it is taken to be near 1 until they say otherwise (its logarithm
    has a normal prior of deviation 1).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_t: float) -> float:
        return unlikely(softmax(logits / np.exp(log_t), axis=1), truth) + 0.5 * log_t**2

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def unlikely(odds: Floats, truth: Integers) -> float:
    """How unlikely the true labels are by these probabilities: the sum of their negative logarithms."""
    return float(-np.log(np.maximum(odds[np.arange(len(truth)), truth], 1e-12)).sum())
