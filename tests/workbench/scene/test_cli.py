"""Scenes from the shell: train, predict, evaluate, and what is refused."""

import json

import numpy as np
import pytest

from tests.one_line import one_error_line
from tests.scenes import scene_arrays, write_npy
from workbench.cli import run
from workbench.data import formats

QUICK = ["--device", "cpu", "--components", "5", "--patch", "5", "--steps", "2", "--batch", "9", "--head-start", "120"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_npy(tmp_path_factory.mktemp("scene"), *scene_arrays())


@pytest.fixture(scope="module")
def weights(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("weights") / "w.safetensors"
    arguments = ["train", "lola_specvit", "-i", str(files[0]), "--labels", str(files[1]), "-o", str(out), "-q", *QUICK]
    assert run(arguments) == 0
    return out


def test_train_names_its_measure_and_its_test(files, tmp_path, capsys) -> None:
    out = tmp_path / "w.safetensors"
    arguments = ["train", "lola_specvit", "-i", str(files[0]), "--labels", str(files[1]), "-o", str(out), *QUICK]
    assert run([*arguments, "--split", "random", "--per-class", "12"]) == 0
    captured = capsys.readouterr()
    assert str(out) in captured.out
    assert "accuracy" in captured.err
    assert "test OA 0." in captured.err or "test OA 1." in captured.err
    assert "Dice" not in captured.err


def test_predict_writes_the_map_and_says_the_areas(files, weights, tmp_path, capsys) -> None:
    arguments = ["predict", "lola_specvit", "-i", str(files[0]), "-o", str(tmp_path), "--weights", str(weights)]
    assert run([*arguments, "--device", "cpu", "--reference"]) == 0
    captured = capsys.readouterr()
    assert "class 1" in captured.err
    assert "pixels" in captured.err
    record = json.loads((tmp_path / "scene" / "provenance.json").read_text(encoding="utf-8"))
    assert {n.split(".")[0] for n in record["files"]} >= {"labels", "confidence", "areas", "reference_labels"}
    truth = np.load(files[1])
    for name in ("labels", "reference_labels"):
        found = formats.read_labels(tmp_path / "scene" / f"{name}.dat").data
        assert found.shape == truth.shape
        assert (found == truth).mean() > 0.9, name
    assert run([*arguments, "--device", "cpu", "--reference"]) == 0
    assert "already complete" in capsys.readouterr().err


def test_evaluate_shows_oa_aa_and_kappa(files, weights, tmp_path, capsys) -> None:
    arguments = ["evaluate", "lola_specvit", "-i", str(files[0]), "--labels", str(files[1]), "-o", str(tmp_path)]
    assert run([*arguments, "--weights", str(weights), "--device", "cpu", "-q"]) == 0
    out = capsys.readouterr().out
    assert "kappa" in out
    assert "LoLA-SpecViT" in out
    assert (tmp_path / "report.html").is_file()


def test_more_bands_than_the_model_knows(weights, tmp_path, capsys) -> None:
    cube, labels = scene_arrays(bands=23)
    wide, _ = write_npy(tmp_path / "wide", cube, labels)
    out = tmp_path / "out"
    arguments = ["predict", "lola_specvit", "-i", str(wide), "-o", str(out), "--weights", str(weights), "-q"]
    assert run([*arguments, "--device", "cpu"]) == 3
    one_error_line(capsys.readouterr(), "scene.npy", "23 bands", "more than the 20", "--pca scene")
    assert not out.exists()


def test_weights_of_another_backend(files, tmp_path, capsys) -> None:
    from tests.tiny import make_tiny_weights

    other = make_tiny_weights(tmp_path / "volume.safetensors")
    out = tmp_path / "out"
    arguments = ["predict", "lola_specvit", "-i", str(files[0]), "-o", str(out), "--weights", str(other), "-q"]
    assert run(arguments) == 5
    assert "for backend 'segformer3d'" in capsys.readouterr().err
    assert not out.exists()
