"""Objects on layers and back: outlines with holes survive, edits are taken over, a great many become points."""

import json

import numpy as np
import pytest

from tests.workbench.core.test_objects import HOLE, SQUARE, TRIANGLE, mixed, stars
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.frame import Frame
from workbench.core.layers import KEY
from workbench.core.object_layers import objects_from_layer, objects_layer
from workbench.core.objects import Objects

UM = Frame.of(np.array([[0.0, 0.25, 10.0], [-0.25, 0.0, 20.0], [0, 0, 1]]), "um", unit="um", pixel_size=(0.25, 0.5))


def same_objects(a: Objects, b: Objects) -> None:
    assert a.ids.tolist() == b.ids.tolist()
    assert a.class_values.tolist() == b.class_values.tolist()
    assert a.classes == b.classes
    assert a.frame.matches(b.frame, tolerance=0)
    np.testing.assert_allclose(a.areas(), b.areas(), atol=1e-6)
    np.testing.assert_allclose(a.bounds(), b.bounds(), atol=1e-6)
    assert [[len(p) for p in a.polygon(i)] for i in range(len(a))] == [
        [len(p) for p in b.polygon(i)] for i in range(len(b))
    ]
    assert (a.probabilities is None) == (b.probabilities is None)
    for key, values in a.measurements.items():
        assert values.dtype == b.measurements[key].dtype
        np.testing.assert_array_equal(values, b.measurements[key])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("frame", [Frame(), UM])
def test_shapes_go_there_and_back(frame, turned):
    step = slice(None, None, -1 if turned else 1)
    objects = Objects.from_polygons(
        [[SQUARE, HOLE[step]], TRIANGLE[step], [[SQUARE[step] + 100, HOLE + 100], [TRIANGLE[step] - 50]]],
        class_values=[2, 0, 1], probabilities=[0.5, 0.25, 1.0], measurements={"n": np.array([3, 4, 5])},
        classes=ClassTable.from_names(["tumour", "stroma"]), frame=frame,
    )  # fmt: skip
    data, attributes, kind = objects_layer(objects, {"kind": "slide"}, placement={"scale": (0.5, 0.25)})
    assert kind == "shapes"
    assert isinstance(data, list)
    assert attributes["scale"] == (0.5, 0.25)
    record = attributes["metadata"][KEY]
    assert record["kind"] == "slide"
    assert record["shown_as"] == "shapes"
    assert json.loads(json.dumps(record)) == record
    assert attributes["features"]["class"].tolist() == ["stroma", "", "tumour"]
    assert attributes["face_color"][0, :3].tolist() == [86 / 255, 180 / 255, 233 / 255]
    same_objects(objects, objects_from_layer(data, attributes))


def test_rows_and_columns_are_pixel_centres():
    pixel = Objects.from_polygons(np.array([[(7, 2), (8, 2), (8, 3), (7, 3)]], float))
    (outline,), *_ = objects_layer(pixel, {})
    assert outline.mean(axis=0).tolist() == [2, 7]
    point, *_ = objects_layer(pixel, {}, limit=0)
    assert point.tolist() == [[2, 7]]


def test_more_than_the_limit_become_points_and_keep_their_outlines():
    objects = stars(300)
    data, attributes, kind = objects_layer(objects, {}, limit=299)
    assert kind == "points"
    assert data.shape == (300, 2)
    record = attributes["metadata"][KEY]
    assert record["shown_as"] == "points"
    assert "300 objects, more than 299" in record["note"]
    same_objects(objects, objects_from_layer(data, attributes))
    kept = np.flatnonzero(np.arange(300) % 3)
    features = {k: v[kept].copy() for k, v in attributes["features"].items()}
    features["class"][0] = "two"
    again = objects_from_layer(data[kept], attributes | {"features": features})
    assert again.class_values[0] == 2
    assert again.class_values[1:].tolist() == objects.class_values[kept][1:].tolist()
    np.testing.assert_array_equal(again.areas(), objects.areas()[kept])
    del attributes["metadata"]["workbench_objects"]
    with pytest.raises(InputError, match="outlines are not in memory"):
        objects_from_layer(data, attributes)


def test_napari_keeps_what_people_change():
    """With napari's own layer: remove one, move a point, change a class, draw a new outline."""
    shapes = pytest.importorskip("napari.layers").Shapes
    data, attributes, _ = objects_layer(mixed(), {})
    layer = shapes(data, **attributes)
    layer.selected_data = {1}
    layer.remove_selected()
    layer.features.loc[0, "class"] = "tumour"
    layer.add_polygons(np.array([(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)]))
    again = objects_from_layer(layer.data, {"features": layer.features, "metadata": layer.metadata})
    again.validate()
    assert again.areas().tolist() == [14, 23, 100]
    assert again.ids.tolist()[:2] == ["a", "c"]
    assert len(set(again.ids.tolist())) == 3
    assert again.class_values.tolist()[:2] == [1, 1]
    assert again.measurements["perimeter [um]"].tolist()[:2] == [1, 3]


BOX = np.array([(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)])


def _add(layer):
    layer.add_polygons(BOX + 200)


def _add_after_removing_the_last(layer):
    layer.selected_data = {2}
    layer.remove_selected()
    layer.add_polygons(BOX + 200)


def _add_to_a_duplicate(layer):
    data, attributes, _ = layer.as_layer_data_tuple()
    again = type(layer)(data, **attributes)
    again.add_polygons(BOX + 200)
    return again


def _paste(layer):
    layer.selected_data = {2}
    layer._copy_data()
    layer._paste_data()


def _add_with_the_defaults_of_napari(layer):
    layer.features = layer.features.copy()  # napari takes the last row for new ones from now on
    layer.add_polygons(BOX + 200)


@pytest.mark.parametrize(
    "add", [_add, _add_after_removing_the_last, _add_to_a_duplicate, _paste, _add_with_the_defaults_of_napari]
)
@pytest.mark.parametrize("ids", [["a", "b", "c"], np.array([7, 8, 9]), np.array([-1, 0, 4]), np.array([1, 2, 3], "u1")])
def test_an_outline_that_a_person_adds_has_no_class_and_no_numbers_of_another_one(add, ids):
    shapes = pytest.importorskip("napari.layers").Shapes
    objects = Objects.from_polygons(
        [SQUARE, TRIANGLE, SQUARE + 50], class_values=[2, 1, 2], probabilities=[0.5, 0.25, 0.907], ids=ids,
        measurements={"length [um]": np.array([1.0, 2, 3], "f4"), "spots": np.array([3, 4, 5])},
        classes=ClassTable.from_names(["small", "large"]),
    )  # fmt: skip
    data, attributes, _ = objects_layer(objects, {})
    layer = shapes(data, **attributes)
    layer = add(layer) or layer
    again = objects_from_layer(layer.data, {"features": layer.features, "metadata": layer.metadata})
    again.validate()
    assert again.class_values[-1] == 0
    assert np.isnan(again.probabilities[-1])
    assert np.isnan(again.measurements["length [um]"][-1])
    assert np.isnan(again.measurements["spots"][-1])
    assert again.ids[-1] not in again.ids[:-1].tolist()
    kept = len(again) - 1
    assert again.ids.tolist()[:kept] == objects.ids.tolist()[:kept]
    assert again.class_values.tolist()[:kept] == [2, 1, 2][:kept]
    np.testing.assert_array_equal(again.probabilities[:kept], objects.probabilities[:kept])
    np.testing.assert_array_equal(again.measurements["spots"][:kept], [3, 4, 5][:kept])
    layer.features.loc[len(layer.data) - 1, "class"] = "small"
    again = objects_from_layer(layer.data, {"features": layer.features, "metadata": layer.metadata})
    assert again.class_values[-1] == 1


def test_a_point_that_a_person_adds_is_no_object_of_another_outline():
    points = pytest.importorskip("napari.layers").Points
    data, attributes, _ = objects_layer(mixed(), {}, limit=2)
    layer = points(data, **attributes)
    layer.add(np.array([[5.0, 5.0]]))
    layer.features = layer.features.copy()
    layer.selected_data = {1}
    layer._copy_data()
    layer._paste_data()
    again = objects_from_layer(layer.data, {"features": layer.features, "metadata": layer.metadata})
    assert again.ids.tolist() == ["a", "b", "c"]
    again.validate()


def test_napari_fills_an_outline_but_not_its_holes():
    layers = pytest.importorskip("napari.layers")
    big = Objects.from_polygons([[SQUARE * 10, HOLE * 10]])
    data, attributes, _ = objects_layer(big, {})
    layer = layers.Shapes(data, **attributes)
    mesh = layer._data_view.shapes[0]
    corners = mesh._face_vertices[mesh._face_triangles]
    side, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    filled = 0.5 * np.abs(side[:, 0] * other[:, 1] - side[:, 1] * other[:, 0]).sum()
    assert filled == pytest.approx(big.areas()[0])


def test_what_is_not_ours_or_not_finished_is_refused():
    data, attributes, _ = objects_layer(mixed(), {})
    with pytest.raises(GeometryError, match="does not hold objects"):
        objects_from_layer(data, {"features": {}, "metadata": {}})
    with pytest.raises(GeometryError, match="2 points"):
        objects_from_layer([*data[:2], data[2][:2]], attributes)
    features = {**attributes["features"], "class": np.array(["tumour", "fat", ""], object)}
    with pytest.raises(InputError, match=r"class 'fat' of object 2 .*tumour, stroma"):
        objects_from_layer(data, attributes | {"features": features})


def test_no_objects_are_an_empty_layer():
    data, attributes, kind = objects_layer(Objects.from_polygons([]), {})
    assert (list(data), kind) == ([], "shapes")
    assert len(objects_from_layer(data, attributes)) == 0
