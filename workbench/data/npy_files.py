"""NumPy files: headers of ``.npy`` and ``.npz`` without their samples, and single arrays; never anything pickled."""

from __future__ import annotations

import lzma
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, InputError, reading

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]

# NumPy parses a header as Python text; zipfile passes on what its decompressors raise.
_DAMAGED = (*PARSING, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, lzma.LZMAError)


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
    with reading(what, "not a readable NumPy array", "Save it with numpy.save.", kinds=_DAMAGED):
        version = np.lib.format.read_magic(f)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(f)
    if any(n < 0 for n in shape):
        raise InputError(
            f"{what}: not a readable NumPy array (its header says shape {shape}). Save it with numpy.save."
        )
    if dtype.hasobject:
        raise InputError(
            f"{what}: holds Python objects, which would have to be executed to be read. Save plain numbers instead"
            " (array.astype(float))."
        )
    return tuple(int(n) for n in shape), bool(fortran), dtype


def members_of(path: Path) -> dict[str, Header]:
    """Headers of the arrays of a ``.npz`` file, by name."""
    found = {}
    with _archive(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            if entry.filename.endswith(".npy"):
                name = entry.filename[:-4]
                with _member(path, archive, entry) as f:
                    try:
                        found[name] = _header_at(f, f"{path}:{name}")
                    except InputError:
                        if len(entries) == 1:
                            raise
    return found


def load_member(path: Path, name: str) -> npt.NDArray[Any]:
    """One array of a ``.npz`` file; nothing pickled is read."""
    with (
        _archive(path) as archive,
        _member(path, archive, f"{name}.npy") as f,
        reading(f"{path}:{name}", "cannot be read", "Save it again.", kinds=_DAMAGED),
    ):
        return np.asarray(np.lib.format.read_array(f, allow_pickle=False))


def _archive(path: Path) -> zipfile.ZipFile:
    with reading(path, "not a readable .npz file", "Save it again with numpy.savez.", kinds=_DAMAGED):
        return zipfile.ZipFile(path)


def _member(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo | str) -> IO[bytes]:
    with reading(path, "not a readable .npz file", "Save it again with numpy.savez.", kinds=_DAMAGED):
        return archive.open(entry)
