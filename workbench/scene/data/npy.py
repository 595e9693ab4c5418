"""NumPy cubes: ``.npy`` mapped, ``.npz`` by the name of the array; never anything pickled.

An array with three axes is ``rows x columns x bands``, unless the list of wavelengths (in the ``.npz``, or in a file
beside) fits the first axis and not the last; ``file.npy:bands-first`` and ``file.npy:bands-last`` say it outright. One
with two axes is a map of one band.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, nearest
from workbench.core.types import Image
from workbench.data.found import spare_note
from workbench.data.geometry import check_size
from workbench.data.npy_files import Header, header_of, load_member, mapped, members_of, spare_bytes
from workbench.scene.data.scene import Blocks, from_array, make_image
from workbench.scene.data.wavelength_file import BandList, believed, checked, in_nm, wavelengths_beside

SUFFIXES = (".npy", ".npz")

_ORDERS = {"bands-first": 0, "bands-last": 2}
_WAVELENGTHS = ("wavelengths_nm", "wavelengths", "wavelength")


def read(path: Path, key: str | None = None, *, as_map: bool = False) -> Image:
    """Open a ``.npy`` or ``.npz`` file: shape and type now, samples when asked for.

    Parameters
    ----------
    key
        Name of an array of the ``.npz``, or ``bands-first`` or ``bands-last`` for a ``.npy``.
    as_map
        Of several arrays, the one with two axes is looked for.

    Raises
    ------
    InputError
        If the file holds Python objects, is cut off, or has no array with two or three axes, or several.
    """
    packed = path.suffix.lower() == ".npz"
    order = None if packed or key is None else _order(path, key)
    name, header = _choose(path, key, as_map) if packed else ("", header_of(path))
    stored, _, dtype = header
    what = f"{path}:{name}" if packed else str(path)
    if dtype.kind not in "biuf":
        raise InputError(f"{what}: samples of type {dtype}, real numbers were expected.")
    if len(stored) not in (2, 3) or min(stored) < 1:
        raise InputError(f"{what}: shape {stored}, expected rows x columns x bands, or rows x columns for a map.")
    wavelengths = _inside(path) if packed else None
    axis = order if order is not None else _bands_axis(path, stored, wavelengths)
    shape = _shape(stored, axis)
    spare = 0 if packed else spare_bytes(path)
    if packed:
        check_size(shape[1:], shape[0], dtype, path)
    return make_image(
        path,
        format="npy",
        shape=shape,
        dtype=_native(dtype),
        open=partial(_open, path, name, axis, header),
        header={"key": name or None, "stored_shape": list(stored), "stored_dtype": dtype.name},
        bands_beside=_band_list(path, shape[0], wavelengths),
        notes=(spare_note(path.name, spare),) if spare else (),
    )


def _order(path: Path, key: str) -> int:
    if key not in _ORDERS:
        raise InputError(f"{path}: ':{key}' is not understood for .npy.{nearest(key, _ORDERS)}")
    return _ORDERS[key]


def _choose(path: Path, key: str | None, as_map: bool) -> tuple[str, Header]:
    members = members_of(path)
    listing = ", ".join(f"{n} ({' x '.join(map(str, h[0])) or 'scalar'} {h[2]})" for n, h in members.items())
    listing = "".join(c if c.isprintable() else "?" for c in listing)
    if key is not None:
        if key not in members:
            raise InputError(f"{path}: no array '{key}' in it.{nearest(key, members)}")
        return key, members[key]
    numeric = {n: h for n, h in members.items() if h[2].kind in "biuf" and h[0] and min(h[0]) > 1}
    for axes in (2, 3) if as_map else (3, 2):
        fitting = [n for n, h in numeric.items() if len(h[0]) == axes]
        if len(fitting) > 1:
            raise InputError(f"{path}: holds several arrays: {listing}. Name one: {path.name}:{fitting[0]}")
        if fitting:
            return fitting[0], members[fitting[0]]
    raise InputError(f"{path}: no array with two or three axes in it; it holds {listing or 'nothing'}.")


def _inside(path: Path) -> list[float] | None:
    """Wavelengths that the ``.npz`` holds itself."""
    members = members_of(path)
    for name in _WAVELENGTHS:
        if name in members and len(members[name][0]) == 1 and 1 < members[name][0][0] < 100_000:
            what = f"{path}:{name}"
            if members[name][2].kind not in "fiu":
                raise InputError(f"{what}: holds {members[name][2]}, wavelengths are numbers. Correct or remove it.")
            return in_nm(checked([float(v) for v in load_member(path, name)], what))
    return None


def _bands_axis(path: Path, stored: tuple[int, ...], inside: list[float] | None) -> int:
    if len(stored) == 2:
        return -1
    if stored[0] != stored[2]:
        if inside is not None:
            return 0 if len(inside) == stored[0] else 2
        try:
            wavelengths_beside(path, stored[2])
        except InputError:
            if wavelengths_beside(path, stored[0]) is not None:
                return 0
    return 2


def _shape(stored: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    if len(stored) == 2:
        return (1, stored[0], stored[1])
    return stored if axis == 0 else (stored[2], stored[0], stored[1])  # type: ignore[return-value]


def _band_list(path: Path, bands: int, inside: list[float] | None) -> BandList | None:
    if bands == 1:
        return None
    if inside is not None:
        return believed(BandList(inside), path, path.name) if len(inside) == bands else None
    return wavelengths_beside(path, bands)


def _open(path: Path, name: str, axis: int, header: Header) -> Blocks:
    if not name:
        return Blocks(_shape(header[0], axis), _native(header[2]), partial(_mapped_block, path, axis))
    return from_array(_arranged(load_member(path, name), axis), _native(header[2]))


def _mapped_block(path: Path, axis: int, rows: slice, columns: slice, bands: slice) -> npt.NDArray[Any]:
    # Mapped anew for each block: the pages of earlier blocks do not pile up in the memory of this process.
    return np.array(_arranged(mapped(path), axis)[bands, rows, columns])


def _arranged(array: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    return array[None] if array.ndim == 2 else array if axis == 0 else array.transpose(2, 0, 1)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.uint8) if dtype == np.bool_ else dtype.newbyteorder("=")
