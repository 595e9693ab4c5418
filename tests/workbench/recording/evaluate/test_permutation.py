"""Permutation tests: exact where they can be, right under the null, strict about many measures."""

import mne
import numpy as np
import pytest
from scipy import sparse, stats

from workbench.core.errors import InputError
from workbench.recording.evaluate.permutation import permutation_test


def test_an_exact_test_by_hand() -> None:
    """Three against three: 20 arrangements, of which this and its mirror image reach the largest statistic."""
    found = permutation_test([[1.0], [2.0], [3.0]], [[11.0], [12.0], [13.0]])
    assert found.exact
    assert found.arrangements == 20
    assert found.p[0] == pytest.approx(2 / 20)
    assert found.difference[0] == -10
    assert found.statistic[0] == pytest.approx(-10 / np.sqrt(2 / 3))


def test_pairs_turn_signs() -> None:
    found = permutation_test([[2.0], [3.0], [5.0], [4.0]], [[1.0], [1.0], [1.0], [2.0]], paired=True)
    assert found.arrangements == 16
    assert found.p[0] == pytest.approx(2 / 16)


def test_p_values_are_honest_without_a_difference() -> None:
    rng = np.random.default_rng(0)
    low = [permutation_test(*rng.standard_normal((2, 8, 5)), n=200, seed=i).p.min() < 0.1 for i in range(120)]
    assert 0.03 < np.mean(low) < 0.19


def test_one_measure_of_many_stands_out() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 12, 40))
    a[:, 7] += 4
    found = permutation_test(a, b, n=500)
    assert not found.exact
    assert found.p[7] < 0.01
    assert (np.delete(found.p, 7) > 0.05).all()
    assert (found.p >= permutation_test(a[:, 7:8], b[:, 7:8], n=500).p.min()).all()


def test_groups_that_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        permutation_test(np.ones((1, 3)), np.ones((4, 3)))
    with pytest.raises(InputError, match="pairs"):
        permutation_test(np.ones((3, 2)), np.ones((4, 2)), paired=True)
    with pytest.raises(InputError, match="finite"):
        permutation_test(np.full((3, 2), np.nan), np.ones((4, 2)))


def test_statistics_are_those_of_student() -> None:
    """Against scipy: the sample deviation with n - 1, of pairs and of two groups of unequal size."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(1, 2, (7, 3)), rng.normal(0, 1, (7, 3))
    pairs = permutation_test(a, b, paired=True, n=10)
    np.testing.assert_allclose(pairs.statistic, stats.ttest_rel(a, b).statistic, rtol=1e-12)
    np.testing.assert_allclose(pairs.difference, a.mean(0) - b.mean(0))
    groups = permutation_test(a, b[:4], n=10)
    np.testing.assert_allclose(groups.statistic, stats.ttest_ind(a, b[:4]).statistic, rtol=1e-12)


def test_p_of_pairs_is_that_of_mne() -> None:
    """`mne.stats.permutation_t_test` turns signs with the maximum statistic too; few enough pairs make both exact."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 9, 6))
    a[:, 2] += 1.2
    found = permutation_test(a, b, paired=True)
    statistic, p, _ = mne.stats.permutation_t_test(a - b, n_permutations=2**9, verbose="error")
    assert found.exact
    assert found.arrangements == 2**9
    np.testing.assert_allclose(found.statistic, statistic, rtol=1e-10)
    np.testing.assert_allclose(found.p, p, atol=1e-12)


def test_p_of_groups_is_that_of_scipy() -> None:
    """`scipy.stats.permutation_test` knows one measure at a time; both are exact."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(1, 1, (5, 1)), rng.normal(0, 1, (4, 1))
    found = permutation_test(a, b)

    def statistic(x, y, axis):
        return np.abs(stats.ttest_ind(x, y, axis=axis).statistic)

    wanted = stats.permutation_test((a, b), statistic, n_resamples=1000, alternative="greater", vectorized=True)
    assert found.exact
    assert found.arrangements == 126
    np.testing.assert_allclose(found.p, wanted.pvalue, atol=1e-12)


def test_p_of_many_measures_of_two_groups_is_that_of_mne() -> None:
    """mne's cluster test with measures that have no neighbours tests by the maximum; random, so within its error."""
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((2, 6, 5))
    a[:, 1] += 1.5
    found = permutation_test(a, b)  # 924 arrangements: exact

    def statistic(x, y):
        return np.abs(stats.ttest_ind(x, y).statistic)

    observed, clusters, p, _ = mne.stats.permutation_cluster_test(
        [a, b], threshold=0.0, n_permutations=4000, tail=1, stat_fun=statistic, seed=0, verbose="error",
        adjacency=sparse.coo_array((5, 5)), out_type="indices",
    )  # fmt: skip
    assert found.exact
    order = [int(c[0][0]) for c in clusters]
    assert sorted(order) == list(range(5))
    np.testing.assert_allclose(np.abs(found.statistic), observed, rtol=1e-10)
    np.testing.assert_allclose(found.p[order], p, atol=0.03)  # four standard errors of 4000 draws


def test_pairs_that_all_differ_alike_have_a_p() -> None:
    """Folds of a decoding often gain the same: no deviation at all must not end in 0/0, as in mne and scipy."""
    found = permutation_test(np.full((5, 1), 0.75), np.full((5, 1), 0.5), paired=True)
    assert found.p[0] == pytest.approx(2 / 32)
    nothing = permutation_test(np.ones((5, 2)), np.ones((5, 2)), paired=True)
    np.testing.assert_array_equal(nothing.p, 1)
    np.testing.assert_array_equal(nothing.statistic, 0)
