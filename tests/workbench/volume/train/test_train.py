"""Training on phantoms end to end: it learns, resumes, adapts and says what it did."""

import csv
import json
import runpy
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import pytest
import torch

from tests.study_maker import write_nnunet
from tests.workbench.report.test_html import pictures_in
from workbench import weights
from workbench.cli import run
from workbench.core.errors import Cancelled, InputError, UsageError, WeightsError
from workbench.core.settings import build
from workbench.core.types import Case
from workbench.volume.train.settings import TrainConfig
from workbench.volume.train.train import train_volumes

SCRIPT = Path(__file__).resolve().parents[4] / "sample_data" / "make_phantoms.py"
QUICK = {
    "weights": "none", "device": "cpu", "spacing": (6.0, 6.0, 6.0), "roi": (32, 32, 32), "batch": 2, "lr": 3e-3,
    "ema": 0.9, "val_fraction": 0.34,
}  # fmt: skip


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> list[Case]:
    """Three coarse phantoms, each a patient of its own."""
    made = runpy.run_path(str(SCRIPT))
    folder = tmp_path_factory.mktemp("phantoms")
    found = []
    for seed in (11, 12, 13):
        phantom = made["make_phantom"](seed, field="abdomen", spacing_mm=(6.0, 6.0, 6.0))
        image, labels = folder / f"p{seed}.nii.gz", folder / f"p{seed}_labels.nii.gz"
        made["save_phantom"](phantom, image, labels)
        found.append(Case(f"p{seed}", image, labels, f"patient {seed}"))
    return found


@pytest.fixture(scope="module")
def trained(cases, tmp_path_factory):
    """A very short training from scratch that the others start from."""
    out = tmp_path_factory.mktemp("trained") / "first.safetensors"
    return train_volumes(cases, build(TrainConfig, QUICK | {"steps": 40, "validate_every": 10}), out)


@pytest.mark.slow
def test_a_short_training_learns_organs(cases, tmp_path: Path) -> None:
    settings = build(TrainConfig, QUICK | {"steps": 200, "validate_every": 50})
    trained = train_volumes(cases, settings, tmp_path / "w.safetensors")
    scores = [row["score"] for row in trained.history]
    assert scores[-1] > scores[0] + 0.1
    assert trained.score > 0.25
    assert "1 held-out case(s)" in trained.validation


def test_weights_carry_all_that_predicting_needs(trained) -> None:
    found = weights.find(trained.weights, "segformer3d")
    meta = found.meta
    assert [c["name"] for c in meta["classes"]] == ["liver", "spleen", "kidneys", "aorta", "vertebrae", "lungs"]
    assert meta["recipe"]["spacing_mm"] == [6.0, 6.0, 6.0]
    assert meta["kind"] == "full"
    assert set(meta["training"]["trained_on"]).isdisjoint(meta["training"]["validated_on"])
    assert {v.dtype for v in weights.load_tensors(found).values()} <= {torch.float16, torch.int64}


def test_the_saved_weights_score_through_the_backend_as_in_training(trained, cases, tmp_path: Path) -> None:
    from workbench import api

    held_out = [c for c in cases if c.id in weights.find(trained.weights).meta["training"]["validated_on"]]
    report = api.evaluate("segformer3d", held_out, out=tmp_path, weights=str(trained.weights), device="cpu")
    assert report.mean_dice == pytest.approx(trained.score, abs=0.05)  # float16 and exact instead of fast windows


def test_log_and_report_are_written(trained) -> None:
    with trained.log.open() as f:
        rows = list(csv.DictReader(f))
    assert [int(r["step"]) for r in rows] == [10, 20, 30, 40]
    text = trained.report.read_text(encoding="utf-8")
    assert len(pictures_in(text)) == 2  # the curve and the held-out case
    assert "held-out" in text


def test_a_cancelled_training_resumes_to_the_same_weights(cases, trained, tmp_path: Path) -> None:
    config = QUICK | {"steps": 12, "validate_every": 4}

    def stop(event) -> None:
        if event.step == 6:
            raise Cancelled

    whole = train_volumes(cases, build(TrainConfig, config), tmp_path / "whole.safetensors")
    half = train_volumes(cases, build(TrainConfig, config), tmp_path / "half.safetensors", stop)
    assert half.stopped == "cancelled"
    rest = train_volumes(cases, build(TrainConfig, config | {"resume": True}), tmp_path / "half.safetensors")
    a, b = (weights.load_tensors(weights.find(r.weights)) for r in (whole, rest))
    for name in a:
        assert torch.allclose(a[name].float(), b[name].float(), atol=1e-6), name


def test_a_state_with_another_validation_part_is_not_continued(cases, tmp_path: Path) -> None:
    """What it learnt from would be scored as held out; ``split`` may be a column of the list."""
    config = QUICK | {"steps": 2, "validate_every": 1}

    def validating_on(number: int) -> list[Case]:
        return [replace(c, options={"split": "val" if n == number else "train"}) for n, c in enumerate(cases)]

    def stop(event) -> None:
        raise Cancelled

    train_volumes(validating_on(0), build(TrainConfig, config), tmp_path / "x.safetensors", stop)
    again = build(TrainConfig, config | {"resume": True})
    with pytest.raises(UsageError, match="validated"):
        train_volumes(validating_on(1), again, tmp_path / "x.safetensors")
    assert train_volumes(validating_on(0), again, tmp_path / "x.safetensors").stopped != "cancelled"


def test_adapters_are_small_and_leave_the_base_alone(cases, trained, tmp_path: Path) -> None:
    from workbench.volume.segformer3d import build_network

    before = trained.weights.read_bytes()
    config = build(TrainConfig, QUICK | {"weights": str(trained.weights), "lora_rank": 4, "steps": 10})
    report = train_volumes(cases, config, tmp_path / "adapter.safetensors")
    assert trained.weights.read_bytes() == before
    assert report.weights.stat().st_size < 0.2 * trained.weights.stat().st_size
    adapter, base = weights.find(report.weights), weights.find(trained.weights)
    assert adapter.is_lora
    assert adapter.meta["base_sha256"] == base.sha256
    tensors = weights.load_tensors(adapter)
    base_tensors = weights.load_tensors(base)
    moved = [k for k, v in tensors.items() if k.endswith("lora_b") and v.abs().sum() > 0]
    assert moved
    for key in tensors.keys() & base_tensors.keys():  # the head learns, statistics of norms stay
        if "linear_pred" not in key:
            assert torch.equal(tensors[key], base_tensors[key]), key
    net, _, classes = build_network(adapter)
    assert classes.names == tuple(c["name"] for c in base.meta["classes"])
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in build_network(base)[0].parameters())


def test_a_frozen_encoder_stays_and_classes_are_copied_by_name(cases, trained, tmp_path: Path) -> None:
    config = build(
        TrainConfig,
        QUICK
        | {"weights": str(trained.weights), "freeze": "encoder", "steps": 4, "classes": "spine:vertebrae,liver:1"},
    )
    report = train_volumes(cases, config, tmp_path / "two.safetensors")
    assert report.copied == ("liver",)
    old = weights.load_tensors(weights.find(trained.weights))
    new = weights.load_tensors(weights.find(report.weights))
    for name, value in old.items():
        if name.startswith("segformer_encoder."):
            assert torch.equal(value, new[name]), name
    assert new["segformer_decoder.linear_pred.bias"].shape == (3,)
    assert not torch.equal(old["segformer_decoder.linear_fuse.0.weight"], new["segformer_decoder.linear_fuse.0.weight"])


def test_one_patient_is_validated_on_itself_and_the_record_says_so(cases, tmp_path: Path) -> None:
    report = train_volumes(cases[:1], build(TrainConfig, QUICK | {"steps": 2}), tmp_path / "one.safetensors")
    assert "not generalisation" in report.validation
    assert "not generalisation" in json.dumps(weights.find(report.weights).meta)
    assert "not generalisation" in report.report.read_text(encoding="utf-8")


def test_a_held_out_copy_of_what_was_learnt_is_said(cases, tmp_path: Path) -> None:
    image = nib.load(cases[0].image)
    copy = tmp_path / "copy.nii"  # other bytes, the same voxels
    nib.save(image, copy)
    twice = [cases[0], Case("copy", copy, cases[0].labels, "another")]
    config = build(TrainConfig, QUICK | {"steps": 1, "val_fraction": 0.5})
    report = train_volumes(twice, config, tmp_path / "two.safetensors")
    assert any("1 held-out case(s) are the same scan as one that was learnt from" in n for n in report.notes)
    report = train_volumes(cases[:2], config, tmp_path / "other.safetensors")
    assert not any("same scan" in n for n in report.notes)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"classes": "gallbladder:77"}, InputError, "no voxel of gallbladder"),
        ({"lora_rank": 4}, UsageError, "weights=none has none"),
        ({"roi": (30, 32, 32)}, UsageError, "multiples of 4"),
        ({"weights": "nowhere.safetensors"}, WeightsError, "nowhere"),
    ],
)
def test_settings_that_cannot_work_are_named(cases, tmp_path: Path, change, error, message: str) -> None:
    with pytest.raises(error, match=message):
        train_volumes(cases, build(TrainConfig, QUICK | change), tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_cases_without_labels_are_named(cases, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without labels: naked"):
        train_volumes([Case("naked", cases[0].image)], build(TrainConfig, QUICK), tmp_path / "x.safetensors")


def test_the_folds_of_a_data_set_are_its_split(tmp_path, capsys):
    """From the shell: fold 1 of splits_final.json, the default fold 0, and a split of our own by --fold -1."""
    names = ["a_1", "b_2", "c_3", "d_4"]
    write_nnunet(tmp_path / "set", names)
    folds = [{"train": names[1:], "val": names[:1]}, {"train": names[:2], "val": names[2:3]}]
    (tmp_path / "set" / "splits_final.json").write_text(json.dumps(folds))
    line = ["train", "segformer3d", "-i", str(tmp_path / "set"), "--weights", "none", "--device", "cpu", "-q"]
    line += ["--intensity", "zscore", "--spacing", "1", "1", "1", "--roi", "16", "16", "48", "--steps", "1", "--force"]
    found = {}
    for fold in ((), ("--fold", "1"), ("--fold", "-1")):
        out = tmp_path / f"{len(found)}.safetensors"
        assert run([*line, "-o", str(out), *fold]) == 0, capsys.readouterr().err
        found[fold] = weights.find(str(out), "segformer3d").meta["training"]
    first, second, own = found.values()
    assert (first["validated_on"], first["trained_on"]) == (["a_1"], names[1:])
    assert first["validation"] == "on 1 held-out case(s), fold 0 of splits_final.json"
    assert (second["validated_on"], second["trained_on"]) == (["c_3"], names[:2])
    assert any("does not name d_4: neither learnt from nor validated on" in n for n in second["notes"])
    assert "splits_final.json" not in own["validation"]
    assert run([*line, "-o", str(tmp_path / "x.safetensors"), "--fold", "2"]) == 2
    assert "fold=2: the data set has 2 folds, 0 to 1" in capsys.readouterr().err
