"""Makes DICOM files with pydicom, so that readers meet geometry whose truth is known."""

import struct
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

OBLIQUE = (0.8, 0.6, 0.0, -0.48, 0.64, 0.6)
"""Two orthogonal unit vectors (row, column) along no world axis."""


def header(uid: str, sop_class: str = CTImageStorage, **fields) -> FileDataset:
    """A CT header with a patient's name in it, which must never come out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.4", uid
    ds.FrameOfReferenceUID = "1.2.3.4.5"
    ds.Modality, ds.PatientName, ds.PatientID = "CT", "Doe^Jane", "SECRET-1"
    ds.PatientBirthDate = ds.PatientSex = ds.StudyID = ds.AccessionNumber = ""
    ds.StudyDate, ds.StudyTime = "20200101", "000000"
    ds.SeriesNumber = 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    for name, value in fields.items():
        setattr(ds, name, value)
    return ds


def normal(orientation) -> np.ndarray:
    return np.cross(orientation[:3], orientation[3:])


def write_series(
    folder: Path,
    *,
    n=6,
    rows=5,
    columns=7,
    orientation=OBLIQUE,
    origin=(-50.0, 30.0, 12.0),
    spacing=(0.7, 0.9),
    step=None,
    uid="1.2.3.10",
    skip=(),
    suffix=".dcm",
    reverse=False,
    seed=0,
    change=None,
    prefix="s",
    **fields,
) -> tuple[np.ndarray, np.ndarray]:
    """Write a series; returns stored pixels (columns, rows, n) uint16 and the RAS affine that they have.

    `step` is the vector from slice to slice (default 2.5 mm along the normal), `change(k, dataset)` edits one slice,
    `skip` leaves slices out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    step = np.array(step) if step is not None else 2.5 * normal(orientation)
    pixels = np.random.default_rng(seed).integers(0, 4096, (columns, rows, n), dtype=np.uint16)
    for k in range(n):
        if k in skip:
            continue
        ds = header(uid, **fields)
        ds.Rows, ds.Columns = rows, columns
        ds.PixelSpacing = list(spacing)
        ds.SliceThickness = 3.0
        ds.ImageOrientationPatient = list(orientation)
        ds.ImagePositionPatient = [round(float(v), 9) for v in np.array(origin) + k * step]
        ds.InstanceNumber = k + 1
        ds.PixelData = pixels[:, :, k].T.tobytes()
        if change is not None:
            change(k, ds)
        name = n - k if reverse else k
        ds.save_as(folder / f"{prefix}{name:03d}{suffix}", enforce_file_format=True)
    lps = np.eye(4)
    lps[:3, 0] = np.array(orientation[:3]) * spacing[1]
    lps[:3, 1] = np.array(orientation[3:]) * spacing[0]
    lps[:3, 2] = step
    lps[:3, 3] = origin
    return pixels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def csa_header(**values) -> bytes:
    """A private header of Siemens (CSA2) with these texts, each a list."""
    out = [b"SV10\4\3\2\1", struct.pack("<II", len(values), 77)]
    for name, texts in values.items():
        kind = b"US" if isinstance(texts[0], int) else b"FD" if name.endswith("Vector") else b"LO"
        out.append(struct.pack("<64si4siii", name.encode(), 0, kind, 0, len(texts), 77))
        for text in texts:
            content = str(text).encode() + b"\0"
            out += [
                struct.pack("<4i", len(content), len(content), 77, 77),
                content.ljust(-(-len(content) // 4) * 4, b"\0"),
            ]
    return b"".join(out)


def write_mosaic(path: Path, tiles: np.ndarray, *, normal_sign=1, between=3.0, orientation=OBLIQUE, **fields) -> None:
    """A Siemens mosaic of `tiles` (count, rows, columns), as the scanner writes it: filled up to a square of tiles."""
    count, rows, columns = tiles.shape
    side = int(np.ceil(np.sqrt(count)))
    picture = np.zeros((side * rows, side * columns), np.uint16)
    for k in range(count):
        picture[k // side * rows :, k % side * columns :][:rows, :columns] = tiles[k]
    ds = header("1.2.3.88", "1.2.840.10008.5.1.4.1.1.4", Modality="MR", **fields)
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND", "MOSAIC"]
    ds.Rows, ds.Columns = picture.shape
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = [1.5, 2.0], 2.5, between
    ds.ImageOrientationPatient, ds.ImagePositionPatient = list(orientation), [-100.0, -80.0, 20.0]
    ds.Manufacturer, ds.InstanceNumber = "SIEMENS", 1
    block = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    away = [f"{v:.8f}" for v in normal_sign * normal(orientation)]
    block.add_new(
        0x10,
        "OB",
        csa_header(
            NumberOfImagesInMosaic=[count], SliceNormalVector=away, AcquisitionMatrixText=[f"{columns}p*{rows}"]
        ),
    )
    ds.PixelData = picture.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


def write_enhanced(path: Path, *, n=4, rows=5, columns=6, slopes=None) -> tuple[np.ndarray, np.ndarray]:
    """An enhanced multi-frame CT with its frames in falling order; returns rescaled values and the RAS affine."""
    ds = header("1.2.3.77", EnhancedCTImageStorage)
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.Rows, ds.Columns, ds.NumberOfFrames = rows, columns, n
    pixels = np.random.default_rng(3).integers(0, 4096, (columns, rows, n), dtype=np.uint16)
    slopes = slopes or [1.0] * n
    shared = Dataset()
    measures, plane = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.6], 2.0
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in reversed(range(n)):
        frame, place, values = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [1.0, 2.0, 3.0 + 2.0 * k]
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slopes[k], -1000.0, "HU"
        frame.PlanePositionSequence = Sequence([place])
        frame.PixelValueTransformationSequence = Sequence([values])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.PixelData = b"".join(pixels[:, :, k].T.tobytes() for k in reversed(range(n)))
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    affine = np.array([[-0.6, 0, 0, -1], [0, -0.5, 0, -2], [0, 0, 2, 3], [0, 0, 0, 1.0]])
    return pixels * np.array(slopes) - 1000, affine
