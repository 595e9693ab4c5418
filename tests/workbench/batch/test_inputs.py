import json
import os

import numpy as np
import pytest

from tests.dicom_maker import write_series
from tests.scene_maker import cube, save_envi
from tests.tiny import make_volume
from workbench.batch.inputs import expand
from workbench.core.errors import NothingFound, WorkbenchWarning


@pytest.fixture
def study(tmp_path):
    for name in ("b/scan.nii.gz", "a/scan.nii.gz", "a/other.nii.gz"):
        make_volume(tmp_path / name, shape=(8, 8, 8))
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    return tmp_path


def test_a_file_a_folder_and_a_glob(study):
    assert [c.id for c in expand([str(study / "a" / "scan.nii.gz")])] == ["scan"]
    assert [c.id for c in expand([str(study / "a")])] == ["other", "scan"]
    assert [c.id for c in expand([str(study / "*" / "other*")])] == ["other"]


def test_equal_names_are_told_apart_by_their_folder(study):
    assert [c.id for c in expand([str(study / "*" / "scan.nii.gz")])] == ["a_scan", "b_scan"]


def test_the_order_does_not_depend_on_how_it_was_typed(study):
    forward = expand([str(study / "a"), str(study / "b")])
    backward = expand([str(study / "b"), str(study / "a")])
    assert forward == backward


def test_lists(study):
    lines = [{"image": "a/scan.nii.gz", "group": "p1"}, {"image": "b/scan.nii.gz", "group": "p2", "id": "second"}]
    (study / "cases.jsonl").write_text("\n".join(map(json.dumps, lines)))
    cases = expand([str(study / "cases.jsonl")])
    assert {c.id: c.group for c in cases} == {"scan": "p1", "second": "p2"}


def test_series_is_for_dicom_folders_and_for_what_was_named(study):
    write_series(study / "a" / "dcm", n=3)
    cases = {c.id: c.options for c in expand([str(study / "a")], series="2")}
    assert cases == {"dcm_series-2": {"series": "2"}, "other": {}, "scan": {}}


def test_the_same_file_twice_is_one_case(study):
    with pytest.warns(WorkbenchWarning, match="1 case"):
        assert len(expand([str(study / "a" / "scan.nii.gz"), str(study / "a" / "s*.nii.gz")])) == 1


def test_rows_of_a_list_with_one_image_are_cases_of_their_own(study):
    rows = ["id,image,labels,series", "one,a/scan.nii.gz,,", "two,a/scan.nii.gz,,", "three,a/scan.nii.gz,,2"]
    rows += ["four,a/scan.nii.gz,b/scan.nii.gz,", "one,a/scan.nii.gz,,"]
    (study / "cases.csv").write_text("\n".join(rows))
    with pytest.warns(WorkbenchWarning, match=r"cases.csv: 1 row\(s\) repeat another"):
        found = expand([str(study / "cases.csv")])
    assert [c.id for c in found] == ["four", "one", "three", "two"]


def test_names_that_steer_a_terminal_are_made_visible(study):
    make_volume(study / "d" / "a\x1b[31m\u202eb.nii.gz", shape=(8, 8, 8))
    assert [c.id for c in expand([str(study / "d")])] == ["a_x1b[31m_u202eb"]


def test_names_that_no_system_takes_are_made_plain(study):
    make_volume(study / "c" / "12:30 ~scan.nii.gz", shape=(8, 8, 8))
    assert [c.id for c in expand([str(study / "c")])] == ["12_30 _scan"]


def test_the_current_folder_has_a_name(study, monkeypatch):
    write_series(study / "ct", n=3)
    monkeypatch.chdir(study / "ct")
    assert [c.id for c in expand(["."])] == ["ct"]


@pytest.mark.parametrize("text", ["none.nii.gz", "*.mha", "a/notes.txt"])
def test_nothing_is_an_error(study, text):
    if text.endswith(".txt"):
        text = "empty"
        (study / text).mkdir()
    with pytest.raises(NothingFound):
        expand([str(study / text)])


def test_the_two_files_of_an_envi_scene_are_one_case(tmp_path):
    header = save_envi(tmp_path / "in", cube())
    samples = header.with_suffix(".dat")
    assert [c.image for c in expand([str(tmp_path / "in")])] == [samples]
    assert [c.image for c in expand([str(tmp_path / "in" / "*")])] == [samples]
    assert [c.image for c in expand([str(tmp_path / "in" / "*.hdr")])] == [header]
    assert [c.image for c in expand([str(header)])] == [header]


def test_one_array_of_a_file_is_named_in_its_id(tmp_path):
    np.savez(tmp_path / "a.npz", one=np.ones((4, 5, 6)), two=np.ones((4, 5, 6)))
    (case,) = expand([f"{tmp_path / 'a.npz'}:two"])
    assert case.id == "a_two"
    assert str(case.image) == f"{tmp_path / 'a.npz'}:two"
    with pytest.raises(NothingFound, match="b.npz: no such file"):
        expand([f"{tmp_path / 'b.npz'}:two"])


def test_what_is_neither_a_file_nor_a_folder_is_left_to_the_reader(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    (case,) = expand([str(tmp_path / "a.nii")])
    assert case.image == tmp_path / "a.nii"
    os.mkfifo(tmp_path / "pipe")
    (case,) = expand([str(tmp_path / "pipe")])
    assert case.image == tmp_path / "pipe"
