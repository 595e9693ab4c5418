"""Trainings on top of an encoder: classes of tiles, labels of slides by attention; and their application."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
import torch
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

import workbench as wb
from tests.mil_maker import bag_file, facts_of, write_study
from tests.tiny import make_tiny_slide_weights
from workbench import weights
from workbench.cli import cli
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.core.settings import build
from workbench.core.types import Case
from workbench.slide import stainnet
from workbench.slide.data.embedding_files import read_hdf5, write_hdf5
from workbench.slide.data.heat_maps import read_map
from workbench.slide.predict.heads import PROBE, SLIDE
from workbench.slide.predict.load import build_network
from workbench.slide.settings import Config, TrainConfig

SIDE, WIDTH = 256, 16


def read_csv(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return make_tiny_slide_weights(tmp_path_factory.mktemp("encoder") / "encoder.safetensors")


@pytest.fixture(scope="module")
def facts(encoder):
    return facts_of(encoder)


@pytest.fixture(scope="module")
def bags(tmp_path_factory, facts):
    """Forty bags of twenty patients, half of whom have two rare tiles in each."""
    folder, cases, rare = tmp_path_factory.mktemp("bags"), [], {}
    for n in range(40):
        is_ill = (n // 2) % 2 == 1
        path = folder / f"s{n:02d}.h5"
        rare[path.stem] = bag_file(path, facts, n, 2 * is_ill)
        cases.append(Case(path.stem, path, group=f"p{n // 2}", options={"label": "ill" if is_ill else "well"}))
    return cases, rare


def config(encoder, **more):
    return build(TrainConfig, {"weights": str(encoder), "device": "cpu", **more})


# --- labels of slides


@pytest.fixture(scope="module")
def labelled(bags, encoder, tmp_path_factory):
    cases, _ = bags
    steps = []
    out = tmp_path_factory.mktemp("mil") / "label.safetensors"
    report = stainnet.train(
        cases, config(encoder, objective="mil", bag_lr=2e-3, bag_epochs=15, folds=3), out, steps.append
    )
    return report, steps


def test_slides_with_a_few_rare_tiles_are_found(labelled, bags):
    report, steps = labelled
    assert report.measure == "AUROC"
    assert report.score > 0.95
    assert report.validation == "cross-validated on 40 slides of 20 patients in 3 folds, patients kept whole"
    assert [e.step for e in steps if e.measure == "slides embedded"] == list(range(40))
    passes = [e.step for e in steps if e.measure == "fold"]
    assert passes == sorted(passes)
    assert passes[-1] <= steps[-1].steps
    meta = weights.read_meta(report.weights)
    assert meta["kind"] == SLIDE
    assert [c["name"] for c in meta["classes"]] == ["ill", "well"]
    for key in ("calibration error, 10 bins", "Brier score, summed over labels"):
        assert 0 <= meta["scores"][key] <= 2
        assert f"{key} before calibration" in meta["scores"]
    rows = read_csv(report.log.with_name("slides.csv"))
    odds = np.array([float(r["probability ill"]) for r in rows])
    ill = np.array([r["label"] == "ill" for r in rows], float)
    brier = meta["scores"]["Brier score, summed over labels"]
    assert 2 * np.mean((odds - ill) ** 2) == pytest.approx(brier, abs=1e-3)
    folds = {row["patient"]: set() for row in rows}
    for row in rows:
        folds[row["patient"]].add(row["fold"])
    assert all(len(own) == 1 for own in folds.values()), "a patient judges in one fold"
    right = sum(row["said"] == row["label"] for row in rows)
    assert right / len(rows) == pytest.approx(meta["scores"]["balanced accuracy"], abs=1e-5)
    assert "Calibration" in report.report.read_text(encoding="utf-8")


def test_attention_lies_on_the_rare_tiles_of_slides_it_never_saw(labelled, facts, tmp_path):
    from sklearn.metrics import roc_auc_score

    from workbench.slide.predict.heads import load_head

    report, _ = labelled
    head = load_head(weights.find(report.weights, "stainnet"), 16)
    for seed in range(3):
        rare = bag_file(tmp_path / "new.h5", facts, 1000 + seed, 2)
        features = torch.from_numpy(np.asarray(read_hdf5(tmp_path / "new.h5").features, np.float32))
        with torch.no_grad():
            logits, attention = head.net(features)
        assert attention.sum() == pytest.approx(1, abs=1e-5)
        truth = np.isin(np.arange(64), rare)
        assert roc_auc_score(truth, attention.numpy()) > 0.9
        assert logits.argmax() == 0


def test_labels_by_chance_get_a_score_of_chance(bags, encoder, tmp_path):
    cases, _ = bags
    rng = np.random.default_rng(0)
    names = dict(zip({c.group for c in cases}, rng.permutation(np.repeat(["a", "b"], 10)).tolist(), strict=True))
    mixed = [replace(c, options={"label": names[c.group]}) for c in sorted(cases, key=lambda c: c.id)]
    own = config(encoder, objective="mil", bag_epochs=15, folds=4)
    report = stainnet.train(mixed, own, tmp_path / "x.safetensors")
    assert report.score < 0.8
    assert any("fewer than ten patients" in n for n in report.notes) is False


def test_what_cannot_be_learnt_is_refused(bags, encoder, facts, tmp_path):
    cases, _ = bags
    own, out = config(encoder, objective="mil"), tmp_path / "x.safetensors"
    for some, kind, why in (
        ([replace(c, options={}) for c in cases], InputError, "no column 'label'"),
        ([replace(cases[0], options={"label": " "}), *cases[1:]], InputError, "s00: no 'label'"),
        ([replace(c, options={"label": "a"}) for c in cases], UsageError, "all slides have the label 'a'"),
        (
            [replace(c, group="p0" if c.options["label"] == "ill" else c.group) for c in cases],
            UsageError,
            "'ill' has 1",
        ),
        (
            [cases[0], replace(cases[0], id="copy", group="other"), *cases[1:]],
            UsageError,
            "the same slide in two groups",
        ),
    ):
        with pytest.raises(kind, match=why):
            stainnet.train(some, own, out)
    assert not out.exists()
    numbers = [replace(c, options={"label": f"{n}.5"}) for n, c in enumerate(cases)]
    with pytest.raises(UsageError, match="Is the column a number"):
        stainnet.train(numbers, own, out)
    with pytest.raises(InputError, match="says something else"):
        stainnet.train(cases, config(encoder, objective="mil", label_column="group"), out)
    half = read_hdf5(cases[0].image)
    write_hdf5(tmp_path / "half.h5", replace(half, features=half.features.astype(np.float16)))
    again = replace(cases[0], id="half", image=tmp_path / "half.h5", group="another")
    with pytest.raises(UsageError, match="the same slide in two groups"):
        stainnet.train([*cases, again], own, out)
    with pytest.raises(InputError, match="stain_profile changes what an encoder sees"):
        stainnet.train(cases, replace(own, stain_profile=str(profile_file(tmp_path))), out)
    bag_file(tmp_path / "other.h5", {**facts, "weights_sha256": "0" * 64}, 1)
    with pytest.raises(InputError, match="was made by the weights"):
        stainnet.train([replace(c, image=tmp_path / "other.h5") for c in cases], own, out)
    bag_file(tmp_path / "scale.h5", {**facts, "target_mpp": 1.0}, 1)
    strange = [*cases, Case("strange", tmp_path / "scale.h5", options={"label": "ill"}, group="new")]
    report = stainnet.train(strange, config(encoder, objective="mil", bag_epochs=1), out)
    assert list(report.failures) == ["strange"]
    assert "target_mpp is 1.0" in report.failures["strange"]
    assert any("could not be read" in n for n in report.notes)


def profile_file(folder):
    from workbench.slide.data.stain_profile import FORMAT

    text = {
        "format": FORMAT, "version": 1, "method": "macenko", "glass": [245, 245, 245], "eosin_share": 0.3, "pixels": 9,
        "slide": "s", "slide_sha256": "0" * 64, "icc": False,
        "stains": [{"name": "haematoxylin", "vector": [0.65, 0.70, 0.29], "percentile_99": 2.0},
                   {"name": "eosin", "vector": [0.07, 0.99, 0.11], "percentile_99": 1.5}],
    }  # fmt: skip
    path = folder / "profile.json"
    path.write_text(json.dumps(text), encoding="utf-8")
    return path


def test_whose_slides_nobody_names_are_said(bags, encoder, tmp_path):
    cases, _ = bags
    own = config(encoder, objective="mil", bag_epochs=1, folds=2)
    report = stainnet.train([replace(c, group=c.id) for c in cases], own, tmp_path / "a.safetensors")
    assert any("names whose the slides are" in n for n in report.notes)
    some = [replace(c, group="unknown" if n in (0, 3) else c.group) for n, c in enumerate(cases)]
    report = stainnet.train(some, own, tmp_path / "b.safetensors")
    assert any("2 slide(s) count as patients of their own" in n for n in report.notes)
    assert len({r["patient"] for r in read_csv(report.log.with_name("slides.csv"))}) == 22


def test_the_probability_of_a_slide_is_calibrated(labelled, facts, tmp_path):
    """By the temperature of the file: twice as high, the odds are the square root."""
    from workbench.slide.data.tiles import Lattice
    from workbench.slide.predict.found import Found
    from workbench.slide.predict.heads import SLIDE_CLASS, load_head
    from workbench.testing import make_slide

    report, _ = labelled
    head = load_head(weights.find(report.weights, "stainnet"), 16)
    image = wb.read(make_slide(tmp_path / "s.ome.tif", mpp=(0.5, 0.5)))
    features = np.random.default_rng(0).normal(0, 1, (4, 16)).astype(np.float32)
    found = Found(np.arange(4), features, np.zeros(4, np.float32), [])
    tiles = Lattice((0.0, 0.0), 1.0, 256, 256, (2, 2))
    odds = []
    for factor in (40, 80):
        parts = replace(head, temperature=head.temperature * factor).parts(image, tiles, found)
        first, second = (float(row[1]) for row in parts[SLIDE_CLASS].rows)
        odds.append(np.log(first / second))
    assert odds[0] == pytest.approx(2 * odds[1], rel=0.05)


def test_classes_know_the_colours_that_they_were_taught_in(encoder, facts, tmp_path):
    """Of slides that are brought to a profile, and of files of embeddings of such slides."""
    from workbench.core.atomic import sha256_of

    study, places = write_study(tmp_path / "study", 1, first=3)
    (name,) = places
    regions = tmp_path / "r.geojson"
    regions.write_text(json.dumps({"type": "FeatureCollection", "features": [
        _feature("a", [(0, 0, 512, 512)]), _feature("b", [(1024, 1024, 512, 512)])]}), encoding="utf-8")  # fmt: skip
    profile = profile_file(tmp_path)
    case = Case("a", study.parent / f"{name}.ome.tif", regions)
    own = config(encoder, objective="probe", min_tissue=0.0)
    plain = stainnet.train([case], own, tmp_path / "plain.safetensors")
    report = stainnet.train([case], replace(own, stain_profile=str(profile)), tmp_path / "x.safetensors")
    assert weights.read_meta(report.weights)["recipe"]["stain_profile"] == sha256_of(profile)
    assert "stain_profile" not in weights.read_meta(plain.weights)["recipe"]
    one, two = (weights.load_tensors(r.weights)["mean"] for r in (plain, report))
    assert (one - two).abs().max() > 1e-4, "other colours, other numbers"
    made = stainnet.predict(stainnet.load(Config(weights=str(plain.weights)), torch.device("cpu")),
                            wb.read(case.image, kind="slide"), Config(stain_profile=str(profile)))  # fmt: skip
    assert any("colours as they are" in n for n in made.provenance.notes)
    assert made["embeddings"].about["stain_profile"] == sha256_of(profile)
    bag_file(tmp_path / "e.h5", {**facts, "stain_profile": "ab12"}, 0)
    again = stainnet.train([Case("e", tmp_path / "e.h5", regions)], own, tmp_path / "y.safetensors")
    assert weights.read_meta(again.weights)["recipe"]["stain_profile"] == "ab12"
    # A colour profile that was applied is known in the same way.
    bag_file(tmp_path / "i.h5", {**facts, "icc": "applied"}, 0)
    icc = stainnet.train([Case("i", tmp_path / "i.h5", regions)], own, tmp_path / "z.safetensors")
    assert weights.read_meta(icc.weights)["recipe"]["icc"] == "applied"
    made = stainnet.predict(stainnet.load(Config(weights=str(icc.weights)), torch.device("cpu")),
                            wb.read(case.image, kind="slide"), Config())  # fmt: skip
    assert any("taught on slides with their colour profile (icc), and this is without it" in n
               for n in made.provenance.notes)  # fmt: skip
    both = [Case(n, tmp_path / f"{n}.h5", group=n, options={"label": n}) for n in ("e", "i")]
    with pytest.raises(UsageError, match="nothing to tell apart.*its stain_profile is"):
        stainnet.train(both, replace(own, objective="mil"), tmp_path / "w.safetensors")


def test_maps_of_classes_have_names_of_their_own():
    from workbench.slide.predict.heads import _keys

    found = _keys("probability", ("a/b", "a_b", "A_B", "tumour", "x" * 900))
    assert len({k.casefold() for k in found}) == 5
    assert max(map(len, found)) < 240


def test_a_temperature_that_makes_it_worse_is_not_taken(encoder, facts, tmp_path):
    """Slides that tell nothing of their label: what some chose is no better for others."""
    cases = []
    for n in range(24):
        bag_file(tmp_path / f"s{n:02d}.h5", facts, n)
        name = "ill" if (n // 2) % 2 else "well"
        cases.append(Case(f"s{n:02d}", tmp_path / f"s{n:02d}.h5", group=f"p{n // 2}", options={"label": name}))
    out = tmp_path / "o.safetensors"
    report = stainnet.train(cases, config(encoder, objective="mil", bag_epochs=10, folds=4, bag_lr=3e-3), out)
    meta = weights.read_meta(out)
    before, after = (
        meta["scores"][f"Brier score, summed over labels{more}"] for more in (" before calibration", "")
    )  # fmt: skip
    said = any("probabilities are as the network says them" in n for n in report.notes)
    assert said == (meta["net"]["temperature"] == 1.0)
    assert after == before if said else after < before + 0.05
    rows = read_csv(report.log.with_name("slides.csv"))
    odds = np.array([float(r["probability ill"]) for r in rows])
    right = np.array([r["label"] == "ill" for r in rows])
    assert report.score == pytest.approx(roc_auc_score(right, odds), abs=1e-6), "recomputed from what was written"


def test_an_encoder_is_never_written_over(encoder, facts, tmp_path):
    own = tmp_path / "own.safetensors"
    own.write_bytes(encoder.read_bytes())
    before = own.read_bytes()
    cases = []
    for n in range(4):
        bag_file(tmp_path / f"s{n}.h5", facts, n)
        cases.append(Case(f"s{n}", tmp_path / f"s{n}.h5", group=str(n), options={"label": "xy"[n % 2]}))
    with pytest.raises(UsageError, match="starts from this very file"):
        stainnet.train(cases, config(own, objective="mil", overwrite=True), own)
    with pytest.raises(UsageError, match="these are the weights that it builds on"):
        weights.base_record(weights.find(own, "stainnet"), own)
    assert own.read_bytes() == before


# --- on slides, as the shell does it


def run(*call):
    done = CliRunner().invoke(cli, [str(part) for part in call])
    return done.exit_code, done.output + str(done.exception or "")


def test_a_study_of_slides_by_the_shell(encoder, tmp_path):
    """The list has patients in a column of that name, and a label that is a word, no file."""
    study, _ = write_study(tmp_path / "study", 8)
    study.write_text(study.read_text(encoding="utf-8").replace("diagnosis", "label"), encoding="utf-8")
    out = tmp_path / "label.safetensors"
    code, said = run("train", "stainnet", "-i", study, "-o", out, "--objective", "mil", "--weights", encoder,
                     "--bag-epochs", 2, "--folds", 2, "--device", "cpu")  # fmt: skip
    assert code == 0, said
    assert "8 slides of 4 patients in 2 folds" in said
    one = tmp_path / "study" / "s000.ome.tif"
    code, said = run("predict", "stainnet", "-i", one, "-o", tmp_path / "out", "--weights", out, "--device", "cpu")
    assert code == 0, said
    folder = tmp_path / "out" / "s000"
    rows = read_csv(folder / "slide_class.csv")
    assert {r["class"] for r in rows} == {"healthy", "tumour"}
    assert sum(float(r["probability"]) for r in rows) == pytest.approx(1, abs=1e-3)
    assert [r["label"] for r in rows].count("x") == 1
    assert "the slide is taken for '" in said
    score = weights.read_meta(out)["scores"]["AUROC"]
    assert f"; AUROC of the weights {score:.2f})" in said
    assert "deviations from those that taught" not in said
    # A slide of other colours is named, whatever its label is.
    pixels = tifffile.imread(one)
    other = tmp_path / "other.ome.tif"
    about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5,
             "PhysicalSizeYUnit": "µm"}  # fmt: skip
    tifffile.imwrite(other, np.clip(pixels[..., ::-1] // 2, 0, 255), ome=True, photometric="rgb", tile=(256, 256),
                     metadata=about)  # fmt: skip
    code, said = run("predict", "stainnet", "-i", other, "-o", tmp_path / "o3", "--weights", out, "--tissue", 0)
    assert code == 0, said
    assert "deviations from those that taught these classes, where about 1 is usual" in said
    attention, _ = read_map(folder / "attention.ome.tif")
    assert np.nanmean(attention) == pytest.approx(1, rel=1e-4)
    made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert made["details"]["encoder_sha256"] == weights.find(encoder, "stainnet").sha256
    assert made["weights_sha256"] == weights.find(out, "stainnet").sha256
    code, said = run("predict", "stainnet", "-i", one, "-o", tmp_path / "o2", "--weights", out, "--target-mpp", 1)
    assert code != 0
    assert "taught on tiles of 0.5 um per pixel" in said
    assert "--target-mpp 0.5" in said


# --- classes of tiles


def test_regions_teach_classes_that_are_applied_to_the_slide(encoder, tmp_path):
    study, places = write_study(tmp_path / "study", 3, first=2)
    name = next(n for n, own in places.items() if own)
    rare = places[name]
    features = []
    for row, column in rare:
        features.append(_feature("rare", [(column * SIDE, row * SIDE, SIDE, SIDE)]))
    others = [(0, 0), (5, 5), (5, 0), (0, 5), (2, 1), (4, 3)]
    for row, column in [p for p in others if p not in rare][:3]:
        features.append(_feature("usual", [(column * SIDE, row * SIDE, SIDE, SIDE)]))
    regions = tmp_path / "regions.geojson"
    regions.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    slide = study.parent / f"{name}.ome.tif"
    out = tmp_path / "tissue.safetensors"
    code, said = run("train", "stainnet", "-i", slide, "--labels", regions, "-o", out, "--objective", "probe",
                     "--weights", encoder, "--device", "cpu", "--min-tissue", 0)  # fmt: skip
    assert code == 0, said
    assert "cross-validated over 5 regions in 2 folds" in said
    meta = weights.read_meta(out)
    assert meta["kind"] == PROBE
    assert meta["training"]["tiles"] == {"rare": 2, "usual": 3}
    rows = read_csv(out.with_name("tissue_training") / "tiles.csv")
    assert [r["marked"] for r in rows].count("rare") == 2
    assert {r["region"] for r in rows} == {"0", "1", "2", "3", "4"}
    said = np.mean([[r["said"] == r["marked"] for r in rows if r["marked"] == n] == [True] * k
                    for n, k in (("rare", 2), ("usual", 3))])  # fmt: skip
    assert 0 <= said <= 1
    recall = [np.mean([r["said"] == n for r in rows if r["marked"] == n]) for n in ("rare", "usual")]
    assert np.mean(recall) == pytest.approx(meta["scores"]["balanced accuracy"], abs=1e-5)
    assert meta["base_sha256"] == weights.find(encoder, "stainnet").sha256
    code, said = run("predict", "stainnet", "-i", slide, "-o", tmp_path / "out", "--weights", out, "--tissue", 0)
    assert code == 0, said
    folder = tmp_path / "out" / name
    heat, _ = read_map(folder / "probability_rare.ome.tif")
    assert min(heat[row, column] for row, column in rare) > np.median(heat)
    rows = read_csv(folder / "class_areas.csv")
    assert sum(int(r["tiles"]) for r in rows) == 36
    assert {"tiles", "rare", "usual"} <= {r["class"] for r in read_csv(folder / "areas.csv")}
    assert sum(float(r["area [mm2]"]) for r in rows) == pytest.approx(36 * (SIDE * 0.5e-3) ** 2, abs=1e-5)
    # The same from the file of embeddings, without the slide.
    again = tmp_path / "again.safetensors"
    code, said = run("predict", "stainnet", "-i", slide, "-o", tmp_path / "e", "--weights", encoder, "--tissue", 0)
    assert code == 0, said
    table = tmp_path / "list.csv"
    table.write_text(f"image,labels\ne/{name}/embeddings.h5,regions.geojson\n", encoding="utf-8")
    code, said = run("train", "stainnet", "-i", table, "-o", again, "--objective", "probe", "--weights", encoder)
    assert code == 0, said
    one, two = (weights.load_tensors(f) for f in (out, again))
    for key in one:
        torch.testing.assert_close(one[key], two[key], atol=1e-4, rtol=1e-4)


def _feature(name, boxes):
    rings = [[[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]] for x, y, w, h in boxes]
    return {
        "type": "Feature", "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }  # fmt: skip


def test_heads_that_do_not_fit_are_refused(labelled, tmp_path):
    report, _ = labelled
    found = weights.find(report.weights, "stainnet")
    tensors = weights.load_tensors(found)
    for number, (meta, what) in enumerate((
        ({"net": {**found.meta["net"], "features": 99}}, "by 99 numbers"),
        ({"net": {**found.meta["net"], "temperature": -1.0}}, "temperature"),
        ({"classes": found.meta["classes"][:1]}, "1 classes"),
        ({"net": {**found.meta["net"], "hidden": 7}}, "shape"),
        ({"recipe": {"mpp": 0, "tile": 256}}, "do not say of which tiles"),
        ({"recipe": {}}, "do not say of which tiles"),
        ({"classes": [{**c, "name": "a"} for c in found.meta["classes"]]}, "make no sense"),
    )):  # fmt: skip
        record = {k: v for k, v in found.meta.items() if k not in ("hashes", "format")} | meta
        bad = weights.save(tmp_path / f"bad{number}.safetensors", tensors, record)
        with pytest.raises(WeightsError, match=what):
            stainnet.load(Config(weights=str(bad), device="cpu"), torch.device("cpu"))
    record = {k: v for k, v in found.meta.items() if k not in ("hashes", "format")}
    for key, value in (("classify.bias", np.nan), ("scale", 0.0), ("score.weight", 1e30)):
        broken = {k: torch.full_like(v, value) if k == key else v for k, v in tensors.items()}
        bad = weights.save(tmp_path / "broken.safetensors", broken, record)
        with pytest.raises(WeightsError, match="none, or too large"):
            stainnet.load(Config(weights=str(bad), device="cpu"), torch.device("cpu"))


def test_the_mean_of_patches_stands_for_a_tile_if_asked_for(encoder, tmp_path):
    from tests.tiny import make_tiny_slide

    image = wb.read(make_tiny_slide(tmp_path / "s.ome.tif"))
    parts = {}
    for how in ("auto", "cls", "mean", "both"):
        own = Config(weights=str(encoder), device="cpu", pooling=how)
        made = stainnet.predict(stainnet.load(own, torch.device("cpu")), image, own)
        parts[how] = made["embeddings"]
    np.testing.assert_array_equal(parts["auto"].data, parts["cls"].data)
    both = np.concatenate([parts["cls"].data, parts["mean"].data], 1)
    np.testing.assert_allclose(parts["both"].data, both, atol=1e-5)
    assert parts["mean"].about["pooling"] == "mean"
    assert np.abs(parts["mean"].data - parts["cls"].data).max() > 0.01
    net = build_network(weights.find(encoder, "stainnet")).eval()
    x = torch.randn(2, 3, 224, 224)
    from workbench.nets.vit import Pooled

    with torch.no_grad():
        torch.testing.assert_close(Pooled(net, "mean")(x), net.tokens(x)[:, 1:].mean(1))
        torch.testing.assert_close(Pooled(net, "cls")(x), net(x))


def test_a_probe_knows_its_pooling(encoder, facts, tmp_path):
    path = tmp_path / "a.h5"
    bag_file(path, {**facts, "pooling": "mean"}, 0)
    with h5py.File(path) as file:
        assert file["features"].attrs["pooling"] == "mean"
    regions = tmp_path / "r.geojson"
    regions.write_text(json.dumps({"type": "FeatureCollection", "features": [
        _feature("a", [(0, 0, 512, 512)]), _feature("b", [(1024, 1024, 512, 512)])]}), encoding="utf-8")  # fmt: skip
    case = Case("a", path, regions)
    with pytest.raises(InputError, match="pooling 'mean', not 'cls'"):
        stainnet.train([case], config(encoder, objective="probe", pooling="cls"), tmp_path / "x.safetensors")
    report = stainnet.train([case], config(encoder, objective="probe"), tmp_path / "y.safetensors")
    assert weights.read_meta(report.weights)["recipe"]["pooling"] == "mean"
    with pytest.raises(UsageError, match="taught with pooling 'mean'"):
        stainnet.load(Config(weights=str(report.weights), pooling="cls", device="cpu"), torch.device("cpu"))
    assert stainnet.load(Config(weights=str(report.weights), device="cpu"), torch.device("cpu")).net.how == "mean"
