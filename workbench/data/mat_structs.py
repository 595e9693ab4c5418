"""Structures of MATLAB files as plain values: what is asked for of them, and nothing that leads out of the file.

Neither scipy nor pymatreader is asked: damaged files can crash the one, and both make objects of whatever is there.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reading
from workbench.data import mat5
from workbench.data.hdf5_chunks import slab
from workbench.data.mat5 import Wanted
from workbench.data.mat_files import Hdf5Store, open_store, require_whole, stored_of

_LARGE = 1 << 20  # numbers; more stay on disk
_MOST_FIELDS = 1024
_MOST_DEEP = 8
_MOST_VALUES = 1_000_000
_NUMERIC = {b"double", b"single", b"logical", *(f"{s}int{n}".encode() for s in ("", "u") for n in (8, 16, 32, 64))}
_ADVICE = "Save it again."


@dataclass(frozen=True, eq=False)
class OnDisk:
    """A long array of a MATLAB 7.3 file.

    Attributes
    ----------
    shape
        As MATLAB shows it.
    dataset
        Of h5py, its axes the other way round; read stretches of it with `workbench.data.hdf5_chunks.slab`.
    """

    shape: tuple[int, ...]
    dataset: Any


def variables(path: Path, wanted: Wanted) -> dict[str, Any]:
    """Those variables of a file as plain values, as `workbench.data.mat5.value` gives them, long arrays as `OnDisk`.

    Parameters
    ----------
    wanted
        Names of the variables, and for each the fields of it that are read: all of them where none is named.

    Raises
    ------
    InputError
        The file cannot be read, or a value in it is not whole.
    """
    store = open_store(path)
    if isinstance(store, Hdf5Store):
        return _Hdf5(path).all(store.file, wanted)
    with reading(path, "not a readable MATLAB file", _ADVICE, kinds=(mat5.Damaged, OSError)):
        found = {e.name: e for e in mat5.entries(path) if e.name in wanted}
    values = {}
    for name, entry in found.items():
        with reading(path, f"'{name}' cannot be read", _ADVICE, kinds=(mat5.Damaged, OSError)):
            values[name] = mat5.value(path, entry, wanted[name])
    return values


class _Hdf5:
    def __init__(self, path: Path) -> None:
        self.path, self.left = path, _MOST_VALUES

    def all(self, file: Any, wanted: Wanted) -> dict[str, Any]:
        return {n: self._of(self._member(file, n), n, wanted[n], 0) for n in self._names(file) if n in wanted}

    def _call(self, name: str, work: Callable[[], Any]) -> Any:
        with reading(self.path, f"'{name}' cannot be read", _ADVICE):
            return work()

    def _names(self, group: Any) -> list[str]:
        names = self._call("the list of fields", lambda: list(islice(group, _MOST_FIELDS)))
        return [n for n in names if isinstance(n, str) and not n.startswith("#")]

    def _member(self, group: Any, name: str) -> Any:
        """What a group holds under that name; ``None`` for a link to another place."""
        h5py: Any = importlib.import_module("h5py")
        link = self._call(name, lambda: group.get(name, getlink=True))
        return self._call(name, lambda: group[name]) if isinstance(link, h5py.HardLink) else None

    def _of(self, item: Any, name: str, wanted: Wanted, depth: int) -> Any:
        h5py: Any = importlib.import_module("h5py")
        self.left -= 1
        if depth > _MOST_DEEP or self.left < 0:
            raise InputError(f"{self.path}: '{name}' holds too many values, or leads to itself. {_ADVICE}")
        if isinstance(item, h5py.Group):
            return self._structure(item, name, wanted, depth)
        stored = self._call(name, lambda: stored_of(item))
        if stored is None:
            return None
        kind = bytes(stored.matlab_class) if isinstance(stored.matlab_class, bytes) else b""
        if isinstance(stored.empty, np.integer | int) and stored.empty:
            return {b"char": "", b"struct": [], b"cell": ()}.get(kind, np.empty((0, 0)))
        require_whole(self.path, name, stored)
        count = math.prod(stored.shape)
        if stored.dtype.kind == "O":
            return self._references(item, name, wanted, depth) if kind in (b"cell", b"") else None
        if stored.dtype.kind not in "fiu" or not (kind in _NUMERIC or kind in (b"", b"char")) or not stored.shape:
            return None
        if count > _LARGE and kind != b"char":
            return OnDisk(tuple(reversed(stored.shape)), item)
        values: npt.NDArray[Any] = slab(item, *[slice(None)] * len(stored.shape)).T
        if kind != b"char":
            return values
        return _text(values) if len(values) == 1 and stored.dtype.kind == "u" else None

    def _structure(self, group: Any, name: str, wanted: Wanted, depth: int) -> list[dict[str, Any]]:
        """Its elements; each field of several elements is a list of references."""
        h5py: Any = importlib.import_module("h5py")
        fields: dict[str, Any] = {}
        several = False
        for field in self._names(group):
            item = self._member(group, field)
            if wanted and field not in wanted:
                continue
            inner = wanted.get(field, {})
            if isinstance(item, h5py.Dataset) and self._call(field, partial(_is_list, item)):
                several = True
            fields[field] = self._of(item, f"{name}.{field}", inner, depth + 1)
        if not several:
            return [fields]
        counts = {len(v) for v in fields.values() if isinstance(v, tuple)}
        if len(counts) != 1 or not all(isinstance(v, tuple) for v in fields.values()):
            raise InputError(f"{self.path}: the fields of '{name}' have {sorted(counts)} elements. {_ADVICE}")
        return [{k: v[n] for k, v in fields.items()} for n in range(counts.pop())]

    def _references(self, item: Any, name: str, wanted: Wanted, depth: int) -> tuple[Any, ...]:
        found = self._call(name, lambda: np.asarray(item[()]).ravel())
        return tuple(
            self._of(self._call(name, partial(item.file.__getitem__, r)), name, wanted, depth + 1) for r in found
        )


def _is_list(dataset: Any) -> bool:
    """Whether it holds one field of all elements of a structure: references, and no word of a cell array."""
    return dataset.dtype.kind == "O" and "MATLAB_class" not in dataset.attrs


def _text(values: npt.NDArray[Any]) -> str:
    return values.astype("<u2").tobytes().decode("utf-16-le", errors="replace")
