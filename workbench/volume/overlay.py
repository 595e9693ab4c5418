"""Results exactly over the layer they were made from, wherever a person or another plugin has put that layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.core.layers import KEY, LayerTuple
from workbench.core.types import Result
from workbench.volume.layers import stored_grid, to_layers
from workbench.volume.placement import Placement, place

_TRANSFORM = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_GRID = ("shape", "layer_shape", "affine", "axes", "unit", "orientation")


def follow_layer(result: Result, attributes: Mapping[str, Any], *, pixel_is_mm: bool = False) -> list[LayerTuple]:
    """Layers of a result exactly over the image layer it was made from, wherever that layer was put and in its units.

    Parameters
    ----------
    result
        Made from the image of `image_from_layers`.
    attributes
        Attributes of the (first) image layer.
    pixel_is_mm
        As it was given to `image_from_layers`; saving remembers it.
    """
    # Labels have the image's shape in file order; only the turn is needed, and it depends on shape and metadata.
    file_shape = result.image.geometry.shape
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    original = stored_grid(record, tuple(record["layer_shape"])) if "layer_shape" in record else None
    if original is not None and original[0].shape == file_shape:
        spot = original[1]
    else:
        # Of a coarser level of a multiscale layer: its attributes say where it lies, the grid of the file does not.
        original = None
        spot = Placement(file_shape, (0, 1, 2), (False, False, False), np.eye(4))
    layers: list[LayerTuple] = []
    for data, own, kind in to_layers(result):
        native = place(result.image.geometry).to_file(data)
        copied = {k: last_axes(attributes[k], k) for k in _TRANSFORM if attributes.get(k) is not None}
        mine = {k: v for k, v in own["metadata"][KEY].items() if k not in _GRID}
        kept_of = _GRID if original is not None else ("orientation",)
        mine |= {k: record[k] for k in kept_of if k in record}
        if pixel_is_mm:
            mine["pixel_is_mm"] = True
        kept = {k: v for k, v in own.items() if k not in _TRANSFORM}
        layers.append((spot.to_layer(native), kept | copied | {"metadata": {KEY: mine}}, kind))
    return layers


def last_axes(value: Any, key: str) -> Any:
    """The part of a layer's transform that belongs to its last three axes."""
    if key == "shear":
        return value if len(np.shape(value)) != 1 or len(value) <= 3 else _shear_tail(value)
    array = getattr(value, "affine_matrix", value)
    size = len(array)
    if key == "affine":
        keep = [*range(size - 4, size - 1), size - 1]
        return np.asarray(array)[np.ix_(keep, keep)] if size > 4 else array
    if key == "rotate":
        return np.asarray(array)[-3:, -3:]
    return tuple(value)[-3:]


def _shear_tail(values: Sequence[float]) -> list[float]:
    size = int((1 + np.sqrt(1 + 8 * len(values))) / 2)
    full = np.zeros((size, size))
    full[np.triu_indices(size, k=1)] = values
    tail: list[float] = full[-3:, -3:][np.triu_indices(3, k=1)].tolist()
    return tail
