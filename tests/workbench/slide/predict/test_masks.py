"""Runs in a mask that a person corrected, and what lies on a slide as layers and files."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import workbench as wb
from tests.tiny import make_tiny_slide
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError
from workbench.core.types import Geometry, Heatmap, Labels
from workbench.slide.data.heat_maps import read_labels, write_map
from workbench.slide.data.lazy_levels import TILE, lazy_levels
from workbench.slide.drawn_layers import mask_layer, mask_of
from workbench.slide.predict.area import PEN, REGION, TISSUE, find_area
from workbench.slide.settings import Config


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return wb.read(make_tiny_slide(tmp_path_factory.mktemp("slide") / "s.ome.tif"), kind="slide")


def found(slide):
    (layer, notes) = mask_layer(slide, Config())
    data, attributes, kind = layer
    assert kind == "labels"
    assert notes == ()
    return mask_of((data, attributes))


def test_a_mask_comes_back_from_its_file_and_is_where_tiles_are_taken(slide, tmp_path):
    mask = found(slide)
    data = mask.data.copy()
    data[: data.shape[0] // 2] = 0
    corrected = replace(mask, data=data)
    write_map(tmp_path / "mask.ome.tif", corrected)
    back = read_labels(tmp_path / "mask.ome.tif")
    assert np.array_equal(back.data, data)
    assert np.allclose(back.geometry.affine, mask.geometry.affine)
    assert [c.name for c in back.classes] == ["tissue"]
    area = find_area(slide, Config(roi=str(tmp_path / "mask.ome.tif")), "s")
    assert np.array_equal(area.mask, data > 0)
    assert area.value == TISSUE


def test_pen_marks_in_a_mask_are_no_tissue_and_other_classes_are_a_region(slide, tmp_path):
    mask = found(slide)
    data = np.where(mask.data > 0, 1, 0).astype(np.uint8)
    data[:40] = PEN
    classes = ClassTable((ClassInfo(1, "tumor", (9, 9, 9)), ClassInfo(PEN, "pen", (0, 200, 0))))
    write_map(tmp_path / "mask.ome.tif", Labels(data, mask.geometry, classes, "mask"))
    area = find_area(slide, Config(roi=str(tmp_path / "mask.ome.tif")), "s")
    assert np.array_equal(area.mask, data == 1)
    assert np.array_equal(area.pen, data == PEN)
    assert area.value == REGION


def test_tissue_is_looked_for_within_a_mask_where_that_is_asked_for(slide, tmp_path):
    mask = found(slide)
    whole = replace(mask, data=np.ones_like(mask.data))
    write_map(tmp_path / "mask.ome.tif", whole)
    within = find_area(slide, Config(roi=str(tmp_path / "mask.ome.tif"), tissue_in_roi=True), "s")
    assert np.array_equal(within.mask, mask.data > 0)


def test_a_finer_mask_is_taken_by_the_nearest_pixel(slide, tmp_path):
    mask = found(slide)
    fine = np.kron(mask.data, np.ones((2, 2), np.uint8))
    affine = np.array(mask.geometry.affine)
    affine[:2] /= 2
    affine[:2, 2] = mask.geometry.affine[:2, 2] - np.diag(affine)[:2] / 2
    geometry = Geometry(fine.shape, affine, ("y", "x"), "um")
    write_map(tmp_path / "mask.ome.tif", Labels(fine, geometry, mask.classes, "mask"))
    area = find_area(slide, Config(roi=str(tmp_path / "mask.ome.tif")), "s")
    assert np.array_equal(area.mask, mask.data > 0)


def test_of_a_finer_mask_the_pixel_at_the_centre_counts(slide, tmp_path):
    """Two pixels of it along one of the mask that is worked on: the second of each pair lies at its centre."""
    mask = found(slide)
    rows, columns = mask.data.shape
    fine = np.zeros((2 * rows, 2 * columns), np.uint8)
    fine[21:60:2, 31:80:2] = 1  # second halves of rows 10 to 29 and columns 15 to 39
    affine = np.array(mask.geometry.affine)
    affine[:2] /= 2
    affine[:2, 2] = mask.geometry.affine[:2, 2] - np.diag(affine)[:2] / 2
    write_map(tmp_path / "mask.ome.tif", Labels(fine, Geometry(fine.shape, affine, ("y", "x"), "um"), mask.classes))
    right = np.zeros((rows, columns), bool)
    right[10:30, 15:40] = True
    assert np.array_equal(find_area(slide, Config(roi=str(tmp_path / "mask.ome.tif")), "s").mask, right)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mask_may_lie_a_pixel_of_its_own_elsewhere_and_no_more(slide, tmp_path, axis):
    mask = found(slide)
    path = tmp_path / "mask.ome.tif"

    def moved(steps):
        affine = np.array(mask.geometry.affine)
        affine[axis, 2] += steps * affine[axis, axis]
        write_map(path, replace(mask, geometry=replace(mask.geometry, affine=affine)))
        return find_area(slide, Config(roi=str(path)), "s")

    assert np.array_equal(moved(0.5).mask, mask.data > 0)
    for steps in (2, -2):
        with pytest.raises(InputError, match="Expected a mask of this slide"):
            moved(steps)


def test_masks_of_other_slides_empty_ones_and_maps_of_values_are_refused(slide, tmp_path):
    mask = found(slide)
    path = tmp_path / "mask.ome.tif"
    config = Config(roi=str(path))
    affine = np.array(mask.geometry.affine) * np.array([[2.0], [2.0], [1.0]])
    write_map(path, replace(mask, geometry=replace(mask.geometry, affine=affine)))
    with pytest.raises(InputError, match=r"covers 10\d\d x 10\d\d um, .* has 512 x 512 um"):
        find_area(slide, config, "s")
    write_map(path, replace(mask, data=np.zeros_like(mask.data)))
    with pytest.raises(InputError, match="marks nothing"):
        find_area(slide, config, "s")
    write_map(path, Heatmap(np.ones(mask.data.shape, np.float32), mask.geometry, "sharpness"))
    with pytest.raises(InputError, match="is a map of values"):
        find_area(slide, config, "s")
    write_map(path, replace(mask, geometry=Geometry(mask.geometry.shape, None, ("y", "x"), None)))
    with pytest.raises(InputError, match="does not say where it lies"):
        find_area(slide, config, "s")


def test_levels_far_apart_get_one_between_and_all_agree(tmp_path):
    import tifffile

    rng = np.random.default_rng(0)
    fine = np.kron(rng.integers(0, 255, (40, 60, 3), np.uint8), np.ones((64, 64, 1), np.uint8))
    with tifffile.TiffWriter(tmp_path / "s.ome.tif", ome=True) as file:
        options = {"photometric": "rgb", "tile": (256, 256)}
        file.write(fine, subifds=1, metadata={"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}, **options)
        file.write(fine[::4, ::4].copy(), subfiletype=1, **options)
    levels = lazy_levels(wb.read(tmp_path / "s.ome.tif", kind="slide"))
    assert [x.shape[:2] for x in levels] == [(2560, 3840), (1280, 1920), (640, 960)]
    assert np.array_equal(np.asarray(levels[0]), fine)
    assert np.array_equal(np.asarray(levels[1]), fine[::2, ::2])
    assert np.array_equal(np.asarray(levels[2]), fine[::4, ::4])


def test_what_is_wanted_no_longer_is_not_read(slide):
    levels = lazy_levels(slide)
    cache = levels[0].cache
    gate, done = threading.Event(), []

    def slow(name):
        def read():
            gate.wait(10)
            done.append(name)
            return np.zeros((TILE, TILE, 3), np.uint8)

        return read

    cache.want({("old", n): slow(f"old {n}") for n in range(20)})
    end = time.monotonic() + 30
    while len(cache._reading) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    cache.want({("new", 0): slow("new")})
    gate.set()
    while cache.is_reading and time.monotonic() < end:
        time.sleep(0.01)
    assert "new" in done
    assert len([name for name in done if name.startswith("old")]) <= 2
