"""What layers of every kind share, and the way from an image or a result to layers; napari is not imported.

`to_layers` returns npe2 layer-data tuples ``(data, attributes, kind)``, made by the ``layers`` module of the image's
kind. Everything needed for the way back is in ``attributes["metadata"]["workbench"]``: small, plain values that survive
JSON.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core import kinds
from workbench.core.types import ClassTable, Image, Result

KEY = "workbench"
"""Our own entry in a layer's ``metadata``."""

LayerTuple: TypeAlias = tuple[Any, dict[str, Any], str]
"""Data, attributes and type of a layer. Data is an array, or a list of arrays (levels of a pyramid, shapes)."""

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


def token(item: Any) -> str:
    """A name for layers that belong together, unlike that of any other object alive."""
    seed = f"{id(item)}-{np.random.default_rng().integers(1 << 62)}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


CT_WINDOW = (-160.0, 240.0)
"""Soft-tissue window [HU]: centre 40, width 400."""
_UNLISTED = (0.75, 0.75, 0.75, 1.0)


def contrast_limits(
    data: npt.NDArray[Any], *, modality: str | None = None, value_unit: str | None = None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Display limits and full range of an image: a CT window for HU, else percentiles of sampled voxels.

    Returns
    -------
    limits, range
        ``range`` is that of the sample, widened to hold the limits.
    """
    steps = tuple(slice(None, None, max(1, n // 64)) for n in data.shape)
    sample = np.asarray(data[steps])
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


def count_labels(data: npt.NDArray[np.integer[Any]]) -> dict[int, int]:
    """Number of voxels of every value that occurs, counted slab by slab so that memory stays small."""
    totals: dict[int, int] = {}
    step = max(1, (1 << 22) // max(1, int(np.prod(data.shape[1:]))))
    for start in range(0, data.shape[0], step):
        slab = data[start : start + step].ravel(order="K")
        # Counting in bins is far faster than sorting, and labels are nearly always small numbers.
        if slab.size and slab.min() >= 0 and slab.max() < 1 << 16:
            bins = np.bincount(slab)
            values = np.flatnonzero(bins)
            counts = bins[values]
        else:
            values, counts = np.unique(slab, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            totals[value] = totals.get(value, 0) + count
    return totals
