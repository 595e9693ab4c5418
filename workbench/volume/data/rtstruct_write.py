"""Label maps as contours of radiotherapy (RTSTRUCT) on the source series.

Contours run along the edges of voxels, so that filling them gives the same label map again; a hole is a contour of its
own within another one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import __version__
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Image, Labels
from workbench.volume.data.dicom_seg_write import source_datasets
from workbench.volume.data.rtstruct import SOP_CLASS

_COPIED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "StudyInstanceUID", "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip
_ORIGINS = {"automatic": "AUTOMATIC", "corrected": "SEMIAUTOMATIC", "manual": "MANUAL"}


def write(path: Path, labels: Labels, source: Image) -> None:
    """Write a label map as an RTSTRUCT that refers to the slices of `source`.

    Parameters
    ----------
    labels
        On the grid of `source`; every value above 0 must be in its class table.
    source
        What `workbench.volume.data.dicom.read` gave for the series. Its patient and study fields go into the file, as
        DICOM demands.

    Raises
    ------
    InputError
        A value has no class, or there is nothing to draw.
    """
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid

    stack = source.native.stack
    if len(stack.planes) != source.geometry.shape[2] or any(p.tile is not None for p in stack.planes):
        raise InputError(
            f"{source.source}: its slices are not those of its files (resampled to even steps, or tiles of a mosaic),"
            " and contours refer to these. Use NIfTI."
        )
    if labels.geometry.affine is None:
        raise GeometryError(f"{path}: contours need the position of the label map, and it has none.")
    present = {int(v) for v in np.unique(labels.data) if v > 0}
    unknown = sorted(present - {c.value for c in labels.classes})
    if unknown:
        raise InputError(f"label map '{labels.name}' holds values without a class: {unknown[:10]}. Name them first.")
    datasets, _ = source_datasets(stack.planes)
    of_file = dict(zip(dict.fromkeys(p.path for p in stack.planes), datasets, strict=True))
    first = datasets[0]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(SOP_CLASS), generate_uid()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit lengths of ContourData end at 64 KiB
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    for name in _COPIED:
        setattr(ds, name, first.get(name, ""))
    now = datetime.now()
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.Modality, ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = "RTSTRUCT", generate_uid(), 901, 1
    ds.SeriesDescription, ds.OperatorsName = f"Contours {labels.algorithm}".strip()[:64], ""
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "napari-workbench", "workbench", __version__
    ds.StructureSetLabel, ds.ApprovalStatus = "CONTOURS", "UNAPPROVED"
    ds.StructureSetDate, ds.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    ds.FrameOfReferenceUID = first.FrameOfReferenceUID
    ds.ReferencedFrameOfReferenceSequence = [_frame(first, datasets)]
    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = [], [], []
    for info in labels.classes:
        roi, contours, seen = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = info.value, info.name[:64]
        roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        roi.ROIGenerationAlgorithm = _ORIGINS.get(labels.origin, "")  # empty where nobody recorded it
        if labels.algorithm:
            roi.ROIGenerationDescription = labels.algorithm[:64]
        contours.ReferencedROINumber, contours.ROIDisplayColor = info.value, list(info.color)
        contours.ContourSequence = [
            _contour(ring, of_file[stack.planes[k].path], stack.planes[k].frame)
            for k, ring in _rings(labels, info.value)
        ]
        seen.ObservationNumber = seen.ReferencedROINumber = info.value
        seen.RTROIInterpretedType, seen.ROIInterpreter = "", ""
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(contours)
        ds.RTROIObservationsSequence.append(seen)
    ds.save_as(path, enforce_file_format=True)


def _rings(labels: Labels, value: int) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Slices and closed contours (n, 3) of a class in LPS mm, along the edges of its voxels."""
    shapes: Any = importlib.import_module("rasterio.features").shapes
    affine = labels.geometry.affine
    assert affine is not None
    here = labels.data == value
    for k in np.flatnonzero(here.any(axis=(0, 1))):
        mask = np.ascontiguousarray(here[:, :, k].T).astype(np.uint8)  # (rows, columns)
        for polygon, _ in shapes(mask, mask=mask.astype(bool), connectivity=4):
            for ring in polygon["coordinates"]:
                corners = np.array(ring[:-1], np.float64) - 0.5  # corners of pixels, whose centres are whole numbers
                index = np.c_[corners, np.full(len(corners), float(k))]
                yield int(k), (index @ affine[:3, :3].T + affine[:3, 3]) * (-1.0, -1.0, 1.0)


def _contour(points: npt.NDArray[np.float64], image: Any, frame: int | None) -> Any:
    from pydicom.dataset import Dataset

    contour, reference = Dataset(), _reference(image)
    if frame is not None:
        reference.ReferencedFrameNumber = frame + 1
    contour.ContourImageSequence = [reference]
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
    contour.ContourData = [_decimal(v) for v in points.ravel()]
    return contour


def _decimal(value: float) -> str:
    """At most 16 characters, which is what DICOM allows."""
    return next(t for digits in (9, 8, 7, 6, 5, 4) if len(t := f"{value:.{digits}f}") <= 16)


def _reference(image: Any) -> Any:
    from pydicom.dataset import Dataset

    found = Dataset()
    found.ReferencedSOPClassUID, found.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return found


def _frame(first: Any, datasets: list[Any]) -> Any:
    """The frame of reference, with the study and the series that the contours lie on."""
    from pydicom.dataset import Dataset

    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = first.SeriesInstanceUID, [_reference(d) for d in datasets]
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # detached study, as all writers of RTSTRUCT have it
    study.ReferencedSOPInstanceUID, study.RTReferencedSeriesSequence = first.StudyInstanceUID, [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    return frame
