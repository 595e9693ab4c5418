"""Annotations out and in again: everything comes back, and every area in a file is valid."""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import shapely

from workbench.core.errors import UsageError
from workbench.core.frame import Frame
from workbench.slide.annotations.read import read_annotations
from workbench.slide.annotations.types import Annotation, Annotations, Shape
from workbench.slide.annotations.write import write_annotations

SQUARE = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)])
BOW = np.array([(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)])


def area(*rings, **more) -> Annotation:
    return Annotation(Shape("areas", (tuple(np.asarray(r, float) for r in rings),)), **more)


def same(a: Annotation, b: Annotation) -> None:
    """Equal to the last bit, with all that a file said."""
    for key in ("name", "class_name", "color", "class_color", "object_type", "locked", "properties", "members"):
        assert getattr(a, key) == getattr(b, key), key
    assert (a.id, type(a.id)) == (b.id, type(b.id))
    assert list(a.measurements) == list(b.measurements)
    np.testing.assert_array_equal(list(a.measurements.values()), list(b.measurements.values()))
    assert a.shape.same(b.shape)
    assert (a.nucleus is None) == (b.nucleus is None)
    assert a.nucleus is None or a.nucleus.same(b.nucleus)


def valid_areas(path) -> list[float]:
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    shapes = [shapely.from_geojson(json.dumps(f["geometry"])) for f in features]
    assert all(shapely.is_valid(s) for s in shapes)
    return [s.area for s in shapes]


def test_every_public_file_comes_back(shared_data, tmp_path):
    for path in sorted((shared_data / "slide" / "geojson").iterdir()):
        found = read_annotations(path)
        assert write_annotations(found, tmp_path / "a.geojson") == (), path
        again = read_annotations(tmp_path / "a.geojson")
        assert again.name == found.name
        assert len(again) == len(found)
        for one, other in zip(found, again, strict=True):
            same(one, other)
        assert valid_areas(tmp_path / "a.geojson") == pytest.approx([a.area for a in found], rel=1e-9)


def full() -> Annotations:
    line, points = np.array([(0.5, 1.0), (2.0, 3.25)]), np.array([(1.0, 2.0), (3.0, 4.5)])
    return Annotations(
        (
            area(SQUARE, [(1, 1), (1, 2), (3, 2)], id="0b7-ä", name='a "b"', class_name="Tumor: Positive",
                 class_color=(1, 2, 3), locked=True, measurements={"n": 3, "x": 0.1, "no": math.nan, "up": math.inf},
                 nucleus=Shape("areas", ((SQUARE / 2,),)), object_type="cell", color=(9, 8, 7),
                 properties={"metadata": {"k": ["v", None]}, "classification": {"names": ["Tumor", "Positive"]}},
                 members={"geometry": {"plane": {"z": 1}}, "extra": 1}),
            Annotation(Shape("lines", ((line,), (line + 5,))), id=5, name="half \ud800"),
            Annotation(Shape("points", ((points,),)), id=1.5),
            Annotation(Shape("areas", ((SQUARE + 10,), (SQUARE + 20,)))),
        ),
        Frame("pixel", "pixel", affine=np.array([[0, 0.5, 1.0], [0.5, 0, 2.0], [0, 0, 1]]), world_unit="um"),
        "work",
    )  # fmt: skip


def test_all_that_an_annotation_says_comes_back(tmp_path):
    found = full()
    assert write_annotations(found, tmp_path / "a.geojson") == ()
    again = read_annotations(tmp_path / "a.geojson")
    for one, other in zip(found, again, strict=True):
        same(one, other)
    assert again.frame.matches(found.frame, tolerance=0)
    assert again.name == "work"
    text = (tmp_path / "a.geojson").read_text(encoding="utf-8")
    assert '"coordinates":[[[0,0],[4,0],[4,4],[0,4],[0,0]],[[1,1],[1,2],[3,2],[1,1]]]' in text


def test_the_layout_is_that_of_qupath(tmp_path):
    write_annotations([area(SQUARE, id="x", class_name="Tumor", class_color=(200, 0, 0))], tmp_path / "a.geojson")
    (feature,) = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    ring = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
    assert feature == {
        "type": "Feature", "id": "x", "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}},
    }  # fmt: skip


def test_a_class_that_was_changed_is_the_class_of_the_file(tmp_path):
    first = full().items[0]
    labelled = area(SQUARE, class_name="", properties={"label": "old", "group": "old"})
    write_annotations([replace(first, class_name="Stroma"), labelled], tmp_path / "a.geojson")
    one, two = read_annotations(tmp_path / "a.geojson")
    assert one.class_name == "Stroma"
    assert two.class_name == ""


def test_areas_that_are_not_valid_are_mended_and_the_change_is_said(tmp_path):
    beyond = np.array([(3.0, 1.0), (5.0, 1.0), (5.0, 2.0), (3.0, 2.0)])
    lasso = [(0, 0), (10, 0), (10, 10), (3, 10), (3, 3), (6, 3), (6, 6), (0, 6)]
    items = [
        area(SQUARE, name="good"), area(BOW, name="bow"), area(SQUARE, beyond), area(SQUARE, SQUARE + 50),
        area(SQUARE[[0, 0, 1, 2, 2, 3]]), area([(0, 0), (4, 0), (2, 0)], name="flat"), area(lasso),
        Annotation(Shape("areas", ((SQUARE,), (SQUARE + 2,)))),
    ]  # fmt: skip
    notes = write_annotations(items, tmp_path / "a.geojson")
    assert valid_areas(tmp_path / "a.geojson") == pytest.approx([16, 8, 15, 16, 16, 0, 88, 28])
    assert len(notes) == 6
    assert notes[0] == (
        "annotation 2 'bow' crossed itself or had a hole outside and was mended: its area changed by 8 pixels, from 0"
    )
    assert notes[3] == "annotation 6 'flat' has no area and was written as a line"
    assert [a.shape.kind for a in read_annotations(tmp_path / "a.geojson")][5] == "lines"
    many = write_annotations([area(BOW)] * 30, tmp_path / "b.geojson")
    assert len(many) == 21
    assert many[-1] == "and 10 more annotation(s) were mended"


def test_bounds_there_and_back(tmp_path):
    bounds = (1000, 200, 50, 80)
    found = [area(SQUARE + (201.1, 1002.37), nucleus=Shape("areas", ((SQUARE + (201.1, 1002.37),),)))]  # noqa: RUF005
    write_annotations(found, tmp_path / "a.geojson", frame="bounds", bounds=bounds)
    assert "[[1.1,2.37],[5.1,2.37],[5.1,6.37],[1.1,6.37],[1.1,2.37]]" in (tmp_path / "a.geojson").read_text(
        encoding="utf-8"
    )
    (again,) = read_annotations(tmp_path / "a.geojson", frame="bounds", bounds=bounds)
    same(found[0], again)
    (again,) = read_annotations(tmp_path / "a.geojson")  # the file says it itself
    same(found[0], again)
    for wrong in ({"frame": "file"}, {"bounds": (1, 1, 50, 80)}):
        with pytest.raises(UsageError, match=r"says that it counts from the bounds \(1000, 200, 50, 80\)"):
            read_annotations(tmp_path / "a.geojson", **wrong)
    assert "from which QuPath counts" in write_annotations(found, tmp_path / "b.geojson", bounds=bounds)[0]
    with pytest.raises(UsageError):
        write_annotations(found, tmp_path / "c.geojson", frame="bounds")
    assert not (tmp_path / "c.geojson").exists()


@pytest.mark.slow
def test_any_number_is_written_in_the_same_memory_and_a_failure_leaves_the_old_file(tmp_path):
    peaks = []
    for count in (300, 3000):
        tracemalloc.start()
        write_annotations((area(SQUARE + i % 100, id=i) for i in range(count)), tmp_path / "a.geojson")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000
    assert len(read_annotations(tmp_path / "a.geojson")) == 3000

    def broken():
        yield area(SQUARE)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_annotations(broken(), tmp_path / "a.geojson")
    assert len(read_annotations(tmp_path / "a.geojson")) == 3000
    assert [p.name for p in tmp_path.iterdir()] == ["a.geojson"]
