"""Statistics per class: of shapes whose numbers are known, by NumPy and SimpleITK, and through predict."""

import csv
import json
import math
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import workbench as wb
from tests.tiny import make_tiny_weights
from workbench.cli import run
from workbench.core.classes import ClassTable
from workbench.core.types import Geometry, Image, Labels
from workbench.volume.statistics import as_json, class_statistics

CLASSES = ClassTable.from_names(["ball", "box", "nothing"])
SPACING = np.array([1.0, 0.8, 1.5])


def shapes(affine=None):
    affine = np.diag([*SPACING, 1.0]) if affine is None else affine
    data = np.zeros((60, 70, 40), np.uint8)
    places = (np.indices(data.shape).reshape(3, -1).T - (25, 30, 20)) * SPACING
    data[(np.linalg.norm(places, axis=1) <= 18).reshape(data.shape)] = 1
    data[50:58, 5:25, 4:10] = 2
    geometry = Geometry(data.shape, affine)
    values = np.random.default_rng(0).normal(50, 20, (1, *data.shape)).astype(np.float32)
    image = Image(geometry, np.dtype(np.float32), ("0",), lambda: values, value_unit="HU")
    return Labels(data, geometry, CLASSES), image, values[0]


def test_a_ball_and_a_box_measure_what_they_are():
    labels, image, values = shapes()
    found = {r["class"]: r for r in class_statistics(labels, image).as_dicts()}
    for name, value in (("ball", 1), ("box", 2)):
        inside = values[labels.data == value].astype(np.float64)
        row = found[name]
        assert row["voxels"] == inside.size
        assert row["volume [mL]"] == pytest.approx(inside.size * 1.2 / 1000, abs=1e-4)
        assert row["mean [HU]"] == pytest.approx(inside.mean(), abs=1e-3)
        assert row["median [HU]"] == pytest.approx(np.median(inside), abs=1e-3)
        assert row["sd [HU]"] == pytest.approx(inside.std(ddof=1), abs=1e-3)
    assert found["ball"]["surface [mm2]"] == pytest.approx(4 * math.pi * 18**2, rel=0.03)
    assert found["ball"]["longest diameter [mm]"] == pytest.approx(36, abs=1.2)
    assert found["box"]["longest diameter [mm]"] == pytest.approx(np.linalg.norm((7, 19 * 0.8, 5 * 1.5)), abs=1e-3)
    assert found["nothing"]["voxels"] == 0
    assert math.isnan(found["nothing"]["mean [HU]"])
    assert as_json(class_statistics(labels, image))["rows"][2]["mean [HU]"] is None


def test_surface_and_diameter_are_those_of_simpleitk():
    labels, image, _ = shapes()
    itk = sitk.GetImageFromArray(labels.data.T)
    itk.SetSpacing(SPACING.tolist())
    theirs = sitk.LabelShapeStatisticsImageFilter()
    theirs.ComputeFeretDiameterOn()
    theirs.Execute(itk)
    for row in class_statistics(labels, image).as_dicts()[:2]:
        assert row["surface [mm2]"] == pytest.approx(theirs.GetPerimeter(row["value"]), rel=1e-5)
        assert row["longest diameter [mm]"] == pytest.approx(theirs.GetFeretDiameter(row["value"]), abs=1e-3)


def test_an_oblique_grid_measures_the_same_and_a_sheared_one_says_what_it_cannot():
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    oblique = np.eye(4)
    oblique[:3, :3] = turn @ np.diag(SPACING)
    plain, turned = (class_statistics(*shapes(a)[:2]).as_dicts() for a in (None, oblique))
    for a, b in zip(plain, turned, strict=True):
        assert a.keys() == b.keys()
        assert all(np.isclose(a[k], b[k], rtol=1e-4, equal_nan=True) for k in a if k != "class")
    sheared = np.diag([*SPACING, 1.0])
    sheared[1, 2] = 0.7
    row = class_statistics(*shapes(sheared)[:2]).as_dicts()[1]
    assert math.isnan(row["surface [mm2]"])
    far = np.array([[7, 19 * s * 0.8 + 5 * 0.7, 5 * 1.5] for s in (1, -1)])
    assert row["longest diameter [mm]"] == pytest.approx(np.linalg.norm(far, axis=1).max(), abs=1e-3)


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 30), (1, 12, 30), (2, 1, 1)])
def test_points_lines_and_planes_have_a_diameter(size):
    labels, image, _ = shapes()
    data = np.zeros_like(labels.data)
    data[3 : 3 + size[0], 4 : 4 + size[1], 5 : 5 + size[2]] = 1
    (row, *_) = class_statistics(replace(labels, data=data), image).as_dicts()
    assert row["longest diameter [mm]"] == pytest.approx(np.linalg.norm((np.array(size) - 1) * SPACING), abs=1e-3)
    assert math.isnan(row["sd [HU]"]) == (np.prod(size) == 1)


def test_values_that_are_no_numbers_are_left_out_and_values_without_a_class_are_not():
    labels, image, values = shapes()
    data = labels.data.copy()
    data[0, 0, :3] = 9
    holes = values.copy()
    holes[0, 0, 0] = np.nan
    rows = class_statistics(replace(labels, data=data), replace(image, loader=lambda: holes[None])).as_dicts()
    assert rows[-1]["class"] == "class 9"
    assert rows[-1]["voxels"] == 3
    assert rows[-1]["mean [HU]"] == pytest.approx(holes[0, 0, 1:3].mean(), abs=1e-3)


def test_from_the_shell_as_csv_and_json(tmp_path, volume):
    weights = make_tiny_weights(tmp_path / "w.safetensors", seed=4)
    given = ["predict", "segformer3d", "-i", str(volume), "-o", str(tmp_path / "out"), "--weights", str(weights)]
    assert run([*given, "--device", "cpu", "--force", "--statistics"]) == 0
    folder = tmp_path / "out" / "ct"
    rows = list(csv.DictReader((folder / "statistics.csv").read_text(encoding="utf-8").splitlines()))
    labels, image = (np.asarray(nib.load(p).dataobj) for p in (folder / "labels.nii.gz", volume))
    assert [r["class"] for r in rows] == ["liver", "spleen"]
    for row in rows:
        inside = image[labels == int(row["value"])].astype(np.float64)
        assert int(row["voxels"]) == inside.size
        mean = row["mean"] if "mean" in row else row["mean [HU]"]
        assert inside.size == 0 or float(mean) == pytest.approx(inside.mean(), abs=1e-3)
    assert len(json.loads((folder / "statistics.json").read_text(encoding="utf-8"))["rows"]) == 2
    assert {"statistics.csv", "statistics.json"} <= set(
        json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["files"]
    )
    result = wb.predict("segformer3d", volume, weights=str(weights), device="cpu", force=True)
    assert "statistics" not in result.parts
