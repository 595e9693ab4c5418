"""Objects to GeoJSON and back, exactly; files of others; and one clear line for each way a file can be broken."""

import json
import subprocess
import sys

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.core.test_objects import HOLE, SQUARE, TRIANGLE, mixed, stars
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError, NothingFound, WorkbenchWarning
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.core.types import Geometry, Image, Provenance, Result
from workbench.data.geojson import read_geojson, write_geojson
from workbench.data.objects import read_objects
from workbench.data.write import write


def same(a: Objects, b: Objects) -> None:
    """Equal to the last bit."""
    assert a.coordinates.dtype == b.coordinates.dtype
    for key in ("coordinates", "ring_offsets", "polygon_offsets", "object_offsets", "class_values", "ids"):
        assert np.array_equal(getattr(a, key), getattr(b, key)), key
    assert (a.probabilities is None) == (b.probabilities is None)
    if a.probabilities is not None:
        assert np.array_equal(a.probabilities, b.probabilities, equal_nan=True)
    assert list(a.measurements) == list(b.measurements)
    for key, values in a.measurements.items():
        assert values.dtype == b.measurements[key].dtype
        assert np.array_equal(values, b.measurements[key], equal_nan=values.dtype.kind == "f"), key
    assert a.classes == b.classes
    assert a.frame.matches(b.frame, tolerance=0)
    assert a.name == b.name


def test_a_file_holds_what_was_written_and_others_understand_it(tmp_path):
    affine = np.array([[0.0, 0.25, 10.0], [-0.25, 0.0, 20.0], [0, 0, 1]])
    objects = mixed(frame=Frame.of(affine, "um"))
    (path,) = write(objects, tmp_path / "out")
    assert path.name == "nuclei.geojson"
    again = read_objects(path)
    same(objects, again)
    np.testing.assert_allclose(again.areas(), objects.areas(), atol=1e-6)
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert plain["type"] == "FeatureCollection"
    first, second, third = plain["features"]
    assert first["geometry"] == {
        "type": "Polygon",
        "coordinates": [[*SQUARE.tolist(), SQUARE[0].tolist()], [*HOLE.tolist(), HOLE[0].tolist()]],
    }
    assert first["id"] == "a"
    assert first["properties"]["classification"] == {"name": "stroma", "color": [86, 180, 233]}
    assert first["properties"]["probability"] == 0.5
    assert first["properties"]["measurements"] == {"perimeter [um]": 1.0}
    assert "classification" not in second["properties"]
    assert third["geometry"]["type"] == "MultiPolygon"
    assert plain["workbench"]["frame"]["unit"] == "pixel"


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), dtype=st.sampled_from([np.float32, np.float64]), scale=st.sampled_from([1e-3, 1, 1e5])
)
def test_every_number_comes_back_to_the_last_bit(tmp_path_factory, seed, dtype, scale):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, scale, (7, 5, 2))
    around = np.arctan2(*(points - points.mean(axis=1, keepdims=True)).T).T
    points = np.take_along_axis(points, np.argsort(around, axis=1)[..., None], axis=1)  # no outline crosses itself
    points = (points + rng.normal(0, scale * 10)).astype(dtype)
    odd = rng.normal(0, 1, 7).astype(np.float32)
    odd[2:5] = np.nan, np.inf, -np.inf
    objects = Objects.from_polygons(
        points,
        probabilities=np.where(rng.random(7) < 0.3, np.nan, rng.random(7)),
        measurements={"odd": odd, "n": rng.integers(0, 9, 7), "fine": rng.normal(0, 1, 7)},
        ids=rng.permutation(7) + 10**12,
    )
    path = tmp_path_factory.mktemp("bits") / "a.geojson"
    write_geojson(objects, path)
    same(objects, read_geojson(path))


def test_float32_is_written_with_few_digits(tmp_path):
    points = np.array([[(0.1, 1234.56), (7.3, 60_000.125), (1e-4, 3)]], np.float32)
    write_geojson(Objects.from_polygons(points), tmp_path / "a.geojson")
    assert "[[0.1,1234.56],[7.3,60000.125],[0.0001,3.0],[0.1,1234.56]]" in (tmp_path / "a.geojson").read_text(
        encoding="utf-8"
    )


BOW = np.array([(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)]) + 20
LASSO = np.array([(0, 0), (10, 0), (10, 10), (3, 10), (3, 3), (6, 3), (6, 6), (0, 6)], float) + 40
"""Goes twice around a square of 3 x 3."""
TOUCHING = np.array([(0, 0), (2, 0), (2, 2), (4, 2), (4, 4), (2, 4), (2, 2), (0, 2)], float) + 60
LINE = np.array([(0.0, 0.0), (4.0, 0.0), (2.0, 0.0)]) + 80


def areas_in(path) -> list[float]:
    """Of the features of a file as shapely reads them, all of them valid."""
    shapes = [
        shapely.from_geojson(json.dumps(f["geometry"]))
        for f in json.loads(path.read_text(encoding="utf-8"))["features"]
    ]
    assert all(shapely.is_valid(s) for s in shapes)
    return [s.area for s in shapes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outlines_that_cross_themselves_are_mended_and_the_others_are_not_touched(tmp_path, dtype):
    beyond = HOLE + np.array([2.0, 0.0])  # half of this hole lies outside of the square
    shapes = [
        [[SQUARE, HOLE]],
        [[BOW]],
        [[TRIANGLE]],
        [[LINE]],
        [[LASSO]],
        [[SQUARE], [SQUARE + 2]],
        [[SQUARE, beyond]],
    ]
    objects = Objects.from_polygons(
        [[[ring.astype(dtype) for ring in rings] for rings in pieces] for pieces in shapes],
        ids=list("abcdefg"), name="odd",
    )  # fmt: skip
    with pytest.warns(WorkbenchWarning, match=r"4 outline\(s\) crossed .* changed areas by .*1 object.* number 4"):
        write_geojson(objects, tmp_path / "a.geojson")
    assert areas_in(tmp_path / "a.geojson") == pytest.approx([14, 8, 9, 88, 28, 15])
    again = read_geojson(tmp_path / "a.geojson")
    assert again.ids.tolist() == list("abcefg")
    assert again.coordinates.dtype == dtype
    for i, j in ((0, 0), (2, 2)):
        for one, other in zip(objects.polygon(i)[0], again.polygon(j)[0], strict=True):
            assert np.array_equal(one, other)
    own = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["workbench"]
    assert own["count"] == 6
    assert own["mended"]["left_out"] == 1


def test_mending_that_changes_no_area_is_no_cause_for_a_warning(tmp_path):
    write_geojson(Objects.from_polygons([TOUCHING]), tmp_path / "a.geojson")
    assert areas_in(tmp_path / "a.geojson") == [8]


def test_a_file_of_nothing_but_lines_has_no_features(tmp_path):
    with pytest.warns(WorkbenchWarning, match="1 object"):
        write_geojson(Objects.from_polygons([LINE]), tmp_path / "a.geojson")
    assert len(read_geojson(tmp_path / "a.geojson")) == 0


def test_no_objects_and_unused_classes_survive(tmp_path):
    classes = ClassTable((ClassInfo(7, 'ä, "b"', (1, 2, 3)), ClassInfo(3, "never", (4, 5, 6))))
    for objects in (
        Objects.from_polygons([], classes=classes, measurements={"a": np.zeros(0, np.float32)}, name="none"),
        Objects.from_polygons([SQUARE], classes=classes, class_values=[7], name="one"),
    ):
        write_geojson(objects, tmp_path / "a.geojson")
        same(objects, read_geojson(tmp_path / "a.geojson"))


def qupath(**more):
    ring = [*SQUARE.tolist(), SQUARE[0].tolist()]
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, **more}


def test_files_of_others_are_read(tmp_path):
    """As QuPath exports: indented, with other members, old and new measurements and colours, or a bare list."""
    features = [
        qupath(id="u-1", properties={"objectType": "annotation", "classification": {"name": "Tumor",
               "color": [200, 0, 0]}, "measurements": {"Area µm^2": 4.5}}),
        qupath(properties={"classification": {"name": "Stroma", "colorRGB": -3670016}, "isLocked": True,
               "measurements": [{"name": "Length", "value": 2}, {"name": "Area µm^2", "value": "NaN"}]}),
        qupath(properties=None),
        qupath(properties={"classification": {"names": ["Tumor", "Positive"]}}),
    ]  # fmt: skip
    for i, text in enumerate(
        (json.dumps({"features": features, "type": "FeatureCollection", "x": [1, {"y": None}]}, indent=2),
         "\ufeff" + json.dumps(features))
    ):  # fmt: skip
        path = tmp_path / f"others{i}.geojson"
        path.write_text(text, encoding="utf-8")
        found = read_objects(path)
        assert found.name == path.stem
        assert found.areas().tolist() == [16] * 4
        assert found.classes.names == ("Tumor", "Stroma", "Tumor: Positive")
        assert [c.color for c in found.classes][:2] == [(200, 0, 0), (200, 0, 0)]
        assert found.class_values.tolist() == [1, 2, 0, 3]
        assert found.ids.tolist() == ["u-1", "feature 2", "feature 3", "feature 4"]
        assert found.probabilities is None
        assert found.frame.unit == "pixel"
        np.testing.assert_array_equal(found.measurements["Area µm^2"], [4.5, np.nan, np.nan, np.nan])
        np.testing.assert_array_equal(found.measurements["Length"], [np.nan, 2, np.nan, np.nan])


def test_our_member_counts_wherever_it_stands(tmp_path):
    objects = mixed(frame=Frame.of(unit="um", pixel_size=(0.5, 0.5)))
    write_geojson(objects, tmp_path / "a.geojson")
    plain = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    (tmp_path / "b.geojson").write_text(json.dumps({k: plain[k] for k in reversed(plain)}))
    same(objects, read_geojson(tmp_path / "b.geojson"))


def broken(tmp_path, change) -> str:
    """The error for a file of three objects whose text or features were changed."""
    path = tmp_path / "bad.geojson"
    write_geojson(mixed(), path)
    text = path.read_text(encoding="utf-8")
    plain = json.loads(text)
    changed = change(plain)
    path.write_text(changed if isinstance(changed, str) else json.dumps(plain), encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_objects(path)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def part(number, *keys, to):
    def change(plain):
        place = plain["features"][number]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


RING = ("geometry", "coordinates", 0)
BIG = [[-99, -99], [99, -99], [99, 99], [-99, 99], [-99, -99]]
AWAY = [[500, 500], [501, 500], [501, 501], [500, 500]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (part(1, *RING, 1, to=[1.0]), "feature 2: a position is [1.0]"),
        (part(1, *RING, 1, to=[1.0, float("nan")]), "feature 2: a position is [1.0, nan]"),
        (part(2, "geometry", "coordinates", 0, 0, 1, to=["1", 2]), "feature 3: a position is ['1', 2]"),
        (part(1, *RING, 1, to=[10**400, 1]), "feature 2: a position is [1000"),
        (part(1, *RING, 1, to=[True, False]), "feature 2: a position is [True, False]"),
        (part(0, "geometry", "coordinates", 1, to=BIG), "object 1 of 3: its holes are larger than their outline"),
        (part(0, "geometry", "coordinates", 1, to=AWAY), "object 1 of 3: a hole lies outside of its outline"),
        (part(1, *RING, 1, to=7), "feature 2: a position is 7"),
        (part(0, *RING, to=[[0, 0], [1, 1], [0, 0]]), "feature 1: a ring has 3 positions"),
        (part(0, *RING, 0, to=[9, 9]), "feature 1: a ring is not closed"),
        (part(2, "geometry", "coordinates", to=[]), "feature 3: it has no outlines"),
        (part(2, "geometry", "coordinates", to=[[]]), "feature 3: it has a polygon without rings"),
        (part(1, "geometry", to=None), "feature 2: its geometry is missing"),
        (part(1, "geometry", to={"type": "Point", "coordinates": [1, 2]}), "feature 2: its geometry is Point"),
        (part(1, "type", to="Thing"), "feature 2: not a GeoJSON feature"),
        (part(1, "properties", to=[1]), "feature 2: its properties"),
        (part(1, "properties", "probability", to="high"), "feature 2: 'probability' is 'high'"),
        (part(1, "properties", "probability", to=1.5), "object 2 of 3: probability 1.5"),
        (part(2, "properties", "measurements", to=[1]), "feature 3: its measurements"),
        (part(0, "properties", "classification", to={"name": "x", "color": [1, 2]}), "feature 1: the colour"),
        (part(1, "id", to="a"), "ids occur more than once"),
        (lambda p: p["features"].pop() and None, "holds 2 features, its header promises 3"),
        (lambda p: p.update(type="Topology"), "it holds a Topology"),
        (lambda p: p.pop("features") and None, "without features"),
        (lambda p: p["workbench"].update(frame={"name": "x"}), "member 'workbench' is damaged"),
        (lambda p: p["workbench"].update(measurements={"a": "no type"}), "member 'workbench' is damaged"),
        (lambda p: p.update(workbench=3), "member 'workbench' is no object"),
        (lambda p: json.dumps(p)[:-1] + "} }", "there is more text after its end"),
        (lambda p: json.dumps(p)[: json.dumps(p).index('"id": "b"') + 30], "feature 2: the file ends in the middle"),
        (lambda p: json.dumps(p).replace('"id": "c"', '"id" "c"'), "feature 3: expecting ':'"),
        (lambda p: json.dumps(p).replace('}, {"type": "Feature"', '} {"type": "Feature"', 1), "feature 1: found '{'"),
        (lambda p: "hello", "found 'h'"),
        (lambda p: "", "found the end of the file"),
        (lambda p: "[" * 100_000, "lists within lists"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_feature(tmp_path, change, words):
    assert words in broken(tmp_path, change)


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    (tmp_path / "a.geojson").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(InputError, match="no UTF-8"):
        read_objects(tmp_path / "a.geojson")
    with pytest.raises(NothingFound):
        read_objects(tmp_path / "b.geojson")
    with pytest.raises(InputError, match=r"GeoJSON.*'\.svg'"):
        read_objects(tmp_path / "b.svg")


def test_a_damaged_feature_far_in_the_file_is_found(tmp_path):
    """Beyond the first piece that is read, and with values that are cut by the pieces."""
    path = tmp_path / "many.geojson"
    write_geojson(stars(4000), path)
    assert path.stat().st_size > 2 << 20
    same(stars(4000), read_geojson(path))
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[3 + 3210] = lines[3 + 3210].replace('"probability":', '"probability";')
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match="feature 3211: expecting ':'"):
        read_geojson(path)


def test_what_cannot_be_told_apart_later_is_not_written(tmp_path):
    twins = ClassTable((ClassInfo(1, "a", (0, 0, 0)), ClassInfo(2, "a", (0, 0, 0))))
    with pytest.raises(GeometryError, match="two classes are called 'a'"):
        write_geojson(Objects.from_polygons([SQUARE], classes=twins), tmp_path / "a.geojson")
    with pytest.raises(GeometryError, match="no number"):
        write_geojson(Objects.from_polygons([SQUARE + np.inf]), tmp_path / "a.geojson")
    assert not list(tmp_path.iterdir())


def result_of(objects: Objects) -> Result:
    affine = np.array([[0.0, 0.25, 10.0], [-0.25, 0.0, 20.0], [0, 0, 1]])
    geometry = Geometry((30, 40), affine, ("row", "column"), "um")
    image = Image(geometry, np.dtype("u1"), ("gray",), lambda: np.zeros((1, 30, 40), "u1"), kind="scene")
    return Result({"cells": objects}, image, Provenance("toy", "none", None, {}))


def test_a_result_is_written_with_its_objects_and_their_classes(tmp_path):
    affine = np.array([[0.0, 0.25, 10.0], [-0.25, 0.0, 20.0], [0, 0, 1]])
    objects = mixed(frame=Frame.of(affine, "um"))
    *_, cells, record = write(result_of(objects), tmp_path, name="case")
    assert cells.name == "cells.geojson"
    stored = json.loads(record.read_text(encoding="utf-8"))
    assert [c["name"] for c in stored["classes"]] == ["tumour", "stroma"]
    assert stored["files"]["cells.geojson"]["size"] == cells.stat().st_size
    same(objects, read_objects(cells))


def test_objects_of_another_place_are_not_written(tmp_path):
    wrong = mixed(frame=Frame.of(np.diag([0.25, 0.25, 1.0]), "um"))
    with pytest.raises(GeometryError, match="objects 'cells' of the result do not lie on"):
        write(result_of(wrong), tmp_path, name="case")
    with pytest.raises(GeometryError, match="do not lie on"):
        write(wrong, tmp_path, source=result_of(mixed()).image)
    assert not list(tmp_path.iterdir())


_MILLION = """
import gc, resource, sys, time
from pathlib import Path
import numpy as np
import psutil
from tests.workbench.core.test_objects import stars
from workbench.core.objects import Objects
from workbench.data.geojson import read_geojson, write_geojson
folder, what, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
path, arrays = folder / "million.geojson", folder / "arrays.npz"
def peak():
    try:  # ru_maxrss begins with that of the process that started this one
        return int(Path("/proc/self/status").read_text(encoding="utf-8").split("VmHWM:")[1].split()[0]) >> 10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
if what == "make":
    objects = stars(count)
    np.savez(arrays, points=objects.coordinates, rings=objects.ring_offsets, values=objects.class_values,
             chances=objects.probabilities, stain=objects.measurements["stain [OD]"])
else:
    kept = np.load(arrays)
    objects = Objects.from_rings(kept["points"], kept["rings"], class_values=kept["values"],
                                 probabilities=kept["chances"], measurements={"stain [OD]": kept["stain"]},
                                 classes=stars(1).classes, name="cells")
    areas = objects.areas()
    if what == "read":
        del objects, kept
        gc.collect()
    before, began = psutil.Process().memory_info().rss >> 20, time.perf_counter()
    if what == "write":
        write_geojson(objects, path)
    else:
        again = read_geojson(path)
    print(before, peak(), round(time.perf_counter() - began))
    if what == "read":
        assert abs(again.areas() - areas).max() <= 1e-6
"""


@pytest.mark.slow
def test_a_million_objects_are_written_and_read_within_a_few_hundred_megabytes(tmp_path):
    """MiB before and at the peak, seconds: the process that writes holds the arrays, that which reads does not."""
    said = {}
    for what in ("make", "write", "read"):
        command = [sys.executable, "-c", _MILLION, str(tmp_path), what, "1000000"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said[what] = [int(number) for number in done.stdout.split()]
    print(said, (tmp_path / "million.geojson").stat().st_size >> 20, "MiB")
    assert said["write"][1] - said["write"][0] < 250
    assert said["write"][1] < 800
    assert said["read"][1] - said["read"][0] < 1200


def test_writing_takes_no_more_memory_for_more_objects(tmp_path):
    import tracemalloc

    peaks = []
    for count in (5_000, 15_000):
        objects = stars(count, 6)
        tracemalloc.start()
        write_geojson(objects, tmp_path / "a.geojson")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The checks before take some bytes per object; as Python numbers one takes over a kilobyte.
    assert peaks[1] - peaks[0] < 10_000 * 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"type": "FeatureCollection", "features": [' + "9" * 5000 + "]}",
            "feature 1: a number of thousands of digits",
        ),
        ("[" * 100_000, "lists within lists without end"),
        ('{"a":' * 100_000, "lists within lists without end"),
        ('{"features": ["' + "y" * 1_000_000, "feature 1: the file ends in the middle"),
    ],
    ids=["digits", "lists", "objects", "text"],
)
def test_hostile_texts_are_one_line(tmp_path, text, words):
    (tmp_path / "o.geojson").write_text(text)
    with pytest.raises(InputError, match=words) as error:
        read_geojson(tmp_path / "o.geojson")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["probability", "measurements"])
def test_numbers_larger_than_any_are_refused(tmp_path, key):
    huge = 10**400
    more = {"measurements": {"area": huge}} if key == "measurements" else {"probability": huge}
    ring = [[0, 0], [4, 0], [4, 4], [0, 0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": more}
    (tmp_path / "o.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(InputError, match="401 digits"):
        read_geojson(tmp_path / "o.geojson")


def test_properties_of_another_name_are_not_lost_without_a_word(tmp_path):
    ring = [[0, 0], [4, 0], [4, 3], [0, 0]]
    feature = {"type": "Feature", "id": 1, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps([feature]))
    assert len(read_geojson(path)) == 1
    path.write_text(json.dumps([feature | {"propertIes": {"classification": {"name": "cell"}}}]))
    with pytest.raises(InputError, match="feature 1: it has no 'properties'.* but 'propertIes'"):
        read_geojson(path)


def test_a_hole_in_the_bay_of_an_outline_is_outside_and_one_that_touches_it_is_not():
    bay = [[0, 0], [9, 0], [9, 9], [6, 9], [6, 3], [3, 3], [3, 9], [0, 9]]
    Objects.from_polygons([[bay, [[3, 0], [6, 3], [3, 3]]], [bay, [[0, 0], [3, 3], [0, 3]]]]).validate()
    with pytest.raises(GeometryError, match="object 2 of 2: a hole lies outside"):
        Objects.from_polygons([bay, [bay, [[4, 5], [5, 5], [5, 6]]]]).validate()
