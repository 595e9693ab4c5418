"""Does an ENVI header fit its file? Sizes with the arithmetic and the fitting header; byte order by the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reason
from workbench.data.companion import require_regular
from workbench.data.found import FEW
from workbench.scene.data.envi_header import DATA_TYPES, type_number

_NAMES = {1: "uint8", 2: "int16", 3: "int32", 4: "float32", 5: "float64", 12: "uint16", 13: "uint32", 14: "int64"}


def check_file_size(data: Path, header: Path, shape: tuple[int, int, int], stored: np.dtype[Any], offset: int) -> int:
    """Refuse a file whose size is not what its header says; a few bytes too many are tolerated and counted.

    Returns
    -------
    int
        Bytes after the last promised sample, at most `workbench.data.found.FEW`.

    Raises
    ------
    InputError
        With the arithmetic, and the changes of the header that would make it fit the file.
    """
    bands, lines, samples = shape
    needed = offset + bands * lines * samples * stored.itemsize
    require_regular(data)
    try:
        size = data.stat().st_size
    except OSError as error:
        raise InputError(f"{data}: the samples cannot be read ({reason(error)}). Copy the file again.") from error
    if needed <= size <= needed + FEW:
        return size - needed
    terms = f"{offset} + " if offset else ""
    raise InputError(
        f"{data}: the file has {size} bytes, its header {header.name} promises {terms}{samples} samples x {lines} lines"
        f" x {bands} bands x {stored.itemsize} bytes = {needed}. {_advice(size, shape, stored, offset)}"
    )


def _advice(size: int, shape: tuple[int, int, int], stored: np.dtype[Any], offset: int) -> str:
    found = fitting(size, shape, stored, offset)
    if found:
        return f"It would fit with {', or '.join(found)}; set what is true."
    bands, lines, samples = shape
    line = bands * samples * stored.itemsize
    if 0 < size - offset < bands * lines * samples * stored.itemsize:
        return (
            f"It holds {(size - offset) / line:.2f} lines: copying or recording stopped. Copy it again, or cut it to"
            f" {offset + (size - offset) // line * line} bytes and set lines = {(size - offset) // line} (bil, bip)."
        )
    return "No change of a single field makes it fit: this header belongs to another file."


def fitting(size: int, shape: tuple[int, int, int], stored: np.dtype[Any], offset: int) -> list[str]:
    """Single changes of the header under which a file of `size` bytes fits, most likely first."""
    bands, lines, samples = shape
    sides = {"samples": samples, "lines": lines, "bands": bands}
    number = samples * lines * bands
    found: list[str] = []
    body = size - offset
    if body > 0 and body % number == 0:
        for code in DATA_TYPES:
            dtype = np.dtype(DATA_TYPES[code])
            if dtype.itemsize == body // number and code in _NAMES and code != type_number(stored.newbyteorder("=")):
                found.append(f"data type = {code} ({_NAMES[code]})")
    plain = number * stored.itemsize
    if size >= plain and size - plain != offset and size - plain <= max(65536, plain // 100):
        found.insert(0, f"header offset = {size - plain}")
    for key in ("lines", "bands", "samples"):
        other = number // sides[key] * stored.itemsize
        if body > 0 and body % other == 0:
            found.append(f"{key} = {body // other}")
    return found[:5]


def check_plausible(mapped: npt.NDArray[Any], header: Path) -> None:
    """Refuse samples that make sense only in the other byte order, looking at a few thousand of them.

    Nothing is swapped silently, and only overwhelming evidence is taken: floats that are absurd as read and ordinary
    when swapped; whole numbers that jump from band to band as read and are smooth when swapped.

    Parameters
    ----------
    mapped
        ``(bands, rows, columns)`` in the stored type.
    """
    dtype = mapped.dtype
    if dtype.itemsize == 1:
        return
    probe = _probe(mapped)
    swapped = probe.byteswap()
    wrong = _float_is_swapped(probe, swapped) if dtype.kind == "f" else _int_is_swapped(probe, swapped)
    if not wrong:
        return
    big = dtype.str.startswith(">")
    raise InputError(
        f"{header}: byte order = {int(big)} gives samples from {_range(probe)}, byte order = {int(not big)} would give"
        f" {_range(swapped)}. Set byte order = {int(not big)}, or correct 'data type' or 'header offset'."
    )


def _probe(mapped: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A few runs of neighbouring spectra (n, bands) from rows all over the scene."""
    bands, rows, columns = mapped.shape
    picked = np.unique(np.linspace(0, rows - 1, 5).astype(int))
    middle = max(0, columns // 2 - 16)
    width = min(columns, 32)
    step = max(1, bands // 256)
    parts = [np.asarray(mapped[::step, r, middle : middle + width]).T for r in picked]
    return np.ascontiguousarray(np.concatenate(parts))


def _float_is_swapped(probe: npt.NDArray[Any], swapped: npt.NDArray[Any]) -> bool:
    return _absurd(probe) > 0.1 and _absurd(swapped) < 0.001


def _int_is_swapped(probe: npt.NDArray[Any], swapped: npt.NDArray[Any]) -> bool:
    # The Jasper Ridge scene: 0.04 in its own order, 0.6 in the other.
    rough, smooth = _roughness(probe), _roughness(swapped)
    return rough > 0.4 and 0.0 < smooth < rough / 4


def _absurd(values: npt.NDArray[Any]) -> float:
    """Share of the samples, zeros left out, that no instrument gives."""
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(values.astype(np.float64))
        nonzero = size != 0
        bad = ~np.isfinite(size) | (size > 1e20) | (size < 1e-20)
    count = int(nonzero.sum())
    return float((bad & nonzero).sum() / count) if count else 0.0


def _roughness(values: npt.NDArray[Any]) -> float:
    """Mean step from sample to neighbouring sample, relative to the spread: about 1.1 for noise, near 0 for spectra."""
    v = values.astype(np.float64)
    spread = float(v.std())
    axis = 1 if v.shape[1] > 4 else 0
    return float(np.abs(np.diff(v, axis=axis)).mean() / spread) if spread > 0 and v.shape[axis] > 1 else 0.0


def _range(values: npt.NDArray[Any]) -> str:
    with np.errstate(invalid="ignore"):
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "NaN"
