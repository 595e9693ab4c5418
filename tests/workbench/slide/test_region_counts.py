"""Nuclei counted region by region; each number again by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from tests.workbench.slide.predict.test_cells import MPP, plane, run, slide, weights  # noqa: F401
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.core.frame import Frame
from workbench.core.objects import Objects
from workbench.data.objects import read_objects
from workbench.data.write import write
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.nuclei_now import nuclei_now
from workbench.slide.region_counts import REGION_COLUMNS, Region, counted, outlines_of

BOXES = {"A-1": (100, 100, 300, 300), "A-2": (400, 100, 600, 350), "": (250, 250, 500, 500)}


def feature(name, box, kind="annotation", **more):
    properties = {"objectType": kind, **more} | ({"name": name} if name else {})
    geometry = json.loads(shapely.to_geojson(shapely.box(*box)))
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.fixture
def roi(tmp_path):
    path = tmp_path / "roi.geojson"
    items = [feature(n, b, "tma_core" if n else "annotation", **({"isMissing": False} if n else {}))
             for n, b in BOXES.items()]  # fmt: skip
    items.append(feature("A-3", (700, 100, 900, 300), "tmaCore", isMissing=True))
    items[2]["properties"]["classification"] = {"name": "Tumor"}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}), encoding="utf-8")
    return path


def by_hand(nuclei, box):
    x, y = nuclei.centroids().T
    inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    return inside, (box[2] - box[0]) * (box[3] - box[1]) * MPP**2 * 1e-6


def test_counts_of_each_core_and_region(run, slide, roi):  # noqa: F811
    found = run(slide, roi=str(roi))
    nuclei, table = found["nuclei"], found["regions"].as_dicts()
    assert found["regions"].columns == REGION_COLUMNS
    assert list(dict.fromkeys(r["region"] for r in table)) == ["A-1", "A-2", "Tumor 1"]
    assert any("1 core(s) of the array are missing" in n for n in found.provenance.notes)
    for name, box in zip(("A-1", "A-2", "Tumor 1"), BOXES.values(), strict=True):
        inside, area = by_hand(nuclei, box)
        rows = {r["class"]: r for r in table if r["region"] == name}
        assert rows["all nuclei"]["nuclei"] == inside.sum() > 10
        assert rows["all nuclei"]["looked at [mm2]"] == pytest.approx(area, rel=1e-6)
        assert rows["all nuclei"]["density [1/mm2]"] == pytest.approx(inside.sum() / area, rel=1e-4)
        for kind in nuclei.classes:
            own = inside & (nuclei.class_values == kind.value)
            assert rows[kind.name]["nuclei"] == own.sum()
            sizes = nuclei.measurements["area [um2]"][own]
            assert rows[kind.name]["mean area [um2]"] == pytest.approx(float(sizes.mean()), abs=0.01)
    assert {r["region class"] for r in table if r["region"] == "Tumor 1"} == {"Tumor"}
    outlines = found["region_outlines"]
    assert outlines.ids.tolist() == ["A-1", "A-2", "Tumor 1"]
    assert outlines.areas() == pytest.approx([shapely.box(*b).area for b in BOXES.values()])


def test_without_outlines_there_is_no_table(run, slide):  # noqa: F811
    assert "regions" not in run(slide).parts


def test_the_table_follows_what_a_person_corrects(run, slide, roi):  # noqa: F811
    found = run(slide, roi=str(roi))
    edits = NucleiEdits(found["nuclei"])
    inside, _ = by_hand(found["nuclei"], BOXES["A-1"])
    edits.reject(np.flatnonzero(inside)[:4].tolist())
    ring = np.array([(110.0, 110.0), (116.0, 110.0), (116.0, 116.0), (110.0, 116.0)])
    empty = not any(edits.area(int(i)).intersects(shapely.Polygon(ring)) for i in np.flatnonzero(edits.is_there))
    if empty:
        edits.add(ring, 1)
    now = nuclei_now(found.parts, "nuclei", edits, found.image.geometry)
    before, after = ({r["region"]: r["nuclei"] for r in t.as_dicts() if r["class"] == "all nuclei"}
                     for t in (found["regions"], now["regions"]))  # fmt: skip
    assert after["A-1"] == before["A-1"] - 4 + empty
    assert after["A-2"] == before["A-2"]
    lost = {k: v for k, v in found.parts.items() if k != "region_outlines"}
    assert nuclei_now(lost, "nuclei", edits, found.image.geometry)["regions"].rows == (), "no stale numbers"


def test_in_tissue_of_regions_only_tissue_was_looked_at(run, slide, roi):  # noqa: F811
    found = run(slide, roi=str(roi), tissue_in_roi=True, tissue=True)
    looked = {r["region"]: r["looked at [mm2]"] for r in found["regions"].as_dicts()}
    whole = {r["region"]: r["looked at [mm2]"] for r in run(slide, roi=str(roi))["regions"].as_dicts()}
    assert all(0 < looked[n] <= whole[n] * 1.05 for n in looked)


def test_names_are_nobody_elses_and_what_lies_beside_the_slide_is_said(run, slide, tmp_path):  # noqa: F811
    path = tmp_path / "roi.geojson"
    boxes = [("same", 100), ("same", 200), ("same (2)", 300), ("far", 5000)]
    items = [feature(n, (x, 100, x + 90, 200)) for n, x in boxes]
    line = {"type": "LineString", "coordinates": [[1, 2], [30, 40]]}
    items.append({"type": "Feature", "geometry": line, "properties": {"name": "line"}})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}), encoding="utf-8")
    found = run(slide, roi=str(path))
    rows = {r["region"]: r["nuclei"] for r in found["regions"].as_dicts() if r["class"] == "all nuclei"}
    assert list(rows) == ["same", "same (3)", "same (2)"]
    for name, x in zip(rows, (100, 200, 300), strict=True):
        assert rows[name] == by_hand(found["nuclei"], (x, 100, x + 90, 200))[0].sum()
    notes = " ".join(found.provenance.notes)
    assert "1 region(s) lie beside the slide, and do not count: far" in notes
    assert "1 region(s) have the name of another" in notes
    assert "1 point(s) or line(s) are no regions" in notes


def test_outlines_are_annotations_with_names_for_other_programs(run, slide, roi, tmp_path):  # noqa: F811
    found = run(slide, roi=str(roi))
    (folder,) = {p.parent for p in write(found, tmp_path / "out")}
    features = json.loads((folder / "region_outlines.geojson").read_text(encoding="utf-8"))["features"]
    assert [f["properties"]["name"] for f in features] == ["A-1", "A-2", "Tumor 1"]
    assert {f["properties"]["objectType"] for f in features} == {"annotation"}
    again = run(slide, roi=str(folder / "region_outlines.geojson"))
    assert again["regions"].rows == found["regions"].rows
    assert counted(read_objects(folder / "region_outlines.geojson"), found["nuclei"]).rows == found["regions"].rows


def test_all_cores_missing(run, slide, tmp_path):  # noqa: F811
    path = tmp_path / "roi.geojson"
    core = feature("A-1", (100, 100, 300, 300), "tmaCore", isMissing=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [core]}), encoding="utf-8")
    with pytest.raises(InputError, match="all 1 cores of the array are missing"):
        run(slide, roi=str(path))


FRAME = Frame.of(np.diag([MPP, MPP, 1.0]), "um")
HALVES = shapely.box(0, 0, 100, 100), shapely.box(100, 0, 400, 100)


def squares(*places, **more):
    """Nuclei of 20 by 20 pixels around places."""
    corners = np.array([(-10, -10), (10, -10), (10, 10), (-10, 10)], float)
    return Objects.from_polygons([corners + p for p in places], frame=FRAME, **more)


def of_all(table):
    return {row["region"]: row for row in table.as_dicts() if row["class"] == "all nuclei"}


def test_nuclei_in_micrometres_are_counted_where_they_lie():
    outlines = outlines_of([Region(n, "", o) for n, o in zip("AB", HALVES, strict=True)], [0.1, 0.2], FRAME)
    nuclei = squares((50, 50), (150, 50), (180, 50), measurements={"area [um2]": np.full(3, 90.0)})
    um = nuclei.in_frame(Frame.of(np.diag([MPP, MPP, 1.0]), "um", unit="um", pixel_size=(MPP, MPP)))
    assert {n: r["nuclei"] for n, r in of_all(counted(outlines, um)).items()} == {"A": 1, "B": 2}
    assert counted(outlines, um).rows == counted(outlines, nuclei).rows


def test_a_size_that_was_not_measured_is_that_of_the_outline_in_square_micrometres():
    outlines = outlines_of([Region("A", "", HALVES[0])], [0.1], FRAME)
    plain = squares((30, 30), (60, 60))
    assert of_all(counted(outlines, plain))["A"]["mean area [um2]"] == pytest.approx(400 * MPP**2)
    some = squares((30, 30), (60, 60), measurements={"area [um2]": np.array([60.0, np.nan])})
    assert of_all(counted(outlines, some))["A"]["mean area [um2]"] == pytest.approx((60 + 400 * MPP**2) / 2)


def test_an_outline_that_goes_around_twice_holds_its_nuclei():
    ring = np.array(HALVES[0].exterior.coords[:-1])
    outlines = Objects.from_polygons(
        [np.concatenate([ring, ring])], ids=["A"], frame=FRAME, measurements={"looked at [mm2]": np.array([0.1])}
    )
    assert of_all(counted(outlines, squares((30, 30), (60, 60), (200, 50))))["A"]["nuclei"] == 2


def test_all_units_give_the_same_table():
    """Micrometres or pixels, of nuclei or of outlines: what is counted and how large it is stays what it is."""
    box = np.array([[0, 0], [200, 0], [200, 200], [0, 200]], float)
    square = np.array([[100, 100], [120, 100], [120, 120], [100, 120]], float)
    affine = np.diag([0.5, 0.5, 1.0])
    frame = Frame.of(affine, "um")
    rows = []
    for scale, own in ((1.0, frame), (0.5, Frame("um", "um", (0.5, 0.5), np.eye(3), "um"))):
        nuclei = Objects.from_polygons(
            [square * scale], class_values=[1], classes=ClassTable.from_names(["a"]), frame=own
        )
        outlines = Objects.from_polygons(
            [box * scale], ids=np.array(["r"]), frame=own, measurements={"looked at [mm2]": np.array([0.01])}
        )
        rows.append(counted(outlines, nuclei).rows)
    assert rows[0] == rows[1]
    assert rows[0][0][3:6] == (1, 100.0, 100.0)
