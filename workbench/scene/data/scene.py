"""Spectral cubes: many bands on one grid of rows and columns, read block by block so that size does not matter.

A cube is an `Image` of kind ``"scene"``: ``data`` is ``(bands, rows, columns)``, ``geometry`` has the axes ``("row",
"column")``, and ``header`` holds what belongs to the bands: ``wavelengths_nm``, ``fwhm_nm``, ``good_bands``. Every
reader of cubes builds its image with `make_image`; everybody who works on cubes reads them with `open_blocks`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, MissingExtra, OutOfMemory
from workbench.core.types import Geometry, Image
from workbench.data.geometry import MAX_BYTES
from workbench.scene.data.anchors import Anchors
from workbench.scene.data.map_place import MapPlace, proj_of
from workbench.scene.data.wavelength_file import BandList

Bands: TypeAlias = slice | Sequence[int] | None
Array: TypeAlias = npt.NDArray[Any]

AXES = ("row", "column")
BLOCK_BYTES = 64 * 1024**2

LARGEST = 1e30
"""Real samples from here on are fill values (-3.4e38, 9.97e36, 1e34), however many of their digits a header gives."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """A cube opened for reading in pieces.

    Parameters
    ----------
    shape
        ``(bands, rows, columns)``.
    dtype
        Type of what `read` returns.
    reader
        ``reader(rows, columns, bands)`` with three slices of step >= 1; returns ``(bands, rows, columns)``.
    by_rows
        Whole rows are cheapest to read (false: any rectangle is, as in tiled files).
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    reader: Callable[[slice, slice, slice], Array]
    by_rows: bool = True

    def read(self, rows: slice = slice(None), columns: slice = slice(None), bands: Bands = None) -> Array:
        """Samples ``(bands, rows, columns)`` of a rectangle; all bands, a slice of them, or a list of band numbers."""
        rows, columns = _plain(rows, self.shape[1]), _plain(columns, self.shape[2])
        if bands is None or isinstance(bands, slice):
            found = self.reader(rows, columns, _plain(bands or slice(None), self.shape[0]))
            return np.ascontiguousarray(found, dtype=self.dtype)
        wanted = [int(b) + (self.shape[0] if b < 0 else 0) for b in bands]
        if any(not 0 <= b < self.shape[0] for b in wanted):
            raise InputError(f"bands {list(bands)} were asked for, the cube has bands 0 to {self.shape[0] - 1}.")
        parts = [self.reader(rows, columns, slice(b, b + 1, 1)) for b in wanted]
        if not parts:
            return np.empty((0, _length(rows), _length(columns)), self.dtype)
        return np.concatenate(parts).astype(self.dtype, copy=False)

    def windows(self, max_bytes: int = BLOCK_BYTES) -> Iterator[tuple[slice, slice]]:
        """Rectangles (rows, columns) that cover the scene from top to bottom, each at most `max_bytes` in memory."""
        bands, n_rows, n_columns = self.shape
        pixels = max(1, max_bytes // max(1, bands * max(self.dtype.itemsize, 4)))
        width = min(n_columns, pixels) if self.by_rows else min(n_columns, max(1, int(pixels**0.5)))
        height = max(1, pixels // width)
        for top in range(0, n_rows, height):
            for left in range(0, n_columns, width):
                yield slice(top, min(top + height, n_rows)), slice(left, min(left + width, n_columns))

    def spectra(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Array:
        """Spectra ``(n, bands)`` of single pixels; rows are visited in order, so far-apart pixels stay cheap."""
        r, c = np.atleast_1d(np.asarray(rows, dtype=np.intp)), np.atleast_1d(np.asarray(columns, dtype=np.intp))
        found = np.empty((len(r), self.shape[0]), self.dtype)
        for row in np.unique(r):
            here = np.flatnonzero(r == row)
            low, high = int(c[here].min()), int(c[here].max()) + 1
            line = self.read(slice(int(row), int(row) + 1), slice(low, high))
            found[here] = line[:, 0, c[here] - low].T
        return found


@dataclass(frozen=True, eq=False)
class SceneNative:
    """What a reader of cubes keeps for later: how to open the samples, and where the scene lies on the map."""

    open: Callable[[], Blocks]
    place: MapPlace | None = None
    ignore: float | None = None
    files: tuple[Path, ...] = ()
    anchors: Anchors | None = None


def open_blocks(image: Image) -> Blocks:
    """Open a cube for reading by blocks; nothing is loaded yet.

    The samples are those of `Image.data`: scaled as the header says. An image whose ``data`` was loaded before, or that
    was made in memory, is read from memory.
    """
    if "data" not in image.__dict__ and isinstance(image.native, SceneNative):
        return image.native.open()
    return from_array(image.data)


def from_array(data: Array, dtype: npt.DTypeLike | None = None) -> Blocks:
    """Blocks of an array ``(bands, rows, columns)``, which may be a memory map."""
    bands, rows, columns = data.shape
    return Blocks((bands, rows, columns), np.dtype(dtype or data.dtype).newbyteorder("="), partial(_slice_of, data))


def as_dask(image: Image, max_bytes: int = BLOCK_BYTES) -> Any:
    """The scene as a dask array ``(bands, rows, columns)`` whose chunks are read when they are computed.

    Raises
    ------
    MissingExtra
        If dask is not installed (it comes with napari).
    """
    try:
        da: Any = importlib.import_module("dask.array")
    except ModuleNotFoundError as error:
        raise MissingExtra("a scene as a dask array", "gui") from error
    blocks = open_blocks(image)
    rows, columns = next(blocks.windows(max_bytes))
    chunks = da.core.normalize_chunks((blocks.shape[0], rows.stop, columns.stop), blocks.shape)
    return da.map_blocks(
        partial(_chunk, blocks), chunks=chunks, dtype=blocks.dtype, meta=np.empty((0, 0, 0), blocks.dtype)
    )


def _chunk(blocks: Blocks, block_info: Any = None) -> Array:
    _, rows, columns = block_info[None]["array-location"]
    return blocks.read(slice(*rows), slice(*columns))


def make_image(
    path: Path,
    *,
    format: str,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    open: Callable[[], Blocks],
    header: Mapping[str, Any],
    wavelengths_nm: Sequence[float] | None = None,
    fwhm_nm: Sequence[float] | None = None,
    good_bands: Sequence[bool] | None = None,
    bands_beside: BandList | None = None,
    band_names: Sequence[str] | None = None,
    place: MapPlace | None = None,
    anchors: Anchors | None = None,
    ignore: float | None = None,
    classes: ClassTable | None = None,
    value_unit: str | None = None,
    files: tuple[Path, ...] = (),
    notes: tuple[str, ...] = (),
) -> Image:
    """The `Image` of a cube ``(bands, rows, columns)``; lists that do not fit the number of bands are refused.

    Parameters
    ----------
    open
        Opens the samples; called when they are asked for.
    bands_beside
        In place of the three lists: with the notes on it, and the file that it is from.
    anchors
        Position that is no affine; it is said in the notes.
    ignore
        Value, in the unit of the samples, that stands for "nothing measured here".
    """
    bands, rows, columns = shape
    if min(shape) < 1:
        raise InputError(
            f"{path}: the header promises {columns} x {rows} pixels with {bands} bands, so no samples at all."
        )
    if bands_beside is not None:
        found = bands_beside
        wavelengths_nm, fwhm_nm, good_bands = found.wavelengths_nm, found.fwhm_nm, found.good_bands
        notes = (*notes, *found.notes)
        files = (*(files or (path,)), *(() if found.source is None else (found.source,)))
    for field, values in (("wavelength", wavelengths_nm), ("fwhm", fwhm_nm), ("bbl", good_bands)):
        if values is not None and len(values) != bands:
            raise InputError(
                f"{path}: {field} lists {len(values)} values, the file has {bands} bands. Correct or remove the field."
            )
    if wavelengths_nm is not None:
        if any(not 0 < w < math.inf for w in wavelengths_nm):
            raise InputError(f"{path}: a wavelength is not a number above 0. Correct or remove the wavelengths.")
        if len(set(wavelengths_nm)) < bands:
            notes = (*notes, _same_wavelength(wavelengths_nm))
    if place is not None:
        _check_place(place, path)
    if band_names is not None and len(band_names) != bands:
        band_names = None
    return Image(
        geometry=Geometry((rows, columns), None, AXES, None)
        if place is None
        else Geometry((rows, columns), place.affine, AXES, place.unit, place.wkt or proj_of(place)),
        dtype=dtype,
        channels=tuple(band_names) if band_names else _band_names(bands, wavelengths_nm),
        loader=partial(_load, path, open, shape, dtype),
        kind="scene",
        source=path,
        value_unit=value_unit,
        format=format,
        header={
            "wavelengths_nm": None if wavelengths_nm is None else [round(float(w), 6) for w in wavelengths_nm],
            "fwhm_nm": None if fwhm_nm is None else [round(float(w), 6) for w in fwhm_nm],
            "good_bands": None if good_bands is None else [bool(g) for g in good_bands],
            "ignore_value": None if ignore is None or math.isnan(ignore) else ignore,
            "crs": None if place is None else place.name,
            **header,
        },
        classes=classes,
        native=SceneNative(open, place, ignore, files or (path,), anchors),
        notes=notes if anchors is None else (*notes, anchors.note),
    )


def _same_wavelength(wavelengths_nm: Sequence[float]) -> str:
    seen: dict[float, int] = {}
    first, second = next((seen[w], i) for i, w in enumerate(wavelengths_nm) if seen.setdefault(w, i) != i)
    count = len(wavelengths_nm) - len(set(wavelengths_nm))
    more = f", and {count - 1} more" if count > 1 else ""
    return f"bands {first + 1} and {second + 1} have the same wavelength, {wavelengths_nm[first]:g} nm{more}"


def valid_pixels(block: Array, ignore: float | None, good_bands: Sequence[bool] | None = None) -> npt.NDArray[np.bool_]:
    """Which pixels ``(rows, columns)`` of a block ``(bands, rows, columns)`` hold a whole spectrum.

    A pixel is empty if a good band of it is no number (`no_number`), or is the ignore value. Zero is also what a dark
    pixel may show in some bands, so with the ignore value 0 a pixel is empty only where every band is 0.
    """
    used = block if good_bands is None else block[np.asarray(good_bands, dtype=bool)]
    valid: npt.NDArray[np.bool_] = np.ones(used.shape[1:], dtype=bool)
    if used.dtype.kind == "f":
        valid &= ~no_number(used).any(axis=0)
    if ignore is not None and used.shape[0]:
        same = is_value(used, ignore)
        valid &= ~(same.all(axis=0) if ignore == 0 else same.any(axis=0))
    return valid


def ignore_of(image: Image) -> float | None:
    """The no-data value of the samples of a scene as `open_blocks` gives them; ``None`` without one."""
    if isinstance(image.native, SceneNative):
        return image.native.ignore
    found = image.header.get("ignore_value")
    return None if found is None else float(found)


def no_number(samples: Array) -> npt.NDArray[np.bool_]:
    """Which samples are NaN, infinite, or larger than anything that is measured (`LARGEST`)."""
    if samples.dtype.kind != "f":
        return np.zeros(samples.shape, bool)
    found: npt.NDArray[np.bool_] = ~(np.abs(samples) < LARGEST)
    return found


def is_value(samples: Array, ignore: float | None) -> npt.NDArray[np.bool_]:
    """Which samples are the ignore value, in the type of the samples; none where that type cannot hold it."""
    if ignore is None or not fits(ignore, samples.dtype):
        return np.zeros(samples.shape, bool)
    with np.errstate(over="ignore"):  # that of a larger type becomes infinite, which is no number anyway
        found: npt.NDArray[np.bool_] = samples == np.asarray(ignore).astype(samples.dtype)
    return found


def is_empty(samples: Array, ignore: float | None) -> npt.NDArray[np.bool_]:
    """Which samples hold no number: NaN, infinite, or a no-data value other than 0, which a dark band shows, too."""
    found = no_number(samples)
    return found | is_value(samples, ignore) if ignore else found


def _check_place(place: MapPlace, path: Path) -> None:
    """Refuse a position that is no position: not finite, beyond any map, or with pixels without an area."""
    affine = place.affine
    (a, b), (c, d) = affine[:2, :2].tolist()
    if not np.isfinite(affine).all() or np.abs(affine).max() > 1e15 or a * d == b * c:
        numbers = ", ".join(f"{v:.6g}" for v in affine[:2].ravel())
        raise GeometryError(f"{path}: the map position ({numbers}) is no position. Correct or remove it.")


def fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether samples of this type can have the value at all: -9999 cannot occur among unsigned ones."""
    if dtype.kind == "f":
        return not math.isnan(value)
    return math.isfinite(value) and value == int(value) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def scaled_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Type that holds scaled samples: float32, and float64 from 32-bit whole numbers on."""
    small = stored.itemsize <= 2 or stored.newbyteorder("=") == np.float32
    return np.dtype(np.float32 if small else np.float64)


def scaled(raw: Array, gain: Array | None, bias: Array | None, dtype: np.dtype[Any]) -> Array:
    """``raw * gain + bias`` with one gain and one bias per band (first axis)."""
    # Too large a product becomes infinite, and the pixel counts as empty.
    with np.errstate(over="ignore", invalid="ignore"):
        found: Array = np.asarray(raw).astype(dtype)
        if gain is not None:
            found *= np.asarray(gain, dtype=dtype)[:, None, None]
        if bias is not None:
            found += np.asarray(bias, dtype=dtype)[:, None, None]
    return found


@dataclass(frozen=True, eq=False)
class Scaling:
    """From samples as they are stored to those that are meant: ``stored * gain + offset``, NaN where there is no data.

    Whether a sample holds data is asked of the stored one: the same no-data value becomes another number in every band
    whose gain is another, and rounding moves it.

    Parameters
    ----------
    gain, offset
        One per band, or ``None``.
    dtype
        Type of what comes out; real.
    empty
        The no-data value as it is stored.
    """

    gain: Array | None
    offset: Array | None
    dtype: np.dtype[Any]
    empty: float | None = None

    def apply(self, raw: Array, bands: slice, all_bands: Callable[[], Array]) -> Array:
        """Samples of some bands; `all_bands` reads the stored ones of the same pixels in all of them."""
        gain = None if self.gain is None else self.gain[bands]
        found = scaled(raw, gain, None if self.offset is None else self.offset[bands], self.dtype)
        hollow = is_empty(raw, self.empty)
        if self.empty == 0 and (dark := is_value(raw, 0.0).all(axis=0)).any():
            hollow |= dark & (True if len(raw) == self.bands else is_value(all_bands(), 0.0).all(axis=0))
        if hollow.any():
            found[hollow] = np.nan
        return found

    @property
    def bands(self) -> int:
        """How many bands the scene has."""
        known = self.gain if self.gain is not None else self.offset
        return 0 if known is None else len(known)


def _band_names(bands: int, wavelengths_nm: Sequence[float] | None) -> tuple[str, ...]:
    if wavelengths_nm is None:
        return tuple(f"band {i + 1}" for i in range(bands))
    return tuple(f"band {i + 1} ({w:.1f} nm)" for i, w in enumerate(wavelengths_nm))


def _load(path: Path, open: Callable[[], Blocks], shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Array:
    size = math.prod(shape) * dtype.itemsize
    needed = f"{path}: the cube takes {size / 1e9:.3g} GB and does not fit into memory at once"
    advice = "Read it by blocks (workbench.scene.data.scene.open_blocks)."
    if size > MAX_BYTES:
        raise OutOfMemory(f"{needed}: at most {MAX_BYTES / 1e9:.3g} GB are loaded. {advice}")
    return open().read()


def _slice_of(data: Array, rows: slice, columns: slice, bands: slice) -> Array:
    found: Array = data[bands, rows, columns]
    return found


def _plain(part: slice, length: int) -> slice:
    """The same slice with all three numbers given and a step of at least 1."""
    start, stop, step = part.indices(length)
    if step < 1:
        raise InputError(f"blocks are read forwards, the step {step} was asked for.")
    return slice(start, max(start, stop), step)


def _length(part: slice) -> int:
    return len(range(part.start, part.stop, part.step))
