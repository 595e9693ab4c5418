"""Pixels of DICOM planes: decoded, rescaled slice by slice, in the smallest type that holds them exactly."""

from __future__ import annotations

import importlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reason
from workbench.core.exhausted import is_out_of_memory
from workbench.volume.data.dicom_damage import kinds, quietly, reading_dicom
from workbench.volume.data.dicom_header import BoundedFile
from workbench.volume.data.dicom_stack import Plane, Stack

_RLE = "1.2.840.10008.1.2.5"
_BEGIN = (b"\xff\xd8", b"\xff\x4f")  # of JPEG and of JPEG 2000


def sample_type(planes: tuple[Plane, ...]) -> np.dtype[Any]:
    """Smallest type that holds every rescaled value exactly; float32 where slope or intercept have fractions."""
    kinds = {np.dtype(f"{'i' if p.signed else 'u'}{max(1, p.allocated // 8)}") for p in planes}
    stored: np.dtype[Any] = np.result_type(*kinds)  # slices may differ in sign
    if all(p.slope == 1 and p.intercept == 0 for p in planes):
        return stored
    if not all(p.slope.is_integer() and p.intercept.is_integer() for p in planes):
        return np.dtype(np.float32)
    ends = []
    for p in planes:
        low, high = (-(2 ** (p.bits - 1)), 2 ** (p.bits - 1) - 1) if p.signed else (0, 2**p.bits - 1)
        ends += [low * p.slope + p.intercept, high * p.slope + p.intercept]
    for candidate in (np.int16, np.int32):
        if np.iinfo(candidate).min <= min(ends) and max(ends) <= np.iinfo(candidate).max:
            return np.dtype(candidate)
    return np.dtype(np.float32)


def load(stack: Stack, samples: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Samples ``(C, columns, rows, slices)`` of a stack, rescaled slice by slice."""
    # (slices, rows, columns, samples) in memory is (C, i, j, k) in Fortran order: the returned view costs nothing.
    out = np.empty((len(stack.planes), stack.rows, stack.columns, samples), dtype=dtype)
    whole: dict[Path, list[int]] = {}
    for k, plane in enumerate(stack.planes):
        whole.setdefault(plane.path, []).append(k)

    def decode(file: Path) -> None:
        pixels, rescaled = _decode(file)
        first = stack.planes[whole[file][0]]
        size = (stack.rows, stack.columns) if first.tile is None else (first.tile.rows, first.tile.columns)
        # Decoders hand out all the frames that they find.
        if pixels.size != first.frames * size[0] * size[1] * samples:
            raise InputError(
                f"{file}: pixels are {pixels.shape}, the header promised {first.frames} frame(s) of {size[0]} x"
                f" {size[1]} x {samples}. Copy or export it again."
            )
        pictures = pixels.reshape(-1, *size, samples)
        for k in whole[file]:
            plane = stack.planes[k]
            values = pictures[plane.frame or 0]
            if plane.tile is not None:
                values = values[plane.tile.row :, plane.tile.column :][: stack.rows, : stack.columns]
            if not rescaled and (plane.slope, plane.intercept) != (1, 0):
                wide = np.float64 if dtype.kind == "f" else np.int64
                values = values.astype(wide) * wide(plane.slope) + wide(plane.intercept)
            out[k] = _fitting(values, dtype, file)

    with quietly(), ThreadPoolExecutor(2) as pool:  # decoders of compressed pixels release the interpreter lock
        list(pool.map(decode, whole))
    if stack.even is not None:
        out = stack.even.resampled(out)
    return out.transpose(3, 2, 1, 0)


def load_plane(stack: Stack, number: int, samples: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Samples ``(C, columns, rows)`` of one plane of a stack, whose slices are files of their own."""
    return load(replace(stack, planes=(stack.planes[number],)), samples, dtype)[..., 0]


def _fitting(values: npt.NDArray[Any], dtype: np.dtype[Any], file: Path) -> npt.NDArray[Any]:
    """The values in their final type; refused where they would wrap around (bits above BitsStored are in use)."""
    if dtype.kind == "f":
        return values
    whole = np.rint(values) if values.dtype.kind == "f" else values
    limits, low, high = np.iinfo(dtype), whole.min(), whole.max()
    if low < limits.min or high > limits.max:
        raise InputError(
            f"{file}: values from {low:g} to {high:g}, but BitsStored promises {limits.min} to {limits.max}."
            " The header is wrong, or an overlay hides in the unused bits; export it again."
        )
    return whole


def _decode(file: Path) -> tuple[npt.NDArray[Any], bool]:
    """Pixels of a file ``([frames,] rows, columns[, samples])``, and whether slope and intercept are in them."""
    dataset, syntax = read_pixels(file)
    try:
        if is_palette(dataset.get("PhotometricInterpretation")):
            return _colours(dataset), True
        return dataset.pixel_array, False
    except kinds() as error:
        if is_out_of_memory(error):
            raise MemoryError(f"{file}: not enough memory for its pixels ({reason(error)})") from error
        if not is_compressed(syntax):
            raise InputError(
                f"{file}: the pixels cannot be read ({reason(error)}). Copy or export it again."
            ) from error
        return _decode_with_itk(file, syntax, error), True


def is_palette(interpretation: Any) -> bool:
    """Whether the samples are places in a table of colours, as PhotometricInterpretation says."""
    return str(interpretation or "").strip().upper() == "PALETTE COLOR"


def _colours(dataset: Any) -> npt.NDArray[Any]:
    """Red, green and blue of samples that are places in a table, which no decoder looks up."""
    pixels: Any = importlib.import_module("pydicom.pixels")
    found: npt.NDArray[Any] = pixels.apply_color_lut(dataset.pixel_array, dataset)
    return found


def read_pixels(file: Path) -> tuple[Any, Any]:
    """The data set of a file with its pixels, and its transfer syntax.

    Raises
    ------
    InputError
        If it cannot be read, or is cut off before or within its pixels, or packs more or fewer frames than it promises.
    """
    import pydicom

    with reading_dicom(file, "cannot be read as DICOM"), BoundedFile(file) as f:
        dataset = pydicom.dcmread(f, force=True)
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        missing = "PixelData" not in dataset
    if missing:
        raise InputError(f"{file}: the pixels are missing, the file is cut off. Copy or export it again.")
    if syntax is None:
        dataset.file_meta.TransferSyntaxUID = syntax = pydicom.uid.ImplicitVRLittleEndian
    if is_compressed(syntax):
        _check_frames(file, dataset)
    return dataset, syntax


def _check_frames(file: Path, dataset: Any) -> None:
    """Compare the pictures in encapsulated pixels with the number of frames: decoders stop at the ones they want."""
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    with reading_dicom(file, "the pixels cannot be read"):
        promised = int(dataset.get("NumberOfFrames") or 1)
        content = io.BytesIO(dataset.PixelData)
        offsets = parse_basic_offsets(content)
        parts = list(generate_fragments(content))
        one_each = dataset.file_meta.TransferSyntaxUID == _RLE
    begun = len(parts) if one_each else sum(p[:2] in _BEGIN for p in parts)
    for found, what in ((len(offsets), "offsets of frames"), (begun, "frames")):
        if found and found != promised:
            raise InputError(
                f"{file}: {found} {what} are in its pixels, NumberOfFrames promises {promised}. Copy or export it"
                " again."
            )


def is_compressed(syntax: Any) -> bool:
    """Whether the pixels are packed by a codec, as the transfer syntax of a data set says."""
    try:
        return bool(syntax.is_compressed)
    except (ValueError, AttributeError):  # damaged: no name of a transfer syntax, or several
        return False


def _decode_with_itk(file: Path, syntax: Any, cause: Exception) -> npt.NDArray[Any]:
    """ITK's own decoders know JPEG lossless and JPEG-LS, which pydicom has only with further packages."""
    sitk: Any = importlib.import_module("SimpleITK")
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        array = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError(f"{file}: not enough memory for its pixels ({reason(error)})") from error
        raise InputError(
            f"{file}: compressed as {syntax.name}, and no installed decoder can read it ({reason(cause)})."
            " Install one: pip install 'pylibjpeg[all]'"
        ) from error
    return np.asarray(array[0] if array.shape[0] == 1 else array)
