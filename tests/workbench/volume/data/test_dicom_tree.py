"""DICOM files of a tree: which are volumes, which belong together, and what is in nobody's way."""

import shutil

import numpy as np
import pydicom
import pytest

from tests.dicom_maker import write_series
from tests.study_maker import (
    FLAT,
    uids,
    write_ct,
    write_dicomdir,
    write_dose,
    write_object,
    write_page,
    write_report,
    write_scout,
)
from workbench.core.errors import InputError, UsageError
from workbench.data import formats
from workbench.data.cases import open_case
from workbench.data.tree import find
from workbench.volume.data.dicom_roles import pseudonym


def ids(study):
    return [c.id for c in study.cases]


def reasons(study):
    return {s.path.name: s.reason for s in study.skipped}


def test_what_is_no_volume_is_named_and_in_nobodys_way(tmp_path):
    folder = tmp_path / "P1"
    write_ct(folder, "P1")
    write_scout(folder, "P1")
    write_page(folder / "page.dcm", "P1")
    write_report(folder / "report.dcm", "P1")
    write_dose(folder / "dose.dcm", "P1")
    write_object(folder / "contours.dcm", "P1", "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", 94)
    write_object(folder / "shown.dcm", "P1", "1.2.840.10008.5.1.4.1.1.11.1", "PR", 95)
    study = find(tmp_path)
    assert ids(study) == ["P1"]
    found = reasons(study)
    for name, word in (
        ("page.dcm", "screenshot"), ("report.dcm", "a report (SR"), ("dose.dcm", "a dose distribution"),
        ("contours.dcm", "contours (RTSTRUCT"), ("shown.dcm", "a presentation state (PR"),
        ("scout000.dcm", "localizer"),
    ):  # fmt: skip
        assert word in found[name]
    image = open_case(study.cases[0])
    assert image.geometry.shape == (7, 5, 4)
    assert sum("not read" in n for n in image.notes) == 3  # the pictures beside it are said
    np.testing.assert_array_equal(formats.read(folder).data, image.data)


def test_a_scout_by_its_name_only_counts_beside_a_volume(tmp_path):
    write_ct(tmp_path / "a", "A")
    write_ct(tmp_path / "a", "A", 2, n=2, SeriesDescription="LOCALIZER 3 plane")
    write_ct(tmp_path / "b", "B", SeriesDescription="survey")
    assert ids(find(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("name", ["haste_loc", "LOC", "Topo 1.0", "Übersicht", "Planung"])
def test_few_pictures_with_a_short_name_of_a_scout_are_one(tmp_path, name):
    write_ct(tmp_path / "a", "A", n=8)
    write_ct(tmp_path / "a", "A", 2, n=3, SeriesDescription=name, SpecificCharacterSet="ISO_IR 192")
    study = find(tmp_path)
    (case,) = study.cases
    assert open_case(case).geometry.shape[2] == 8
    assert any("a localizer, by its description" in s.reason for s in study.skipped)
    # As many as the other volume: a planning CT is one.
    write_ct(tmp_path / "b", "B", n=8)
    write_ct(tmp_path / "b", "B", 2, n=8, SeriesDescription=name, SpecificCharacterSet="ISO_IR 192")
    assert "2 volumes of one study" in find(tmp_path / "b").cases[0].problem


def test_two_volumes_of_a_folder_are_a_question_and_a_rule_the_answer(tmp_path):
    for name in ("P1", "P2"):
        write_ct(tmp_path / name, name, 1, SeriesDescription="arterial", ConvolutionKernel="B30f")
        write_ct(tmp_path / name, name, 2, SeriesDescription="venous", n=6, ConvolutionKernel="B30f")
    write_ct(tmp_path / "P3", "P3", 1, SeriesDescription="native")
    study = find(tmp_path)
    assert ids(study) == ["P1", "P2", "P3"]
    assert [bool(c.problem) for c in study.cases] == [True, True, False]
    with pytest.raises(InputError, match=r"P1: 2 volumes of one study, .*--series.*arterial \(CT, 4 .*venous \(CT, 6"):
        open_case(study.cases[0])
    chosen = find(tmp_path, series="description=*VEN*,modality=CT")
    assert ids(chosen) == ["P1", "P2"]
    assert [open_case(c).geometry.shape[2] for c in chosen.cases] == [6, 6]
    assert "description is 'native', asked for = *VEN*" in reasons(chosen)["P3"]
    assert [open_case(c).geometry.shape[2] for c in find(tmp_path, series="slices>4").cases] == [6, 6]
    assert formats.read(tmp_path / "P1", series="slices<5").geometry.shape[2] == 4
    with pytest.raises(InputError, match="2 series match --series kernel=B"):
        formats.read(tmp_path / "P1", series="kernel=B*")
    still = find(tmp_path, series="kernel=B*").cases
    assert [c.problem.partition(":")[2][:50] for c in still] == [
        " 2 volumes of one study match --series kernel=B*, "
    ] * 2
    with pytest.raises(UsageError, match="no series has 'kernels'"):
        find(tmp_path, series="kernels=B*")


def test_numbers_count_in_the_listing_of_each_folder(tmp_path):
    for name in ("P1", "P2"):
        write_ct(tmp_path / name, name, 1)
        write_ct(tmp_path / name, name, 2, n=6)
    write_ct(tmp_path / "P3", "P3", 1)
    study = find(tmp_path, series="2")
    assert ids(study) == ["P1_series-2", "P2_series-2"]
    assert [open_case(c).geometry.shape[2] for c in study.cases] == [6, 6]
    assert "no series matches --series 2" in reasons(study)["P3"]


def test_patients_of_one_folder_are_told_apart_and_not_named(tmp_path):
    for number in range(5):
        write_ct(tmp_path, f"P{number}", prefix=f"IM{number}", suffix="", n=3 + number)
    study = find(tmp_path)
    assert len(set(ids(study))) == 5
    assert len({c.group for c in study.cases}) == 5
    assert "SECRET" not in str(study)
    assert sorted(open_case(c).geometry.shape[2] for c in study.cases) == [3, 4, 5, 6, 7]


def test_ids_of_a_folder_do_not_change_when_others_come(tmp_path):
    write_ct(tmp_path, "A", prefix="IM1", suffix="")
    write_ct(tmp_path, "B", prefix="IM2", suffix="")
    before = {c.id: c.group for c in find(tmp_path).cases}
    write_ct(tmp_path, "C", prefix="IM0", suffix="")
    after = {c.id: c.group for c in find(tmp_path).cases}
    assert before.items() <= after.items()
    assert len(after) == 3


def test_file_names_that_tell_patients_apart_are_their_ids(tmp_path):
    for name in ("P1", "P12"):
        write_ct(tmp_path, name, prefix=f"{name}_")
    assert ids(find(tmp_path)) == ["P1", "P12"]


def test_one_uid_for_the_series_of_two_patients_is_not_one_volume(tmp_path):
    """Some anonymisers give the same UIDs to everybody: slices of two patients must never be one volume."""
    for number, patient in enumerate(("A", "B")):
        write_series(
            tmp_path, uid="1.2.3", PatientID=patient, prefix=f"x{number}", orientation=FLAT, seed=number,
            origin=(0, 0, 100 * number),
        )  # fmt: skip
    study = find(tmp_path)
    assert len(study.cases) == 2
    images = [open_case(c) for c in study.cases]
    assert [i.geometry.shape[2] for i in images] == [6, 6]
    assert not np.array_equal(images[0].data, images[1].data)


@pytest.mark.parametrize(
    ("blank", "others"),
    [(["PatientID"], 3), (["StudyInstanceUID"], 2), (["PatientID", "StudyInstanceUID"], 4)],
)
def test_a_part_of_the_files_without_patient_or_study_is_no_series_of_its_own(tmp_path, blank, others):
    """Every other slice apart would be a volume of half the slices, twice as far from each other."""

    def change(k, dataset):
        for name in blank[: (k + 1) % (len(blank) + 1)]:
            setattr(dataset, name, "")

    write_series(tmp_path, n=8, PatientID="A", change=change)
    (case,) = find(tmp_path).cases
    assert open_case(case).geometry.shape[2] == 8
    assert formats.read(tmp_path).geometry.shape[2] == 8
    (study,) = {str(pydicom.dcmread(f).StudyInstanceUID) for f in tmp_path.iterdir()} - {""}
    assert len(find(tmp_path, series=f"study={study},patient={pseudonym('A')},slices=8").cases) == 1
    write_series(tmp_path, n=8, PatientID="B", prefix="other")
    # Whose those without a patient are is not known any more; those without a study are of the same patient.
    with pytest.raises(InputError, match=f"holds {others} series"):
        formats.read(tmp_path)


def test_a_series_in_several_folders_is_one_volume(tmp_path):
    whole, _ = write_series(tmp_path / "P1" / "a", **{**uids("P1")}, n=8, orientation=FLAT)
    (tmp_path / "P1" / "b").mkdir()
    for file in sorted((tmp_path / "P1" / "a").iterdir())[5:]:
        file.rename(tmp_path / "P1" / "b" / file.name)
    write_ct(tmp_path / "P1" / "c", "P1", 2)
    study = find(tmp_path)
    assert ids(study) == ["P1", "P1_c"]
    np.testing.assert_array_equal(open_case(study.cases[0]).data[0], whole.astype(np.int16) - 1024)
    assert open_case(study.cases[1]).geometry.shape[2] == 4


def test_a_copy_in_another_folder_is_a_case_and_said(tmp_path):
    write_ct(tmp_path / "P1", "X")
    for name in ("P2", "P3"):
        shutil.copytree(tmp_path / "P1", tmp_path / name)
    study = find(tmp_path)
    assert ids(study) == ["P1", "P2", "P3"]
    assert sum("holds the same images as" in n for n in study.notes) == 2


def test_a_folder_with_a_part_of_another_is_no_case_of_its_own(tmp_path):
    write_series(tmp_path / "P1" / "all", **uids("P1"), n=8, orientation=FLAT)
    (tmp_path / "P1" / "some").mkdir()
    for file in sorted((tmp_path / "P1" / "all").iterdir())[:5]:
        shutil.copy(file, tmp_path / "P1" / "some" / file.name)
    study = find(tmp_path)
    (case,) = study.cases
    assert open_case(case).geometry.shape[2] == 8
    assert any("its 5 images are also in" in n and "left out" in n for n in study.notes)


def test_folders_that_share_images_are_not_counted_twice(tmp_path):
    write_series(tmp_path / "P1" / "a", **uids("P1"), n=8, orientation=FLAT)
    (tmp_path / "P1" / "b").mkdir()
    files = sorted((tmp_path / "P1" / "a").iterdir())
    for file in files[3:]:
        shutil.copy(file, tmp_path / "P1" / "b" / file.name)
    for file in files[5:]:
        file.unlink()
    (case,) = find(tmp_path).cases
    assert "one series in 2 folders, which share 2 of its 8 images" in case.problem


def test_a_damaged_file_fails_its_own_case_only(tmp_path):
    for name in ("P1", "P2"):
        write_ct(tmp_path / name, name)
    (tmp_path / "P1" / "1_002.dcm").write_bytes(b"\0" * 200)
    study = find(tmp_path)
    assert [bool(c.problem) for c in study.cases] == [True, False]
    assert "A slice would be missing" in study.cases[0].problem
    assert "not a readable DICOM file" in reasons(study)["1_002.dcm"]
    assert open_case(study.cases[1]).geometry.shape[2] == 4


def test_a_slice_cut_off_in_a_folder_of_patients_fails_that_patient(tmp_path):
    for name in ("A", "B"):
        write_ct(tmp_path, name, prefix=f"{name}{name}_")
    file = tmp_path / "AA_003.dcm"
    ds = pydicom.dcmread(file)
    file.write_bytes(file.read_bytes()[: -len(ds.PixelData) - 12])
    study = find(tmp_path)
    assert [bool(c.problem) for c in study.cases] == [True, False]
    with pytest.raises(InputError, match="cut off before its picture"):
        open_case(study.cases[0])
    assert open_case(study.cases[1]).geometry.shape[2] == 4


def test_what_a_disc_promises_and_lacks_is_said(tmp_path):
    write_ct(tmp_path / "DICOM" / "PA0", "A", suffix="", prefix="IM")
    files = sorted((tmp_path / "DICOM" / "PA0").iterdir())
    write_dicomdir(tmp_path, files)
    assert not find(tmp_path).notes
    files[-1].unlink()
    study = find(tmp_path)
    assert ids(study) == [tmp_path.name]
    assert "1 of the 4 files that it names are not here, first DICOM/PA0/IM003" in study.notes[0]


def test_the_order_of_files_does_not_matter(tmp_path):
    write_ct(tmp_path / "P1", "A")
    write_scout(tmp_path / "P1", "A")
    first = find(tmp_path)
    assert find(tmp_path) == first


def test_groups_are_patients(tmp_path):
    """Studies of one PatientID never lie on both sides of a split, whatever their folders are called."""
    write_ct(tmp_path / "first visit", "A")
    write_ct(tmp_path / "second visit", "A", 2)
    write_ct(tmp_path / "other", "B")
    groups = {c.id: c.group for c in find(tmp_path).cases}
    assert groups["first visit"] == groups["second visit"] != groups["other"]
    assert "SECRET" not in str(groups)


def test_one_patientid_for_all_is_what_anonymisers_leave(tmp_path):
    for name in ("P1", "P2", "P3"):
        write_ct(tmp_path / name, name, PatientID="ANON")
    study = find(tmp_path)
    assert [c.group for c in study.cases] == ["P1", "P2", "P3"]
    assert any("one PatientID" in n for n in study.notes)


def test_where_label_maps_are_looked_for_contours_are_cases(tmp_path):
    write_object(tmp_path / "P1.dcm", "P1", "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", 94)
    write_object(tmp_path / "P2.dcm", "P2", "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", 94)
    assert ids(find(tmp_path, maps=True)) == ["P1", "P2"]
    assert ids(find(tmp_path)) == []
