"""The files that make one slide: of DICOM all of its series, of MRXS and VMS those that lie beside."""

from __future__ import annotations

import configparser
import warnings
from pathlib import Path

from workbench.data.dicom_class import SLIDE, sop_class

_SERIES = 0x0020000E


def is_dicom_slide(path: Path) -> bool:
    """Whether a DICOM file is a part of a whole slide, by the class in its first bytes; nothing else is read."""
    return sop_class(path) == SLIDE


def series_of(path: Path) -> str:
    """SeriesInstanceUID of a DICOM file, "" where it says none."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers longer than allowed: which they are is not asked here
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[_SERIES])
    except (InvalidDicomError, OSError, ValueError, EOFError, AttributeError, KeyError, NotImplementedError):
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(header.get("SeriesInstanceUID", "") or "")


def series_files(path: Path) -> tuple[Path, ...]:
    """All files of the slide that a DICOM file is a part of, in its folder, by name."""
    uid = series_of(path)
    if not uid:
        return (path,)
    beside = sorted(p for p in path.parent.iterdir() if p.is_file() and is_dicom_slide(p))
    found = tuple(p for p in beside if series_of(p) == uid)
    return found or (path,)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that decide what a slide is, that which was named or comes first at the beginning."""
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder = path.with_suffix("")
        inside = sorted(p for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
        return (path, *inside)
    if suffix in (".vms", ".vmu"):
        return (path, *named_in(path))
    if suffix == ".dcm" or is_dicom_slide(path):
        return series_files(path)
    return (path,)


def named_in(path: Path) -> tuple[Path, ...]:
    """Files that the list of a Hamamatsu slide (VMS, VMU) names and that lie beside it; never another folder's."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8", errors="replace")[: 1 << 20])
    except (OSError, configparser.Error):
        return ()
    names = {value.strip() for section in parser.sections() for _, value in parser.items(section)}
    plain = sorted(n for n in names if n and "/" not in n and "\\" not in n and n not in (".", ".."))
    return tuple(p for p in (path.with_name(n) for n in plain if len(n) < 200) if p.is_file())
