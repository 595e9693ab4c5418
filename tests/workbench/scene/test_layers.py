"""Cubes and maps as layers and back: the grid of the scene, bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.scenes import NAMES, cube_image, labels_of, scene_arrays
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.layers import KEY, to_layers
from workbench.core.types import Geometry, Heatmap, Image, Provenance, Result, Scores
from workbench.scene.layers import labels_from_layer, layer_spacing, scene_geometry


@pytest.fixture
def scene():
    cube, labels = scene_arrays()
    return cube_image(cube, wavelengths_nm=np.linspace(400, 900, 20).tolist()), labels


def result_of(image, labels):
    parts = {
        "labels": labels_of(labels, image),
        "confidence": Heatmap(np.full(labels.shape, 0.5, np.float32), image.geometry, "confidence", limits=(0, 1)),
        "areas": Scores(("class",), (("grass",),)),
    }
    return Result(parts, image, Provenance("lola_specvit", "demo", None, {}))


def test_a_cube_is_one_rgb_layer_with_its_pixel_size(scene):
    image, _ = scene
    ((data, attributes, kind),) = to_layers(image)
    assert (kind, data.shape, data.dtype) == ("image", (30, 26, 3), np.uint8)
    assert attributes["rgb"]
    assert attributes["scale"] == (2, 2)
    assert attributes["translate"] == (0, 0)
    assert attributes["units"] == ("m", "m")
    record = attributes["metadata"][KEY]
    assert record["preset"] == "Natural colour"
    assert json.loads(json.dumps(record)) == record


def test_geometry_comes_back_bit_for_bit(scene):
    image, _ = scene
    attributes = to_layers(image)[0][1]
    record = json.loads(json.dumps(attributes["metadata"]))[KEY]
    found = scene_geometry(record)
    assert found.shape == image.geometry.shape
    assert found.affine.tobytes() == image.geometry.affine.tobytes()
    assert found.unit == "m"
    assert scene_geometry({"kind": "volume", "shape": [1, 2, 3]}) is None


def test_a_result_becomes_labels_and_hidden_heatmaps(scene):
    image, labels = scene
    layers = to_layers(result_of(image, labels))
    assert [kind for _, _, kind in layers] == ["labels", "image"]
    data, attributes, _ = layers[0]
    assert attributes["features"]["class"] == ["unlabelled", *NAMES]
    assert attributes["features"]["area [m2]"][1] == 4 * (labels == 1).sum()
    assert not layers[1][1]["visible"]
    assert layers[0][1]["metadata"][KEY]["result"] == layers[1][1]["metadata"][KEY]["result"]
    back = labels_from_layer(data, attributes["metadata"])
    assert np.array_equal(back.data, labels)
    assert back.classes.names == NAMES
    assert back.geometry.matches(image.geometry)


def test_painted_values_without_a_class_are_kept_under_a_number(scene):
    image, labels = scene
    data, attributes, _ = to_layers(result_of(image, labels))[0]
    painted = data.copy()
    painted[0, 0] = 7
    assert labels_from_layer(painted, attributes["metadata"]).classes.names == (*NAMES, "class 7")


def test_labels_of_another_size_are_refused(scene):
    image, labels = scene
    _, attributes, _ = to_layers(result_of(image, labels))[0]
    with pytest.raises(GeometryError, match=r"29 x 26 pixels belong to 30 x 26"):
        labels_from_layer(labels[1:], attributes["metadata"])
    with pytest.raises(GeometryError, match="belong to no scene"):
        labels_from_layer(labels, {})


def test_a_class_map_file_is_a_labels_layer(scene):
    image, labels = scene
    stored = Image(
        image.geometry, labels.dtype, ("labels",), lambda: labels[None], kind="scene",
        classes=ClassTable.from_names(NAMES),
    )  # fmt: skip
    ((data, attributes, kind),) = to_layers(stored)
    assert kind == "labels"
    assert np.array_equal(data, labels)
    assert attributes["metadata"][KEY]["kind"] == "scene"


def test_a_single_band_is_gray():
    cube, _ = scene_arrays(bands=1)
    ((data, attributes, kind),) = to_layers(cube_image(cube))
    assert (kind, data.shape, attributes["rgb"], attributes["colormap"]) == ("image", (30, 26), False, "gray")


def test_spacing_is_pixels_where_the_unit_is_no_length():
    affine = np.array([[0.0, 0.1, 8], [-0.1, 0, 50], [0, 0, 1]])
    assert layer_spacing(Geometry((3, 3), affine, ("row", "column"), "degree")) == ((1.0, 1.0), "pixel")
    assert layer_spacing(Geometry((3, 3), None)) == ((1.0, 1.0), "pixel")


def test_an_overview_lies_over_the_full_grid(monkeypatch, scene):
    image, _ = scene
    monkeypatch.setattr("workbench.scene.layers.overview_step", lambda *_: 4)
    ((data, attributes, _),) = to_layers(image)
    assert data.shape == (8, 7, 3)
    assert attributes["scale"] == (8, 8)
    # The first shown pixel covers four pixels of 2 m: its middle lies 1.5 pixels from that of the first of them.
    assert attributes["translate"] == (3, 3)
