"""NumPy files: headers of ``.npy`` and ``.npz`` without their samples, and single arrays; never anything pickled.

What a header promises is held against the length of the file before memory is taken. A member of a ``.npz`` is read to
its end, where its checksum (CRC32) and length are compared.
"""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import PARSING, InputError, reading
from workbench.data.companion import require_regular
from workbench.data.found import FEW, Damaged
from workbench.data.geometry import MAX_BYTES, MAX_DEFLATE_RATIO

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]


class _Objects(InputError):
    """An array of Python objects, which is left alone."""


# NumPy parses a header as Python text; zipfile passes on what its decompressors raise.
_DAMAGED = (*PARSING, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, lzma.LZMAError)
_MOST_MEMBERS = 4096
_MOST_AXES = 32


def header_of(path: Path) -> Header:
    """Shape, Fortran order and type of a ``.npy`` file; refuses one that is cut off or holds Python objects.

    A few bytes after the array are tolerated (see `spare_bytes`), more are refused: the array is shorter than it was,
    or others follow that nobody would see.
    """
    header, start, size = _promised(path)
    shape, _, dtype = header
    needed = start + math.prod(shape) * dtype.itemsize
    sides = " x ".join(str(n) for n in shape)
    if size < needed:
        raise Damaged(
            f"{path}: truncated: the header promises {start} + {sides} x {dtype.itemsize} = {needed} bytes, found"
            f" {size}. Copy or save it again."
        )
    if size > needed + FEW:
        raise InputError(
            f"{path}: the header promises {start} + {sides} x {dtype.itemsize} = {needed} bytes, the file goes on to"
            f" {size}. Save one array per file, or several with numpy.savez."
        )
    return header


def spare_bytes(path: Path) -> int:
    """How many bytes follow after the array of a ``.npy`` file."""
    (shape, _, dtype), start, size = _promised(path)
    return size - start - math.prod(shape) * dtype.itemsize


def mapped(path: Path) -> npt.NDArray[Any]:
    """The array of a ``.npy`` file, mapped into memory: nothing is read, nothing pickled is executed."""
    header_of(path)
    with reading(path, "the samples cannot be read", "Copy or save it again.", kinds=_DAMAGED):
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _promised(path: Path) -> tuple[Header, int, int]:
    """Header, where the samples begin, and the size of the file."""
    require_regular(path)
    with (
        reading(path, "not a readable NumPy array", "Save it with numpy.save.", kinds=(OSError,)),
        path.open("rb") as f,
    ):
        header = _header_at(f, str(path))
        return header, f.tell(), path.stat().st_size


def _header_at(f: Any, what: str) -> Header:
    with reading(what, "not a readable NumPy array", "Save it with numpy.save.", kinds=_DAMAGED):
        version = np.lib.format.read_magic(f)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        try:
            shape, fortran, dtype = read_header(f)
        except MemoryError as error:  # Python's parser on brackets within brackets; NumPy takes 10,000 letters at most
            raise ValueError("its header is nested too deeply") from error
    if any(n < 0 for n in shape) or len(shape) > _MOST_AXES:
        sides = f"shape {shape}" if len(shape) <= _MOST_AXES else f"{len(shape)} axes"
        raise InputError(f"{what}: not a readable NumPy array (its header says {sides}). Save it with numpy.save.")
    if dtype.hasobject:
        raise _Objects(
            f"{what}: holds Python objects, which would have to be executed to be read. Save plain numbers instead"
            " (array.astype(float))."
        )
    return tuple(int(n) for n in shape), bool(fortran), dtype


def members_of(path: Path) -> dict[str, Header]:
    """Headers of the arrays of a ``.npz`` file, by name; arrays of Python objects are passed over."""
    found = {}
    with _archive(path) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_MEMBERS:
            raise InputError(
                f"{path}: {len(entries)} members, at most {_MOST_MEMBERS} were expected. Save fewer arrays."
            )
        for entry in entries:
            if entry.filename.endswith(".npy"):
                name = entry.filename[:-4]
                if name in found:
                    raise InputError(f"{path}: holds two arrays of the name {name!r}. Save each under its own.")
                with _member(path, archive, entry) as f:
                    try:
                        found[name] = _header_at(f, f"{path}:{name}")
                    except _Objects:
                        if len(entries) == 1:
                            raise
    return found


def load_member(path: Path, name: str) -> npt.NDArray[Any]:
    """One array of a ``.npz`` file, its checksum compared; nothing pickled is read."""
    what = f"{path}:{name}"
    with _archive(path) as archive:
        with reading(what, "cannot be read", "Save it again.", kinds=_DAMAGED):
            entry = archive.getinfo(f"{name}.npy")
        with _member(path, archive, entry) as f:
            shape, _, dtype = _header_at(f, what)
            needed = f.tell() + math.prod(shape) * dtype.itemsize
        _check_room(what, entry, needed)
        with _member(path, archive, entry) as f, reading(what, "cannot be read", "Save it again.", kinds=_DAMAGED):
            array = np.asarray(np.lib.format.read_array(f, allow_pickle=False))
            rest = f.read(1)  # at the end the checksum is compared
        if rest:
            raise InputError(f"{what}: damaged: its member goes on after the array. Save it again.")
    return array


def _check_room(what: str, entry: zipfile.ZipInfo, needed: int) -> None:
    """Refuse a member that is not as long as its array, or cannot be, before memory is taken for it."""
    if needed != entry.file_size or needed > MAX_BYTES:
        raise InputError(
            f"{what}: its header promises {needed} bytes, the archive says {entry.file_size}. The file is damaged: save"
            " it again."
        )
    if entry.compress_type == zipfile.ZIP_DEFLATED and needed > entry.compress_size * MAX_DEFLATE_RATIO:
        raise InputError(
            f"{what}: {entry.compress_size} packed bytes cannot hold the {needed} that its header promises. The file is"
            " damaged: save it again."
        )


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    require_regular(path)
    with reading(path, "not a readable .npz file", "Save it again with numpy.savez.", kinds=_DAMAGED):
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


def _member(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    with reading(path, "not a readable .npz file", "Save it again with numpy.savez.", kinds=_DAMAGED):
        return archive.open(entry)
