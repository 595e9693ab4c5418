"""What version 0.1 wrote is still understood: weights, trainings to be resumed, results, lists of a group, layers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from tests.compat import make_v0_1
from tests.compat.old_home import BACKENDS, INPUTS, layer, truth, unpack
from workbench import weights
from workbench.cli import run
from workbench.core.types import Case, Mark
from workbench.weights.fetch import fetch
from workbench.weights.published import known


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of version 0.1, its home being the home of this test."""
    folder = unpack(tmp_path / "old")
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    return folder


def predict(old: Path, kind: str, out: Path, *more: str, weights: str = "") -> int:
    backend, file, options = make_v0_1.PREDICT[kind]
    call = ["predict", backend, "-i", str(old / "inputs" / file), "-o", str(out), "--weights", weights or kind]
    return run([*call, *options, "--device", "cpu", *more])


def in_file_order(shown: np.ndarray) -> np.ndarray:
    """A layer of the volume (z, y, x, towards the feet, back and left) as the voxels of its RAS file."""
    return shown.transpose(2, 1, 0)[::-1, ::-1]


def assert_same(found: Path, wanted: Path) -> None:
    """The same files with the same content; fractions may differ in the last digits, as between two processors."""
    names = {p.name for p in wanted.iterdir()}
    assert {p.name for p in found.iterdir()} == names
    for name in sorted(names - {"provenance.json"}):
        a, b = found / name, wanted / name
        if a.read_bytes() == b.read_bytes():
            continue
        if name == "confidence.dat":
            x, y = (np.frombuffer(p.read_bytes(), "<f4") for p in (a, b))
        elif a.suffix == ".npy":
            x, y = np.load(a), np.load(b)
        elif a.suffix == ".csv":
            x, y = (list(csv.reader(p.read_text(encoding="utf-8").splitlines())) for p in (a, b))
            assert [len(row) for row in x] == [len(row) for row in y], name
            pairs = [(u, v) for r, s in zip(x, y, strict=True) for u, v in zip(r, s, strict=True) if u != v]
            x, y = (np.array([float(p[i]) for p in pairs]) for i in (0, 1))
        else:
            raise AssertionError(f"{name} is another file than version 0.1 wrote")
        assert x.dtype.kind == "f", f"{name} differs"
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("kind", BACKENDS)
def test_weights_are_found_by_name_with_their_record(old: Path, kind: str) -> None:
    found = weights.find(kind, BACKENDS[kind])
    assert found.path == old / "home" / "weights" / f"{kind}.safetensors"
    assert found.meta["training"]
    adapter = weights.find(f"{kind}_lora", BACKENDS[kind])
    assert adapter.is_lora
    assert weights.find_base(adapter).sha256 == found.sha256
    states = {row["name"]: row["state"] for row in wb.weights()}
    assert states[kind] == states[f"{kind}_lora"] == states[f"{kind}_start"] == "here"


@pytest.mark.parametrize("kind", BACKENDS)
def test_old_weights_predict_what_they_predicted(old: Path, tmp_path: Path, kind: str) -> None:
    assert predict(old, kind, tmp_path / "full") == 0
    assert_same(tmp_path / "full" / kind, old / "results" / kind)


@pytest.mark.parametrize("kind", BACKENDS)
def test_old_adapters_predict_what_they_predicted(old: Path, tmp_path: Path, kind: str) -> None:
    more = ["--no-reconstruction", "--generate", "0"] if kind == "recording" else []
    assert predict(old, kind, tmp_path / "adapted", *more, weights=f"{kind}_lora") == 0
    assert_same(tmp_path / "adapted" / kind, old / "adapted" / kind)


TRAININGS = {
    "volume": (Case("volume", Path(INPUTS["volume"]), Path("volume_labels.nii.gz")), make_v0_1.TRAIN_VOLUME, 2),
    "scene": (Case("scene", Path(INPUTS["scene"]), Path("scene_painted.npy")), make_v0_1.TRAIN_SCENE, 2),
    "tokenizer": (Case("recording", Path(INPUTS["recording"]), None), make_v0_1.TRAIN_TOKENIZER, 5),
    "recording": (Case("recording", Path(INPUTS["recording"]), None), make_v0_1.TRAIN_MODEL, 2),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_an_interrupted_training_goes_on_to_the_same_weights(old: Path, name: str) -> None:
    case, values, half = TRAININGS[name]
    inputs = old / "inputs"
    here = Case(case.id, inputs / case.image, inputs / case.labels if case.labels else None)
    backend = BACKENDS.get(name, "meg_gpt")
    out = old / "trainings" / f"{name}.safetensors"
    events = []
    wb.train(backend, [here], out=out, resume=True, on_step=events.append, **values)
    # Preparing recordings tells how far it is by events too; the head start on single spectra is step 0.
    steps = [e.step for e in events if e.step and getattr(e, "stage", "model") in ("tokenizer", "model")]
    assert steps[0] == half + 1, "it begins where it was broken off"
    wanted, found = weights.load_tensors(weights.find(name)), weights.load_tensors(out)
    assert found.keys() == wanted.keys()
    for key, tensor in wanted.items():
        # A bias before a norm has no gradient but rounding, which Adam makes large: it depends on the processor.
        slack = 1e-3 if key.endswith(("bias", "running_mean")) else 1e-5
        np.testing.assert_allclose(found[key].float(), tensor.float(), rtol=1e-3, atol=slack, err_msg=key)
    ours, theirs = weights.read_meta(out), weights.read_meta(weights.find(name).path)
    since = {"hashes", "taught", "seen"}  # what later versions write besides
    assert ours.keys() - since == theirs.keys()
    assert (ours["net"], ours["backend"], ours["kind"]) == (theirs["net"], theirs["backend"], theirs["kind"])


@pytest.mark.parametrize("kind", BACKENDS)
def test_complete_results_are_recognised_and_others_not_replaced(old: Path, tmp_path: Path, kind: str, capsys) -> None:
    folder, report = old / "results" / kind, tmp_path / "report.json"
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()}
    assert predict(old, kind, old / "results", "--report", str(report)) == 0
    assert [c["status"] for c in json.loads(report.read_text(encoding="utf-8"))["cases"]] == ["skipped"]
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before

    capsys.readouterr()
    assert predict(old, kind, old / "results", weights=f"{kind}_start") == 2
    assert "holds another result (weights differ); add --overwrite" in capsys.readouterr().err
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before

    victim = next(p for p in sorted(folder.iterdir()) if p.suffix in (".gz", ".dat", ".npy"))
    victim.write_bytes(victim.read_bytes()[:-1])
    assert predict(old, kind, old / "results", "--report", str(report)) == 0
    assert [c["status"] for c in json.loads(report.read_text(encoding="utf-8"))["cases"]] == ["done"]
    assert victim.stat().st_size == len(before[victim.name][0]), "a damaged file is made anew"


@pytest.mark.parametrize("kind", BACKENDS)
def test_results_corrected_by_hand_are_never_replaced(old: Path, kind: str, capsys) -> None:
    folder = old / "edited" / kind
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert predict(old, kind, old / "edited", "--overwrite") == 2
    assert "corrected by hand" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    if kind != "recording":
        file = folder / ("labels.nii.gz" if kind == "volume" else "labels.hdr")
        shown = truth(f"edited_{kind}.npy")
        assert np.array_equal(wb.read(file).data[0], in_file_order(shown) if kind == "volume" else shown)


def test_a_group_list_of_0_1_builds_its_weights(old: Path) -> None:
    row = known()["group-tokenizer"]
    assert "weights get group-tokenizer" in row.how_to_get()
    path = fetch("group-tokenizer", allow_download=False)
    assert path == row.path
    meta = weights.find("group-tokenizer", "meg_gpt").meta
    assert set(meta["sources"]) == {"models/tokenizer/model_state.pt", "models/tokenizer/vocab.pkl"}
    assert meta["net"]["gpt"] is None


@pytest.mark.parametrize("build", ["workbench.training.meg_relaese:install", "nowhere", "workbench.api:nothing", ""])
def test_a_builder_that_is_not_there_is_named_in_one_line(old: Path, build: str) -> None:
    own = old / "home" / "weights.json"
    rows = json.loads(own.read_text(encoding="utf-8"))
    rows[0]["build"] = build
    own.write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(
        wb.UsageError, match=r"weights\.json: 'group-tokenizer' .*[,;] expected one of workbench\."
    ) as caught:
        fetch("group-tokenizer", allow_download=False)
    assert not build or repr(build) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["scene_labels", "scene_painted"])
def test_layers_of_a_scene_find_their_place(old: Path, name: str) -> None:
    from workbench.scene.layers import labels_from_layer

    data, attributes, kind = layer(old, name)
    assert kind == "labels"
    assert attributes["metadata"]["workbench"]["kind"] == "cube"
    labels = labels_from_layer(data, attributes["metadata"])
    scene = wb.read(old / "inputs" / "scene.hdr")
    assert np.array_equal(labels.data, data)
    assert labels.geometry.shape == scene.geometry.shape
    assert labels.geometry.unit == scene.geometry.unit
    assert labels.geometry.affine.tobytes() == scene.geometry.affine.tobytes()
    names = truth("recovery_scene_classes.json") if name == "scene_painted" else ["class 1", "class 2", "class 3"]
    assert list(labels.classes.names) == names


def test_layers_of_a_volume_find_their_place(old: Path) -> None:
    from workbench.volume.layers import image_from_layers, labels_from_layer

    scan = wb.read(old / "inputs" / "volume.nii.gz")
    data, attributes, _ = layer(old, "volume_labels")
    labels = labels_from_layer(data, attributes=attributes)
    assert np.array_equal(labels.data, in_file_order(truth("recovery_volume.npy")))
    assert labels.geometry.affine.tobytes() == scan.geometry.affine.tobytes()
    image, _ = image_from_layers([layer(old, "volume_image")[:2]])
    assert np.array_equal(image.data, scan.data)


def test_layers_of_a_recording_are_its_annotations(old: Path) -> None:
    from workbench.recording.layers import marks_from_layer

    data, attributes, kind = layer(old, "recording_annotations")
    assert kind == "shapes"
    marks = marks_from_layer(list(data), attributes)
    wanted = [Mark(o, d, label, tuple(c)) for o, d, label, c in truth("recovery_recording.json")]
    assert [(m.label, m.channels) for m in marks] == [(m.label, m.channels) for m in wanted]
    for m, w in zip(marks, wanted, strict=True):
        assert (m.onset, m.duration) == (pytest.approx(w.onset, abs=1e-6), pytest.approx(w.duration, abs=1e-6))
