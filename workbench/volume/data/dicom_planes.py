"""The planes of one DICOM file, and its pixel data held against what its header promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from workbench.core.errors import GeometryError, InputError
from workbench.volume.data import codestream
from workbench.volume.data.dicom_fields import Fields
from workbench.volume.data.dicom_header import Header
from workbench.volume.data.dicom_mosaic import is_mosaic, tiles
from workbench.volume.data.dicom_stack import Plane

_ALLOCATED = (1, 8, 16, 32, 64)
_RLE = "1.2.840.10008.1.2.5"
_RLE_RATIO = 64  # a pair of bytes stands for 128 at most
_UNSEEN = 1 << 26
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_LAST_GROUP = 0x7FE0  # of pixels; overlays come before, padding and signatures after
_BLOCK = 4096
_LARGEST = 3.4e38  # of a 32-bit float


def planes(header: Header) -> Iterator[Plane]:
    """The planes of one file: itself, or its frames with shared and per-frame functional groups merged."""
    file = header.file
    frames = header.count("NumberOfFrames", 1)
    shared = header.item("SharedFunctionalGroupsSequence")
    per_frame = header.items("PerFrameFunctionalGroupsSequence")
    if frames > 1 and not per_frame and header.text("Modality") == "NM":
        raise InputError(
            f"{file}: nuclear medicine (NM) of {frames} frames, whose places are in a DetectorInformationSequence. NM"
            " is not read: export it as single-frame PET/CT/MR, or convert it to NIfTI."
        )
    if frames > 1 and not per_frame:
        raise InputError(
            f"{file}: {frames} frames without positions (a cine loop or secondary capture), a volume was expected."
            " Export it as an enhanced or single-frame CT/MR series."
        )
    if per_frame and len(per_frame) != frames:
        raise InputError(f"{file}: {frames} frames but {len(per_frame)} descriptions of frames. The file is damaged.")
    _require_no_map(header)
    bits, allocated = _bits(header)
    signed = bool(header.count("PixelRepresentation", low=0, high=1))
    if header.has("ModalityLUTSequence"):
        raise InputError(f"{file}: has a ModalityLUTSequence, slope and intercept were expected. Convert it first.")
    rows, columns = header.count("Rows", high=65535), header.count("Columns", high=65535)
    acquisition, uid, numbered = header.text("AcquisitionNumber"), header.sop_instance, header.shown("InstanceNumber")
    for number in range(frames):
        groups = [g for g in ((per_frame[number] if per_frame else None), shared) if g is not None]
        look = partial(_look, header, groups)
        slope = look("RescaleSlope", "PixelValueTransformationSequence", 1)
        intercept = look("RescaleIntercept", "PixelValueTransformationSequence", 1)
        if slope is not None and slope[0] == 0:
            raise InputError(f"{file}: RescaleSlope (0028,1053) is 0, so all values are lost. Export it again.")
        if slope is not None and abs(slope[0]) * 2.0**bits + abs((intercept or (0.0,))[0]) > _LARGEST:
            raise InputError(
                f"{file}: RescaleSlope (0028,1053) is {slope[0]:g}, so values of {bits} bits become infinite. The"
                " header is damaged: export it again."
            )
        whole = Plane(
            path=file,
            frame=number if per_frame else None,
            rows=rows,
            columns=columns,
            orientation=look("ImageOrientationPatient", "PlaneOrientationSequence", 6, GeometryError),
            position=look("ImagePositionPatient", "PlanePositionSequence", 3, GeometryError),
            spacing=look("PixelSpacing", "PixelMeasuresSequence", 2, GeometryError),
            slope=1.0 if slope is None else slope[0],
            intercept=0.0 if intercept is None else intercept[0],
            rescaled=(slope is not None, intercept is not None),
            bits=bits,
            signed=signed,
            allocated=allocated,
            thickness=look("SliceThickness", "PixelMeasuresSequence", 1, GeometryError),
            acquisition=acquisition,
            uid=uid,
            frames=frames,
            number=numbered if isinstance(numbered, int) and not per_frame else None,
        )
        yield from tiles(whole, header) if is_mosaic(header) and not per_frame else (whole,)


def check_pixels(header: Header, samples: int) -> str | None:
    """Hold the pixel data of a file against its header, without reading them.

    Parameters
    ----------
    samples
        Values per pixel.

    Returns
    -------
    str or None
        What a person should know: bytes that follow the pixels.

    Raises
    ------
    InputError
        If there are fewer or more pixels than rows, columns, frames and bits make; compressed ones tell their rows and
        columns themselves.
    """
    if header.pixels is None:
        return None  # deflated as a whole: the decoder compares
    _require_no_map(header)
    file, size = header.file, header.pixels.size
    rows, columns = header.count("Rows"), header.count("Columns")
    frames, allocated = header.count("NumberOfFrames", 1), header.count("BitsAllocated")
    values = rows * columns * samples
    if header.text("PhotometricInterpretation") == "YBR_FULL_422":
        values = values // 3 * 2  # two of three are shared by neighbours
    shape = f"{rows} x {columns} x {samples} x {frames} frame(s) of {allocated} bits"
    if header.is_compressed:
        _check_compressed(header, shape, -(-values * frames * allocated // 8))
        return None
    if size is None:
        raise InputError(
            f"{file}: PixelData (7fe0,0010) has no length, and {header.syntax_name} promises uncompressed pixels. The"
            " header is damaged: copy or export it again."
        )
    promised = -(-values * frames * allocated // 8)
    if size < promised:
        raise InputError(
            f"{file}: PixelData (7fe0,0010) has {size} bytes, {shape} make {promised}. Copy or export it again."
        )
    rest = _rest(header, header.pixels.start + size)
    more = size - promised
    if more <= promised % 2:  # values in DICOM have an even length
        return rest
    if more * 8 >= values * allocated:
        raise InputError(
            f"{file}: PixelData (7fe0,0010) has {size} bytes, {shape} make {promised}: at least one more frame is in"
            " it. The header is damaged: copy or export it again."
        )
    return f"{file.name}: {more} bytes follow its pixels, and are left out"


def check_alike(found: Sequence[Plane], modality: str | None) -> list[str]:
    """Refuse a series of which some planes have slope and intercept, and others none: these would be off by them.

    Returns
    -------
    list of str
        What a person should know: values that differ where they are mostly the same.

    Raises
    ------
    InputError
        Names a file of each.
    """
    for number, name in enumerate(("RescaleSlope (0028,1053)", "RescaleIntercept (0028,1052)")):
        having = [p for p in found if p.rescaled[number]]
        lacking = [p for p in found if not p.rescaled[number]]
        if having and lacking:
            raise InputError(
                f"{lacking[0].path}: has no {name}, and {having[0].where} and {len(having) - 1} more of its series have"
                " one. The header is damaged: copy or export it again."
            )
    seen: dict[str, dict[object, Plane]] = {}
    for plane in found:
        seen.setdefault("PixelRepresentation", {}).setdefault(int(plane.signed), plane)
        if modality == "CT":  # others have slopes of their own in each slice
            seen.setdefault("RescaleSlope and RescaleIntercept", {}).setdefault((plane.slope, plane.intercept), plane)
    lines = []
    for name, values in seen.items():
        if len(values) > 1:
            where = ", ".join(f"{value} in {plane.where}" for value, plane in list(values.items())[:3])
            lines.append(f"slices differ in {name}: {where}")
    return lines


def _require_no_map(header: Header) -> None:
    if header.pixels is not None and header.pixels.floating:
        raise InputError(
            f"{header.file}: a parametric map (its pixels are floating-point numbers), which is not read. Convert it to"
            " NIfTI."
        )


def _check_compressed(header: Header, shape: str, promised: int) -> None:
    assert header.pixels is not None
    packed = header.file.stat().st_size - header.pixels.start
    if header.syntax == _RLE:
        if promised > packed * _RLE_RATIO:
            raise InputError(
                f"{header.file}: {packed} bytes of RLE can hold at most {packed * _RLE_RATIO} bytes, {shape} make"
                f" {promised}. The header is damaged: copy or export it again."
            )
        return
    found = codestream.size(header.file, header.pixels.start)
    stated = (header.count("Rows"), header.count("Columns"))
    if found is None:
        if promised > _UNSEEN:  # memory is taken before a decoder would say so
            raise InputError(
                f"{header.file}: its header promises {promised} bytes, and no picture of {header.syntax_name} begins in"
                " its pixels. The file is damaged: copy or export it again."
            )
    elif found[1] != stated[1] or found[0] not in (0, stated[0]):  # JPEG may tell its rows at the end
        raise InputError(
            f"{header.file}: Rows x Columns is {stated[0]} x {stated[1]}, its compressed picture has {found[0]} x"
            f" {found[1]}. The header is damaged: copy or export it again."
        )


def _rest(header: Header, end: int) -> str | None:
    """What follows the pixel data: nothing, elements of higher groups, or zeros that fill a block."""
    with header.file.open("rb") as f:
        f.seek(end)
        rest = f.read(_BLOCK)
    if not rest.strip(b"\0"):
        return f"{header.file.name}: {len(rest)} zero bytes follow its pixels, and are left out" if rest else None
    if header.syntax != _BIG_ENDIAN and (len(rest) < 8 or int.from_bytes(rest[:2], "little") < _LAST_GROUP):
        raise InputError(
            f"{header.file}: {len(rest)} or more bytes follow its pixels, and begin with {rest[:8]!r}, which is no"
            " element of DICOM. The file is damaged: copy or export it again."
        )
    return None


def _bits(header: Header) -> tuple[int, int]:
    """Bits stored and bits allocated of a value."""
    allocated = header.count("BitsAllocated", high=64)
    bits = header.count("BitsStored", high=64)
    if allocated not in _ALLOCATED or bits > allocated:
        raise InputError(
            f"{header.file}: {bits} bits stored in {allocated}, samples of 1, 8, 16, 32 or 64 bits were expected. The"
            " header is damaged, export it again."
        )
    if (high := header.count("HighBit", bits - 1, low=0)) != bits - 1:
        raise InputError(
            f"{header.file}: HighBit (0028,0102) is {high}, expected {bits - 1} for {bits} bits stored. Values would be"
            " shifted: export it again."
        )
    return bits, allocated


def _look(
    header: Header,
    groups: list[Fields],
    name: str,
    sequence: str,
    count: int,
    error: type[InputError] = InputError,
) -> tuple[float, ...] | None:
    """Numbers from the functional groups of a frame, or from the data set itself."""
    for group in groups:
        item = group.item(sequence)
        found = None if item is None else item.numbers(name, count, error)
        if found is not None:
            return found
    return header.numbers(name, count, error)
