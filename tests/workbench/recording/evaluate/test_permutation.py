"""Permutation tests: exact where they can be, right under the null, strict about many measures."""

import numpy as np
import pytest

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
