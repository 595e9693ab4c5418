"""TIFF and GeoTIFF scenes and class maps: by GDAL (rasterio) where it is one picture, by tifffile where it has pages.

What the directories promise is checked first (`tiff_layout`, `tiff_pages`), and samples packed with DEFLATE or LZMA
are unpacked with their checksums (`tiff_blocks`).
Wavelengths come from the tags of the bands, from their names, or from a file beside (`tiff_bands`).
"""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import PARSING, InputError, reading, reason
from workbench.core.types import Image
from workbench.data.companion import require_regular
from workbench.scene.data import tiff_bands, tiff_blocks, tiff_layout, tiff_mask, tiff_pages
from workbench.scene.data.anchors import Anchors
from workbench.scene.data.map_place import from_transform
from workbench.scene.data.scene import Blocks, Scaling, make_image
from workbench.scene.data.tiff_place import Placed, anchors_of, place_of
from workbench.scene.data.wavelength_file import wavelengths_beside

SUFFIXES = (".tif", ".tiff")

_BESIDE = (".tfw", ".tifw", ".tiffw", ".wld", ".aux", ".rpb", ".imd", ".pvl", ".tab", "_rpc.txt", "_metadata.txt")
"""What GDAL may open beside ``scene.tif``, besides ``scene.tif.aux.xml``, ``.ovr`` and ``.msk``."""

_MAX_BESIDE = 64 * 1024**2
_NO_TIFF = ("not a readable TIFF", "Export or copy it again.")
_NO_SAMPLES = ("the samples cannot be read", "Copy or export it again.")


def read(path: Path) -> Image:
    """Open a TIFF scene: tags now, samples when asked for.

    Raises
    ------
    InputError
        If it is damaged, holds complex samples, or is an ordinary colour picture.
    """
    pages = _pages(path)
    return _read_pages(path, pages) if pages.count > 1 else _read_raster(path, pages)


@dataclass(frozen=True)
class _Pages:
    """What the directories of the file say: the full-size pages by their number, whether it is a colour photo."""

    full: dict[int, tiff_layout.Directory]
    photo: bool
    masks: tiff_mask.Masks

    @property
    def count(self) -> int:
        return len(self.full)

    @property
    def first(self) -> tiff_layout.Directory:
        return next(iter(self.full.values()))


def _pages(path: Path) -> _Pages:
    found = tiff_layout.directories(path)
    full = {number: page for number, page in enumerate(found) if page.is_full}
    first = found[0]
    if 0 not in full or any(not page.is_full and page.size == first.size and not page.subfile & 4 for page in found):
        raise InputError(f"{path}: a page of full size says that it is a smaller copy or a mask. Export it again.")
    if any((p.size, p.samples, p.dtype) != (first.size, first.samples, first.dtype) for p in full.values()):
        raise InputError(f"{path}: pages of different sizes, bands of one scene were expected.")
    tiff_pages.require_all(path, found)
    color = first.photometric in (2, 6) and first.dtype == np.uint8 and first.samples in (3, 4)
    placed = not first.tags.isdisjoint((33550, 34264, 34735))
    return _Pages(full, color and not placed and len(full) == 1, tiff_mask.masks_of(path, found))


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
    _require_scaling(path, gain, bias)
    plain = bool((gain == 1).all() and (bias == 0).all())
    masking, dtype = tiff_mask.masking_of(pages.masks, raster.masks, stored, raster.nodata, plain=plain)
    ignore = None if raster.nodata is None or np.isnan(raster.nodata) else float(raster.nodata)
    scaling = None if plain else Scaling(gain, bias, dtype, ignore)
    names = [d for d in raster.descriptions if d]
    bands, said = tiff_bands.of_tags(path, raster.band_tags, raster.imagery_tags, raster.descriptions)
    header: dict[str, Any] = {"stored_dtype": stored.name, "interleave": raster.interleave}
    if masking is not None:
        header["masked"] = True
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
        open=partial(_open_raster, path, pages.first, shape, dtype, scaling, masking, raster.by_rows),
        header=header,
        bands_beside=bands,
        band_names=names if len(names) == shape[0] else None,
        place=None if raster.place is None else from_transform(*raster.place),
        anchors=raster.anchors if raster.place is None else None,
        ignore=ignore if plain else None,  # else those samples are NaN
        classes=_classes(raster.tags) if shape[0] == 1 else None,
        files=tiff_mask.files_of(path),
        notes=(*_notes(path, pages.first), *said, *tiff_mask.notes_of(path, masking, raster.masks)),
    )


def _require_scaling(path: Path, gain: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> None:
    """Refuse a scale that leaves no samples."""
    wrong = ~((np.abs(gain) > 1e-30) & (np.abs(gain) < 1e30) & (np.abs(bias) < 1e30))
    if wrong.any():
        band = int(np.argmax(wrong))
        raise InputError(
            f"{path}: band {band + 1} has the scale {gain[band]:g} and the offset {bias[band]:g}, expected finite"
            " numbers and no scale of 0. Correct or remove them."
        )


def _notes(path: Path, page: tiff_layout.Directory) -> tuple[str, ...]:
    if not page.empty_blocks:
        return ()
    return (f"{path.name} leaves out {page.empty_blocks} of {len(page.counts)} blocks of samples: read as empty",)


@dataclass(frozen=True)
class _Raster:
    """All that is asked of GDAL, as plain values: `tiff_bands` and the others judge them without the library."""

    shape: tuple[int, int, int]
    dtypes: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    nodata: float | None
    descriptions: tuple[str | None, ...]
    place: Placed | None
    tags: dict[str, str]
    band_tags: list[dict[str, str]]
    imagery_tags: list[dict[str, str]]
    colormap: dict[str, list[int]] | None
    interleave: str | None
    by_rows: bool
    masks: list[list[str]]
    anchors: Anchors | None


def _raster(src: Any) -> _Raster:
    count = int(src.count)
    return _Raster(
        shape=(count, int(src.height), int(src.width)),
        dtypes=tuple(src.dtypes),
        scales=tuple(src.scales),
        offsets=tuple(src.offsets),
        nodata=src.nodata,
        descriptions=tuple(src.descriptions),
        place=place_of(src),
        tags=src.tags(),
        band_tags=[{k.lower(): v for k, v in src.tags(i).items()} for i in range(1, count + 1)],
        imagery_tags=[{k.lower(): v for k, v in src.tags(i, ns="IMAGERY").items()} for i in range(1, count + 1)],
        colormap=_colormap(src) if count == 1 else None,
        interleave=str(src.interleaving.value).lower() if src.interleaving else None,
        by_rows=bool(src.block_shapes[0][1] == src.width),
        anchors=anchors_of(src),
        masks=[[flag.name for flag in flags] for flags in src.mask_flag_enums],
    )


def _read_pages(path: Path, pages: _Pages) -> Image:
    first = pages.first
    if first.samples != 1:
        raise InputError(f"{path}: {pages.count} pages of {first.samples} bands, pages of one band each were expected.")
    if first.dtype.kind not in "biuf":
        raise InputError(f"{path}: samples of type {first.dtype}, real numbers were expected.")
    if any(page.empty_blocks for page in pages.full.values()):
        raise InputError(f"{path}: pages without samples, every page of a scene holds a band. Export it again.")
    shape = (pages.count, *first.size)
    dtype = np.dtype(np.uint8) if first.dtype == np.bool_ else first.dtype
    return make_image(
        path,
        format="geotiff",
        shape=shape,
        dtype=dtype,
        open=partial(_open_pages, path, pages.full, shape, dtype),
        header={"stored_dtype": dtype.name, "interleave": "page"},
        bands_beside=wavelengths_beside(path, shape[0]),
    )


def _dataset(path: Path) -> Any:
    """Open by GDAL's TIFF driver only: no other format, no network file, is ever tried."""
    _require_plain_files_beside(path)
    rasterio = _library("rasterio")
    with warnings.catch_warnings(), reading(path, *_NO_TIFF, kinds=_of_gdal()):
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path, driver="GTiff")


def _require_plain_files_beside(path: Path) -> None:
    """Position, statistics and overviews that GDAL looks for: of the same folder by their names, and regular files."""
    names = [f"{path.name}{end}" for end in (".aux.xml", ".ovr", ".msk", ".ovr.msk", ".msk.ovr")]
    stem = path.name[: -len(path.suffix)] if path.suffix else path.name
    names += [f"{stem}{end}" for small in _BESIDE for end in (small, small.upper())]
    for file in map(path.with_name, [*names, f"{stem}.aux.xml", f"{stem}.xml", f"{stem}.XML"]):
        require_regular(file)
    if (aux := path.with_name(names[0])).is_file() and aux.stat().st_size > _MAX_BESIDE:
        raise InputError(f"{aux}: {aux.stat().st_size} bytes, notes of GDAL on a file are a short text. Remove it.")


def _open_raster(
    path: Path,
    page: tiff_layout.Directory,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    scaling: Scaling | None,
    masking: tiff_mask.Masking | None,
    by_rows: bool,
) -> Blocks:
    unpacked = tiff_blocks.can_unpack(page) and (page.samples, *page.size) == shape
    read = partial(_raster_block, path, page if unpacked else None, dtype, scaling, masking)
    return Blocks(shape, dtype, read, by_rows=by_rows)


def _raster_block(
    path: Path,
    page: tiff_layout.Directory | None,
    dtype: np.dtype[Any],
    scaling: Scaling | None,
    masking: tiff_mask.Masking | None,
    rows: slice,
    columns: slice,
    bands: slice,
) -> npt.NDArray[Any]:
    shape = tuple(len(range(*part.indices(part.stop))) for part in (bands, rows, columns))
    if 0 in shape:
        return np.empty(shape, dtype)
    raw = _stored(path, page, rows, columns, bands)
    if scaling is None:
        found = np.asarray(raw).astype(dtype, copy=False)
    else:
        every = slice(0, scaling.bands, 1)
        found = scaling.apply(np.asarray(raw), bands, lambda: _stored(path, page, rows, columns, every))
    if masking is None:
        return found
    valid = _mask_by_gdal(path, rows, columns) if masking.by_gdal else masking.valid(rows, columns)
    return masking.apply(found, valid)


def _stored(
    path: Path, page: tiff_layout.Directory | None, rows: slice, columns: slice, bands: slice
) -> npt.NDArray[Any]:
    """Samples ``(bands, rows, columns)`` as the file stores them."""
    # GDAL's handles must not be shared between threads; opening one costs about a millisecond.
    numbers = list(range(bands.start + 1, bands.stop + 1, bands.step))
    if page is None:
        return _by_gdal(path, numbers, rows, columns)[:, :: rows.step, :: columns.step]
    if tiff_blocks.is_comparable(page) and (columns.start, columns.stop) == (0, page.width):
        strips = tiff_blocks.whole_strips(page, rows)
        raw = _by_gdal(path, numbers, strips, columns)
        tiff_blocks.require_checksums(path, page, raw, strips, bands)
        return raw[:, rows.start - strips.start : rows.stop - strips.start : rows.step, :: columns.step]
    return tiff_blocks.window(path, page, rows, columns, bands)


def _mask_by_gdal(path: Path, rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
    window = ((rows.start, rows.stop), (columns.start, columns.stop))
    with _dataset(path) as src, reading(path, *_NO_SAMPLES, kinds=_of_gdal()), _memory():
        return np.asarray(src.read_masks(1, window=window), dtype=bool)[:: rows.step, :: columns.step]


def _by_gdal(path: Path, numbers: list[int], rows: slice, columns: slice) -> npt.NDArray[Any]:
    window = ((rows.start, rows.stop), (columns.start, columns.stop))
    with _dataset(path) as src, reading(path, *_NO_SAMPLES, kinds=_of_gdal()), _memory():
        return np.asarray(src.read(numbers, window=window))


def _open_pages(
    path: Path, full: dict[int, tiff_layout.Directory], shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> Blocks:
    return Blocks(shape, dtype, partial(_pages_block, path, full, dtype), by_rows=True)


def _pages_block(
    path: Path,
    full: dict[int, tiff_layout.Directory],
    dtype: np.dtype[Any],
    rows: slice,
    columns: slice,
    bands: slice,
) -> npt.NDArray[Any]:
    wanted = list(full.items())[bands]
    shape = (len(wanted), len(range(*rows.indices(rows.stop))), len(range(*columns.indices(columns.stop))))
    if 0 in shape:
        return np.empty(shape, dtype)
    if all(tiff_blocks.can_unpack(page) for _, page in wanted):
        return np.concatenate([tiff_blocks.window(path, p, rows, columns, slice(0, 1, 1)) for _, p in wanted])
    tifffile = _library("tifffile")
    found = np.empty(shape, dtype)
    with reading(path, *_NO_SAMPLES), tifffile.TiffFile(path) as tif:
        # One page in memory at a time, whatever the number of bands.
        for i, (number, _) in enumerate(wanted):
            found[i] = tif.pages[number].asarray()[rows, columns]
    return found


@contextmanager
def _memory() -> Iterator[None]:
    """Memory that GDAL could not have says nothing about the file."""
    try:
        yield
    except _library("rasterio")._err.CPLE_OutOfMemoryError as error:
        raise MemoryError(reason(error)) from error


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
