"""Label maps, maps and volumes to NIfTI, NRRD, MHA and DICOM-SEG files, on the source's own grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import replacing
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, UsageError
from workbench.core.types import Geometry, Heatmap, Image, Labels, Scores
from workbench.data.geometry import describe, is_sheared
from workbench.data.label_values import smallest_unsigned
from workbench.data.parts import Job, json_job, table_of, text_saver
from workbench.volume import statistics

_SUFFIX = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha", "dicom-seg": ".dcm", "rtstruct": ".dcm"}


_ON_SERIES = ("dicom-seg", "rtstruct")
"""Formats that refer to the slices of a DICOM series."""


def family(format: str, source: Image | None) -> str:
    """The format asked for; for ``auto`` the family of the source (DICOM and unknown ones: NIfTI)."""
    if format != "auto" and format not in _SUFFIX:
        raise UsageError(f"format {format} holds no volumes, and this is one: choose {', '.join(_SUFFIX)}.")
    if format != "auto":
        return format
    return source.format if source is not None and source.format in ("nifti", "nrrd", "mha") else "nifti"


def jobs(part: Any, target: Path, family: str, source: Image | None) -> list[Job] | None:
    """Files to write for a volume, a label map or a map; ``None`` for other parts.

    Parameters
    ----------
    target
        Folder and name, without suffix.
    source
        The volume whose native header keeps the geometry bit for bit.
    """
    if isinstance(part, Labels):
        return [_labels_job(part, target, family, source)]
    if isinstance(part, Heatmap):
        return [_heatmap_job(part, target, "nifti" if family in _ON_SERIES else family, source)]
    if isinstance(part, Scores) and part.name == "statistics":
        values = statistics.as_json(part)
        return [(target.with_name(f"{target.name}.csv"), text_saver(table_of(part))), json_job(values, target)]
    if isinstance(part, Image):
        if family in _ON_SERIES:
            raise UsageError(f"format {family} holds label maps only, and this is an image: choose nifti, nrrd or mha.")
        return [_image_job(part, target, family)]
    return None


def notes(part: Any, family: str) -> list[str]:
    """What others cannot do with the file that is written for a part, a line each."""
    if family != "nifti" or not isinstance(part, Labels | Heatmap | Image) or not is_sheared(part.geometry):
        return []
    return [
        "the axes of this volume are not at right angles (a tilted gantry, a sheared affine): programs built on ITK (3D"
        " Slicer, ITK-SNAP, SimpleITK) refuse such a NIfTI file; write NRRD for them: --format nrrd (in Python"
        " format='nrrd')"
    ]


def write_file(
    target: Path,
    data: npt.NDArray[Any],
    geometry: Geometry,
    *,
    source: Image | None = None,
    classes: ClassTable | None = None,
) -> Path:
    """Write a volume or a label map into exactly this file, atomically.

    Parameters
    ----------
    target
        ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``.
    data
        ``(i, j, k)`` or ``(C, i, j, k)``; label maps (those with `classes`) are stored in the smallest unsigned type.
    source
        The image it belongs to, whose native header keeps the geometry bit for bit.
    classes
        Of a label map.

    Raises
    ------
    UsageError
        The suffix says no format.
    """
    name = target.name.lower()
    if not name.endswith((".nii", ".nii.gz", ".nrrd", ".mha")):
        raise UsageError(f"{target}: the suffix says no format we write; use .nii.gz, .nii, .nrrd or .mha")
    if classes is not None:
        data = smallest_unsigned(data, target.name)
    family = "nifti" if name.endswith((".nii", ".nii.gz")) else "itk"
    native = None
    if source is not None and (source.format == "nifti") == (family == "nifti") and source.format != "dicom":
        native = source.native
    with replacing(target) as part:
        if family == "nifti":
            from workbench.volume.data import nifti

            scanner = source is not None and source.format == "dicom"
            nifti.write(part, data, geometry, native=native, classes=classes, scanner=scanner)
        else:
            from workbench.volume.data import itk_formats

            itk_formats.write(part, data, geometry, native=native, classes=classes)
    return target


def _labels_job(labels: Labels, target: Path, family: str, source: Image | None) -> Job:
    data = smallest_unsigned(labels.data, labels.name)
    if data.shape != labels.geometry.shape:
        raise GeometryError(
            f"label map '{labels.name}' has shape {data.shape}, its geometry says {labels.geometry.shape}."
            " Nothing was written."
        )
    if family in _ON_SERIES:
        from workbench.volume.data import dicom_seg_write, rtstruct_write

        if source is None or source.format != "dicom":
            raise UsageError(f"format {family} needs the DICOM series the labels were made from; choose nifti instead.")
        series, writer = source, dicom_seg_write if family == "dicom-seg" else rtstruct_write
        return target.with_name(f"{target.name}.dcm"), lambda path: writer.write(path, labels, series)
    suffix = ".seg.nrrd" if family == "nrrd" else _SUFFIX[family]
    return target.with_name(target.name + suffix), _volume_saver(family, data, labels.geometry, source, labels.classes)


def _heatmap_job(part: Heatmap, target: Path, family: str, source: Image | None) -> Job:
    if part.data.shape != part.geometry.shape:
        raise GeometryError(
            f"map '{part.name}' has shape {part.data.shape}, its geometry says {part.geometry.shape}. Nothing written."
        )
    data = np.asarray(part.data, dtype=np.float32)
    return target.with_name(target.name + _SUFFIX[family]), _volume_saver(family, data, part.geometry, source, None)


def _image_job(image: Image, target: Path, family: str) -> Job:
    if len(image.geometry.shape) != 3:
        raise UsageError(f"{image.name}: only volumes can be written so far, this is {describe(image.geometry)}.")
    if image.classes is not None and len(image.channels) == 1:
        return _labels_job(Labels(image.data[0], image.geometry, image.classes, image.name), target, family, image)
    data = image.data
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    if data.dtype == bool:
        data = data.astype(np.uint8)
    return target.with_name(target.name + _SUFFIX[family]), _volume_saver(family, data, image.geometry, image, None)


def _volume_saver(
    family: str, data: npt.NDArray[Any], geometry: Geometry, source: Image | None, classes: ClassTable | None
) -> Callable[[Path], None]:
    native = source.native if source is not None and source.format == family else None
    if geometry.affine is None and native is None:
        raise GeometryError("a volume without spacing and position cannot be written: nothing says where it belongs.")
    # Before a format library is loaded, so that a refusal costs nothing.
    if family == "nifti":
        scanner = source is not None and source.format == "dicom"

        def save(path: Path) -> None:
            from workbench.volume.data import nifti

            nifti.write(path, data, geometry, native=native, classes=classes, scanner=scanner)
    else:

        def save(path: Path) -> None:
            from workbench.volume.data import itk_formats

            itk_formats.write(path, data, geometry, native=native, classes=classes)

    return save
