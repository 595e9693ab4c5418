"""MATLAB arrays with two axes that are a scene, one spectrum per pixel: told by their shape and their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from workbench.data.mat_files import Hdf5Store, OldStore, Variable, open_store

_ROWS = ("nrow", "nrows", "rows", "row", "nr", "height", "h", "lines", "nlines", "m")
_COLUMNS = ("ncol", "ncols", "columns", "cols", "col", "nc", "width", "w", "samples", "nsamples", "n")
BANDS = ("nband", "nbands", "bands", "l", "p")
"""Usual names of the number of bands."""

WAVELENGTHS = ("wavelength", "wavelengths", "wavelengths_nm", "wl", "lambda", "wave", "bands_nm", "wavelength_nm")
"""Usual names of the list of wavelengths, in lower case."""


@dataclass(frozen=True)
class Layout:
    """How a cube lies in its array: which MATLAB axis holds the bands, and the sides of a scene stored as a list."""

    bands_axis: int
    sides: tuple[int, int] | None = None

    def shape(self, stored: tuple[int, ...]) -> tuple[int, int, int]:
        if len(stored) == 2 and self.bands_axis < 0:
            return (1, stored[0], stored[1])
        if self.sides is not None:
            return (stored[self.bands_axis], *self.sides)
        rows, columns = (n for i, n in enumerate(stored) if i != self.bands_axis)
        return (stored[self.bands_axis], rows, columns)


def looks_like_list(path: Path) -> bool:
    """Whether rule 2 takes an array of the file: rows and columns are named, wavelengths are there, or it is square."""
    store = open_store(path)
    scalars = single_numbers(store)
    flat = [v for v in store.variables if len(v.shape) == 2 and min(v.shape) > 1]
    lists = any(as_list(v, scalars) is not None for v in flat)
    return lists or sides_of(scalars) is not None or wavelength_values(store, store.variables) is not None


def single_numbers(store: OldStore | Hdf5Store) -> dict[str, float]:
    """Single numbers of the file that mean something here, by lower-case name; the others are not read."""
    known = {*_ROWS, *_COLUMNS, *BANDS}
    alone = [v for v in store.variables if v.shape in ((1, 1), (1,), ()) and v.name.lower() in known]
    return {v.name.lower(): store.scalar(v.name) for v in alone}


def sides_of(scalars: dict[str, float]) -> tuple[int, int] | None:
    """Rows and columns of the scene where the file names them, from its single numbers by lower-case name."""
    rows = next((scalars[k] for k in _ROWS if k in scalars), None)
    columns = next((scalars[k] for k in _COLUMNS if k in scalars), None)
    if rows is None or columns is None or rows < 1 or columns < 1 or rows % 1 or columns % 1:
        return None  # infinity has a remainder too: NaN
    return int(rows), int(columns)


def as_list(variable: Variable, scalars: dict[str, float]) -> Layout | None:
    """The layout of an array with one spectrum per pixel, or ``None`` if it cannot be one."""
    sides = sides_of(scalars)
    if sides is not None:
        pixels = [i for i in (1, 0) if variable.shape[i] == sides[0] * sides[1]]
        return Layout(1 - pixels[0], sides) if pixels else None
    if variable.dtype == np.uint8:
        return None
    for axis in (1, 0):
        side = isqrt(variable.shape[axis])
        if side * side == variable.shape[axis] and variable.shape[axis] >= 8 * variable.shape[1 - axis]:
            return Layout(1 - axis, (side, side))
    return None


def wavelength_values(store: Any, variables: list[Variable]) -> list[float] | None:
    """The vector with a usual name for wavelengths, in the unit of the file; ``None`` if there is none that fits."""
    for variable in variables:
        if variable.name.lower() in WAVELENGTHS and max(variable.shape, default=0) > 1:
            if sum(n > 1 for n in variable.shape) != 1 or max(variable.shape) > 100_000:
                continue
            values = np.asarray(store.array(variable.name), dtype=np.float64).ravel()
            if np.isfinite(values).all() and (values > 0).all():
                return [float(v) for v in values]
    return None
