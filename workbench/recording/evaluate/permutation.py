"""Whether two groups of runs differ in any of many measures: permutations with the maximum statistic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Permutation:
    """A test of many measures at once.

    Parameters
    ----------
    difference, statistic
        (M,) mean of the first group less that of the second, and the same in units of its standard error.
    p
        (M,) probability that the largest of all M statistics reaches this one when groups mean nothing: corrected for
        testing M measures.
    arrangements
        How many ways of forming the groups were looked at; p cannot be below its inverse.
    exact
        Whether those were all there are.
    """

    difference: Array
    statistic: Array
    p: Array
    arrangements: int
    exact: bool


def permutation_test(
    a: npt.ArrayLike, b: npt.ArrayLike, *, paired: bool = False, n: int = 1000, seed: int = 0
) -> Permutation:
    """Whether two groups differ, by the maximum statistic over permutations (Nichols and Holmes 2002).

    Parameters
    ----------
    a, b
        (runs, M): one row per run, session or subject, one column per measure. Equal numbers of rows if `paired`.
    paired
        Rows of `a` and `b` belong together: signs of differences are turned instead of rows exchanged.
    n
        Random arrangements; if there are no more than that, all are taken and the test is exact.

    Raises
    ------
    InputError
        Fewer than two rows, shapes that do not fit, or values that are not finite.
    """
    x, y = (np.asarray(v, np.float64).reshape(len(np.asarray(v)), -1) for v in (a, b))
    if min(len(x), len(y)) < 2 or x.shape[1] != y.shape[1] or (paired and len(x) != len(y)):
        raise InputError(f"groups of shape {x.shape} and {y.shape} cannot be compared{' in pairs' if paired else ''}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("a comparison needs finite values; leave out measures that are NaN in a run")
    rng = np.random.default_rng(seed)
    if paired:
        gap, count = x - y, len(x)
        exact = 2**count <= n
        signs = (
            1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
            if exact
            else np.vstack([np.ones(count, int), rng.choice([-1, 1], (n - 1, count))])
        )
        statistics = np.stack([_one_sample(gap * s[:, None]) for s in signs])
        difference = gap.mean(0)
    else:
        both, first = np.vstack([x, y]), len(x)
        exact = comb(len(both), first) <= n
        ways = (
            [np.array(c) for c in combinations(range(len(both)), first)]
            if exact
            else [np.arange(first), *(rng.permutation(len(both))[:first] for _ in range(n - 1))]
        )
        statistics = np.stack([_two_sample(both, way) for way in ways])
        difference = x.mean(0) - y.mean(0)
    observed = statistics[0]
    # A hair of tolerance, so that an arrangement that gives the same groups again counts as reaching.
    reached = np.abs(statistics).max(1)[:, None] >= np.abs(observed) * (1 - 1e-9)
    return Permutation(difference, observed, reached.mean(0), len(statistics), exact)


def _one_sample(gap: Array) -> Array:
    error = gap.std(0, ddof=1) / np.sqrt(len(gap))
    return np.asarray(gap.mean(0) / np.maximum(error, 1e-12 + 1e-9 * np.abs(gap).max(0)))


def _two_sample(both: Array, way: npt.NDArray[np.int64]) -> Array:
    mask = np.zeros(len(both), bool)
    mask[way] = True
    x, y = both[mask], both[~mask]
    pooled = (((x - x.mean(0)) ** 2).sum(0) + ((y - y.mean(0)) ** 2).sum(0)) / (len(both) - 2)
    error = np.sqrt(pooled * (1 / len(x) + 1 / len(y)))
    return np.asarray((x.mean(0) - y.mean(0)) / np.maximum(error, 1e-12 + 1e-9 * np.abs(both).max(0)))
