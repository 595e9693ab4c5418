"""Samples of TIFF files packed with DEFLATE or LZMA, each block unpacked to its end and held against its checksum.

GDAL stops as soon as it has the bytes that it wants: a flipped bit gives other samples without a word.
"""

from __future__ import annotations

import lzma
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reason
from workbench.scene.data.tiff_layout import DEFLATE, LZMA, Directory

_LZMA_MEMORY = 1 << 30  # bytes; its strongest preset takes a tenth


def can_unpack(directory: Directory, *, bitwise: bool = False) -> bool:
    """Whether the samples of a page are packed in a way that is unpacked here; `bitwise`: also the bits of a mask."""
    bits = set(directory.bits)
    if bitwise and directory.bits == (1,) and directory.predictor == 1:
        return directory.compression in DEFLATE and directory.fill_order == 1 and not directory.empty_blocks
    whole = len(bits) == 1 and bits <= {8, 16, 32, 64} and directory.kind in "uif" and directory.dtype.kind != "V"
    predicted = directory.predictor in (1, 2) or (directory.predictor == 3 and directory.kind == "f")
    plain = directory.fill_order == 1 and not directory.empty_blocks
    return directory.compression in (*DEFLATE, LZMA) and whole and predicted and plain


def window(path: Path, d: Directory, rows: slice, columns: slice, bands: slice) -> npt.NDArray[Any]:
    """Samples ``(bands, rows, columns)`` of a rectangle of one page.

    Raises
    ------
    InputError
        If a block that the rectangle touches makes no sense, or its checksum or length is not the one stated.
    """
    high, wide = d.block
    found = np.empty(
        (len(range(*bands.indices(d.samples))), rows.stop - rows.start, columns.stop - columns.start), d.dtype
    )
    picked = range(bands.start, bands.stop, bands.step)
    needed = d.rows_of_blocks()
    try:
        with path.open("rb") as f:
            for down in range(rows.start // high, -(-rows.stop // high)):
                for across in range(columns.start // wide, -(-columns.stop // wide)):
                    inner, outer = _overlap((down * high, across * wide), d.block, (rows, columns))
                    for target, plane in enumerate(picked) if d.planes else ((slice(None), 0),):
                        number = (plane * d.down + down) * d.across + across
                        samples = _unpacked(f, path, d, number, int(needed[number]))
                        if d.planes:
                            found[(target, *outer)] = samples[inner][..., 0]
                        else:
                            found[(slice(None), *outer)] = samples[(*inner, bands)].transpose(2, 0, 1)
    except OSError as error:
        raise InputError(f"{path}: the samples cannot be read ({reason(error)}). Copy or export it again.") from error
    return found[:, :: rows.step, :: columns.step]


def is_comparable(d: Directory) -> bool:
    """Whether rows of one band are, byte for byte, what was packed: then their checksum can be taken afterwards."""
    return d.compression in DEFLATE and not d.tiled and d.predictor == 1 and (d.planes or d.samples == 1)


def whole_strips(d: Directory, rows: slice) -> slice:
    """The rows of all strips that these rows touch."""
    high = d.block[0]
    return slice(rows.start // high * high, min(-(-rows.stop // high) * high, d.height), 1)


def require_checksums(path: Path, d: Directory, samples: npt.NDArray[Any], rows: slice, bands: slice) -> None:
    """Compare what another library unpacked, ``(bands, rows, columns)`` of whole strips, with the checksums stated."""
    plain = np.ascontiguousarray(samples, d.stored)
    high, needed = d.block[0], d.rows_of_blocks()
    try:
        with path.open("rb", buffering=0) as f:
            for plane, band in zip(range(bands.start, bands.stop, bands.step), plain, strict=True):
                for top in range(rows.start, rows.stop, high):
                    number = plane * d.down + top // high
                    strip = band[top - rows.start : top - rows.start + high]
                    f.seek(int(d.offsets[number]) + max(0, int(d.counts[number]) - 4))
                    if zlib.adler32(strip) == int.from_bytes(f.read(4), "big"):
                        continue
                    # Damaged, or filled up at its end: unpacked here, it says which.
                    own = _unpacked(f, path, d, number, int(needed[number]))
                    if own.tobytes() != strip.tobytes():
                        raise InputError(
                            f"{path}: damaged: block {number + 1} of its samples. Copy or export it again."
                        )
    except OSError as error:
        raise InputError(f"{path}: the samples cannot be read ({reason(error)}). Copy or export it again.") from error


def _overlap(
    corner: tuple[int, int], block: tuple[int, int], wanted: tuple[slice, slice]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the part of a block that is wanted lies in the block, and in what is wanted."""
    inner, outer = [], []
    for start, length, part in zip(corner, block, wanted, strict=True):
        low, high = max(start, part.start), min(start + length, part.stop)
        inner.append(slice(low - start, high - start))
        outer.append(slice(low - part.start, high - part.start))
    return (inner[0], inner[1]), (outer[0], outer[1])


def _unpacked(f: BinaryIO, path: Path, d: Directory, number: int, rows: int) -> npt.NDArray[Any]:
    """One block, ``(rows, columns, samples)``."""
    f.seek(int(d.offsets[number]))
    packed = f.read(int(d.counts[number]))
    what = f"{path}: damaged: block {number + 1} of its samples"
    most = d.block[0] * d.row_bytes  # the last strip may be filled up
    try:
        engine = lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY) if d.compression == LZMA else zlib.decompressobj()
        content = engine.decompress(packed, most + 1)
    except (zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{what} makes no sense ({reason(error)}). Copy or export it again.") from error
    needed = rows * d.row_bytes
    if not engine.eof or len(content) not in (needed, most):
        there = f"more than {most}" if len(content) > most else f"{len(content)}"
        raise InputError(f"{what} unpacks to {there} bytes, its pixels need {needed}. Copy or export it again.")
    shape = (rows, d.block[1], 1 if d.planes else d.samples)
    if d.bits == (1,):
        bits = np.frombuffer(content, np.uint8, needed).reshape(rows, d.row_bytes)
        return np.unpackbits(bits, axis=1)[:, : d.block[1], None].astype(bool)
    if d.predictor == 1:
        return np.frombuffer(content, d.stored, needed // d.stored.itemsize).reshape(shape)
    return _unpredicted(np.frombuffer(content, np.uint8, needed), d, shape)


def _unpredicted(content: npt.NDArray[np.uint8], d: Directory, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Samples from bytes; differences along a row (predictor 2) or of its bytes (predictor 3) added up."""
    rows, columns, samples = shape
    size = d.dtype.itemsize
    if d.predictor == 3:
        planes = content.reshape(rows, columns * size, samples).cumsum(axis=1, dtype=np.uint8)
        # All first bytes of a row come first, then all second ones.
        joined = planes.reshape(rows, size, columns * samples).transpose(0, 2, 1)
        return np.ascontiguousarray(joined).view(d.dtype.newbyteorder(">")).reshape(shape)
    steps = content.view(f"{d.order}u{size}").reshape(shape)
    return steps.cumsum(axis=1, dtype=f"u{size}").view(d.dtype)
