"""Which module reads which file: a table of strings, so that asking costs nothing and libraries load when needed."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from workbench.core.errors import InputError, NothingFound
from workbench.core.types import ClassTable, Geometry, Image, Labels
from workbench.data.geometry import orientation, require_finite, require_match, require_volume
from workbench.data.label_values import whole_numbers

__all__ = ["SUFFIXES", "info", "is_readable", "read", "read_labels", "require_finite", "require_volume"]

SUFFIXES: dict[str, str] = {
    ".nii.gz": "workbench.volume.data.nifti",
    ".seg.nrrd": "workbench.volume.data.itk_formats",
    ".nrrd": "workbench.volume.data.itk_formats",
    ".nhdr": "workbench.volume.data.itk_formats",
    ".mha": "workbench.volume.data.itk_formats",
    ".mhd": "workbench.volume.data.itk_formats",
    ".nii": "workbench.volume.data.nifti",
    ".dcm": "workbench.volume.data.dicom",
    ".ima": "workbench.volume.data.dicom",
    ".hdr": "workbench.scene.data.envi",
    ".mat": "workbench.data.mat",
    ".npy": "workbench.data.npy",
    ".npz": "workbench.data.npy",
    ".tif": "workbench.scene.data.tiff",
    ".tiff": "workbench.scene.data.tiff",
    ".fif": "workbench.recording.data.read",
    ".fif.gz": "workbench.recording.data.read",
    ".edf": "workbench.recording.data.read",
    ".bdf": "workbench.recording.data.read",
    ".gdf": "workbench.recording.data.read",
    ".vhdr": "workbench.recording.data.read",
    ".con": "workbench.recording.data.read",
    ".sqd": "workbench.recording.data.read",
}
"""Suffix -> module with ``read(path) -> Image``; the longest suffix that fits wins."""

_DICOM = "workbench.volume.data.dicom"
_ENVI = "workbench.scene.data.envi"
_RECORDINGS = "workbench.recording.data.read"
_PARCELS = "workbench.recording.data.parcels"
_KEYED = ("workbench.data.mat", "workbench.data.npy")
_ADDRESS = re.compile(r"^(.+\.(?:mat|npz|npy)):([^/\\:]+)$", re.IGNORECASE)
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


def read(path: str | Path, *, series: str | int | None = None) -> Image:
    """Open a volume, a spectral cube or a recording: header now, samples when ``data`` is asked for.

    Parameters
    ----------
    path
        Volumes: NIfTI, NRRD, MHA/MHD file, DICOM file, or a folder with a DICOM series (subfolders included).
        Cubes: ENVI (header or samples), MATLAB and NumPy (``file.mat``, or ``file.mat:key`` for one array of several),
        TIFF and GeoTIFF.
        Recordings: FIF, EDF/BDF, BrainVision, KIT, a CTF ``.ds`` or BTi folder, the top of a BIDS data set; parcel time
        courses in NumPy and MATLAB files (``file.npy:250Hz`` gives the sampling rate).
    series
        Which DICOM series of a folder: its number in the listing, its UID or the end of its UID. Which evoked response
        of a FIF file, or which recording of a BIDS data set: number or name.

    Raises
    ------
    NothingFound
        If the path does not exist.
    InputError, GeometryError
        If it cannot be read as a volume; one line says why and what to do.
    """
    path, key = split_address(path)
    module = _module(path)
    if module in (_DICOM, _RECORDINGS):
        return _load(module).read(path, series=series)  # type: ignore[no-any-return]
    if series is not None and _is_parcels(module, path, key):
        key, series = str(series), None
    if series is not None:
        raise InputError(
            f"{path}: 'series' chooses from a DICOM folder, and this is one {path.suffix} file. Leave it out."
        )
    if _is_parcels(module, path, key):
        return _load(_PARCELS).read(path, key)  # type: ignore[no-any-return]
    if module in _KEYED:
        return _load(module).read(path, key)  # type: ignore[no-any-return]
    return _load(module).read(path)  # type: ignore[no-any-return]


def _is_parcels(module: str, path: Path, key: str | None) -> bool:
    return module in _KEYED and bool(_load(_PARCELS).is_recording(path, key))


def split_address(path: str | Path) -> tuple[Path, str | None]:
    """``scene.mat:cube`` as (``scene.mat``, ``"cube"``); other paths with ``None``."""
    match = _ADDRESS.match(str(path))
    if match is None or Path(str(path)).expanduser().exists():
        return Path(path).expanduser(), None
    return Path(match[1]).expanduser(), match[2]


def data_file(path: str | Path) -> Path:
    """The file or folder that holds the samples: of an ENVI header the file beside it, of ``file.mat:key`` the file."""
    file, _ = split_address(path)
    if file.suffix.lower() == ".hdr" and file.is_file() and _load(_ENVI).is_scene(file):
        return _load(_ENVI).pair(file)[1]  # type: ignore[no-any-return]
    return file


def input_files(path: str | Path) -> tuple[Path, ...]:
    """The files that decide what is read from a path: for an ENVI scene the samples and their header."""
    file = data_file(path)
    if _module(file) == _ENVI:
        header, samples = _load(_ENVI).pair(split_address(path)[0])
        return (samples, header)
    return (file,)


def is_companion(path: Path) -> bool:
    """Whether a file belongs to another one in the same folder: an ENVI header, a later part of a split FIF file."""
    if path.name.lower().endswith((".fif", ".fif.gz")):
        return bool(_load(_RECORDINGS).is_part(path))
    try:
        return path.suffix.lower() == ".hdr" and data_file(path) != path
    except InputError:
        return False


def info(path: str | Path) -> list[dict[str, Any]]:
    """What headers say: one JSON-able row per image (several for a DICOM folder with several series, a file of evoked
    responses, or a BIDS data set).

    Keys: ``path, format, kind, shape, channels, spacing, unit, orientation, dtype, value_unit, modality, affine,
    classes, n_series, header``; a DICOM series has ``series, series_uid, description, n_files``, and ``problem`` where
    it cannot be read as a volume.
    """
    file, _ = split_address(path)
    if (module := _module(file)) in (_DICOM, _RECORDINGS):
        return _load(module).info(file)  # type: ignore[no-any-return]
    return [describe(read(path))]


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
        "orientation": orientation(g.affine) if g.ndim == 3 else None,
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
    path, _ = split_address(path)
    try:
        module = _module(path)
    except (InputError, NothingFound, OSError):
        return False
    if module == _RECORDINGS:
        return not _load(module).is_other(path)
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
    image = _read_map(path) if series is None else read(path, series=series)
    if image.kind == "cube":
        from workbench.scene.data.labels import labels_of

        return labels_of(image, reference)
    if reference is not None:
        require_match(image.geometry, reference, f"label map {path}", None)
    if len(image.channels) != 1:
        raise InputError(f"{path}: a label map has one channel, found {len(image.channels)}. Merge them into one map.")
    data = whole_numbers(image.data[0], path)
    classes = image.classes
    if classes is None:
        classes = ClassTable.from_values([int(v) for v in np.unique(data) if v > 0])
    return Labels(data, image.geometry, classes, name=image.name)


def _read_map(path: str | Path) -> Image:
    """`read`, but files that could hold a cube or a map are taken as a map."""
    file, key = split_address(path)
    module = _module(file)
    if module in _KEYED:
        return _load(module).read(file, key, as_map=True)  # type: ignore[no-any-return]
    return read(path)


def _load(module: str) -> ModuleType:
    return importlib.import_module(module)


def _module(path: Path) -> str:
    """Name of the module that reads `path`."""
    if not path.exists():
        raise NothingFound(f"{path}: no such file or folder. Check the path.")
    if path.is_dir():
        return _RECORDINGS if _load(_RECORDINGS).is_folder_recording(path) else _DICOM
    name = path.name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            if suffix == ".hdr" and not _load(_ENVI).is_scene(path):
                break  # NIfTI pairs and Analyze have headers of this name too
            return SUFFIXES[suffix]
    if _has_dicom_magic(path):
        return _DICOM
    if _load(_ENVI).is_scene(path):
        return _ENVI
    if path.suffix.lower() in _load(_ENVI).SUFFIXES and path.suffix.lower() != ".hdr":
        _load(_ENVI).pair(path)  # says that the header is missing
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
