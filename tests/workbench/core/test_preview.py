"""The small pictures: sizes, colours, and that nothing fails for them."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from workbench.core import preview
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import WorkbenchWarning
from workbench.core.types import Geometry, Image, Provenance, Result

CLASSES = ClassTable((ClassInfo(1, "one", (200, 90, 60)), ClassInfo(300, "many", (10, 200, 30))))


def result_of(kind):
    image = Image(Geometry((4, 4, 4)), np.dtype(np.uint8), ("0",), lambda: np.zeros((1, 4, 4, 4), np.uint8), kind=kind)
    return Result({}, image, Provenance("b", "w", None, {}))


def test_a_picture_is_fitted_to_its_long_side():
    assert preview.fitted(100, 50) == (320, 160)
    assert preview.fitted(0.001, 0.004) == (80, 320)
    assert preview.fitted(1, 1000) == (8, 320)  # never without rows


def test_classes_are_filled_and_their_edges_have_the_colour_of_the_class():
    values = np.zeros((20, 20), np.uint16)
    values[5:15, 5:20] = 1
    values[0:3, 0:3] = 300
    values[17:19, 2:4] = 7  # no class of the table
    gray = np.full((20, 20, 3), 100, np.uint8)
    seen = preview.painted(gray, values, CLASSES, 0.5)
    assert seen[5, 10].tolist() == [200, 90, 60]  # the edge
    assert seen[10, 19].tolist() == [150, 95, 80]  # inside, half of each: the end of the picture is no edge
    assert seen[10, 10].tolist() == [150, 95, 80]
    assert seen[2, 2].tolist() == [10, 200, 30]
    assert seen[17, 2].tolist() == list(preview.UNLISTED)
    assert seen[16, 10].tolist() == [100, 100, 100]


@pytest.mark.parametrize("values", [[[0, 1], [300, 7]], [[0, 1], [300, 100_000]], [[0, 1], [300, -3]]])
def test_colours_are_those_of_the_classes_whatever_the_numbers(values):
    found = preview.coloured(np.array(values), CLASSES)
    assert found.tolist() == [[[0, 0, 0], [200, 90, 60]], [[10, 200, 30], list(preview.UNLISTED)]]


def test_no_value_is_made_up_where_a_map_changes_its_size():
    values = np.array([[0, 5], [9, 0]])
    assert preview.nearest(values, 4, 6).tolist() == [[0, 0, 0, 5, 5, 5]] * 2 + [[9, 9, 9, 0, 0, 0]] * 2
    assert set(np.unique(preview.nearest(np.repeat(values, 50, 0), 7, 3))) <= {0, 5, 9}


def test_what_is_no_number_is_black():
    with np.errstate(all="raise"):
        assert preview.gray(np.array([[np.nan, -5.0, 0.5, 9.0]]), (0.0, 1.0)).tolist() == [[0, 0, 128, 255]]


def test_a_png_is_its_pixels_and_nothing_else():
    pixels = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    png = preview.png_of(pixels)
    assert png == preview.png_of(pixels.copy())
    with Pillow.open(io.BytesIO(png)) as opened:
        assert opened.info == {}
        assert np.array_equal(np.asarray(opened), pixels)


def test_what_goes_wrong_is_said_and_is_no_picture(monkeypatch):
    def broken(result):
        raise ValueError("no\nsuch plane")

    monkeypatch.setattr("workbench.volume.layers.preview", broken)
    with pytest.warns(WorkbenchWarning, match=r"image: no picture was made \(ValueError: no such plane\)"):
        assert preview.preview_of(result_of("volume")) is None


def test_a_kind_need_not_draw_any(monkeypatch):
    monkeypatch.delattr("workbench.volume.layers.preview")
    assert preview.preview_of(result_of("volume")) is None
