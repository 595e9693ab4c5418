"""DICOM series through pydicom: a folder is scanned by headers, sorted along the slice normal, decoded when asked for.

A series is a list of planes. Each plane is one file, or one frame of an enhanced multi-frame file; from there on both
take the same way. World is RAS+ mm: DICOM's own LPS with x and y negated, exactly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError, NothingFound, one_line
from workbench.core.types import Geometry, Image
from workbench.core.walk import files_below
from workbench.data.dicom_class import SLIDE, WAVEFORMS, sop_class
from workbench.data.geometry import check_size
from workbench.volume.data.dicom_alike import check_photometric, require_one_series
from workbench.volume.data.dicom_complete import missing, several, unlike
from workbench.volume.data.dicom_damage import quietly
from workbench.volume.data.dicom_header import SUFFIXES, Header, read_header, starts_as_dicom
from workbench.volume.data.dicom_index import Key, facts_of, filled_keys, known, look_of, series_key
from workbench.volume.data.dicom_parts import Part, parts
from workbench.volume.data.dicom_pixels import is_palette, load, sample_type
from workbench.volume.data.dicom_planes import check_alike, check_pixels, planes
from workbench.volume.data.dicom_roles import SEGMENTATION, other_roles
from workbench.volume.data.dicom_stack import Stack, stack_planes
from workbench.volume.data.rtstruct import is_contours
from workbench.volume.data.series_rule import SeriesFacts, parse

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
        Headers of the same series that stand on their own (its localizers), or are of its other volumes.
    part
        Which of the volumes of the series it is, where it holds several; its `uid` ends in what they differ in.
    left_out
        Files that hold no picture that anybody knows, and may have been slices.
    """

    uid: str
    headers: dict[Path, Header]
    localizer: bool = False
    beside: tuple[Header, ...] = ()
    part: Part | None = None
    left_out: tuple[Path, ...] = ()
    key: Key = ("", "", "", False)

    @property
    def first(self) -> Header:
        return next(iter(self.headers.values()))

    @property
    def is_segmentation(self) -> bool:
        return self.first.sop_class in SEGMENTATION

    @property
    def n_images(self) -> int:
        if self.part is not None:
            return len(self.part.spots)
        return sum(h.count("NumberOfFrames", 1) for h in self.headers.values())

    @property
    def facts(self) -> SeriesFacts:
        """What a rule can ask of it."""
        try:
            images = float(self.n_images)
        except InputError:
            images = math.nan
        return facts_of(self.first, self.key, images)

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


def read(path: Path, *, series: str | int | None = None, regularise: bool = False) -> Image:
    """Open a folder with one DICOM series (or choose one by `series`), a multi-frame file, or a DICOM-SEG.

    `regularise`: slices in uneven steps are resampled to even ones, and the notes say so.

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
    # Of a UID only its files are read again, where a tree of many series was looked through before.
    text = str(series or "").partition("#")[0]
    with quietly():
        found = (list_series(path, text) if "." in text and parse(text) is None else []) or list_series(path)
        chosen = _choose(path, found, series)
        image = _open(path, chosen, regularise)
    if len(found) == 1 or (text and parse(text) is None):
        return image
    beside = [f"{s.title}: {role}" for s, role in zip(found, _roles(found), strict=True) if role and s is not chosen]
    return replace(image, notes=(*image.notes, *several(f"in its folder, and not read: {line}" for line in beside)))


def _open(path: Path, series: Series, regularise: bool = False) -> Image:
    if series.is_segmentation:
        from workbench.volume.data import dicom_seg

        return dicom_seg.read(next(iter(series.headers)))
    return _image(path, series, regularise)


def info(path: Path) -> list[dict[str, Any]]:
    """One row per series of a folder, in the order by which `series` numbers them."""
    with quietly():
        return _rows(path, list_series(path))


def _rows(path: Path, found: list[Series]) -> list[dict[str, Any]]:
    from workbench.core.errors import WorkbenchError
    from workbench.data.formats import describe

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


def may_be_picture(path: Path) -> bool:
    """Whether a DICOM file is neither a waveform nor a slide, by its class: those are of other kinds."""
    found = sop_class(path)
    return found != SLIDE and not found.startswith(WAVEFORMS)


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
    return any(is_dicom(f) and may_be_picture(f) for f in files[:tries])


def list_series(path: Path, only: str = "") -> list[Series]:
    """All series of a folder or file that hold pictures, by series number; localizers stand on their own.

    Parameters
    ----------
    only
        A UID, or the end of one: files that are known to be of other series are left alone.
    """
    by_key: dict[Key, dict[Path, Header]] = {}
    left_out, objects = [], []
    for file in _files(path):
        before = known(file) if only else None
        if before is not None and before.uid and not before.uid.endswith(only):
            continue
        header = read_header(file)
        if header is None and file.suffix.lower() in SUFFIXES:
            raise InputError(
                f"{file}: not a readable DICOM file. A slice would be missing: copy it again or remove it."
            )
        if header is None:
            left_out.append(file)
        elif only and header.text("SeriesInstanceUID") and not header.text("SeriesInstanceUID").endswith(only):
            continue
        elif header.is_picture:
            by_key.setdefault(series_key(header), {})[file] = header
        elif not header.is_known:
            objects.append(file)
    groups: dict[Key, dict[Path, Header]] = {}
    for key, whole in filled_keys(by_key).items():
        groups.setdefault(whole, {}).update(by_key[key])
    if not groups and only:
        return []
    if not groups and is_contours(path):
        raise InputError(
            f"{path}: contours (RTSTRUCT), not an image. Give them as labels together with their image: --labels."
        )
    if not groups:
        raise NothingFound(
            f"{path}: no DICOM images found. Give a folder of DICOM files, or a NIfTI, NRRD or MHA file."
        )
    # Without a suffix it may have been a slice; what has one is something else.
    objects += [f for f in left_out if not re.fullmatch(r"\.\w*[A-Za-z]\w*", f.suffix, flags=re.ASCII)]
    found = [
        Series(
            key[0].partition("|")[0],
            headers,
            key[3],
            tuple(groups.get((*key[:3], not key[3]), {}).values()),
            left_out=tuple(objects),
            key=key,
        )
        for key, headers in groups.items()
    ]
    found.sort(key=lambda s: (_order(s.first), s.localizer, s.uid))
    return [volume for series in found for volume in _volumes(series)]


def _volumes(series: Series) -> list[Series]:
    """The series itself, or its volumes, where it holds several (echoes, times, acquisitions)."""
    if series.is_segmentation or series.localizer:
        return [series]
    found = []
    for part in parts(series.headers.values()):
        files = {file for file, _ in part.spots}
        own = {file: h for file, h in series.headers.items() if file in files}
        others = tuple(h for file, h in series.headers.items() if file not in files)
        found.append(
            replace(series, uid=f"{series.uid}#{part.name}", headers=own, beside=(*series.beside, *others), part=part)
        )
    return found or [series]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from (f for f in files_below(path) if f.name.upper() != "DICOMDIR")


def _order(header: Header) -> float:
    number = header.shown("SeriesNumber")
    return float(number) if isinstance(number, int) else math.inf


def _choose(path: Path, found: list[Series], series: str | int | None) -> Series:
    text = "" if series is None else str(series).strip()
    rule = parse(text)
    if not text or rule is not None:
        candidates = [s for s, role in zip(found, _roles(found), strict=True) if not role]
        candidates = candidates or ([] if rule else found)
        if rule is not None:
            candidates = [s for s in candidates if not rule.failing(s.facts)]
        if len(candidates) == 1:
            return candidates[0]
        if rule is None:
            raise InputError(
                f"{path}: holds {len(found)} series, choose one with --series NUMBER, UID or a rule: {_listing(found)}"
            )
        what = f"{len(candidates)} series match" if candidates else "no series matches"
        raise InputError(f"{path}: {what} --series {text}; choose one of: {_listing(found)}")
    if text.isdigit() and 1 <= int(text) <= len(found):
        return found[int(text) - 1]
    matching = [s for s in found if text and (s.uid.endswith(text) or s.uid.partition("#")[0].endswith(text))]
    exact = [s for s in matching if s.uid == text and not s.localizer]
    if len(exact) == 1 or len(matching) == 1:
        return (exact or matching)[0]
    what = f"{len(matching)} series match" if matching else "no series matches"
    raise InputError(f"{path}: {what} --series {text}; choose one of: {_listing(found)}")


def _roles(found: list[Series]) -> list[str]:
    """What each is instead of a volume, "" for volumes; those of one study are held against each other."""
    counts = [s.facts.slices for s in found]
    looks = [look_of(s.first, 1 if math.isnan(n) else int(n)) for s, n in zip(found, counts, strict=True)]
    studies: dict[tuple[str, str], list[int]] = {}
    for number, series in enumerate(found):
        studies.setdefault(series.key[1:3], []).append(number)
    roles = [""] * len(found)
    for numbers in studies.values():
        for number, role in zip(numbers, other_roles([looks[n] for n in numbers]), strict=True):
            roles[number] = role
    return roles


def _listing(found: list[Series]) -> str:
    lines = "; ".join(f"[{n}] {s.title}" for n, s in enumerate(found, 1))
    differing = dict.fromkeys(tag for s in found if s.part is not None for tag in s.part.tags)
    if not differing:
        return lines
    example = next(s.part.name for s in found if s.part is not None)
    return f"{lines}. Volumes of one series differ in {' and '.join(differing)}: --series {example} chooses one"


def _image(path: Path, series: Series, regularise: bool = False) -> Image:
    first, headers = series.first, tuple(series.headers.values())
    require_one_series(headers)
    found = [p for header in headers for p in planes(header)]
    if series.part is not None:
        found = [p for p in found if (p.path, p.frame) in series.part.spots]
    stack = stack_planes(found, path, regularise=regularise)
    samples, dtype, looked_up = _samples(series, stack)
    channels = ("0",) if samples == 1 else tuple("RGBA"[:samples])
    shape = (stack.columns, stack.rows, stack.slices)
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
            *([] if stack.even is None else [stack.even.said]),
            *looked_up,
            *several(n for n in notes if n),
            *differing,
            *inverted,
            *unlike(stack, headers),
            *missing(path, headers, series.beside, series.left_out),
        ),
    )


def _samples(series: Series, stack: Stack) -> tuple[int, np.dtype[Any], list[str]]:
    """Samples per pixel, their type, and what was done to them: places in a table of colours become colours."""
    tables = {is_palette(h.text("PhotometricInterpretation")) for h in series.headers.values()}
    if tables == {False}:
        return series.first.count("SamplesPerPixel", high=4), sample_type(stack.planes), []
    if len(tables) > 1:
        raise InputError(f"{series.first.file}: some slices of its series have palette colours, others have none.")
    if any((p.slope, p.intercept) != (1, 0) for p in stack.planes):
        raise InputError(f"{series.first.file}: has palette colours and a RescaleSlope, only one of them can be meant.")
    descriptor = series.first.numbers("RedPaletteColorLookupTableDescriptor", 3)
    if descriptor is None:
        raise series.first.broken("RedPaletteColorLookupTableDescriptor", "the size of the table of colours")
    dtype = np.dtype(np.uint16 if descriptor[2] > 8 else np.uint8)
    return 3, dtype, ["palette colours were looked up: channels are red, green and blue"]


def _value_unit(header: Header, modality: str | None) -> str | None:
    kind = header.text("RescaleType")
    if modality == "CT" and kind in ("", "HU"):
        return "HU"
    if kind and kind not in ("US", "NORMALIZED"):
        return kind
    return header.text("Units") or None


__all__ = ["SUFFIXES", "Native", "Series", "has_dicom", "info", "is_dicom", "list_series", "may_be_picture", "read"]
