"""FreeSurfer (``.mgz``, ``.mgh``), MINC (``.mnc``), AFNI (``.HEAD`` with ``.BRIK``), Philips (``.PAR`` with ``.REC``),
NIfTI pairs and Analyze (``.hdr`` with ``.img``), through NiBabel: header first, voxels when asked for.

Axes stay in the order that NiBabel gives; world is RAS+ mm, as NiBabel computes it.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, InputError, reading
from workbench.core.types import Geometry, Image
from workbench.data.companion import require_regular
from workbench.data.geometry import check_packed, check_size, checked_affine
from workbench.volume.data import nifti, nifti_header
from workbench.volume.data.stored import Stored, surplus

SUFFIXES = (".mgz", ".mgh", ".mnc", ".head", ".brik", ".brik.gz", ".par", ".rec")
FORMATS = ("mgh", "minc", "afni", "parrec", "nifti-pair", "analyze")
PAIR = (".hdr", ".img")

_ADVICE = "Copy or export it again, with all its files."
_LEFT_RIGHT = "an Analyze header does not say where left is: the first axis was taken to run to the left (NiBabel)"


@dataclass(frozen=True)
class _Files:
    """The header of a volume, and the file of its voxels (the same for formats of one file)."""

    format: str
    header: Path
    voxels: Path
    place: Path | None = None
    """What SPM says of the position of an Analyze file, where it is there."""

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(f for f in (self.header, self.voxels, self.place) if f is not None))


def is_pair(path: Path) -> bool:
    """Whether a ``.hdr`` or ``.img`` file is a NIfTI pair or Analyze: others have headers of this name, too."""
    if path.suffix.lower() not in PAIR:
        return False
    header = _beside(path, ".hdr")
    if header is None:
        return False
    try:
        with header.open("rb") as f:
            size = f.read(4)
    except OSError:
        return False
    return any(int.from_bytes(size, order) in (348, 540) for order in ("little", "big"))


def is_companion(path: Path) -> bool:
    """Whether a file holds the voxels of a header beside it, and is no case of its own."""
    name = path.name.lower()
    if name.endswith((".brik", ".brik.gz")):
        return _beside(path, ".head") is not None
    if name.endswith(".rec"):
        return _beside(path, ".par") is not None
    return name.endswith(".img") and is_pair(path)


def read(path: Path) -> Image:
    """Open a volume by either of its files: header only, voxels when ``data`` is asked for.

    4-D volumes have a channel per volume. Scaled integers come as float32 (float64 from 32-bit integers on).

    Raises
    ------
    InputError
        A file is missing, damaged or cut off, or holds what is no volume of real numbers.
    GeometryError
        If the affine is singular or not finite.
    """
    files = _files(path)
    for file in files.all:
        require_regular(file)
    with _opened(files) as proxy:
        shape = tuple(int(n) for n in proxy.shape)
        if not 2 <= len(shape) <= 4:
            raise InputError(f"{path}: {len(shape)} dimensions {shape}, 2 to 4 were expected. Split the file.")
        # MINC keeps time first, all others last.
        time = (0 if files.format == "minc" else 3) if len(shape) == 4 else None
        spatial = shape if time is None else shape[:time] + shape[time + 1 :]
        spatial = (*spatial, *(1,) * (3 - len(spatial)))
        channels = tuple(str(n) for n in range(1 if time is None else shape[time]))
        stored = proxy.header.get_data_dtype()
        dtype = _dtype(proxy, stored, files)
        check_size(spatial, len(channels), dtype, path)
        if files.voxels.name.lower().endswith((".mgz", ".gz")):
            check_packed(int(np.prod(shape, dtype=object)) * stored.itemsize, files.voxels)
        affine, notes = _affine(proxy, files)
        notes += _surplus(files, proxy, shape, stored)
        if "mat" not in proxy.file_map:
            files = replace(files, place=None)
    return Image(
        geometry=Geometry(spatial, affine),
        dtype=dtype,
        channels=channels,
        loader=partial(_load, files, time, spatial, dtype),
        source=path,
        format=files.format,
        header={"stored_dtype": str(stored), "ndim": len(shape)},
        files=files.all,
        notes=tuple(notes),
    )


def _files(path: Path) -> _Files:
    name = path.name.lower()
    if name.endswith((".mgz", ".mgh")):
        return _Files("mgh", path, path)
    if name.endswith(".mnc"):
        return _Files("minc", path, path)
    if name.endswith((".head", ".brik", ".brik.gz")):
        return _Files("afni", _needed(path, ".head"), _needed(path, ".brik", ".brik.gz"))
    if name.endswith((".par", ".rec")):
        return _Files("parrec", _needed(path, ".par"), _needed(path, ".rec"))
    header = _needed(path, ".hdr")
    place = header.with_suffix(".MAT" if header.suffix.isupper() else ".mat")  # as NiBabel looks for it
    # FSL has a folder of this name, and NiBabel passes over an empty file.
    unused = place.is_dir() or (place.is_file() and place.stat().st_size == 0) or not place.exists()
    return _Files("nifti-pair", header, _needed(path, ".img"), None if unused else place)


def _needed(path: Path, *suffixes: str) -> Path:
    found = next((f for s in suffixes if (f := _beside(path, s)) is not None), None)
    if found is None:
        stem = path.name[: -len(_suffix(path))]
        raise InputError(
            f"{path}: half of a volume: {stem}{suffixes[0]} was expected beside it (in small or capital letters). Copy"
            " both."
        )
    return found


def _beside(path: Path, suffix: str) -> Path | None:
    """The file of that suffix, in any case of letters; the path itself where it ends so."""
    if path.name.lower().endswith(suffix):
        return path
    stem = path.name[: -len(_suffix(path))]
    for spelled in (suffix, suffix.upper(), suffix.upper().replace(".GZ", ".gz")):
        if (file := path.with_name(stem + spelled)).is_file():
            return file
    return None


def _suffix(path: Path) -> str:
    return next((s for s in (".brik.gz", *SUFFIXES, *PAIR) if path.name.lower().endswith(s)), path.suffix)


@contextmanager
def _reading(files: _Files, what: str) -> Iterator[None]:
    """Around calls of NiBabel: what it raises on damaged files is one line, what it warns of is for programmers."""
    nib: Any = importlib.import_module("nibabel")
    kinds = (
        *PARSING,
        nib.filebasedimages.ImageFileError,
        nib.spatialimages.HeaderDataError,
        nib.spatialimages.HeaderTypeError,
        nib.spatialimages.ImageDataError,
        nib.wrapstruct.WrapStructError,
    )
    with warnings.catch_warnings(), reading(files.header, what, _ADVICE, kinds=kinds):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(files: _Files) -> Iterator[Any]:
    """NiBabel's image; it leaves the file of PAR/REC open until somebody closes it."""
    proxy = _open(files)
    try:
        yield proxy
    finally:
        if files.format == "parrec":
            proxy.dataobj.file_like.close()


def _open(files: _Files) -> Any:
    nib: Any = importlib.import_module("nibabel")
    names = {"mgh": "FreeSurfer", "minc": "MINC", "afni": "AFNI", "parrec": "PAR/REC", "nifti-pair": "NIfTI or Analyze"}
    with _reading(files, f"not a readable {names[files.format]} volume"):
        if files.format == "parrec":
            return nib.parrec.load(str(files.header), strict_sort=True)
        return nib.load(str(files.header))


def _is_nifti(proxy: Any) -> bool:
    nib: Any = importlib.import_module("nibabel")
    return isinstance(proxy, nib.Nifti1Pair)


def _affine(proxy: Any, files: _Files) -> tuple[npt.NDArray[np.float64], list[str]]:
    pixdim = nifti_header.pixdim_of_pair(files.header) if files.format == "nifti-pair" else ()
    if pixdim and _is_nifti(proxy):
        return nifti.affine_of(proxy, files.header, pixdim)
    found = checked_affine(proxy.affine, files.header, "the position of its voxels")
    if files.format == "nifti-pair" and files.place is not None:
        return found, [f"the position of its voxels is that of {files.place.name} (SPM)", _LEFT_RIGHT]
    if files.format == "nifti-pair":
        note = nifti_header.check_pixdim(files.header, pixdim)
        return found, [*([note] if note else []), _LEFT_RIGHT]
    if files.format == "mgh" and not int(proxy.header["goodRASFlag"]):
        return found, ["goodRASFlag is 0: coronal slices of the stated size, centred, were taken (FreeSurfer)"]
    return found, []


def _surplus(files: _Files, proxy: Any, shape: tuple[int, ...], stored: np.dtype[Any]) -> list[str]:
    """Bytes after uncompressed voxels that are nothing but voxels; a further slice is refused."""
    if files.format not in ("nifti-pair", "afni") or files.voxels.suffix.lower() == ".gz":
        return []
    piece, start = math.prod(shape[:2]) * stored.itemsize, int(proxy.dataobj.offset)
    note = surplus(Stored((files.voxels,), start), math.prod(shape) * stored.itemsize, piece)
    return [note] if note else []


def _dtype(proxy: Any, stored: np.dtype[Any], files: _Files) -> np.dtype[Any]:
    """Type of the samples after scaling, from the first of them."""
    if stored.names or stored.kind not in "iufb":
        raise InputError(f"{files.header}: voxels of type {stored}, real numbers were expected. Convert it first.")
    with _reading(files, "the voxels cannot be read"):
        first = np.asanyarray(proxy.dataobj[(slice(0, 1),) * len(proxy.shape)])
    if first.dtype.kind != "f" or stored.kind == "f":
        return np.dtype(first.dtype.newbyteorder("=")) if stored.kind != "f" else np.dtype(stored.newbyteorder("="))
    return np.dtype(np.float32 if stored.itemsize <= 2 else np.float64)


def _load(files: _Files, time: int | None, spatial: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    with _opened(files) as proxy, _reading(files, "the voxels cannot be read"):
        array = np.asarray(proxy.dataobj, dtype=dtype)
    if time is None:
        return array.reshape(1, *spatial)
    return np.moveaxis(array, time, 0)
