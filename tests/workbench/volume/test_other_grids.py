"""Label maps stored otherwise than their image go through `evaluate` and `train`; other lattices where it is asked."""

import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import workbench as wb
from workbench.cli import run
from workbench.core.errors import GeometryError
from workbench.core.settings import build
from workbench.core.types import Case
from workbench.data import formats
from workbench.volume.train.settings import TrainConfig
from workbench.volume.train.train import train_volumes


@pytest.fixture
def pair(volume, tmp_path):
    """An image, its map, the same map stored flipped and permuted, and one on another lattice (by SimpleITK)."""
    image = nib.load(volume)
    data = np.zeros(image.shape, np.uint8)
    data[8:20, 10:22, 6:18] = 1
    data[20:28, 4:10, 6:18] = 2
    plain = nib.Nifti1Image(data, image.affine)
    nib.save(plain, tmp_path / "plain.nii.gz")
    nib.save(plain.as_reoriented(np.array([[1, -1], [0, 1], [2, -1]])), tmp_path / "turned.nii.gz")
    source = sitk.ReadImage(str(tmp_path / "plain.nii.gz"))
    shifted = sitk.Image(source)
    shifted.SetOrigin([o + 0.3 * s for o, s in zip(source.GetOrigin(), source.GetSpacing(), strict=True)])
    sitk.WriteImage(shifted, str(tmp_path / "shifted.nii.gz"))
    return volume, tmp_path


def scores(volume, labels, weights, out, *more):
    given = ["evaluate", "segformer3d", "-i", str(volume), "--labels", str(labels), "-o", str(out), "-q"]
    code = run([*given, "--weights", str(weights), "--device", "cpu", "--match", "number", *more])
    return code, json.loads((out / "scores.json").read_text(encoding="utf-8")) if code == 0 else None


def test_evaluate_gives_the_same_scores_for_a_map_stored_otherwise(pair, tiny_weights, capsys):
    volume, folder = pair
    _, plain = scores(volume, folder / "plain.nii.gz", tiny_weights, folder / "a")
    _, turned = scores(volume, folder / "turned.nii.gz", tiny_weights, folder / "b")
    assert [r["dice"] for r in plain["rows"]] == [r["dice"] for r in turned["rows"]]
    assert [r["hd95_mm"] for r in plain["rows"]] == [r["hd95_mm"] for r in turned["rows"]]
    note = "the label map was turned from"
    assert not any(note in n for n in plain["notes"])
    assert any(note in n for n in turned["notes"])
    assert note in capsys.readouterr().err
    assert note in (folder / "b" / "report.html").read_text(encoding="utf-8")


def test_evaluate_refuses_another_lattice_unless_asked(pair, tiny_weights, capsys):
    volume, folder = pair
    code, _ = scores(volume, folder / "shifted.nii.gz", tiny_weights, folder / "a")
    assert code != 0
    assert "does not lie on the grid" in capsys.readouterr().err
    code, found = scores(volume, folder / "shifted.nii.gz", tiny_weights, folder / "b", "--resample-labels")
    assert code == 0
    assert any("was resampled to the grid of its image" in n for n in found["notes"])
    assert found["provenance"]["resample_labels"] is True
    assert "--resample-labels" in run_help(capsys, "evaluate")
    assert "--resample-labels" in run_help(capsys, "train")


def run_help(capsys, verb):
    capsys.readouterr()
    run([verb, "segformer3d", "--help"])
    return capsys.readouterr().out


QUICK = {
    "weights": "none", "device": "cpu", "spacing": (6.0, 6.0, 6.0), "roi": (32, 32, 32), "batch": 2, "steps": 1,
    "intensity": "zscore", "force": True,
}  # fmt: skip


def test_train_says_what_was_done_to_the_maps(pair):
    volume, folder = pair
    case = Case("one", volume, folder / "turned.nii.gz")
    found = train_volumes([case], build(TrainConfig, QUICK), folder / "w.safetensors")
    assert [n for n in found.notes if "turned from" in n and "(one)" in n]
    assert "turned from" in found.report.read_text(encoding="utf-8")
    other = Case("one", volume, folder / "shifted.nii.gz")
    with pytest.raises(GeometryError, match="does not lie on"):
        train_volumes([other], build(TrainConfig, QUICK), folder / "x.safetensors")
    found = train_volumes([other], build(TrainConfig, QUICK | {"resample_labels": True}), folder / "x.safetensors")
    assert [n for n in found.notes if "was resampled to the grid" in n]


@pytest.mark.slow
def test_the_shared_pair_of_a_series_and_its_flipped_map(shared_data, tiny_weights, tmp_path, capsys):
    """DICOM counts its rows to the back, the map to the front: the same lattice to the last bit."""
    series, labels = shared_data / "volume" / "ct_dicom", shared_data / "volume" / "ct_dicom_organs.nii.gz"
    image = wb.read(series)
    found = formats.read_labels(labels, reference=image.geometry)
    theirs = nib.load(labels)
    for value in np.unique(found.data)[1:]:
        ours = np.argwhere(found.data == value) @ image.geometry.affine[:3, :3].T + image.geometry.affine[:3, 3]
        wanted = nib.affines.apply_affine(theirs.affine, np.argwhere(np.asarray(theirs.dataobj) == value))
        assert np.allclose(np.sort(ours, axis=0), np.sort(wanted, axis=0), atol=1e-3)
    code, scored = scores(series, labels, tiny_weights, tmp_path / "out", "--force")
    assert code == 0, capsys.readouterr().err
    assert any("the label map was turned" in n for n in scored["notes"])
    taught = train_volumes([Case("ct", series, labels)], build(TrainConfig, QUICK), tmp_path / "w.safetensors")
    assert any("the label map was turned" in n for n in taught.notes)
