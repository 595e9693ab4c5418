"""How a volume is told from other data: by suffix, by the first bytes of DICOM files, as a folder of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.kinds import Verdict
from workbench.core.types import Geometry, Image, Labels
from workbench.data.picture_heads import ACCEPTED, SUFFIXES, begins_as_one, begins_like
from workbench.volume.data import dicom, dicom_seg, lattice, nibabel_formats, rtstruct
from workbench.volume.data.loading import reading_bytes, require_held

__all__ = [
    "explain", "holds_contours", "info", "is_companion", "labels_from", "on_image", "onto_grid", "read",
    "reading_bytes", "require_held", "sniff",
]  # fmt: skip


def sniff(path: Path, key: str | None) -> Verdict:
    """A folder with DICOM files and a file that begins as one are sure; any other folder is searched for them."""
    if path.is_dir():
        return "sure" if dicom.has_dicom(path) else "maybe"
    if path.suffix.lower() in nibabel_formats.PAIR:
        return "maybe" if nibabel_formats.is_pair(path) else "no"
    if kinds.VOLUME.suffix_of(path) is not None:
        return "maybe"
    if not (_has_dicom_magic(path) or (not path.suffix and dicom.is_dicom(path))):
        return "no"
    return "sure" if dicom.may_be_picture(path) else "maybe"


def read(path: Path, *, series: str | int | None, key: str | None, as_map: bool, regularise: bool = False) -> Image:
    """Open it with the module of its format; only DICOM has slices whose steps may be uneven."""
    if path.suffix.lower() not in nibabel_formats.PAIR and _is_dicom(path):
        return dicom.read(path, series=series, regularise=regularise)
    if series is not None:
        raise InputError(
            f"{path}: 'series' chooses from a DICOM folder, and this is one {path.suffix} file. Leave it out."
        )
    if path.suffix.lower() in nibabel_formats.PAIR:
        return nibabel_formats.read(path)
    image: Image = kinds.VOLUME.reader_of(path).read(path)
    return image


def info(path: Path) -> list[dict[str, Any]]:
    """One row per DICOM series of a folder, one for any other file."""
    from workbench.data.formats import describe

    if path.suffix.lower() not in nibabel_formats.PAIR and _is_dicom(path):
        return dicom.info(path)
    return [describe(read(path, series=None, key=None, as_map=False))]


def is_companion(path: Path) -> bool:
    """Whether a file holds the voxels of a header beside it (``.img``, ``.BRIK``, ``.REC``)."""
    return nibabel_formats.is_companion(path)


def holds_contours(path: Path) -> bool:
    """Whether a file is an RTSTRUCT."""
    return rtstruct.is_contours(path)


def labels_from(path: Path, reference: Geometry | None, resample: bool) -> Labels | None:
    """Contours (RTSTRUCT), filled on the grid of their image; frames of a DICOM-SEG, put on the slices of it."""
    if rtstruct.is_contours(path):
        return rtstruct.read(path, reference, lenient=resample)
    if reference is None or not dicom_seg.is_segmentation(path):
        return None
    image = dicom_seg.read(path, reference)
    classes = image.classes or ClassTable(())
    same = image.geometry.matches(reference)
    if not same and lattice.steps_between(image.geometry, reference) is None:
        return None  # refused or resampled as any other map
    plain = Labels(image.data[0], image.geometry, classes, name=image.name, notes=image.notes)
    try:
        return plain if same else lattice.onto(plain, reference, lose=resample, whole=True)
    except GeometryError as error:
        raise GeometryError(f"label map {path}: {error}") from error


def on_image(labels: Image, expected: Geometry) -> Geometry:
    """The grid of a label map, where that of its image decides it: a DICOM-SEG has no frames for empty slices."""
    if labels.format != "dicom-seg" or labels.source is None or not labels.source.is_file():
        return labels.geometry
    return dicom_seg.read(labels.source, expected).geometry


def onto_grid(found: Geometry, expected: Geometry, resample: bool) -> Callable[[Labels], Labels] | None:
    """Value for value where both are of one lattice; to the nearest voxel where asked; else not at all."""
    if found.matches(expected):
        return None
    if lattice.steps_between(found, expected) is not None:
        return lambda labels: lattice.onto(labels, expected, lose=resample) or labels
    if resample and found.affine is not None and expected.affine is not None:
        return lambda labels: lattice.resampled(labels, expected)
    return None


def explain(path: Path) -> None:
    """Pictures are what people most often give by mistake."""
    if path.is_file() and not path.suffix and begins_as_one(path):
        raise InputError(f"{path}: begins like a picture, and its name does not say so. Name it .png, .jpg or .tif.")
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        return
    if not begins_as_one(path):
        raise InputError(f"{path}: is no picture that can be read ({begins_like(path)}). {ACCEPTED}")
    known = ", ".join(s for row in kinds.kinds().values() for s in row.readers)
    raise InputError(f"{path}: this is a 2-D picture, a volume was expected: {known}, or a folder of DICOM files.")


def _is_dicom(path: Path) -> bool:
    suffix = kinds.VOLUME.suffix_of(path)
    return path.is_dir() or suffix is None or kinds.VOLUME.readers[suffix].endswith(".dicom")


def _has_dicom_magic(path: Path) -> bool:
    try:
        with path.open("rb") as f:
            return f.read(132)[128:] == b"DICM"
    except OSError:
        return False
