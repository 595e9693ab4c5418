"""TIFF and GeoTIFF scenes and class maps: by GDAL (rasterio) where it is one picture, by tifffile where it has pages.

Wavelengths come from the tags of the bands, from the names of the bands (``"B4 665 nm"``), or from a file beside.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import PARSING, InputError, reading
from workbench.core.types import Image
from workbench.scene.data.map_place import from_transform
from workbench.scene.data.scene import Blocks, make_image, scaled, scaled_type
from workbench.scene.data.wavelength_file import BandList, in_nm, wavelengths_beside

SUFFIXES = (".tif", ".tiff")

_Placed: TypeAlias = tuple[tuple[float, float, float, float, float, float], str | None, str | None, str | None]
_Scaling: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

_MAX_PAGES = 4096
_NO_TIFF = ("not a readable TIFF", "Export or copy it again.")
_NO_SAMPLES = ("the samples cannot be read", "Copy or export it again.")
_NUMBER_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*(nm|nanometers?|um|µm|μm|microns?|micrometers?)\b", re.IGNORECASE)


def read(path: Path) -> Image:
    """Open a TIFF scene: tags now, samples when asked for.

    Raises
    ------
    InputError
        If it is damaged, holds complex samples, or is an ordinary colour picture.
    """
    with reading(path, *_NO_TIFF):
        pages = _pages(path)
    return _read_pages(path, pages) if pages.count > 1 else _read_raster(path, pages)


@dataclass(frozen=True)
class _Pages:
    """What the directory of the file says: how many full-size pages, their shape, whether it is a colour photo."""

    count: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    photo: bool


def _pages(path: Path) -> _Pages:
    tifffile = _library("tifffile")
    with tifffile.TiffFile(path) as tif:
        first = tif.pages[0]
        count = 0
        for number, page in enumerate(tif.pages):
            if number >= _MAX_PAGES:  # directories of damaged files can point at each other without end
                raise InputError(f"{path}: more than {_MAX_PAGES} pages, bands of one scene were expected.")
            if page.is_reduced or page.is_mask:
                continue
            if page.shape != first.shape or page.dtype != first.dtype:
                raise InputError(f"{path}: pages of different sizes, bands of one scene were expected.")
            count += 1
        color = first.photometric in (2, 6) and first.dtype == np.uint8 and first.samplesperpixel in (3, 4)
        placed = 33550 in first.tags or 34264 in first.tags or 34735 in first.tags
        dtype = np.dtype(first.dtype or "V1")
        return _Pages(count, tuple(int(n) for n in first.shape), dtype, bool(color and not placed and count == 1))


def _read_raster(path: Path, pages: _Pages) -> Image:
    if pages.photo:
        raise InputError(f"{path}: this is a colour picture of 8 bits without a map position, a scene was expected.")
    with _dataset(path) as src, reading(path, *_NO_TIFF, kinds=_of_gdal()):
        raster = _raster(src)
    shape, colormap = raster.shape, raster.colormap
    types = {np.dtype(t) for t in raster.dtypes if not t.startswith("complex")}
    if not types or any(t.startswith("complex") for t in raster.dtypes):
        raise InputError(f"{path}: complex samples, real ones were expected. Export magnitude or phase.")
    stored = np.result_type(*types)
    gain, bias = np.asarray(raster.scales, dtype=np.float64), np.asarray(raster.offsets, dtype=np.float64)
    plain = bool((gain == 1).all() and (bias == 0).all())
    dtype = stored if plain else scaled_type(stored)
    ignore = None if raster.nodata is None or np.isnan(raster.nodata) else float(raster.nodata)
    if ignore is not None and not plain:
        both = np.unique(scaled(np.full((shape[0], 1, 1), ignore), gain, bias, dtype))
        ignore = float(both[0]) if both.size == 1 else None
    names = [d for d in raster.descriptions if d]
    bands = _bands(path, raster)
    header: dict[str, Any] = {"stored_dtype": stored.name, "interleave": raster.interleave}
    if colormap:
        header["colormap"] = colormap
    if not plain:
        header["scaled"] = "by the scales and offsets of the file"
        header |= {"gain": gain.tolist(), "offset": bias.tolist(), "stored_ignore": raster.nodata}
    return make_image(
        path,
        format="geotiff",
        shape=shape,
        dtype=dtype,
        open=partial(_open_raster, path, shape, dtype, None if plain else (gain, bias), raster.by_rows),
        header=header,
        wavelengths_nm=None if bands is None else bands.wavelengths_nm,
        fwhm_nm=None if bands is None else bands.fwhm_nm,
        good_bands=None if bands is None else bands.good_bands,
        band_names=names if len(names) == shape[0] else None,
        place=None if raster.place is None else from_transform(*raster.place),
        ignore=ignore,
        classes=_classes(raster.tags) if shape[0] == 1 else None,
    )


@dataclass(frozen=True)
class _Raster:
    """All that is asked of GDAL, as plain values: `_bands` and the others judge them without the library."""

    shape: tuple[int, int, int]
    dtypes: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    nodata: float | None
    descriptions: tuple[str | None, ...]
    place: _Placed | None
    tags: dict[str, str]
    band_tags: list[dict[str, str]]
    imagery_tags: list[dict[str, str]]
    colormap: dict[str, list[int]] | None
    interleave: str | None
    by_rows: bool


def _raster(src: Any) -> _Raster:
    count = int(src.count)
    return _Raster(
        shape=(count, int(src.height), int(src.width)),
        dtypes=tuple(src.dtypes),
        scales=tuple(src.scales),
        offsets=tuple(src.offsets),
        nodata=src.nodata,
        descriptions=tuple(src.descriptions),
        place=_place(src),
        tags=src.tags(),
        band_tags=[{k.lower(): v for k, v in src.tags(i).items()} for i in range(1, count + 1)],
        imagery_tags=[{k.lower(): v for k, v in src.tags(i, ns="IMAGERY").items()} for i in range(1, count + 1)],
        colormap=_colormap(src) if count == 1 else None,
        interleave=str(src.interleaving.value).lower() if src.interleaving else None,
        by_rows=bool(src.block_shapes[0][1] == src.width),
    )


def _read_pages(path: Path, pages: _Pages) -> Image:
    if len(pages.shape) != 2:
        raise InputError(f"{path}: {pages.count} pages of shape {pages.shape}, pages of one band each were expected.")
    if pages.dtype.kind not in "biuf":
        raise InputError(f"{path}: samples of type {pages.dtype}, real numbers were expected.")
    shape = (pages.count, *pages.shape)
    dtype = np.dtype(np.uint8) if pages.dtype == np.bool_ else pages.dtype.newbyteorder("=")
    bands = wavelengths_beside(path, shape[0])
    return make_image(
        path,
        format="geotiff",
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype,
        open=partial(_open_pages, path, (shape[0], shape[1], shape[2]), dtype),
        header={"stored_dtype": dtype.name, "interleave": "page"},
        wavelengths_nm=None if bands is None else bands.wavelengths_nm,
        fwhm_nm=None if bands is None else bands.fwhm_nm,
        good_bands=None if bands is None else bands.good_bands,
    )


def _dataset(path: Path) -> Any:
    """Open by GDAL's TIFF driver only: no other format, no network file, is ever tried."""
    rasterio = _library("rasterio")
    with warnings.catch_warnings(), reading(path, *_NO_TIFF, kinds=_of_gdal()):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path, driver="GTiff")


def _open_raster(
    path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any], scaling: _Scaling | None, by_rows: bool
) -> Blocks:
    return Blocks(shape, dtype, partial(_raster_block, path, dtype, scaling), by_rows=by_rows)


def _raster_block(
    path: Path, dtype: np.dtype[Any], scaling: _Scaling | None, rows: slice, columns: slice, bands: slice
) -> npt.NDArray[Any]:
    # GDAL's handles must not be shared between threads; opening one costs about a millisecond.
    numbers = list(range(bands.start + 1, bands.stop + 1, bands.step))
    shape = (len(numbers), max(0, rows.stop - rows.start), max(0, columns.stop - columns.start))
    if 0 in shape:
        return np.empty(shape, dtype)[:, :: rows.step, :: columns.step]
    window = ((rows.start, rows.stop), (columns.start, columns.stop))
    with _dataset(path) as src, reading(path, *_NO_SAMPLES, kinds=_of_gdal()):
        raw = src.read(numbers, window=window)
    raw = raw[:, :: rows.step, :: columns.step]
    if scaling is None:
        return np.asarray(raw).astype(dtype, copy=False)
    gain, bias = scaling
    return scaled(raw, gain[bands], bias[bands], dtype)


def _open_pages(path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Blocks:
    return Blocks(shape, dtype, partial(_pages_block, path, dtype), by_rows=True)


def _pages_block(path: Path, dtype: np.dtype[Any], rows: slice, columns: slice, bands: slice) -> npt.NDArray[Any]:
    tifffile = _library("tifffile")
    with reading(path, *_NO_SAMPLES), tifffile.TiffFile(path) as tif:
        full = [p for p in tif.pages if not p.is_reduced and not p.is_mask]
        # One page in memory at a time, whatever the number of bands.
        parts = [full[b].asarray()[rows, columns] for b in range(bands.start, bands.stop, bands.step)]
    return np.stack(parts).astype(dtype, copy=False)


def _library(name: str) -> Any:
    """Import a library and keep its log from stderr unless somebody asked for it: the error line says enough."""
    module: Any = importlib.import_module(name)
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return module


def _of_gdal() -> tuple[type[Exception], ...]:
    rasterio = _library("rasterio")
    return (*PARSING, rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError)


def _place(src: Any) -> _Placed | None:
    """Transform, unit of length, definition and name of the map, as `from_transform` takes them."""
    t = src.transform
    if src.crs is None and t.is_identity:
        return None
    unit = None
    if src.crs is not None:
        unit = "degree" if src.crs.is_geographic else _linear(src.crs)
    name = None if src.crs is None else (src.crs.to_string() if src.crs.to_epsg() else "projected")
    wkt = None if src.crs is None else src.crs.to_wkt()
    return (t.a, t.b, t.c, t.d, t.e, t.f), unit, wkt, name


def _linear(crs: Any) -> str | None:
    unit = str(crs.linear_units or "").lower()
    return {"metre": "m", "meter": "m", "foot": "ft", "us survey foot": "us-ft"}.get(unit, unit or None)


def _bands(path: Path, raster: _Raster) -> BandList | None:
    count, tags = raster.shape[0], raster.band_tags
    if count < 2:
        return None
    centres = _tag_numbers(raster.imagery_tags, "central_wavelength_um")
    if centres is not None:
        widths = _tag_numbers(raster.imagery_tags, "fwhm_um")
        return BandList([v * 1e3 for v in centres], None if widths is None else [v * 1e3 for v in widths])
    for key in ("wavelength", "wavelength_nm", "center_wavelength", "central_wavelength"):
        centres = _tag_numbers(tags, key)
        if centres is not None:
            unit = tags[0].get("wavelength_units", tags[0].get("wavelength_unit", "")).lower()
            factor = 1e3 if unit.startswith(("micro", "um", "µm")) else 1.0 if unit else in_nm(centres)[0] / centres[0]
            widths, good = _tag_numbers(tags, "fwhm"), _tag_numbers(tags, "good")
            return BandList(
                [v * factor for v in centres],
                None if widths is None else [v * factor for v in widths],
                None if good is None else [v != 0 for v in good],
            )
    named = [_NUMBER_UNIT.search(d or "") for d in raster.descriptions]
    if all(named):
        return BandList([float(m[1]) * (1.0 if m[2].lower().startswith("n") else 1e3) for m in named if m])
    return wavelengths_beside(path, count)


def _tag_numbers(tags: list[dict[str, str]], key: str) -> list[float] | None:
    try:
        return [float(t[key]) for t in tags]
    except (KeyError, ValueError):
        return None


def _colormap(src: Any) -> dict[str, list[int]] | None:
    """Colours of a palette, value -> (r, g, b), black ones left out."""
    try:
        return {str(v): list(c[:3]) for v, c in src.colormap(1).items() if any(c[:3])}
    except ValueError:
        return None


def _classes(tags: dict[str, str]) -> ClassTable | None:
    """The class table that `workbench` writes as a tag."""
    try:
        return ClassTable.from_json(json.loads(tags["WORKBENCH_CLASSES"]))
    except (KeyError, ValueError, TypeError):
        return None
