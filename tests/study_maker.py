"""Makes studies as they come from archives and challenges: patients in folders of all shapes, reports among them."""

import json
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage, RTDoseStorage, SecondaryCaptureImageStorage, generate_uid

from tests.dicom_maker import header, write_series

FLAT = (1, 0, 0, 0, 1, 0)


def uids(patient: str, number: int = 1) -> dict[str, str]:
    """Study, patient and series of a patient, always the same."""
    study = generate_uid(entropy_srcs=[patient, "study"])
    series = generate_uid(entropy_srcs=[patient, "series", str(number)])
    return {"StudyInstanceUID": study, "PatientID": f"SECRET-{patient}", "uid": series}


def write_ct(folder: Path, patient: str, number: int = 1, *, n=4, **fields) -> None:
    """A CT series of a patient."""
    given = {
        "SeriesDescription": "body",
        "orientation": FLAT,
        "SeriesNumber": number,
        **uids(patient, number),
        **fields,
    }
    write_series(folder, n=n, prefix=given.pop("prefix", f"{number}_"), seed=number, **given)


def write_scout(folder: Path, patient: str) -> None:
    write_ct(
        folder, patient, 90, n=1, SeriesDescription="Topogram", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        prefix="scout",
    )  # fmt: skip


def write_object(path: Path, patient: str, sop_class: str, modality: str, number: int) -> None:
    """A report, which has no picture."""
    named = uids(patient, number)
    ds = header(named["uid"], sop_class, Modality=modality, SeriesNumber=number, **_without_uid(named))
    _save(ds, path)


def write_page(path: Path, patient: str, number: int = 91) -> None:
    """A dose page: a screenshot without a place in the patient."""
    named = uids(patient, number)
    ds = header(named["uid"], SecondaryCaptureImageStorage, SeriesNumber=number, **_without_uid(named))
    ds.SeriesDescription, ds.ImageType = "Dose Report", ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    ds.Rows, ds.Columns, ds.PixelData = 4, 6, bytes(48)
    _save(ds, path)


def write_dose(path: Path, patient: str, number: int = 92) -> None:
    """A dose distribution of radiotherapy, with frames and positions."""
    named = uids(patient, number)
    ds = header(named["uid"], RTDoseStorage, Modality="RTDOSE", SeriesNumber=number, **_without_uid(named))
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.PixelData = 4, 6, 3, bytes(144)
    ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing = [0, 0, 0], list(FLAT), [1, 1]
    _save(ds, path)


def write_report(path: Path, patient: str) -> None:
    write_object(path, patient, BasicTextSRStorage, "SR", 93)


def _without_uid(named: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in named.items() if k != "uid"}


def _save(ds: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


def write_dicomdir(folder: Path, files: list[Path]) -> None:
    """The index of files that a disc has."""
    ds = header("1.2.3", "1.2.840.10008.1.3.10")
    records = []
    for file in files:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = list(file.relative_to(folder).parts)
        records.append(record)
    ds.DirectoryRecordSequence = Sequence(records)
    _save(ds, folder / "DICOMDIR")


def save_nifti(path: Path, shape=(6, 5, 4), *, value=None, dtype="i2", step=1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(str(path).encode())  # no two files are copies
    data = np.random.default_rng(seed).integers(0, 99, shape) if value is None else np.full(shape, value)
    nib.save(nib.Nifti1Image(data.astype(dtype), np.diag([step, step, step, 1])), path)


def zipped(folder: Path, target: Path) -> None:
    """A folder as an archive."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))


def write_export(root: Path, scratch: Path) -> Path:
    """Twelve patients in six shapes of folders, two each: P01 to P12."""
    for name in ("P01", "P02"):  # patient, study, series
        study = root / "tree" / name / "20200101 Thorax"
        write_ct(study / "2 body", name)
        write_scout(study / "1 topogram", name)
        write_report(study / "93 report" / "1.dcm", name)
        write_page(study / "91 dose" / "1.dcm", name)
    for name in ("P03", "P04"):  # all of a patient in one folder, reports among the slices
        write_ct(root / "folders" / name, name)
        write_scout(root / "folders" / name, name)
        write_report(root / "folders" / name / "report.dcm", name)
        write_page(root / "folders" / name / "dose.dcm", name)
        write_dose(root / "folders" / name / "rtdose.dcm", name)
    for number, name in enumerate(("P05", "P06")):  # all patients in one folder, files without suffix
        write_ct(root / "flat", name, prefix=f"IM{number}", suffix="")
        write_scout(scratch / name, name)
        next((scratch / name).iterdir()).rename(root / "flat" / f"IM9{number}99")
    files = []
    for number, name in enumerate(("P07", "P08")):  # a disc
        folder = root / "disc" / "DICOM" / f"PA{number}" / "ST0" / "SE0"
        write_ct(folder, name, prefix="IM", suffix="")
        files += sorted(folder.iterdir())
    write_dicomdir(root / "disc", files)
    for name in ("P09", "P10"):  # BraTS
        for sequence in ("t1", "t1ce", "t2", "flair"):
            save_nifti(root / "brats" / name / f"{name}_{sequence}.nii.gz")
        save_nifti(root / "brats" / name / f"{name}_seg.nii.gz", value=1, dtype="u1")
    write_ct(scratch / "P11" / "CT", "P11")
    write_report(scratch / "P11" / "SR" / "1.dcm", "P11")
    (root / "sent").mkdir()
    zipped(scratch / "P11", root / "sent" / "P11.zip")
    write_nnunet(root / "nnunet", ["P12"])
    return root


def write_nnunet(root: Path, names: list[str], tests: tuple[str, ...] = ()) -> None:
    """A data set of nnU-Net with two channels."""
    for part, found in (("Tr", names), ("Ts", tests)):
        for name in found:
            for number in range(2):
                save_nifti(root / f"images{part}" / f"{name}_{number:04d}.nii.gz")
            if part == "Tr":
                save_nifti(root / "labelsTr" / f"{name}.nii.gz", value=1, dtype="u1")
    about = {"channel_names": {"0": "T1", "1": "FLAIR"}, "labels": {"background": 0, "lesion": 1}}
    (root / "dataset.json").write_text(json.dumps({**about, "numTraining": len(names), "file_ending": ".nii.gz"}))
