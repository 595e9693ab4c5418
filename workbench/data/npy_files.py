"""NumPy files: headers of ``.npy`` and ``.npz`` without their samples, and single arrays; never anything pickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]


def header_of(path: Path) -> Header:
    """Shape, Fortran order and type of a ``.npy`` file; refuses one that is cut off or holds Python objects."""
    with path.open("rb") as f:
        header = _header_at(f, str(path))
        start = f.tell()
    shape, _, dtype = header
    needed = start + int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    size = path.stat().st_size
    if size < needed:
        sides = " x ".join(str(n) for n in shape)
        raise InputError(
            f"{path}: truncated: the header promises {start} + {sides} x {dtype.itemsize} = {needed} bytes, found"
            f" {size}. Copy or save it again."
        )
    return header


def _header_at(f: Any, what: str) -> Header:
    try:
        version = np.lib.format.read_magic(f)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(f)
        if any(n < 0 for n in shape):
            raise ValueError(f"its header says shape {shape}")
    except Exception as error:  # damaged files: numpy's parser, the tokenizer and zlib raise many kinds
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{what}: not a readable NumPy array ({reason}). Save it with numpy.save.") from error
    if dtype.hasobject:
        raise InputError(
            f"{what}: holds Python objects, which would have to be executed to be read. Save plain numbers instead"
            " (array.astype(float))."
        )
    return tuple(int(n) for n in shape), bool(fortran), dtype


def members_of(path: Path) -> dict[str, Header]:
    """Headers of the arrays of a ``.npz`` file, by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for entry in archive.infolist():
                if entry.filename.endswith(".npy"):
                    name = entry.filename[:-4]
                    with archive.open(entry) as f:
                        try:
                            found[name] = _header_at(f, f"{path}:{name}")
                        except InputError:
                            if len(archive.infolist()) == 1:
                                raise
            return found
    except InputError:
        raise
    except Exception as error:  # damaged archives: zipfile raises many kinds
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not a readable .npz file ({reason}). Save it again with numpy.savez.") from error


def load_member(path: Path, name: str) -> npt.NDArray[Any]:
    """One array of a ``.npz`` file; nothing pickled is read."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as f:
        try:
            return np.asarray(np.lib.format.read_array(f, allow_pickle=False))
        except Exception as error:
            reason = " ".join(str(error).split())[:120]
            raise InputError(f"{path}:{name}: cannot be read ({reason}). Save it again.") from error
