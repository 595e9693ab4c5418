"""Probabilities of slides are as often right as they say, and few slides make nobody sure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from workbench.slide.train.calibration import bins
from workbench.training.calibration import temperature_of


def test_a_temperature_makes_probabilities_as_right_as_they_say():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 4000)
    logits = np.zeros((4000, 2))
    logits[np.arange(4000), truth] += 1.0
    logits += rng.normal(0, 1, logits.shape)
    found = temperature_of(5 * logits, truth)
    assert found == pytest.approx(5 * temperature_of(logits, truth), rel=0.01)
    odds = softmax(5 * logits / found, axis=1)
    error = sum(n * abs(p - r) for p, r, n in bins(odds, truth)) / 4000
    assert error < 0.03
    before = softmax(5 * logits, axis=1)
    assert sum(n * abs(p - r) for p, r, n in bins(before, truth)) / 4000 > 3 * error


@pytest.mark.parametrize("count", [6, 24])
def test_few_slides_do_not_make_anybody_sure(count):
    """All right by a hair, on a handful of slides: the likeliest temperature alone is the lowest that is tried."""
    truth = np.arange(count) % 2
    logits = np.zeros((count, 2))
    logits[np.arange(count), truth] = 0.4
    odds = softmax(logits / temperature_of(logits, truth), axis=1).max()
    assert odds == pytest.approx((count + 1) / (count + 2), abs=0.03), "as the rule of succession has it"
