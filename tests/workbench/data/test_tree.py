"""What a folder is: the same cases for every verb, whatever its shape, and everything else named."""

import json

import nibabel as nib
import numpy as np
import pytest

import workbench as wb
from tests.dicom_maker import write_series
from tests.scene_maker import cube, save_envi
from tests.study_maker import save_nifti, write_ct, write_export, write_nnunet
from tests.tiny import make_tiny_recording
from workbench.batch.inputs import expand, find
from workbench.core.errors import GeometryError, InputError, NothingFound, WorkbenchWarning
from workbench.core.study import Skipped, Study
from workbench.data import tree
from workbench.data.cases import load_cases, load_study, open_case, scored_on, taught_by


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export"), tmp_path_factory.mktemp("scratch"))


def ids(study):
    return [c.id for c in study.cases]


def test_twelve_patients_in_six_shapes_are_twelve_cases(export):
    study = find([str(export)], kind="volume")
    assert len({c.id.casefold() for c in study.cases}) == len({c.group for c in study.cases}) == 12
    named = {c.id for c in study.cases}
    for patient in ("P01", "P02", "P03", "P04", "P09", "P10", "P11", "P12"):
        assert sum(patient in name for name in named) == 1, patient
    assert {"brats_P09", "folders_P03", "nnunet_P12", "sent_P11_CT", "tree_P01_20200101 Thorax_2 body"} <= named
    assert sum(c.image == export / "flat" for c in study.cases) == 2
    assert sum(c.image.is_relative_to(export / "disc") for c in study.cases) == 2
    assert not any(c.problem for c in study.cases)
    shapes = {c.id: (len(i.channels), i.geometry.shape) for c in study.cases for i in [open_case(c)]}
    assert {s for n, s in shapes.items() if "brats" not in n and "nnunet" not in n} == {(1, (7, 5, 4))}
    assert (shapes["brats_P09"], shapes["nnunet_P12"]) == ((4, (6, 5, 4)), (2, (6, 5, 4)))


def test_everything_else_is_named_with_the_reason(export):
    skipped = find([str(export)], kind="volume").skipped
    assert all(s.reason for s in skipped)
    assert sum("localizer" in s.reason for s in skipped) == 6
    assert sum("screenshot" in s.reason for s in skipped) == 4
    assert sum("a report" in s.reason for s in skipped) == 5
    assert sum("RTDOSE" in s.reason for s in skipped) == 2
    assert len(skipped) == 17


def test_all_verbs_see_the_same(export):
    predicted = find([str(export)], kind="volume")
    learnt = load_study(export, kind="volume")
    assert ids(predicted) == ids(learnt) == ids(wb.study(export, kind="volume"))
    assert predicted.skipped == learnt.skipped
    assert [row["case"] for row in wb.info(export)] == ids(predicted)
    assert [c.id for c in wb.cases(export)] == ids(predicted)
    assert {c.id for c in learnt.cases if c.labels} == {"brats_P09", "brats_P10", "nnunet_P12"}


def test_each_shape_by_itself_keeps_its_cases(export):
    inside = {s.name: len(find([str(s)], kind="volume").cases) for s in sorted(export.iterdir())}
    assert inside == {"brats": 2, "disc": 2, "flat": 2, "folders": 2, "nnunet": 1, "sent": 1, "tree": 2}
    matched = find([f"{export}/*"], kind="volume")
    assert len(matched.cases) == 12
    (zipped,) = find([str(export / "sent" / "P11.zip")]).cases
    assert (zipped.id, zipped.image) == ("P11", export / "sent" / "P11.zip" / "CT")
    assert len(find([str(export / "disc" / "DICOMDIR")]).cases) == 2


def test_an_output_name_is_never_shared(tmp_path):
    for name in ("a_b/c.nii.gz", "a/b_c.nii.gz", "A/b_c.nii.gz", "x/c.nii", "x/c.nii.gz"):
        save_nifti(tmp_path / name)
    found = [c.id for c in find([str(tmp_path)]).cases]
    assert len({n.casefold() for n in found}) == 5
    assert [c.id for c in find([str(tmp_path / "*")]).cases] != []
    assert (
        len({c.id.casefold() for c in expand([str(tmp_path / "a"), str(tmp_path / "A"), str(tmp_path / "a_b")])}) == 3
    )


def test_depth_shape_and_company_lose_nobody(tmp_path):
    """Patients whose study lay two folders deep, or beside another one, were lost without a word."""
    write_ct(tmp_path / "P1" / "study" / "series", "P1")
    write_ct(tmp_path / "P2", "P2")
    write_ct(tmp_path / "P3" / "series", "P3")
    write_ct(tmp_path / "P4" / "study a" / "series", "P4")
    write_ct(tmp_path / "P4" / "study b" / "series", "P4", 2)
    write_ct(tmp_path / "P5" / "series 1", "P5")
    write_ct(tmp_path / "P5" / "series 2", "P5", 2)
    found = expand([str(tmp_path)])
    assert {c.group for c in found} == {"P1", "P2", "P3", "P4", "P5"}
    assert len(found) == 7
    assert [c.id for c in found][:2] == ["P1_study_series", "P2"]
    assert [c.id for c in expand([str(tmp_path / "P1")])] == ["P1"]
    assert [c.id for c in expand([str(tmp_path / "P4")])] == ["study a_series", "study b_series"]
    two = [c.id for c in expand([str(tmp_path / "P4"), str(tmp_path / "P1")])]
    assert two == ["P1", "study a_series", "study b_series"]
    (tmp_path / "P6").mkdir()
    (tmp_path / "P6" / "study a").symlink_to(tmp_path / "P4" / "study a")
    write_ct(tmp_path / "P6" / "study b" / "series", "P6")
    with pytest.warns(WorkbenchWarning, match="1 case\\(s\\) given more than once"):
        both = [c.id for c in expand([str(tmp_path / "P4"), str(tmp_path / "P6")])]
    assert "P4_study b_series" in both
    assert "P6_study b_series" in both


@pytest.mark.parametrize(
    "endings", [("_t1", "_t1ce", "_t2", "_flair"), ("-t1n", "-t1c", "-t2w", "-t2f"), ("_t1", "_t1gd", "_t2", "_flair")]
)
def test_sequences_are_channels_in_a_fixed_order(tmp_path, endings):
    for number, ending in enumerate(endings):
        save_nifti(tmp_path / "BraTS_7" / f"BraTS_7{ending}.nii.gz", value=number)
    save_nifti(tmp_path / "BraTS_7" / "BraTS_7_seg.nii.gz", value=1, dtype="u1")
    for ending in (endings[0], "_seg"):
        save_nifti(tmp_path / "BraTS_8" / f"BraTS_8{ending}.nii.gz", value=1, dtype="u1")
    first, second = load_cases(tmp_path)
    image = open_case(first)
    assert (first.id, first.labels.name) == ("BraTS_7", "BraTS_7_seg.nii.gz")
    assert image.channels == ("T1", "T1ce", "T2", "FLAIR")
    assert [float(c.mean()) for c in image.data] == [0, 1, 2, 3]
    assert len(image.all_files) == 4
    assert (second.id, second.files, second.channels) == ("BraTS_8", (), ("T1",))
    assert second.labels.name == "BraTS_8_seg.nii.gz"


def test_files_that_only_name_their_sequence_are_of_their_folder(tmp_path):
    for name in ("t1", "flair", "seg"):
        save_nifti(tmp_path / "patient 7" / f"{name}.nii.gz", value=1, dtype="u1")
    (case,) = load_cases(tmp_path)
    assert (case.id, case.channels, case.labels.name) == ("patient 7", ("T1", "FLAIR"), "seg.nii.gz")


def test_channels_on_different_grids_are_refused(tmp_path):
    save_nifti(tmp_path / "a_t1.nii.gz")
    save_nifti(tmp_path / "a_t2.nii.gz", step=2.0)
    (case,) = load_cases(tmp_path)
    with pytest.raises(GeometryError, match=r"a_t2.nii.gz: is 6 x 5 x 4 of 2 x 2 x 2 mm, and a_t1.nii.gz beside it"):
        open_case(case)


def test_a_changed_channel_is_seen(tmp_path):
    for ending in ("t1", "t2"):
        save_nifti(tmp_path / f"a_{ending}.nii.gz")
    image = open_case(load_cases(tmp_path)[0])
    save_nifti(tmp_path / "a_t2.nii.gz", shape=(6, 5, 5))
    assert not image.is_unchanged


def test_nnunet_names_channels_cases_and_parts(tmp_path):
    write_nnunet(tmp_path, ["case_1", "case_2"], tests=("case_3",))
    study = load_study(tmp_path)
    assert ids(study) == ["case_1", "case_2", "case_3"]
    assert [c.options["split"] for c in study.cases] == ["training", "training", "test"]
    assert open_case(study.cases[0]).channels == ("T1", "FLAIR")
    assert (not study.faults, study.notes) == (True, ())
    learnt, said = taught_by(study.cases)
    assert ([c.id for c in learnt], "1 test case(s)" in said[0]) == (["case_1", "case_2"], True)
    assert [c.id for c in scored_on(study.cases)[0]] == ["case_1", "case_2"]
    save_nifti(tmp_path / "labelsTs" / "case_3.nii.gz", value=1, dtype="u1")
    assert [c.id for c in scored_on(load_cases(tmp_path))[0]] == ["case_3"]
    assert ids(load_study(tmp_path / "imagesTr")) == ["case_1", "case_2"]
    (tmp_path / "imagesTr" / "case_2_0001.nii.gz").unlink()
    lacking = load_study(tmp_path)
    assert "lacking: _0001" in next(c.problem for c in lacking.cases if c.id == "case_2")
    (tmp_path / "imagesTr" / "case_2_0000.nii.gz").unlink()
    (tmp_path / "labelsTr" / "case_2.nii.gz").unlink()
    assert any("promises 2 cases (numTraining), 1 are here" in n for n in load_study(tmp_path).notes)


def test_the_decathlon_names_channels_of_4d_files(tmp_path):
    for part in ("imagesTr", "imagesTs", "labelsTr"):
        (tmp_path / part).mkdir()
    data = np.zeros((4, 4, 3, 2), "i2")
    for file in ("imagesTr/BRATS_001.nii.gz", "imagesTr/BRATS_002.nii.gz", "imagesTs/BRATS_009.nii.gz"):
        nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / file)
    for name in ("BRATS_001", "BRATS_002"):
        save_nifti(tmp_path / "labelsTr" / f"{name}.nii.gz", (4, 4, 3), value=1, dtype="u1")
    (tmp_path / "imagesTr" / "._BRATS_001.nii.gz").write_bytes(b"what a Mac leaves")
    rows = [{"image": f"./imagesTr/BRATS_00{n}.nii.gz", "label": f"./labelsTr/BRATS_00{n}.nii.gz"} for n in (1, 2, 3)]
    about = {"modality": {"0": "FLAIR", "1": "T1w"}, "labels": {"0": "background", "1": "edema"}, "training": rows}
    (tmp_path / "dataset.json").write_text(json.dumps({**about, "test": ["./imagesTs/BRATS_009.nii.gz"]}))
    study = load_study(tmp_path)
    assert [(c.id, c.options["split"]) for c in study.cases] == [
        ("BRATS_001", "training"), ("BRATS_002", "training"), ("BRATS_009", "test")
    ]  # fmt: skip
    assert open_case(study.cases[0]).channels == ("FLAIR", "T1w")
    assert "dataset.json names BRATS_003, which are not here" in study.notes[0]
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset.json: not JSON"):
        load_study(tmp_path)


def test_numbered_files_are_channels_only_where_all_cases_have_the_same(tmp_path):
    for name in ("a_0000", "a_0001", "b_0000", "b_0001"):
        save_nifti(tmp_path / "input" / f"{name}.nii.gz")
    assert [len(c.files) for c in load_cases(tmp_path / "input")] == [2, 2]
    for name in ("scan_0000", "scan_0001", "scan_0002"):
        save_nifti(tmp_path / "series" / f"{name}.nii.gz")
    assert [c.id for c in load_cases(tmp_path / "series")] == ["scan_0000", "scan_0001", "scan_0002"]


def test_label_maps_are_no_cases(tmp_path):
    save_nifti(tmp_path / "ct.nii.gz")
    save_nifti(tmp_path / "ct_organs.nii.gz", value=1, dtype="u1")
    write_series(tmp_path / "dicom", n=3)
    save_nifti(tmp_path / "dicom_seg.nii.gz", value=1, dtype="u1")
    save_nifti(tmp_path / "lost_mask.nii.gz", value=1, dtype="u1")
    save_nifti(tmp_path / "s1" / "mr.nii.gz")
    save_nifti(tmp_path / "s1" / "segmentations" / "liver.nii.gz", value=1, dtype="u1")
    study = load_study(tmp_path)
    assert [(c.id, c.labels and c.labels.name) for c in study.cases] == [
        ("ct", "ct_organs.nii.gz"), ("dicom", "dicom_seg.nii.gz"), ("s1_mr", None)
    ]  # fmt: skip
    assert {s.path.name: s.reason for s in study.skipped} == {
        "lost_mask.nii.gz": "named as a label map, and no image of that name lies beside it",
        "segmentations": "a folder of label maps or results by its name, not searched",
    }
    save_nifti(tmp_path / "ct_mask.nii.gz", value=1, dtype="u1")
    two = load_study(tmp_path)
    assert two.cases[0].labels is None
    assert sum("one of 2 label maps of ct" in s.reason for s in two.skipped) == 2


def test_bids_volumes_are_cases_of_their_own(tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    for name in ("anat/sub-1_T1w", "anat/sub-1_FLAIR", "func/sub-1_task-rest_bold"):
        save_nifti(tmp_path / "sub-1" / f"{name}.nii.gz")
    save_nifti(tmp_path / "derivatives" / "other" / "sub-1" / "sub-1_T1w.nii.gz")
    study = load_study(tmp_path)
    assert [(c.id, c.group, c.files) for c in study.cases] == [
        ("sub-1_anat_sub-1_FLAIR", "sub-1", ()), ("sub-1_anat_sub-1_T1w", "sub-1", ())
    ]  # fmt: skip
    assert {s.path.name for s in study.skipped} >= {"func", "derivatives"}


def test_results_of_ours_are_no_input(tmp_path):
    save_nifti(tmp_path / "ct.nii.gz")
    save_nifti(tmp_path / "out" / "ct" / "labels.nii.gz", value=1, dtype="u1")
    (tmp_path / "out" / "ct" / "provenance.json").write_text('{"backend": "x", "weights": "demo"}')
    study = find([str(tmp_path)])
    assert ids(study) == ["ct"]
    assert study.skipped == (Skipped(tmp_path / "out" / "ct", "a result of the workbench"),)


def test_other_kinds_are_named(tmp_path):
    save_nifti(tmp_path / "ct.nii.gz")
    save_envi(tmp_path / "field", cube())
    make_tiny_recording(tmp_path / "meg.npy", seed=1)
    (tmp_path / "notes.txt").write_text("x")
    assert len(find([str(tmp_path)]).cases) >= 2
    study = find([str(tmp_path)], kind="volume")
    assert ids(study) == ["ct"]
    reasons = {s.path.name: s.reason for s in study.skipped}
    assert "a volume was looked for" in reasons["meg.npy"]
    assert any("a spectral scene, a volume was looked for" in r for r in reasons.values())
    assert any("no image that can be read" in r and ".txt" in r for r in reasons.values())


def test_links_are_followed_once_and_dead_ones_named(tmp_path):
    write_ct(tmp_path / "store" / "P1", "P1")
    study = tmp_path / "study"
    study.mkdir()
    (study / "P1").symlink_to(tmp_path / "store" / "P1")
    (study / "again").symlink_to(study)
    (study / "P2").symlink_to(tmp_path / "gone")
    found = find([str(study)])
    assert ids(found) == ["P1"]
    reasons = {s.path.name: s.reason for s in found.skipped}
    assert "a link to nothing" in reasons["P2"]
    assert "the same folder as" in reasons["again"]


def test_nothing_in_it_says_what_is(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(NothingFound, match=r"no readable image matched .*notes.txt: no image that can be read"):
        find([str(tmp_path)])
    with pytest.raises(NothingFound, match=r"Skipped: .*notes.txt"):
        load_study(tmp_path)


def test_one_image_in_a_tree_is_opened_and_several_are_named(tmp_path):
    save_nifti(tmp_path / "P1" / "a" / "ct.nii.gz")
    assert wb.read(tmp_path).geometry.shape == (6, 5, 4)
    save_nifti(tmp_path / "P2" / "ct.nii.gz")
    with pytest.raises(InputError, match="holds 2 images: P1_a_ct, P2_ct. Choose one"):
        wb.read(tmp_path)
    assert wb.read(wb.study(tmp_path).cases[1]).source == tmp_path / "P2" / "ct.nii.gz"


def test_the_screen_gets_ten_lines_and_a_count(tmp_path):
    study = Study((), tuple(Skipped(tmp_path / f"{n}", "why") for n in range(25)))
    lines = study.skipped_lines()
    assert len(lines) == 11
    assert lines[-1].startswith("skipped: 15 more")
    assert len(study.skipped_lines(None)) == 25


def test_many_files_of_one_reason_are_one_line(tmp_path):
    save_nifti(tmp_path / "ct.nii.gz")
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("x")
    (line,) = tree.find(tmp_path).skipped
    assert (line.path, line.count) == (tmp_path, 20)


def test_a_case_with_a_sequence_less_than_the_others_is_said(tmp_path):
    for case in ("BraTS-GLI-00001", "BraTS-GLI-00002", "BraTS-GLI-00003"):
        for sequence in ("t1n", "t1c", "t2w", "t2f"):
            save_nifti(tmp_path / case / f"{case}-{sequence}.nii.gz")
    assert not any("lack channels" in n for n in tree.find(tmp_path).notes)
    (tmp_path / "BraTS-GLI-00002" / "BraTS-GLI-00002-t2f.nii.gz").unlink()
    (said,) = [n for n in tree.find(tmp_path).notes if "lack channels" in n]
    assert "1 of 3 cases lack channels that the others have, first BraTS-GLI-00002: no FLAIR" in said


def test_a_label_map_of_a_folder_that_is_no_case_is_listed(tmp_path):
    write_ct(tmp_path / "P1", "P1")
    save_nifti(tmp_path / "P1_seg.nii.gz")
    save_nifti(tmp_path / "P4" / "ct" / "scan.nii.gz")
    save_nifti(tmp_path / "P4_seg.nii.gz")
    study = tree.find(tmp_path)
    assert [(c.id, c.labels is not None) for c in study.cases] == [("P1", True), ("P4_ct_scan", False)]
    (one,) = study.skipped
    assert one.path.name == "P4_seg.nii.gz"
    assert "named as a label map of the folder 'P4', and no case is called so" in one.reason
