"""Bad input: one clear line, the documented exit code, and nothing written."""

import os
import pickle

import nibabel as nib
import numpy as np
import pytest
import torch

from tests.dicom_maker import write_series
from tests.one_line import one_error_line
from tests.tiny import make_tiny_weights, make_volume
from workbench import weights
from workbench.cli import run


@pytest.fixture
def predict(tmp_path, tiny_weights, capsys):
    """Run `workbench predict` and check that a failure is one line and leaves no output."""
    out = tmp_path / "out"

    def go(path, code, *words, weights=tiny_weights, extra=(), output=out):
        arguments = [
            "predict",
            "segformer3d",
            "-i",
            str(path),
            "-o",
            str(output),
            "--weights",
            str(weights),
            "-q",
            *extra,
        ]
        assert run(arguments) == code
        line = one_error_line(capsys.readouterr(), *words)
        assert not out.exists()
        return line

    return go


def test_missing_file(predict, tmp_path):
    predict(tmp_path / "none.nii.gz", 4, "none.nii.gz", "no such file")


def test_nothing_matches(predict, tmp_path):
    (tmp_path / "empty").mkdir()
    predict(tmp_path / "empty", 4, "no readable image")


def test_truncated_nifti(predict, tmp_path, volume):
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(volume.read_bytes()[:-2000])
    predict(cut, 3, "cut.nii.gz")


def test_text_file_named_nii(predict, tmp_path):
    path = tmp_path / "notes.nii"
    path.write_text("these are notes about a patient, not an image " * 20)
    predict(path, 3, "notes.nii")


def test_two_dimensional_image(predict, tmp_path):
    path = tmp_path / "flat.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((64, 64), np.int16), np.eye(4)), path)
    predict(path, 3, "flat.nii.gz", "64")


def test_wrong_channel_count(predict, tmp_path, volume):
    four = make_tiny_weights(tmp_path / "four.safetensors", channels=4)
    predict(volume, 3, "ct", "1 channel", "4", weights=four)


def test_nan_volume(predict, tmp_path):
    path = tmp_path / "nan.nii.gz"
    data = np.zeros((40, 40, 40), np.float32)
    data[3, 4, 5] = np.nan
    nib.save(nib.Nifti1Image(data, np.diag([3.0, 3, 3, 1])), path)
    predict(path, 3, "nan", "NaN")


def test_singular_affine(predict, tmp_path):
    path = tmp_path / "flat_affine.nii.gz"
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 2] = affine[:3, 1]
    image = nib.Nifti1Image(np.zeros((32, 32, 32), np.int16), np.eye(4))
    image.header.set_sform(affine, code=1)
    image.header["qform_code"] = 0
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), None, image.header), path)
    predict(path, 3, "flat_affine.nii.gz", "singular")


def test_weights_of_another_backend(predict, tmp_path, volume):
    other = weights.save(tmp_path / "o.safetensors", {"w": torch.zeros(2)}, {"backend": "meg_gpt", "net": {}})
    predict(volume, 5, "meg_gpt", "segformer3d", weights=other)


class _Attack:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch {self.victim}",)


def test_pickle_with_code_is_not_executed(predict, tmp_path, volume):
    victim, path = tmp_path / "executed", tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"state_dict": _Attack(victim)}))
    predict(volume, 5, "evil.pt", weights=path, extra=["--preset", "brats"])
    assert not victim.exists()


def test_checkpoint_without_preparation_needs_a_preset(predict, tmp_path, volume, tiny_weights):
    torch.save(weights.load_tensors(tiny_weights), tmp_path / "plain.pt")
    predict(volume, 5, "--preset", weights=tmp_path / "plain.pt")


def test_weights_that_do_not_exist(predict, volume):
    predict(volume, 5, "no weights 'dmo'", "'demo'", weights="dmo")


def test_output_folder_not_writable(predict, tmp_path, volume):
    # A file in place of the folder: root may write into any read-only folder.
    (tmp_path / "file").write_text("in the way")
    predict(volume, 2, "cannot write", output=tmp_path / "file" / "results")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda(predict, volume):
    predict(volume, 2, "--device cuda", extra=["--device", "cuda"])


def test_output_equal_to_input(predict, tmp_path, volume):
    arguments = ["predict", "segformer3d", "-i", str(volume), "-o", str(volume), "--weights", "demo"]
    assert run(arguments) == 2


def test_report_must_not_replace_an_input(predict, volume):
    before = volume.read_bytes()
    predict(volume, 2, "--report", extra=["--report", str(volume)])
    assert volume.read_bytes() == before


def test_preset_with_weights_that_say_it_themselves(predict, volume):
    predict(volume, 2, "remove --preset", extra=["--preset", "acdc"])


def test_several_series_and_none_chosen(predict, tmp_path):
    folder = tmp_path / "study"
    write_series(folder, uid="1.2.3.10", SeriesDescription="arterial", prefix="a")
    write_series(folder, uid="1.2.3.99", SeriesNumber=2, SeriesDescription="venous", prefix="v")
    predict(folder, 3, "--series", "arterial", "venous")


def test_unknown_setting_and_bad_value(tmp_path, volume, capsys):
    base = ["predict", "segformer3d", "-i", str(volume), "-o", str(tmp_path / "out")]
    assert run([*base, "--overlapp", "0.5"]) == 2
    assert "--overlap" in capsys.readouterr().err
    assert run([*base, "--overlap", "2"]) == 2
    assert "above the highest allowed value" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_no_range_stops_is_refused(volume, tmp_path, capsys, number):
    for flag in ("--time-limit", "--overlap"):
        code = run(["predict", "segformer3d", "-i", str(volume), "-o", str(tmp_path / "o"), flag, number])
        assert code == 2
        assert "finite number" in capsys.readouterr().err or number == "-inf"
    assert not (tmp_path / "o").exists()


def test_a_failing_case_does_not_stop_the_others(tmp_path, tiny_weights, capsys):
    folder = tmp_path / "study"
    for n in (1, 3):
        make_volume(folder / f"case{n}.nii.gz", seed=n)
    (folder / "case2.nii.gz").write_text("broken")
    out = tmp_path / "out"
    arguments = ["predict", "segformer3d", "-i", str(folder), "-o", str(out), "--weights", str(tiny_weights), "-q"]
    assert run(arguments) == 3
    assert sorted(p.name for p in out.iterdir()) == [
        *(".workbench", "case1", "case3", "failures.jsonl"),
        *("overview.html", "overview_pictures", "run.json", "summary.csv"),
    ]
    assert "2 done, 0 already complete, 1 failed" in capsys.readouterr().err
    failure = (out / "failures.jsonl").read_text(encoding="utf-8")
    assert "case2.nii.gz" in failure
    assert '"stage": "read"' in failure
