"""One bad entry of several stops nothing: the others are shown or computed, and the exit code says that one failed."""

import errno
import json

import nibabel as nib
import numpy as np
import pytest

from tests.dicom_maker import write_series
from tests.tiny import make_tiny_recording, make_volume
from workbench import weights
from workbench.cli import failed, run
from workbench.core.study import Study


def test_info_shows_every_good_entry(tmp_path, capsys):
    good = [make_volume(tmp_path / f"{n}.nii.gz", shape=(8, 8, 8)) for n in "ab"]
    (tmp_path / "bad.nii.gz").write_bytes(b"no NIfTI")
    paths = [str(good[0]), str(tmp_path / "bad.nii.gz"), str(tmp_path / "none.nii.gz"), str(good[1])]
    assert run(["info", *paths]) == 3
    said = capsys.readouterr()
    assert said.out.count("nifti") == 2
    lines = said.err.strip().splitlines()
    assert len(lines) == 2
    assert "bad.nii.gz" in lines[0]
    assert "none.nii.gz: no such file" in lines[1]

    assert run(["info", "--json", *paths]) == 3
    said = capsys.readouterr()
    assert [row["path"] for row in json.loads(said.out)] == [str(good[0]), str(good[1])]
    assert len(said.err.strip().splitlines()) == 2


def test_info_of_one_bad_file_keeps_its_code(tmp_path, capsys):
    assert run(["info", str(tmp_path / "none.nii.gz")]) == 4
    assert run(["info", "--json", str(tmp_path / "none.nii.gz")]) == 4
    assert capsys.readouterr().out == ""


def test_info_of_a_folder_of_which_no_series_is_a_volume_fails_and_one_of_several_does_not(tmp_path, capsys):
    write_series(tmp_path / "a", n=6)
    (tmp_path / "a" / "s002.dcm").unlink()
    assert run(["info", str(tmp_path / "a")]) == 3
    said = capsys.readouterr()
    assert said.err.startswith("Error: ")
    assert "missing between" in said.err
    assert "Traceback" not in said.err
    assert run(["info", "--json", str(tmp_path / "a")]) == 3
    assert "missing between" in json.loads(capsys.readouterr().out)[0]["problem"]

    write_series(tmp_path / "b", n=4, SeriesInstanceUID="1.2.3.99")
    for path in (tmp_path / "b").iterdir():
        path.rename(tmp_path / "a" / f"b{path.name}")
    assert run(["info", str(tmp_path / "a")]) == 0
    said = capsys.readouterr()
    assert "missing between" in said.out
    assert not said.err


def test_a_fault_of_ours_in_info_is_called_one(tmp_path, capsys, monkeypatch):
    good = [make_volume(tmp_path / f"{n}.nii.gz", shape=(8, 8, 8)) for n in "ab"]

    def broken(path, **_):
        if path == good[0]:
            raise NameError("name 'x' is not defined")
        return [{"kind": "volume", "path": path}], Study(())

    monkeypatch.setattr("workbench.data.study.info", broken)
    assert run(["info", *map(str, good)]) == 3
    said = capsys.readouterr()
    assert f"Unexpected error: {good[0]}: NameError" in said.err
    assert str(good[1]) in said.out


def test_a_missing_image_of_a_list_is_a_failed_case(tmp_path, tiny_weights, capsys):
    make_volume(tmp_path / "in" / "a.nii.gz", shape=(32, 32, 32))
    (tmp_path / "cases.csv").write_text("image\nin/none.nii.gz\nin/a.nii.gz\n")
    words = ["predict", "segformer3d", "-o", str(tmp_path / "out"), "--weights", str(tiny_weights), "-q"]
    assert run([*words, "-i", str(tmp_path / "cases.csv")]) == 3
    said = capsys.readouterr()
    assert "none.nii.gz: no such file" in said.err
    assert (tmp_path / "out" / "a" / "labels.nii.gz").exists()
    failed = [
        json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [f["case"] for f in failed] == ["none"]


def test_a_missing_path_of_several_is_a_failed_case(tmp_path, tiny_weights, capsys):
    make_volume(tmp_path / "in" / "a.nii.gz", shape=(32, 32, 32))
    words = ["predict", "segformer3d", "-o", str(tmp_path / "out"), "--weights", str(tiny_weights), "-q"]
    paths = [str(tmp_path / "in" / n) for n in ("none.nii.gz", "a.nii.gz")]
    assert run([*words, "-i", paths[0], "-i", paths[1]]) == 3
    assert (tmp_path / "out" / "a" / "labels.nii.gz").exists()
    assert "none.nii.gz: no such file" in capsys.readouterr().err
    assert run([*words, "-i", paths[0], "-i", paths[0] + "x"]) == 4  # nothing to go on with


def test_evaluate_scores_the_others_of_a_list(tmp_path, tiny_weights, capsys):
    table = labelled_list(tmp_path, ("a", "b"))
    words = ["evaluate", "segformer3d", "-i", str(table), "-o", str(tmp_path / "out"), "-q", "--device", "cpu"]
    assert run([*words, "--weights", str(tiny_weights), "--classes", "liver:1,spleen:2"]) == 3
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 2
    assert "none.nii.gz: no such file" in lines[1]
    assert "broken.nii.gz" in lines[0]
    scores = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert set(scores["failures"]) == {"none", "broken"}
    assert "no such file" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert {row["case"] for row in scores["rows"]} == {"a", "b"}


def test_train_goes_on_without_what_cannot_be_read_and_says_so(tmp_path, tiny_weights, capsys):
    table = labelled_list(tmp_path, ("a", "b"))
    out = tmp_path / "mine.safetensors"
    words = ["train", "segformer3d", "-i", str(table), "-o", str(out), "-q", "--device", "cpu", "--steps", "1"]
    assert run([*words, "--weights", str(tiny_weights), "--classes", "liver:1,spleen:2"]) == 3
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 2
    assert any("none.nii.gz: no such file" in line for line in lines)
    assert "2 case(s) could not be read and taught nothing: broken, none" in said.err
    record = weights.find(out).meta["training"]
    assert sorted({*record["trained_on"], *record["validated_on"]}) == ["a", "b"]
    assert any("taught nothing: broken, none" in note for note in record["notes"])
    assert "taught nothing" in (tmp_path / "mine_training" / "report.html").read_text(encoding="utf-8")


def test_recordings_of_a_list_that_are_not_there_stop_nothing(tmp_path, capsys):
    for name in ("sub-01", "sub-02"):
        make_tiny_recording(tmp_path / f"{name}.npy", seed=int(name[-1]))
    (tmp_path / "cases.csv").write_text("image\nsub-01.npy\nnone.npy\nsub-02.npy\n")
    out = tmp_path / "mine.safetensors"
    words = ["train", "meg_gpt", "-i", str(tmp_path / "cases.csv"), "-o", str(out), "-q", "--device", "cpu"]
    assert run([*words, "--stage", "tokenizer", "--tokenizer-steps", "2"]) == 3
    said = capsys.readouterr()
    assert sum("none.npy: no such file" in line for line in said.err.splitlines()) == 1
    assert weights.find(out).meta["training"]["notes"] == ["1 case(s) could not be read and taught nothing: none"]
    assert "taught nothing" in (tmp_path / "mine_training" / "report.html").read_text(encoding="utf-8")
    words = ["evaluate", "meg_gpt", "-i", str(tmp_path / "cases.csv"), "-o", str(tmp_path / "ev"), "-q"]
    assert run([*words, "--device", "cpu", "--weights", str(out), "--task", "tokens"]) == 3
    assert "Error: none: " in capsys.readouterr().err


def labelled_list(folder, names):
    """A list of labelled volumes, of one that is not there, and of one whose header cannot be read."""
    rows = ["image,labels"]
    for name in names:
        image = make_volume(folder / f"{name}.nii.gz", shape=(34, 32, 32))
        data = np.zeros((34, 32, 32), np.uint8)
        data[5:15, 5:25, 5:25], data[20:30, 5:25, 5:25] = 1, 2
        nib.save(nib.Nifti1Image(data, nib.load(image).affine), folder / f"{name}_seg.nii.gz")
        rows.append(f"{name}.nii.gz,{name}_seg.nii.gz")
    (folder / "broken.nii.gz").write_bytes(b"no NIfTI")
    rows += [f"none.nii.gz,{names[0]}_seg.nii.gz", f"broken.nii.gz,{names[0]}_seg.nii.gz"]
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")
    return folder / "cases.csv"


@pytest.mark.parametrize(
    ("number", "advised"), [(errno.ENOSPC, True), (errno.EROFS, True), (errno.ENOTDIR, False), (errno.EACCES, False)]
)
def test_room_is_advised_only_where_there_is_none(capsys, number, advised):
    assert failed(OSError(number, "said so", "in.ds")) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: in.ds: said so.")
    assert ("Free space" in said) is advised
