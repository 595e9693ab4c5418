"""Nuclei of CellViT and HoVer-Net: their JSON as objects, and their one MultiPolygon per class as nuclei."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import workbench as wb
from workbench.core.errors import InputError, WorkbenchWarning
from workbench.core.objects import Objects
from workbench.slide.data.nuclei_labels import read_reference

BOX = [[10, 10], [19, 10], [19, 19], [10, 19]]


def cell(shift=0, **more):
    ring = [[x + shift, y] for x, y in BOX]
    return {"bbox": [[10, 10], [20, 20]], "centroid": [14.5 + shift, 14.5], "contour": ring, "type_prob": 0.9,
            "type": 1, "patch_coordinates": [0, 0]} | more  # fmt: skip


def written(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_cells_of_cellvit(tmp_path):
    path = written(tmp_path / "cells.json", {
        "wsi_metadata": {"base_mpp": 0.25}, "processed_patches": ["0_0"],
        "type_map": {"Background": 0, "Neoplastic": 1, "Inflammatory": 2},
        "cells": [cell(), cell(40, type=2, type_prob=0.6), cell(80, type=0)],
    })  # fmt: skip
    objects = wb.read_objects(path)
    assert isinstance(objects, Objects)
    assert objects.classes.names == ("Neoplastic", "Inflammatory")
    assert objects.class_values.tolist() == [1, 2, 0]
    assert objects.probabilities.tolist() == pytest.approx([0.9, 0.6, 0.9])
    # A contour goes through the middles of pixels; ours count from the corner of the first.
    assert objects.bounds()[0].tolist() == [10.5, 10.5, 19.5, 19.5]
    assert objects.frame.unit == "pixel"


def test_nuclei_of_hovernet(tmp_path):
    path = written(tmp_path / "a.json", {"mag": 40, "nuc": {"7": cell(type=3), "9": cell(40, type=None)}})
    with pytest.warns(WorkbenchWarning, match="pixels at 40x: right only where the slide was scanned at that"):
        objects = wb.read_objects(path)
    assert objects.ids.tolist() == [7, 9]
    assert objects.class_values.tolist() == [3, 0]
    assert objects.classes.names == ("class 3",)


@pytest.mark.parametrize(("change", "said"), [
    ({"contour": "none"}, "cell 2: its contour is no list"),
    ({"contour": [[1, 2], [3, float("inf")], [4, 5]]}, "cell 2: its contour is no list of finite"),
    ({"type": "tumour"}, "cell 2: its type is 'tumour'"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_cell(tmp_path, change, said):
    path = written(tmp_path / "cells.json", {"cells": [cell(), cell(40, **change)]})
    with pytest.raises(InputError, match=said) as caught:
        wb.read_objects(path)
    assert str(path) in str(caught.value)


def test_places_alone_and_damaged_files_are_refused(tmp_path):
    one = cell()
    del one["contour"]
    with pytest.raises(InputError, match=r"take cells\.json"):
        wb.read_objects(written(tmp_path / "cell_detection.json", {"cells": [one]}))
    text = json.dumps({"cells": [cell()] * 20})
    (tmp_path / "cut.json").write_text(text[:-300], encoding="utf-8")
    with pytest.raises(InputError, match="ends in the middle"):
        wb.read_objects(tmp_path / "cut.json")


def test_contours_without_area_are_left_out_with_a_word(tmp_path):
    path = written(tmp_path / "cells.json", {"cells": [cell(), cell(contour=[[5, 5], [6, 6]])]})
    with pytest.warns(WorkbenchWarning, match="1 contours of fewer than three points"):
        assert len(wb.read_objects(path)) == 1


def test_one_multipolygon_per_class_is_many_nuclei(tmp_path):
    rings = [[[[x + s, y] for x, y in [*BOX, BOX[0]]]] for s in (0, 30, 60)]
    feature = {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": rings},
               "properties": {"objectType": "annotation", "classification": {"name": "Neoplastic"}}}  # fmt: skip
    path = written(tmp_path / "cells.geojson", {"type": "FeatureCollection", "features": [feature]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        objects = wb.read_objects(path)
    assert len(objects) == 1, "of other objects pieces may belong together"
    each = objects.exploded()
    assert len(each) == 3
    assert each.areas().tolist() == [81.0] * 3
    assert len(set(each.ids.tolist())) == 3
    assert each.class_values.tolist() == [1, 1, 1]
    assert each.exploded() is each
    reference = read_reference(path, (40, 100))
    assert len(np.unique(reference.labels)) == 4
    assert any("3 nuclei: each piece is one" in note for note in reference.notes)


def test_pieces_know_nothing_that_was_measured_of_the_whole():
    two = [[np.float64(BOX)], [np.float64(BOX) + 40]]
    objects = Objects.from_polygons(
        [two, np.float64(BOX) + 100], ids=["a", "b"], measurements={"area [um2]": np.array([162.0, 81.0])}
    )
    each = objects.exploded()
    assert each.ids.tolist() == ["a 1", "a 2", "b"]
    assert np.isnan(each.measurements["area [um2]"][:2]).all()
    assert each.measurements["area [um2]"][2] == 81.0
