"""Pages, electrocardiograms and what was read from them as napari layers, without napari."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.core.layers import KEY, LayerTuple
from workbench.core.types import Image, Result
from workbench.page.data.pictures import AXES

_ROW = 2.0
"""Millivolts between two leads that are drawn below each other."""


def to_layers(item: Image | Result, *, as_labels: bool | None = None) -> list[LayerTuple]:
    """A page as a picture; an electrocardiogram as one line for each lead. `as_labels` means nothing.

    The contract of the ``layers`` module of a kind; see `workbench.core.layers.to_layers`. Lines of signals lie over
    seconds (x) and millivolts (y, upwards is less, as rows of a picture go down), leads `_ROW` mV apart.
    """
    image = item.image if isinstance(item, Result) else item
    record = {"kind": "page", "source": str(image.source) if image.source else None, "role": "page"}
    if image.geometry.axes == AXES:
        pixels = np.moveaxis(image.data, 0, 2)
        attributes: dict[str, Any] = {
            "name": image.name, "rgb": True, "axis_labels": AXES, "metadata": {KEY: record},
        }  # fmt: skip
        return [(pixels, attributes, "image")]
    return [_lines(image, record)]


def _lines(image: Image, record: Mapping[str, Any]) -> LayerTuple:
    """Every lead as a path, each without its gaps."""
    affine = image.geometry.affine
    assert affine is not None
    times = affine[0, 0] * np.arange(image.geometry.shape[0]) + affine[0, 1]
    paths, names = [], []
    for n, (name, values) in enumerate(zip(image.channels, image.data, strict=True)):
        good = np.isfinite(values)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first > 1:
                paths.append(np.column_stack([n * _ROW - values[first:last], times[first:last]]))
                names.append(name)
    attributes: dict[str, Any] = {
        "name": image.name, "shape_type": "path", "edge_width": 0.01, "edge_color": "white",
        "face_color": "transparent", "features": {"lead": names}, "axis_labels": ("mV", "s"),
        "metadata": {KEY: {**record, "role": "leads", "channels": list(image.channels), "unit": image.value_unit}},
    }  # fmt: skip
    return paths, attributes, "shapes"
