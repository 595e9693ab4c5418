"""Classes of nuclei by a few examples: which nucleus is meant, what is learnt, and where it may be used."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import tifffile
import torch

import workbench as wb
from tests.workbench.slide.train.test_cells import ABOUT, discs
from workbench import weights as stored
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.data.geojson import write_geojson
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.predict.cell_classes import CellClasses, features_of, learn
from workbench.slide.predict.mosaic import Cells
from workbench.slide.train.cell_examples import Example, matched

TWO = ClassTable.from_names(["blue", "red"])


def cells(places, embeddings):
    """Squares of 10 pixels around places."""
    square = np.array([(-5, -5), (5, -5), (5, 5), (-5, 5)], np.float32)
    n = len(places)
    return Cells(
        coordinates=np.concatenate([square + p for p in np.float32(places)]), offsets=np.arange(n + 1) * 4,
        centroids=np.float64(places), types=np.ones(n, np.uint8), probabilities=np.ones(n, np.float32),
        areas=np.full(n, 100), eccentricities=np.zeros(n, np.float32), stains=np.zeros((n, 2), np.float32),
        is_cut=np.zeros(n, bool), embeddings=np.float16(embeddings),
    )  # fmt: skip


def test_which_nucleus_an_example_means():
    import shapely

    some = cells([(20, 20), (40, 20), (60, 20), (80, 20), (200, 200)], np.zeros((5, 2)))

    def point(name, x, y):
        return Example(name, None, np.array([[x, y]], float))

    area = shapely.box(55, 10, 90, 30)
    lasso = Example("red", None, np.array(area.exterior.coords[:-1]), area)
    names, lost, both = matched(some, [point("blue", 23, 18), point("red", 46, 20), lasso, point("red", 120, 20)], 1, 8)
    assert names == ["blue", "red", "red", "red", ""]
    assert (lost, both) == (1, 0)
    # In the pixels of a slide that is twice as fine the same places are twice as far.
    assert matched(some, [point("blue", 46, 36)], 2, 8)[0] == ["blue", "", "", "", ""]
    # A point beside a nucleus that another means is lost; two classes within one give none.
    names, lost, both = matched(some, [point("blue", 20, 20), point("red", 26, 20)], 1, 8)
    assert (names[0], lost, both) == ("blue", 1, 0)
    names, lost, both = matched(some, [point("blue", 20, 20), point("red", 22, 20)], 1, 8)
    assert (names[0], lost, both) == ("", 0, 1)


def test_classes_are_learnt_scored_and_kept(tmp_path):
    rng = np.random.default_rng(0)
    right = rng.integers(1, 3, 400)
    some = cells(rng.uniform(0, 900, (400, 2)), rng.normal(0, 1, (400, 16)) + 3 * (right == 2)[:, None])
    features = features_of(some, 0.5)
    values = np.zeros(400, np.int64)
    values[np.flatnonzero(right == 1)[:5]], values[np.flatnonzero(right == 2)[:5]] = 1, 2
    head, scores = learn(features, values, TWO)
    found = head.named(some, 0.5)
    assert (found.types == right).mean() > 0.99
    assert scores["balanced accuracy"] > 0.8
    assert set(scores) == {"balanced accuracy", "recall of blue", "recall of red"}
    again = CellClasses.of({k: torch.from_numpy(v) for k, v in head.tensors().items()}, TWO).named(some, 0.5)
    np.testing.assert_array_equal(again.types, found.types)
    assert ((found.probabilities > 0.5) & (found.probabilities <= 1)).all()
    with pytest.raises(UsageError, match=r"examples of 1 class\(es\)"):
        learn(features, np.where(values == 1, 1, 0), TWO)
    with pytest.raises(ValueError, match="do not fit"):
        CellClasses.of(head.tensors(), ClassTable.from_names(["a", "b", "c"]))


def test_what_is_shuffled_scores_as_chance():
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (200, 12)).astype(np.float32)
    values = rng.integers(1, 3, 200)
    assert 0.35 < learn(features, values, TWO)[1]["balanced accuracy"] < 0.65


def test_many_nuclei_are_named_in_seconds():
    rng = np.random.default_rng(0)
    n = 200_000
    some = cells(np.zeros((1, 2)), np.zeros((1, 2)))
    from dataclasses import replace

    many = replace(
        some, embeddings=rng.normal(0, 1, (n, 96)).astype(np.float16), areas=np.full(n, 100),
        types=np.ones(n, np.uint8),
        eccentricities=np.zeros(n, np.float32), stains=np.zeros((n, 2), np.float32), centroids=np.zeros((n, 2)),
        offsets=np.arange(n + 1) * 4, probabilities=np.ones(n, np.float32), is_cut=np.zeros(n, bool),
    )  # fmt: skip
    began = time.process_time()
    values = np.zeros(n, np.int64)
    values[:5], values[5:10] = 1, 2
    head, _ = learn(features_of(many, 0.5), values, TWO)
    assert len(head.named(many, 0.5).types) == n
    assert time.process_time() - began < 10


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """Pictures of discs of two colours; the demo weights find them, and know one class."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for i in range(4):
        pixels, labels, types = discs(rng)
        tifffile.imwrite(folder / f"p{i}.ome.tif", pixels, ome=True, photometric="rgb", metadata=ABOUT)
        np.save(folder / f"p{i}.npy", labels)
        np.save(folder / f"t{i}.npy", np.stack([labels, types], -1))
    demo = stored.find("demo", "cellvta")
    tensors = {k: v.clone() for k, v in stored.load_tensors(demo).items()}
    next(v for v in tensors.values() if v.ndim > 1).view(-1)[0] += 0.01  # other weights than those that everybody has
    stored.save(folder / "base.safetensors", tensors, demo.meta)
    return folder


def clicked(folder, picture, count, path):
    labels, types = np.moveaxis(np.load(folder / f"t{picture}.npy"), -1, 0)
    features = []
    for kind, name in ((1, "blue"), (2, "red")):
        for number in np.unique(labels[types == kind])[:count]:
            y, x = np.nonzero(labels == number)
            features.append({
                "type": "Feature", "geometry": {"type": "Point", "coordinates": [x.mean() + 0.5, y.mean() + 0.5]},
                "properties": {"classification": {"name": name, "color": [9, 8, 7]}},
            })  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_from_clicks_on_two_pictures_to_classes_on_another(taught, tmp_path):
    rows = [f"{i},{taught / f'p{i}.ome.tif'},{clicked(taught, i, 9, tmp_path / f'e{i}.geojson')}\n" for i in (0, 1)]
    (tmp_path / "l.csv").write_text("id,image,labels\n" + "".join(rows))
    report = wb.train("cellvta", tmp_path / "l.csv", out=tmp_path / "mine.safetensors", device="cpu", adapt="classes",
                      weights=str(taught / "base.safetensors"))  # fmt: skip
    assert report.weights.stat().st_size < 20_000
    assert report.measure == "balanced accuracy"
    result = wb.predict("cellvta", taught / "p2.ome.tif", weights=str(report.weights), device="cpu", tissue=False)
    nuclei = result["nuclei"]
    assert nuclei.classes.names == ("blue", "red")
    assert next(iter(nuclei.classes)).color == (9, 8, 7)
    assert "embeddings" not in result.parts
    assert any("taught by examples" in note for note in result.provenance.notes)
    _, types = np.moveaxis(np.load(taught / "t2.npy"), -1, 0)
    x, y = nuclei.centroids().astype(int).T
    right = types[y, x]
    assert (nuclei.class_values == right)[right > 0].mean() > 0.85
    scored = wb.evaluate("cellvta", [wb.Case("b", taught / "p2.ome.tif", taught / "t2.npy")], device="cpu",
                         weights=str(report.weights), classes="blue:1,red:2", classical=False)  # fmt: skip
    assert scored.summary[-1]["mPQ+"] > 0.3


def test_what_cannot_be_right_is_refused(taught, tmp_path):
    base = str(taught / "base.safetensors")

    def run(labels, name="n.safetensors", **more):
        case = wb.Case("a", taught / "p0.ome.tif", labels)
        return wb.train("cellvta", [case], out=tmp_path / name, **{"weights": base, "adapt": "classes", **more})

    far = tmp_path / "far.geojson"
    far.write_text(json.dumps({"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 94]},
                               "properties": {"classification": {"name": "red"}}}))  # fmt: skip
    with pytest.raises(InputError, match=r"none of 1 example\(s\) lies on a nucleus"):
        run(far)
    plain = tmp_path / "plain.geojson"
    plain.write_text(json.dumps({"type": "Point", "coordinates": [10, 10]}))
    with pytest.raises(InputError, match="no point or outline has a class"):
        run(plain)
    with pytest.raises(InputError, match="tells no classes"):
        run(taught / "p0.npy")
    with pytest.raises(UsageError, match="weights=none finds none"):
        run(taught / "t0.npy", weights="none")
    made = run(taught / "t0.npy", "m.safetensors")
    with pytest.raises(UsageError, match="name nuclei by examples already"):
        run(taught / "t0.npy", weights=str(made.weights))
    with pytest.raises(UsageError, match="only name nuclei"):
        run(taught / "p0.npy", weights=str(made.weights), adapt="all", val_fraction=0)
    lonely = tmp_path / "elsewhere"
    lonely.mkdir()
    meta = stored.read_meta(made.weights)
    tensors = {k: torch.zeros(3) for k in ("mean", "scale", "bias")} | {"weight": torch.zeros(2, 3)}
    broken = stored.save(lonely / "b.safetensors", tensors, meta)
    with pytest.raises(WeightsError, match="do not fit together|damaged"):
        wb.predict("cellvta", taught / "p0.ome.tif", weights=str(broken), device="cpu", tissue=False)


def test_of_a_saved_result_those_teach_that_a_person_named(taught, tmp_path):
    result = wb.predict("cellvta", taught / "p0.ome.tif", weights=str(taught / "base.safetensors"), device="cpu",
                        tissue=False)  # fmt: skip
    edits = NucleiEdits(result["nuclei"])
    case = wb.Case("a", taught / "p0.ome.tif", tmp_path / "nuclei.geojson")
    settings = {"weights": str(taught / "base.safetensors"), "adapt": "classes", "device": "cpu"}
    _, types = np.moveaxis(np.load(taught / "t0.npy"), -1, 0)
    x, y = result["nuclei"].centroids().astype(int).T
    blue, red = (np.flatnonzero(types[y, x] == kind)[:6] for kind in (1, 2))
    edits.reject([int(np.setdiff1d(np.arange(len(x)), [*blue, *red])[0])])
    write_geojson(edits.objects(), case.labels)
    write_geojson(edits.rejected(), tmp_path / "rejected.geojson")
    with pytest.raises(InputError, match="nobody named or accepted"):
        wb.train("cellvta", [case], out=tmp_path / "none.safetensors", **settings)
    edits.reclass(blue, edits.new_class("blue"))
    edits.reclass(red, edits.new_class("red"))
    write_geojson(edits.objects(), case.labels)
    report = wb.train("cellvta", [case], out=tmp_path / "mine.safetensors", **settings)
    training = stored.read_meta(report.weights)["training"]
    assert training["examples"] == {"blue": 6, "red": 6}, "and not the nuclei that the weights called 'nucleus'"
