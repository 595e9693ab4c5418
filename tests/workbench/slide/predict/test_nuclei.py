"""From maps to nuclei: the arrays of the original, and a watershed like that of scikit-image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import watershed

from tests.drawn_nuclei import drawn_maps
from workbench.core.compiled import compiled
from workbench.slide.predict import nuclei
from workbench.slide.predict.flooding import flooded
from workbench.slide.predict.nuclei import AT_20X, AT_40X, instances
from workbench.slide.predict.traced import traced, types_of


@pytest.mark.parametrize(
    ("file", "rules", "key"), [("256", AT_40X, "m40"), ("256", AT_20X, "m20"), ("1024", AT_40X, "m40")]
)
def test_the_arrays_of_the_original(shared_parity, file, rules, key):
    stored = np.load(shared_parity / f"cellvta_postproc_{file}.npz")
    found = instances(stored["binary"] > 0, stored["hv"].astype(np.float32), rules)
    np.testing.assert_array_equal(found, stored[f"{key}_instance_map"])
    table = traced(found)
    np.testing.assert_array_equal(table.ids, stored[f"{key}_ids"])
    np.testing.assert_array_equal(table.boxes, stored[f"{key}_bbox"])
    np.testing.assert_allclose(table.centroids - 0.5, stored[f"{key}_centroid_xy"], atol=1e-9)
    types, share = types_of(found, stored["type_map"], table.ids, int(stored["num_nuclei_classes"]))
    np.testing.assert_array_equal(types, stored[f"{key}_type"])
    np.testing.assert_allclose(share, stored[f"{key}_type_prob"], atol=1e-6)


def drawn(size=96, radius=9, gap=17):
    """Round nuclei in rows that touch each other, as maps without noise."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    labels, hv = np.zeros((size, size), np.int32), np.zeros((2, size, size), np.float32)
    number = 0
    for cy in range(radius + 2, size - radius, gap):
        for cx in range(radius + 2, size - radius, gap):
            number += 1
            own = ((x - cx) ** 2 + (y - cy) ** 2 <= radius**2) & (labels == 0)
            labels[own] = number
            hv[0][own], hv[1][own] = (x[own] - cx) / radius, (y[own] - cy) / radius
    return labels, hv


def test_nuclei_that_touch_are_parted_where_the_distances_fall():
    labels, hv = drawn()
    found = instances(labels > 0, hv)
    assert len(np.unique(found)) == len(np.unique(labels))
    assert (found[labels > 0] > 0).all()
    for number in range(1, labels.max() + 1):
        _, counts = np.unique(found[labels == number], return_counts=True)
        assert counts.max() / (labels == number).sum() > 0.95
    assert ((found > 0) == (labels > 0)).all()


def test_fixed_slopes_do_not_depend_on_what_else_lies_in_the_image():
    labels, hv = drawn()
    fixed = replace(AT_40X, slopes=(-0.25, 0.15))
    alone = instances(labels > 0, hv, fixed)
    steep = np.pad(hv, ((0, 0), (0, 40), (0, 0)))
    steep[0, -20:, 20:40:2] = 30.0  # a fault of the network far away
    with_fault = instances(np.pad(labels > 0, ((0, 40), (0, 0))), steep, fixed)[: len(labels)]
    np.testing.assert_array_equal(with_fault, alone)
    published = instances(np.pad(labels > 0, ((0, 40), (0, 0))), steep)[: len(labels)]
    assert len(np.unique(published)) != len(np.unique(alone)), "the published way takes its scale from the fault"


def test_nothing_and_specks_are_no_nuclei():
    hv = np.zeros((2, 40, 50), np.float32)
    assert not instances(np.zeros((40, 50), bool), hv).any()
    speck = np.zeros((40, 50), bool)
    speck[5:8, 5:8] = True  # nine pixels
    assert not instances(speck, hv).any()
    assert instances(np.ones((40, 50), bool), hv).shape == (40, 50)
    assert instances(np.ones((3, 4), bool), np.zeros((2, 3, 4), np.float32)).shape == (3, 4), "smaller than the filter"


@pytest.mark.parametrize("seed", range(5))
def test_the_watershed_is_that_of_scikit_image(seed):
    rng = np.random.default_rng(seed)
    energy = -ndimage.gaussian_filter(rng.random((70, 90)), 2).astype(np.float32)
    mask = ndimage.gaussian_filter(rng.random((70, 90)), 3) > 0.49
    markers = np.zeros((70, 90), np.int32)
    places = rng.permutation(np.flatnonzero(mask))[:40]
    markers.ravel()[places] = np.arange(1, 41)
    pieces, _ = ndimage.label(mask)
    found = flooded(energy, markers, pieces.astype(np.int32), np.bincount(pieces.ravel()))
    np.testing.assert_array_equal(found, watershed(energy, markers, mask=mask))


@pytest.mark.parametrize("seed", range(5))
def test_the_opening_is_that_of_scipy(seed):
    bits = (np.random.default_rng(seed).random((61, 47)) < 0.9).astype(np.uint8)
    disc = np.array([[0, 0, 1, 0, 0], [1] * 5, [1] * 5, [1] * 5, [0, 0, 1, 0, 0]])
    eroded = ndimage.binary_erosion(bits, disc, border_value=1)
    np.testing.assert_array_equal(nuclei._opened(bits), ndimage.binary_dilation(eroded, disc))
    assert 0 < nuclei._opened(bits).sum() < bits.sum()


def test_bands_have_no_seam():
    rng = np.random.default_rng(0)
    inside = rng.random((40, 30)).astype(np.float32)
    whole, bands = np.empty_like(inside), np.empty_like(inside)
    compiled(nuclei._blurred)(inside, 0, 40, whole)
    for begin, end in ((0, 13), (13, 26), (26, 40)):
        compiled(nuclei._blurred)(inside, begin, end, bands)
    np.testing.assert_array_equal(bands, whole)


def test_of_equal_energy_who_came_first_is_flooded_first():
    """Two markers on a flat plane: the border lies in the middle between them."""
    energy = np.zeros((1, 21), np.float32)
    markers = np.zeros((1, 21), np.int32)
    markers[0, 0], markers[0, 20] = 1, 2
    pieces = np.ones((1, 21), np.int32)
    found = flooded(energy, markers, pieces, np.array([0, 21]))
    assert found[0, :10].tolist() == [1] * 10
    assert found[0, 11:].tolist() == [2] * 10


def test_two_threads_find_the_same(monkeypatch):
    maps, hv, _, _ = drawn_maps((300, 340), 18.0, seed=5)
    for rules in (AT_20X, replace(AT_20X, slopes=(-0.18, 0.12))):
        alone = instances(maps, hv, rules)
        with monkeypatch.context() as patch:
            patch.setattr(nuclei, "_LARGE", 1)
            np.testing.assert_array_equal(instances(maps, hv, rules), alone)
        assert len(np.unique(alone)) > 100
