"""Tissue at low power: made slides with known tissue, dust, holes, pen marks, and real ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from workbench.core.errors import InputError
from workbench.slide.data import ome_tiff, wsi
from workbench.slide.data.resample import Square, read_square
from workbench.slide.data.tissue import find_tissue

STAINS = {"H&E": (205, 140, 190), "DAB": (150, 110, 80), "haematoxylin": (120, 110, 170), "pale": (225, 205, 218)}


def slide(stain, *, seed=0, cast=(243, 243, 241)):
    """Glass with a disc of stained tissue of 120 pixels, textured; gives pixels and truth."""
    rng = np.random.default_rng(seed)
    pixels = np.ones((400, 500, 3), np.float32) * cast + rng.normal(0, 1.5, (400, 500, 3))
    y, x = np.mgrid[0:400, 0:500]
    truth = (y - 200) ** 2 + (x - 180) ** 2 < 120**2
    texture = ndimage.gaussian_filter(rng.normal(0, 1, (400, 500)), 1.5)
    colour = np.array(stain) + 14 * (texture / texture.std())[..., None]
    pixels[truth] = colour[truth]
    return np.clip(pixels, 0, 255).astype(np.uint8), truth


def overlap(found, truth):
    return (found & truth).sum() / (found | truth).sum()


@pytest.mark.parametrize("stain", STAINS)
def test_tissue_of_every_usual_stain_is_found(stain):
    pixels, truth = slide(STAINS[stain])
    found = find_tissue(pixels, 8.0)
    assert overlap(found.mask, truth) > 0.93
    assert not found.pen.any()
    assert found.notes == ()


def test_glass_with_a_yellow_cast_is_no_tissue():
    pixels, truth = slide(STAINS["H&E"], cast=(240, 238, 228))
    assert overlap(find_tissue(pixels, 8.0).mask, truth) > 0.93


def test_grey_tissue_is_found_by_its_texture():
    pixels, truth = slide((170, 170, 170))
    assert overlap(find_tissue(pixels, 8.0).mask, truth) > 0.85


def test_dust_goes_and_small_holes_are_filled():
    pixels, _ = slide(STAINS["H&E"])
    pixels[20:24, 400:404] = STAINS["H&E"]  # 32 um
    pixels[195:201, 175:181] = 243  # a vessel of 48 um
    pixels[150:190, 150:190] = 243  # a hole of 320 um
    found = find_tissue(pixels, 8.0).mask
    assert not found[10:40, 390:420].any()
    assert found[195:201, 175:181].all()
    assert not found[160:180, 160:180].any()
    assert not find_tissue(pixels, 8.0, min_area=4.0).mask.any(), "all of it is 2.9 mm2"


def test_the_area_of_a_pen_mark_is_said_in_square_millimetres():
    for mpp, size in ((8.0, "0.64"), (4.0, "0.16")):
        pixels, _ = slide((243, 243, 241))
        pixels[200:300, 100:200] = 40, 120, 60  # 100 x 100 pixels
        found = find_tissue(pixels, mpp)
        assert found.pen.sum() == pytest.approx(10_000, rel=0.005)
        assert found.notes[-1] == f"{size} mm2 were left out as pen marks"


def test_a_pen_mark_within_tissue_is_no_hole_to_be_filled():
    pixels, _ = slide(STAINS["H&E"])
    pixels[190:214, 170:194] = 40, 120, 60  # 0.037 mm2
    found = find_tissue(pixels, 8.0, min_area=0.1)
    assert found.pen[191:213, 171:193].all()
    assert not (found.mask & found.pen).any()
    assert found.mask[150:180, 150:210].all()


@pytest.mark.parametrize(("mpp", "wide"), [(4.0, 72), (8.0, 80)])
def test_pieces_close_to_each_other_are_one(mpp, wide):
    """A gap of 40 um belongs to the tissue, one of 72 or more does not."""
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.normal(0, 1, (240, 240)), 1.5)
    stained = np.array(STAINS["H&E"]) + 14 * (texture / texture.std())[..., None]
    for gap in (40, wide):
        pixels = 243 + rng.normal(0, 1.5, (240, 240, 3))
        end = 120 + round(gap / mpp)
        for columns in (slice(40, 120), slice(end, 200)):
            pixels[40:200, columns] = stained[40:200, columns]
        found = find_tissue(np.clip(pixels, 0, 255).astype(np.uint8), mpp).mask[60:180]
        assert found[:, 50:118].all()
        assert found[:, end + 2 : 190].all()
        between = found[:, 122 : end - 2]
        assert between.all() if gap == 40 else not between.any(), gap


@pytest.mark.parametrize(
    ("colour", "name"), [((40, 120, 60), "green"), ((30, 90, 200), "blue"), ((25, 25, 28), "black")]
)
def test_pen_marks_are_left_out_and_it_is_said(colour, name):
    pixels, truth = slide(STAINS["H&E"])
    pixels[340:360, 40:460] = colour
    found = find_tissue(pixels, 8.0)
    assert not found.mask[342:358, 50:450].any(), name
    assert overlap(found.mask, truth) > 0.9
    assert "left out as pen marks" in found.notes[0]
    kept = find_tissue(pixels, 8.0, keep_pen=True)
    assert name == "black" or kept.mask[342:358, 50:450].mean() > 0.9  # what is black and smooth is no tissue anyway
    assert not kept.pen.any()


def test_what_is_bright_on_black_is_no_brightfield_slide():
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[50:100, 50:100, 2] = 200
    with pytest.raises(InputError, match=r"fluor.ndpi: 94 % of it is nearly black, as in fluorescence"):
        find_tissue(pixels, 8.0, name="fluor.ndpi")


def test_glass_alone_has_none_and_tissue_alone_is_said():
    empty = np.full((100, 100, 3), 243, np.uint8)
    assert find_tissue(empty, 8.0).notes == ("no tissue was found",)
    pixels, _ = slide(STAINS["H&E"])
    inside = pixels[130:270, 110:250]
    found = find_tissue(inside, 8.0)
    assert found.mask.mean() > 0.99
    assert "look at the mask" in found.notes[0]


def low(image, mpp=8.0):
    """A slide at low power, whole, as squares of one."""
    factor = mpp / image.pyramid.mpp[0]
    rows, columns = image.geometry.shape
    size = int(max(rows, columns) / factor)
    return read_square(image.pyramid, Square(0, 0, size), factor)[: int(rows / factor), : int(columns / factor)]


def test_real_slides(shared_data):
    svs = low(wsi.read(shared_data / "slide" / "cmu-1-small-region.svs"), 4.0)
    mask = find_tissue(svs, 4.0).mask
    dark = svs.mean(axis=2) < 200
    assert mask[dark].mean() > 0.97, "what is stained is tissue"
    assert mask[ndimage.uniform_filter(svs.min(axis=2).astype(float), 9) > 238].mean() < 0.05, "glass is none"


def test_a_core_on_grey_ground(shared_data):
    pytest.importorskip("imagecodecs")
    pixels = low(ome_tiff.read(shared_data / "slide" / "he" / "instanseg_HE.tif"), 4.0)
    mask = find_tissue(pixels, 4.0).mask
    assert 0.3 < mask.mean() < 0.9
    assert mask[mask.shape[0] // 2, mask.shape[1] // 2]
    assert not mask[:6, :6].any()
