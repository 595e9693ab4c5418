"""GeoJSON of annotations in every form that programs write, and one clear line for each way it can be broken."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import shapely

from workbench.core.errors import GeometryError, InputError, NothingFound, UsageError
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.data.geojson import write_geojson
from workbench.slide.annotations.place import SlidePlace
from workbench.slide.annotations.read import read_annotations
from workbench.slide.annotations.types import Annotations

RING = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [1, 2], [3, 2], [3, 1], [1, 1]]


@pytest.fixture
def files(shared_data):
    return shared_data / "slide" / "geojson"


def reading(tmp_path, value, **more) -> Annotations:
    path = tmp_path / "a.geojson"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return read_annotations(path, **more)


def feature(geometry=None, **more):
    return {"type": "Feature", "geometry": geometry or {"type": "Polygon", "coordinates": [RING]}, **more}


def refused(tmp_path, value, **more) -> str:
    with pytest.raises(InputError) as error:
        reading(tmp_path, value, **more)
    line = str(error.value)
    assert line.startswith(f"{tmp_path / 'a.geojson'}: ")
    assert "\n" not in line
    return line.removeprefix(f"{tmp_path / 'a.geojson'}: ")


AREAS = {
    "qupath-core-polygon.geojson": [54694789.6], "wsidicom-rectangle.json": [210 * 176],
    "luna-test_object_classification.geojson": [2434.4],
}  # fmt: skip


def test_every_public_file_has_the_areas_that_shapely_finds(files):
    names = sorted(path.name for path in files.iterdir())
    assert len(names) == 14
    for name in names:
        plain = json.loads((files / name).read_text(encoding="utf-8"))
        whole = plain if isinstance(plain, list) else plain.get("features", [plain])
        geometries = [shapely.from_geojson(json.dumps(f.get("geometry", f))) for f in whole]
        found = read_annotations(files / name)
        assert found.notes == (), name
        assert [a.area for a in found] == pytest.approx([g.area for g in geometries], rel=1e-9), name
        assert [len(np.concatenate(list(a.shape.rings()))) for a in found if a.shape.kind != "areas"] == [
            len(shapely.get_coordinates(g)) for g in geometries if g.area == 0
        ]
        assert [a.id for a in found] == [f.get("id") for f in whole], name
        if name in AREAS:
            assert [a.area for a in found] == pytest.approx(AREAS[name], abs=0.05)


def test_holes_and_pieces_of_a_bare_geometry(files):
    (found,) = read_annotations(files / "qupath-core-polygon.geojson")
    assert len(found.shape.parts) == 3
    assert sum(len(part) - 1 for part in found.shape.parts) == 26
    assert sum(len(ring) + 1 for ring in found.shape.rings()) == 1553


def test_old_colours_measurements_nuclei_and_types(files):
    (cell,) = read_annotations(files / "luna-test_object_classification.geojson")
    assert (cell.id, cell.object_type, cell.class_name, cell.class_color) == (
        "PathCellObject", "cell", "Other", (0, 128, 128))  # fmt: skip
    assert cell.measurements["Detection probability"] == 0.5110340118408203
    assert cell.nucleus is not None
    assert 0 < cell.nucleus.area < cell.area
    first, *_ = read_annotations(files / "wsidicom-cells-classified.json")
    assert (first.name, first.class_name, first.color, first.class_color) == (
        "Erythrocytes 2", "Cell", (127, 220, 58), (127, 220, 58))  # fmt: skip
    exported = read_annotations(files / "luna-1006844.annotation.geojson")
    assert len(exported) == 15
    assert exported.items[0].class_name == "Other"
    assert exported.items[0].properties["element_girder_id"] == "82ddcc2295f1e64eab0d1a88"
    assert [a.object_type for a in read_annotations(files / "wsireg-polygons.geojson")] == ["annotation"] * 3


POLYGON = {"type": "Polygon", "coordinates": [RING, HOLE]}
POINT = {"type": "Point", "coordinates": [1.5, 2]}
SEVERAL = {"type": "MultiPolygon", "coordinates": [[RING, HOLE], [[[9, 9], [10, 9], [10, 10], [9, 9]]]]}


@pytest.mark.parametrize(
    ("value", "kinds", "areas"),
    [
        (POLYGON, ["areas"], [14]),
        (SEVERAL, ["areas"], [14.5]),
        (POINT, ["points"], [0]),
        ({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, ["points"], [0]),
        ({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, ["lines"], [0]),
        ({"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}, ["lines"], [0]),
        ({"type": "GeometryCollection", "geometries": [POLYGON, POINT, SEVERAL]}, ["areas", "points"], [28.5, 0]),
        ([POLYGON, feature(POINT)], ["areas", "points"], [14, 0]),
        (feature(SEVERAL), ["areas"], [14.5]),
        ({"type": "FeatureCollection", "features": [feature(POINT), feature()]}, ["points", "areas"], [0, 16]),
        ({"features": [], "type": "FeatureCollection"}, [], []),
        ([], [], []),
    ],
    ids=str,
)
def test_every_shape_of_a_file(tmp_path, value, kinds, areas):
    for text in (json.dumps(value), "\ufeff" + json.dumps(value, indent=3)):
        found = reading(tmp_path, text)
        assert [a.shape.kind for a in found] == kinds
        assert [a.area for a in found] == areas
        assert found.name == "a"


def test_classes_in_all_their_forms(tmp_path):
    forms = [
        "Tumor", {"name": "Tumor", "color": [200, 0, 0]}, {"name": "Tumor", "colorRGB": -3670016},
        {"names": ["A", "B"]},
        {"name": "Tumor", "color": "#c80000"}, {"name": "Tumor", "color": [200, 0, 0, 255]}, None,
    ]  # fmt: skip
    found = reading(tmp_path, [feature(properties={"classification": c}) for c in forms])
    assert [a.class_name for a in found] == ["Tumor"] * 3 + ["A: B", "Tumor", "Tumor", ""]
    assert [a.class_color for a in found] == [None, (200, 0, 0), (200, 0, 0), None, (200, 0, 0), (200, 0, 0), None]
    assert found.classes.names == ("Tumor", "A: B")
    assert found.classes.classes[0].color == (200, 0, 0)
    (labelled,) = reading(tmp_path, [feature(properties={"label": {"value": "left"}, "group": "Tumor"})])
    assert (labelled.name, labelled.class_name) == ("left", "Tumor")


def test_measurements_and_what_else_a_feature_says(tmp_path):
    properties = {
        "measurements": {"n": 3, "x": 2.5, "none": None, "nan": "NaN", "up": "Infinity"}, "isLocked": True, "name": "ä",
        "objectType": "tile", "color": [1, 2, 3], "other": {"deep": [1, None]}, "odd": math.nan,
    }  # fmt: skip
    plane = {"z": 1, "t": 0}
    (found,) = reading(tmp_path, feature({**POLYGON, "plane": plane}, id=7, properties=properties, bbox=[0, 0, 4, 4]))
    assert (found.id, found.name, found.locked, found.object_type, found.color) == (7, "ä", True, "tile", (1, 2, 3))
    assert list(found.measurements) == ["n", "x", "none", "nan", "up"]
    assert list(found.measurements.values())[:2] == [3, 2.5]
    assert math.isnan(found.measurements["none"])
    assert found.measurements["up"] == math.inf
    assert found.properties == {"other": {"deep": [1, None]}, "odd": None}
    assert found.members == {"geometry": {"plane": plane}}


def test_what_is_assumed_or_left_out_is_noted(tmp_path):
    nowhere = reading(tmp_path, [feature(), {"type": "Feature", "geometry": None, "properties": {}}])
    assert len(nowhere) == 1
    assert "1 feature(s) without a geometry were left out, the first is number 2" in nowhere.notes[0]
    both = {"type": "GeometryCollection", "geometries": [POINT, POLYGON]}
    assert "the first is feature 1" in reading(tmp_path, feature(both)).notes[0]
    high = {"type": "Point", "coordinates": [1, 2, 3]}
    assert "third number" in reading(tmp_path, high).notes[0]
    unclosed = {"type": "Polygon", "coordinates": [RING[:-1]]}
    found = reading(tmp_path, [unclosed, unclosed])
    assert [a.area for a in found] == [16, 16]
    assert "2 ring(s) did not end where they began" in found.notes[0]
    near = {"type": "Polygon", "coordinates": [[*RING[:-1], [0, 1e-9]]]}
    found = reading(tmp_path, [near, POLYGON])
    assert found.items[0].area == 16
    assert "1 ring(s) ended within" in found.notes[0]


def ring(*positions):
    return {"type": "Polygon", "coordinates": [list(positions)]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([feature(), feature(ring(*RING[:-1]))], "feature 2: a ring is not closed"),
        ([feature(), feature(ring([0, 0], [1, 1]))], "feature 2: a ring has 2 positions"),
        ([feature(ring([0, 0], [1, 1], [0, 0]))], "feature 1: a ring has 3 positions"),
        ([feature(ring([0, 0], [1, math.nan], [1, 1], [0, 0]))], "feature 1: a position is [1, nan]"),
        ([feature(ring([0, 0], [1, math.inf], [1, 1], [0, 0]))], "feature 1: a position is [1, inf]"),
        ([feature(ring([0, 0], [1, 1e12], [1, 1], [0, 0]))], "feature 1: a position is [1, 1e+12], which lies on no"),
        ([feature(ring([0, 0], [True, False], [1, 1], [0, 0]))], "feature 1: a position is [True, False]"),
        ([feature(ring([0, 0], ["1", 2], [1, 1], [0, 0]))], "feature 1: a position is ['1', 2]"),
        ([feature(ring([0, 0], [1], [1, 1], [0, 0]))], "feature 1: a position is [1]"),
        ([feature(ring([0, 0], [10**400, 1], [1, 1], [0, 0]))], "feature 1: a position is"),
        ([feature({"type": "LineString", "coordinates": [[1, 2]]})], "feature 1: a line has 1 point"),
        ([feature({"type": "MultiPoint", "coordinates": []})], "feature 1: its geometry has no positions"),
        ([feature({"type": "Polygon"})], "feature 1: its geometry has no rings"),
        ([feature({"type": "Circle"})], "feature 1: its geometry is Circle"),
        ([feature({"type": ["Polygon"]})], "feature 1: its geometry is ['Polygon']"),
        ([{"type": "Feature", "properties": {}}], "feature 1: its geometry is missing"),
        ([feature(propertIes={"name": "x"})], "feature 1: it has no 'properties'"),
        ([feature(properties=[1])], "feature 1: its properties"),
        ([feature(properties={"name": 5})], "feature 1: its name is '5'"),
        ([feature(properties={"isLocked": "yes"})], "feature 1: 'isLocked' is 'yes'"),
        ([feature(properties={"classification": 5})], "feature 1: its classification is '5'"),
        ([feature(properties={"classification": {"name": "x", "color": [1, 2]}})], "feature 1: a colour is"),
        ([feature(properties={"measurements": [1]})], "feature 1: its measurements"),
        ([feature(properties={"measurements": {"a": "high"}})], "feature 1: measurement 'a' is 'high'"),
        ([feature(properties={"measurements": {"a": 10**400}})], "feature 1: measurement 'a' has 401 digits"),
        ([feature(properties={}, id=[1])], "feature 1: its id is"),
        ([feature(properties={}, id=True)], "feature 1: its id is 'True'"),
        ([feature(properties={}, nucleusGeometry=POINT)], "feature 1: the geometry of its nucleus"),
        ([feature(), 7], "feature 2: '7' is no GeoJSON feature"),
        ([feature(), {"type": "Thing"}], "feature 2: it is 'Thing'"),
        ({"type": "Topology"}, "it is 'Topology'"),
        ({"type": "FeatureCollection"}, "a FeatureCollection without features"),
        ({"type": "FeatureCollection", "features": {}}, "and features"),
        ({"type": "Topology", "features": []}, "it holds 'Topology' and features"),
        ('{"features": [], "features": []}', "its member 'features' occurs twice"),
        ("[] []", "more text after its end"),
        (json.dumps([feature(), feature()])[:-30], "feature 2: the file ends in the middle"),
        ("{", "found the end of the file"),
        ("[" * 100_000, "lists within lists"),
        ([feature(POINT, properties={"a": json.loads("[" * 40 + "]" * 40)})], "feature 1: a property has lists"),
        ([{"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection", "geometries": []}]}],
         "feature 1: its geometry has no geometries"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_with_the_feature(tmp_path, value, words):
    assert words in refused(tmp_path, value)


def test_collections_within_collections_end(tmp_path):
    inner = POINT
    for _ in range(20):
        inner = {"type": "GeometryCollection", "geometries": [inner]}
    assert "collections within collections" in refused(tmp_path, [feature(inner)])


def test_other_files_are_told_what_was_expected(tmp_path):
    assert "no file of annotations" in refused(tmp_path, "hello")
    (tmp_path / "a.geojson").write_bytes(b'[{"a": "\xff\xfe"}]')
    with pytest.raises(InputError, match="no UTF-8"):
        read_annotations(tmp_path / "a.geojson")
    with pytest.raises(NothingFound):
        read_annotations(tmp_path / "nothing")


def test_outlines_of_a_machine_in_micrometres_are_read_in_pixels(tmp_path):
    square = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)])
    affine = np.array([[0, 1, 5.0], [1, 0, 7.0], [0, 0, 1]])
    frame = Frame("um", "um", (0.5, 0.25), affine, "um")
    write_geojson(Objects.from_polygons([square], frame=frame, name="cells"), tmp_path / "a.geojson")
    found = read_annotations(tmp_path / "a.geojson")
    assert found.name == "cells"
    assert found.items[0].area == 8 * 16
    assert found.frame.unit == "pixel"
    assert found.frame.to_world(np.array([8.0, 16.0])).tolist() == frame.to_world(np.array([4.0, 4.0])).tolist()
    text = (tmp_path / "a.geojson").read_text(encoding="utf-8").replace('"count": 1', '"count": 2')
    assert "its header promises 2" in refused(tmp_path, text)
    text = text.replace('"count": 2', '"count": 1')
    for wrong in (
        text.replace('"count": 1', '"count": "1"'),
        text.replace('"count": 1', '"count": 1, "bounds": [1]'),
        text.replace('"unit": "um"', '"unit": "pixel"'),
    ):
        assert "member 'workbench' is damaged" in refused(tmp_path, wrong)


def test_bounds_move_coordinates_and_an_assumption_is_said(tmp_path):
    bounds = (1000, 200, 50, 80)
    found = reading(tmp_path, POLYGON, frame="bounds", bounds=bounds)
    assert found.items[0].shape.parts[0][0].tolist() == [[200, 1000], [204, 1000], [204, 1004], [200, 1004]]
    assert found.notes == ()
    decimals = reading(tmp_path, {"type": "Point", "coordinates": [0.1, 61781.95]}, frame="bounds", bounds=bounds)
    assert decimals.items[0].shape.parts[0][0].tolist() == [[200.1, 62781.95]]
    slide = SlidePlace((2000, 3000), bounds=bounds)
    assert "from which QuPath counts" in reading(tmp_path, POLYGON, slide=slide).notes[0]
    assert reading(tmp_path, POLYGON, slide=slide, frame="file").notes == ()
    assert reading(tmp_path, POLYGON, slide=slide, frame="bounds").items[0].shape.parts[0][0][0].tolist() == [200, 1000]
    assert reading(tmp_path, POLYGON, slide=SlidePlace((9, 9), bounds=(0, 0, 5, 5))).notes == ()
    with pytest.raises(UsageError, match="need its bounds"):
        reading(tmp_path, POLYGON, frame="bounds")
    with pytest.raises(UsageError, match="expected 'file'"):
        reading(tmp_path, POLYGON, frame="world")


def test_what_lies_beyond_the_slide_is_said(tmp_path):
    found = reading(tmp_path, [POLYGON, SEVERAL], slide=SlidePlace((6, 6)))
    assert "1 of 2 annotation(s) reach beyond the slide of 6 x 6 pixels" in found.notes[0]


def test_annotations_are_in_pixels():
    with pytest.raises(GeometryError, match="pixels were expected"):
        Annotations((), Frame("um", "um", (0.5, 0.5)))
