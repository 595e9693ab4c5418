"""Archives are folders, and nothing in one can harm."""

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from tests.study_maker import save_nifti, write_ct, zipped
from workbench.batch import record
from workbench.batch.inputs import find
from workbench.core.errors import InputError
from workbench.data import archive, formats
from workbench.data.cases import open_case


@pytest.fixture
def study(tmp_path):
    """An archive of a CT and an MR, and the folder that it was made of."""
    write_ct(tmp_path / "in" / "P1" / "ct", "P1")
    save_nifti(tmp_path / "in" / "P2" / "mr.nii.gz")
    zipped(tmp_path / "in", tmp_path / "study.zip")
    return tmp_path / "study.zip", tmp_path / "in"


def test_an_archive_is_the_folder_that_it_was_made_of(study):
    file, folder = study
    inside, outside = find([str(file)]).cases, find([str(folder)]).cases
    assert [c.id for c in inside] == [c.id for c in outside] == ["P1_ct", "P2_mr"]
    assert [c.image for c in inside] == [file / "P1" / "ct", file / "P2" / "mr.nii.gz"]
    for a, b in zip(inside, outside, strict=True):
        here, there = open_case(a), open_case(b)
        np.testing.assert_array_equal(here.data, there.data)
        np.testing.assert_array_equal(here.geometry.affine, there.geometry.affine)
        assert here.source == a.image
    assert [row["path"] for row in wb.info(file)] == [str(c.image) for c in inside]
    assert wb.read(file / "P2" / "mr.nii.gz").source == file / "P2" / "mr.nii.gz"


def test_results_of_an_archive_are_vouched_for(study, tmp_path):
    image = open_case(find([str(study[0])]).cases[1])
    assert all(f.exists() for f in image.all_files)
    from workbench.core.provenance import input_hash

    assert input_hash(image) == input_hash(wb.read(study[1] / "P2" / "mr.nii.gz"))
    assert record.NAME


def test_an_archive_in_a_folder_is_a_folder(study):
    file, folder = study
    (folder / "more").mkdir()
    file.rename(folder / "more" / "P3.zip")
    assert [c.id for c in find([str(folder)]).cases] == ["P1_ct", "P2_mr", "more_P3_P1_ct", "more_P3_P2_mr"]


def test_errors_name_the_archive_and_not_where_it_was_unpacked(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.nii.gz").write_bytes(b"no gzip")
    zipped(tmp_path / "in", tmp_path / "a.zip")
    (case,) = find([str(tmp_path / "a.zip")]).cases
    with pytest.raises(InputError, match=f"^{tmp_path}/a.zip/a.nii.gz: ") as caught:
        open_case(case)
    assert "workbench-zip" not in str(caught.value)


def test_problems_and_faults_name_the_archive(tmp_path):
    for number in (1, 2):
        write_ct(tmp_path / "in" / "images" / "P1", "P1", number)
    save_nifti(tmp_path / "in" / "labels" / "P2.nii.gz", value=1, dtype="u1")
    zipped(tmp_path / "in", tmp_path / "a.zip")
    study = wb.study(tmp_path / "a.zip")
    assert study.cases[0].problem.startswith(f"{tmp_path}/a.zip/images/P1: 2 volumes")
    assert len(study.faults) == 2
    assert "workbench-zip" not in str(study)


def test_what_was_unpacked_is_private_and_goes_with_the_process(study):
    code = (
        "import sys, pathlib; from workbench.data import archive; place = archive.located(pathlib.Path(sys.argv[1]));"
        "print(oct(place.parent.stat().st_mode & 0o777)); print(place)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(study[0])], capture_output=True, text=True, check=True)
    mode, place = done.stdout.split()
    assert mode == "0o700"
    assert not Path(place).parent.exists()


def test_an_archive_is_unpacked_once_and_again_when_it_changed(study):
    file, _ = study
    first = archive.located(file)
    assert archive.located(file / "P1") == first / "P1"
    with zipfile.ZipFile(file, "a") as more:
        more.writestr("P9/x.txt", "x")
    assert archive.located(file) != first


def test_archives_in_archives_stay_closed(study, tmp_path):
    file, _ = study
    outer = tmp_path / "outer"
    outer.mkdir()
    file.rename(outer / "inner.zip")
    save_nifti(outer / "ct.nii.gz")
    zipped(outer, tmp_path / "outer.zip")
    found = find([str(tmp_path / "outer.zip")])
    assert [c.id for c in found.cases] == ["outer"]
    assert [s.reason for s in found.skipped] == ["an archive within an archive, not opened"]
    with pytest.raises(wb.NothingFound):
        find([str(tmp_path / "outer.zip" / "inner.zip" / "P1")])


def _with(path, *members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content, **options)
    return path


@pytest.mark.parametrize(
    "name", ["a/../../out.nii", "C:/out.nii", "a\\..\\..\\out.nii", "../a/../../out.nii", "..", "a" * 300, "a\nb.nii"]
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    file = _with(tmp_path / "a.zip", ("ok.nii", b"x"), (name, b"y"))
    before = set(tmp_path.parent.rglob("*"))
    with pytest.raises(InputError, match=r"a.zip: holds .* leads out of its folder or is no name"):
        archive.located(file)
    assert set(tmp_path.parent.rglob("*")) == before
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("out.nii"))


@pytest.mark.parametrize("name", ["../out.nii", "../../b/out.nii", "/etc/out.nii", "..\\out.nii"])
def test_names_that_begin_outside_begin_in_the_folder(tmp_path, name):
    """Archives made of a folder beside the present one look like this, and unzip takes them so too."""
    file = _with(tmp_path / "a.zip", (name, b"y"))
    before = set(tmp_path.parent.rglob("*"))
    folder = archive.located(file)
    assert [f.name for f in folder.rglob("*") if f.is_file()] == ["out.nii"]
    assert set(tmp_path.parent.rglob("*")) == before
    assert "lead out of its folder and were taken into it" in archive.note(file)
    assert archive.note(file) in find([str(file)]).notes


def test_two_names_that_become_one_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds out.nii twice"):
        archive.located(_with(tmp_path / "a.zip", ("../out.nii", b"y"), ("out.nii", b"x")))


def test_links_and_devices_are_refused(tmp_path):
    for kind in (stat.S_IFLNK, stat.S_IFIFO):
        info = zipfile.ZipInfo("link.nii")
        info.external_attr = (kind | 0o777) << 16
        with pytest.raises(InputError, match="is a link or a device"):
            archive.located(_with(tmp_path / f"{kind}.zip", (info, b"/etc/passwd")))


def test_bombs_are_refused_before_they_go_off(tmp_path, monkeypatch):
    file = _with(tmp_path / "a.zip", ("a.nii", bytes(4_000_000)))
    monkeypatch.setattr(archive, "_MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match=r"a.zip: \d+ bytes that promise 1 files of 4000000 bytes, at most"):
        archive.located(file)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "_MOST_FILES", 0)
    with pytest.raises(InputError, match="promise 1 files"):
        archive.located(file)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "_SPARE", 1 << 60)
    with pytest.raises(InputError, match=r"takes 0\.0 GB unpacked, .* GB free"):
        archive.located(file)


def test_a_size_that_lies_is_found_while_it_is_unpacked(tmp_path):
    file = _with(tmp_path / "a.zip", ("a.nii", bytes(100_000)))
    content = file.read_bytes()
    short = (100_000).to_bytes(4, "little")
    file.write_bytes(content.replace(short, (50_000).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"a\.zip"):
        archive.located(file)


def test_damaged_and_encrypted_archives_are_one_line(tmp_path):
    file = _with(tmp_path / "a.zip", ("a.nii", os.urandom(5000)))
    content = bytearray(file.read_bytes())
    content[200:260] = bytes(60)
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"a.zip: not a readable zip archive") as caught:
        archive.located(file)
    assert "\n" not in str(caught.value)
    file.write_bytes(content[:800])
    with pytest.raises(InputError, match=r"a.zip: not a readable zip archive"):
        formats.read(file)
    locked = bytearray(_with(tmp_path / "b.zip", ("a.nii", b"x" * 50)).read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(locked)
    with pytest.raises(InputError, match="is encrypted"):
        archive.located(tmp_path / "b.zip")


def test_a_damaged_archive_in_a_folder_stops_no_others(study):
    _, folder = study
    (folder / "sent.zip").write_bytes(b"PK\x03\x04" + bytes(50))
    found = find([str(folder)])
    assert [c.id for c in found.cases] == ["P1_ct", "P2_mr", "sent"]
    with pytest.raises(InputError, match=r"sent.zip: not a readable zip archive"):
        open_case(found.cases[2])
    _with(folder / "texts.zip", ("a.txt", b"x"))
    assert {s.reason for s in find([str(folder)]).skipped} >= {"an archive without images"}
