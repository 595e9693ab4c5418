"""Which module reads which file: a table of strings, so that asking costs nothing and libraries load when needed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from workbench.data.geometry import orientation, require_finite, require_match, require_volume
from workbench.errors import InputError, NothingFound
from workbench.types import ClassTable, Geometry, Image, Labels

__all__ = ["SUFFIXES", "info", "is_readable", "read", "read_labels", "require_finite", "require_volume"]

SUFFIXES: dict[str, str] = {
    ".nii.gz": "workbench.data.nifti",
    ".seg.nrrd": "workbench.data.itk_formats",
    ".nrrd": "workbench.data.itk_formats",
    ".nhdr": "workbench.data.itk_formats",
    ".mha": "workbench.data.itk_formats",
    ".mhd": "workbench.data.itk_formats",
    ".nii": "workbench.data.nifti",
    ".dcm": "workbench.data.dicom",
    ".ima": "workbench.data.dicom",
}
"""Suffix -> module with ``read(path) -> Image``; the longest suffix that fits wins."""

_DICOM = "workbench.data.dicom"
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read(path: str | Path, *, series: str | int | None = None) -> Image:
    """Open a volume: header now, samples when ``data`` is asked for.

    Parameters
    ----------
    path
        NIfTI, NRRD, MHA/MHD file, DICOM file, or a folder with a DICOM series (subfolders included).
    series
        Which DICOM series of a folder: its number in the listing, its UID or the end of its UID.

    Raises
    ------
    NothingFound
        If the path does not exist.
    InputError, GeometryError
        If it cannot be read as a volume; one line says why and what to do.
    """
    path = Path(path).expanduser()
    module = _module(path)
    if module == _DICOM:
        return _load(module).read(path, series=series)  # type: ignore[no-any-return]
    if series is not None:
        raise InputError(
            f"{path}: 'series' chooses from a DICOM folder, and this is one {path.suffix} file. Leave it out."
        )
    return _load(module).read(path)  # type: ignore[no-any-return]


def info(path: str | Path) -> list[dict[str, Any]]:
    """What headers say: one JSON-able row per image (several for a DICOM folder with several series).

    Keys: ``path, format, kind, shape, channels, spacing, unit, orientation, dtype, value_unit, modality, affine,
    classes, n_series, header``; a DICOM series has ``series, series_uid, description, n_files``, and ``problem`` where
    it cannot be read as a volume.
    """
    path = Path(path).expanduser()
    module = _module(path)
    if module == _DICOM:
        return _load(module).info(path)  # type: ignore[no-any-return]
    return [describe(_load(module).read(path))]


def describe(image: Image) -> dict[str, Any]:
    """One row of `info`, from an image whose samples need not be loaded."""
    g = image.geometry
    return {
        "path": str(image.source),
        "format": image.format,
        "kind": image.kind,
        "shape": list(g.shape),
        "channels": list(image.channels),
        "spacing": None if g.spacing is None else list(g.spacing),
        "unit": g.unit,
        "orientation": orientation(g.affine),
        "dtype": str(image.dtype),
        "value_unit": image.value_unit,
        "modality": image.modality,
        "affine": None if g.affine is None else g.affine.tolist(),
        "classes": None if image.classes is None else image.classes.to_json(),
        "n_series": 1,
        "header": dict(image.header),
    }


def is_readable(path: str | Path) -> bool:
    """Whether `read` has a reader for this path, judged by its suffix, else by its first bytes."""
    path = Path(path).expanduser()
    try:
        _module(path)
    except (InputError, NothingFound, OSError):
        return False
    if path.is_dir():
        return bool(_load(_DICOM).has_dicom(path))
    return True


def read_labels(path: str | Path, *, reference: Geometry | None = None, series: str | int | None = None) -> Labels:
    """Read a label map: whole numbers, one channel, with the classes the file names (or ``class N`` for value N).

    Raises
    ------
    GeometryError
        If `reference` is given and the map lies on another grid.
    InputError
        If the samples are not whole numbers >= 0, or there are several channels.
    """
    image = read(path, series=series)
    if reference is not None:
        require_match(image.geometry, reference, f"label map {path}", None)
    if len(image.channels) != 1:
        raise InputError(f"{path}: a label map has one channel, found {len(image.channels)}. Merge them into one map.")
    data = whole_numbers(image.data[0], path)
    classes = image.classes
    if classes is None:
        classes = ClassTable.from_values([int(v) for v in np.unique(data) if v > 0])
    return Labels(data, image.geometry, classes, name=image.name)


def whole_numbers(data: np.ndarray[Any, Any], source: str | Path) -> np.ndarray[Any, Any]:
    """The same values in an integer type; label maps stored as float are common, fractions in them are an error."""
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if data.dtype.kind == "f":
        rounded = np.rint(data)
        if not np.array_equal(rounded, data):
            raise InputError(f"{source}: holds fractions or NaN, a label map holds whole numbers. Is this an image?")
        low, high = (float(rounded.min()), float(rounded.max())) if rounded.size else (0.0, 0.0)
        if low < 0 or high > 2**32 - 1:
            raise InputError(f"{source}: holds values from {low:g} to {high:g}, labels are 0 to 4294967295.")
        smallest: type[np.generic] = np.uint8 if high < 256 else np.uint16 if high < 65536 else np.uint32
        return np.asarray(rounded, dtype=smallest)
    if data.size and data.dtype.kind == "i" and int(data.min()) < 0:
        raise InputError(f"{source}: holds the negative value {int(data.min())}, labels are >= 0. Is this an image?")
    return data


def _load(module: str) -> ModuleType:
    return importlib.import_module(module)


def _module(path: Path) -> str:
    """Name of the module that reads `path`."""
    if not path.exists():
        raise NothingFound(f"{path}: no such file or folder. Check the path.")
    if path.is_dir():
        return _DICOM
    name = path.name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return SUFFIXES[suffix]
    if _has_dicom_magic(path):
        return _DICOM
    known = ", ".join(SUFFIXES)
    if name.endswith(_PICTURES):
        raise InputError(f"{path}: this is a 2-D picture, a volume was expected: {known}, or a folder of DICOM files.")
    if not path.suffix and _load(_DICOM).is_dicom(path):
        return _DICOM
    raise InputError(f"{path}: no reader for '{path.suffix or path.name}'. Can be read: {known}, or a DICOM folder.")


def _has_dicom_magic(path: Path) -> bool:
    try:
        with path.open("rb") as f:
            return f.read(132)[128:] == b"DICM"
    except OSError:
        return False
