"""Scoring of pictures with labelled nuclei: numbers by hand, and what cannot be compared."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile
import torch

import workbench as wb
from workbench import weights as stored
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.core.objects import Objects
from workbench.core.seen import SeenCase, content_key
from workbench.core.types import Provenance, Result
from workbench.slide.evaluate.cells import _said_of, evaluate_cells
from workbench.slide.evaluate.scored import MEAN, score, summarise
from workbench.slide.evaluate.settings import CellEvaluateConfig
from workbench.slide.net.cellvta import CellVTA

TINY = {"image_size": 64, "patch_size": 16, "dim": 32, "depth": 4, "num_heads": 4, "init_values": 0.1, "inner": 8,
        "deform_heads": 4, "widths": (8, 8, 16, 16)}  # fmt: skip
TWO = ClassTable.from_names(["tumor", "other"])


def squares(*places):
    found = np.zeros((60, 60), np.int32)
    for number, (y, x, side) in enumerate(places, 1):
        found[y : y + side, x : x + side] = number
    return found


def test_scores_by_hand():
    right = squares((2, 2, 10), (20, 20, 10), (40, 40, 10))
    found = squares((2, 2, 10), (20, 22, 10), (2, 45, 6))  # equal, two pixels aside, and nothing there
    one = score("a", right, found, 5)
    assert (one.panoptic[0].pairs, one.panoptic[0].excess, one.panoptic[0].missed) == (2, 1, 1)
    assert one.panoptic[0].sq == pytest.approx((1 + 80 / 120) / 2)
    assert one.panoptic[0].dq == pytest.approx(2 / 3)
    assert one.detection[0].f1 == pytest.approx(2 / 3)
    assert score("a", right, found, 1).detection[0].f1 == pytest.approx(1 / 3)
    assert one.aji == pytest.approx((100 + 80) / (100 + 120 + 100 + 36))


def test_classes_are_scored_apart_and_both_conventions_are_named():
    right, found = squares((2, 2, 10), (20, 20, 10)), squares((2, 2, 10), (20, 20, 10))
    kinds = np.where(right == 2, 2, right > 0), np.where(found == 2, 1, found > 0)  # the second has another class
    a = score("a", right, found, 5, TWO, kinds)
    b = score("b", right, found, 5, TWO, (kinds[0], kinds[0]))
    assert (a.panoptic[0].pq, a.panoptic[1].pq, a.panoptic[2].pq) == (1, pytest.approx(2 / 3), 0)
    rows = {row["class"]: row for row in summarise([a, b], TWO, 3.0, "the weights")}
    assert rows["all nuclei"]["bPQ"] == 1
    assert rows["tumor"]["PQ"] == pytest.approx((2 / 3 + 1) / 2)
    assert rows["tumor"]["PQ+"] == pytest.approx(2 / 2.5)
    assert rows["other"]["PQ+"] == pytest.approx(1 / 1.5)
    assert rows[MEAN]["mPQ"] == pytest.approx((1 / 3 + 1) / 2)
    assert rows[MEAN]["mPQ+"] == pytest.approx((2 / 2.5 + 1 / 1.5) / 2)


def test_nuclei_without_a_class_are_in_no_class_and_nothing_on_them_is_false():
    right, found = squares((2, 2, 10), (20, 20, 10), (40, 40, 10)), squares((2, 2, 10), (20, 20, 10), (40, 40, 10))
    kinds = np.where(right == 2, 0, np.where(right == 3, 2, right > 0)), np.where(found == 3, 2, found > 0)
    one = score("a", right, found, 5, TWO, kinds)
    assert (one.panoptic[0].pairs, one.panoptic[1].excess, one.panoptic[1].pq) == (3, 0, 1)


def test_classes_are_of_the_pictures_that_tell_them():
    right = squares((2, 2, 10), (20, 20, 10))
    kinds = (np.where(right == 2, 2, right > 0),) * 2
    with_, without = score("a", right, right, 5, TWO, kinds), score("b", right, squares((2, 2, 10)), 5)
    for order in ([with_, without], [without, with_]):
        rows = {row["class"]: row for row in summarise(order, TWO, 3.0, "m")}
        assert rows["tumor"]["pictures"] == rows[MEAN]["pictures"] == 1
        assert rows[MEAN]["mPQ"] == 1
        assert rows["all nuclei"]["pictures"] == 2


def test_pictures_without_nuclei_are_left_out_of_both_means():
    empty = score("a", squares(), squares((2, 2, 10)), 5)
    right = score("b", squares((2, 2, 10)), squares((2, 2, 10)), 5)
    row = summarise([empty, right], TWO, 3.0, "m")[0]
    assert (row["bPQ"], row["AJI"]) == (1, 1)
    assert row["PQ+"] == pytest.approx(1 / 1.5)
    (said,) = _said_of([empty, right], 0, {"k": ["a", "b"], "l": ["c"]})[:1]
    assert said.startswith("1 picture(s) have no nuclei")
    assert "a and b are the same picture, and count 2 times" in _said_of([right], 0, {"k": ["a", "b"]})
    far = score("c", squares(*[(5 * i, 0, 4) for i in range(6)]), squares(*[(5 * i, 30, 4) for i in range(6)]), 2)
    assert "are these the labels of that picture" in _said_of([far], 0, {})[0]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two pictures with labels, one with labels of another size, and a list of them."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    rows = []
    for name, size in (("a", 96), ("b", 96), ("c", 90)):
        pixels = np.full((96, 96, 3), (225, 190, 215), np.uint8)
        labels = np.zeros((size, size), np.uint16)
        for number, (y, x) in enumerate(rng.permutation(36)[:12, None] // [6, 1] % 6 * 14 + 4, 1):
            pixels[y : y + 10, x : x + 10] = (90, 60, 150)
            labels[y : y + 10, x : x + 10] = number
        about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5,
                 "PhysicalSizeYUnit": "µm"}  # fmt: skip
        tifffile.imwrite(folder / f"{name}.ome.tif", pixels, ome=True, photometric="rgb", metadata=about)
        tifffile.imwrite(folder / f"{name}_labels.tif", labels)
        rows.append((name, folder / f"{name}.ome.tif", folder / f"{name}_labels.tif"))
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "image", "labels"), *rows])
    return folder / "list.csv"


@pytest.fixture(scope="module")
def weights(study, tmp_path_factory):
    torch.manual_seed(0)
    net = CellVTA(num_classes=2, **TINY)
    key = content_key(tifffile.imread(study.with_name("a.ome.tif")))
    meta = {
        "backend": "cellvta", "net": dict(net.config), "recipe": {"mpp": 0.5}, "kind": "full",
        "classes": [{"value": 1, "name": "nucleus", "color": [255, 159, 68]}],
        "seen": [SeenCase("a", (key,)).to_json()],
    }  # fmt: skip
    return stored.save(tmp_path_factory.mktemp("w") / "w.safetensors", net.state_dict(), meta)


def test_a_study_from_list_to_report(study, weights, tmp_path):
    report = wb.evaluate("cellvta", study, weights=str(weights), device="cpu", out=tmp_path)
    assert [f.name for f in report.files] == ["scores.csv", "scores.json", "report.html"]
    assert set(report.failures) == {"c"}
    assert "90 x 90 pixels, its image has 96 x 96" in report.failures["c"]
    marks = {row["case"]: row["seen by the weights"] for row in report.rows}
    assert marks == {"a": "learnt", "b": "no"}
    assert any("1 of 2 case(s) taught the weights (a)" in note for note in report.notes)
    assert any("the weights know one class" in note for note in report.notes)
    plain = {row["method"]: row for row in report.summary}["classical"]
    assert plain["F1 (3 um)"] > 0.9, "squares of haematoxylin are found without any network"
    stored_scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert stored_scores["summary"][0]["reference nuclei"] == report.summary[0]["reference nuclei"]
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("data:image/png") == 2
    lines = report.text().splitlines()
    assert len(lines) == 3
    assert "bPQ" in lines[0]


def test_without_a_scale_or_labels_nothing_is_scored(study, weights, tmp_path):
    from PIL import Image as Pillow

    Pillow.fromarray(tifffile.imread(study.with_name("a.ome.tif"))).save(tmp_path / "a.png")
    listed = tmp_path / "l.csv"
    listed.write_text(f"id,image,labels\na,{tmp_path / 'a.png'},{study.with_name('a_labels.tif')}\n")
    with pytest.raises(InputError, match="--mpp"):
        wb.evaluate("cellvta", listed, weights=str(weights), device="cpu")
    report = wb.evaluate("cellvta", listed, weights=str(weights), device="cpu", mpp=0.5, classical=False)
    assert len(report.summary) == 1
    with pytest.raises(InputError, match="none has any"):
        wb.evaluate("cellvta", tmp_path / "a.png", weights=str(weights), device="cpu", mpp=0.5)


def test_labels_of_a_folder_are_found_in_every_format(study, weights, tmp_path):
    from PIL import Image as Pillow

    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    right = tifffile.imread(study.with_name("a_labels.tif"))
    boxes = [[(2, 2), (9, 2), (9, 9), (2, 9), (2, 2)]]
    for name in ("one", "two", "three"):
        (images / f"{name}.ome.tif").write_bytes(study.with_name("a.ome.tif").read_bytes())
    Pillow.fromarray(right).save(labels / "one.png")
    Pillow.fromarray(right).save(labels / "two_instances.png")
    (labels / "three.geojson").write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": boxes}}
                ],
            }
        )
    )
    report = wb.evaluate("cellvta", wb.study(images, labels, kind="slide").cases, weights=str(weights), device="cpu",
                         classical=False)  # fmt: skip
    assert report.failures == {}
    assert {r["case"]: r["reference nuclei"] for r in report.rows} == {"one": 12, "two": 12, "three": 1}
    assert any("count 3 times" in note for note in report.notes)


def test_the_radius_is_in_micrometres(tmp_path):
    """On pixels of a quarter micrometre a centre 8 pixels aside is 2 um away, one 16 pixels aside 4 um."""
    labels = np.zeros((80, 200), np.uint16)
    labels[20:60, 20:60], labels[20:60, 120:160] = 1, 2
    about = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.25,
             "PhysicalSizeYUnit": "µm"}  # fmt: skip
    pixels = np.full((80, 200, 3), 200, np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, ome=True, photometric="rgb", metadata=about)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    found = Objects.from_polygons([np.array([(x, 20), (x + 40, 20), (x + 40, 60), (x, 60)]) for x in (28.0, 136.0)])
    case = wb.Case("a", tmp_path / "a.ome.tif", tmp_path / "labels.tif")
    (row,) = evaluate_cells(
        [case], lambda image: Result({"nuclei": found}, image, Provenance("cellvta", "none", None, {})),
        CellEvaluateConfig(radius=3.0, classical=False), ClassTable.from_names(["nucleus"]),
    ).rows  # fmt: skip
    assert (row["precision (3 um)"], row["recall (3 um)"]) == (0.5, 0.5)
