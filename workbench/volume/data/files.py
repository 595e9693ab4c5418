"""How a volume is told from other data: by suffix, by the first bytes of DICOM files, as a folder of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import InputError
from workbench.core.kinds import Verdict
from workbench.core.types import Geometry, Image, Labels
from workbench.volume.data import dicom, lattice
from workbench.volume.data.loading import reading_bytes, require_held

__all__ = ["explain", "info", "onto_grid", "read", "reading_bytes", "require_held", "sniff"]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


def sniff(path: Path, key: str | None) -> Verdict:
    """A folder with DICOM files and a file that begins as one are sure; any other folder is searched for them."""
    if path.is_dir():
        return "sure" if dicom.has_dicom(path) else "maybe"
    if kinds.VOLUME.suffix_of(path) is not None:
        return "maybe"
    return "sure" if _has_dicom_magic(path) or (not path.suffix and dicom.is_dicom(path)) else "no"


def read(path: Path, *, series: str | int | None, key: str | None, as_map: bool) -> Image:
    """Open it with the module of its format."""
    if _is_dicom(path):
        return dicom.read(path, series=series)
    if series is not None:
        raise InputError(
            f"{path}: 'series' chooses from a DICOM folder, and this is one {path.suffix} file. Leave it out."
        )
    image: Image = kinds.VOLUME.reader_of(path).read(path)
    return image


def info(path: Path) -> list[dict[str, Any]]:
    """One row per DICOM series of a folder, one for any other file."""
    from workbench.data.formats import describe

    if _is_dicom(path):
        return dicom.info(path)
    return [describe(read(path, series=None, key=None, as_map=False))]


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
    if path.name.lower().endswith(_PICTURES):
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
