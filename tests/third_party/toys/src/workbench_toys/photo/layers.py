"""Photos in colour and outlines in them as napari layers; napari itself is not imported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workbench import LAYER_KEY, Image, Objects, Result, objects_from_layer, objects_layer, source_record


def to_layers(item: Image | Result, *, as_labels: bool | None = None):
    """A photo as one RGB layer; of a result its outlines."""
    if isinstance(item, Image):
        metadata = {LAYER_KEY: source_record(item) | {"role": "image"}}
        return [(np.moveaxis(item.data, 0, 2), {"name": item.name, "rgb": True, "metadata": metadata}, "image")]
    record = source_record(item.image)
    found = {key: part for key, part in item.parts.items() if isinstance(part, Objects)}
    return [objects_layer(part, record | {"part": key}, name=f"{item.image.name} {key}") for key, part in found.items()]


def updated(result: Result, layers):
    """The result with the outlines as their layers show them now."""
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        if isinstance(parts.get(key), Objects):
            parts[key] = replace(objects_from_layer(data, attributes), name=key)
    return replace(result, parts=parts)
