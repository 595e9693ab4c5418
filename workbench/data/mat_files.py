"""What is in a MATLAB file: numeric arrays with name, shape and type, without reading them."""

from __future__ import annotations

import importlib
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.data.mat import _CLASSES, Variable
from workbench.errors import InputError


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
    return Hdf5Store(path) if start[512:520] == magic or start[:8] == magic else OldStore(path)


class OldStore:
    """MATLAB 4 to 7: arrays are packed one by one, so an array is read as a whole."""

    version = "5"

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def variables(self) -> list[Variable]:
        io: Any = importlib.import_module("scipy.io")
        try:
            rows = io.whosmat(str(self.path))
        except Exception as error:  # scipy raises many kinds on damaged files
            raise InputError(
                f"{self.path}: not a readable MATLAB file ({_short(error)}). Save it again, e.g. with save -v7."
            ) from error
        return [
            Variable(n, tuple(int(s) for s in shape), np.dtype(_CLASSES[c])) for n, shape, c in rows if c in _CLASSES
        ]

    def words(self, count: int) -> list[str] | None:
        """The only cell array of `count` texts: names of classes or end members, a leading ``"3-"`` removed."""
        io: Any = importlib.import_module("scipy.io")
        cells = [n for n, shape, kind in io.whosmat(str(self.path)) if kind == "cell" and sorted(shape) == [1, count]]
        if len(cells) != 1:
            return None
        try:
            found = [np.asarray(v).ravel() for v in io.loadmat(str(self.path), variable_names=cells)[cells[0]].ravel()]
        except Exception:  # names are a courtesy: a file whose cells scipy cannot read still has its numbers
            return None
        texts = [str(v[0]) if v.size == 1 and v.dtype.kind == "U" else "" for v in found]
        return [re.sub(r"^\d+\s*[-_:.]\s*", "", t).strip() for t in texts] if all(texts) else None

    def array(self, name: str) -> npt.NDArray[Any]:
        io: Any = importlib.import_module("scipy.io")
        variable = next(v for v in self.variables if v.name == name)
        try:
            found = io.loadmat(str(self.path), variable_names=[name])[name]
        except Exception as error:
            raise InputError(
                f"{self.path}: array '{name}' cannot be read ({_short(error)}). Save the file again."
            ) from error
        if found.dtype.kind == "c":
            raise InputError(f"{self.path}: '{name}' holds complex numbers, real ones were expected. Save abs(...).")
        if found.shape != variable.shape:
            raise InputError(f"{self.path}: '{name}' has shape {found.shape}, its header says {variable.shape}.")
        return np.asarray(found)

    def scalar(self, name: str) -> float:
        return float(np.asarray(self.array(name), dtype=np.float64).ravel()[0])


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
                f"{self.path}: not a readable MATLAB 7.3 file ({_short(error)}). Save it again."
            ) from error

    @cached_property
    def variables(self) -> list[Variable]:
        h5py: Any = importlib.import_module("h5py")
        found = []
        for name in self._file:
            # A link may lead out of this file: only what is inside is taken.
            if name.startswith("#") or not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
                continue
            item = self._file[name]
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu" or item.is_virtual or item.external:
                continue
            if item.attrs.get("MATLAB_class", b"double") in (b"char", b"cell") or item.attrs.get("MATLAB_empty", 0):
                continue
            found.append(Variable(str(name), tuple(reversed(item.shape)), item.dtype.newbyteorder("=")))
        return found

    def words(self, count: int) -> list[str] | None:
        """Texts are references here; they are not followed."""
        return None

    def dataset(self, name: str) -> Any:
        return self._file[name]

    def array(self, name: str) -> npt.NDArray[Any]:
        return np.asarray(self._file[name]).T

    def scalar(self, name: str) -> float:
        return float(np.asarray(self._file[name], dtype=np.float64).ravel()[0])


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
