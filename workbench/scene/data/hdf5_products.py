"""Scenes as their missions deliver them in HDF5: EMIT (``.nc``), PRISMA (``.he5``) and NEON (``.h5``).

Each has a layout of its own, told by the names in the file. Other HDF5 and NetCDF files are named with the way out.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, reading
from workbench.core.types import Image
from workbench.data.companion import require_regular
from workbench.data.hdf5_chunks import reading_samples, slab
from workbench.scene.data.anchors import WGS84, Anchors, Point
from workbench.scene.data.map_place import MapPlace, from_map_info
from workbench.scene.data.scene import Blocks, Scaling, make_image, scaled_type

SUFFIXES = (".nc", ".he5", ".h5", ".hdf5")

_MAGIC = b"\x89HDF\r\n\x1a\n"
_WAY_OUT = (
    "Export the cube as GeoTIFF or ENVI, with GDAL for instance: "
    "gdal_translate -of ENVI 'NETCDF:\"file.nc\":name' out.dat"
)
_DAMAGED = ("the list of what is in it is damaged", "Download it again.")
_SWATHS = "HDFEOS/SWATHS"
_PRISMA = ("VNIR", "SWIR")
_GRID = 5  # ground control points along each side that are taken of a table of positions


@dataclass(frozen=True)
class Cube:
    """One array of a product, and which of its bands are taken.

    Parameters
    ----------
    name
        Path of the data set.
    axes
        Places of bands, rows and columns among its axes.
    bands
        Bands that are taken, in their order.
    """

    name: str
    axes: tuple[int, int, int]
    bands: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Product:
    """What is known of a scene in such a file."""

    mission: str
    cubes: tuple[Cube, ...]
    shape: tuple[int, int, int]
    stored: np.dtype[Any]
    wavelengths_nm: list[float] | None = None
    fwhm_nm: list[float] | None = None
    good: list[bool] | None = None
    gain: npt.NDArray[np.float64] | None = None
    offset: npt.NDArray[np.float64] | None = None
    empty: float | None = None
    unit: str | None = None
    place: MapPlace | None = None
    anchors: Anchors | None = None
    notes: tuple[str, ...] = ()


def is_product(path: Path) -> bool:
    """Whether a file is one of the products that are read here; by its first bytes and the names in it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as f:
            if f.read(8) != _MAGIC:
                return False
        with _opened(path) as file, reading(path, *_DAMAGED):
            return _layout(file) is not None
    except (InputError, OSError):
        return False


def read(path: Path) -> Image:
    """Open a product: what it says of itself now, samples when asked for.

    Raises
    ------
    InputError
        If it is damaged, or of another layout; the message names what is in it and the way out.
    """
    require_regular(path)
    with path.open("rb") as f:
        start = f.read(8)
    if start != _MAGIC:
        what = (
            "a NetCDF file of the classic kind"
            if start[:3] == b"CDF"
            else f"no HDF5 file (it begins with {start[:4]!r})"
        )
        raise InputError(f"{path}: {what}; EMIT, PRISMA and NEON products in HDF5 are read. {_WAY_OUT}")
    with _opened(path) as file:
        with reading(path, *_DAMAGED):
            layout = _layout(file)
            names = [] if layout is not None else [str(n) for n in list(file)[:9]]
        if layout is None:
            raise InputError(
                f"{path}: an HDF5 or NetCDF file that is neither an EMIT, PRISMA nor NEON product; it holds"
                f" {_listed(names)}. {_WAY_OUT}"
            )
        with reading(path, "what it says of its bands is damaged", "Download it again."):
            product = layout(path, file)
    plain = product.gain is None
    dtype = product.stored.newbyteorder("=") if plain else scaled_type(product.stored)
    scaling = None if plain else Scaling(product.gain, product.offset, dtype, product.empty)
    header: dict[str, Any] = {"mission": product.mission, "stored_dtype": product.stored.newbyteorder("=").name}
    if not plain:
        header |= {"scaled": "by the factors of the product", "stored_ignore": product.empty}
        header["gain"] = None if product.gain is None else product.gain.tolist()
        header["offset"] = None if product.offset is None else product.offset.tolist()
    return make_image(
        path,
        format="hdf5",
        shape=product.shape,
        dtype=dtype,
        open=partial(_open, path, product, scaling, dtype),
        header=header,
        wavelengths_nm=product.wavelengths_nm,
        fwhm_nm=product.fwhm_nm,
        good_bands=product.good,
        place=product.place,
        anchors=product.anchors,
        ignore=product.empty if plain else None,
        value_unit=product.unit,
        notes=product.notes,
    )


def _layout(file: Any) -> Callable[[Path, Any], Product] | None:
    if "sensor_band_parameters" in file and any(n in file for n in ("reflectance", "radiance")):
        return _emit
    if _swath(file) is not None:
        return _prisma
    if _neon_site(file) is not None:
        return _neon
    return None


def _emit(path: Path, file: Any) -> Product:
    name = "reflectance" if "reflectance" in file else "radiance"
    cube, bands = _cube(path, file, name), file["sensor_band_parameters"]
    rows, columns, count = cube.shape
    good = bands["good_wavelengths"][:] != 0 if "good_wavelengths" in bands else None
    empty = cube.attrs.get("_FillValue")
    return Product(
        "EMIT", (Cube(name, (2, 0, 1), tuple(range(count))),), (count, rows, columns), cube.dtype,
        _numbers(bands["wavelengths"]), _numbers(bands["fwhm"]) if "fwhm" in bands else None,
        None if good is None else [bool(g) for g in good], empty=None if empty is None else float(np.ravel(empty)[0]),
        unit="reflectance" if name == "reflectance" else None, anchors=_of_location(file, (rows, columns)),
    )  # fmt: skip


def _of_location(file: Any, shape: tuple[int, int]) -> Anchors | None:
    """Ground control points of the tables of latitude and longitude: pixel centres on a coarse grid."""
    if not all(f"location/{n}" in file for n in ("lat", "lon")):
        return None
    lat, lon = file["location/lat"], file["location/lon"]
    if lat.shape != shape or lon.shape != shape:
        return None
    rows, columns = (np.unique(np.linspace(0, n - 1, _GRID).round().astype(int)) for n in shape)
    found = []
    for r in rows:
        y, x = lat[int(r), :], lon[int(r), :]
        found += [Point(r + 0.5, c + 0.5, float(x[c]), float(y[c])) for c in columns
                  if abs(x[c]) <= 360 and abs(y[c]) <= 90]  # fmt: skip
    return Anchors(tuple(found), WGS84) if len(found) > 3 else None


def _neon_site(file: Any) -> str | None:
    sites = [n for n in file if f"{n}/Reflectance/Reflectance_Data" in file]
    return sites[0] if len(sites) == 1 else None


def _neon(path: Path, file: Any) -> Product:
    base = f"{_neon_site(file)}/Reflectance"
    name = f"{base}/Reflectance_Data"
    cube, meta = _cube(path, file, name), file[f"{base}/Metadata"]
    rows, columns, count = cube.shape
    factor = float(np.ravel(cube.attrs.get("Scale_Factor", 1.0))[0])
    empty = cube.attrs.get("Data_Ignore_Value")
    spectral = meta["Spectral_Data"]
    wavelengths = _numbers(spectral["Wavelength"])
    windows = [np.ravel(v) for k, v in file[base].attrs.items() if str(k).startswith("Band_Window")]
    good = [not any(len(w) == 2 and w[0] <= nm <= w[1] for w in windows) for nm in wavelengths] if windows else None
    place = None
    if "Coordinate_System/Map_Info" in meta:
        info = _text(meta["Coordinate_System/Map_Info"])
        code = _text(meta["Coordinate_System/EPSG Code"]) if "Coordinate_System/EPSG Code" in meta else ""
        parts = tuple(part.strip() for part in info.strip("{}").split(","))
        place = from_map_info(parts, f"EPSG:{code}" if code.isdigit() else None, path)
    scaled = np.isfinite(factor) and factor not in (0.0, 1.0)
    return Product(
        "NEON", (Cube(name, (2, 0, 1), tuple(range(count))),), (count, rows, columns), cube.dtype, wavelengths,
        _numbers(spectral["FWHM"]) if "FWHM" in spectral else None, good,
        np.full(count, 1.0 / factor) if scaled else None,
        empty=None if empty is None else float(np.ravel(empty)[0]), unit="reflectance", place=place,
    )  # fmt: skip


def _swath(file: Any) -> str | None:
    """The group of PRISMA's cube, of the highest level that the file holds."""
    if _SWATHS not in file:
        return None
    found = [n for n in file[_SWATHS] if n.startswith("PRS_L") and n.endswith("HCO")]
    whole = [n for n in found if all(f"{_SWATHS}/{n}/Data Fields/{p}_Cube" in file for p in _PRISMA)]
    return max(whole) if whole else None


def _prisma(path: Path, file: Any) -> Product:
    """Both spectrometers one after the other, each by wavelength; bands that its lists call absent (0 nm) left out."""
    swath = _swath(file)
    level = str(swath)[4:6]
    cubes: list[Cube] = []
    bands: list[tuple[float, float, float, float]] = []
    for part in _PRISMA:
        name = f"{_SWATHS}/{swath}/Data Fields/{part}_Cube"
        cube = _cube(path, file, name)
        nm, widths = (np.ravel(file.attrs[f"List_{w}_{part.title()}"]).astype(float) for w in ("Cw", "Fwhm"))
        if len(nm) != cube.shape[1] or len(widths) != cube.shape[1]:
            raise InputError(
                f"{path}: {part}_Cube has {cube.shape[1]} bands, its list names {len(nm)}. Download it again."
            )
        taken = [int(b) for b in np.argsort(nm, kind="stable") if nm[b] > 0]
        cubes.append(Cube(name, (1, 0, 2), tuple(taken)))
        bands += [(nm[b], widths[b], *_prisma_scale(file, part, level)) for b in taken]
    first = file[cubes[0].name]
    if any(file[c.name].shape[::2] != first.shape[::2] or file[c.name].dtype != first.dtype for c in cubes):
        raise InputError(f"{path}: its two cubes have different rows, columns or types. Download it again.")
    centres, fwhm, gain, offset = (np.array(v) for v in zip(*bands, strict=True))
    return Product(
        f"PRISMA {level}", tuple(cubes), (len(bands), first.shape[0], first.shape[2]), first.dtype, centres.tolist(),
        fwhm.tolist(), None, gain, offset, 0.0, "reflectance" if level == "L2" else None,
        notes=("PRISMA's map position is not read: the map lies on rows and columns",),
    )  # fmt: skip


def _prisma_scale(file: Any, part: str, level: str) -> tuple[float, float]:
    """What makes reflectance (level 2) or radiance (level 1) of the stored numbers."""
    if level == "L2":
        low, high = (float(np.ravel(file.attrs[f"L2Scale{part.title()}{end}"])[0]) for end in ("Min", "Max"))
        return (high - low) / 65535.0, low
    factor = float(np.ravel(file.attrs[f"ScaleFactor_{part.title()}"])[0])
    offset = float(np.ravel(file.attrs[f"Offset_{part.title()}"])[0])
    return 1.0 / factor, -offset


def _cube(path: Path, file: Any, name: str) -> Any:
    h5py: Any = importlib.import_module("h5py")
    found = file[name]
    usable = isinstance(found, h5py.Dataset) and not found.is_virtual and not found.external
    if not usable or len(found.shape or ()) != 3 or found.dtype.kind not in "iuf":
        raise InputError(f"{path}: '{name}' is no cube of numbers with three axes. Download it again.")
    return found


def _open(path: Path, product: Product, scaling: Scaling | None, dtype: np.dtype[Any]) -> Blocks:
    read = partial(_block, path, product, scaling, dtype)
    return Blocks(product.shape, dtype, read, by_rows=True)


def _block(
    path: Path,
    product: Product,
    scaling: Scaling | None,
    dtype: np.dtype[Any],
    rows: slice,
    columns: slice,
    bands: slice,
) -> npt.NDArray[Any]:
    raw = _stored(path, product, rows, columns, range(*bands.indices(product.shape[0])))
    if scaling is None:
        return raw.astype(dtype, copy=False)
    every = range(product.shape[0])
    return scaling.apply(raw, bands, lambda: _stored(path, product, rows, columns, every))


def _stored(path: Path, product: Product, rows: slice, columns: slice, bands: range) -> npt.NDArray[Any]:
    """Samples ``(bands, rows, columns)`` as they are stored, of the cubes one after the other."""
    parts, first = [], 0
    with _opened(path) as file:
        for cube in product.cubes:
            here = [cube.bands[b - first] for b in bands if first <= b < first + len(cube.bands)]
            first += len(cube.bands)
            if not here:
                continue
            low, high = min(here), max(here) + 1
            wanted: list[slice] = [slice(None)] * 3
            for axis, part in zip(cube.axes, (slice(low, high), rows, columns), strict=True):
                wanted[axis] = part
            with reading_samples(path):
                found = slab(file[cube.name], *wanted)
            parts.append(found.transpose(cube.axes)[[b - low for b in here]])
    shape = (0, len(range(*rows.indices(product.shape[1]))), len(range(*columns.indices(product.shape[2]))))
    return np.concatenate(parts) if parts else np.empty(shape, product.stored)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    h5py: Any = importlib.import_module("h5py")
    with reading(path, "not a readable HDF5 file", "Download it again."):
        file = h5py.File(path, "r")
    try:
        yield file
    finally:
        with reading(path, *_DAMAGED):
            file.close()


def _numbers(found: Any) -> list[float]:
    return [float(v) for v in np.ravel(found[()])]


def _text(found: Any) -> str:
    value = np.ravel(found[()])[0]
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _listed(names: list[str]) -> str:
    """The first names in a file."""
    plain = [n if n.isprintable() else repr(n) for n in names[:8]]
    return ", ".join(plain) + ("..." if len(names) > 8 else "") if plain else "nothing"
