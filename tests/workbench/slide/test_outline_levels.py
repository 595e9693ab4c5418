"""Outlines painted where they are looked at: the right pixels, at every level, of very many."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import shapely

from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.outline_levels import OutlineLevel, Outlines, edits_in, outline_levels

SHAPE = (700, 900)


def blobs(count=60, seed=0, size=18.0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    centres = rng.uniform(0, 1, (count, 2)) * shape[::-1]
    radius = size / 2 * rng.uniform(0.6, 1.3, (count, 16))
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[..., None]
    polygons = (centres[:, None] + ring).astype(np.float32)
    return Objects.from_polygons(polygons, class_values=rng.integers(0, 4, count))


@pytest.mark.parametrize("step", [1.0, 2.0, 3.0])
def test_pixels_are_those_whose_centre_lies_in_an_outline(step):
    objects = blobs()
    level = OutlineLevel(Outlines(objects, 9), tuple(int(-(-n // step)) for n in SHAPE), step)
    right = np.zeros(level.shape, np.uint8)
    y, x = (np.mgrid[: level.shape[0], : level.shape[1]] + 0.5) * step
    for i in range(len(objects)):
        inside = shapely.contains_xy(shapely.Polygon(objects.polygon(i)[0][0]), x, y)
        right[inside] = objects.class_values[i] or 9
    whole = level[:, :]
    assert (whole != right).mean() < 1e-4, "but for centres on an edge"
    np.testing.assert_array_equal(level[100:230, 50:301], whole[100:230, 50:301])
    np.testing.assert_array_equal(level[7:200:3, ::5], whole[7:200:3, ::5])
    np.testing.assert_array_equal(level[12], whole[12])
    assert level[12, 40] == whole[12, 40]
    assert level[-1].shape == (level.shape[1],)
    assert np.asarray(level).shape == level.shape
    with pytest.raises(IndexError):
        level[level.shape[0]]


@pytest.mark.parametrize("step", [1.0, 2.0])
def test_edges_are_those_of_each_alone(step):
    from scipy import ndimage

    objects = blobs()
    levels = outline_levels(NucleiEdits(objects), SHAPE)
    level = levels[int(np.log2(step))]
    level.outlines.edges = True
    right = np.zeros(level.shape, np.uint8)
    for i in range(len(objects)):
        alone = OutlineLevel(Outlines(objects.select([i]), 255), level.shape, step)[:, :]
        edge = (alone > 0) & ~ndimage.binary_erosion(alone > 0)
        right[edge] = alone[edge]
    whole = level[:, :]
    inside = np.zeros(level.shape, bool)
    inside[1:-1, 1:-1] = True  # beyond the slide there is more of an object that reaches out
    np.testing.assert_array_equal(whole[inside], right[inside])
    np.testing.assert_array_equal(level[100:230, 50:301], whole[100:230, 50:301])


def test_small_ones_are_seen_from_afar():
    objects = blobs(40, size=6.0)
    levels = outline_levels(NucleiEdits(objects), (40_000, 30_000))
    assert max(levels[-1].shape) <= 1024
    assert [level.step for level in levels[:3]] == [1, 2, 4]
    far = levels[5]  # 32 pixels along one
    seen = np.argwhere(far[:, :])
    right = np.unique((objects.centroids() / 32).astype(int)[:, ::-1], axis=0)
    assert len(seen) >= 0.9 * len(right)
    away = np.abs(seen[:, None] - right[None]).max(2).min(1)
    assert away.max() <= 1


def test_holes_are_holes_and_what_is_clicked_is_found():
    hole = [
        [np.array([[10, 10], [60, 10], [60, 60], [10, 60.0]]), np.array([[30, 30], [40, 30], [40, 40], [30, 40.0]])]
    ]
    over = np.array([[50, 50], [80, 50], [80, 80], [50, 80.0]])
    outlines = Outlines(Objects.from_polygons([hole, over], class_values=[1, 2]), 9)
    level = OutlineLevel(outlines, (100, 100), 1.0)
    assert level[35, 35] == 0
    assert level[20, 20] == 1
    assert level[55, 55] == 2, "the later lies over the earlier"
    assert outlines.at(20, 20) == 0
    assert outlines.at(55, 55) == 1
    assert outlines.at(35, 35) is None
    assert outlines.at(95, 5) is None


def test_outlines_in_micrometres_lie_where_those_in_pixels_do():
    pixels = blobs()
    frame = Frame.of(np.diag([0.5, 0.5, 1.0]), "um", unit="um", pixel_size=(0.5, 0.5))
    um = replace(pixels, coordinates=pixels.coordinates * 0.5, frame=frame)
    levels = [outline_levels(NucleiEdits(one), SHAPE)[0][:, :] for one in (pixels, um)]
    np.testing.assert_array_equal(*levels)


def test_three_hundred_classes_keep_their_numbers():
    box = np.array([[10, 10], [60, 10], [60, 60], [10, 60.0]])
    level = OutlineLevel(Outlines(Objects.from_polygons([box], class_values=[299]), 300), (100, 100), 1.0)
    assert level[20, 20] == 299


def test_nothing_is_nothing():
    levels = outline_levels(NucleiEdits(Objects.from_polygons([])), SHAPE)
    assert not levels[0][:, :].any()
    assert len(levels) > 1, "a viewer lets nobody paint in several levels"
    assert len(edits_in(levels)) == 0
    assert edits_in(levels[0]) is edits_in(levels), "a window hands on one level"
    assert edits_in([np.zeros((3, 3))]) is None


def test_two_hundred_thousand_are_painted_in_a_moment():
    objects = blobs(200_000, size=20.0, shape=(20_000, 20_000))
    levels = outline_levels(NucleiEdits(objects), (20_000, 20_000))
    levels[0][:10, :10]  # compiled
    for level in levels:
        rows, columns = (min(n, 1000) for n in level.shape)
        clock = time.process_time()
        found = level[:rows, :columns]
        assert time.process_time() - clock < 0.5
        assert (found > 0).mean() > 0.1
