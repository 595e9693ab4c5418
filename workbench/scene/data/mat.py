"""MATLAB cubes: version 5 to 7, and version 7.3 (HDF5) through h5py; the array is found by its shape.

Rules, in this order (``file.mat:key`` names the array and skips the search):

1. One numeric array with three axes is the cube, ``rows x columns x bands``. If the last axis does not have the length
   of the file's wavelengths and exactly one other does, that one holds the bands.
2. Without such an array, one with two axes is a cube of ``bands x pixels`` (or ``pixels x bands``), the pixels column
   by column as MATLAB stores them. Rows and columns come from ``nRow`` and ``nCol`` (and other usual names); without
   them the pixels must be a square number, at least 8 times the number of bands. Of several, the one with ``nBand``
   bands is taken, else the one with at least 4 times the bands of the next (those are abundances or end members).
3. Else one whole-number array with two axes is a map of one band.

Several arrays that fit equally well are an error that lists them.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, nearest
from workbench.core.types import Image
from workbench.data.geometry import check_size
from workbench.data.hdf5_chunks import slab
from workbench.data.mat_files import Hdf5Store, OldStore, Variable, open_store
from workbench.data.mat_lists import BANDS, WAVELENGTHS, Layout, as_list, sides_of, single_numbers, wavelength_values
from workbench.scene.data.scene import Blocks, from_array, make_image
from workbench.scene.data.wavelength_file import BandList, believed, in_nm, wavelengths_beside

SUFFIXES = (".mat",)


def read(path: Path, key: str | None = None, *, as_map: bool = False) -> Image:
    """Open a MATLAB file: names and shapes now, samples when asked for.

    Parameters
    ----------
    key
        Name of the array; found by shape (see above) if not given.
    as_map
        A label map is looked for: arrays with two axes come first and are taken as ``rows x columns``.

    Raises
    ------
    InputError
        If nothing in the file is a cube, or several arrays are; the message lists them with their shapes.
    """
    store = open_store(path)
    variables = store.variables
    scalars = single_numbers(store)
    named = wavelength_values(store, variables)
    wavelengths = None if named is None else in_nm(named)
    if key is None:
        variable, layout = _search(path, store, variables, scalars, wavelengths, as_map)
    else:
        variable = _named(path, store, key)
        layout = _layout(path, variable, scalars, wavelengths, as_map)
    shape = layout.shape(variable.shape)
    notes: tuple[str, ...] = ()
    if wavelengths is not None and len(wavelengths) != shape[0]:
        if shape[0] > 1:
            notes = (f"{path.name} lists {len(wavelengths)} wavelengths, its cube has {shape[0]} bands: left out",)
        wavelengths = None
    useless = [v for v in variables if v.name.lower() in WAVELENGTHS and math.prod(v.shape) == shape[0] > 1]
    if named is None and useless:
        notes = (f"{useless[0]} holds something else than numbers above 0: no wavelengths were taken",)
    bands = None
    if shape[0] > 1:
        inside = None if wavelengths is None else believed(BandList(wavelengths), path, path.name)
        bands = inside or wavelengths_beside(path, shape[0])
    if not isinstance(store, Hdf5Store):
        check_size(shape[1:], shape[0], variable.dtype, path)
    return make_image(
        path,
        format="mat",
        shape=shape,
        dtype=variable.dtype,
        open=partial(_open, path, variable, layout),
        header={"key": variable.name, "stored_shape": list(variable.shape), "version": store.version},
        bands_beside=bands,
        band_names=store.words(shape[0]) if 1 < shape[0] < 64 else None,
        notes=notes,
    )


def _search(
    path: Path,
    store: OldStore | Hdf5Store,
    variables: list[Variable],
    scalars: dict[str, float],
    wavelengths: list[float] | None,
    as_map: bool,
) -> tuple[Variable, Layout]:
    solid = [v for v in variables if len(v.shape) == 3 and min(v.shape) > 1]
    flat = [v for v in variables if len(v.shape) == 2 and min(v.shape) > 1]
    maps = [v for v in flat if v.dtype.kind in "iu"] or flat
    if as_map and not sides_of(scalars) and maps:
        return _only(path, maps, "label maps"), Layout(-1)
    if solid:
        variable = _only(path, solid, "cubes")
        return variable, _layout(path, variable, scalars, wavelengths, as_map)
    lists = [(v, found) for v in flat if (found := as_list(v, scalars)) is not None]
    if lists:
        variable = _most_bands(path, lists, scalars)
        return variable, dict(lists)[variable]
    if maps:
        return _only(path, maps, "maps"), Layout(-1)
    have = ", ".join(str(v) for v in variables) or "no numeric arrays"
    raise InputError(f"{path}: no cube of rows x columns x bands in it; it holds {have}{store.passed_over}.")


def _only(path: Path, variables: list[Variable], what: str) -> Variable:
    if len(variables) > 1:
        raise InputError(
            f"{path}: holds {len(variables)} {what}: {', '.join(str(v) for v in variables)}. Name one:"
            f" {path.name}:{variables[0].name}"
        )
    return variables[0]


def _most_bands(path: Path, lists: list[tuple[Variable, Layout]], scalars: dict[str, float]) -> Variable:
    """Of several lists of spectra, the scene: it has ``nBand`` bands, or many more than its abundances."""
    bands = {v: layout.shape(v.shape)[0] for v, layout in lists}
    wanted = next((scalars[k] for k in BANDS if k in scalars), None)
    matching = [v for v in bands if bands[v] == wanted]
    if len(matching) == 1:
        return matching[0]
    ordered = sorted(bands, key=lambda v: bands[v], reverse=True)
    if len(ordered) == 1 or bands[ordered[0]] >= 4 * bands[ordered[1]]:
        return ordered[0]
    return _only(path, [v for v, _ in lists], "cubes")


def _named(path: Path, store: OldStore | Hdf5Store, key: str) -> Variable:
    for variable in store.variables:
        if variable.name == key:
            return variable
    names = [v.name for v in store.variables]
    raise InputError(f"{path}: no numeric array '{key}' in it{store.passed_over}.{nearest(key, names)}")


def _layout(
    path: Path, variable: Variable, scalars: dict[str, float], wavelengths: list[float] | None, as_map: bool
) -> Layout:
    shape = variable.shape
    if len(shape) == 3:
        if wavelengths is not None and shape[2] != len(wavelengths):
            fitting = [i for i in (0, 1) if shape[i] == len(wavelengths)]
            if len(fitting) == 1:
                return Layout(fitting[0])
        return Layout(2)
    if len(shape) == 2 and min(shape) > 1:
        found = None if as_map and not sides_of(scalars) else as_list(variable, scalars)
        return found or Layout(-1)
    raise InputError(
        f"{path}: {variable} has {len(shape)} axes, a cube has three (rows x columns x bands) or two (bands x pixels)."
    )


def _open(path: Path, variable: Variable, layout: Layout) -> Blocks:
    store = open_store(path)
    if isinstance(store, Hdf5Store):
        return _lazy(store.dataset(variable.name), variable, layout)
    return from_array(_arranged(store.array(variable.name), layout), variable.dtype)


def _arranged(array: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """MATLAB's array as ``(bands, rows, columns)``, a view where possible."""
    if layout.bands_axis < 0:
        return array[None]
    first = np.moveaxis(array, layout.bands_axis, 0)
    if layout.sides is not None:
        # Column by column: the row number runs fastest.
        return first.reshape(first.shape[0], layout.sides[1], layout.sides[0]).transpose(0, 2, 1)
    return first


def _lazy(dataset: Any, variable: Variable, layout: Layout) -> Blocks:
    """Blocks of an HDF5 array, whose axes run in the opposite order of MATLAB's."""
    shape = layout.shape(variable.shape)
    if layout.bands_axis < 0 or layout.sides is not None:
        return Blocks(shape, variable.dtype, partial(_list_block, dataset, layout, shape), by_rows=False)
    return Blocks(shape, variable.dtype, partial(_solid_block, dataset, layout), by_rows=False)


def _solid_block(dataset: Any, layout: Layout, rows: slice, columns: slice, bands: slice) -> npt.NDArray[Any]:
    wanted: list[slice] = []
    rest = [rows, columns]
    for axis in range(3):
        wanted.append(bands if axis == layout.bands_axis else rest.pop(0))
    found = slab(dataset, *reversed(wanted))
    return np.moveaxis(found.transpose(2, 1, 0), layout.bands_axis, 0)


def _list_block(
    dataset: Any, layout: Layout, shape: tuple[int, int, int], rows: slice, columns: slice, bands: slice
) -> npt.NDArray[Any]:
    if layout.bands_axis < 0:
        return slab(dataset, columns, rows).T[None]
    # Whole columns of the scene are neighbours in the file; one stretch holds all that are wanted.
    height = shape[1]
    pixels = slice(columns.start * height, columns.stop * height)
    pixels_first = layout.bands_axis == 0  # MATLAB's bands x pixels is pixels x bands in HDF5
    found = slab(dataset, pixels, bands) if pixels_first else slab(dataset, bands, pixels).T
    grid = found.reshape(columns.stop - columns.start, height, -1)[:: columns.step, rows]
    return grid.transpose(2, 1, 0)
