"""Pages, electrocardiograms and what was read from them as napari layers, without napari."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.core.layers import KEY, LayerTuple, colormap, token
from workbench.core.types import Image, Labels, Result
from workbench.page.data.pictures import AXES
from workbench.page.preview import preview as preview
from workbench.page.runs import runs

_ROW = 2.0
"""Millivolts between two leads that are drawn below each other."""


def to_layers(item: Image | Result, *, as_labels: bool | None = None) -> list[LayerTuple]:
    """A page as a picture; an electrocardiogram as one line for each lead. `as_labels` means nothing.

    The contract of the ``layers`` module of a kind; see `workbench.core.layers.to_layers`. Lines of signals lie over
    seconds (x) and millivolts (y, upwards is less, as rows of a picture go down), leads `_ROW` mV apart.
    """
    if isinstance(item, Result):
        return _of_result(item)
    record = _record(item)
    if item.geometry.axes != AXES:
        return [_lines(item, record)]
    pixels = np.moveaxis(item.data, 0, 2)
    attributes: dict[str, Any] = {"name": item.name, "rgb": True, "axis_labels": AXES, "metadata": {KEY: record}}
    return [(pixels, attributes, "image")]


def _record(image: Image) -> dict[str, Any]:
    return {"kind": "page", "source": str(image.source) if image.source else None, "role": "page"}


def _of_result(result: Result) -> list[LayerTuple]:
    """The lines that were followed, over the picture of the page."""
    record = _record(result.image) | {"provenance": result.provenance.to_json(), "result": token(result)}
    layers: list[LayerTuple] = []
    for key, part in result.parts.items():
        if isinstance(part, Labels):
            attributes: dict[str, Any] = {
                "name": f"{result.image.name} {part.name}", "axis_labels": AXES, "colormap": colormap(part.classes),
                "metadata": {KEY: {**record, "part": key, "role": "traces", "classes": part.classes.to_json()}},
            }  # fmt: skip
            layers.append((part.data, attributes, "labels"))
    return layers


def _lines(image: Image, record: Mapping[str, Any]) -> LayerTuple:
    """Every lead as a path, each without its gaps."""
    affine = image.geometry.affine
    assert affine is not None
    times = affine[0, 0] * np.arange(image.geometry.shape[0]) + affine[0, 1]
    paths, names = [], []
    for n, (name, values) in enumerate(zip(image.channels, image.data, strict=True)):
        good = np.isfinite(values)
        for first, last in runs(good):
            if last - first > 1:
                paths.append(np.column_stack([n * _ROW - values[first:last], times[first:last]]))
                names.append(name)
    attributes: dict[str, Any] = {
        "name": image.name, "shape_type": "path", "edge_width": 0.01, "edge_color": "white",
        "face_color": "transparent", "features": {"lead": names}, "axis_labels": ("mV", "s"),
        "metadata": {KEY: {**record, "role": "leads", "channels": list(image.channels), "unit": image.value_unit}},
    }  # fmt: skip
    return paths, attributes, "shapes"
