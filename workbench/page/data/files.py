"""How a page is told from other data: pictures and PDF files of paper, and files of digital electrocardiograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.core.kinds import Verdict
from workbench.core.types import Image
from workbench.data import tiff_look
from workbench.data.formats import describe
from workbench.data.picture_heads import begins_as_one
from workbench.page.data import pdf_pages, pdf_trial, pictures, signal_files

__all__ = [
    "claims",
    "info",
    "input_files",
    "is_companion",
    "read",
    "reading_bytes",
    "reads_if_asked",
    "series_in",
    "sniff",
]

_PDF = ".pdf"


def sniff(path: Path, key: str | None) -> Verdict:
    """PDF files and digital electrocardiograms are sure; a picture may be one, only its grid will tell."""
    if path.is_dir() or key is not None:
        return "no"
    suffix = path.suffix.lower()
    if suffix == _PDF:
        return "sure"
    if suffix in tiff_look.SUFFIXES:
        return "maybe" if _is_colour_scan(path) else "no"
    if suffix in pictures.SUFFIXES:
        return "maybe" if begins_as_one(path) else "no"
    return signal_files.sniff(path)


def reads_if_asked(path: Path) -> bool:
    """Whether a TIFF that may be anything (grey, of 16 bits) can be read as a page where somebody says it is one."""
    return _plain_tiff(path) is not None and pictures.can_open(path)


def _is_colour_scan(path: Path) -> bool:
    """Whether a TIFF holds one picture in 8-bit colours or colours of a palette, or a fax."""
    first = _plain_tiff(path)
    return first is not None and (first.is_palette or (first.samples, first.bits) in ((3, 8), (4, 8), (1, 1)))


def _plain_tiff(path: Path) -> tiff_look.TiffLook | None:
    """The first page of a TIFF that is no map and no slide of several levels."""
    first = tiff_look.look(path) if path.suffix.lower() in tiff_look.SUFFIXES else None
    return None if first is None or first.is_map or first.is_ome else first


def read(path: Path, *, series: str | int | None, key: str | None, as_map: bool) -> Image:
    """Open it; `series` is the page of a PDF or TIFF file."""
    suffix = path.suffix.lower()
    if suffix == _PDF:
        return pdf_pages.read(path, series)
    if suffix in tiff_look.SUFFIXES:
        return pictures.read(path, series)
    if series is not None:
        raise InputError(f"{path}: 'series' chooses a page of a PDF or TIFF file, and this is none. Leave it out.")
    return pictures.read(path) if suffix in pictures.SUFFIXES else signal_files.read(path, key)


def _count(path: Path) -> int:
    """How many pages a file has."""
    suffix = path.suffix.lower()
    if suffix == _PDF:
        return pdf_pages.count(path)
    return pictures.count(path) if suffix in tiff_look.SUFFIXES else 1


def series_in(path: Path) -> tuple[str, ...]:
    """Numbers of the pages of a file that has several."""
    pages = _count(path)
    return tuple(str(n) for n in range(1, pages + 1)) if pages > 1 else ()


def info(path: Path) -> list[dict[str, Any]]:
    """What headers say; of a PDF or TIFF file with several pages a row for each, of the first hundred."""
    pages = _count(path)
    if pages == 1 and path.suffix.lower() != _PDF:
        return [describe(read(path, series=None, key=None, as_map=False))]
    if pages == 0:
        raise InputError(f"{path}: has no pages.")
    rows = []
    pdf_trial.require_bounded(path, *range(1, min(pages, 100) + 1))  # in one go
    for number in range(1, min(pages, 100) + 1):
        row = describe(read(path, series=number, key=None, as_map=False))
        rows.append(row | {"series": str(number), "n_series": pages})
    return rows


def input_files(path: Path) -> tuple[Path, ...]:
    """The file, and those that its samples are in."""
    if path.suffix.lower() in (*pictures.SUFFIXES, _PDF):
        return (path,)
    return signal_files.read(path).all_files


def is_companion(path: Path) -> bool:
    """Whether a file belongs to a record beside it: samples and marks of a WFDB header, the unit of a table."""
    return signal_files.is_companion(path)


def reading_bytes(image: Image) -> int:
    """Memory that reading takes besides what is read, in bytes."""
    if image.geometry.axes == pictures.AXES:
        rows, columns = image.geometry.shape
        return 7 * rows * columns  # as the file has it (RGBA at most), and turned
    return signal_files.reading_bytes(image)


def claims(path: Path, key: str | None) -> bool:
    """Whether napari should leave the file to us: plain pictures it shows itself."""
    return path.suffix.lower() not in pictures.SUFFIXES
