"""GeoJSON of other programs: what is an object in it, what a person said, and what no program can write again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.workbench.data.test_geojson import SQUARE, qupath
from workbench.core.errors import InputError, WorkbenchWarning
from workbench.data.objects import read_objects


def written(path, features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def test_what_lies_around_objects_is_none(tmp_path):
    """An export of all objects of QuPath holds annotations, cores and cells; only nuclei count."""
    inner = [*(SQUARE + 1).tolist(), (SQUARE[0] + 1).tolist()]
    cell = qupath(properties={"objectType": "cell", "classification": "nucleus"},
                  nucleusGeometry={"type": "Polygon", "coordinates": [inner]})  # fmt: skip
    around = qupath(properties={"objectType": "annotation", "classification": "Region"})
    core = qupath(properties={"objectType": "tmaCore"}, childObjects=[qupath(properties={"objectType": "detection"})])
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]},
             "properties": {"objectType": "annotation"}}  # fmt: skip
    with pytest.warns(WorkbenchWarning, match="3 annotations, cores.*left out; of 1 cells the nucleus was taken"):
        found = read_objects(written(tmp_path / "a.geojson", [around, cell, core, point]))
    assert len(found) == 2
    np.testing.assert_allclose(found.polygon(0)[0][0], SQUARE + 1)
    assert found.classes.names == ("nucleus",)
    assert len(read_objects(written(tmp_path / "b.geojson", [around, around]))) == 2, "somebody drew nuclei by hand"


def test_ids_that_are_types_are_none(tmp_path):
    found = read_objects(written(tmp_path / "a.geojson", [qupath(id="PathDetectionObject", properties={})] * 3))
    assert found.ids.tolist() == [1, 2, 3]


def test_words_of_a_review_in_any_letters_and_others_aloud(tmp_path):
    words = ["Accepted", "rejected ", "wrong", None, "EDITED"]
    features = [qupath(properties={"metadata": {"review": w}}) for w in words]
    with pytest.warns(WorkbenchWarning, match=r"1 review states were not understood \('wrong'\)"):
        found = read_objects(written(tmp_path / "a.geojson", features))
    assert found.review.tolist() == [1, 3, 0, 0, 2]


@pytest.mark.parametrize("own", [
    {"format": "objects", "classes": [{"value": 2**40, "name": "a", "color": [1, 2, 3]}]},
    {"format": "objects", "measurements": {"a": "S2000000000"}},
])  # fmt: skip
def test_a_damaged_header_is_said(tmp_path, own):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "workbench": own, "features": [qupath(properties={})]}))
    with pytest.raises(InputError, match="member 'workbench' is damaged"):
        read_objects(path)


def test_half_a_character_is_said_before_it_is_written(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text('{"type":"FeatureCollection","features":[' + json.dumps(
        qupath(properties={"classification": {"name": "a\ud800"}})) + "]}")  # fmt: skip
    with pytest.raises(InputError, match="half a character"):
        read_objects(path)


def test_measurements_keep_their_order(tmp_path):
    names = [f"m{i}" for i in range(40)]
    features = [qupath(properties={"measurements": dict.fromkeys(names, 1.0)})]
    assert list(read_objects(written(tmp_path / "a.geojson", features)).measurements) == names
