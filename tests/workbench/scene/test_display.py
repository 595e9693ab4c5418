"""Colours, spectra and areas of cubes: exact where they can be, and never the whole cube in memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.scenes import cube_image, scene_arrays
from workbench.core.classes import ClassTable
from workbench.core.types import Geometry, Labels
from workbench.scene.data.scene import from_array, open_blocks
from workbench.scene.display import (
    area_table,
    area_text,
    areas,
    class_spectra,
    component_picture,
    composite,
    doubt_map,
    doubtful_spot,
    first_bands,
    overview_step,
    preset_bands,
    principal_components,
    sample_spectra,
    spread_bands,
    square_metres_per_pixel,
    stretch_limits,
)

NM = np.linspace(400, 2500, 211)


def test_presets_take_the_nearest_good_band():
    red, green, blue = preset_bands("Natural colour", NM)
    assert np.abs(NM[[red, green, blue]] - (640, 550, 460)).max() <= 5
    good = np.ones(211, bool)
    good[red] = False
    assert abs(preset_bands("Natural colour", NM, good)[0] - red) == 1
    assert preset_bands("Natural colour", None) is None
    assert preset_bands("Natural colour", np.linspace(1000, 2500, 50)) is None


def test_without_wavelengths_bands_are_spread_over_the_good_ones():
    assert first_bands(200, None)[0] == "Bands"
    red, green, blue = spread_bands(100, [b >= 50 for b in range(100)])
    assert red > green > blue >= 50
    assert first_bands(50, np.linspace(1000, 2500, 50))[0] == "Bands"
    assert first_bands(211, NM)[0] == "Natural colour"


def test_composite_stretches_each_band_between_its_percentiles():
    cube = np.random.default_rng(0).normal(size=(5, 40, 50)).astype(np.float32)
    picture = composite(from_array(cube), (4, 2, 0), clip=5)
    for i, band in enumerate((4, 2, 0)):
        low, high = np.percentile(cube[band], (5, 95))
        expected = np.clip(np.rint((cube[band] - low) / (high - low) * 255), 0, 255)
        assert np.abs(picture[..., i].astype(int) - expected).max() <= 1


def test_pixels_without_data_are_black_and_do_not_count():
    cube = np.random.default_rng(0).uniform(10, 20, size=(3, 30, 30)).astype(np.float32)
    full = composite(from_array(cube.copy()), (0, 1, 2), clip=0)
    cube[:, :3] = -9999
    cube[1, 5, 5] = np.nan
    holed = composite(from_array(cube), (0, 1, 2), clip=0, ignore=-9999)
    assert not holed[:3].any()
    assert not holed[5, 5].any()
    assert np.abs(holed[10:].astype(int) - full[10:]).max() < 8


def test_overview_shows_every_nth_pixel():
    cube = np.random.default_rng(0).random((3, 41, 53)).astype(np.float32)
    whole, coarse = composite(from_array(cube), (0, 1, 2)), composite(from_array(cube), (0, 1, 2), step=4)
    assert coarse.shape == (11, 14, 3)
    # The stretch comes from other pixels, so values may differ a little; places may not.
    assert np.abs(coarse.astype(int) - whole[::4, ::4]).max() < 15
    assert overview_step(1000, 1000) == 1
    assert (20000 // overview_step(20000, 30000)) * (30000 // overview_step(20000, 30000)) <= 1 << 25


def test_components_are_those_of_the_good_bands():
    cube, _ = scene_arrays()
    good = np.ones(20, bool)
    good[7] = False
    cube[7] = 1e6 * np.random.default_rng(0).random(cube.shape[1:])
    found = principal_components(from_array(cube), good=good)
    pixels = cube[good].reshape(19, -1).T.astype(float)
    axes = np.linalg.svd(pixels - pixels.mean(0), full_matrices=False)[2][:3]
    assert np.allclose(np.abs((found.axes * axes).sum(1)), 1, atol=1e-4)
    assert component_picture(from_array(cube), found).std(axis=(0, 1)).min() > 30


def test_components_of_very_few_bands_and_pixels_still_make_a_picture():
    for shape in ((1, 5, 5), (2, 5, 5), (4, 1, 1)):
        cube = np.random.default_rng(0).random(shape)
        found = principal_components(from_array(cube))
        assert component_picture(from_array(cube), found).shape == (*shape[1:], 3)


def test_a_large_scene_is_never_in_memory(tmp_path):
    path = tmp_path / "large.raw"
    shape = (120, 900, 900)
    cube = np.memmap(path, np.float32, "w+", shape=shape)  # 390 MB, sparse on disk
    cube[:, 700:710, 700:710] = 3.0
    blocks = from_array(cube)
    tracemalloc.start()
    composite(blocks, (90, 50, 10))
    sample_spectra(blocks)
    component_picture(blocks, principal_components(blocks), step=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6 < cube.nbytes


def test_class_spectra():
    rng = np.random.default_rng(0)
    spectra = {1: rng.random((6, 4)), 2: rng.random((1, 4))}
    spectra[1][5] = np.nan
    one, two = class_spectra(spectra, ClassTable.from_names(["a", "b", "c"]))
    assert (one.name, one.pixels, two.pixels) == ("a", 5, 1)
    assert np.allclose(one.mean, spectra[1][:5].mean(0))
    assert np.allclose(one.deviation, spectra[1][:5].std(0, ddof=1))
    assert not two.deviation.any()


@pytest.mark.parametrize(("unit", "area"), [("m", 4.0), ("km", 4e6), ("ft", 4 * 0.3048**2), ("degree", None)])
def test_area_of_a_pixel(unit, area):
    geometry = Geometry((3, 3), np.array([[0.0, 2, 0], [-2, 0, 0], [0, 0, 1]]), ("row", "column"), unit)
    assert square_metres_per_pixel(geometry) == (None if area is None else pytest.approx(area))
    table = area_table({0: 5, 2: 4, 9: 1}, ClassTable.from_names(["a", "b"]), geometry)
    assert table["index"] == [0, 1, 2, 9]
    assert table["class"] == ["unlabelled", "a", "b", "class 9"]
    assert table["pixels"] == [5, 0, 4, 1]
    assert area is None or table["area [m2]"][2] == pytest.approx(4 * area, abs=1e-3)
    assert area is not None or np.isnan(table["area [m2]"]).all()
    labels = Labels(np.array([[0, 0, 2], [0, 2, 2], [0, 2, 0]]), geometry, ClassTable.from_names(["a", "b"]))
    assert areas(labels).rows[1][-1] == (None if area is None else pytest.approx(4 * area, abs=1e-3))


def test_area_for_people():
    texts = [area_text(v) for v in (12.3, 4321, 123_456, 12_345_678, float("nan"))]
    assert [t.replace("\u00a0", " ") for t in texts] == ["12.3 m²", "4,321 m²", "12.35 ha", "12.35 km²", "unknown"]


def test_doubt_is_where_confidence_is_low_and_maps_differ():
    confidence = np.full((20, 20), 0.9, np.float32)
    labels = np.ones((20, 20), np.uint8)
    reference = labels.copy()
    confidence[3:8, 3:8] = 0.3
    reference[12:17, 12:17] = 2
    doubt = doubt_map(confidence, labels, reference)
    assert doubt[14, 14] > doubt[5, 5] > doubt[0, 19]
    painted = np.zeros_like(labels)
    painted[14, 14] = 1
    assert doubt_map(confidence, labels, reference, painted)[14, 14] == 0
    assert doubt_map(confidence, labels, None)[5, 5] == pytest.approx(0.7)


def test_the_next_doubtful_spot_is_the_worst_pixel_of_the_worst_place_not_seen_yet():
    confidence = np.full((40, 40), 1.0, np.float32)
    labels = np.ones((40, 40), np.uint8)
    reference = labels.copy()
    confidence[28:33, 28:33] = 0.5
    confidence[31, 29] = 0.1
    confidence[3:8, 3:8] = 0.6
    confidence[0, 39] = 0.0  # the worst pixel of all, alone in a sure neighbourhood
    assert doubtful_spot(confidence, labels, reference) == (31, 29)
    assert doubtful_spot(confidence, labels, reference, seen=[(31, 29)]) == (3, 3)
    painted = np.zeros_like(labels)
    painted[28:33, 28:33] = 1
    near = doubtful_spot(confidence, labels, reference, painted)
    assert painted[near] == 0
    reference[20:25, 2:7] = 2
    assert doubtful_spot(confidence, labels, reference) == (20, 2)
    everywhere = [(r, c) for r in range(0, 40, 4) for c in range(0, 40, 4)]
    assert doubtful_spot(confidence, labels, reference, seen=everywhere) is None
    assert doubtful_spot(np.ones_like(confidence), labels) is None


def test_limits_are_never_equal():
    assert stretch_limits(np.full(9, 7.0), 2) == (7.0, 8.0)
    assert stretch_limits(np.empty(0), 2) == (0.0, 1.0)


def test_blocks_of_an_image_can_be_shown():
    image = cube_image(scene_arrays()[0])
    assert composite(open_blocks(image), (1, 2, 3)).shape == (30, 26, 3)


def on_ground(crs, unit, x, y, dx, dy, shape=(10, 10)):
    affine = np.array([[0, dx, x], [-dy, 0, y], [0, 0, 1.0]])
    return square_metres_per_pixel(Geometry(shape, affine, ("row", "column"), unit, crs))


def test_area_on_the_ground_where_the_map_does_not_keep_it():
    # At 60 N: x = a * lon, y = a * atanh(sin lat); the scale of Mercator's sphere on WGS 84, worked out by hand.
    a, e2 = 6378137.0, 0.00669437999014
    sine, cosine = np.sqrt(3) / 2, 0.5
    w = np.sqrt(1 - e2 * sine**2)
    area = 10 * 10 * (cosine * a * (1 - e2) / w**3 / a) * (cosine / w)
    assert on_ground("EPSG:3857", "m", 1e6, a * np.arctanh(sine), 10, 10) == pytest.approx(area, rel=1e-4)
    degree = np.radians(1e-4) ** 2 * a**2 * (1 - e2) / w**4 * cosine
    assert on_ground("EPSG:4326", "degree", 11, 60, 1e-4, 1e-4) == pytest.approx(degree, rel=1e-3)
    assert on_ground("EPSG:32632", "m", 5e5, 5e6, 10, 10) == pytest.approx(100, rel=1e-9)
    assert on_ground("+proj=utm +zone=32 +datum=WGS84 +units=km", "kilometre", 500, 5000, 0.01, 0.01) == pytest.approx(
        100, rel=1e-3
    )
    assert on_ground("EPSG:4326", "degree", 11, 70, 0.1, 0.1, (200, 200)) is None  # differs from north to south
