"""Measures of nuclei against numbers by hand, and against counting pair by pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from workbench.slide.evaluate.nuclei import (
    Detection,
    Panoptic,
    aggregated_jaccard,
    detection,
    mean_pq,
    panoptic,
    pooled,
)


def boxes(*places, shape=(40, 60)):
    out = np.zeros(shape, np.int32)
    for number, (top, left, high, wide) in enumerate(places, 1):
        out[top : top + high, left : left + wide] = number
    return out


RIGHT = boxes((2, 2, 10, 10), (2, 20, 10, 10), (20, 2, 8, 8))
FOUND = boxes((2, 2, 10, 9), (2, 25, 10, 10), (30, 40, 5, 5), (32, 50, 5, 5))


def test_panoptic_quality_by_hand():
    found = panoptic(RIGHT, FOUND)
    # 90 of 100 pixels; 50 of 150, no pair; the third is missed, two are in excess.
    assert found == Panoptic(pairs=1, excess=3, missed=2, iou=pytest.approx(0.9))
    assert found.dq == pytest.approx(1 / (1 + 2.5))
    assert found.sq == pytest.approx(0.9)
    assert found.pq == pytest.approx(0.9 / 3.5)
    assert panoptic(RIGHT, RIGHT).pq == 1
    assert panoptic(RIGHT, 5 * RIGHT).pq == 1, "numbers mean nothing"
    assert panoptic(RIGHT, np.zeros_like(RIGHT)).pq == 0
    half = boxes((2, 2, 10, 5))
    assert panoptic(boxes((2, 2, 10, 10)), half).pairs == 0, "exactly one half is no pair"


def test_means_and_counts_of_many_images():
    empty = panoptic(np.zeros((5, 5), int), np.zeros((5, 5), int))
    assert np.isnan(empty.pq)
    false = panoptic(np.zeros((40, 60), int), FOUND)
    images = [panoptic(RIGHT, RIGHT), panoptic(RIGHT, FOUND), empty, false]
    assert mean_pq(images) == pytest.approx((1 + 0.9 / 3.5) / 2), "images without a nucleus do not count"
    assert pooled(images).pq == pytest.approx((3 + 0.9) / (4 + 0.5 * (3 + 4 + 2)))
    assert np.isnan(mean_pq([empty]))


def test_detection_pairs_as_many_as_it_can():
    right = np.array([[0.0, 0.0], [10.0, 0.0], [100.0, 100.0]])
    found = np.array([[5.0, 0.0], [-5.0, 0.0], [50.0, 50.0]])
    # The nearest first would pair (0, 0) with (5, 0) or (-5, 0) and could leave (10, 0) alone.
    assert detection(right, found, 6) == Detection(pairs=2, excess=1, missed=1)
    assert detection(right, found, 4.9) == Detection(0, 3, 3)
    assert detection(right, found, 5.0).pairs == 2, "the radius itself counts"
    both = detection(right, found, 6)
    assert (both.precision, both.recall, both.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert detection(right, np.zeros((0, 2)), 6) == Detection(0, 0, 3)
    assert np.isnan(detection(np.zeros((0, 2)), np.zeros((0, 2)), 6).f1)


def test_one_more_pair_is_worth_more_than_a_short_distance():
    """A centre that lies on another leaves it, where each of both then has one nearly as far away as it may be."""
    right, found = np.array([[0.0, 0.0], [5.9, 0.0]]), np.array([[0.0, 0.0], [-5.9, 0.0]])
    assert detection(right, found, 6) == Detection(pairs=2, excess=0, missed=0)


def naive_aji(right, found):
    taken, common, union = set(), 0, 0
    for i in np.unique(right[right > 0]):
        best, value = 0, 0.0
        for j in np.unique(found[found > 0]):
            a, b = right == i, found == j
            iou = (a & b).sum() / (a | b).sum()
            if iou > value:
                best, value = int(j), iou
        a = right == i
        if best:
            common, union = common + (a & (found == best)).sum(), union + (a | (found == best)).sum()
            taken.add(best)
        else:
            union += a.sum()
    return common / (union + sum((found == j).sum() for j in np.unique(found[found > 0]) if j not in taken))


@pytest.mark.parametrize("seed", range(4))
def test_measures_of_random_images(seed):
    rng = np.random.default_rng(seed)
    right, found = (ndimage.label(ndimage.gaussian_filter(rng.random((60, 60)), 2) > 0.51)[0] for _ in range(2))
    mixed = np.where(rng.random((60, 60)) < 0.9, right, found)
    assert aggregated_jaccard(right, mixed) == pytest.approx(naive_aji(right, mixed))
    pairs = 0
    for i, j in itertools.product(np.unique(right)[1:], np.unique(mixed)[1:]):
        a, b = right == i, mixed == j
        pairs += (a & b).sum() / (a | b).sum() > 0.5
    own = panoptic(right, mixed)
    assert own.pairs == pairs
    assert own.pairs + own.missed == len(np.unique(right)) - 1
    assert own.pairs + own.excess == len(np.unique(mixed)) - 1


def test_images_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"\(40, 60\) and \(5, 5\)"):
        panoptic(RIGHT, np.zeros((5, 5), int))
