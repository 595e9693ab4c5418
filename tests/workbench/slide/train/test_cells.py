"""Teaching nuclei of labelled pictures: it learns, goes on where it was stopped, and knows what taught it."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import load_file

import workbench as wb
from workbench import weights as stored
from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.core.reports import TrainReport
from workbench.core.seen import Seen, content_key
from workbench.slide.net.cellvta import CellVTA

TINY = {"image_size": 64, "patch_size": 16, "dim": 32, "depth": 4, "num_heads": 4, "init_values": 0.1, "inner": 8,
        "deform_heads": 4, "widths": (8, 8, 16, 16)}  # fmt: skip
ABOUT = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5,
         "PhysicalSizeYUnit": "µm"}  # fmt: skip


def discs(rng, count=14, side=96):
    """A picture with dark discs that do not touch, their numbers, and classes by their colour."""
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), (225, 190, 215), np.uint8)
    labels, types = np.zeros((side, side), np.uint16), np.zeros((side, side), np.uint8)
    for number, place in enumerate(rng.permutation(25)[:count], 1):
        inside = np.hypot(y - 10 - place // 5 * 19, x - 10 - place % 5 * 19) < rng.uniform(5.5, 8)
        kind = 1 + int(rng.random() < 0.5)
        pixels[inside] = (90, 60, 150) if kind == 1 else (150, 70, 90)
        labels[inside], types[inside] = number, kind
    return pixels, labels, types


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    rows = [("id", "image", "labels", "group")]
    for i in range(6):
        pixels, labels, types = discs(rng)
        tifffile.imwrite(folder / f"p{i}.ome.tif", pixels, ome=True, photometric="rgb", metadata=ABOUT)
        tifffile.imwrite(folder / f"p{i}_labels.tif", labels)
        np.save(folder / f"p{i}_typed.npy", np.stack([labels, types], -1))
        rows.append((f"p{i}", folder / f"p{i}.ome.tif", folder / f"p{i}_labels.tif", f"g{i // 2}"))
    for name, ending in (("plain.csv", "_labels.tif"), ("typed.csv", "_typed.npy")):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([[str(c).replace("_labels.tif", ending) for c in row] for row in rows])
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Random weights of a tiny network that knows one class."""
    torch.manual_seed(0)
    net = CellVTA(num_classes=2, **TINY)
    meta = {
        "backend": "cellvta", "net": dict(net.config), "recipe": {"mpp": 0.5}, "kind": "full",
        "classes": [{"value": 1, "name": "nucleus", "color": [255, 159, 68]}], "seen": [],
    }  # fmt: skip
    return stored.save(tmp_path_factory.mktemp("w") / "w.safetensors", net.state_dict(), meta)


QUICK = {"device": "cpu", "crop": 96, "batch": 2, "lr": 5e-3, "val_fraction": 0.3, "zoom": (0.9, 1.1), "blur": 0.3}


@pytest.fixture(scope="module")
def taught(study, start, tmp_path_factory):
    out = tmp_path_factory.mktemp("o") / "mine.safetensors"
    return wb.train("cellvta", study / "plain.csv", out=out, weights=str(start), adapt="all", steps=60, **QUICK)


def test_it_learns_and_says_what_taught_it(taught, study, start):
    assert isinstance(taught, TrainReport)
    assert taught.measure == "bPQ"
    assert taught.score > 0.5 > taught.scores["before bPQ"] + 0.2
    assert taught.validation == "on 2 held-out picture(s) of 1 group(s)"
    meta = stored.read_meta(taught.weights)
    assert sorted(s["role"] for s in meta["seen"]) == ["chosen by"] * 2 + ["learnt"] * 4
    assert meta["training"]["nuclei"] == 4 * 14
    assert "data:image/png" in taught.report.read_text(encoding="utf-8")
    scored = wb.evaluate("cellvta", study / "plain.csv", weights=str(taught.weights), device="cpu", classical=False)
    assert scored.bpq == pytest.approx(taught.score, abs=0.25)
    assert {row["seen by the weights"] for row in scored.rows} == {"learnt", "chosen by"}


def test_a_stopped_training_goes_on_as_if_nothing_had_happened(study, start, tmp_path):
    def run(out, stop=None, **more):
        return wb.train(
            "cellvta", study / "plain.csv", out=out, weights=str(start), adapt="all", steps=6, validate_every=3,
            on_step=stop, **QUICK, **more,
        )  # fmt: skip

    run(tmp_path / "whole.safetensors")

    def stop(event):
        if event.step == 4:
            raise Cancelled("enough")

    assert run(tmp_path / "cut.safetensors", stop).stopped == "cancelled"
    run(tmp_path / "cut.safetensors", resume=True)
    one, other = (load_file(tmp_path / f"{n}.safetensors") for n in ("whole", "cut"))
    assert all(torch.equal(one[k], other[k]) for k in one)
    with pytest.raises(UsageError, match="--overwrite"):
        run(tmp_path / "cut.safetensors")


def test_what_learns_is_what_was_asked_for(study, start, tmp_path):
    before = load_file(start)

    def changed(how):
        out = tmp_path / f"{how}.safetensors"
        wb.train("cellvta", study / "plain.csv", out=out, weights=str(start), adapt=how, steps=2, save_as="float32",
                 **QUICK)  # fmt: skip
        after = load_file(out)
        assert after.keys() == before.keys(), "merged: the plain network again"
        statistics = ("running_mean", "running_var", "num_batches_tracked")
        return {k for k in after if not torch.equal(after[k], before[k]) and not k.endswith(statistics)}

    decoders, lora = changed("decoders"), changed("lora")
    assert decoders
    assert not any(k.startswith("encoder.") for k in decoders)
    more = {k for k in lora if k.startswith("encoder.")}
    assert more
    assert all(k.endswith("weight") and any(w in k for w in ("qkv", "proj", "fc1", "fc2")) for k in more)


@pytest.mark.slow
def test_classes_of_the_labels_are_learnt(study, start, tmp_path):
    report = wb.train("cellvta", study / "typed.csv", out=tmp_path / "t.safetensors", weights=str(start), adapt="all",
                      steps=60, **QUICK)  # fmt: skip
    assert report.measure == "mPQ+"
    assert report.scores["mPQ+"] > 0.35
    assert any("the weights knew nucleus; the labels have class 1, class 2" in n for n in report.notes)
    with pytest.raises(InputError, match="the labels tell no classes, and the weights know 2"):
        wb.train("cellvta", study / "plain.csv", out=tmp_path / "u.safetensors", weights=str(report.weights), steps=1,
                 **QUICK)  # fmt: skip
    result = wb.evaluate("cellvta", study / "typed.csv", weights=str(report.weights), device="cpu", classical=False)
    assert [row["class"] for row in result.summary] == ["all nuclei", "class 1", "class 2", "mean over classes"]


def test_a_picture_at_another_scale_is_learnt_at_the_scale_of_the_weights(study, start, tmp_path):
    from workbench.core.types import Case
    from workbench.slide.train.cell_settings import CellTrainConfig
    from workbench.slide.train.labelled import open_labelled

    case = Case("a", study / "p0.ome.tif", study / "p0_labels.tif")
    plain = open_labelled([case], CellTrainConfig(val_fraction=0), 0.5, None)
    half = open_labelled([case], CellTrainConfig(val_fraction=0, mpp=0.25), 0.5, None)
    assert plain.train[0].labels.shape == (96, 96)
    assert half.train[0].labels.shape == (48, 48)
    assert plain.nuclei == half.nuclei == 14
    np.testing.assert_array_equal(half.train[0].labels, plain.train[0].labels[1::2, 1::2])
    assert plain.seen[0].keys == half.seen[0].keys


def test_what_cannot_be_right_is_refused(study, start, tmp_path):
    def run(cases, **more):
        wb.train("cellvta", cases, out=tmp_path / "n.safetensors", weights=str(start), steps=1, **{**QUICK, **more})

    with pytest.raises(UsageError, match="a multiple of 32"):
        run(study / "plain.csv", crop=100)
    with pytest.raises(InputError, match="no picture has any"):
        run(study / "p0.ome.tif")
    one = tmp_path / "one.csv"
    one.write_text(f"id,image,labels\na,{study / 'p0.ome.tif'},{study / 'p0_labels.tif'}\n")
    with pytest.raises(UsageError, match="one group"):
        run(one)
    empty = tmp_path / "empty.npy"
    np.save(empty, np.zeros((96, 96), np.uint8))
    one.write_text(f"id,image,labels\na,{study / 'p0.ome.tif'},{empty}\n")
    with pytest.raises(InputError, match="no nucleus"):
        run(one, val_fraction=0.0)
    assert not (tmp_path / "n.safetensors").exists()


def test_weights_from_a_start_that_does_not_tell_remember_what_they_learnt_themselves(study, start, tmp_path):
    meta = {k: v for k, v in stored.read_meta(start).items() if k != "seen"}
    silent = stored.save(tmp_path / "silent.safetensors", load_file(start), meta)
    report = wb.train("cellvta", study / "plain.csv", out=tmp_path / "m.safetensors", weights=str(silent), steps=1,
                      **QUICK)  # fmt: skip
    seen = Seen.of(stored.read_meta(report.weights))
    key = content_key(tifffile.imread(study / "p0.ome.tif"))
    assert seen.mark([key]) in ("learnt", "chosen by")
    assert seen.mark(["0" * 32]) == "not known"


def test_one_picture_does_not_teach_and_judge(study, start, tmp_path):
    (tmp_path / "copy.ome.tif").write_bytes((study / "p0.ome.tif").read_bytes())
    pictures = {"a": study / "p0.ome.tif", "b": tmp_path / "copy.ome.tif"}
    rows = [f"{name},{path},{study / 'p0_labels.tif'}" for name, path in pictures.items()]
    (tmp_path / "l.csv").write_text("\n".join(["id,image,labels", *rows]))
    with pytest.raises(UsageError, match="are the same picture: one would teach and the other judge"):
        wb.train("cellvta", tmp_path / "l.csv", out=tmp_path / "n.safetensors", weights=str(start), steps=1, **QUICK)


def test_rules_name_the_classes_of_labels_without_names(study, start, tmp_path):
    def run(rules):
        return wb.train("cellvta", study / "typed.csv", out=tmp_path / f"{len(rules)}.safetensors", weights=str(start),
                        steps=1, classes=rules, **QUICK)  # fmt: skip

    report = run("blue:1,red:2")
    assert [c["name"] for c in stored.read_meta(report.weights)["classes"]] == ["blue", "red"]
    assert "before mPQ+" not in report.scores
    with pytest.raises(InputError, match="have no names"):
        run("blue:7")


def test_a_nucleus_without_a_class_is_named(study, start, tmp_path):
    labels, types = np.moveaxis(np.load(study / "p0_typed.npy"), -1, 0)
    np.save(tmp_path / "t.npy", np.stack([labels, np.where(labels == 3, 0, types)], -1))
    (tmp_path / "l.csv").write_text(f"id,image,labels\na,{study / 'p0.ome.tif'},{tmp_path / 't.npy'}\n")
    with pytest.raises(InputError, match="1 nuclei have no class"):
        wb.train("cellvta", tmp_path / "l.csv", out=tmp_path / "n.safetensors", weights=str(start), steps=1,
                 **{**QUICK, "val_fraction": 0.0})  # fmt: skip
