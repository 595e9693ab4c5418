"""Pages, electrocardiograms and what was read from them as napari layers, without napari."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.layers import KEY, LayerTuple, source_record, token
from workbench.core.line_layers import lines_from_layer, lines_layer
from workbench.core.types import Heatmap, Image, Lines, Result, Signals
from workbench.page.data.pictures import AXES
from workbench.page.looks import colors_of, width_of
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
    record = {**source_record(item), "role": "page"}
    if item.geometry.axes != AXES:
        return [_lines(item, record)]
    pixels = np.moveaxis(item.data, 0, 2)
    attributes: dict[str, Any] = {"name": item.name, "rgb": True, "axis_labels": AXES, "metadata": {KEY: record}}
    return [(pixels, attributes, "image")]


def _of_result(result: Result) -> list[LayerTuple]:
    """The lines that were followed, over the picture of the page; colours tell leads apart."""
    record = {**source_record(result.image), "provenance": result.provenance.to_json(), "result": token(result)}
    layers: list[LayerTuple] = []
    for key, part in result.parts.items():
        if isinstance(part, Lines):
            looks = {"axis_labels": AXES, "edge_color": colors_of(part), "edge_width": width_of(part)}
            name = f"{result.image.name} {part.name}"
            layers.append(lines_layer(part, {**record, "part": key}, name=name, placement=looks))
        elif isinstance(part, Heatmap):
            layers.insert(0, _heatmap(part, {**record, "part": key}, f"{result.image.name} {part.name}"))
    return layers


def _heatmap(part: Heatmap, record: Mapping[str, Any], name: str) -> LayerTuple:
    """What a diagnosis looked at, over the picture and below the lines; where it is nothing it is seen through."""
    limits = part.limits or (0.0, 1.0)
    own = {"role": "heatmap", "value_unit": part.unit, "range": list(limits), "heatmap": part.name}
    attributes: dict[str, Any] = {
        "name": name, "colormap": part.colormap, "contrast_limits": limits, "blending": "additive", "opacity": 0.6,
        "visible": False, "rgb": False, "axis_labels": AXES, "metadata": {KEY: {**record, **own}},
    }  # fmt: skip
    return part.data, attributes, "image"


def updated(result: Result, layers: Mapping[str, tuple[Any, dict[str, Any]]]) -> Result:
    """The result as its lines are now: leads, what was seen of them, and measurements are made anew."""
    from workbench.page.corrected import with_lines

    for key, (data, attributes) in layers.items():
        if isinstance(result.parts.get(key), Lines):
            result = with_lines(result, key, lines_from_layer(data, attributes))
    return result


def report(result: Result, folder: Path) -> list[Path]:
    """One HTML file about a result, for people; nothing where there are no leads."""
    from workbench.page.report import write_report

    return [write_report(result, folder / "report.html")] if isinstance(result.parts.get("leads"), Signals) else []


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
