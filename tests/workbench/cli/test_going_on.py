"""One bad entry of several stops nothing: the others are shown or computed, and the exit code says that one failed."""

import json

from tests.dicom_maker import write_series
from tests.tiny import make_volume
from workbench.cli import run


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
        if path == str(good[0]):
            raise NameError("name 'x' is not defined")
        return [{"kind": "volume", "path": path}]

    monkeypatch.setattr("workbench.api.info", broken)
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
    failed = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert [f["case"] for f in failed] == ["none"]


def test_a_missing_path_of_several_is_a_failed_case(tmp_path, tiny_weights, capsys):
    make_volume(tmp_path / "in" / "a.nii.gz", shape=(32, 32, 32))
    words = ["predict", "segformer3d", "-o", str(tmp_path / "out"), "--weights", str(tiny_weights), "-q"]
    paths = [str(tmp_path / "in" / n) for n in ("none.nii.gz", "a.nii.gz")]
    assert run([*words, "-i", paths[0], "-i", paths[1]]) == 3
    assert (tmp_path / "out" / "a" / "labels.nii.gz").exists()
    assert "none.nii.gz: no such file" in capsys.readouterr().err
    assert run([*words, "-i", paths[0], "-i", paths[0] + "x"]) == 4  # nothing to go on with
