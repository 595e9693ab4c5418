"""A result lies exactly over the layer it was made from: in 3-D and 4-D, in any unit, turned, sheared or cropped."""

import numpy as np
import pytest

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.layers import KEY, to_layers
from workbench.core.types import Geometry, Heatmap, Image, Labels, Provenance, Result, Scores
from workbench.volume.layers import geometry_from_layer, image_from_layers, labels_from_layer
from workbench.volume.overlay import follow_layer
from workbench.volume.placement import layer_world

RNG = np.random.default_rng(0)


def _turn(n: int, angle: float = 0.3):
    """A rotation of the last two of n axes, so that any other cut of the matrix is a different one."""
    matrix = np.eye(n)
    matrix[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def _affine(n: int):
    """(n+1, n+1) with a part of its own for every axis."""
    matrix = np.eye(n + 1)
    matrix[:n, :n] = _turn(n, 0.5) @ np.diag(np.arange(n) + 2.0)
    matrix[:n, n] = 10.0 * (np.arange(n) + 1)
    return matrix


def _result_of(image: Image) -> Result:
    """Labels and a map whose every voxel is different, in file order."""
    values = np.arange(np.prod(image.geometry.shape)).reshape(image.geometry.shape)
    parts = {
        "labels": Labels(values.astype(np.uint16), image.geometry, ClassTable()),
        "uncertainty": Heatmap(values.astype(np.float32), image.geometry, "uncertainty"),
        "volumes": Scores(("class", "volume [mL]"), ()),
    }
    return Result(parts, image, Provenance("b", "w", None, {}))


SHEAR4 = [0.0, 0.0, 0.0, 0.11, 0.12, 0.13]  # upper triangle of four axes; the last three belong to the volume


@pytest.mark.parametrize(
    "attributes",
    [
        {"scale": (1.0, 3.0, 0.7, 0.8), "translate": (9.0, 1.0, 2.0, 3.0)},
        {"affine": _affine(4)},
        {"affine": _affine(4), "scale": (5.0, 3.0, 0.7, 0.8), "translate": (9.0, 1.0, 2.0, 3.0)},
        {"rotate": _turn(4), "scale": (5.0, 3.0, 0.7, 0.8)},
        {"shear": SHEAR4, "scale": (5.0, 3.0, 0.7, 0.8)},
    ],
    ids=["scale", "affine", "affine and scale", "rotate", "shear"],
)
def test_over_a_layer_with_channels_the_last_three_axes_count(attributes) -> None:
    array = RNG.normal(size=(2, 4, 5, 6)).astype(np.float32)
    layer = {**attributes, "name": "foreign", "units": ("pixel", "mm", "mm", "mm"), "axis_labels": ("c", "z", "y", "x")}
    image, _ = image_from_layers([(array, layer)])
    layers = follow_layer(_result_of(image), layer)
    assert [kind for _, _, kind in layers] == ["labels", "image"]
    for data, own, _ in layers:
        assert data.shape == (4, 5, 6)
        np.testing.assert_allclose(layer_world(own, 3), layer_world(layer, 4), atol=1e-12)
        assert own["units"] == ("mm", "mm", "mm")
        assert own["axis_labels"] == ("z", "y", "x")
        # The way back: the same geometry as the image's own.
        assert geometry_from_layer(data.shape, own)[0].matches(image.geometry)


def test_over_a_layer_of_three_axes_the_transform_is_kept_whole() -> None:
    layer = {"affine": _affine(3), "scale": (3.0, 0.7, 0.8), "shear": [0.1, 0.2, 0.3], "rotate": _turn(3)}
    image, _ = image_from_layers([(np.zeros((4, 5, 6), np.float32), layer | {"units": ("um",) * 3})])
    for _, own, _ in follow_layer(_result_of(image), layer | {"units": ("um",) * 3}):
        np.testing.assert_allclose(layer_world(own), layer_world(layer), atol=1e-12)
        assert own["units"] == ("um",) * 3


@pytest.mark.parametrize("turned", [False, True])
def test_over_our_own_layer_every_voxel_lies_on_its_voxel(turned) -> None:
    """Our layers are turned views of the file; what is known of the file stays with the result."""
    affine = np.diag([-2.0, -3.0, 4.0, 1.0]) if turned else np.array(
        [[0, 0, 2.0, 1], [3.0, 0, 0, 2], [0, 4.0, 0, 3], [0, 0, 0, 1]]
    )  # fmt: skip
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    geometry = Geometry(values.shape, affine)
    source = Image(geometry, values.dtype, ("CT",), lambda: values[None])
    ((array, attributes, _),) = to_layers(source)
    image, _ = image_from_layers([(array, attributes)])
    moved = attributes | {"translate": tuple(np.add(attributes.get("translate", (0, 0, 0)), (5.0, 0, 0)))}
    for layer in (attributes, moved):
        (labels, own, _), _ = follow_layer(_result_of(image), layer)
        np.testing.assert_array_equal(labels, array)
        record = own["metadata"][KEY]
        assert record["affine"] == affine.tolist()
        back = labels_from_layer(labels, attributes=own)
        np.testing.assert_array_equal(back.data, values)
        assert back.geometry.matches(geometry) == (layer is attributes)


def test_over_a_crop_of_our_layer_the_file_is_not_claimed() -> None:
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    source = Image(Geometry(values.shape, np.diag([2.0, 3.0, 4.0, 1.0])), values.dtype, ("CT",), lambda: values[None])
    ((array, attributes, _),) = to_layers(source)
    crop = array[1:]
    image, _ = image_from_layers([(crop, attributes)])
    (labels, own, _), _ = follow_layer(_result_of(image), attributes)
    back = labels_from_layer(labels, attributes=own)
    assert back.data.shape == crop.shape
    assert back.geometry.matches(image.geometry)
    np.testing.assert_allclose(layer_world(own), layer_world(attributes), atol=1e-12)
    with pytest.raises(GeometryError, match="do not fit"):
        labels_from_layer(labels, own["metadata"])


def test_pixels_taken_as_millimetres_are_remembered() -> None:
    """Asked once; saving the corrected labels later must give the same millimetres without being told again."""
    array, layer = np.zeros((4, 5, 6), np.float32), {"name": "bare", "units": ("pixel",) * 3}
    image, notes = image_from_layers([(array, layer)], pixel_is_mm=True)
    assert image.geometry.spacing == (1.0, 1.0, 1.0)
    assert "millimetres" in notes[0]
    (labels, own, _), _ = follow_layer(_result_of(image), layer, pixel_is_mm=True)
    assert own["metadata"][KEY]["pixel_is_mm"] is True
    assert labels_from_layer(labels, attributes=own).geometry.spacing == (1.0, 1.0, 1.0)
    (labels, own, _), _ = follow_layer(_result_of(image), layer)
    assert "pixel_is_mm" not in own["metadata"][KEY]
    assert labels_from_layer(labels, attributes=own).geometry.affine is None
    assert labels_from_layer(labels, attributes=own, pixel_is_mm=True).geometry.spacing == (1.0, 1.0, 1.0)


def test_pixels_of_a_file_without_position_become_millimetres_in_file_order() -> None:
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    source = Image(Geometry(values.shape, None, unit=None), values.dtype, ("CT",), lambda: values[None])
    ((array, attributes, _),) = to_layers(source)
    asked, notes = image_from_layers([(array, attributes)], pixel_is_mm=True)
    assert asked.geometry.spacing == (1.0, 1.0, 1.0)
    assert notes == ("1 pixel was taken as 1 mm",)
    np.testing.assert_array_equal(asked.data[0], values)
    unasked, _ = image_from_layers([(array, attributes)])
    assert unasked.geometry.affine is None
