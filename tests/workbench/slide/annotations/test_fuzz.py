"""Damaged bytes: refused in one line, or read as a plain reader of the same bytes finds them; nothing else."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.slide.annotations.test_write import full
from tests.workbench.slide.annotations.test_xml import SLIDE, asap, box, coordinates, of_asap, region, scope
from workbench.core.errors import InputError
from workbench.slide.annotations.read import read_annotations
from workbench.slide.annotations.write import write_annotations

_INTERESTING = [
    b"", b"{", b"]", b'"', b",", b"-", b"1e999", b"NaN", b"null", b"\xff", b"\\ud800", b"9" * 5000, b"[" * 300,
]  # fmt: skip


@pytest.fixture(scope="module")
def seed_bytes(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("seed") / "a.geojson"
    write_annotations(full(), path)
    return path.read_bytes()


@st.composite
def damages(draw):
    """(place from 0 to 1, length that goes, bytes that come) up to three times."""
    come = st.one_of(st.sampled_from(_INTERESTING), st.binary(max_size=4))
    one = st.tuples(st.floats(0, 1), st.integers(0, 12), come)
    return draw(st.lists(one, min_size=1, max_size=3))


def damaged(whole: bytes, changes) -> bytes:
    for place, gone, come in changes:
        at = int(place * len(whole))
        whole = whole[:at] + come + whole[at + gone :]
    return whole


def _read(path: Path):
    """The annotations, or the line of the error."""
    try:
        return read_annotations(path, slide=SLIDE), ""
    except InputError as error:
        return None, str(error)


def _positions(path: Path) -> np.ndarray:
    """All positions in the order of the file, by the standard library and shapely; fails where these do."""
    plain = json.loads(path.read_text(encoding="utf-8-sig"))
    features = plain if isinstance(plain, list) else plain.get("features", [plain])
    geometries = [f.get("geometry", f) if isinstance(f, dict) and f.get("type") == "Feature" else f for f in features]
    shapes = [shapely.from_geojson(json.dumps(g)) for g in geometries if g is not None]
    return np.concatenate([np.zeros((0, 2)), *(shapely.get_coordinates(s) for s in shapes)])


def _found(annotations) -> np.ndarray:
    rows = [np.zeros((0, 2))]
    for item in annotations:
        for points in item.shape.rings():
            rows += [points, points[:1]] if item.shape.kind == "areas" else [points]
    return np.concatenate(rows)


@settings(max_examples=400)
@given(changes=damages())
def test_damaged_geojson_is_refused_or_read_as_it_stands(tmp_path_factory, seed_bytes, changes):
    path = tmp_path_factory.getbasetemp() / "fuzz.geojson"
    path.write_bytes(damaged(seed_bytes, changes))
    found, line = _read(path)
    assert "\n" not in line
    if found is None:
        assert line.startswith(f"{path}: ")
        return
    if all("beyond the slide" in note for note in found.notes):
        assert np.array_equal(_found(found), _positions(path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_annotations(found, path)
        again = read_annotations(path)
    assert len(again) == len(found)


XML = [
    asap(of_asap("Polygon", coordinates((0, 0), (4, 0), (4, 4))), of_asap("Dot", coordinates((1, 2)))),
    scope(region(*box(0, 0, 100)), region(*box(10, 10, 5), negative=1), region((0, 0), (4, 2), kind=2)),
    '<annotations><ndpviewstate id="1"><title>t</title><annotation type="freehand" color="#ff0000"><closed>1</closed>'
    "<pointlist><point><x>0</x><y>0</y></point><point><x>9000</x><y>0</y></point><point><x>9000</x><y>9000</y></point>"
    "</pointlist></annotation></ndpviewstate></annotations>",
]


@settings(max_examples=200)
@given(which=st.sampled_from(range(3)), changes=damages())
def test_damaged_xml_is_refused_or_read(tmp_path_factory, which, changes):
    path = tmp_path_factory.getbasetemp() / "fuzz.xml"
    path.write_bytes(damaged(XML[which].encode(), changes))
    found, line = _read(path)
    assert "\n" not in line
    if found is None:
        assert line.startswith(f"{path}: ")
        return
    assert all(np.isfinite(points).all() for item in found for points in item.shape.rings())
    write_annotations(found, path.with_suffix(".geojson"))
    assert len(read_annotations(path.with_suffix(".geojson"))) == len(found)
