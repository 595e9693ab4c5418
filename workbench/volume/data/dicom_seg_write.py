"""Label maps as binary DICOM segmentations, written through highdicom onto the source series.

A DICOM-SEG leaves out empty frames, so the grid of the source is kept in a private block.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import __version__
from workbench.core.classes import ClassInfo
from workbench.core.errors import InputError, MissingExtra
from workbench.core.types import Image, Labels
from workbench.volume.data import cielab
from workbench.volume.data.dicom_seg import PRIVATE_CREATOR, PRIVATE_GROUP, VALUE_PREFIX

# SNOMED CT concepts of frequent organs; what is not here is coded as tissue, with its name in the segment label.
_TYPES = {
    "liver": "10200004", "spleen": "78961009", "pancreas": "15776009", "stomach": "69695003", "aorta": "15825003",
    "gallbladder": "28231008", "urinary_bladder": "89837001", "kidney": "64033007", "kidneys": "64033007",
    "lung": "39607008", "lungs": "39607008", "heart": "80891009", "brain": "12738006", "esophagus": "32849002",
    "vertebrae": "51282000", "vertebra": "51282000",
}  # fmt: skip


def write(path: Path, labels: Labels, source: Image) -> None:
    """Write a label map as a binary DICOM-SEG that refers to the slices of `source`.

    Parameters
    ----------
    labels
        On the grid of `source`; every value above 0 must be in its class table. Its origin becomes the
        SegmentAlgorithmType: AUTOMATIC, SEMIAUTOMATIC (corrected by a person, or not known), or MANUAL.
    source
        What `workbench.volume.data.dicom.read` gave for the series. Its patient and study fields go into the file, as
        DICOM demands; identifiers that an anonymiser blanked are replaced by ones derived from the slices.

    Raises
    ------
    MissingExtra
        If highdicom is not installed (extra ``dicom``).
    InputError
        If a value has no class, there are no classes, or highdicom refuses the source.
    """
    try:
        hd: Any = importlib.import_module("highdicom")
    except ImportError as error:
        raise MissingExtra("writing DICOM-SEG (highdicom is not installed)", "dicom") from error
    planes = source.native.stack.planes
    if len(planes) != source.geometry.shape[2] or any(p.tile is not None for p in planes):
        raise InputError(
            f"{source.source}: its slices are not those of its files (resampled to even steps, or tiles of a mosaic),"
            " and a DICOM-SEG refers to these. Use NIfTI."
        )
    datasets, order = source_datasets(planes)
    numbered = _numbered(labels)[..., order]
    uid = importlib.import_module("pydicom.uid").generate_uid
    try:
        segmentation = hd.seg.Segmentation(
            source_images=datasets,
            # (frames, rows, columns), from (column, row, slice)
            pixel_array=np.ascontiguousarray(numbered.transpose(2, 1, 0)),
            segmentation_type="BINARY",
            segment_descriptions=[_description(hd, n, c, labels) for n, c in enumerate(labels.classes, 1)],
            series_instance_uid=uid(),
            series_number=900,
            sop_instance_uid=uid(),
            instance_number=1,
            manufacturer="napari-workbench",
            manufacturer_model_name="workbench",
            software_versions=__version__,
            device_serial_number="0",
            content_label="SEGMENTATION",
            series_description=f"Segmentation {labels.algorithm}".strip()[:64],
        )
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source.source}: no DICOM-SEG can be made for this series ({reason}). Use NIfTI.") from error
    assert labels.geometry.affine is not None
    block = segmentation.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "UL", list(labels.geometry.shape))
    block.add_new(0x02, "FD", [float(v) for v in labels.geometry.affine[:3].ravel()])
    segmentation.save_as(path)


def source_datasets(planes: Any) -> tuple[list[Any], list[int]]:
    """Headers of the source files, and the order in which the slices of our grid stand in them."""
    import pydicom
    from pydicom.uid import generate_uid

    files = list(dict.fromkeys(p.path for p in planes))
    if len(files) > 1 and len(files) != len(planes):
        raise InputError(
            f"{files[0]}: the volume is spread over several multi-frame files; DICOM-SEG needs one. Use NIfTI."
        )
    order = (
        list(range(len(planes))) if len(files) > 1 else sorted(range(len(planes)), key=lambda k: planes[k].frame or 0)
    )
    datasets = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
    # The same for every slice, and the same each time.
    seed = [str(d.file_meta.get("MediaStorageSOPInstanceUID") or d.get("SOPInstanceUID") or "") for d in datasets]
    # Blanked by some anonymisers in a part of the files: the others say it.
    said = {
        name: next((found for d in datasets if (found := d.get(name))), None)
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID")
    }
    for dataset in datasets:
        meta = dataset.file_meta
        for name, fallback in (
            ("SOPInstanceUID", meta.get("MediaStorageSOPInstanceUID")),
            ("SOPClassUID", meta.get("MediaStorageSOPClassUID")),
            ("StudyInstanceUID", said["StudyInstanceUID"] or generate_uid(entropy_srcs=["study", *seed])),
            ("SeriesInstanceUID", said["SeriesInstanceUID"] or generate_uid(entropy_srcs=["series", *seed])),
            ("FrameOfReferenceUID", said["FrameOfReferenceUID"] or generate_uid(entropy_srcs=["frame", *seed])),
        ):
            if not dataset.get(name):
                setattr(dataset, name, fallback)
        dataset.PatientID = said["PatientID"] or ""
        for name in (
            "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
        ):  # fmt: skip
            if name not in dataset:
                setattr(dataset, name, "")
    return datasets, order


def _numbered(labels: Labels) -> npt.NDArray[np.uint16]:
    """The map with segment numbers 1..n in place of class values: DICOM wants them without gaps."""
    if not len(labels.classes):
        raise InputError(f"label map '{labels.name}' has no classes, a DICOM-SEG needs at least one. Name them first.")
    highest = int(labels.data.max(initial=0))
    known = {c.value: n for n, c in enumerate(labels.classes, 1)}
    if highest > 65535:
        raise InputError(f"label map '{labels.name}' holds the value {highest}, DICOM-SEG takes values up to 65535.")
    table = np.zeros(highest + 1, dtype=np.uint16)
    for value, number in known.items():
        if value <= highest:
            table[value] = number
    present = np.flatnonzero(np.bincount(labels.data.ravel(), minlength=1))
    unknown = [int(v) for v in present if v > 0 and v not in known]
    if unknown:
        raise InputError(f"label map '{labels.name}' holds values without a class: {unknown[:10]}. Name them first.")
    return np.asarray(table[labels.data])


_ALGORITHM_TYPES = {"automatic": "AUTOMATIC", "corrected": "SEMIAUTOMATIC", "manual": "MANUAL"}


def _description(hd: Any, number: int, info: ClassInfo, labels: Labels) -> Any:
    coded = hd.sr.CodedConcept
    key = info.name.lower().replace(" ", "_")
    base = key.removesuffix("_left").removesuffix("_right")
    if base in _TYPES:
        category = coded("123037004", "SCT", "Anatomical Structure")
        kind = coded(_TYPES[base], "SCT", base.replace("_", " ").capitalize())
    else:
        category = kind = coded("85756007", "SCT", "Tissue")
    # What nobody recorded is neither: a person and a method may both have had a part in it.
    kind_of_work = _ALGORITHM_TYPES.get(labels.origin, "SEMIAUTOMATIC")
    by = None
    if kind_of_work != "MANUAL":  # the standard wants a name of all others
        by = hd.AlgorithmIdentificationSequence(
            name=(labels.algorithm or "not recorded")[:64],
            version=__version__,
            family=coded("123110", "DCM", "Artificial Intelligence"),
        )
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=info.name[:64] or f"class {info.value}",
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=kind_of_work,
        algorithm_identification=by,
        display_color=hd.color.CIELabColor(*cielab.from_rgb(info.color)),
    )
    # Segment numbers have no gaps, class values may: the value travels in words.
    description.SegmentDescription = f"{VALUE_PREFIX}{info.value}"
    return description
