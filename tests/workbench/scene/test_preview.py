"""The picture of a scene: its colours and its class map, side by side or one below the other."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.scenes import cube_image, scene_arrays, write_npy
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.preview import preview_of
from workbench.core.types import Labels, Provenance, Result
from workbench.data import formats

GREEN, BROWN = (20, 160, 40), (140, 90, 30)
CLASSES = ClassTable((ClassInfo(1, "grass", GREEN), ClassInfo(2, "soil", BROWN)))


def pixels_of(result):
    png = preview_of(result)
    assert png == preview_of(result)
    with Pillow.open(io.BytesIO(png)) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def result_of(image, labels):
    parts = {} if labels is None else {"labels": Labels(labels, image.geometry, CLASSES)}
    return Result(parts, image, Provenance("b", "w", None, {}))


def scene(rows, columns, bands=6):
    """Bright in the first row of pixels, and in the first column a little: rows run down, columns to the right."""
    cube = np.full((bands, rows, columns), 0.1, np.float32)
    cube[:, : max(1, rows // 4)] = 0.9
    labels = np.zeros((rows, columns), np.uint8)
    labels[: rows // 2] = 1
    labels[rows // 2 :, columns // 2 :] = 2
    return cube_image(cube), labels


@pytest.mark.parametrize(
    ("size", "shape", "axis"),
    [((40, 40), (158, 320), 1), ((80, 20), (320, 164), 1), ((20, 80), (164, 320), 0)],
)
def test_colours_and_classes_lie_side_by_side_or_one_below_the_other(size, shape, axis):
    image, labels = scene(*size)
    pixels = pixels_of(result_of(image, labels))
    assert pixels.shape == (*shape, 3)
    half = (pixels.shape[axis] - 4) // 2
    seen, classes = (pixels[:, :half], pixels[:, -half:]) if axis else (pixels[:half], pixels[-half:])
    rows, columns = classes.shape[:2]
    assert classes[2, 2].tolist() == list(GREEN)
    assert classes[2, -3].tolist() == list(GREEN)
    assert classes[-3, -3].tolist() == list(BROWN)
    assert classes[-3, 2].tolist() == [40, 40, 40]  # unlabelled
    assert (classes[: rows // 2 - 1] == GREEN).all()  # no colour between two classes is made up
    assert seen[2].min() > 200 > 50 > seen[rows // 2 :, : columns // 2].max()


def test_pixels_have_their_proportions_on_the_ground():
    image, labels = scene(40, 40)
    geometry = image.geometry
    geometry.affine[1, 0] = -8.0  # 8 m along the rows, 2 m along the columns
    assert pixels_of(result_of(image, labels)).shape == (320, 164, 3)
    degrees = type(geometry)(geometry.shape, geometry.affine, geometry.axes, "degree")
    samples = image.data
    image = type(image)(degrees, image.dtype, image.channels, lambda: samples, kind="scene")
    assert pixels_of(result_of(image, None)).shape == (320, 320, 3)


def test_one_band_is_gray_and_what_was_not_measured_is_black():
    cube = np.linspace(0.2, 0.8, 400, dtype=np.float32).reshape(1, 20, 20)
    cube[0, :5] = -9999
    pixels = pixels_of(result_of(cube_image(cube, ignore_value=-9999.0), None))
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert pixels[:70].max() == 0
    assert pixels[-1].min() > 200


def test_a_scene_in_a_file_is_not_loaded_for_its_picture(tmp_path):
    path, _ = write_npy(tmp_path, *scene_arrays())
    image = formats.read(path)
    labels = np.ones(image.geometry.shape, np.uint8)
    from_file = preview_of(result_of(image, labels))
    assert not image.is_loaded
    assert image.data is not None
    assert preview_of(result_of(image, labels)) == from_file


def test_of_a_large_scene_every_so_many_pixels_are_read(monkeypatch):
    from workbench.scene import preview
    from workbench.scene.data.scene import Blocks

    image, labels = scene(400, 300, bands=3)
    asked = []
    read = Blocks.read
    monkeypatch.setattr(Blocks, "read", lambda self, *a: asked.append(read(self, *a)) or asked[-1])
    monkeypatch.setattr(preview, "_LOOKED_AT", 100 * 75)
    pixels = pixels_of(result_of(image, labels))
    assert pixels.shape == (211, 320, 3)
    assert max(found.size for found in asked) <= 3 * 100 * 75
