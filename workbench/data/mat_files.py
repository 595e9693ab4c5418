"""What is in a MATLAB file: numeric arrays with name, shape and type, without reading them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reading, reason
from workbench.data import mat5


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

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _entries(self) -> list[mat5.Entry]:
        try:
            return mat5.entries(self.path)
        except mat5.Damaged as error:
            raise InputError(
                f"{self.path}: not a readable MATLAB file ({error}). Save it again, e.g. with save -v7."
            ) from error

    @cached_property
    def variables(self) -> list[Variable]:
        return [Variable(e.name, e.shape, e.dtype) for e in self._entries if e.dtype is not None]

    def words(self, count: int) -> list[str] | None:
        """The only cell array of `count` texts: names of classes or end members, a leading ``"3-"`` removed."""
        cells = [e for e in self._entries if e.kind == 1 and sorted(e.shape) == [1, count]]
        if len(cells) != 1:
            return None
        try:
            found = mat5.texts(self.path, cells[0])
        except mat5.Damaged:  # names are a courtesy: without them the file still has its numbers
            return None
        plain = [re.sub(r"^\d+\s*[-_:.]\s*", "", " ".join(t.split())) for t in found]
        return plain if len(plain) == count and all(plain) else None

    def array(self, name: str) -> npt.NDArray[Any]:
        entry = next(e for e in self._entries if e.name == name)
        if entry.complex:
            raise InputError(f"{self.path}: '{name}' holds complex numbers, real ones were expected. Save abs(...).")
        try:
            return mat5.numbers(self.path, entry)
        except mat5.Damaged as error:
            raise InputError(f"{self.path}: array '{name}' cannot be read ({error}). Save the file again.") from error

    def scalar(self, name: str) -> float:
        return _first(self.array(name))


class Hdf5Store:
    """MATLAB 7.3: HDF5, read by hyperslabs; axes come in MATLAB's order here."""

    version = "7.3"

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _file(self) -> Any:
        h5py: Any = importlib.import_module("h5py")
        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            raise InputError(
                f"{self.path}: not a readable MATLAB 7.3 file ({reason(error)}). Save it again."
            ) from error

    @cached_property
    def variables(self) -> list[Variable]:
        try:
            return list(self._arrays())
        except (RuntimeError, OSError, KeyError, ValueError) as error:
            raise InputError(f"{self.path}: the list of arrays is damaged ({reason(error)}). Save it again.") from error

    def _arrays(self) -> Iterator[Variable]:
        h5py: Any = importlib.import_module("h5py")
        for name in self._file:
            # A link may lead out of this file: only what is inside is taken.
            if not isinstance(name, str) or name.startswith("#"):
                continue
            if not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
                continue
            item = self._file[name]
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu" or item.is_virtual or item.external:
                continue
            if item.attrs.get("MATLAB_class", b"double") in (b"char", b"cell") or item.attrs.get("MATLAB_empty", 0):
                continue
            if all(n > 0 for n in item.shape):
                yield Variable(str(name), tuple(reversed(item.shape)), item.dtype.newbyteorder("="))

    def words(self, count: int) -> list[str] | None:
        """Texts are references here; they are not followed."""
        return None

    def dataset(self, name: str) -> Any:
        return self._file[name]

    def array(self, name: str) -> npt.NDArray[Any]:
        return self._read(name).T

    def scalar(self, name: str) -> float:
        return _first(self._read(name))

    def _read(self, name: str) -> npt.NDArray[Any]:
        with reading_samples(self.path):
            return np.asarray(self._file[name])


def reading_samples(path: object) -> AbstractContextManager[None]:
    """Around reads of samples by h5py, which checks them only then."""
    return reading(path, "the samples cannot be read", "Save it again.")


def _first(values: npt.NDArray[Any]) -> float:
    return float(values.ravel()[0]) if values.size else float("nan")
