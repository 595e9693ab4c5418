"""What is in a MATLAB file: numeric arrays with name, shape and type, without reading them."""

from __future__ import annotations

import importlib
import math
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reading
from workbench.data import mat5
from workbench.data.companion import require_regular
from workbench.data.hdf5_chunks import Chunks, chunks_of, reading_samples, require_all, slab

_MOST_NAMES = 65536
_MOST_AXES = 32


@dataclass(frozen=True)
class Variable:
    """One numeric array of the file: its name, MATLAB's shape and its type."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        # Damaged files have names that would break the line of an error.
        name = "".join(c if c.isprintable() else "?" for c in self.name)
        return f"{name} ({' x '.join(str(n) for n in self.shape)} {self.dtype.name})"


def open_store(path: Path) -> OldStore | Hdf5Store:
    """The store for the version of the file, told by its first bytes.

    Raises
    ------
    InputError
        If it is not a MATLAB file.
    """
    require_regular(path)
    try:
        with path.open("rb") as f:
            start = f.read(520)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Give yourself read permission.") from error
    magic = b"\x89HDF\r\n\x1a\n"
    if start[512:520] == magic or start[:8] == magic:
        return Hdf5Store(path)
    if len(start) > 4 and mat5.order_of(start) is None and 0 in start[:4]:
        raise InputError(f"{path}: a MATLAB 4 file, or none at all. Save it again, e.g. with save -v7.")
    return OldStore(path)


class OldStore:
    """MATLAB 5 to 7: arrays are packed one by one, so an array is read as a whole."""

    version = "5"
    passed_over = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _entries(self) -> list[mat5.Entry]:
        advice = "Save it again, e.g. with save -v7."
        with reading(self.path, "not a readable MATLAB file", advice, kinds=(mat5.Damaged, OSError)):
            return mat5.entries(self.path)

    @cached_property
    def variables(self) -> list[Variable]:
        return [Variable(e.name, e.shape, e.dtype) for e in self._entries if e.dtype is not None]

    @property
    def structures(self) -> dict[str, frozenset[str]]:
        """Names of the fields of each structure."""
        return {e.name: frozenset(e.fields) for e in self._entries if e.fields}

    def words(self, count: int) -> list[str] | None:
        """The only cell array of `count` texts: names of classes or end members, a leading ``"3-"`` removed."""
        cells = [e for e in self._entries if e.kind == 1 and sorted(e.shape) == [1, count]]
        if len(cells) != 1:
            return None
        with self._reading(cells[0].name):
            found = mat5.texts(self.path, cells[0])
        plain = [re.sub(r"^\d+\s*[-_:.]\s*", "", " ".join(t.split())) for t in found]
        return plain if len(plain) == count and all(plain) else None

    def array(self, name: str) -> npt.NDArray[Any]:
        entry = self._by_name[name]
        if entry.complex:
            raise InputError(f"{self.path}: '{name}' holds complex numbers, real ones were expected. Save abs(...).")
        with self._reading(name):
            return mat5.numbers(self.path, entry)

    @cached_property
    def _by_name(self) -> dict[str, mat5.Entry]:
        return {e.name: e for e in reversed(self._entries)}

    def _reading(self, name: str) -> AbstractContextManager[None]:
        found = f"array '{name}' cannot be read"
        return reading(self.path, found, "Save the file again.", kinds=(mat5.Damaged, OSError))

    def scalar(self, name: str) -> float:
        return _first(self.array(name))


class Hdf5Store:
    """MATLAB 7.3: HDF5, read by hyperslabs; axes come in MATLAB's order here."""

    version = "7.3"

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def file(self) -> Any:
        """Of h5py."""
        h5py: Any = importlib.import_module("h5py")
        with reading(self.path, "not a readable MATLAB 7.3 file", "Save it again."):
            return h5py.File(self.path, "r")

    @cached_property
    def variables(self) -> list[Variable]:
        damaged = ("the list of arrays is damaged", "Save it again.")
        with reading(self.path, *damaged):
            names = list(islice(self.file, _MOST_NAMES + 1))
        if len(names) > _MOST_NAMES:
            raise InputError(f"{self.path}: more than {_MOST_NAMES} arrays. The file is damaged: save it again.")
        found = []
        for name in names:
            if not isinstance(name, str) or not name.isprintable():
                raise InputError(f"{self.path}: {damaged[0]} (the name {name!r} is no text). Save it again.")
            if name.startswith("#"):  # MATLAB's own
                continue
            with reading(self.path, *damaged):
                stored = _stored(self.file, name)
            if stored is not None and stored.is_numbers:
                require_whole(self.path, name, stored)
                found.append(Variable(name, tuple(reversed(stored.shape)), stored.dtype.newbyteorder("=")))
        return found

    @property
    def structures(self) -> dict[str, frozenset[str]]:
        """Names of the fields of each structure."""
        with reading(self.path, "the list of structures is damaged", "Save it again."):
            names = [n for n in islice(self.file, _MOST_NAMES) if not n.startswith("#")]
            groups = [n for n in names if self.file.get(n, getclass=True, getlink=False).__name__ == "Group"]
            return {n: frozenset(islice(self.file[n], _MOST_NAMES)) for n in groups}

    @cached_property
    def passed_over(self) -> str:
        """What else is in the file and why it was not taken, for the end of a sentence."""
        with reading(self.path, "the list of arrays is damaged", "Save it again."):
            why = ((name, _why_not(self.file, name)) for name in self.file if not name.startswith("#"))
            return "".join(f", '{name}' is {reason}" for name, reason in islice((w for w in why if w[1]), 3))

    def words(self, count: int) -> list[str] | None:
        """Texts are references here; they are not followed."""
        return None

    def dataset(self, name: str) -> Any:
        with reading(self.path, f"array '{name}' cannot be read", "Save it again."):
            return self.file[name]

    def array(self, name: str) -> npt.NDArray[Any]:
        return self._read(name).T

    def scalar(self, name: str) -> float:
        return _first(self._read(name))

    def _read(self, name: str) -> npt.NDArray[Any]:
        dataset = self.dataset(name)
        if dataset.ndim:
            return slab(dataset, *[slice(None)] * dataset.ndim)
        with reading_samples(self.path):
            return np.asarray(dataset)


@dataclass(frozen=True)
class _Stored:
    """What HDF5 says of an array, as plain values; how it lies in the file where `layout` says so."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    matlab_class: Any
    empty: Any
    layout: Literal["compact", "contiguous", "chunked"]
    bytes: int
    end: int
    chunks: Chunks | None = None

    @property
    def is_numbers(self) -> bool:
        """Numbers, and at least one."""
        of_text = isinstance(self.matlab_class, bytes) and bytes(self.matlab_class) in (b"char", b"cell")
        is_empty = isinstance(self.empty, np.integer | int) and self.empty != 0
        return self.dtype.kind in "fiu" and all(n > 0 for n in self.shape) and not of_text and not is_empty


def _why_not(file: Any, name: str) -> str:
    """Why an array cannot be taken; empty where it can, or where it is a group of others."""
    h5py: Any = importlib.import_module("h5py")
    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        return "a link to another file" if isinstance(link, h5py.ExternalLink) else "a link to another name"
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        return ""
    if item.is_virtual or item.external:
        return "an array whose samples lie in another file"
    if item.dtype.kind in "Vc":
        return "an array of compound values or complex numbers"
    return "an array of lists or texts of any length" if item.dtype.kind == "O" else ""


def _stored(file: Any, name: str) -> _Stored | None:
    """An array of this file; ``None`` for all else, and for what leads out of the file."""
    h5py: Any = importlib.import_module("h5py")
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    return stored_of(file[name])


def stored_of(item: Any) -> _Stored | None:
    h5py: Any = importlib.import_module("h5py")
    if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external or item.shape is None:
        return None
    made = item.id.get_create_plist()
    layouts = {h5py.h5d.COMPACT: "compact", h5py.h5d.CONTIGUOUS: "contiguous", h5py.h5d.CHUNKED: "chunked"}
    layout: Any = layouts[made.get_layout()]
    start = item.id.get_offset() if layout == "contiguous" else None
    size = int(item.id.get_storage_size())
    return _Stored(
        tuple(int(n) for n in item.shape),
        item.dtype,
        item.attrs.get("MATLAB_class"),
        item.attrs.get("MATLAB_empty", 0),
        layout,
        size if layout != "contiguous" or start is not None else 0,
        0 if start is None else int(start) + size,
        chunks_of(item) if layout == "chunked" else None,
    )


def require_whole(path: Path, name: str, stored: _Stored) -> None:
    """Refuse an array of which the file holds another number of bytes than its shape promises.

    HDF5 reads what was never written as zeros.
    """
    size = math.prod(stored.shape) * stored.dtype.itemsize
    what = f"{path}: array '{name}'"
    if len(stored.shape) > _MOST_AXES or size > 1 << 60:
        raise InputError(f"{what} of shape {stored.shape[:_MOST_AXES]}. The file is damaged: save it again.")
    if stored.chunks is None:
        if stored.bytes != size or stored.end > path.stat().st_size:
            raise InputError(
                f"{what}: its shape promises {size} bytes, the file holds {stored.bytes} up to byte {stored.end}. The"
                " file is damaged: save it again."
            )
        return
    require_all(path, name, stored.shape, stored.dtype.itemsize, stored.chunks)


def _first(values: npt.NDArray[Any]) -> float:
    return float(values.ravel()[0]) if values.size else float("nan")
