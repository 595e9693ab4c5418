"""Studies laid out in folders and lists, and rows that do not fit."""

import json

import nibabel as nib
import numpy as np
import pytest

from tests.dicom_maker import write_series
from tests.scene_maker import cube, save_envi
from tests.tiny import make_tiny_recording
from workbench.core.errors import InputError, NothingFound
from workbench.core.types import Case
from workbench.data.cases import group_of, join_cases, load_cases, load_study, naming, open_case


def put(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.zeros((3, 4, 5), "u1"), np.eye(4)), path)


def rows(cases, root):
    return [
        (c.id, str(c.image.relative_to(root)), c.labels and str(c.labels.relative_to(root)), c.group) for c in cases
    ]


def test_folder_pair_and_its_variants(tmp_path):
    put(
        tmp_path / "images/b.nii.gz",
        tmp_path / "images/a.nii",
        tmp_path / "labels/a.nii.gz",
        tmp_path / "labels/b_seg.nii.gz",
    )
    expected = [("a", "images/a.nii", "labels/a.nii.gz", "a"), ("b", "images/b.nii.gz", "labels/b_seg.nii.gz", "b")]
    assert rows(load_cases(tmp_path), tmp_path) == expected
    assert rows(load_cases(tmp_path / "images"), tmp_path) == expected
    (tmp_path / "labels").rename(tmp_path / "masks by hand")
    expected = [(a, b, c.replace("labels", "masks by hand"), d) for a, b, c, d in expected]
    assert rows(load_cases(tmp_path / "images", tmp_path / "masks by hand"), tmp_path) == expected
    assert [c.labels for c in load_cases(tmp_path / "images")] == [None, None]


def test_nnunet_layout(tmp_path):
    put(tmp_path / "imagesTr/la_003_0000.nii.gz", tmp_path / "labelsTr/la_003.nii.gz")
    assert rows(load_cases(tmp_path), tmp_path) == [
        ("la_003", "imagesTr/la_003_0000.nii.gz", "labelsTr/la_003.nii.gz", "la_003")
    ]
    put(tmp_path / "imagesTr/la_003_0001.nii.gz")
    (case,) = load_cases(tmp_path)
    assert [f.name for f in case.files] == ["la_003_0000.nii.gz", "la_003_0001.nii.gz"]
    assert (case.id, case.labels.name, open_case(case).channels) == ("la_003", "la_003.nii.gz", ("0", "1"))


def test_dicom_folders_are_cases(tmp_path):
    write_series(tmp_path / "images/p1", n=3)
    put(tmp_path / "labels/p1.nii.gz")
    assert rows(load_cases(tmp_path), tmp_path) == [("p1", "images/p1", "labels/p1.nii.gz", "p1")]
    assert [c.id for c in load_cases(tmp_path / "images" / "p1")] == ["p1"]


def test_unmatched_files_are_named(tmp_path):
    put(tmp_path / "images/scan1.nii.gz", tmp_path / "images/scan2.nii.gz", tmp_path / "labels/scan1.nii.gz")
    with pytest.raises(InputError, match=r"scan2.nii.gz: no label map 'scan2' in .*Did you mean 'scan1'"):
        load_cases(tmp_path)
    put(tmp_path / "labels/scan2.nii.gz", tmp_path / "labels/extra.nii.gz")
    with pytest.raises(InputError, match=r"1 label map\(s\) without an image .* first extra.nii.gz"):
        load_cases(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path):
    put(tmp_path / "a.nii", tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"both a.nii and a.nii.gz are case 'a'"):
        load_cases(tmp_path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_list(tmp_path, delimiter):
    put(tmp_path / "x/sub-01_ses-2.nii.gz", tmp_path / "x/m.nii.gz", tmp_path / "y.nii.gz")
    table = [
        ["Image", "labels", "group", "id", "series"],
        ["x/sub-01_ses-2.nii.gz", "x/m.nii.gz", "", "", ""],
        [str(tmp_path / "y.nii.gz"), "", "anna", "second", "3"],
    ]
    (tmp_path / "list.csv").write_text(
        "\ufeff" + "\n".join(delimiter.join(r) for r in table) + "\n\n", encoding="utf-8"
    )
    first, second = load_cases(tmp_path / "list.csv")[::-1]
    assert (first.id, first.group, first.labels) == ("sub-01_ses-2", "sub-01", tmp_path / "x/m.nii.gz")
    assert (second.id, second.group, second.labels, second.options) == ("second", "anna", None, {"series": "3"})


def test_jsonl_list(tmp_path):
    put(tmp_path / "a.nii.gz")
    (tmp_path / "list.jsonl").write_text(json.dumps({"image": "a.nii.gz", "labels": None, "series": 2}) + "\n\n")
    (case,) = load_cases(tmp_path / "list.jsonl")
    assert (case.id, case.labels, case.options) == ("a", None, {"series": "2"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "image,labels\na.nii.gz,gone.nii.gz\n", r"l.csv, line 2: labels .*gone.nii.gz does not exist"),
        ("l.csv", "image\na.nii.gz\ngone.nii.gz\n", r"line 3: image .*gone.nii.gz does not exist"),
        ("l.csv", "file\na.nii.gz\n", r"columns \['file'\], 'image' was expected"),
        ("l.csv", "image,id\n,x\n", r"line 2: no value for 'image'"),
        ("l.csv", "image,id\na.nii.gz,x,y\n", r"line 2: more values than columns"),
        ("l.csv", "image,id\na.nii.gz,../x\n", r"line 2: id '../x' cannot be a folder name"),
        ("l.csv", "image,group\na.nii.gz,x\na.nii.gz,y\n", r"the id 'a' occurs twice"),
        ("l.jsonl", '{"image": "a.nii.gz"}\n{"image": \n', r"l.jsonl, line 2: not JSON"),
        ("l.jsonl", '{"image": ' + "[" * 100_000, r"l.jsonl, line 1: not JSON"),
        ("l.jsonl", '{"image": ' + "9" * 5000 + "}", r"l.jsonl, line 1: not JSON"),
        ("l.csv", "image\n" + "x" * 200_000, r"l.csv: not readable as a table \(field larger than"),
        ("l.csv", "image," + "x" * 200_000 + "\na.nii.gz", r"l.csv: not readable as a table \(field larger than"),
        ("l.csv", "image,id,image\na.nii.gz,x,b.nii.gz\n", r"the column 'image' twice"),
        ("l.csv", "image\n~nobody-of-this-name/a.nii\n", r"is no path"),
        ("l.csv", "image\n" + "a/" * 5000 + "\n", r"'a/a/a.*is no path"),
        ("l.jsonl", "[1]\n", r"line 1: a list, expected an object"),
    ],
)
def test_bad_rows_are_named(tmp_path, name, text, message):
    put(tmp_path / "a.nii.gz")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_cases(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_nothing_there(tmp_path):
    with pytest.raises(NothingFound):
        load_cases(tmp_path / "gone")
    with pytest.raises(NothingFound, match="no readable images"):
        load_cases(tmp_path)
    (tmp_path / "l.csv").write_text("image\n")
    with pytest.raises(NothingFound):
        load_cases(tmp_path / "l.csv")


def test_groups_are_patients_where_the_name_says_so():
    assert [group_of(n) for n in ("sub-01_ses-2", "patient007_frame01", "P12-late", "TCGA-AB-1234-01A")] == [
        "sub-01",
        "patient007",
        "P12",
        "TCGA-AB-1234",
    ]
    for whole in ("BraTS2021_00012", "la_003", "scan", "12345", "ct_abdomen_3mm"):
        assert group_of(whole) == whole


def test_open_case_heeds_the_series(tmp_path):
    write_series(tmp_path / "study", uid="1.2.3.10", prefix="a", n=4)
    write_series(tmp_path / "study", uid="1.2.3.99", prefix="b", n=6, SeriesNumber=2)
    case = Case("p", tmp_path / "study", options={"series": "2"})
    assert open_case(case).geometry.shape[2] == 6
    with pytest.raises(InputError, match="^case 'p': .*choose one with --series"), naming(case), naming(case):
        open_case(Case("p", tmp_path / "study"))


def test_scenes_with_their_ground_truth(tmp_path):
    for name in ("north", "south"):
        save_envi(tmp_path / "images", cube(), name=name)
        save_envi(tmp_path / "labels", np.ones((1, 9, 11), "u1"), name=f"{name}_gt")
    expected = [(n, f"images/{n}.dat", f"labels/{n}_gt.dat", n) for n in ("north", "south")]
    assert rows(load_cases(tmp_path), tmp_path) == expected
    np.savez(tmp_path / "a.npz", scene=np.ones((4, 5, 6)), gt=np.ones((4, 5), "u1"))
    (tmp_path / "list.csv").write_text("image,labels\na.npz:scene,a.npz:gt\n")
    assert rows(load_cases(tmp_path / "list.csv"), tmp_path) == [("a", "a.npz:scene", "a.npz:gt", "a")]
    (case,) = load_cases(f"{tmp_path}/a.npz:scene", f"{tmp_path}/a.npz:gt")
    assert (case.image.name, case.labels.name) == ("a.npz:scene", "a.npz:gt")
    with pytest.raises(InputError, match="no label map for it"):
        load_cases(tmp_path / "a.npz", tmp_path / "b.npz:gt")


def test_files_lists_and_cases_are_joined(tmp_path):
    a, b = (make_tiny_recording(tmp_path / f"sub-{i}_ses-1.npy", seed=i) for i in (1, 2))
    (tmp_path / "list.csv").write_text(f"image,group\n{b.name},two\n", encoding="utf-8")
    found = join_cases([str(a), tmp_path / "list.csv", Case("third", a, None, "x")])
    assert [(c.id, c.image, c.group) for c in found] == [
        ("sub-1_ses-1", a, "sub-1"), ("sub-2_ses-1", b, "two"), ("third", a, "x")
    ]  # fmt: skip
    with pytest.raises(InputError, match="the id 'sub-1_ses-1' occurs twice"):
        join_cases([a, a])
    with pytest.raises(NothingFound, match="gone.fif: no such file"):
        join_cases([a, tmp_path / "gone.fif"])


def test_the_subject_of_a_list_is_the_group_where_none_is_given(tmp_path):
    """Sessions of one subject on both sides of a split would leak it."""
    put(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", tmp_path / "c.nii.gz")
    (tmp_path / "l.csv").write_text("image,subject,group\na.nii.gz,anna,\nb.nii.gz,anna,other\nc.nii.gz,,\n")
    found = load_cases(tmp_path / "l.csv")
    assert [c.group for c in found] == ["anna", "other", "c"]
    assert [c.options.get("subject") for c in found] == ["anna", "anna", None]


def test_copies_of_one_scan_are_one_patient(tmp_path):
    first = np.random.default_rng(0).normal(size=(5, 6, 7)).astype("f4")
    for name, data in (("a", first), ("b", first), ("c", first + 1)):
        (tmp_path / name).mkdir()
        nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / name / f"scan_{name}.nii")
    study = load_study(tmp_path)
    groups = [c.group for c in study.cases]
    assert groups[0] == groups[1] != groups[2]
    assert [n for n in study.notes if "byte for byte: they count as one patient" in n]
    # The groups of a list stay.
    rows = "".join(f"{n}/scan_{n}.nii,{n}\n" for n in "abc")
    (tmp_path / "list.csv").write_text(f"image,group\n{rows}", encoding="utf-8")
    study = load_study(tmp_path / "list.csv")
    assert len({c.group for c in study.cases}) == 3
    assert "of 2 groups: a split may have it on both sides" in study.notes[0]


def test_a_patient_is_the_group_and_a_label_may_be_a_word(tmp_path):
    """Slides of one patient on both sides of a split would leak it; "tumour" is no file that is missing."""
    for name in "ab":
        (tmp_path / f"{name}.nii.gz").touch()
    (tmp_path / "l.csv").write_text("image,patient,label\na.nii.gz,p1,tumour\nb.nii.gz,p1,no tumour\n")
    found = load_cases(tmp_path / "l.csv")
    assert [c.group for c in found] == ["p1", "p1"]
    assert [c.labels for c in found] == [None, None]
    assert [c.options["label"] for c in found] == ["tumour", "no tumour"]
    (tmp_path / "n.csv").write_text("image,label\na.nii.gz,adenoma/carcinoma\nb.nii.gz,v1.5\n")
    assert [c.options["label"] for c in load_cases(tmp_path / "n.csv")] == ["adenoma/carcinoma", "v1.5"]
    (tmp_path / "m.csv").write_text("image,label\na.nii.gz,missing.nii.gz\n")
    with pytest.raises(InputError, match="does not exist"):
        load_cases(tmp_path / "m.csv")
