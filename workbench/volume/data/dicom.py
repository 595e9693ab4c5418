"""DICOM series through pydicom: a folder is scanned by headers, sorted along the slice normal, decoded when asked for.

A series is a list of planes. Each plane is one file, or one frame of an enhanced multi-frame file; from there on both
take the same way. World is RAS+ mm: DICOM's own LPS with x and y negated, exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, NothingFound, one_line
from workbench.core.types import Geometry, Image
from workbench.data.geometry import check_size
from workbench.volume.data.dicom_alike import check_photometric, require_one_series
from workbench.volume.data.dicom_complete import missing, several
from workbench.volume.data.dicom_fields import many
from workbench.volume.data.dicom_header import SUFFIXES, Header, read_header, starts_as_dicom
from workbench.volume.data.dicom_pixels import load, sample_type
from workbench.volume.data.dicom_planes import check_alike, check_pixels, planes
from workbench.volume.data.dicom_stack import Stack, stack_planes

_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # binary/fractional, label map
_SHOWN = (
    "Manufacturer", "ManufacturerModelName", "SeriesNumber", "SeriesDescription", "SliceThickness", "KVP",
    "ConvolutionKernel", "GantryDetectorTilt", "PatientPosition",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Series:
    """One series of a folder: its headers by file, in the order found.

    Attributes
    ----------
    beside
        Headers of the same series that stand on their own (its localizers).
    left_out
        Files that hold no picture that anybody knows, and may have been slices.
    """

    uid: str
    headers: dict[Path, Header]
    localizer: bool = False
    beside: tuple[Header, ...] = ()
    left_out: tuple[Path, ...] = ()

    @property
    def first(self) -> Header:
        return next(iter(self.headers.values()))

    @property
    def is_segmentation(self) -> bool:
        return self.first.sop_class in _SEGMENTATION

    @property
    def n_images(self) -> int:
        return sum(h.count("NumberOfFrames", 1) for h in self.headers.values())

    @property
    def title(self) -> str:
        """For the listing: ``CT Body 3.0 (CT, 20 images, 512 x 512, UID ...12345)``; nothing in it is checked."""
        name, number, kind, columns, rows = (
            self.first.shown(n) for n in ("SeriesDescription", "SeriesNumber", "Modality", "Columns", "Rows")
        )
        try:
            images = str(self.n_images)
        except InputError:
            images = "?"
        what = "localizer" if self.localizer else kind or "image"
        return one_line(
            f"{name or f'series {number or chr(63)}'} ({what}, {images} images, {columns} x {rows}, UID"
            f" {self.uid or 'empty'})"
        )


@dataclass(frozen=True, eq=False)
class Native:
    """What a writer of DICOM-SEG needs of the source: the planes in the order of the k axis."""

    series_uid: str
    stack: Stack
    files: tuple[Path, ...] = field(default=())


def read(path: Path, *, series: str | int | None = None) -> Image:
    """Open a folder with one DICOM series (or choose one by `series`), a multi-frame file, or a DICOM-SEG.

    Returns
    -------
    Image
        ``data`` is ``(C, columns, rows, slices)``: i along picture rows, k along the slice normal, ascending.
        Integers stay integer where slope and intercept are whole numbers.

    Raises
    ------
    InputError
        If several series are there and none is chosen (the message lists them), or slices do not fit together.
    GeometryError
        If positions are missing, doubled, uneven, or their orientation differs.
    """
    found = list_series(path)
    return _open(path, _choose(path, found, series))


def _open(path: Path, series: Series) -> Image:
    if series.is_segmentation:
        from workbench.volume.data import dicom_seg

        return dicom_seg.read(next(iter(series.headers)))
    return _image(path, series)


def info(path: Path) -> list[dict[str, Any]]:
    """One row per series of a folder, in the order by which `series` numbers them."""
    from workbench.core.errors import WorkbenchError
    from workbench.data.formats import describe

    found = list_series(path)
    rows = []
    for number, one in enumerate(found, 1):
        row: dict[str, Any]
        try:
            row = describe(_open(path, one))
        except WorkbenchError as error:
            row = {
                "path": str(path),
                "format": "dicom",
                "modality": one.first.shown("Modality"),
                "problem": str(error),
            }
        row |= {
            "series": number,
            "series_uid": one.uid,
            "description": one.first.shown("SeriesDescription") or "",
            "localizer": one.localizer,
            "n_files": len(one.headers),
            "n_series": len(found),
        }
        rows.append(row)
    return rows


def is_dicom(path: Path) -> bool:
    """Whether the file is a DICOM image, with or without the 128-byte preamble."""
    return starts_as_dicom(path) or read_header(path) is not None


def has_dicom(folder: Path, tries: int = 50) -> bool:
    """Whether a folder is one DICOM study: files of it in the folder itself, or a DICOMDIR, or all in one subfolder.

    A folder of several patients' folders is not one study; `list_series` still finds what is in them.
    """
    entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    if any(e.name.upper() == "DICOMDIR" for e in entries):
        return True
    files = [e for e in entries if e.is_file()]
    if not files:
        return len(entries) == 1 and has_dicom(entries[0])
    return any(is_dicom(f) for f in files[:tries])


def list_series(path: Path) -> list[Series]:
    """All series of a folder or file that hold pictures, by series number; localizers stand on their own."""
    groups: dict[tuple[str, bool], dict[Path, Header]] = {}
    left_out, objects = [], []
    for file in _files(path):
        header = read_header(file)
        if header is None and file.suffix.lower() in SUFFIXES:
            raise InputError(
                f"{file}: not a readable DICOM file. A slice would be missing: copy it again or remove it."
            )
        if header is None:
            left_out.append(file)
        elif header.is_picture:
            groups.setdefault((_series_key(header), _is_localizer(header)), {})[file] = header
        elif not header.is_known:
            objects.append(file)
    if not groups:
        raise NothingFound(
            f"{path}: no DICOM images found. Give a folder of DICOM files, or a NIfTI, NRRD or MHA file."
        )
    # Without a suffix it may have been a slice; what has one is something else.
    objects += [f for f in left_out if not re.fullmatch(r"\.\w*[A-Za-z]\w*", f.suffix, flags=re.ASCII)]
    found = [
        Series(
            uid.partition("|")[0],
            headers,
            localizer,
            tuple(groups.get((uid, not localizer), {}).values()),
            tuple(objects),
        )
        for (uid, localizer), headers in groups.items()
    ]
    return sorted(found, key=lambda s: (_order(s.first), s.localizer, s.uid))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.is_file() and not hidden and file.name.upper() != "DICOMDIR":
            yield file


def _series_key(header: Header) -> str:
    uid = header.text("SeriesInstanceUID")
    if uid:
        return uid
    # Blanked by some anonymisers: then what describes the series tells them apart.
    return "|" + "|".join(header.text(t) for t in ("Modality", "SeriesNumber", "SeriesDescription", "SeriesTime"))


def _is_localizer(header: Header) -> bool:
    return "LOCALIZER" in [str(v).upper() for v in many(header.value("ImageType"))]


def _order(header: Header) -> float:
    number = header.shown("SeriesNumber")
    return float(number) if isinstance(number, int) else math.inf


def _choose(path: Path, found: list[Series], series: str | int | None) -> Series:
    if series is None or series == "":
        candidates = [s for s in found if not s.localizer and not s.is_segmentation] or found
        if len(candidates) == 1:
            return candidates[0]
        raise InputError(
            f"{path}: holds {len(found)} series, choose one with --series NUMBER or UID: {_listing(found)}"
        )
    text = str(series).strip()
    if text.isdigit() and 1 <= int(text) <= len(found):
        return found[int(text) - 1]
    matching = [s for s in found if text and (s.uid == text or s.uid.endswith(text))]
    exact = [s for s in matching if s.uid == text and not s.localizer]
    if len(exact) == 1 or len(matching) == 1:
        return (exact or matching)[0]
    what = f"{len(matching)} series match" if matching else "no series matches"
    raise InputError(f"{path}: {what} --series {text}; choose one of: {_listing(found)}")


def _listing(found: list[Series]) -> str:
    return "; ".join(f"[{n}] {s.title}" for n, s in enumerate(found, 1))


def _image(path: Path, series: Series) -> Image:
    first, headers = series.first, tuple(series.headers.values())
    require_one_series(headers)
    found = [p for header in headers for p in planes(header)]
    stack = stack_planes(found, path)
    samples = first.count("SamplesPerPixel", high=4)
    channels = ("0",) if samples == 1 else tuple("RGBA"[:samples])
    dtype = sample_type(stack.planes)
    shape = (stack.columns, stack.rows, len(stack.planes))
    check_size(shape, samples, dtype, path)
    notes = [check_pixels(header, header.count("SamplesPerPixel", high=4)) for header in headers]
    inverted = list(check_photometric(headers))
    modality = first.text("Modality") or None
    differing = check_alike(stack.planes, modality)
    shown: dict[str, Any] = {name: first.shown(name) for name in _SHOWN if first.shown(name) is not None}
    shown |= {
        "SeriesInstanceUID": series.uid,
        "n_files": len(series.headers),
        "transfer_syntax": first.syntax_name,
        "sheared": stack.sheared,
    }
    single = path if path.is_dir() or len(series.headers) > 1 else next(iter(series.headers))
    return Image(
        geometry=Geometry(shape, stack.affine),
        dtype=dtype,
        channels=channels,
        loader=partial(load, stack, samples, dtype),
        source=single,
        value_unit=_value_unit(first, modality) if samples == 1 else None,
        modality=modality,
        format="dicom",
        header=shown,
        native=Native(series.uid, stack, tuple(p.path for p in stack.planes)),
        files=tuple(dict.fromkeys(p.path for p in stack.planes)),
        notes=(
            *several(n for n in notes if n),
            *differing,
            *inverted,
            *missing(path, headers, series.beside, series.left_out),
        ),
    )


def _value_unit(header: Header, modality: str | None) -> str | None:
    kind = header.text("RescaleType")
    if modality == "CT" and kind in ("", "HU"):
        return "HU"
    if kind and kind not in ("US", "NORMALIZED"):
        return kind
    return header.text("Units") or None


__all__ = ["SUFFIXES", "Native", "Series", "has_dicom", "info", "is_dicom", "list_series", "read"]
