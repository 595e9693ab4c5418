"""Pieces by runs are those of scipy, number by number."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from workbench.slide.predict.pieces import fill_holes, painted, pieces_of


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (33, 47), (200, 300)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_pieces_are_those_of_scipy(shape, share):
    bits = (np.random.default_rng(0).random(shape) < share).astype(np.uint8)
    for wanted in (0, 1):
        right, count = ndimage.label(bits == wanted)
        found = pieces_of(bits, wanted)
        sizes = np.bincount(right.ravel(), minlength=count + 1)
        sizes[0] = 0
        assert np.array_equal(found.sizes, sizes)
        assert np.array_equal(painted(shape, found, 1), right)
        right[sizes[right] < 5] = 0
        assert np.array_equal(painted(shape, found, 5), right)


def test_combs_and_spirals_are_one_piece():
    comb = np.ones((41, 41), np.uint8)
    comb[1::2, :-1] = 0
    comb[3::4, -1] = 0
    comb[3::4, 0] = 1
    assert len(pieces_of(comb).sizes) == ndimage.label(comb)[1] + 1 == 2
    assert len(pieces_of(comb[::-1].T.copy()).sizes) == 2


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
def test_holes_are_those_of_scipy(share):
    bits = (ndimage.gaussian_filter(np.random.default_rng(1).random((150, 170)), 1.5) > 0.5).astype(np.uint8)
    bits[np.random.default_rng(2).random(bits.shape) > share] = 0
    right = ndimage.binary_fill_holes(bits)
    assert right.sum() > bits.sum()
    fill_holes(bits)
    assert np.array_equal(bits, right)
