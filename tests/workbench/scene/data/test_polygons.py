"""Training areas from GeoPackage, GeoJSON and shapefile, against rasterio on the same geometries."""

import json
import shutil
import sqlite3
import struct

import numpy as np
import pytest
import rasterio.crs
import rasterio.features
import rasterio.warp

import workbench as wb
from tests.scene_maker import COLUMNS, ROWS, cube, save_envi
from tests.scenes import scene_arrays
from workbench.core.class_match import match_classes
from workbench.core.errors import GeometryError, InputError
from workbench.data import formats
from workbench.scene.data.polygons import files_of, labels_of_polygons
from workbench.scene.train.lesson import SceneLearner
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.study import open_study

UTM = "EPSG:32632"
INFO = "{UTM, 1, 1, 500000.0, 5000000.0, 10.0, 10.0, 32, North, WGS-84, units=Meters}"
TRANSFORM = rasterio.Affine(10, 0, 500000, 0, -10, 5000000)


def box(top, left, bottom, right):
    """A ring around rows and columns of the grid."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return [at(*c) for c in corners]


def at(column, row):
    """Metres on the map of a place on the grid."""
    return [500000.0 + 10 * column, 5000000.0 - 10 * row]


AREAS = [
    ("water", {"type": "Polygon", "coordinates": [box(0, 0, 4, 6), box(1, 1, 3, 3)]}),  # with a hole
    ("soil", {"type": "MultiPolygon", "coordinates": [[box(5, 0, 7, 3)], [box(5, 5, 8, 9)]]}),
    ("grass", {"type": "Polygon", "coordinates": [box(0.2, 7.2, 3.4, 10.3)]}),
    ("grass", {"type": "Point", "coordinates": at(10.5, 8.5)}),
]
CODES = {"water": 7, "soil": 3, "grass": 5}


def wkb(g, extra=0):
    def ring(points):
        return struct.pack("<I", len(points)) + b"".join(struct.pack("<2d", *p) + b"\0" * 8 * extra for p in points)

    def polygon(rings):
        head = struct.pack("<BII", 1, 3 + 1000 * extra, len(rings))
        return head + b"".join(map(ring, rings))

    if g["type"] == "Point":
        return struct.pack("<BI2d", 1, 1 + 1000 * extra, *g["coordinates"]) + b"\0" * 8 * extra
    if g["type"] == "Polygon":
        return polygon(g["coordinates"])
    parts = g["coordinates"]
    return struct.pack("<BII", 1, 6 + 1000 * extra, len(parts)) + b"".join(map(polygon, parts))


def gpkg(path, areas, *, srs=32632, columns=("class",), extra=0, envelope=1):
    base = sqlite3.connect(path)
    base.executescript(
        "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, srs_id INTEGER);"
        "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT, srs_id INTEGER);"
        "CREATE TABLE gpkg_spatial_ref_sys (srs_id INTEGER, organization TEXT, organization_coordsys_id INTEGER,"
        " definition TEXT);"
        f"INSERT INTO gpkg_contents VALUES ('areas', 'features', {srs});"
        f"INSERT INTO gpkg_geometry_columns VALUES ('areas', 'geom', {srs});"
        f"INSERT INTO gpkg_spatial_ref_sys VALUES ({srs}, 'EPSG', {srs}, '');"
    )
    names = ", ".join(f'"{c}"' for c in columns)
    base.execute(f"CREATE TABLE areas (fid INTEGER PRIMARY KEY, geom BLOB, {names})")
    for name, g in areas:
        head = b"GP\0" + bytes([1 | envelope << 1]) + struct.pack("<i", srs) + b"\0" * (0, 32)[envelope]
        row = [head + wkb(g, extra), *(CODES[name] if c == "class_id" else name for c in columns)]
        base.execute(f"INSERT INTO areas (geom, {names}) VALUES ({', '.join('?' * len(row))})", row)
    base.commit()
    base.close()
    return path


def geojson(path, areas, *, crs=None, columns=("class",)):
    rows = [
        {"type": "Feature", "geometry": g, "properties": {c: CODES[n] if c == "class_id" else n for c in columns}}
        for n, g in areas
    ]
    content = {"type": "FeatureCollection", "features": rows}
    if crs:
        content["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(content))
    return path


def shapefile(path, areas, *, crs=UTM):
    body = b""
    for number, (_, g) in enumerate(areas, 1):
        if g["type"] == "Point":
            content = struct.pack("<i2d", 1, *g["coordinates"])
        else:
            polygons = [g["coordinates"]] if g["type"] == "Polygon" else g["coordinates"]
            rings = [r for p in polygons for r in p]
            starts = np.cumsum([0, *(len(r) for r in rings)])[:-1]
            points = [v for r in rings for p in r for v in p]
            content = struct.pack("<i4d2i", 5, 0, 0, 0, 0, len(rings), len(points) // 2)
            content += struct.pack(f"<{len(starts)}i", *starts) + struct.pack(f"<{len(points)}d", *points)
        body += struct.pack(">2i", number, len(content) // 2) + content
    head = struct.pack(">7i", 9994, 0, 0, 0, 0, 0, (100 + len(body)) // 2) + struct.pack("<2i8d", 1000, 5, *[0.0] * 8)
    path.write_bytes(head + body)
    field = b"class".ljust(11, b"\0") + b"C" + b"\0" * 4 + bytes([12, 0]) + b"\0" * 14
    rows = b"".join(b" " + n.encode().ljust(12) for n, _ in areas)
    table = struct.pack("<B3BIHH20x", 3, 126, 1, 1, len(areas), 32 + 32 + 1, 13) + field + b"\r" + rows
    path.with_suffix(".dbf").write_bytes(table)
    if crs:
        path.with_suffix(".prj").write_text(rasterio.crs.CRS.from_string(crs).to_wkt(version="WKT1_ESRI"))
    return path


def in_degrees(areas):
    return [(n, rasterio.warp.transform_geom(UTM, "EPSG:4326", g)) for n, g in areas]


def expected(values):
    found = np.zeros((ROWS, COLUMNS), int)
    for name, g in AREAS:
        drawn = rasterio.features.rasterize([g], out_shape=found.shape, transform=TRANSFORM)
        found[drawn > 0] = values[name]
    return found


@pytest.fixture
def scene(tmp_path):
    return formats.read(save_envi(tmp_path / "scene", cube(2), map_info=INFO))


BY_NAME = {"grass": 1, "soil": 2, "water": 3}


@pytest.mark.parametrize("how", ["gpkg", "gpkg z", "geojson", "geojson old", "shp", "gpkg degrees"])
def test_every_format_gives_the_pixels_that_rasterio_gives(tmp_path, scene, how):
    make = {
        "gpkg": lambda: gpkg(tmp_path / "a.gpkg", AREAS),
        "gpkg z": lambda: gpkg(tmp_path / "a.gpkg", AREAS, extra=1, envelope=0),
        "gpkg degrees": lambda: gpkg(tmp_path / "a.gpkg", in_degrees(AREAS), srs=4326),
        "geojson": lambda: geojson(tmp_path / "a.geojson", in_degrees(AREAS)),
        "geojson old": lambda: geojson(tmp_path / "a.geojson", AREAS, crs="urn:ogc:def:crs:EPSG::32632"),
        "shp": lambda: shapefile(tmp_path / "a.shp", AREAS),
    }
    path = make[how]()
    labels = labels_of_polygons(path, scene)
    np.testing.assert_array_equal(labels.data, expected(BY_NAME))
    assert {c.name: c.value for c in labels.classes} == BY_NAME
    assert labels.notes == ()
    assert len(files_of(path)) == (3 if how == "shp" else 1)


def test_values_of_their_own_and_columns_by_name(tmp_path, scene):
    both = gpkg(tmp_path / "a.gpkg", AREAS, columns=("class", "class_id"))
    labels = labels_of_polygons(both, scene)
    np.testing.assert_array_equal(labels.data, expected(CODES))
    assert {c.name: c.value for c in labels.classes} == CODES
    strange = gpkg(tmp_path / "b.gpkg", AREAS, columns=("remark",))
    with pytest.raises(InputError, match=r"no column of classes among fid, remark.*b.gpkg:fid"):
        labels_of_polygons(strange, scene)
    named = labels_of_polygons(f"{strange}:remark", scene)
    np.testing.assert_array_equal(named.data, expected(BY_NAME))
    with pytest.raises(InputError, match="no column 'remrk'"):
        labels_of_polygons(f"{strange}:remrk", scene)


def test_what_cannot_be_placed_or_told_is_said(tmp_path, scene):
    more = [*AREAS, ("soil", {"type": "Polygon", "coordinates": [box(0, 4, 2, 8)]})]
    more += [("soil", {"type": "LineString", "coordinates": box(0, 0, 1, 1)}), ("snow", AREAS[0][1])]
    more[-1] = ("snow", {"type": "Polygon", "coordinates": [box(50, 50, 51, 51)]})
    notes = labels_of_polygons(geojson(tmp_path / "a.geojson", more, crs=UTM), scene)
    assert notes.data[0, 5] == 0  # in water and soil
    assert any("pixels lie in polygons of two classes" in n for n in notes.notes)
    assert any("1 of 7 features are no areas" in n for n in notes.notes)
    assert any("polygons of snow" in n for n in notes.notes)
    away = geojson(tmp_path / "b.geojson", AREAS)  # metres taken for degrees
    with pytest.raises((GeometryError, InputError), match="b.geojson"):
        labels_of_polygons(away, scene)
    plain = formats.read(save_envi(tmp_path / "plain", cube(2)))
    with pytest.raises(GeometryError, match="need a scene with a map position"):
        labels_of_polygons(geojson(tmp_path / "c.geojson", AREAS), plain)
    no_system = labels_of_polygons(shapefile(tmp_path / "d.shp", AREAS, crs=None), scene)
    assert any("names no coordinate system" in n for n in no_system.notes)
    np.testing.assert_array_equal(no_system.data, expected(BY_NAME))


def test_what_an_open_program_saved_is_read(tmp_path, scene):
    path = gpkg(tmp_path / "a.gpkg", AREAS)
    editor = sqlite3.connect(path)  # as QGIS has it open: changes go to a log beside it first
    editor.execute("PRAGMA journal_mode=wal")
    editor.execute("UPDATE areas SET class = 'moor' WHERE class = (SELECT class FROM areas LIMIT 1)")
    editor.commit()
    assert "moor" in labels_of_polygons(path, scene).classes.names
    assert [f.name for f in files_of(path)] == ["a.gpkg", "a.gpkg-wal"]
    left = tmp_path / "left"  # the program was killed, or its index was not copied
    left.mkdir()
    for file in files_of(path):
        shutil.copy(file, left)
    assert "moor" in labels_of_polygons(left / "a.gpkg", scene).classes.names
    assert len(list(left.iterdir())) == 2
    editor.close()
    assert files_of(path) == (path,)


def test_damaged_files_are_one_line(tmp_path, scene):
    paths = [gpkg(tmp_path / "a.gpkg", AREAS), geojson(tmp_path / "a.geojson", AREAS)]
    paths.append(shapefile(tmp_path / "a.shp", AREAS))
    for path in paths:
        whole = path.read_bytes()
        for content in (b"", whole[:57], whole[: len(whole) // 2 + 1], b"x" * 300):
            path.write_bytes(content)
            with pytest.raises(InputError, match=path.name) as caught:
                labels_of_polygons(path, scene)
            assert "\n" not in str(caught.value)
        path.write_bytes(whole)
    (tmp_path / "a.dbf").unlink()
    with pytest.raises(InputError, match="no table a.dbf"):
        labels_of_polygons(paths[2], scene)
    base = sqlite3.connect(paths[0])
    base.execute("UPDATE areas SET geom = substr(geom, 1, length(geom) - 9)")
    base.commit()
    base.close()
    with pytest.raises(InputError, match="a geometry is cut off"):
        labels_of_polygons(paths[0], scene)


def test_polygons_teach_like_a_label_map(tmp_path):
    data, truth = scene_arrays(rows=44, columns=44)
    image = save_envi(tmp_path / "scene", data, map_info=INFO)
    areas = []
    for value, name in enumerate(("grass", "soil", "water"), 1):
        shapes = rasterio.features.shapes(truth, mask=truth == value, transform=TRANSFORM)
        areas += [(name, g) for g, _ in shapes]
    areas = [(n, json.loads(json.dumps(g))) for n, g in areas]
    path = gpkg(tmp_path / "areas.gpkg", areas)
    quick = {"device": "cpu", "components": 5, "patch": 5, "steps": 2, "batch": 9, "head_start": 60, "per_class": 15}
    report = wb.evaluate(
        "lola_specvit", wb.cases([wb.Case("s", image, path)]), out=tmp_path / "out", **quick, seeds=1, split="random",
        references=False,
    )  # fmt: skip
    assert report.rows[0]["test_pixels"] == 44 * 44 - 45
    np.testing.assert_array_equal(formats.read(tmp_path / "out" / "maps" / "reference.hdr").data[0], truth)
    assert SceneLearner(formats.read(image)).image.kind == "scene"


def coded(path, codes):
    """Polygons 1 to 3 with the numbers of a field; the codes of three places, ``None`` for no polygon there."""
    rings = [box(0, 0, 3, 4), box(3, 0, 6, 4), box(0, 5, 3, 9)]
    made = [
        {"type": "Feature", "properties": {"class": c}, "geometry": {"type": "Polygon", "coordinates": [r]}}
        for c, r in zip(codes, rings, strict=True)
        if c is not None
    ]
    crs = {"type": "name", "properties": {"name": UTM}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": made}))
    return path


def test_a_field_that_holds_a_zero_keeps_the_numbers_of_the_others(tmp_path, scene):
    found = labels_of_polygons(coded(tmp_path / "a.geojson", (0, 1, 2)), scene)
    assert {c.name: c.value for c in found.classes} == {"class 0": 3, "class 1": 1, "class 2": 2}
    assert (found.data[1, 1], found.data[4, 1], found.data[1, 6]) == (3, 1, 2)
    assert any("'class 0' has the value 3" in n for n in found.notes)
    plain = labels_of_polygons(coded(tmp_path / "b.geojson", (None, 1, 2)), scene)
    assert {c.name: c.value for c in plain.classes} == {"class 1": 1, "class 2": 2}
    assert match_classes(found.classes, plain).apply(plain.data)[4, 1] == 1
    assert not plain.notes


def test_test_polygons_meet_the_training_polygons_by_name(tmp_path):
    path = save_envi(tmp_path / "scene", cube(), map_info=INFO)
    learnt = ((0, 1, 2), ("tree", "grass", "water"))
    tested = ((1, 2, 0), ("grass", "water", None))
    for train, test in zip(learnt, tested, strict=True):
        case = wb.Case("a", path, coded(tmp_path / "tr.geojson", train))
        config = SceneTrainConfig(test_labels=str(coded(tmp_path / "te.geojson", test)))
        study = open_study([case], config)
        values = {c.name: c.value for c in study.labels.classes}
        assert {c.name: values[c.name] for c in study.test.classes} == {c.name: c.value for c in study.test.classes}
        name = f"class {test[0]}" if isinstance(test[0], int) else test[0]
        assert study.test.data[1, 1] == values[name]
