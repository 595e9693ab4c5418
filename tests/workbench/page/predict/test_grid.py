"""The grid: how many pixels a millimetre has, everywhere on drawn pages whose crossings are known, and where not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.workbench.page.pages import drawn
from workbench.page.errors import NotAPage
from workbench.page.predict.grid import find_grid

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "ecg"


def errors(page, grid):
    """Of all crossings in the picture [mm]: where they were found less where they are, along x and y."""
    height, width = page.pixels.shape[:2]
    x, y = page.crossings[:, 2], page.crossings[:, 3]
    seen = page.crossings[(x > 0) & (y > 0) & (x < width) & (y < height)]
    away = grid.to_paper(seen[:, 2:]) - seen[:, :2]
    return seen, away - np.median(away, axis=0)


@pytest.mark.parametrize(("maker", "dpi"), [("A", 200), ("B", 100), ("C", 150), ("D", 200), ("E", 150), ("F", 75)])
def test_a_scan_is_measured_to_a_tenth_of_a_thousandth(maker, dpi):
    page = drawn(61, maker, "3x4+1", float(dpi), "scan")
    grid = find_grid(page.pixels)
    seen, away = errors(page, grid)
    assert np.sqrt((away**2).mean(axis=0)).max() < 0.06
    # 0.03 % over 10 s is what leaves a lead its decibels.
    for axis in (0, 1):
        slope = np.polyfit(seen[:, axis], away[:, axis], 1)[0]
        assert abs(slope) < 3e-4
    assert np.allclose(grid.pixels_per_mm, dpi / 25.4, rtol=0.01)


@pytest.mark.parametrize("kind", ["photo", "stained", "screen"])
def test_paper_that_is_tilted_or_wavy_is_followed(kind):
    page = drawn(62, "B", "3x4+1", 150.0, kind)
    grid = find_grid(page.pixels)
    _, away = errors(page, grid)
    assert np.median(np.abs(away)) < 0.05
    assert np.percentile(np.abs(away), 95) < 0.25
    places = np.array([[400.0, 300.0], [700.0, 500.0]])
    assert np.abs(grid.to_pixels(grid.to_paper(places)) - places).max() < 0.05


def test_strong_lines_are_those_that_are_counted_in_fives():
    page = drawn(63, "A", "3x4", 200.0, "scan")
    grid = find_grid(page.pixels)
    assert grid.has_strong
    inside = page.crossings[page.crossings[:, 1] == 20]
    found = grid.to_paper(inside[:, 2:])[:, 0]
    assert np.abs((found - inside[:, 0] + 2.5) % 5 - 2.5).max() < 0.3


def test_a_large_picture_is_seen_as_well_as_a_small_one():
    page = drawn(64, "D", "3x1", 400.0, "scan")
    grid = find_grid(page.pixels)
    _, away = errors(page, grid)
    assert max(page.pixels.shape) > 3500
    assert np.sqrt((away**2).mean()) < 0.05


def noise(shape=(600, 900)):
    return np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)


def a_cat():
    return pytest.importorskip("skimage.data").chelsea()


@pytest.mark.parametrize(
    "make",
    [a_cat, noise, lambda: np.full((700, 900, 3), 255, np.uint8), lambda: np.zeros((40, 3000, 3), np.uint8),
     lambda: np.zeros((3, 3, 3), np.uint8)],
    ids=["cat", "noise", "blank", "strip", "tiny"],
)  # fmt: skip
def test_what_has_no_grid_is_refused_in_a_line(make):
    with pytest.raises(NotAPage, match="no grid of graph paper is seen") as caught:
        find_grid(make(), "x.png")
    assert str(caught.value).startswith("x.png: ")
    assert "\n" not in str(caught.value)


def test_lines_in_one_direction_are_no_grid():
    page = np.full((700, 900, 3), 255, np.uint8)
    page[:, ::8] = 150
    with pytest.raises(NotAPage):
        find_grid(page)


def test_small_pictures_are_not_taken_for_pages_of_half_the_size():
    """Fine lines near the limit of the pixels repeat every other strong line: that is not the grid."""
    wrong = []
    for seed, maker in enumerate("ABCDEF"):
        for dpi in (66, 71, 76, 84):
            grid = find_grid(drawn(60 + seed, maker, "3x4+1", float(dpi), "scan").pixels)
            wrong += [(maker, dpi)] * (not np.allclose(grid.pixels_per_mm, dpi / 25.4, rtol=0.02))
    assert not wrong


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the public pages are not there ({DATA})")
@pytest.mark.parametrize("scale", [3.0, 2.8, 2.6])
def test_a_real_page_made_smaller_keeps_its_millimetres(scale):
    with Pillow.open(DATA / "photo_00003.png") as opened:
        large = opened.convert("RGB")
    at = min(find_grid(np.asarray(large)).pixels_per_mm)
    small = large.resize([round(n * scale / at) for n in large.size], Pillow.Resampling.LANCZOS)
    assert np.allclose(find_grid(np.asarray(small)).pixels_per_mm, scale, rtol=0.01)


@pytest.mark.parametrize(("wider", "higher"), [(1.5, 1.0), (1.0, 1.5), (0.7, 1.0), (1.0, 0.7)])
def test_a_stretched_picture_keeps_the_millimetres_of_each_side(wider, higher):
    wrong, refused = [], []
    for seed, maker in enumerate("ABDEF"):
        picture = Pillow.fromarray(drawn(60 + seed, maker, "3x4+1", 150.0, "scan").pixels)
        size = (round(picture.width * wider), round(picture.height * higher))
        try:
            found = find_grid(np.asarray(picture.resize(size, Pillow.Resampling.LANCZOS))).pixels_per_mm
        except NotAPage:
            refused.append(maker)  # its fine lines are lost: no answer is better than a wrong one
            continue
        wrong += [(maker, found)] * (not np.allclose(found, np.array([wider, higher]) * 150 / 25.4, rtol=0.02))
    assert not wrong
    assert len(refused) <= 2


def test_a_picture_of_half_its_width_is_refused():
    """Whether it was stretched, or every second line is faint, nothing says."""
    picture = Pillow.fromarray(drawn(61, "A", "3x4+1", 200.0, "scan").pixels)
    narrow = np.asarray(picture.resize((picture.width // 2, picture.height), Pillow.Resampling.LANCZOS))
    with pytest.raises(NotAPage, match="twice as far apart along one side as along the other"):
        find_grid(narrow, "x")
