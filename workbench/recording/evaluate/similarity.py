"""Fingerprints: whether what is generated for a session is more like that session than like the others.

Huang et al., arXiv:2510.18080. A session is described by its spectra or covariances, two sessions are as far apart as
their descriptions are uncorrelated, and every generated session is looked for among the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Scores
from workbench.recording.evaluate.covariance import covariance, lagged_covariance, upper
from workbench.recording.evaluate.spectra import finite, psd

Array = npt.NDArray[np.float64]
Feature = Literal["spectrum", "spectra", "covariance", "embedded covariance"]
FEATURES: tuple[Feature, ...] = ("spectrum", "spectra", "covariance", "embedded covariance")


def describe_session(x: npt.ArrayLike, fs: float, feature: Feature) -> Array:
    """One vector that describes a session.

    Parameters
    ----------
    x
        (C, T) signals; every channel is standardised first, so that gains do not tell sessions apart.
    fs
        Sampling rate [Hz].
    feature
        ``"spectrum"``: log density of the mean over channels, 1 to 45 Hz; ``"spectra"``: of every channel;
        ``"covariance"``: of every pair of channels; ``"embedded covariance"``: of every pair, 0 to 20 samples apart.

    Raises
    ------
    InputError
        Values that are not finite, a constant channel, or too short.
    """
    values = finite(x, "session")
    spread = values.std(1, keepdims=True)
    if not spread.all():
        raise InputError(f"channel {int((spread[:, 0] == 0).argmax())} of a session is constant; leave it out")
    values = (values - values.mean(1, keepdims=True)) / spread
    if feature in ("spectrum", "spectra"):
        _, density = psd(values, fs)
        logs = np.log10(np.maximum(density, 1e-300))
        return np.asarray(logs.mean(0) if feature == "spectrum" else logs.ravel())
    if feature == "covariance":
        if len(values) < 3:
            raise InputError(f"{len(values)} channels have too few pairs to be told apart by; at least 3 needed")
        return upper(covariance(values))
    return lagged_covariance(values).ravel()


@dataclass(frozen=True, eq=False)
class Similarity:
    """Every generated session against every real one.

    Parameters
    ----------
    feature
        What sessions were described by.
    sessions
        Names, N of them.
    distance
        (N, N) correlation distance, 0 (alike) to 2; rows: generated, columns: real.
    rank
        (N,) place of the own real session among all, 1 is the nearest.
    top_k
        (N,) share of the sessions whose own is among the nearest 1, 2 ... N.
    """

    feature: str
    sessions: tuple[str, ...]
    distance: Array
    rank: npt.NDArray[np.int64]
    top_k: Array

    @property
    def scores(self) -> Scores:
        """Identification rate for k of 1 to N, beside chance."""
        n = len(self.sessions)
        rows = [(self.feature, k + 1, float(self.top_k[k]), (k + 1) / n) for k in range(n)]
        return Scores(("feature", "k", "identified [share]", "chance [share]"), tuple(rows), "similarity")


def similarity(
    real: Sequence[npt.ArrayLike], generated: Sequence[npt.ArrayLike], sessions: Sequence[str], feature: str = ""
) -> Similarity:
    """Distances of descriptions, and how often the own session is found.

    Parameters
    ----------
    real, generated
        One description (`describe_session`) per session, in the same order.
    sessions
        Their names.
    feature
        What they are described by, for tables.

    Raises
    ------
    InputError
        Fewer than two sessions, or lists of different lengths.
    """
    if len(real) != len(generated) or len(real) != len(sessions):
        raise InputError(f"{len(real)} real, {len(generated)} generated sessions and {len(sessions)} names: not pairs")
    if len(real) < 2:
        raise InputError("to identify sessions takes at least two; give more recordings")
    a, b = (_unit(np.stack([np.asarray(v, np.float64) for v in group])) for group in (generated, real))
    distance = 1 - a @ b.T
    own = np.diag(distance)[:, None]
    # Equally near ones count half, so that sessions that cannot be told apart end at chance.
    nearer, equal = (distance < own - 1e-12).sum(1), (np.abs(distance - own) <= 1e-12).sum(1) - 1
    rank = 1 + nearer + (equal + 1) // 2
    top_k = np.array([(rank <= k).mean() for k in range(1, len(real) + 1)])
    return Similarity(feature, tuple(sessions), distance, rank.astype(np.int64), top_k)


def _unit(rows: Array) -> Array:
    centred = rows - rows.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-300))
