"""Covariances against those of the embedded signal itself."""

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.recording.evaluate.covariance import (
    correlation,
    covariance,
    embedded_covariance,
    lagged_covariance,
    upper,
)


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 20000))
    x[1, 4:] += 0.8 * x[0, :-4]
    x[2] = 0.7 * np.roll(x[2], 1) + 0.5 * x[1]
    return x


def test_covariance_is_numpys(signals) -> None:
    np.testing.assert_allclose(covariance(signals), np.cov(signals), atol=1e-12)


def test_embedded_covariance_is_that_of_delayed_copies(signals) -> None:
    lags = 6
    windows = np.lib.stride_tricks.sliding_window_view(signals, lags, axis=1).transpose(0, 2, 1).reshape(3 * lags, -1)
    np.testing.assert_allclose(embedded_covariance(signals, lags), np.cov(windows), atol=2e-3)


def test_a_delay_shows_at_its_lag(signals) -> None:
    parts = lagged_covariance(signals, 8)
    assert parts.shape == (8, 3, 3)
    assert parts[:, 0, 1].argmax() == 4
    assert parts[4, 0, 1] == pytest.approx(0.8, abs=0.03)


def test_correlation_and_triangle() -> None:
    a = np.arange(9.0).reshape(3, 3)
    assert correlation(a, 2 * a + 1) == pytest.approx(1.0)
    assert correlation(a, -a) == pytest.approx(-1.0)
    assert np.isnan(correlation(a, np.ones((3, 3))))
    assert upper(a).tolist() == [1, 2, 5]
    assert upper(np.array([[4.0]])).tolist() == [4]


def test_too_short_for_the_lags() -> None:
    with pytest.raises(InputError, match="at least 42"):
        lagged_covariance(np.ones((2, 30)))
