"""Annotations on napari's layers and back: nothing changes by itself, and what people do is taken over."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.workbench.slide.annotations.test_write import SQUARE, area, full, same
from workbench.core.errors import GeometryError
from workbench.core.layers import KEY
from workbench.slide.annotations.read import read_annotations
from workbench.slide.annotations.shapes import from_layers, from_shapes, to_shapes
from workbench.slide.annotations.types import Annotation, Annotations, Shape

HOLE = [(1, 1), (1, 2), (3, 2)]


def as_napari(layer):
    """Vertices as napari keeps them, and attributes that went through JSON."""
    data, attributes, kind = layer
    metadata = json.loads(json.dumps(attributes["metadata"]))
    small = [np.asarray(piece, np.float32) for piece in data]
    return (small if kind == "shapes" else np.asarray(data)), attributes | {"metadata": metadata}, kind


def test_all_comes_back_to_the_last_bit_though_napari_keeps_float32():
    far = full()
    far = replace(far, items=tuple(a.moved(lambda p: p + (61_781.95, 929.31)) for a in far))  # noqa: RUF005
    layers = [as_napari(layer) for layer in to_shapes(far, {"kind": "slide"}, placement={"scale": (0.5, 0.5)})]
    assert [kind for *_, kind in layers] == ["shapes", "points"]
    again = from_layers(layers)
    assert again.notes == ()
    assert again.name == far.name
    assert again.frame.matches(far.frame, tolerance=0)
    for one, other in zip(far, again, strict=True):
        same(one, other)


def test_every_public_file_goes_through_layers(shared_data):
    for path in sorted((shared_data / "slide" / "geojson").iterdir()):
        found = read_annotations(path)
        again = from_layers([as_napari(layer) for layer in to_shapes(found)])
        assert len(again) == len(found)
        for one, other in zip(found, again, strict=True):
            same(one, other)


def test_what_layers_show():
    items = Annotations((
        area([(7, 2), (8, 2), (8, 3), (7, 3)], id="a", class_name="Tumor", class_color=(255, 0, 0),
             measurements={"x [um]": 2.5}),
        Annotation(Shape("lines", ((SQUARE,), (SQUARE + 1,))), color=(0, 255, 0)),
        Annotation(Shape("points", ((np.array([(7.5, 2.5), (1, 1)]),),)), name="p"),
    ))  # fmt: skip
    (data, attributes, _), (dots, of_dots, _) = to_shapes(items, {"kind": "slide"}, placement={"scale": (2, 2)})
    assert data[0].mean(axis=0).tolist() == [2, 7]  # the centre of the pixel in row 2 and column 7
    assert dots[0].tolist() == [2, 7]
    assert attributes["shape_type"] == ["polygon", "path", "path"]
    assert attributes["scale"] == (2, 2)
    assert attributes["metadata"][KEY]["kind"] == "slide"
    table = attributes["features"]
    assert table["class"].tolist() == ["Tumor", "", ""]
    assert table["type"].tolist() == ["annotation"] * 3
    np.testing.assert_array_equal(table["x [um]"], [2.5, np.nan, np.nan])
    assert attributes["edge_color"][:2].tolist() == [[1, 0, 0, 1], [0, 1, 0, 1]]
    assert attributes["face_color"][:2, 3].tolist() == [0.35, 0]
    assert of_dots["features"]["name"].tolist() == ["p", "p"]
    assert len(to_shapes(Annotations(items.items[:2]))) == 1


def test_people_change_shapes_in_napari():
    """napari's own layer: one is removed, one moved, one named, four drawn."""
    layers = pytest.importorskip("napari.layers")
    items = Annotations((
        area(SQUARE, HOLE, id="a", class_name="Tumor", measurements={"n": 3}, locked=True),
        area(SQUARE + 10, id="b"),
        area(SQUARE + 20, id="c", class_name="Stroma"),
        Annotation(Shape("lines", ((SQUARE,), (SQUARE + 1,))), id="d"),
    ))  # fmt: skip
    ((data, attributes, _),) = to_shapes(items)
    layer = layers.Shapes(data, **attributes)
    layer.selected_data = {1}
    layer.remove_selected()
    moved = layer.data
    moved[0] = np.where(moved[0] == moved[0].max(), moved[0] + 2, moved[0])
    layer.data = moved
    layer.features = layer.features.assign(**{"class": ["Tumor", "Fat", "", ""]})
    layer.feature_defaults = attributes["feature_defaults"]
    layer.add_rectangles(np.array([(100.0, 100.0), (100.0, 110.0), (120.0, 110.0), (120.0, 100.0)]))
    layer.add_ellipses(np.array([(100.0, 100.0), (100.0, 110.0), (120.0, 110.0), (120.0, 100.0)]))
    layer.add_paths(np.array([(0.0, 0.0), (1.0, 5.0), (2.0, 2.0)]))
    layer.add_lines(np.array([(0.0, 0.0), (1.0, 5.0)]))
    again = from_shapes(
        layer.data, {"features": layer.features, "metadata": layer.metadata, "shape_type": layer.shape_type}
    )
    assert [a.id for a in again][:3] == ["a", "c", "d"]
    assert [a.class_name for a in again] == ["Tumor", "Fat", "", "", "", "", ""]
    assert again.items[0].area > 14
    assert len(again.items[0].shape.parts[0]) == 2
    same(again.items[2], items.items[3])
    assert [a.shape.kind for a in again][3:] == ["areas", "areas", "lines", "lines"]
    assert [a.area for a in again][3:5] == pytest.approx([200, np.pi * 10 * 5])
    ids = [a.id for a in again]
    assert len(set(ids)) == 7
    assert all(len(i) == 36 for i in ids[3:])
    assert all(not a.measurements for a in again.items[3:])
    assert again.items[0].measurements == {"n": 3}
    assert any("annotation 1 is locked and was changed" in note for note in again.notes)
    assert any("its measurements are those of before" in note for note in again.notes)


def test_a_copy_is_an_annotation_of_its_own_without_what_napari_repeats():
    items = Annotations((area(SQUARE, id="a", name="first", class_name="Tumor", measurements={"n": 3}),))
    ((data, attributes, _),) = to_shapes(items)
    table = {k: np.concatenate([v, v]) for k, v in attributes["features"].items()}
    again = from_shapes([data[0], data[0] + 5], attributes | {"features": table, "shape_type": ["polygon"] * 2})
    same(again.items[0], items.items[0])
    copy = again.items[1]
    assert copy.id not in (None, "a")
    assert (copy.name, copy.class_name, dict(copy.measurements)) == ("", "", {})
    assert copy.shape.parts[0][0].tolist() == (SQUARE + 5).tolist()


def test_points_are_moved_removed_and_added():
    items = Annotations((
        Annotation(Shape("points", ((np.array([(1.0, 2.0), (3.1, 4.0)]),),)), id="two"),
        Annotation(Shape("points", ((np.array([(5.0, 6.0)]),),)), id="one"),
    ))  # fmt: skip
    _, (data, attributes, kind) = to_shapes(items)
    assert kind == "points"
    table = {k: np.append(v[[0, 1]], attributes["feature_defaults"][k]) for k, v in attributes["features"].items()}
    moved = np.array([data[0] + 1, data[1], (8.0, 9.0)])
    found = from_shapes(moved, {"features": table, "metadata": attributes["metadata"]})
    assert [a.id for a in found][:1] == ["two"]
    assert found.items[0].shape.parts[0][0].tolist() == [[2, 3], [3.1, 4]]
    assert found.items[1].shape.parts[0][0].tolist() == [[9.5, 8.5]]
    assert len(found) == 2


def test_layers_of_others_and_unfinished_shapes_are_refused():
    with pytest.raises(GeometryError, match="does not hold annotations"):
        from_shapes([], {"features": {}, "metadata": {}})
    with pytest.raises(GeometryError, match="no layer"):
        from_layers([])
    ((data, attributes, _),) = to_shapes(Annotations((area(SQUARE),)))
    with pytest.raises(GeometryError, match="2 shapes and a table of 1 rows"):
        from_shapes([data[0], data[0]], attributes)
    with pytest.raises(GeometryError, match="an outline has 2 points"):
        from_shapes([data[0][:2]], attributes)
    metadata = {KEY: {**attributes["metadata"][KEY], "features": [{"type": "Feature"}]}}
    with pytest.raises(GeometryError, match="record of this layer of annotations is damaged"):
        from_shapes(data, attributes | {"metadata": metadata})


def test_no_annotations_are_an_empty_layer_to_draw_on():
    ((data, attributes, kind),) = to_shapes(Annotations(name="new"))
    layer = pytest.importorskip("napari.layers").Shapes(data, **attributes)
    layer.add_polygons(np.array([(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 0.0)]))
    found = from_shapes(
        layer.data, {"features": layer.features, "metadata": layer.metadata, "shape_type": layer.shape_type}
    )
    assert kind == "shapes"
    assert [a.area for a in found] == [100]
    assert found.items[0].shape.parts[0][0].min() == 0.5
