"""Weights of a scene meet right data and wrong data: refused, converted or noted, the same through every verb."""

import shutil

import numpy as np
import pytest
import torch

import workbench as wb
from tests.scene_maker import save_envi
from tests.workbench.scene.contract_cases import (
    LABELS,
    QUICK,
    digital,
    envi,
    labels_for,
    outcome_of,
    rows,
    train,
    truth,
)
from workbench import weights as weight_files
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, MismatchError, WeightsError
from workbench.scene.data.taught import from_json
from workbench.scene.lola_specvit import Config, load
from workbench.scene.train.lesson import SceneLearner, map_only
from workbench.training.lesson import Lesson, MapBoard

ADAPT = QUICK | {"lora_rank": 2, "steps": 1, "head_start": 0}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Such small work only loses time to threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    return train(tmp_path_factory.mktemp("taught"))


@pytest.fixture(scope="module")
def right(taught):
    found = wb.predict("lola_specvit", taught[1].image, weights=str(taught[0]), device="cpu").labels.data
    assert (found == truth()).mean() > 0.9
    return found


def table(*names):
    known = rows()
    chosen = [r for r in known if not names or r.name in names]
    assert len(chosen) == (len(names) or len(known))
    return [pytest.param(r, id=r.name) for r in chosen]


@pytest.mark.parametrize("row", table())
def test_predict(row, taught, right, tmp_path):
    path = row.write(tmp_path)
    if row.outcome == "refused":
        with pytest.raises(InputError, match=row.says) as caught:
            wb.predict("lola_specvit", path, weights=str(taught[0]), device="cpu")
        assert path.stem in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    result = wb.predict("lola_specvit", path, weights=str(taught[0]), device="cpu")
    assert outcome_of(result) == row.outcome, result.provenance.notes
    assert row.says in "; ".join(result.provenance.notes)
    if row.equal:
        assert np.array_equal(result.labels.data, right)
    if row.empty:
        assert (result.labels.data == 0).sum() == row.empty
        assert (result.labels.data != right).sum() == row.empty
    if row.outcome == "same":
        assert result.provenance.notes == ()


_FEW = (
    "right data", "scale factor in the header", "bands in reverse order", "a bad band of its own",
    "no-data that nothing declares", "radiance", "centres 300 nm higher", "two bands of no-data", "no wavelengths",
)  # fmt: skip


@pytest.mark.parametrize("row", table(*_FEW))
def test_evaluate(row, taught, tmp_path):
    path = row.write(tmp_path)
    case = wb.Case("c", path, labels_for(path, tmp_path))
    if row.outcome == "refused":
        with pytest.raises(MismatchError, match=row.says):
            wb.evaluate("lola_specvit", [case], weights=str(taught[0]), device="cpu")
        return
    report = wb.evaluate("lola_specvit", [case], out=tmp_path / "out", weights=str(taught[0]), device="cpu")
    assert row.says in "; ".join(report.notes)
    assert report.rows[-1]["OA"] > 0.85
    for file in ("scores.json", "report.html"):
        assert row.says in (tmp_path / "out" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("row", table(*_FEW))
def test_adapting(row, taught, tmp_path):
    path = row.write(tmp_path)
    case = wb.Case("c", path, labels_for(path, tmp_path))
    out, values = tmp_path / "w.safetensors", ADAPT | {"weights": str(taught[0])}
    if row.outcome == "refused":
        with pytest.raises(MismatchError, match=row.says):
            wb.train("lola_specvit", [case], out=out, **values)
        assert not out.exists()
        return
    report = wb.train("lola_specvit", [case], out=out, **values)
    assert row.says in "; ".join(report.notes)
    record = weight_files.read_meta(out)
    assert [s["name"] for s in record["taught"]["scenes"]] == ["base", path.stem]
    assert [s["id"] for s in record["seen"]] == ["base", path.stem]
    assert wb.predict("lola_specvit", path, weights=str(out), device="cpu").labels.data.any()


@pytest.mark.parametrize("row", table("bands in reverse order", "radiance"))
def test_a_lesson_and_map_only(row, taught, right, tmp_path):
    image = wb.read(row.write(tmp_path))
    board = MapBoard(image.geometry.shape, ClassTable())
    learner = SceneLearner(image, **ADAPT | {"weights": str(taught[0])})
    given = wb.read_labels(labels_for(image.source, tmp_path), reference=image.geometry)
    lesson = Lesson(learner, given, tmp_path / "m.safetensors")
    if row.outcome == "refused":
        with pytest.raises(MismatchError, match="scale"):
            map_only(image, board, lambda *_: None, weights=str(taught[0]), device="cpu")
        with pytest.raises(MismatchError, match="scale"):
            lesson.run()
        return
    found = map_only(image, board, lambda *_: None, weights=str(taught[0]), device="cpu")
    assert np.array_equal(found.result.labels.data, right)
    assert row.says in found.text
    learnt = lesson.run()
    assert row.says in learnt.text
    assert (learnt.result.labels.data == truth()).mean() > 0.8


def test_force_goes_on_and_says_so(taught, tmp_path):
    row = next(r for r in rows() if r.name == "centres 300 nm higher")
    result = wb.predict("lola_specvit", row.write(tmp_path), weights=str(taught[0]), device="cpu", force=True)
    assert any(n.startswith("forced although wavelengths") for n in result.provenance.notes)
    fewer = next(r for r in rows() if r.name == "fewer bands")
    with pytest.raises(InputError, match="15 bands"):
        wb.predict("lola_specvit", fewer.write(tmp_path), weights=str(taught[0]), device="cpu", force=True)


def test_weights_of_version_0_1_compare_what_they_imply(taught, right, tmp_path):
    record = weight_files.read_meta(taught[0])
    old = {k: v for k, v in record.items() if k not in ("taught", "seen", "hashes")}
    path = tmp_path / "old.safetensors"
    weight_files.save(path, weight_files.load_tensors(taught[0]), old)
    result = wb.predict("lola_specvit", taught[1].image, weights=str(path), device="cpu")
    assert np.array_equal(result.labels.data, right)
    assert len(result.provenance.notes) == 1
    assert "not compared" in result.provenance.notes[0]
    reverse = envi(tmp_path, "reverse", digital()[::-1], np.linspace(1400, 450, 20), reflectance_scale_factor=10000)
    found = wb.predict("lola_specvit", reverse, weights=str(path), device="cpu")
    assert np.array_equal(found.labels.data, right)
    report = wb.evaluate("lola_specvit", [taught[1]], weights=str(path), device="cpu")
    assert [r["seen"] for r in report.rows] == ["not known"]
    assert "not known" in report.notes[-1]


def test_a_broken_record_blames_the_weights(taught, tmp_path):
    record = weight_files.read_meta(taught[0])
    for change in ({"bands": "many"}, {"used": [1.5]}, {"scenes": [{"name": "a", "level": [1]}]}, {"unit": 3}):
        bad = {**record, "taught": {**record["taught"], **change}}
        with pytest.raises(WeightsError, match="taught"):
            from_json(bad["taught"])
        weight_files.save(tmp_path / "bad.safetensors", weight_files.load_tensors(taught[0]), bad)
        with pytest.raises(WeightsError, match=r"bad\.safetensors"):
            wb.predict("lola_specvit", taught[1].image, weights=str(tmp_path / "bad.safetensors"), device="cpu")
    assert from_json({**record["taught"], "of_a_later_version": 3}) == from_json(record["taught"])


# --- seen pixels


@pytest.fixture(scope="module")
def partly(taught, tmp_path_factory):
    """Weights that learnt from the pixels of the left half."""
    folder = tmp_path_factory.mktemp("partly")
    half = truth().copy()
    half[:, 8:] = 0
    labels = save_envi(folder, half[None], name="half_labels", **LABELS)
    wb.train("lola_specvit", [wb.Case("s", taught[1].image, labels)], out=folder / "half.safetensors", **QUICK)
    return folder / "half.safetensors"


def counts(report):
    return {r["seen"]: r["test_pixels"] for r in report.rows if r["split"] != "all labels"}


def test_pixels_that_taught_are_scored_apart(taught, partly):
    report = wb.evaluate("lola_specvit", [taught[1]], weights=str(partly), device="cpu")
    assert report.rows[0]["split"] == "unseen pixels"
    assert report.rows[-1]["split"] == "all labels"
    found = counts(report)
    assert found["learnt"] + found["chosen by"] == 30 * 8
    reach = load(Config(weights=str(partly), device="cpu"), torch.device("cpu")).net.patch_size
    assert found["near"] == 30 * (reach - 1)
    assert found["no"] == 30 * (26 - 8 - reach + 1)
    assert "the scores to go by are those on the" in report.notes[-1]


def test_a_copy_is_known_by_its_content(taught, partly, tmp_path):
    cube, expected = digital(), counts(wb.evaluate("lola_specvit", [taught[1]], weights=str(partly), device="cpu"))
    labels = taught[1].labels
    np.save(tmp_path / "array.npy", np.moveaxis(cube, 0, -1))
    copies = [
        envi(tmp_path, "renamed bip", cube, interleave="bip"),
        envi(tmp_path, "reversed", cube[::-1], np.linspace(1400, 450, 20)),
        envi(tmp_path, "scaled", cube, reflectance_scale_factor=10000),
        tmp_path / "array.npy",
    ]
    rasterio = pytest.importorskip("rasterio")
    shape = {"count": 20, "height": 30, "width": 26, "dtype": "int16"}
    shape["transform"] = rasterio.Affine(2, 0, 500, 0, -2, 900)
    with rasterio.open(tmp_path / "copy.tif", "w", driver="GTiff", **shape) as out:
        out.write(cube)
    copies.append(tmp_path / "copy.tif")
    for path in copies:
        report = wb.evaluate("lola_specvit", [wb.Case("x", path, labels)], weights=str(partly), device="cpu")
        assert counts(report) == expected, path


def test_a_crop_is_known_and_another_scene_is_not(partly, tmp_path):
    crop = envi(tmp_path, "crop", digital()[:, 4:20, 3:19])
    case = wb.Case("x", crop, labels_for(crop, tmp_path))
    found = counts(wb.evaluate("lola_specvit", [case], weights=str(partly), device="cpu"))
    assert found["learnt"] + found["chosen by"] == 16 * 5
    other = envi(tmp_path, "other", digital(5))
    report = wb.evaluate("lola_specvit", [wb.Case("x", other, labels_for(other, tmp_path))], weights=str(partly))
    assert [r["seen"] for r in report.rows] == ["no"]
    assert not any("unseen" in n for n in report.notes)


def test_adapting_remembers_what_taught_the_start(taught, partly, tmp_path):
    other = envi(tmp_path, "other", digital(5))
    case = wb.Case("x", other, labels_for(other, tmp_path))
    values = ADAPT | {"weights": str(partly)}
    wb.train("lola_specvit", [case], out=tmp_path / "next.safetensors", **values)
    report = wb.evaluate("lola_specvit", [taught[1]], weights=str(tmp_path / "next.safetensors"), device="cpu")
    assert counts(report)["learnt"] + counts(report)["chosen by"] == 30 * 8
    values = ADAPT | {"weights": str(partly), "splits": "random", "seeds": 1, "references": False, "per_class": 20}
    again = wb.evaluate("lola_specvit", [taught[1]], **values)
    assert {r["seen"] for r in again.rows} == {"in part"}
    assert any("seen by the weights" in n for n in again.notes)


def test_the_start_of_an_adapter_is_found_by_its_numbers(partly, taught, tmp_path):
    base = shutil.copyfile(partly, tmp_path / "base.safetensors")
    wb.train("lola_specvit", [taught[1]], out=tmp_path / "a.safetensors", **ADAPT | {"weights": str(base)})
    record = weight_files.read_meta(base)
    weight_files.save(base, weight_files.load_tensors(base), {**record, "title": "written anew"})
    assert wb.predict("lola_specvit", taught[1].image, weights=str(tmp_path / "a.safetensors"), device="cpu").parts
