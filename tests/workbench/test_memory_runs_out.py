"""Memory that runs out in the middle of any verb and kind: exit code 6 and one line, nothing made smaller unasked."""

import nibabel as nib
import numpy as np
import pytest
import torch

from tests.one_line import one_error_line
from tests.tiny import (
    make_tiny_meg_weights,
    make_tiny_recording,
    make_tiny_scene,
    make_tiny_scene_weights,
    make_volume,
)
from workbench.cli import run
from workbench.core import memory

CUDA = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 GiB free.\nMore.")
TORCH = RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to")


@pytest.fixture
def kinds(tmp_path, tiny_weights):
    """Per kind: backend, input, weights, and where its network computes."""
    scene = make_tiny_scene(tmp_path / "scene.npy")
    return {
        "volume": (
            "segformer3d", make_volume(tmp_path / "a.nii.gz", shape=(32, 32, 32)), tiny_weights,
            "workbench.volume.net.segformer3d.SegFormer3D.forward_low",
        ),
        "scene": (
            "lola_specvit", scene, make_tiny_scene_weights(tmp_path / "s.safetensors", scene),
            "workbench.scene.net.lola_fused.FusedLola.front",
        ),
        "recording": (
            "meg_gpt", make_tiny_recording(tmp_path / "r.npy"), make_tiny_meg_weights(tmp_path / "m.safetensors"),
            "workbench.recording.net.gpt.MEGGPT.hidden",
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "error", [CUDA, TORCH, MemoryError("Unable to allocate 2 GiB")], ids=["CUDA", "torch", "NumPy"]
)
@pytest.mark.parametrize("kind", ["volume", "scene", "recording"])
def test_predict(kind, error, kinds, tmp_path, capsys, monkeypatch):
    backend, path, weights, network = kinds[kind]
    calls = []

    def short(*arguments, **_):
        calls.append(arguments)
        raise error

    monkeypatch.setattr(network, short)
    words = ["predict", backend, "-i", str(path), "-o", str(tmp_path / "out"), "--weights", str(weights), "-q"]
    assert run([*words, "--device", "cpu"]) == 6
    one_error_line(capsys.readouterr(), "memory ran out", "in use and", "there (")
    assert len(calls) == 1  # nothing is tried again with another batch, which would round differently
    assert not (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize("error", [CUDA, TORCH], ids=["CUDA", "torch"])
@pytest.mark.parametrize("kind", ["volume", "scene", "recording"])
def test_train(kind, error, kinds, tmp_path, capsys, monkeypatch):
    backend, path, weights, _ = kinds[kind]
    labels = {"volume": tmp_path / "labels.nii.gz", "scene": path.with_name("scene_labels.npy"), "recording": None}
    if kind == "volume":
        data = np.zeros((32, 32, 32), np.uint8)
        data[5:15], data[20:30] = 1, 2
        nib.save(nib.Nifti1Image(data, nib.load(path).affine), labels[kind])
    calls = []

    def short(*arguments, **_):
        calls.append(arguments)
        raise error

    monkeypatch.setattr("workbench.training.loop._step", short)
    words = ["train", backend, "-i", str(path), "-o", str(tmp_path / "x.safetensors"), "-q", "--device", "cpu"]
    more = {
        "volume": ["--weights", str(weights), "--classes", "liver:1,spleen:2"],
        "scene": ["--components", "5", "--patch", "5", "--batch", "9", "--head-start", "0"],
        "recording": ["--weights", str(weights)],
    }[kind]
    given = [] if labels[kind] is None else ["--labels", str(labels[kind])]
    assert run([*words, *given, *more, *([] if kind == "recording" else ["--steps", "1"])]) == 6
    one_error_line(capsys.readouterr(), "memory ran out", "there (")
    assert len(calls) == 1
    assert not (tmp_path / "x.safetensors").exists()


def test_evaluate(kinds, tmp_path, capsys, monkeypatch):
    """The only case: exit code 6; one of two: the other is scored, and the code is that of a failed case."""
    backend, path, weights, _ = kinds["volume"]
    data = np.zeros((32, 32, 32), np.uint8)
    data[5:15], data[20:30] = 1, 2
    nib.save(nib.Nifti1Image(data, nib.load(path).affine), tmp_path / "labels.nii.gz")
    words = ["evaluate", backend, "-o", str(tmp_path / "out"), "--weights", str(weights), "-q", "--device", "cpu"]
    words += ["--classes", "liver:1,spleen:2"]
    from workbench.volume import segformer3d

    real = segformer3d.predict

    def short(model, image, *rest):
        if image.source.name == "a.nii.gz":
            raise CUDA
        return real(model, image, *rest)

    monkeypatch.setattr(segformer3d, "predict", short)
    assert run([*words, "-i", str(path), "--labels", str(tmp_path / "labels.nii.gz")]) == 6
    one_error_line(capsys.readouterr(), "a.nii.gz: memory ran out", "there (")
    make_volume(tmp_path / "b.nii.gz", shape=(32, 32, 32))
    (tmp_path / "cases.csv").write_text("image,labels\na.nii.gz,labels.nii.gz\nb.nii.gz,labels.nii.gz\n")
    assert run([*words, "-i", str(tmp_path / "cases.csv")]) == 6
    said = capsys.readouterr().err
    assert said.count("Error: ") == 1
    assert "a.nii.gz: memory ran out (CUDA out of memory" in said
    assert (tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").count("b,") >= 2


def test_a_training_that_does_not_fit_is_refused_before_a_voxel_is_read(kinds, tmp_path, capsys, monkeypatch):
    _, path, weights, _ = kinds["volume"]
    data = np.zeros((32, 32, 32), np.uint8)
    data[5:15], data[20:30] = 1, 2
    nib.save(nib.Nifti1Image(data, nib.load(path).affine), tmp_path / "labels.nii.gz")
    monkeypatch.setattr(memory, "available", lambda: memory.Available(10**6, "a group"))
    monkeypatch.setattr("workbench.volume.train.train.VolumeData", lambda *_: pytest.fail("voxels were read"))
    words = ["train", "segformer3d", "-i", str(path), "--labels", str(tmp_path / "labels.nii.gz"), "-q"]
    words += ["-o", str(tmp_path / "x.safetensors"), "--weights", str(weights), "--classes", "liver:1,spleen:2"]
    assert run([*words, "--device", "cpu", "--steps", "1", "--roi", "64", "64", "64"]) == 6
    line = one_error_line(capsys.readouterr(), "a training on 1 volume(s): needs about", "0.00 GB is there (a group)")
    assert "--roi 32 32 32" in line
    assert not list(tmp_path.glob("x*"))


def test_surfaces_that_do_not_fit_are_refused(monkeypatch):
    from workbench.core.errors import OutOfMemory
    from workbench.volume.evaluate.segmentation import surface_distances

    monkeypatch.setattr(memory, "available", lambda: memory.Available(10**7, "a group"))
    mask = np.zeros((100, 100, 100), bool)
    mask[1:-1, 1:-1, 1:-1] = True
    with pytest.raises(OutOfMemory, match=r"surfaces in a box of 100x100x100 voxels: needs about 0\.06 GB"):
        surface_distances(mask, mask, (1, 1, 1))
