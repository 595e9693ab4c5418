"""ERDAS 7 rasters (``.lan``, ``.gis``): 128 bytes of header, then lines band after band; as SPy's samples come."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reason
from workbench.core.types import Image
from workbench.data.companion import require_regular
from workbench.data.found import spare_note
from workbench.scene.data.envi_fit import check_file_size
from workbench.scene.data.map_place import MapPlace, from_transform
from workbench.scene.data.scene import Blocks, make_image
from workbench.scene.data.wavelength_file import wavelengths_beside

SUFFIXES = (".lan", ".gis")

_HEADER = 128
_WORDS = (b"HEADER", b"HEAD74")
_PACKED = {0: "u1", 2: "i2"}


def is_lan(path: Path) -> bool:
    """Whether a file begins as ERDAS 7 files do."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as f:
            return f.read(6) in _WORDS
    except OSError:
        return False


def read(path: Path) -> Image:
    """Open an ERDAS 7 file: header now, samples when asked for.

    Raises
    ------
    InputError
        If it is none, is cut off, or holds samples of 4 bits.
    """
    require_regular(path)
    try:
        with path.open("rb") as f:
            head = f.read(_HEADER)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give yourself read permission.") from error
    if len(head) < _HEADER or head[:6] not in _WORDS:
        raise InputError(
            f"{path}: not an ERDAS 7 file: it begins with {head[:6]!r}, expected HEADER or HEAD74. Export it again."
        )
    order = ">" if head[8] == 0 else "<"  # fewer than 256 bands: the first byte tells
    packed, bands = struct.unpack(f"{order}2h", head[6:10])
    if packed not in _PACKED:
        what = "4 bits" if packed == 1 else f"an unknown kind ({packed})"
        raise InputError(f"{path}: samples of {what}, 8 or 16 bits were expected. Export it as GeoTIFF or ENVI.")
    sides = struct.unpack(f"{order}2f" if head[:6] == b"HEADER" else f"{order}2i", head[16:24])
    if bands < 1 or not all(1 <= side < 2**31 and side == int(side) for side in sides):
        raise InputError(
            f"{path}: the header promises {sides[0]:g} x {sides[1]:g} pixels of {bands} bands. Copy it again."
        )
    shape = (bands, int(sides[1]), int(sides[0]))
    stored = np.dtype(_PACKED[packed]).newbyteorder("<" if order == "<" else ">")
    spare = check_file_size(path, path, shape, stored, _HEADER)
    return make_image(
        path,
        format="erdas",
        shape=shape,
        dtype=stored.newbyteorder("="),
        open=partial(_open, path, shape, stored),
        header={"interleave": "bil", "stored_dtype": stored.newbyteorder("=").name, "byte_order": order},
        bands_beside=wavelengths_beside(path, bands) if bands > 1 else None,
        place=_place(struct.unpack(f"{order}4f", head[112:128])),
        notes=(spare_note(path.name, spare),) if spare else (),
    )


def _place(numbers: tuple[float, ...]) -> MapPlace | None:
    """The map position: x and y of the centre of the first pixel and its sides; the header names no system."""
    x, y, width, height = numbers
    if width == 0 or height == 0 or not np.isfinite(numbers).all():
        return None
    return from_transform((width, 0.0, x - width / 2, 0.0, -height, y + height / 2), None, None, "not said")


def _open(path: Path, shape: tuple[int, int, int], stored: np.dtype[Any]) -> Blocks:
    return Blocks(shape, stored.newbyteorder("="), partial(_block, path, shape, stored))


def _block(
    path: Path, shape: tuple[int, int, int], stored: np.dtype[Any], rows: slice, columns: slice, bands: slice
) -> npt.NDArray[Any]:
    try:
        lines = np.memmap(path, stored, "r", _HEADER, (shape[1], shape[0], shape[2]))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the samples cannot be read ({reason(error)}). Copy the file again.") from error
    return np.array(lines.transpose(1, 0, 2)[bands, rows, columns], stored.newbyteorder("="))
