"""DICOM series through pydicom: a folder is scanned by headers, sorted along the slice normal, decoded when asked for.

A series is a list of planes. Each plane is one file, or one frame of an enhanced multi-frame file; from there on both
take the same way. World is RAS+ mm: DICOM's own LPS with x and y negated, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, NothingFound
from workbench.core.types import Geometry, Image
from workbench.data.geometry import check_size
from workbench.volume.data.dicom_damage import kinds, reading_dicom
from workbench.volume.data.dicom_pixels import load, sample_type
from workbench.volume.data.dicom_stack import Plane, Stack, stack_planes

SUFFIXES = (".dcm", ".ima")

_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # binary/fractional, label map
_DAMAGED = "its header is damaged"
_WITH_PICTURES = tuple(f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "2.1", "4", "4.1", "128", "130"))  # CT, MR, PET
# Only what is needed: a series may have thousands of files, and names of people are not even read.
_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "SeriesTime", "Modality", "Manufacturer", "ManufacturerModelName", "ImageType", "InstanceNumber",
    "AcquisitionNumber", "SliceThickness", "KVP", "ConvolutionKernel", "GantryDetectorTilt", "PatientPosition",
    "FrameOfReferenceUID", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "Units", "BitsAllocated", "BitsStored",
    "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "SegmentSequence",
]  # fmt: skip
_SHOWN = (
    "Manufacturer", "ManufacturerModelName", "SeriesNumber", "SeriesDescription", "SliceThickness", "KVP",
    "ConvolutionKernel", "GantryDetectorTilt", "PatientPosition",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Series:
    """One series of a folder: its headers by file, in the order found."""

    uid: str
    headers: dict[Path, Any]
    localizer: bool = False

    @property
    def first(self) -> Any:
        return next(iter(self.headers.values()))

    @property
    def is_segmentation(self) -> bool:
        return str(self.first.get("SOPClassUID", "")) in _SEGMENTATION

    @property
    def n_images(self) -> int:
        return sum(_count(f, h, "NumberOfFrames", 1) for f, h in self.headers.items())

    @property
    def title(self) -> str:
        """For the listing: ``CT Body 3.0 (CT, 20 images, 512 x 512, UID ...12345)``."""
        h = self.first
        name = _text(h, "SeriesDescription") or f"series {_text(h, 'SeriesNumber') or '?'}"
        kind = "localizer" if self.localizer else _text(h, "Modality") or "image"
        size = f"{h.get('Columns', '?')} x {h.get('Rows', '?')}"
        return f"{name} ({kind}, {self.n_images} images, {size}, UID {self.uid or 'empty'})"


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
                "modality": _text(one.first, "Modality"),
                "problem": str(error),
            }
        row |= {
            "series": number,
            "series_uid": one.uid,
            "description": _text(one.first, "SeriesDescription"),
            "localizer": one.localizer,
            "n_files": len(one.headers),
            "n_series": len(found),
        }
        rows.append(row)
    return rows


def is_dicom(path: Path) -> bool:
    """Whether the file is a DICOM image, with or without the 128-byte preamble."""
    return _header(path) is not None


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
    groups: dict[tuple[str, bool], dict[Path, Any]] = {}
    for file in _files(path):
        header = _header(file)
        if header is None and file.suffix.lower() in SUFFIXES:
            raise InputError(
                f"{file}: not a readable DICOM file. A slice would be missing: copy it again or remove it."
            )
        if header is not None and not header.get("Rows") and header.get("SOPClassUID") in _WITH_PICTURES:
            raise InputError(f"{file}: cut off before its picture. A slice would be missing: copy it again.")
        if header is None or not header.get("Rows"):
            continue  # other files; reports, plans, presentation states
        groups.setdefault((_series_key(header), _is_localizer(header)), {})[file] = header
    if not groups:
        raise NothingFound(
            f"{path}: no DICOM images found. Give a folder of DICOM files, or a NIfTI, NRRD or MHA file."
        )
    found = [Series(uid.partition("|")[0], headers, localizer) for (uid, localizer), headers in groups.items()]
    return sorted(found, key=lambda s: (_number(s.first, "SeriesNumber"), s.localizer, s.uid))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.is_file() and not hidden and file.name.upper() != "DICOMDIR":
            yield file


def _header(path: Path) -> Any | None:
    """Header of a DICOM file without its pixels, or ``None`` for anything else."""
    import pydicom

    try:
        with path.open("rb") as f:
            start = f.read(132)
        preamble = start[128:] == b"DICM"
        # Without preamble a data set starts with group 0002 or 0008, little endian; anything else is another format.
        if not preamble and start[:2] not in (b"\x08\x00", b"\x02\x00"):
            return None
        header = pydicom.dcmread(path, stop_before_pixels=True, force=not preamble, specific_tags=_TAGS)
        if not preamble and "SOPClassUID" not in header:
            return None
        # Some archives blank the instance UID in the data set and keep it in the file's own header.
        if not header.get("SOPInstanceUID") and (uid := header.file_meta.get("MediaStorageSOPInstanceUID")):
            header.SOPInstanceUID = uid
        if not header.get("SOPClassUID") and (uid := header.file_meta.get("MediaStorageSOPClassUID")):
            header.SOPClassUID = uid
        for _ in header:  # values are parsed when they are looked at: damaged ones show here
            pass
        return header
    except kinds():
        return None


def _series_key(header: Any) -> str:
    uid = _text(header, "SeriesInstanceUID")
    if uid:
        return uid
    # Blanked by some anonymisers: then what describes the series tells them apart.
    return "|" + "|".join(_text(header, t) for t in ("Modality", "SeriesNumber", "SeriesDescription", "SeriesTime"))


def _is_localizer(header: Any) -> bool:
    return "LOCALIZER" in [str(v).upper() for v in _many(header.get("ImageType"))]


def _choose(path: Path, found: list[Series], series: str | int | None) -> Series:
    listing = "; ".join(f"[{n}] {s.title}" for n, s in enumerate(found, 1))
    if series is None or series == "":
        candidates = [s for s in found if not s.localizer and not s.is_segmentation] or found
        if len(candidates) == 1:
            return candidates[0]
        raise InputError(f"{path}: holds {len(found)} series, choose one with --series NUMBER or UID: {listing}")
    text = str(series).strip()
    if text.isdigit() and 1 <= int(text) <= len(found):
        return found[int(text) - 1]
    matching = [s for s in found if text and (s.uid == text or s.uid.endswith(text))]
    exact = [s for s in matching if s.uid == text and not s.localizer]
    if len(exact) == 1 or len(matching) == 1:
        return (exact or matching)[0]
    what = f"{len(matching)} series match" if matching else "no series matches"
    raise InputError(f"{path}: {what} --series {text}; choose one of: {listing}")


def _image(path: Path, series: Series) -> Image:
    planes = [p for file, header in series.headers.items() for p in _planes(file, header)]
    first = series.first
    stack = stack_planes(planes, path)
    samples = _count(next(iter(series.headers)), first, "SamplesPerPixel", 1)
    channels = ("0",) if samples == 1 else tuple("RGBA"[:samples])
    dtype = sample_type(stack.planes)
    shape = (stack.columns, stack.rows, len(stack.planes))
    check_size(shape, samples, dtype, path)
    modality = _text(first, "Modality") or None
    shown: dict[str, Any] = {name: _plain(first.get(name)) for name in _SHOWN if _plain(first.get(name)) is not None}
    shown |= {
        "SeriesInstanceUID": series.uid,
        "n_files": len(series.headers),
        "transfer_syntax": str(getattr(first.file_meta.get("TransferSyntaxUID"), "name", "unknown")),
        "sheared": stack.sheared,
    }
    single = path if path.is_dir() or len(series.headers) > 1 else next(iter(series.headers))
    return Image(
        geometry=Geometry(shape, stack.affine),
        dtype=dtype,
        channels=channels,
        loader=partial(load, stack, samples, dtype),
        source=single,
        value_unit=_value_unit(first, modality),
        modality=modality,
        format="dicom",
        header=shown,
        native=Native(series.uid, stack, tuple(p.path for p in stack.planes)),
        files=tuple(dict.fromkeys(p.path for p in stack.planes)),
    )


def _planes(file: Path, header: Any) -> Iterator[Plane]:
    """The planes of one file: itself, or its frames with shared and per-frame functional groups merged."""
    frames = _count(file, header, "NumberOfFrames", 1)
    shared = _item(file, header, "SharedFunctionalGroupsSequence")
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    if frames > 1 and per_frame is None:
        raise InputError(
            f"{file}: {frames} frames without positions (a cine loop or secondary capture), a volume was expected."
            " Export it as an enhanced or single-frame CT/MR series."
        )
    if per_frame is not None and len(per_frame) != frames:
        raise InputError(f"{file}: {frames} frames but {len(per_frame)} descriptions of frames. The file is damaged.")
    bits, allocated = _count(file, header, "BitsStored", 16), _count(file, header, "BitsAllocated", 16)
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= bits <= 64:
        raise InputError(
            f"{file}: {bits} bits stored in {allocated}, samples of 1, 8, 16, 32 or 64 bits were expected. The header"
            " is damaged, export it again."
        )
    for number in range(frames):
        groups = [g for g in ((per_frame[number] if per_frame is not None else None), shared) if g is not None]
        if header.get("ModalityLUTSequence"):
            raise InputError(f"{file}: has a ModalityLUTSequence, slope and intercept were expected. Convert it first.")
        look = partial(_look, file, header, groups)
        slope, intercept = (
            _floats(look("RescaleSlope", "PixelValueTransformationSequence"), 1),
            _floats(look("RescaleIntercept", "PixelValueTransformationSequence"), 1),
        )
        yield Plane(
            path=file,
            frame=number if per_frame is not None else None,
            rows=_count(file, header, "Rows"),
            columns=_count(file, header, "Columns"),
            orientation=_floats(look("ImageOrientationPatient", "PlaneOrientationSequence"), 6),
            position=_floats(look("ImagePositionPatient", "PlanePositionSequence"), 3),
            spacing=_floats(look("PixelSpacing", "PixelMeasuresSequence"), 2),
            slope=1.0 if slope is None else slope[0],
            intercept=0.0 if intercept is None else intercept[0],
            bits=bits,
            signed=bool(header.get("PixelRepresentation", 0)),
            allocated=allocated,
            thickness=_floats(look("SliceThickness", "PixelMeasuresSequence"), 1),
            acquisition=_text(header, "AcquisitionNumber"),
            uid=_text(header, "SOPInstanceUID"),
        )


def _look(file: Path, header: Any, groups: Iterable[Any], name: str, sequence: str) -> Any:
    """A value from the functional groups of a frame, or from the data set itself."""
    for group in groups:
        item = _item(file, group, sequence)
        if item is not None:
            with reading_dicom(file, _DAMAGED):
                value = item.get(name)
            if value is not None:
                return value
    return header.get(name)


def _item(file: Path, dataset: Any, sequence: str) -> Any | None:
    with reading_dicom(file, _DAMAGED):
        items = dataset.get(sequence)
        return items[0] if items is not None and len(items) else None


def _count(file: Path, header: Any, name: str, default: int | None = None) -> int:
    """A whole number of the header; `default` where it is missing, empty or 0."""
    value = header.get(name) or default
    if not isinstance(value, int):
        raise InputError(f"{file}: {name} is {value!r}, a number was expected. The file is damaged, export it again.")
    return int(value)


def _value_unit(header: Any, modality: str | None) -> str | None:
    kind = _text(header, "RescaleType")
    if modality == "CT" and kind in ("", "HU"):
        return "HU"
    if kind and kind not in ("US", "NORMALIZED"):
        return kind
    return _text(header, "Units") or None


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    """`count` numbers, or ``None`` where the field is missing, empty or unreadable."""
    if value is None or value == "":
        return None
    try:
        numbers = tuple(float(v) for v in _many(value))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count else None


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__") else list(value)


def _text(header: Any, name: str) -> str:
    value = header.get(name)
    return "" if value is None else "".join(str(value).splitlines()).strip()


def _number(header: Any, name: str) -> float:
    try:
        return float(header.get(name))
    except (TypeError, ValueError):
        return math.inf


def _plain(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, (int, float)):
        return float(value) if isinstance(value, float) else int(value)
    return str(value) if isinstance(value, str) else [str(v) for v in _many(value)]


__all__ = ["Native", "Series", "has_dicom", "info", "is_dicom", "list_series", "read"]
