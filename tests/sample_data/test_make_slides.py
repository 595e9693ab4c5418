"""The sample slides: made anew byte for byte, of known scale, with true regions, and parts that share nothing."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from workbench.core.samples import sample_files
from workbench.data.objects import read_objects
from workbench.slide.data.open import read as open_slide

SCRIPT = Path(__file__).resolve().parents[2] / "sample_data" / "make_slides.py"
NAMES = ("slide_9301", "slide_9302")


@pytest.fixture(scope="module")
def made():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def pixels():
    found = {}
    for name in NAMES:
        pyramid = open_slide(sample_files()[name]).pyramid
        found[name] = pyramid.read(0, 0, 0, *pyramid.levels[0].shape)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small_pyramids_of_known_scale(name):
    image = open_slide(sample_files()[name])
    assert image.pyramid.mpp == pytest.approx((0.5, 0.5))
    assert [round(level.downsample) for level in image.pyramid.levels] == [1, 4, 16]
    assert not image.notes
    assert sample_files()[name].stat().st_size < 1.6e6


def test_together_they_are_at_most_3_mb():
    assert sum(p.stat().st_size for k, p in sample_files().items() if k.startswith("slide_93")) < 3e6


@pytest.mark.slow
def test_the_painted_slide_is_made_by_its_seed(made, pixels):
    drawn, regions = made["special_stain"]()
    assert drawn.shape == pixels[NAMES[1]].shape
    assert np.abs(drawn.astype(int) - pixels[NAMES[1]]).mean() < 6, "but for JPEG"
    stored = read_objects(sample_files()["slide_9302_regions"])
    assert len(stored) == len(regions)
    names = {c.value: c.name for c in stored.classes}
    assert [names[v] for v in stored.class_values] == [name for name, _ in regions]


@pytest.mark.slow
def test_the_real_slide_is_the_picture_of_scikit_image(made, pixels):
    pytest.importorskip("skimage")
    drawn = made["ihc"]()
    assert np.abs(drawn.astype(int) - pixels[NAMES[0]]).mean() < 6


def test_the_same_pixels_make_the_same_bytes(made, tmp_path):
    small = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    for write, ending in (("write_tiff", "tif"), ("write_ome", "ome.tif")):
        first, second = (made[write](small, tmp_path / f"{n}.{ending}").read_bytes() for n in "ab")
        assert first == second


def test_regions_show_what_they_are_called(made, pixels):
    regions = read_objects(sample_files()["slide_9302_regions"])
    names = {c.value: c.name for c in regions.classes}
    colours = {}
    for value, box in zip(regions.class_values, regions.bounds().astype(int), strict=True):
        x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
        part = pixels[NAMES[1]][y - 60 : y + 60, x - 60 : x + 60].reshape(-1, 3).mean(0)
        colours.setdefault(names[int(value)], []).append(part)
    assert set(colours) == set(made["CLASSES"])
    assert all(c[2] > c[0] + 30 for c in colours["collagen"]), "blue"
    assert all(c[0] > c[2] + 10 for c in colours["muscle"]), "red"
    assert all(c.min() > 200 for c in colours["vessel"]), "white in the middle"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_held_out_shares_nothing_with_what_teaches(made, name):
    row, column, height, width = made["TRAINING"][name]
    held = made["HELD_OUT"][name]
    assert column + width <= held[1]
    for area in (made["TRAINING"][name], held):
        rows, columns = open_slide(sample_files()[name]).pyramid.levels[0].shape
        assert area[0] + area[2] <= rows
        assert area[1] + area[3] <= columns
    pieces = made["IHC_PIECES"] if name == NAMES[0] else made["SECTIONS"]
    for piece in pieces[:2]:
        assert column <= piece[1]
        assert piece[1] + piece[3] <= column + width
    assert pieces[2][1] >= held[1]
    assert (row, height) == (held[0], held[2])
