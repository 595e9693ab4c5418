"""The fields of a NIfTI header that say where its voxels lie and how many there are, before nibabel believes them."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.core.errors import GeometryError, InputError

_MAX_OFFSET = 1 << 26  # extensions are texts: 64 MiB hold the longest many times
_MAX_EXTENSIONS = 1024
_MOST = 1 << 31
_CODES = 5  # 5: another template


@dataclass(frozen=True)
class Start:
    """What the first bytes of a file say.

    Attributes
    ----------
    version
        1 or 2.
    dim
        Number of axes, and the sides of seven.
    offset
        The byte at which the voxels begin, in the unpacked file.
    pixdim
        Sizes of a voxel along the axes of space that it has, as stored: nibabel mends them without a word.
    notes
        What a person should know.
    """

    version: int
    dim: tuple[int, ...]
    offset: int
    pixdim: tuple[float, ...]
    notes: tuple[str, ...]


def is_packed(path: Path) -> bool:
    """Whether the file is packed by gzip, as its name says."""
    return path.name.lower().endswith(".gz")


def check(path: Path) -> Start:
    """Refuse sizes, offsets and extensions that cannot be.

    Raises
    ------
    ValueError
        What is wrong, without the file.
    """
    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    opener: Callable[..., Any] = gzip.open if is_packed(path) else open
    with opener(path, "rb") as f:
        start = bytes(f.read(544))
        second, sign = _version(start)
        dim = struct.unpack_from(f"{sign}8q" if second else f"{sign}8h", start, 16 if second else 40)
        offset, slope, inter, qfac = _numbers(start, second, sign)
        least = 544 if second else 352
        magic = start[4:12] if second else start[344:348]
        if magic[:3] in (b"ni1", b"ni2"):
            raise ValueError(
                f"magic is {magic!r}: its voxels are in an .img file. Give that pair by its .hdr or .img name"
            )
        if not 1 <= dim[0] <= 7:
            raise ValueError(f"dim[0] is {dim[0]}, expected 1 to 7 axes")
        for axis, side in enumerate(dim[1 : dim[0] + 1], 1):
            if not 1 <= side < _MOST:
                raise ValueError(f"dim[{axis}] is {side}, expected a number of voxels")
        if not least <= offset <= _MAX_OFFSET:  # NaN is neither
            raise ValueError(
                f"vox_offset is {offset:g}, expected the byte at which the voxels begin, from {least} to {_MAX_OFFSET}"
            )
        if len(start) >= least and start[least - 4]:
            _check_extensions(f, start[least:], int(offset) - least, sign)
    if math.isinf(slope):
        raise ValueError(f"scl_slope is {slope:g}, expected a finite number")
    pixdim = struct.unpack_from(f"{sign}3d" if second else f"{sign}3f", start, 112 if second else 80)
    return Start(
        2 if second else 1, dim, int(offset), pixdim[: dim[0]], tuple(_notes(start, second, sign, slope, inter, qfac))
    )


def surplus(path: Path, start: Start, itemsize: int) -> str | None:
    """Compare the length of the file with what the header promises: fewer bytes are for the loader to refuse.

    Parameters
    ----------
    itemsize
        Bytes of a voxel.

    Returns
    -------
    str or None
        A note where a few bytes follow the voxels.

    Raises
    ------
    InputError
        If another slice follows, so that the header promises too few.
    """
    needed = start.offset + math.prod(start.dim[1 : start.dim[0] + 1]) * itemsize
    found = path.stat().st_size
    if is_packed(path):
        with path.open("rb") as f:
            f.seek(-4, 2)
            stated = int.from_bytes(f.read(4), "little")  # of the last member: the only one, in nearly all files
        found = needed + stated - needed % 2**32
        if found - needed >= slice_bytes(start, itemsize):
            return None  # damaged, or too long: who unpacks it knows
    if found <= needed:
        return None
    if found - needed >= slice_bytes(start, itemsize):
        sides = " x ".join(str(n) for n in start.dim[1 : start.dim[0] + 1])
        raise InputError(
            f"{path}: the header promises {start.offset} + {sides} x {itemsize} = {needed} bytes, the file has {found}:"
            f" at least one more slice is in it (dim is {list(start.dim)}). The header is wrong: export it again."
        )
    return f"{found - needed} bytes follow the voxels, and are left out"


def slice_bytes(start: Start, itemsize: int) -> int:
    """Bytes of one slice, the first two axes: more than so many after the voxels are no padding."""
    return math.prod(start.dim[1 : min(start.dim[0], 2) + 1]) * itemsize


def _version(start: bytes) -> tuple[bool, str]:
    if len(start) < 348:
        raise ValueError(f"it ends after {len(start)} bytes, a header has 348")
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    order = next((o for o in orders if int.from_bytes(start[:4], o) in (348, 540)), None)
    if order is None:
        raise ValueError(f"it starts with {start[:12]!r}")
    second = int.from_bytes(start[:4], order) == 540
    if second and len(start) < 540:
        raise ValueError(f"it ends after {len(start)} bytes, a NIfTI-2 header has 540")
    return second, "<" if order == "little" else ">"


def _numbers(start: bytes, second: bool, sign: str) -> tuple[float, float, float, float]:
    """vox_offset, scl_slope, scl_inter and pixdim[0]."""
    if second:
        (offset, slope, inter) = struct.unpack_from(f"{sign}qdd", start, 168)
        (qfac,) = struct.unpack_from(f"{sign}d", start, 104)
    else:
        (offset, slope, inter) = struct.unpack_from(f"{sign}fff", start, 108)
        (qfac,) = struct.unpack_from(f"{sign}f", start, 76)
    return offset, slope, inter, qfac


def _check_extensions(file: Any, begin: bytes, size: int, sign: str) -> None:
    """Walk over the extensions: a size of 0 or less would never end, or read the whole file."""
    region = (begin + file.read(max(size - len(begin), 0)))[:size]
    at = 0
    for _ in range(_MAX_EXTENSIONS):
        if size - at < 16:
            return
        if len(region) < at + 8:
            raise ValueError("it ends within its extensions")
        (esize,) = struct.unpack_from(f"{sign}i", region, at)
        if not 16 <= esize <= size - at:
            raise ValueError(
                f"an extension has a size of {esize} bytes, expected 16 to {size - at} (vox_offset is where they end)"
            )
        at += esize
    raise ValueError(f"it has more than {_MAX_EXTENSIONS} extensions")


def _notes(start: bytes, second: bool, sign: str, slope: float, inter: float, qfac: float) -> list[str]:
    kind, bits = struct.unpack_from(f"{sign}hh", start, 12 if second else 70)
    qform, sform = struct.unpack_from(f"{sign}ii" if second else f"{sign}hh", start, 344 if second else 252)
    notes = []
    if (stored := _BITS.get(kind)) is not None and stored != bits:
        notes.append(f"bitpix is {bits}, and voxels of datatype {kind} have {stored} bits: datatype was believed")
    if slope == 0 and inter != 0:
        notes.append(f"scl_slope is 0, so that nothing is scaled and scl_inter ({inter:g}) is left out")
    if math.isnan(slope):
        notes.append("scl_slope is NaN: values are taken as they are stored")
    for name, code in (("qform_code", qform), ("sform_code", sform)):
        if not 0 <= code <= _CODES:
            notes.append(f"{name} is {code}, expected 0 to {_CODES}: it was taken as 0, so that this form is not used")
    if sform <= 0 < qform and qfac not in (-1, 0, 1):
        notes.append(f"pixdim[0] is {qfac:g}, expected -1 or 1: it was taken as 1")
    return notes


_BITS = {
    2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64, 1536: 128,
    1792: 128, 2048: 256, 2304: 32,
}  # fmt: skip


def check_pixdim(path: Path, pixdim: tuple[float, ...]) -> str | None:
    """A note where sizes of a voxel that are used are negative; 0 is refused, as 1 mm would be taken.

    Parameters
    ----------
    pixdim
        As stored, of the axes that there are: nibabel mends them without a word.

    Raises
    ------
    GeometryError
        If one of them is 0.
    """
    for axis, size in enumerate(pixdim, 1):
        if size == 0:
            raise GeometryError(
                f"{path}: pixdim[{axis}] is 0, and the size of a voxel is nowhere else (no sform is given). Correct"
                " this header field."
            )
    negative = [f"pixdim[{axis}] is {size:g}" for axis, size in enumerate(pixdim, 1) if size < 0]
    return f"{', '.join(negative)}: taken without the sign" if negative else None


def pixdim_of_pair(path: Path) -> tuple[float, ...]:
    """The same of the ``.hdr`` of a pair, NIfTI or Analyze, which nibabel has opened."""
    with path.open("rb") as f:
        start = f.read(540)
    second, sign = _version(start)
    (axes,) = struct.unpack_from(f"{sign}q" if second else f"{sign}h", start, 16 if second else 40)
    found = struct.unpack_from(f"{sign}3d" if second else f"{sign}3f", start, 112 if second else 80)
    return tuple(float(v) for v in found[: max(int(axes), 0)])


def forms_disagree(
    sform: np.ndarray[Any, Any], qform: np.ndarray[Any, Any] | None, header: Any, unit_mm: float = 1.0
) -> str | None:
    """A note where sform and qform, or sform and pixdim, put voxels in other places: the sform is always believed.

    Parameters
    ----------
    sform, qform
        (4, 4) as stored; ``None`` where the header has no qform.
    header
        With ``dim``, ``pixdim`` and the codes of both forms.
    unit_mm
        Millimetres per unit of all of them.
    """
    ours = np.sqrt((np.asarray(sform, np.float64)[:3, :3] ** 2).sum(axis=0))
    theirs = np.abs(np.asarray(header["pixdim"], np.float64)[1:4])
    if not np.allclose(ours, theirs, rtol=0.01):
        spell = [" x ".join(f"{v:.6g}" for v in sides) for sides in (ours, theirs)]
        return (
            f"sform gives voxels of {spell[0]}, pixdim of {spell[1]}: the sform was believed, so that all volumes and"
            " distances are by its voxels"
        )
    if qform is None:
        return None
    last = np.maximum(np.asarray(header["dim"], np.float64)[1:4], 1) - 1
    corners = np.array(np.meshgrid(*[(0.0, n) for n in last], indexing="ij")).reshape(3, -1)
    apart = np.abs((sform - qform)[:3] @ np.vstack([corners, np.ones(8)])).max()
    if apart <= 0.1 * ours.min():
        return None
    codes = f"{int(header['sform_code'])} and {int(header['qform_code'])}"
    return (
        f"sform and qform (codes {codes}) place the corners of the volume up to {apart * unit_mm:.4g} mm apart: the"
        " sform was believed"
    )
