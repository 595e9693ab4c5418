"""Splits never leak a group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import UsageError
from workbench.training.split import grouped_folds, split_groups

GROUPS = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=30).filter(lambda g: len(set(g)) > 1)


@given(GROUPS, st.floats(0.01, 0.95), st.integers(0, 1000))
def test_no_group_is_on_both_sides_and_none_is_lost(groups: list[str], fraction: float, seed: int) -> None:
    train, val = split_groups(groups, fraction, seed)
    assert sorted(train + val) == list(range(len(groups)))
    assert train
    assert val
    assert not {groups[i] for i in train} & {groups[i] for i in val}


@given(GROUPS, st.integers(0, 1000), st.randoms())
def test_the_split_depends_on_groups_and_seed_only(groups: list[str], seed: int, random) -> None:
    held = {groups[i] for i in split_groups(groups, 0.3, seed)[1]}
    shuffled = list(groups)
    random.shuffle(shuffled)
    assert {shuffled[i] for i in split_groups(shuffled, 0.3, seed)[1]} == held


def test_cases_without_a_group_are_groups_of_their_own() -> None:
    train, val = split_groups(["", "", "", ""], 0.25, 0)
    assert (len(train), len(val)) == (3, 1)


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(UsageError, match="one group"):
        split_groups(["p1", "p1", "p1"], 0.5, 0)


def test_nothing_is_held_out_at_fraction_0() -> None:
    assert split_groups(["a", "b"], 0.0, 0) == ([0, 1], [])


@pytest.mark.parametrize("seed", range(5))
def test_folds_keep_groups_whole_and_every_label_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 12, 80)
    labels = np.where(rng.random(80) < 0.8, groups % 3, rng.integers(0, 3, 80))
    fold = grouped_folds(labels, groups, 5, seed)
    assert fold is not None
    assert (fold >= 0).all()
    for group in np.unique(groups):
        assert len(np.unique(fold[groups == group])) == 1
    for number in np.unique(fold):
        assert set(labels[fold == number].tolist()) <= set(labels[fold != number].tolist())
    assert grouped_folds(np.array([0, 0, 1]), np.array([0, 1, 2]), 5, 0) is None, "a label of one group"
    assert grouped_folds(np.zeros(0, np.int64), np.zeros(0, np.int64), 5, 0) is None
