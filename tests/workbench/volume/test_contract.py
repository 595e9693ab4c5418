"""Weights and volumes must agree: right data pass, wrong data are refused or noted, the same through every verb."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import workbench as wb
from tests.dicom_maker import write_series
from tests.workbench.volume.contract_table import QUICK, ROWS, as_mr, judge, phantom, save
from workbench import weights
from workbench.core.errors import MismatchError, WeightsError
from workbench.core.samples import demo_weights
from workbench.core.types import Case
from workbench.volume.data.taught import Taught

TRAIN = {"device": "cpu", "spacing": (6.0, 6.0, 6.0), "roi": (32, 32, 32), "steps": 2, "val_fraction": 0.0}


@pytest.fixture(scope="module")
def made():
    return phantom()


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory) -> Path:
    """A CT ``ct``, the same as MR ``mr``, and the named labels of both."""
    hu, labels, affine = made
    folder = tmp_path_factory.mktemp("contract")
    save(folder / "ct.nii.gz", hu, affine)
    save(folder / "mr.nii.gz", as_mr(hu, labels), affine)
    save(folder / "labels.nii.gz", labels, affine)
    names = {"liver": 1, "spleen": 2, "kidneys": 3, "aorta": 4, "vertebrae": 5, "lungs": 6}
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **names}}), encoding="utf-8")
    return folder


def case(folder: Path, name: str, id: str = "") -> Case:
    return Case(id or name, folder / f"{name}.nii.gz", folder / "labels.nii.gz", id or name)


@pytest.fixture(scope="module")
def mr_weights(folder: Path) -> Path:
    out = folder / "mr_weights.safetensors"
    wb.train("segformer3d", [case(folder, "mr")], out=out, weights="none", intensity="zscore", **TRAIN)
    return out


@pytest.mark.parametrize("name", ROWS)
def test_the_table(made, tmp_path: Path, name: str) -> None:
    change, expected, words = ROWS[name]
    path = save(tmp_path / "case.nii.gz", *change(*made))
    level, said = judge(path, "demo")
    assert level == expected, said
    assert words in said
    if expected == "refused":
        assert "case.nii.gz" in said
        assert "\n" not in said


def test_a_volume_stored_flipped_gives_the_same_labels(made, folder: Path, tmp_path: Path) -> None:
    flipped = save(tmp_path / "lps.nii.gz", *ROWS["right: stored as LPS"][0](*made))
    a, b = (wb.predict("segformer3d", p, weights="demo", **QUICK).labels.data for p in (folder / "ct.nii.gz", flipped))
    assert a.any()
    assert np.array_equal(a, b[::-1, ::-1])


def test_forced_data_are_predicted_and_the_result_says_so(folder: Path) -> None:
    result = wb.predict("segformer3d", folder / "mr.nii.gz", weights="demo", force=True, **QUICK)
    assert any(n.startswith("forced although values") for n in result.provenance.notes)
    assert {f["level"] for f in result.provenance.details["agreement"]} >= {"refused"}


def test_flips_that_training_never_saw_are_refused(folder: Path) -> None:
    with pytest.raises(MismatchError, match="never saw a mirrored volume"):
        wb.predict("segformer3d", folder / "ct.nii.gz", weights="demo", flips=True, **QUICK)
    with pytest.raises(MismatchError, match="never saw a mirrored volume"):
        wb.evaluate("segformer3d", [case(folder, "ct")], weights="demo", flips=True, **QUICK)


def test_the_modality_of_a_header_is_compared_before_voxels_load(tmp_path: Path) -> None:
    write_series(tmp_path, Modality="MR", n=8, rows=16, columns=16)
    image = wb.read(tmp_path)

    def never() -> np.ndarray:
        raise AssertionError("loaded all the same")

    with pytest.raises(MismatchError, match="modality: MR, taught on CT"):
        wb.predict("segformer3d", replace(image, loader=never), weights="demo", **QUICK)


def test_weights_of_mr_refuse_ct_and_take_mr_of_any_scale(made, folder: Path, mr_weights: Path, tmp_path: Path) -> None:
    level, said = judge(folder / "ct.nii.gz", str(mr_weights))
    assert level == "refused"
    assert "looks like CT in HU" in said
    brighter = save(tmp_path / "bright.nii.gz", as_mr(*made[:2]) * 7.5, made[2])
    assert judge(brighter, str(mr_weights))[0] == "accepted"


def test_evaluate_and_adapting_refuse_as_predict_does(folder: Path, tmp_path: Path) -> None:
    wrong, right = case(folder, "mr"), case(folder, "ct")
    found = wb.evaluate("segformer3d", [wrong, right], weights="demo", **QUICK)
    assert "not what weights" in found.failures["mr"]
    assert {r["case"] for r in found.rows} == {"ct"}
    out = tmp_path / "adapted.safetensors"
    with pytest.raises(MismatchError, match="case 'mr'.*not what weights demo were taught on"):
        wb.train("segformer3d", [wrong, right], out=out, weights="demo", **TRAIN)
    assert not out.exists()


def test_adapting_joins_what_taught_both_and_scores_mark_copies(made, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "adapted.safetensors"
    wb.train("segformer3d", [case(folder, "ct")], out=out, weights="demo", lora_rank=2, **TRAIN)
    meta = weights.find(out).meta
    demo = weights.find(demo_weights()["segformer3d"]).meta
    both = Taught.from_json(meta["taught"])
    assert both.cases == Taught.from_json(demo["taught"]).cases + 1
    assert both.spacing_mm[0][1] == pytest.approx(6.0)  # the coarse one
    assert len(meta["seen"]) == len(demo["seen"]) + 1
    hu, _, affine = made
    other = save(tmp_path / "other.nii.gz", hu + 3, affine)
    copy = save(tmp_path / "renamed.nii", *ROWS["right: stored as LPS"][0](*made))
    nib.save(nib.Nifti1Image(np.asarray(nib.load(folder / "labels.nii.gz").dataobj)[::-1, ::-1],
             nib.load(copy).affine), tmp_path / "copy_labels.nii.gz")  # fmt: skip
    (tmp_path / "dataset.json").write_text((folder / "dataset.json").read_text(encoding="utf-8"), encoding="utf-8")
    cases = [
        Case("copy", copy, tmp_path / "copy_labels.nii.gz", "x"),
        Case("new", other, folder / "labels.nii.gz", "y"),
    ]
    report = wb.evaluate("segformer3d", cases, weights=str(out), out=tmp_path / "out", **QUICK)
    assert {r["case"]: r["seen"] for r in report.rows} == {"copy": "learnt", "new": "no"}
    assert report.mean_dice_unseen is not None
    assert any("1 of 2 case(s) taught the weights (copy)" in n for n in report.notes)
    stored = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert stored["mean_dice_unseen"] == pytest.approx(report.mean_dice_unseen)


def test_weights_without_a_record_say_that_nothing_was_compared(folder: Path, tmp_path: Path) -> None:
    demo = weights.find(demo_weights()["segformer3d"])
    bare = {k: v for k, v in demo.meta.items() if k not in ("taught", "seen", "hashes")}
    old = weights.save(tmp_path / "old.safetensors", weights.load_tensors(demo), bare)
    level, said = judge(folder / "ct.nii.gz", str(old))
    assert level == "noted"
    assert "do not say" in said
    assert judge(folder / "mr.nii.gz", str(old))[0] == "refused"  # its recipe says CT
    with pytest.raises(MismatchError, match="mirrored"):  # and its settings that nothing was mirrored
        wb.predict("segformer3d", folder / "ct.nii.gz", weights=str(old), flips=True, **QUICK)
    report = wb.evaluate("segformer3d", [case(folder, "ct")], weights=str(old), **QUICK)
    assert {r["seen"] for r in report.rows} == {"not known"}


def test_a_record_that_is_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    demo = weights.find(demo_weights()["segformer3d"])
    meta = {k: v for k, v in demo.meta.items() if k != "hashes"} | {"taught": {"cases": "many"}}
    broken = weights.save(tmp_path / "broken.safetensors", weights.load_tensors(demo), meta)
    with pytest.raises(WeightsError, match="taught.*damaged.*whole number"):
        wb.predict("segformer3d", folder / "ct.nii.gz", weights=str(broken), **QUICK)


def test_real_volumes_of_other_scanners_pass(shared_data: Path) -> None:
    for name in ("ct_torso_3mm.nii.gz", "ct_abdomen_3mm.nii.gz", "ct_dicom"):
        assert judge(shared_data / "volume" / name, "demo", roi=(64, 64, 64))[0] in ("accepted", "noted"), name
    assert judge(shared_data / "volume" / "mr_abdomen_3mm.nii.gz", "demo")[0] == "refused"
