"""What OpenSlide says of a slide, and what it is asked for: x is never taken for y, nor rows for columns."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.workbench.slide.odd_slide import BOUNDS, MPP, SIZES, STEPS
from workbench.slide.data import wsi


class Handle:
    """Stands for OpenSlide's own: the odd slide; it keeps what it is asked for."""

    level_dimensions = tuple((columns, rows) for rows, columns in SIZES)
    level_downsamples = STEPS

    def __init__(self, _):
        self.asked = []
        named = dict(zip(("bounds-y", "bounds-x", "bounds-height", "bounds-width"), BOUNDS, strict=True))
        named |= {"vendor": "mirax", "mpp-x": MPP[0], "mpp-y": MPP[1]}
        self.properties = {f"openslide.{key}": str(value) for key, value in named.items()}

    def set_cache(self, _):
        pass

    def read_region(self, place, level, size):
        self.asked.append((place, level, size))
        return Pillow.new("RGBA", size, (9, 9, 9, 255))


@pytest.fixture
def slide(tmp_path, monkeypatch):
    monkeypatch.setattr("openslide.OpenSlide", Handle)
    path = tmp_path / "odd.mrxs"
    path.write_bytes(b"nothing")
    return wsi.SlideFile(path)


def test_the_world_has_the_height_of_a_pixel_along_rows_and_its_width_along_columns(slide):
    image = wsi.image_of(slide, wsi.scale_of(slide))
    assert image.pyramid.mpp == (0.5, 0.504)
    assert (image.geometry.axes, image.geometry.unit) == (("y", "x"), "um")
    assert np.diag(image.geometry.affine).tolist() == [0.504, 0.5, 1.0]


def test_bounds_that_end_with_the_slide_are_kept_and_those_that_reach_beyond_it_are_not(slide):
    assert wsi.bounds_of(slide) == (700, 300, 3800, 6000), "they end at row 4500 of 4500"
    for key, last in (("height", 3800), ("width", 6200)):
        own = dict(slide.properties)
        slide.properties[f"openslide.bounds-{key}"] = str(last)
        assert wsi.bounds_of(slide) is not None, key
        slide.properties[f"openslide.bounds-{key}"] = str(last + 1)
        assert wsi.bounds_of(slide) is None, key
        slide.properties.update(own)


def test_a_region_of_a_level_is_asked_for_at_its_place_in_level_0(slide):
    assert slide.read(1, 250, 1000, 20, 30).shape == (20, 30, 3)
    slide.read(0, 7, 5, 3, 2)
    # 250 and 1000 times 4.016; OpenSlide takes (x, y) and (width, height).
    assert slide._handle.asked == [((4016, 1004), 1, (30, 20)), ((5, 7), 0, (2, 3))]
