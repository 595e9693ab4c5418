"""Outlines in columns: back bit by bit, and as others read and write them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, NothingFound, WorkbenchWarning
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.data import geoparquet
from workbench.data.objects import read_objects

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra slides)")
from pyarrow import parquet  # noqa: E402


def some(count=7, dtype=np.float32, ids=None):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 90_000, (count, 1, 2)) + np.array([[0, 0], [12.5, 0], [14, 9.25], [0, 8]])
    polygons = [[[c]] for c in corners.astype(dtype)]
    polygons[1] = [[corners[1].astype(dtype), (corners[1][0] + [[2, 2], [4, 2], [4, 4]]).astype(dtype)]]
    polygons[2] = [[corners[2].astype(dtype)], [(corners[2] + 100).astype(dtype)]]
    return Objects.from_polygons(
        polygons, class_values=np.arange(count) % 3, ids=np.arange(1, count + 1) if ids is None else ids,
        probabilities=rng.random(count).astype(np.float32), classes=ClassTable.from_names(["Tumor", "Stroma"]),
        measurements={"area [um2]": rng.random(count), "neighbours": np.arange(count, dtype=np.int32)},
        frame=Frame.of(np.diag([0.25, 0.25, 1.0]), "um"), name="nuclei",
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [3, 50_000])
def test_all_comes_back(tmp_path, dtype, rows, monkeypatch):
    monkeypatch.setattr(geoparquet, "_ROWS", rows)
    objects = some(dtype=dtype)
    geoparquet.write_geoparquet(objects, tmp_path / "a.parquet")
    again = read_objects(tmp_path / "a.parquet")
    for name in ("coordinates", "ring_offsets", "polygon_offsets", "object_offsets", "class_values", "ids",
                 "probabilities"):  # fmt: skip
        np.testing.assert_array_equal(getattr(again, name), getattr(objects, name))
        assert getattr(again, name).dtype == getattr(objects, name).dtype
    assert again.classes.to_json() == objects.classes.to_json()
    assert again.frame.matches(objects.frame)
    assert again.name == "nuclei"
    assert list(again.measurements) == list(objects.measurements)
    for key, values in objects.measurements.items():
        np.testing.assert_array_equal(again.measurements[key], values)


def test_others_find_what_the_standard_says(tmp_path):
    objects = some(ids=np.array([f"cell {i}" for i in range(7)]))
    geoparquet.write_geoparquet(objects, tmp_path / "a.parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"][geo["primary_column"]]["encoding"] == "WKB"
    shapes = shapely.from_wkb(table.column("geometry").to_pylist())
    assert shapely.is_valid(shapes).all()
    np.testing.assert_allclose(shapely.area(shapes), objects.areas(), rtol=1e-6)
    assert table.column("class").to_pylist() == [None, "Tumor", "Stroma", None, "Tumor", "Stroma", None]
    assert table.column("id").to_pylist()[3] == "cell 3"


def test_files_of_others_are_read(tmp_path):
    shapes = [shapely.box(0, 0, 4, 4), shapely.box(10, 10, 12, 13)]
    table = pa.table({"geom": shapely.to_wkb(shapes).tolist(), "class": ["a", "b"], "score": [0.5, 1.5]})
    table = table.replace_schema_metadata({b"geo": json.dumps({"primary_column": "geom"}).encode()})
    parquet.write_table(table, tmp_path / "b.parquet")
    objects = read_objects(tmp_path / "b.parquet")
    assert objects.areas().tolist() == [16, 6]
    assert [c.name for c in objects.classes] == ["a", "b"]
    assert objects.class_values.tolist() == [1, 2]
    assert objects.measurements["score"].tolist() == [0.5, 1.5]


def test_outlines_without_any_area_are_left_out_and_said(tmp_path):
    line, box = np.array([[0, 0], [5, 5], [10, 10.0]]), np.array([[0, 0], [4, 0], [4, 4], [0, 4.0]])
    objects = Objects.from_polygons([line, box], measurements={"a": np.array([1.0, 2.0])})
    with pytest.warns(WorkbenchWarning, match=r"1 object\(s\) without any area were left out"):
        geoparquet.write_geoparquet(objects, tmp_path / "a.parquet")
    again = read_objects(tmp_path / "a.parquet")
    assert again.ids.tolist() == [2]
    assert again.measurements["a"].tolist() == [2.0]


def test_outlines_that_cross_themselves_are_mended(tmp_path):
    objects = Objects.from_polygons([np.array([[0, 0], [10, 10], [10, 0], [0, 10.0]])])
    with pytest.warns(WorkbenchWarning, match="crossed themselves"):
        geoparquet.write_geoparquet(objects, tmp_path / "a.parquet")
    shape = shapely.from_wkb(parquet.read_table(tmp_path / "a.parquet").column("geometry").to_pylist()[0])
    assert shape.is_valid
    assert shape.area == pytest.approx(50)


def test_none_at_all(tmp_path):
    empty = some().select(slice(0, 0))
    geoparquet.write_geoparquet(empty, tmp_path / "a.parquet")
    assert len(read_objects(tmp_path / "a.parquet")) == 0


def test_what_is_none_is_refused(tmp_path):
    with pytest.raises(NothingFound):
        read_objects(tmp_path / "no.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InputError, match="no GeoParquet that can be read"):
        read_objects(tmp_path / "text.parquet")
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "plain.parquet")
    with pytest.raises(InputError, match="no column of geometry"):
        read_objects(tmp_path / "plain.parquet")
    line = shapely.to_wkb([shapely.LineString([(0, 0), (1, 1)])]).tolist()
    parquet.write_table(pa.table({"geometry": line}), tmp_path / "line.parquet")
    with pytest.raises(InputError, match="object 1 is no area"):
        read_objects(tmp_path / "line.parquet")
    parquet.write_table(pa.table({"geometry": [b"\x01\x02"]}), tmp_path / "bytes.parquet")
    with pytest.raises(InputError, match="no WKB"):
        read_objects(tmp_path / "bytes.parquet")
