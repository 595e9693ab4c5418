"""Hidden states: recursions against the definition, and a chain that is known."""

import itertools

import numpy as np
import pytest
from hmmlearn import hmm
from scipy.stats import multivariate_normal

from workbench.core.errors import Cancelled, InputError
from workbench.recording.evaluate import hidden_states
from workbench.recording.evaluate.hidden_states import GaussianHMM, fit_hmm

CHAIN = GaussianHMM(
    np.array([1.0, 0.0, 0.0]),
    np.array([[0.97, 0.02, 0.01], [0.05, 0.93, 0.02], [0.03, 0.03, 0.94]]),
    np.array([[-3.0, 0.0], [0.0, 2.0], [3.0, 0.0]]),
    np.array([np.eye(2) * 0.8, [[1.0, 0.4], [0.4, 0.5]], np.eye(2) * 0.5]),
)


def _paths(model: GaussianHMM, x) -> dict[tuple[int, ...], float]:
    """Probability of every path with the data: the definition, path by path."""
    found = {}
    states = list(zip(model.means, model.covariances, strict=True))
    density = np.array([[multivariate_normal(m, c).pdf(v) for m, c in states] for v in x])
    for path in itertools.product(range(model.n_states), repeat=len(x)):
        p = model.start[path[0]]
        for i, j in itertools.pairwise(path):
            p *= model.transition[i, j]
        for t, k in enumerate(path):
            p *= density[t, k]
        found[path] = p
    return found


@pytest.mark.parametrize("samples", [2, 5, 8])
def test_likelihood_posterior_and_path_are_those_of_the_definition(samples) -> None:
    x, _ = CHAIN.sample(samples, seed=samples)
    paths = _paths(CHAIN, x)
    total = sum(paths.values())
    assert CHAIN.score(x) == pytest.approx(np.log(total), abs=1e-8)
    wanted = np.zeros((samples, 3))
    for path, p in paths.items():
        wanted[np.arange(samples), list(path)] += p / total
    np.testing.assert_allclose(CHAIN.posterior(x), wanted, atol=1e-8)
    assert tuple(CHAIN.states(x)) == max(paths, key=lambda k: paths[k])


@pytest.mark.parametrize("samples", [2, 3, 10, 101, 1000])
def test_pieces_change_nothing(samples) -> None:
    """Against the plain recursion, one sample after the other."""
    x, _ = CHAIN.sample(samples, seed=1)
    b = CHAIN.emissions(x)
    forward = CHAIN.start * np.exp(b[0])
    likelihood = np.log(forward.sum())
    forward /= forward.sum()
    for t in range(1, samples):
        forward = forward @ CHAIN.transition * np.exp(b[t])
        likelihood += np.log(forward.sum())
        forward /= forward.sum()
    assert CHAIN.score(x) == pytest.approx(likelihood, rel=1e-9)
    np.testing.assert_allclose(CHAIN.posterior(x)[-1], forward, atol=1e-7)


def test_a_known_chain_is_found_again() -> None:
    x, path = CHAIN.sample(6000, seed=3)
    found = fit_hmm([x[:4000], x[4000:]], 3, seed=0)
    np.testing.assert_allclose(found.means, CHAIN.means, atol=0.12)
    np.testing.assert_allclose(found.transition, CHAIN.transition, atol=0.02)
    np.testing.assert_allclose(found.covariances, CHAIN.covariances, atol=0.12)
    assert (found.states(x) == path).mean() > 0.98


def test_states_that_differ_by_covariance_alone_are_found() -> None:
    quiet = GaussianHMM(
        np.array([1.0, 0.0]),
        np.array([[0.99, 0.01], [0.03, 0.97]]),
        np.zeros((2, 3)),
        np.array([np.eye(3) * 0.3, np.eye(3) * 0.5 + 1.5]),
    )
    x, path = quiet.sample(5000, seed=5)
    found = fit_hmm([x], 2, zero_mean=True)
    assert not found.means.any()
    assert (found.states(x) == path).mean() > 0.95
    np.testing.assert_allclose(found.transition, quiet.transition, atol=0.02)


def test_the_likelihood_only_grows_and_seeds_repeat() -> None:
    x, _ = CHAIN.sample(800, seed=4)
    few, many = (fit_hmm([x], 3, seed=2, starts=1, iterations=n, tolerance=0) for n in (3, 12))
    assert many.log_likelihood >= few.log_likelihood
    again = fit_hmm([x], 3, seed=2, starts=1, iterations=12, tolerance=0)
    assert again.log_likelihood == many.log_likelihood


def test_long_sequences_stay_finite() -> None:
    x, _ = CHAIN.sample(20000, seed=6)
    x[500:520] = 1e3
    found = fit_hmm([x], 3, starts=1, iterations=4)
    assert np.isfinite(found.log_likelihood)
    assert np.isfinite(found.posterior(x)).all()


def test_errors_and_cancel() -> None:
    with pytest.raises(InputError, match="too few"):
        fit_hmm([np.zeros((12, 2))], 3)
    with pytest.raises(InputError, match="finite"):
        fit_hmm([np.full((50, 2), np.nan)], 2)

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fit_hmm([CHAIN.sample(100)[0]], 2, step=stop)


def _theirs(model: GaussianHMM) -> hmm.GaussianHMM:
    """The same model as hmmlearn has it."""
    theirs = hmm.GaussianHMM(model.n_states, covariance_type="full", init_params="", params="stmc")
    theirs.startprob_, theirs.transmat_ = model.start.copy(), model.transition.copy()
    theirs.means_, theirs.covars_ = model.means.copy(), model.covariances.copy()
    return theirs


@pytest.mark.parametrize("samples", [2, 3, 50, 2000])
def test_likelihood_posterior_and_path_are_those_of_hmmlearn(samples) -> None:
    x, _ = CHAIN.sample(samples, seed=samples)
    theirs = _theirs(CHAIN)
    likelihood, posterior = theirs.score_samples(x)
    assert CHAIN.score(x) == pytest.approx(likelihood, rel=1e-9, abs=1e-7)
    np.testing.assert_allclose(CHAIN.posterior(x), posterior, atol=1e-6)
    np.testing.assert_array_equal(CHAIN.states(x), theirs.decode(x, algorithm="viterbi")[1])


def test_one_round_of_learning_is_that_of_hmmlearn() -> None:
    """From the same model on two sequences: starts, transitions, means and covariances after one round."""
    x, _ = CHAIN.sample(900, seed=8)
    sequences = [x[:500], x[500:]]
    begin = GaussianHMM(
        np.array([0.4, 0.3, 0.3]), np.full((3, 3), 0.1) + 0.7 * np.eye(3), CHAIN.means + 0.5, np.array([np.eye(2)] * 3)
    )
    theirs = _theirs(begin)
    theirs.n_iter, theirs.covars_prior, theirs.covars_weight, theirs.min_covar = 1, 0.0, 0.0, 0.0
    theirs.fit(x, [500, 400])
    # Two of our rounds: the second only measures what the first one learnt.
    ours = hidden_states._climb(begin, sequences, 2, 0.0, False, None)
    np.testing.assert_allclose(ours.start, theirs.startprob_, atol=1e-6)
    np.testing.assert_allclose(ours.transition, theirs.transmat_, atol=1e-6)
    np.testing.assert_allclose(ours.means, theirs.means_, atol=1e-6)
    np.testing.assert_allclose(ours.covariances, theirs.covars_, atol=1e-4)
    assert ours.log_likelihood == pytest.approx(theirs.score(x, [500, 400]), rel=1e-6)


def test_a_fit_is_as_likely_as_that_of_hmmlearn() -> None:
    x, _ = CHAIN.sample(1500, seed=9)
    ours = fit_hmm([x], 3, seed=0, iterations=100, tolerance=1e-7)
    theirs = hmm.GaussianHMM(3, covariance_type="full", n_iter=100, tol=1e-3, random_state=0, min_covar=0.0)
    theirs.fit(x)
    assert ours.log_likelihood > theirs.score(x) - 0.5
    assert ours.log_likelihood == pytest.approx(_theirs(ours).score(x), rel=1e-9)
