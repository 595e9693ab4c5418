"""How a slide is told from other data, and which files it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import InputError
from workbench.core.kinds import Verdict
from workbench.core.types import Image
from workbench.data import tiff_look
from workbench.data.formats import describe, read_as
from workbench.data.picture_heads import begins_as_one
from workbench.slide.data import open as opening
from workbench.slide.data import pictures, stacks, wsi
from workbench.slide.data.side_files import files_of, is_dicom_slide, named_in

__all__ = ["claims", "info", "input_files", "is_companion", "read", "sniff"]

_MAKERS = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide")
_ZARR_FILES = (".zattrs", "zarr.json")


def sniff(path: Path, key: str | None) -> Verdict:
    """Files of scanners are sure, by suffix or by what OpenSlide finds; pictures and TIFFs of 8-bit colours may be."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return "sure" if stacks.count_of(path) else "no"
    if path.is_dir():
        return "sure" if suffix == ".zarr" and any((path / n).is_file() for n in _ZARR_FILES) else "no"
    if suffix in _MAKERS:
        return "sure"
    if suffix in pictures.SUFFIXES:
        return "maybe" if begins_as_one(path) and not pictures.is_grey(path) else "no"
    if suffix in tiff_look.SUFFIXES:
        return _of_tiff(path)
    return "sure" if (suffix in (".dcm", "") and is_dicom_slide(path)) else "no"


def _of_tiff(path: Path) -> Verdict:
    """A TIFF of a scanner, or an OME-TIFF in colours, is sure; any other of 8-bit colours may be one."""
    if wsi.maker_of(path) not in ("", "generic-tiff"):
        return "sure"
    first = tiff_look.look(path)
    if first is None or (first.samples, first.bits) != (3, 8) or first.is_map:
        return "no"
    return "sure" if first.is_ome else "maybe"


def read(path: Path, *, series: str | int | None, key: str | None, as_map: bool) -> Image:
    """Open it; there is one slide in a file, but for NumPy files of many pictures."""
    if series is not None:
        raise InputError(f"{path}: 'series' chooses one image of several, and this is one slide. Leave it out.")
    return stacks.read(path, key) if stacks.count_of(path) else opening.read(path)


def info(path: Path) -> list[dict[str, Any]]:
    """What headers say; many pictures in one file are one row."""
    if (count := stacks.count_of(path)) > 1:
        row = describe(stacks.read(path, "0"))
        return [row | {"path": str(path), "n_series": count, "notes": [f"{count} pictures of this size"]}]
    return [describe(read_as(kinds.find("slide"), path))]


def input_files(path: Path) -> tuple[Path, ...]:
    """The file, and those that belong to it (a DICOM series, the folder of an MRXS, the parts of a VMS)."""
    return files_of(path)


def is_companion(path: Path) -> bool:
    """Whether a picture is a part of a Hamamatsu slide (VMS) beside it, an array what is told of pictures in one."""
    if stacks.belongs_to_pictures(path):
        return True
    if path.suffix.lower() not in (".jpg", ".jpeg", ".opt"):
        return False
    lists = list(path.parent.glob("*.vms"))[:16]
    return any(path in named_in(one) for one in lists)


def claims(path: Path, key: str | None) -> bool:
    """Whether napari should leave the file to us: slides of scanners and pyramids; plain pictures it shows itself."""
    if path.suffix.lower() in (*pictures.SUFFIXES, ".npy"):
        return False
    verdict = sniff(path, key)
    if verdict != "maybe":
        return verdict == "sure"
    try:
        image = opening.read(path)
    except InputError:
        return False
    return image.pyramid is not None and len(image.pyramid.levels) > 1
