"""A small hidden Markov model with Gaussian observations: what bursts are found with.

Baum-Welch in log space. The recursions over time are exact, but run over about the square root of the number of
samples: the sequence is cut into pieces whose transfer matrices are multiplied out side by side, then the pieces are
joined. Rabiner, Proc. IEEE 77, 257 (1989); the cut is the parallel prefix of Särkkä and García-Fernández (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

Array = npt.NDArray[np.float64]
_FLOOR = 1e-12  # probability below which no transition falls, so that logarithms stay finite
_RIDGE = 1e-6  # share of the mean variance added to the diagonal of covariances


@dataclass(frozen=True, eq=False)
class GaussianHMM:
    """A chain of K states that emits D-dimensional normal vectors.

    Parameters
    ----------
    start, transition
        (K,) probabilities of the first state; (K, K) from row to column, rows sum to 1.
    means, covariances
        (K, D) and (K, D, D).
    log_likelihood
        Of the sequences it was fitted to [nats], in all; NaN if it was not fitted.
    """

    start: Array
    transition: Array
    means: Array
    covariances: Array
    log_likelihood: float = float("nan")

    @property
    def n_states(self) -> int:
        return len(self.start)

    def emissions(self, x: npt.ArrayLike) -> Array:
        """Log density of each sample in each state, (T, K), for `x` (T, D)."""
        values = np.asarray(x, np.float64)
        out = np.empty((len(values), self.n_states))
        for k in range(self.n_states):
            factor = np.linalg.cholesky(self.covariances[k])
            # The inverse of a small triangle is cheaper than a triangular solve of all samples.
            white = (values - self.means[k]) @ np.linalg.inv(factor).T
            size = values.shape[1] * np.log(2 * np.pi) + 2 * np.log(np.diag(factor)).sum()
            out[:, k] = -0.5 * (size + np.einsum("td,td->t", white, white))
        return out

    def score(self, x: npt.ArrayLike) -> float:
        """Log likelihood of a sequence (T, D) [nats]."""
        return _expect(self, np.asarray(x, np.float64))[2]

    def posterior(self, x: npt.ArrayLike) -> Array:
        """Probability of each state at each sample given the whole sequence, (T, K)."""
        return _expect(self, np.asarray(x, np.float64))[0]

    def states(self, x: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Most likely path (Viterbi), (T,) of 0 to K-1, for a sequence (T, D)."""
        b, a = self.emissions(x), np.log(np.maximum(self.transition, _FLOOR))
        best = np.log(np.maximum(self.start, _FLOOR)) + b[0]
        back = np.zeros(b.shape, np.int64)
        for t in range(1, len(b)):
            ways = best[:, None] + a
            back[t] = ways.argmax(0)
            best = ways.max(0) + b[t]
        path = np.empty(len(b), np.int64)
        path[-1] = best.argmax()
        for t in range(len(b) - 1, 0, -1):
            path[t - 1] = back[t, path[t]]
        return path

    def sample(self, n_samples: int, seed: int = 0) -> tuple[Array, npt.NDArray[np.int64]]:
        """Draw a sequence: (T, D) vectors and the (T,) states behind them."""
        rng = np.random.default_rng(seed)
        steps = self.transition.cumsum(1)
        path = np.empty(n_samples, np.int64)
        path[0] = rng.choice(self.n_states, p=self.start)
        for t, u in enumerate(rng.random(n_samples - 1), 1):
            path[t] = min(int(np.searchsorted(steps[path[t - 1]], u)), self.n_states - 1)
        factors = np.linalg.cholesky(self.covariances)
        noise = rng.standard_normal((n_samples, self.means.shape[1]))
        return self.means[path] + np.einsum("tij,tj->ti", factors[path], noise), path


def fit_hmm(
    sequences: Sequence[npt.ArrayLike],
    n_states: int,
    *,
    seed: int = 0,
    starts: int = 3,
    iterations: int = 60,
    tolerance: float = 1e-4,
    zero_mean: bool = False,
    step: Callable[[], None] | None = None,
) -> GaussianHMM:
    """Fit by expectation maximisation from several starts; the likeliest model wins.

    Parameters
    ----------
    sequences
        One or more (T, D) arrays; nothing is learnt across their ends.
    n_states
        Number of states K.
    seed
        Decides the starts; equal seeds give equal models.
    starts
        The first begins from groups of alike samples (k-means; groups of alike local power if `zero_mean`), the others
        from random sticky paths. All run for ten rounds, then the best one to its end.
    iterations, tolerance
        Most rounds; stops when a round gains less than `tolerance` nats per sample.
    zero_mean
        Keep all means at 0, so that states differ by their covariance alone: for time-delay-embedded oscillations.
    step
        Called after every round; may raise to stop.

    Returns
    -------
    GaussianHMM
        States in ascending order of their total variance (of the first mean if not `zero_mean`).

    Raises
    ------
    InputError
        Fewer than ten samples per state, or values that are not finite.
    """
    data = [np.asarray(s, np.float64) for s in sequences]
    data = [s.reshape(len(s), -1) for s in data if len(s) > 1]
    total = sum(len(s) for s in data)
    if total < 10 * n_states:
        raise InputError(f"{total} samples are too few for {n_states} hidden states; at least {10 * n_states} needed")
    if not all(np.isfinite(s).all() for s in data):
        raise InputError("hidden states need finite values; leave out segments with NaN")
    rng = np.random.default_rng(seed)
    short = min(10, iterations)
    models = []
    for number in range(max(1, starts)):
        paths = _alike(data, n_states, rng, zero_mean) if number == 0 else _sticky(data, n_states, rng)
        models.append(_climb(_from_paths(data, paths, n_states, zero_mean), data, short, 0.0, zero_mean, step))
    best = max(models, key=lambda m: m.log_likelihood)
    best = _climb(best, data, iterations - short, tolerance * total, zero_mean, step)
    key = np.trace(best.covariances, axis1=1, axis2=2) if zero_mean else best.means[:, 0]
    order = np.argsort(key)
    return GaussianHMM(
        best.start[order], best.transition[np.ix_(order, order)], best.means[order], best.covariances[order],
        best.log_likelihood,
    )  # fmt: skip


def _climb(
    model: GaussianHMM,
    data: list[Array],
    rounds: int,
    least_gain: float,
    zero_mean: bool,
    step: Callable[[], None] | None,
) -> GaussianHMM:
    """Rounds of expectation and maximisation; the model returned is the one that the likelihood belongs to."""
    likelihood = -np.inf
    for number in range(rounds):
        found = [_expect(model, s) for s in data]
        now = sum(f[2] for f in found)
        model = GaussianHMM(model.start, model.transition, model.means, model.covariances, now)
        if step:
            step()
        if now - likelihood < least_gain or number == rounds - 1:
            break
        likelihood = now
        model = _maximise(data, found, zero_mean, likelihood)
    return model


def _expect(model: GaussianHMM, x: Array) -> tuple[Array, Array, float]:
    """(posterior (T, K), expected transitions (K, K), log likelihood) of one sequence."""
    b, a = model.emissions(x), np.log(np.maximum(model.transition, _FLOOR))
    alpha, beta = _forward_backward(np.log(np.maximum(model.start, _FLOOR)), a, b)
    likelihood = float(_log_sum(alpha[-1], 0))
    gamma = np.exp(alpha + beta - likelihood)
    gamma /= gamma.sum(1, keepdims=True)
    pairs = np.exp(alpha[:-1, :, None] + a + (b + beta)[1:, None, :] - likelihood).sum(0)
    return gamma, pairs, likelihood


def _forward_backward(start: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Log forward and backward variables, both (T, K), exact.

    Step t maps by the matrix ``a[i, j] + b[t, j]``. The T - 1 steps are laid out as (pieces, length); missing steps
    at the end get ``b = 0``, which leaves the backward variables at 0 and the forward ones of real steps untouched.
    """
    samples, states = b.shape
    length = max(1, int(np.sqrt(samples)))
    pieces = -(-(samples - 1) // length)
    steps = np.zeros((pieces * length, states))
    steps[: samples - 1] = b[1:]
    m = a + steps.reshape(pieces, length, 1, states)
    whole = m[:, 0]
    for s in range(1, length):
        whole = _log_sum(whole[:, :, :, None] + m[:, s, None], 2)
    enter = np.empty((pieces, states))  # forward variables just before each piece
    leave = np.zeros((pieces, states))  # backward variables just after each piece
    enter[0] = start + b[0]
    for p in range(1, pieces):
        enter[p] = _log_sum(enter[p - 1][:, None] + whole[p - 1], 0)
        leave[pieces - 1 - p] = _log_sum(whole[pieces - p] + leave[pieces - p], 1)
    alpha, beta = np.empty((pieces, length, states)), np.empty((pieces, length, states))
    now, then = enter, leave
    for s in range(length):
        now = alpha[:, s] = _log_sum(now[:, :, None] + m[:, s], 1)
        beta[:, length - 1 - s] = then
        then = _log_sum(m[:, length - 1 - s] + then[:, None, :], 2)
    forward = np.vstack([enter[:1], alpha.reshape(-1, states)[: samples - 1]])
    return forward, np.vstack([then[:1], beta.reshape(-1, states)[: samples - 1]])


def _log_sum(values: Array, axis: int) -> Array:
    top = values.max(axis)
    return np.asarray(top + np.log(np.exp(values - np.expand_dims(top, axis)).sum(axis)))


def _maximise(
    data: list[Array], found: list[tuple[Array, Array, float]], zero_mean: bool, likelihood: float
) -> GaussianHMM:
    gammas = [f[0] for f in found]
    weight = np.maximum(sum(g.sum(0) for g in gammas), 1e-3)
    pairs = np.sum([f[1] for f in found], axis=0) + _FLOOR
    start = sum(g[0] for g in gammas) / len(gammas)
    states, size = len(weight), data[0].shape[1]
    means = np.zeros((states, size))
    if not zero_mean:
        means = sum(g.T @ s for g, s in zip(gammas, data, strict=True)) / weight[:, None]
    covariances = np.empty((states, size, size))
    for k in range(states):
        second = sum((s * g[:, k : k + 1]).T @ s for g, s in zip(gammas, data, strict=True)) / weight[k]
        covariances[k] = second - np.outer(means[k], means[k])
    spread = np.trace(covariances, axis1=1, axis2=2).mean() / size
    covariances += np.eye(size) * (_RIDGE * spread + 1e-12)
    return GaussianHMM(start, pairs / pairs.sum(1, keepdims=True), means, covariances, likelihood)


def _from_paths(data: list[Array], paths: list[npt.NDArray[np.int64]], states: int, zero_mean: bool) -> GaussianHMM:
    """The model that belongs to given states, softened so that no state starts empty."""
    found = []
    for path in paths:
        gamma = np.eye(states)[path] * 0.9 + 0.1 / states
        found.append((gamma, gamma[:-1].T @ gamma[1:], 0.0))
    return _maximise(data, found, zero_mean, float("-inf"))


def _alike(data: list[Array], states: int, rng: np.random.Generator, zero_mean: bool) -> list[npt.NDArray[np.int64]]:
    from scipy.cluster.vq import kmeans2
    from scipy.ndimage import uniform_filter1d

    if zero_mean:
        power = [uniform_filter1d(np.einsum("td,td->t", s, s), min(15, len(s))) for s in data]
        cuts = np.quantile(np.concatenate(power), np.arange(1, states) / states)
        return [np.digitize(p, cuts).astype(np.int64) for p in power]
    whole = np.concatenate(data)
    scale = np.maximum(whole.std(0), 1e-12)
    _, found = kmeans2(whole / scale, states, minit="++", seed=rng)
    ends = np.cumsum([len(s) for s in data])[:-1]
    return [p.astype(np.int64) for p in np.split(found, ends)]


def _sticky(data: list[Array], states: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Random paths with stays of twenty samples on average."""
    paths = []
    for s in data:
        moves = np.cumsum(rng.random(len(s)) < 1 / 20)
        paths.append(rng.integers(0, states, int(moves[-1]) + 1)[moves].astype(np.int64))
    return paths
