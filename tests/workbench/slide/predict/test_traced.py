"""Outlines that are always valid and hold the pixels; tables that others compute the same."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy import ndimage
from skimage.measure import regionprops

from workbench.slide.predict.traced import connected, traced, types_of


def polygons(table):
    return [shapely.Polygon(table.coordinates[a:b]) for a, b in zip(table.offsets, table.offsets[1:], strict=False)]


@pytest.mark.parametrize("seed", range(8))
def test_outlines_of_any_shape_are_valid_and_hold_its_pixels(seed):
    rng = np.random.default_rng(seed)
    for _ in range(10):
        labels, _ = ndimage.label(rng.random((25, 31)) < rng.uniform(0.3, 0.75))
        table = traced(labels)
        assert table.ids.tolist() == np.unique(labels[labels > 0]).tolist()
        for number, outline in zip(table.ids, polygons(table), strict=True):
            assert outline.is_valid, shapely.is_valid_reason(outline)
            # What touches the outside at a corner alone is no hole.
            whole = ndimage.binary_fill_holes(np.pad(labels == number, 1), np.ones((3, 3)))
            assert outline.area == pytest.approx(whole.sum() - 0.5)
            rows, columns = np.nonzero(labels == number)
            assert shapely.contains_xy(outline, columns + 0.5, rows + 0.5).all()


def test_one_pixel_and_a_square_point_by_point():
    labels = np.zeros((5, 6), np.int32)
    labels[1, 2] = 4
    labels[2:4, 3:6] = 7
    table = traced(labels)
    assert table.ids.tolist() == [4, 7]
    assert table.coordinates[:4].tolist() == [[2.5, 1], [3, 1.5], [2.5, 2], [2, 1.5]]
    square = polygons(table)[1]
    assert square.bounds == (3, 2, 6, 4)
    assert square.area == 5.5
    assert len(square.exterior.coords) - 1 == 8, "no points along straight lines"
    assert table.boxes.tolist() == [[1, 2, 2, 3], [2, 3, 4, 6]]
    assert table.centroids.tolist() == [[2.5, 1.5], [4.5, 3]]
    assert table.areas.tolist() == [1, 6]


def test_tables_are_those_of_scikit_image(shared_parity):
    labels = np.load(shared_parity / "cellvta_postproc_256.npz")["m40_instance_map"]
    table = traced(labels)
    right = regionprops(labels)
    assert [r.area for r in right] == table.areas.tolist()
    np.testing.assert_allclose([r.centroid[::-1] for r in right], table.centroids - 0.5)
    # scikit-image leaves out the width of a pixel.
    np.testing.assert_allclose([r.eccentricity for r in right], table.eccentricities, atol=0.02)
    far = np.zeros((4000, 60), np.int32)
    far[3950:3990, 5:25] = 1
    assert traced(far).eccentricities[0] == pytest.approx(np.sqrt(1 - (20 / 40) ** 2), rel=1e-9)


def test_classes_are_those_of_most_pixels():
    labels = np.array([[1, 1, 1, 2, 2], [1, 1, 1, 2, 3], [0, 0, 0, 3, 3]], np.int32)
    types = np.array([[0, 0, 0, 2, 1], [0, 2, 1, 0, 0], [4, 4, 4, 0, 0]])
    found, share = types_of(labels, types, np.array([1, 2, 3]), 5)
    assert found.tolist() == [1, 1, 0], "no class counts only where there is no other; of equal ones the lower"
    np.testing.assert_allclose(share, [1 / 6, 1 / 3, 1])
    assert types_of(np.zeros((3, 3), np.int32), np.zeros((3, 3), int), np.zeros(0, int), 5)[0].shape == (0,)


def test_an_empty_image_has_no_rows():
    table = traced(np.zeros((8, 9), np.int32))
    assert len(table) == 0
    assert table.coordinates.shape == (0, 2)
    assert table.offsets.tolist() == [0]


def test_what_does_not_touch_is_not_one():
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:8], labels[2:8, 12:18] = 1, 1
    labels[10:12, 2:4] = 1  # a crumb
    labels[12:18, 4:20] = 2
    found = connected(labels, 10)
    assert len(np.unique(found[found > 0])) == 3
    assert not found[10:12, 2:4].any()
    table = traced(found)
    outlines = polygons(table)
    assert [o.area for o in outlines] == pytest.approx(table.areas - 0.5)
    assert not connected(np.zeros((4, 4), np.int32), 10).any()


def test_a_piece_of_as_many_pixels_as_are_asked_for_is_kept():
    labels = np.zeros((6, 12), np.int32)
    labels[1:3, 1:6], labels[1:4, 8:11] = 1, 2  # ten pixels, and nine
    found = connected(labels, 10)
    np.testing.assert_array_equal(found > 0, labels == 1)
