"""The picture of a volume is an axial plane in radiological view, whatever the order of its axes."""

import io
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.dicom_maker import write_series
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.preview import preview_of
from workbench.core.types import Geometry, Image, Labels, Provenance, Result
from workbench.data import formats
from workbench.volume import preview as volume_preview

RED, BLUE = (220, 30, 40), (40, 60, 230)
CLASSES = ClassTable((ClassInfo(1, "large", RED), ClassInfo(2, "small", BLUE)))
SHAPE, SPACING = (40, 30, 20), (1.0, 2.0, 5.0)  # to the right, the front, the head


def body():
    """Samples and labels in RAS: the large class is on the patient's right, in front, in plane 14 and around."""
    samples = np.zeros(SHAPE, np.int16)
    samples[:, :, 14] = 40
    labels = np.zeros(SHAPE, np.uint8)
    labels[30:38, 20:28, 12:17] = 1
    labels[2:5, 2:5, 14] = 2
    labels[2:5, 2:5, 3] = 2
    return samples, labels


def turned(array, order, flips):
    return np.flip(array.transpose(order), [a for a, f in enumerate(flips) if f])


def affine_of(order, flips):
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world, flip) in enumerate(zip(order, flips, strict=True)):
        affine[world, axis] = -SPACING[world] if flip else SPACING[world]
        affine[world, 3] += SPACING[world] * (SHAPE[world] - 1) if flip else 0
    return affine


def result_of(samples, labels, affine, **more):
    geometry = Geometry(samples.shape, affine)
    image = Image(geometry, samples.dtype, ("0",), lambda: samples[None], **more)
    return Result({"labels": Labels(labels, geometry, CLASSES)}, image, Provenance("b", "w", None, {}))


def pixels_of(result):
    png = preview_of(result)
    assert png == preview_of(result)  # the same bytes
    with Pillow.open(io.BytesIO(png)) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def place_of(pixels, color):
    """Middle of the pixels of that colour, from 0 to 1 down and across."""
    found = np.argwhere((pixels == color).all(axis=-1))
    assert len(found) > 10, color
    return tuple((found.mean(axis=0) / pixels.shape[:2]).tolist())


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_patients_right_is_on_the_left_and_the_front_on_top(order):
    samples, labels = body()
    for flips in product((False, True), repeat=3):
        result = result_of(turned(samples, order, flips), turned(labels, order, flips), affine_of(order, flips))
        pixels = pixels_of(result)
        assert pixels.shape == (320, 213, 3)  # 60 mm high, 40 mm wide
        down, across = place_of(pixels, RED)
        assert down == pytest.approx(1 - 24 / 30, abs=0.03)
        assert across == pytest.approx(1 - 34 / 40, abs=0.03)
        down, across = place_of(pixels, BLUE)  # drawn at all: the plane is the middle of the large class
        assert (down, across) == (pytest.approx(1 - 3.5 / 30, abs=0.03), pytest.approx(1 - 3.5 / 40, abs=0.03))


def test_without_labels_and_without_position_it_is_the_middle_plane():
    samples = np.zeros((16, 12, 9), np.float32)
    samples[:, :, 4] = np.linspace(0, 1, 16)[:, None]
    result = result_of(samples, np.zeros(samples.shape, np.uint8), None)
    bare = Result({}, result.image, result.provenance)
    for one in (result, bare):
        pixels = pixels_of(one)
        assert pixels.shape == (240, 320, 3)
        assert pixels[:, 300].min() > 200 > 50 > pixels[:, 20].max()


def test_samples_in_memory_are_not_read_again():
    samples, labels = body()
    reads = []
    result = result_of(samples, labels, np.diag([*SPACING, 1.0]))
    image = Image(result.image.geometry, samples.dtype, ("0",), lambda: reads.append(1) or samples[None])
    first = preview_of(Result(result.parts, image, result.provenance))
    assert len(reads) == 1
    assert not image.is_loaded  # what the backend gave back is not taken again
    assert image.data is not None
    assert preview_of(Result(result.parts, image, result.provenance)) == first
    assert len(reads) == 2  # by image.data, not by the picture


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_of_a_large_file_only_the_plane_is_read(tmp_path, monkeypatch, name):
    samples, labels = body()
    flips = (True, False, True)
    affine = affine_of((2, 0, 1), flips)
    file = nib.Nifti1Image(turned(samples, (2, 0, 1), flips) * 3, affine)
    file.header.set_slope_inter(0.5, 10.0)
    nib.save(file, tmp_path / name)
    image = formats.read(tmp_path / name)
    geometry = Geometry(image.geometry.shape, image.geometry.affine)
    parts = {"labels": Labels(turned(labels, (2, 0, 1), flips), geometry, CLASSES)}
    expected = preview_of(Result(parts, image, Provenance("b", "w", None, {})))
    monkeypatch.setattr(volume_preview, "SMALL", 0)
    monkeypatch.setattr(type(image), "samples", lambda self: pytest.fail("the whole volume was read"))
    assert preview_of(Result(parts, image, Provenance("b", "w", None, {}))) == expected


def test_of_a_large_dicom_series_only_one_file_is_read(tmp_path, monkeypatch):
    write_series(tmp_path / "ct")
    image = formats.read(tmp_path / "ct")
    labels = np.zeros(image.geometry.shape, np.uint8)
    labels[2:6, 2:6, -2:] = 1
    result = Result({"labels": Labels(labels, image.geometry, CLASSES)}, image, Provenance("b", "w", None, {}))
    expected = preview_of(result)
    monkeypatch.setattr(volume_preview, "SMALL", 0)
    monkeypatch.setattr(type(image), "samples", lambda self: pytest.fail("the whole series was read"))
    assert preview_of(result) == expected


def test_of_a_large_file_of_another_format_the_classes_are_shown_alone(monkeypatch):
    samples, labels = body()
    result = result_of(samples, labels, np.diag([*SPACING, 1.0]))
    seen = pixels_of(result)
    monkeypatch.setattr(volume_preview, "SMALL", 0)
    monkeypatch.setattr(volume_preview, "LARGE", 0)
    alone = pixels_of(result)
    assert place_of(alone, RED) == place_of(seen, RED)
    assert (alone[-1, -1] == volume_preview._NO_IMAGE).all()


def test_a_class_that_a_coarse_look_misses_is_found(monkeypatch):
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[31, 31, 41] = 1
    monkeypatch.setattr(volume_preview, "_COUNTED", 100)
    assert volume_preview._middle_of_largest(labels, 2) == 41
    assert volume_preview._middle_of_largest(np.zeros((4, 4, 4), np.uint8), 2) is None
