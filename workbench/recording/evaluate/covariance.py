"""How channels vary together: at the same moment, and some samples apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.recording.evaluate.spectra import finite

Array = npt.NDArray[np.float64]


def covariance(x: npt.ArrayLike) -> Array:
    """Covariance of channels, (C, C), in the unit of the signals squared."""
    values = finite(x, "signals")
    values = values - values.mean(1, keepdims=True)
    return np.asarray(values @ values.T / max(1, values.shape[1] - 1))


def lagged_covariance(x: npt.ArrayLike, lags: int = 21) -> Array:
    """Covariance of every channel with every channel some samples later, (lags, C, C) for 0 to ``lags - 1`` samples.

    These are all the different numbers of the time-delay-embedded covariance, each once; see `embedded_covariance`.

    Raises
    ------
    InputError
        Fewer than twice as many samples as lags.
    """
    values = finite(x, "signals")
    samples = values.shape[1]
    if samples < 2 * lags:
        raise InputError(f"{samples} samples are too few for {lags} lags; at least {2 * lags} needed")
    values = values - values.mean(1, keepdims=True)
    return np.stack([values[:, : samples - k] @ values[:, k:].T / (samples - k) for k in range(lags)])


def embedded_covariance(x: npt.ArrayLike, lags: int = 21) -> Array:
    """Time-delay-embedded covariance, (C * lags, C * lags): channel by channel, within it lag by lag.

    The block of channels (i, j) is a Toeplitz matrix of their cross-covariance, as for an endless stationary signal.
    """
    parts = lagged_covariance(x, lags)
    later = np.arange(lags)[None, :] - np.arange(lags)[:, None]
    blocks = np.where((later >= 0)[:, :, None, None], parts[np.abs(later)], parts[np.abs(later)].transpose(0, 1, 3, 2))
    size = parts.shape[1] * lags
    return np.asarray(blocks.transpose(2, 0, 3, 1).reshape(size, size))


def correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Pearson correlation of all values of two arrays; NaN if one is constant."""
    x, y = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else float("nan")


def upper(matrix: Array) -> Array:
    """The values above the diagonal of a square matrix, and for one channel the variance."""
    return matrix[np.triu_indices(len(matrix), 1)] if len(matrix) > 1 else matrix.ravel()
