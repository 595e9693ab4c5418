"""Training from the shell with input that cannot work: one clear line, the documented exit code, nothing written."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.dicom_maker import write_series
from tests.one_line import one_error_line
from tests.tiny import make_tiny_weights
from workbench import weights
from workbench.cli import run

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def add_case(folder: Path, name: str, *, channels: int = 1, bad: float | None = None, affine=AFFINE) -> None:
    """Image and labels: two blocks of organs in noise; `bad` is put into one voxel, `affine` is that of the labels."""
    rng = np.random.default_rng(len(name))
    image = rng.normal(0, 30, (34, 32, 32, channels)).astype(np.float32)
    labels = np.zeros((34, 32, 32), np.uint8)
    labels[5:15, 5:25, 5:25], labels[20:30, 5:25, 5:25] = 1, 2
    image[labels == 1] += 200
    image[labels == 2] += 400
    if bad is not None:
        image[3, 3, 3] = bad
    save(folder / "images" / f"{name}.nii.gz", image[..., 0] if channels == 1 else image)
    save(folder / "labels" / f"{name}.nii.gz", labels, affine)


@pytest.fixture
def study(tmp_path) -> Path:
    for name in ("a", "bb"):
        add_case(tmp_path / "study", name)
    return tmp_path / "study"


@pytest.fixture
def train(tmp_path, tiny_weights, capsys):
    """Run `workbench train`; where it must fail, check that it says so in one line and leaves nothing."""
    out = tmp_path / "out" / "mine.safetensors"

    def go(source, code, *words, start=tiny_weights, extra=(), output=out):
        arguments = ["train", "segformer3d", "-i", str(source), "-o", str(output), "--weights", str(start), "-q"]
        arguments += ["--device", "cpu", "--steps", "1", "--classes", "liver:1,spleen:2", *extra]
        before = {p: p.stat().st_mtime_ns for p in output.parent.rglob("*")} if output.parent.is_dir() else {}
        assert run(arguments) == code
        captured = capsys.readouterr()
        if code:
            one_error_line(captured, *words)
            after = {p: p.stat().st_mtime_ns for p in output.parent.rglob("*")} if output.parent.is_dir() else {}
            assert after == before
        return output

    return go


def test_a_training_runs(train, study):
    assert train(study, 0).exists()


@pytest.mark.parametrize("name", ["a", "bb"])
def test_labels_on_another_grid_whichever_side_of_the_split(train, study, name):
    moved = AFFINE.copy()
    moved[0, 3] = 50
    add_case(study, name, affine=moved)
    train(study, 3, f"case '{name}'", "does not lie on the grid")


@pytest.mark.parametrize("name", ["a", "bb"])
def test_nan_in_an_image_whichever_side_of_the_split(train, study, name):
    add_case(study, name, bad=np.nan)
    train(study, 3, f"case '{name}'", "1 of 34816 voxels are NaN")


def test_labels_missing(train, study):
    (study / "labels" / "bb.nii.gz").unlink()
    train(study, 3, "bb", "no label map")
    table = study / "cases.csv"
    table.write_text("image,labels\nimages/a.nii.gz,labels/a.nii.gz\nimages/bb.nii.gz,\n")
    train(table, 3, "no labels", "bb")


def test_channels_of_the_first_image_from_scratch(train, tmp_path):
    for name in ("a", "bb"):
        add_case(tmp_path / "four", name, channels=4)
    small = ("--roi", "32", "32", "32", "--spacing", "4", "4", "4", "--intensity", "zscore")
    out = train(tmp_path / "four", 0, start="none", extra=small)
    meta = weights.find(out).meta
    assert meta["net"]["in_channels"] == 4
    assert len(meta["recipe"]["channels"]) == 4
    arguments = ["predict", "segformer3d", "-i", str(tmp_path / "four" / "images" / "a.nii.gz"), "-q"]
    assert run([*arguments, "-o", str(tmp_path / "predicted"), "--weights", str(out), "--device", "cpu"]) == 0


def test_channels_that_differ_or_do_not_fit_the_weights(train, study, tmp_path):
    add_case(study, "bb", channels=2)
    train(study, 3, "case 'bb'", "2 channel(s)", "case 'a' has 1", start="none")
    add_case(study, "bb")
    four = make_tiny_weights(tmp_path / "four.safetensors", channels=4)
    train(study, 3, "case 'a'", "1 channel(s)", "expect 4", start=four)


def test_several_dicom_series_need_a_choice_and_heed_it(train, tmp_path):
    folder = tmp_path / "dicom"
    size = {"rows": 34, "columns": 32, "n": 30, "orientation": (1, 0, 0, 0, 1, 0), "spacing": (4.0, 4.0)}
    write_series(folder / "study", uid="1.2.3.10", prefix="a", SeriesDescription="arterial", **size)
    _, affine = write_series(folder / "study", uid="1.2.3.99", prefix="v", SeriesNumber=2, origin=(0, 0, 0), **size)
    labels = np.zeros((32, 34, 30), np.uint8)
    labels[4:12, 4:20, 4:20], labels[16:24, 4:20, 4:20] = 1, 2
    save(folder / "labels.nii.gz", labels, affine)
    table = folder / "cases.csv"
    table.write_text("image,labels\nstudy,labels.nii.gz\n")
    train(table, 3, "case 'study'", "--series", "arterial")
    table.write_text("image,labels,series\nstudy,labels.nii.gz,1\n")
    train(table, 3, "case 'study'", "does not lie on the grid")  # the labels are those of the other series
    table.write_text("image,labels,series\nstudy,labels.nii.gz,2\n")
    assert train(table, 0).exists()


def test_finished_weights_are_replaced_only_when_asked(train, study):
    out = train(study, 0)
    train(study, 2, "mine.safetensors", "--overwrite")
    assert train(study, 0, extra=("--overwrite",)) == out
    state = out.with_name("mine_training") / "state.safetensors"
    out.unlink()
    train(study, 2, str(state), "--resume", "--overwrite")
    assert train(study, 0, extra=("--resume",)).exists()


def test_the_output_is_checked_before_the_images_are_read(train, study):
    out = train(study, 0)
    (study / "images" / "a.nii.gz").write_bytes(b"broken")
    train(study, 2, "--overwrite", output=out)


def test_an_adapter_never_replaces_its_base(train, study, tmp_path):
    base = make_tiny_weights(tmp_path / "out" / "base.safetensors")
    before = base.read_bytes()
    for extra in (("--lora-rank", "2"), ()):
        train(study, 2, "starts from this very file", start=base, output=base, extra=("--overwrite", *extra))
    assert base.read_bytes() == before


def test_one_small_window_has_no_statistics(train, study):
    small = ("--roi", "32", "32", "32", "--batch", "1")
    train(study, 2, "batch=1", "batch=2", extra=small)
    assert train(study, 0, extra=(*small, "--lora-rank", "2")).exists()


def test_an_output_that_cannot_be_written(train, study, tmp_path):
    (tmp_path / "out" / "adir.safetensors").mkdir(parents=True)
    train(study, 2, "folder of this name", output=tmp_path / "out" / "adir.safetensors")
    (tmp_path / "file").write_text("in the way")
    train(study, 2, "is a file", output=tmp_path / "file" / "x.safetensors")


def test_weights_whose_record_is_odd(train, study, tmp_path, tiny_weights):
    found = weights.find(tiny_weights)
    for change in ({"classes": [{"name": "x"}]}, {"recipe": {"roi": "big"}}, {"net": {"widths": 3}}):
        odd = weights.save(tmp_path / "odd.safetensors", weights.load_tensors(found), {**found.meta, **change})
        train(study, 5, "odd.safetensors", start=odd)
