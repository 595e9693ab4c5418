"""Images and labels go to the viewer's world and come back bit for bit."""

from __future__ import annotations

import copy
import json
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.layers import KEY, contrast_limits, count_labels, to_layers
from workbench.core.types import Geometry, Heatmap, Image, Labels, Provenance, Result, Scores
from workbench.volume.display import volume_table
from workbench.volume.layers import geometry_from_layer, image_from_layers, labels_from_layer
from workbench.volume.placement import layer_world, place

OBLIQUE = np.array([[0.7, -0.2, 0.4, -31.3], [0.3, 0.9, -0.1, 12.7], [-0.2, 0.3, 2.1, 5.5], [0, 0, 0, 1]])
RAS_TO_SPL = np.array([[0, 0, 1], [0, -1, 0], [-1, 0, 0]])


def make_image(data, affine, **kwargs):
    channels = kwargs.pop("channels", ("CT",))
    data = data if data.ndim == 4 else data[None]
    unit = None if affine is None else "mm"
    return Image(Geometry(data.shape[1:], affine, unit=unit), data.dtype, channels, lambda: data, **kwargs)


def all_axis_affines():
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = 0
            for world, (axis, sign) in enumerate(zip(order, signs, strict=True)):
                affine[world, axis] = sign * (0.8, 1.5, 3.0)[axis]
            affine[:3, 3] = (10, -20, 30)
            yield pytest.param(affine, id="".join(nib.aff2axcodes(affine)))
    yield pytest.param(OBLIQUE, id="oblique")


@pytest.mark.parametrize("affine", list(all_axis_affines()))
def test_world_placement_matches_nibabel(affine):
    rng = np.random.default_rng(0)
    data = rng.integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    ((layer, attributes, kind),) = to_layers(make_image(data, affine))
    assert kind == "image"
    world = layer_world(attributes)
    for index in [(0, 0, 0), (4, 5, 6), (1, 2, 3)]:
        spl = RAS_TO_SPL @ nib.affines.apply_affine(affine, index)
        inside = np.linalg.inv(world) @ [*spl, 1]
        assert np.allclose(inside[:3], np.rint(inside[:3]), atol=1e-9)
        assert layer[tuple(np.rint(inside[:3]).astype(int))] == data[index]
    # Closest to (S, P, L): growing layer indices go to the head, the back and the left.
    assert (np.diag(world)[:3] > 0).all()
    assert layer.base is not None  # a view


@pytest.mark.parametrize("affine", list(all_axis_affines()))
def test_labels_return_bit_exact(affine):
    data = np.random.default_rng(1).integers(0, 4, (5, 6, 7)).astype(np.uint8)
    image = make_image(data, affine)
    classes = ClassTable.from_names(["liver", "spleen", "aorta"])
    result = Result(
        {"labels": Labels(data, image.geometry, classes)}, image, Provenance("segformer3d", "demo", None, {})
    )
    ((layer, attributes, _),) = to_layers(result)
    metadata = json.loads(json.dumps(attributes["metadata"]))  # the recovery store keeps it as JSON
    for labels in (labels_from_layer(layer, metadata), labels_from_layer(layer, metadata, attributes=attributes)):
        assert np.array_equal(labels.data, data)
        assert labels.data.dtype == data.dtype
        assert labels.geometry.affine.tobytes() == np.asarray(affine, dtype=np.float64).tobytes()
        assert labels.classes == classes


def test_upright_layers_use_scale_and_translate_only():
    affine = np.diag([-0.7, -0.7, 2.5, 1.0])
    affine[:3, 3] = (100, 90, -500)
    ((_, attributes, _),) = to_layers(make_image(np.zeros((4, 5, 6), np.int16), affine))
    assert "affine" not in attributes
    assert attributes["scale"] == (2.5, 0.7, 0.7)
    assert attributes["translate"] == (-500.0, -90.0, -100.0)
    assert attributes["units"] == ("mm",) * 3


def test_rounding_of_a_float32_header_is_not_oblique_but_goes_back_untouched():
    affine = np.diag([-0.7, -0.7, 2.5, 1.0])
    affine[0, 1] = 3e-8
    ((layer, attributes, _),) = to_layers(make_image(np.zeros((4, 5, 6), np.int16), affine))
    assert "affine" not in attributes
    geometry, _, notes = geometry_from_layer(layer.shape, attributes)
    assert geometry.affine.tobytes() == affine.tobytes()
    assert notes == ()


def test_several_channels_become_layers_and_return():
    data = np.random.default_rng(2).normal(size=(4, 3, 4, 5)).astype(np.float32)
    image = make_image(data, OBLIQUE, channels=("T1", "T1c", "T2", "FLAIR"))
    layers = to_layers(image)
    assert [a["visible"] for _, a, _ in layers] == [True, False, False, False]
    back, _ = image_from_layers([(d, a) for d, a, _ in layers])
    assert back.channels == image.channels
    assert np.array_equal(back.data, data)
    assert back.geometry.affine.tobytes() == OBLIQUE.tobytes()


def test_moved_layer_gives_its_new_position():
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    ((layer, attributes, _),) = to_layers(make_image(np.zeros((4, 5, 6), np.int16), affine))
    moved = copy.deepcopy(attributes)
    moved["translate"] = tuple(np.add(attributes["translate"], (10, 0, 0)))
    geometry, _, notes = geometry_from_layer(layer.shape, moved)
    assert np.allclose(geometry.affine - affine, [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 10], [0, 0, 0, 0]])
    assert "moved" in notes[0]


def test_foreign_layers_full_transform_and_units():
    turn = [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]
    attributes = {
        "scale": (2000.0, 700.0, 700.0),
        "rotate": turn,
        "shear": [0.1, 0.0, 0.0],
        "translate": (1000.0, 0.0, 0.0),
        "affine": np.diag([1.0, 2.0, 1.0, 1.0]),
        "units": ("micrometer",) * 3,
        "name": "foreign",
    }
    geometry, _, notes = geometry_from_layer((4, 5, 6), attributes)
    shear = np.array([[1, 0.1, 0], [0, 1, 0], [0, 0, 1]])
    linear = np.diag([1, 2, 1]) @ np.array(turn) @ shear @ np.diag([2, 0.7, 0.7])
    assert np.allclose(RAS_TO_SPL @ geometry.affine[:3, :3], linear)
    assert np.allclose(RAS_TO_SPL @ geometry.affine[:3, 3], (1, 0, 0))
    assert geometry.sample_volume == pytest.approx(2 * 2 * 0.7 * 0.7)
    assert "taken as z" in notes[0]


def test_pixels_are_not_taken_as_millimetres_unasked():
    geometry, _, notes = geometry_from_layer((4, 5, 6), {"units": ("pixel",) * 3, "scale": (1, 1, 1)})
    assert geometry.affine is None
    assert "neither a unit nor a spacing" in notes[0]
    geometry, _, notes = geometry_from_layer((4, 5, 6), {"units": ("pixel",) * 3}, pixel_is_mm=True)
    assert geometry.spacing == (1.0, 1.0, 1.0)
    geometry, _, notes = geometry_from_layer((4, 5, 6), {"scale": (3, 1, 1)})
    assert geometry.spacing == (3.0, 1.0, 1.0)
    assert "millimetres" in notes[0]
    with pytest.raises(GeometryError, match="not a length"):
        geometry_from_layer((4, 5, 6), {"units": ("second", "mm", "mm")})


def test_image_without_position_stays_without():
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    ((layer, attributes, _),) = to_layers(make_image(data, None))
    back, notes = image_from_layers([(layer, attributes)])
    assert back.geometry.affine is None
    assert np.array_equal(back.data[0], data)
    assert "no position" in notes[0]


def test_cropped_layer_with_copied_metadata_is_not_taken_for_the_original():
    ((layer, attributes, _),) = to_layers(make_image(np.zeros((4, 5, 6), np.int16), np.eye(4)))
    geometry, _, _ = geometry_from_layer(layer[1:].shape, attributes)
    assert geometry.shape == (5, 5, 4)
    with pytest.raises(GeometryError, match="do not fit"):
        labels_from_layer(layer[1:], attributes["metadata"])


def test_channels_on_different_grids_are_refused():
    a = to_layers(make_image(np.zeros((4, 5, 6), np.int16), np.eye(4)))[0]
    b = to_layers(make_image(np.zeros((4, 5, 6), np.int16), np.diag([2.0, 2, 2, 1])))[0]
    with pytest.raises(GeometryError, match="same grid"):
        image_from_layers([a[:2], b[:2]])


def test_singular_and_flat_geometry_are_refused():
    with pytest.raises(GeometryError, match="singular"):
        place(Geometry((4, 4, 4), np.diag([1.0, 1.0, 0.0, 1.0])))
    with pytest.raises(GeometryError, match="3 axes"):
        place(Geometry((4, 4), np.eye(3)))


def test_label_files_open_as_labels():
    data = np.array([0, 0, 5, 7], np.int32).reshape(1, 2, 2)
    image = make_image(data, np.eye(4), source=__import__("pathlib").Path("case1_organs.nii.gz"))
    ((layer, attributes, kind),) = to_layers(image)
    assert kind == "labels"
    assert attributes["features"]["index"] == [0, 5, 7]
    assert layer.flags.writeable
    assert to_layers(image, as_labels=False)[0][2] == "image"
    with pytest.raises(InputError, match="fractions"):
        to_layers(make_image(data + 0.5, np.eye(4)), as_labels=True)


def test_painted_value_without_class_is_kept_with_its_colour():
    data = np.zeros((3, 3, 3), np.uint8)
    image = make_image(data, np.eye(4))
    labels = Labels(data, image.geometry, ClassTable.from_names(["liver"]))
    ((layer, attributes, _),) = to_layers(Result({"labels": labels}, image, Provenance("b", "w", None, {})))
    layer[0, 0, 0] = 9
    attributes["colormap"][9] = (1.0, 0.0, 0.0, 1.0)
    back = labels_from_layer(layer, attributes["metadata"], attributes=attributes)
    assert [(c.value, c.color) for c in back.classes][1:] == [(9, (255, 0, 0))]


def test_volumes_use_the_determinant():
    data = np.zeros((10, 10, 10), np.uint8)
    data[:5] = 2
    geometry = Geometry(data.shape, OBLIQUE)
    table = volume_table(data, ClassTable.from_names(["a", "b"]), geometry)
    assert table["class"] == ["background", "a", "b"]
    assert table["voxels"] == [500, 0, 500]
    assert table["volume [mL]"][2] == pytest.approx(0.5 * abs(np.linalg.det(OBLIQUE[:3, :3])), abs=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64])
def test_counts_equal_numpy(dtype):
    data = np.random.default_rng(3).integers(0, 200, (40, 33, 21)).astype(dtype).transpose(2, 0, 1)[::-1]
    values, counts = np.unique(data, return_counts=True)
    assert count_labels(data) == dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_contrast():
    rng = np.random.default_rng(4)
    ct = rng.integers(-1024, 1500, (8, 8, 8))
    assert contrast_limits(ct)[0] == (-160.0, 240.0)
    limits, full = contrast_limits(rng.normal(500, 100, (30, 30, 30)))
    assert full[0] <= limits[0] < 400 < 600 < limits[1] <= full[1]
    assert contrast_limits(np.full((3, 3, 3), np.nan))[0] == (0.0, 1.0)
    assert contrast_limits(np.zeros((3, 3, 3)))[0] == (0.0, 1.0)


def test_result_parts():
    data = np.zeros((3, 4, 5), np.uint8)
    image = make_image(data.astype(np.int16), OBLIQUE)
    parts = {
        "labels": Labels(data, image.geometry, ClassTable.from_names(["liver"])),
        "volumes": Scores(("class",), (("liver",),)),
        "uncertainty": Heatmap(data.astype(np.float32), image.geometry, "uncertainty", limits=(0.0, 1.0)),
    }
    layers = to_layers(Result(parts, image, Provenance("segformer3d", "demo", "abc", {"overlap": 0.5})))
    assert [(kind, a.get("visible", True)) for _, a, kind in layers] == [
        ("labels", True),
        ("image", False),
    ]
    record = layers[0][1]["metadata"][KEY]
    assert record["provenance"]["backend"] == "segformer3d"
    assert record["result"] == layers[1][1]["metadata"][KEY]["result"]
