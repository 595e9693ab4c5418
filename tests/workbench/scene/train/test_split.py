"""Splits: counts, nothing shared, and with `disjoint` no pixel of a test patch was ever seen in training."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core.errors import UsageError
from workbench.scene.train.split import all_pixels, fixed_pixels, split_pixels


def stripes(rows=90, columns=80, seed=0):
    """Three classes everywhere, a tenth of the pixels unlabelled."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[:rows, :columns]
    labels = 1 + ((r // 4 + c // 5) % 3)
    return np.where(rng.random((rows, columns)) < 0.1, 0, labels).astype(np.uint8)


def nearest(split):
    """Smallest Chebyshev distance between test and learning pixels."""
    test = np.stack(np.divmod(split.test, split.shape[1]), 1)
    seen = np.stack(np.divmod(split.learning, split.shape[1]), 1)
    return min(int(np.abs(seen - t).max(1).min()) for t in test)


@given(st.integers(0, 50), st.sampled_from([5, 9, 15]))
@settings(max_examples=15, deadline=None)
def test_disjoint_patches_share_no_pixel(seed, patch) -> None:
    labels = stripes()
    split = split_pixels(labels, "disjoint", per_class=12, patch=patch, seed=seed)
    assert nearest(split) >= patch
    assert (labels.ravel()[split.test] > 0).all()
    assert set(np.unique(labels.ravel()[split.test])) == {1, 2, 3}
    assert np.bincount(labels.ravel()[split.learning])[1:].min() >= 10


def test_random_takes_as_many_of_each_class_and_tests_on_all_others() -> None:
    labels = stripes()
    split = split_pixels(labels, "random", per_class=20, val_fraction=0.25, seed=1)
    flat = labels.ravel()
    assert np.bincount(flat[split.train]).tolist() == [0, 15, 15, 15]
    assert np.bincount(flat[split.val]).tolist() == [0, 5, 5, 5]
    parts = np.concatenate([split.train, split.val, split.test])
    assert np.array_equal(np.sort(parts), np.flatnonzero(labels))


def test_a_fraction_of_each_class_and_never_more_than_half() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[:10] = 1
    labels[10, :8] = 2
    split = split_pixels(labels, "random", fraction=0.1, val_fraction=0, seed=0)
    assert np.bincount(labels.ravel()[split.train]).tolist() == [0, 20, 3]
    split = split_pixels(labels, "random", per_class=50, val_fraction=0, seed=0)
    assert np.bincount(labels.ravel()[split.train]).tolist() == [0, 50, 4]


def test_the_seed_decides() -> None:
    labels = stripes()
    for name in ("random", "disjoint"):
        a, b, c = (split_pixels(labels, name, per_class=10, patch=9, seed=s) for s in (3, 3, 4))
        assert np.array_equal(a.train, b.train)
        assert np.array_equal(a.test, b.test)
        assert not np.array_equal(a.train, c.train)


def test_all_learns_from_everything_but_what_is_held_out() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[0, :5], labels[1, :2], labels[2, :3] = 1, 2, 4
    split = all_pixels(labels, 0.3, seed=0)
    assert np.array_equal(split.learning, np.flatnonzero(labels))
    assert np.bincount(labels.ravel()[split.val], minlength=5).tolist() == [0, 2, 0, 0, 1]
    assert split.test.size == 0


def test_one_class_is_not_enough() -> None:
    with pytest.raises(UsageError, match="only class 2.*two classes"):
        split_pixels(np.full((8, 8), 2, np.uint8), "random")
    with pytest.raises(UsageError, match="no labelled pixel"):
        all_pixels(np.zeros((8, 8), np.uint8), 0.1)


def test_a_scene_too_small_for_its_patches_is_refused() -> None:
    labels = np.ones((10, 10), np.uint8)
    labels[5:] = 2
    with pytest.raises(UsageError, match="smaller patch or block, or the random split"):
        split_pixels(labels, "disjoint", per_class=5, patch=15)


def test_classes_on_one_side_only_cannot_be_apart() -> None:
    labels = np.ones((60, 60), np.uint8)
    labels[:5, :5] = 2
    with pytest.raises(UsageError, match="every class on both sides"):
        split_pixels(labels, "disjoint", per_class=5, patch=15)


def one_field_each(rows=80, columns=80):
    """Two classes everywhere, one in a single long field, one in a field smaller than a patch, one single pixel."""
    labels = stripes(rows, columns)
    labels = np.where(labels == 3, 0, labels)
    labels[2:8, 5:75] = 4
    labels[70:74, 70:74] = 5
    labels[40, 40] = 6
    return labels


def test_a_single_field_is_cut_in_two_and_what_cannot_be_is_left_out_by_name() -> None:
    labels = one_field_each()
    for seed in range(3):
        split = split_pixels(labels, "disjoint", per_class=20, patch=15, seed=seed)
        assert nearest(split) >= 15
        for pixels in (split.learning, split.test):
            assert set(np.unique(labels.flat[pixels])) == {1, 2, 4}
        assert 4 in split.halved
        assert set(split.left_out) == {5, 6}
        assert split.left_out[5] == "its 16 training and test pixels cannot be kept 15 pixels apart"
        assert split.left_out[6].startswith("1 labelled pixel")
    assert set(split_pixels(labels, "random", per_class=20).left_out) == {6}


def test_indian_pines_loses_no_class_that_could_be_kept_apart(shared_cases) -> None:
    labels = scipy.io.loadmat(shared_cases / "scenes" / "Indian_pines_gt.mat")["y"]
    for patch in (21, 9):
        split = split_pixels(labels, "disjoint", per_class=50, patch=patch, seed=1)
        assert nearest(split) >= patch
        assert set(np.unique(labels.flat[split.test])) == set(range(1, 17)) - set(split.left_out)
        for value in split.left_out:  # no two pixels of it that have a guard between them, with enough on both sides
            rows, columns = np.nonzero(labels == value)
            for along in (rows, columns):
                places = np.unique(along)
                sides = [min((along <= p).sum(), (along >= p + patch).sum()) for p in places]
                assert max(sides) < 3


def test_two_maps_are_taken_as_they_are() -> None:
    train, test = np.zeros((30, 30), np.uint8), np.zeros((30, 30), np.uint8)
    train[:5, :5], train[:5, 10:15] = 1, 2
    test[12:20, :5], test[12:20, 10:15], test[25:, 25:] = 1, 2, 3
    test[0, 0] = 1  # in both
    split = fixed_pixels(train, test, 0.2, seed=0)
    assert np.array_equal(split.learning, np.flatnonzero(train))
    assert np.array_equal(split.test, np.flatnonzero((test > 0) & (test < 3) & (train == 0)))
    assert split.guard == nearest(split) == 8
    assert set(split.left_out) == {3}
