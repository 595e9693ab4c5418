"""What layers of every kind share, and the way from an image or a result to layers; napari is not imported.

`to_layers` returns npe2 layer-data tuples ``(data, attributes, kind)``, made by the ``layers`` module of the image's
kind. Everything needed for the way back is in ``attributes["metadata"]["workbench"]``: small, plain values that survive
JSON.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core import kinds
from workbench.core.classes import ClassTable
from workbench.core.errors import MissingExtra, UsageError
from workbench.core.levels import slabs
from workbench.core.pyramid import Pyramid
from workbench.core.stamps import mark
from workbench.core.types import Image, Result

KEY = LAYER_KEY = "workbench"
"""Our own entry in a layer's ``metadata``; the public name is `workbench.LAYER_KEY`."""

LayerTuple: TypeAlias = tuple[Any, dict[str, Any], str]
"""Data, attributes and type of a layer, as napari takes them.

Data is an array; or a list of arrays: of an image layer with ``multiscale=True`` among its attributes the levels of a
pyramid, the finest first (see `pyramid_levels`); of a shapes layer the vertices ``(V, 2)`` of each shape. What goes
through layers must not take ``len`` of the data for a number of rows, nor load it to look at it.
"""

_SHOWN = 1024
"""Pixels along a piece that napari asks for at once: about what a screen shows."""

# Words of version 0.1 in records that lie in recovery stores and in scripts, and what they are called now.
_RENAMED = {"kind": {"cube": "scene"}, "role": {"cube": "scene"}}

_LABEL_NAME = re.compile(
    r"(^|[._\- ])(labels?|mask|masks|seg|segs|segmentations?|organs|dseg|parcellation)([._\- ]|$)", re.I
)


def to_layers(item: Image | Result, *, as_labels: bool | None = None) -> list[LayerTuple]:
    """Turn an image or a result into layer-data tuples, as the ``layers`` module of its kind does.

    Parameters
    ----------
    item
        An image gives one image layer per channel (or one labels layer); a result gives its parts, not its image.
    as_labels
        Whether an image is a label map. By default it is one if the file carries classes, or if it holds whole numbers
        and its name says so (``labels``, ``mask``, ``seg``, ``organs``).

    Returns
    -------
    list of (data, attributes, kind)
        What each kind shows is said in its module: `workbench.volume.layers`, `workbench.scene.layers`,
        `workbench.recording.layers`.
    """
    image = item.image if isinstance(item, Result) else item
    layers: list[LayerTuple] = kinds.find(image.kind).load("layers").to_layers(item, as_labels=as_labels)
    return layers


def up_to_date(record: Mapping[str, Any]) -> dict[str, Any]:
    """Our entry in a layer's metadata in today's words, where an earlier version wrote it; everything else as it is.

    Whoever asks a stored record for its ``kind`` or ``role`` asks this first.
    """
    old = {key: record[key] for key in _RENAMED if isinstance(record.get(key), str)}
    return {**record, **{key: _RENAMED[key].get(word, word) for key, word in old.items()}}


def is_label_map(image: Image, as_labels: bool | None) -> bool:
    """What `as_labels` says; else whether the file carries classes, or holds whole numbers and has such a name."""
    if as_labels is not None:
        return as_labels
    if len(image.channels) != 1:
        return False
    if image.classes is not None:
        return True
    return bool(np.issubdtype(image.dtype, np.integer) and _LABEL_NAME.search(image.name))


def source_record(image: Image) -> dict[str, Any]:
    """What a layer remembers of its image under `KEY`: small, plain values that survive JSON."""
    return {
        "kind": image.kind,
        "source": None if image.source is None else str(Path(image.source).absolute()),
        "format": image.format,
        "value_unit": image.value_unit,
        "name": image.name,
        "stamp": image.header.get("stamp", mark(image.stamp)),
    }


def pyramid_levels(image: Image) -> list[Any]:
    """The levels of a pyramid for an image layer with ``multiscale=True``; pixels are read when they are looked at.

    Returns
    -------
    list of dask arrays ``(rows, columns, channels)``
        The finest first, in pieces of whole tiles. Three 8-bit channels are what napari shows with ``rgb=True``; of
        others take one channel for a layer: ``[level[..., c] for level in levels]``.

    Raises
    ------
    UsageError
        The image is no pyramid.
    MissingExtra
        dask, which comes with napari, is not installed.
    """
    pyramid = image.pyramid
    if pyramid is None:
        raise UsageError(f"{image.source or image.name}: is no pyramid of levels; show its data")
    try:
        import dask.array as da
    except ImportError:
        raise MissingExtra("showing a pyramid (dask)", "gui") from None
    name = token(image)
    from_array: Any = da.from_array  # dask says nothing about its types
    pieces = (edge * max(1, _SHOWN // edge) for edge in pyramid.tile)
    chunks = (*pieces, len(pyramid.channels))
    meta = np.empty((0, 0, 0), pyramid.dtype)
    return [
        from_array(_Lazy(pyramid, n), chunks=chunks, name=f"level-{n}-{name}", meta=meta, asarray=False)
        for n in range(len(pyramid.levels))
    ]


class _Lazy:
    """One level of a pyramid as dask wants it: a shape, a type, and slices that are read when taken."""

    ndim = 3

    def __init__(self, pyramid: Pyramid, level: int) -> None:
        self._pyramid, self._level = pyramid, level
        self.shape = (*pyramid.levels[level].shape, len(pyramid.channels))
        self.dtype = pyramid.dtype

    def __getitem__(self, key: tuple[slice, slice, slice]) -> npt.NDArray[Any]:
        (top, bottom, down), (left, right, across) = (k.indices(n) for k, n in zip(key[:2], self.shape, strict=False))
        height, width = max(0, bottom - top), max(0, right - left)
        region = self._pyramid.read(self._level, top, left, height, width)
        return region[::down, ::across, key[2]]


def token(item: Any) -> str:
    """A name for layers that belong together, unlike that of any other object alive."""
    seed = f"{id(item)}-{np.random.default_rng().integers(1 << 62)}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


CT_WINDOW = (-160.0, 240.0)
"""Soft-tissue window [HU]: centre 40, width 400."""
_UNLISTED = (0.75, 0.75, 0.75, 1.0)


def contrast_limits(
    data: npt.NDArray[Any] | Sequence[Any], *, modality: str | None = None, value_unit: str | None = None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Display limits and full range of an image: a CT window for HU, else percentiles of sampled voxels.

    Parameters
    ----------
    data
        Samples; or the levels of a pyramid, of which the coarsest is looked at.

    Returns
    -------
    limits, range
        ``range`` is that of the sample, widened to hold the limits.
    """
    seen = data[-1] if isinstance(data, list | tuple) else np.asarray(data)
    steps = tuple(slice(None, None, max(1, n // 64)) for n in seen.shape)
    sample = np.asarray(seen[steps])
    sample = sample[np.isfinite(sample)] if np.issubdtype(sample.dtype, np.floating) else sample.ravel()
    if sample.size == 0:
        return (0.0, 1.0), (0.0, 1.0)
    low, high = float(sample.min()), float(sample.max())
    # NIfTI has no modality: air near -1000 together with values of soft tissue is a CT in HU.
    if modality == "CT" or value_unit == "HU" or (low <= -900 and 40 <= high < 32000 and low >= -9000):
        limits = CT_WINDOW
    else:
        lower, upper = np.percentile(sample, (0.5, 99.8))
        limits = (float(lower), float(upper))
    if limits[1] <= limits[0]:
        limits = (low, high) if high > low else (low, low + 1.0)
    return limits, (min(low, limits[0]), max(high, limits[1]))


def colormap(classes: ClassTable) -> dict[int | None, tuple[float, ...]]:
    """Colours for a labels layer; a value that is not listed is shown in light gray, never hidden."""
    table: dict[int | None, tuple[float, ...]] = {None: _UNLISTED, 0: (0.0, 0.0, 0.0, 0.0)}
    for c in classes:
        table[c.value] = (c.color[0] / 255, c.color[1] / 255, c.color[2] / 255, 1.0)
    return table


def map_labels(
    data: npt.NDArray[np.integer[Any]], values: Mapping[int, int], dtype: npt.DTypeLike
) -> npt.NDArray[np.integer[Any]]:
    """The label map with every value changed as `values` says, 0 where it says nothing; slab by slab, as counting is.

    `dtype` holds all new values.
    """
    out = np.zeros(data.shape, dtype)
    for part in slabs(data.shape):
        slab = data[part]
        if slab.size and slab.min() >= 0 and slab.max() < 1 << 16:
            table = np.zeros(int(slab.max()) + 1, dtype)
            for value, new in values.items():
                if 0 <= value < table.size:
                    table[value] = new
            out[part] = table[slab]
        elif slab.size:
            present, inverse = np.unique(slab, return_inverse=True)
            out[part] = np.array([values.get(int(v), 0) for v in present], dtype)[inverse].reshape(slab.shape)
    return out


def count_labels(data: npt.NDArray[np.integer[Any]], stop: Callable[[], bool] = lambda: False) -> dict[int, int]:
    """Number of voxels of every value that occurs, counted slab by slab so that memory stays small.

    Parameters
    ----------
    data
        An array, or anything that gives arrays when it is sliced (dask, zarr).
    stop
        Asked before every slab; once it says so, counting ends with what was counted.
    """
    bins = np.zeros(0, np.int64)
    others: dict[int, int] = {}
    for part in slabs(data.shape):
        if stop():
            break
        slab = np.asarray(data[part]).ravel(order="K")
        # Counting in bins is far faster than sorting, and labels are nearly always small numbers.
        if slab.size and slab.min() >= 0 and slab.max() < 1 << 16:
            found = np.bincount(slab)
            if len(found) > len(bins):
                found[: len(bins)] += bins
                bins = found
            else:
                bins[: len(found)] += found
        else:
            for value, count in zip(*(a.tolist() for a in np.unique(slab, return_counts=True)), strict=True):
                others[value] = others.get(value, 0) + count
    values = np.flatnonzero(bins)
    totals: dict[int, int] = dict(zip(values.tolist(), bins[values].tolist(), strict=True))
    for value, count in others.items():
        totals[value] = totals.get(value, 0) + count
    return dict(sorted(totals.items())) if others else totals
