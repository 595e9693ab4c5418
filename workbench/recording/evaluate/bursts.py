"""Bursts: moments in which a channel changes its rhythm, found by hidden states and counted.

Per channel, as in the evaluation of MEG-GPT: to 100 Hz, 21 time-delay embeddings, standardised, three hidden states
with zero mean that differ by their covariance, that is by spectrum and power. The channels are fitted one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.recording.evaluate.hidden_states import GaussianHMM, fit_hmm
from workbench.recording.evaluate.spectra import finite

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BurstSettings:
    """How bursts are looked for.

    Parameters
    ----------
    rate
        Sampling rate that is worked at [Hz]; faster signals are low-passed and decimated to it.
    embeddings
        Samples of one vector, centred on the moment it stands for.
    states
        Hidden states.
    band
        The burst state is the one that adds most power in this range [Hz], compared with the others and with what it
        adds elsewhere.
    variance
        Principal components that hold this share of the variance of the embedded signal are kept.
    seconds
        At most this much of a channel is fitted (evenly spaced stretches); all of it is then decoded.
    starts, iterations, seed
        Of the fit.
    """

    rate: float = 100.0
    embeddings: int = 21
    states: int = 3
    band: tuple[float, float] = (7.0, 30.0)
    variance: float = 0.99
    seconds: float = 120.0
    starts: int = 2
    iterations: int = 30
    seed: int = 0


@dataclass(frozen=True)
class Bursts:
    """Visits of one state by one channel.

    Parameters
    ----------
    channel, state
        Numbers, from 0; states are in ascending order of power.
    is_burst
        Whether this is the channel's burst state.
    rate
        Visits that begin per second [1/s].
    interval
        Mean time from the end of a visit to the start of the next [s]; NaN with fewer than two visits.
    lifetime
        Mean length of a visit [s], those that touch an end of the signal left out; NaN without any.
    share
        Part of the time spent in the state.
    frequency
        Where the state's spectrum has most power per logarithm of frequency [Hz].
    """

    channel: int
    state: int
    is_burst: bool
    rate: float
    interval: float
    lifetime: float
    share: float
    frequency: float


@dataclass(frozen=True, eq=False)
class BurstModel:
    """One channel's states, so that other signals of the same kind can be decoded with the same ones.

    Parameters
    ----------
    hmm
        In the space of the components.
    components
        (embeddings, D) from an embedded, standardised vector to components.
    burst
        Number of the burst state.
    frequencies
        Peak of each state's spectrum [Hz].
    offset, scale
        Mean and deviation of the signal that it was fitted to, in the signal's unit.
    """

    hmm: GaussianHMM
    components: Array
    burst: int
    frequencies: tuple[float, ...]
    offset: float
    scale: float

    def vectors(self, channel: Array) -> Array:
        """(T - embeddings + 1, D) components of a (T,) signal at the working rate."""
        return np.asarray(embed((channel - self.offset) / self.scale, len(self.components)) @ self.components)


def decimate(x: npt.ArrayLike, fs: float, rate: float) -> Array:
    """`x` (C, T) at `rate` [Hz], low-passed by scipy's polyphase filter; `x` itself where the rates are equal.

    Raises
    ------
    InputError
        The signal is slower than `rate`: nothing can be invented.
    """
    from scipy.signal import resample_poly

    values = finite(x, "signals")
    if abs(fs - rate) < 1e-6 * rate:
        return values
    if fs < rate:
        raise InputError(f"signals at {fs:g} Hz are slower than the {rate:g} Hz that bursts are looked for at")
    ratio = Fraction(rate / fs).limit_denominator(1000)
    return np.asarray(resample_poly(values, ratio.numerator, ratio.denominator, axis=1))


def embed(x: Array, embeddings: int) -> Array:
    """(T - embeddings + 1, embeddings) windows of a (T,) signal, each standing for its middle."""
    return np.lib.stride_tricks.sliding_window_view(x, embeddings)


def find_bursts(
    x: npt.ArrayLike, fs: float, settings: BurstSettings | None = None, step: Callable[[], None] | None = None
) -> list[BurstModel]:
    """Fit the states of every channel.

    Parameters
    ----------
    x
        (C, T) signals.
    fs
        Their sampling rate [Hz].
    step
        Called after every channel; may raise to stop.

    Raises
    ------
    InputError
        Values that are not finite, a constant channel, less than three seconds, or slower than the working rate.
    """
    from threadpoolctl import threadpool_limits

    s = settings or BurstSettings()
    prepared = _prepared(x, fs, s)
    models = []
    # The matrices are tiny: threads of the linear algebra would spend their time waiting for each other.
    with threadpool_limits(1):
        for channel in prepared:
            models.append(_fit(channel, s))
            if step:
                step()
    return models


def _fit(channel: Array, s: BurstSettings) -> BurstModel:
    offset, scale = float(channel.mean()), float(channel.std())
    pieces = _stretches(embed((channel - offset) / scale, s.embeddings), int(s.seconds * s.rate))
    whole = np.concatenate(pieces)
    values, axes = np.linalg.eigh(whole.T @ whole / len(whole))
    order = np.argsort(values)[::-1]
    kept = int(np.searchsorted(np.cumsum(values[order]) / values.sum(), s.variance)) + 1
    components = axes[:, order[:kept]]
    hmm = fit_hmm(
        [p @ components for p in pieces], s.states, seed=s.seed, starts=s.starts, iterations=s.iterations,
        zero_mean=True,
    )  # fmt: skip
    return _described(hmm, components, (offset, scale), s)


def bursts(
    x: npt.ArrayLike,
    fs: float,
    models: list[BurstModel] | None = None,
    settings: BurstSettings | None = None,
    step: Callable[[], None] | None = None,
) -> list[Bursts]:
    """Rate, interval and lifetime of every state in every channel.

    Parameters
    ----------
    x
        (C, T) signals.
    fs
        Their sampling rate [Hz].
    models
        From `find_bursts` on other signals of the same channels, to count the same states in both; fitted on `x`
        if None. The unit must be the same: they are standardised by the deviation of what the models were fitted to, so
        that background is not blown up to bursts where there are fewer of them.
    settings
        As given to `find_bursts`.
    """
    s = settings or BurstSettings()
    found = find_bursts(x, fs, s, step) if models is None else models
    prepared = _prepared(x, fs, s)
    if len(prepared) != len(found):
        raise InputError(f"states of {len(found)} channels cannot be counted in {len(prepared)} channels")
    rows = []
    for number, (channel, model) in enumerate(zip(prepared, found, strict=True)):
        path = model.hmm.states(model.vectors(channel))
        for state in range(model.hmm.n_states):
            rate, interval, lifetime, share = visits(path == state, s.rate)
            rows.append(
                Bursts(number, state, state == model.burst, rate, interval, lifetime, share, model.frequencies[state])
            )
        if step and models is not None:
            step()
    return rows


def visits(active: npt.NDArray[np.bool_], rate: float) -> tuple[float, float, float, float]:
    """(visits that begin per second, mean interval [s], mean lifetime [s], share of time) of a (T,) mask."""
    edges = np.diff(np.concatenate([[0], active.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    whole = (begins > 0) & (ends < len(active))
    lifetime = float((ends - begins)[whole].mean() / rate) if whole.any() else float("nan")
    interval = float((begins[1:] - ends[:-1]).mean() / rate) if len(begins) > 1 else float("nan")
    return float((begins > 0).sum() * rate / len(active)), interval, lifetime, float(active.mean())


def burst_rows(found: list[Bursts]) -> list[Bursts]:
    """The burst state of each channel, in the order of channels."""
    return [b for b in found if b.is_burst]


def _prepared(x: npt.ArrayLike, fs: float, s: BurstSettings) -> Array:
    values = finite(x, "signals")
    if values.shape[1] < 3 * fs:
        raise InputError(f"{values.shape[1] / fs:.1f} s of signal are too short to count bursts; at least 3 s needed")
    flat = np.ptp(values, axis=1) == 0
    if flat.any():
        raise InputError(f"channel {int(flat.argmax())} is constant; bursts need signals that change")
    return decimate(values, fs, s.rate)


def _stretches(vectors: Array, most: int) -> list[Array]:
    """All vectors, or up to eight evenly spaced stretches of them with `most` vectors together."""
    if len(vectors) <= most:
        return [vectors]
    length = most // 8
    begins = np.linspace(0, len(vectors) - length, 8).astype(int)
    return [vectors[b : b + length] for b in begins]


def _described(hmm: GaussianHMM, components: Array, place: tuple[float, float], s: BurstSettings) -> BurstModel:
    """Name the burst state by the spectra that follow from the states' covariances."""
    freqs = np.arange(2.0, min(45.0, s.rate / 2), 0.5)
    waves = np.exp(2j * np.pi * freqs[:, None] * np.arange(s.embeddings) / s.rate) * np.hanning(s.embeddings + 2)[1:-1]
    seen = waves @ components
    power = np.stack([np.einsum("fd,de,fe->f", seen, c, seen.conj()).real for c in hmm.covariances])
    inside = (freqs >= s.band[0]) & (freqs <= s.band[1])
    # Against the mean of all states, and against what the state adds elsewhere: a blink adds power to the band, too.
    added = np.log(power) - np.log(power).mean(0)
    burst = int((added[:, inside].mean(1) - added[:, ~inside].mean(1)).argmax())
    # Weighing by frequency undoes the 1/f, which would otherwise put every peak at the lower end.
    tops = tuple(float(freqs[(p * freqs).argmax()]) for p in power)
    return BurstModel(hmm, components, burst, tops, *place)
