from dataclasses import replace

import numpy as np

from my_photos.blobs import measured, sizes
from workbench import LAYER_KEY, Image, Objects, objects_from_layer, objects_layer, source_record


def to_layers(item, *, as_labels=None):
    if isinstance(item, Image):
        metadata = {LAYER_KEY: source_record(item) | {"role": "image"}}
        attributes = {"name": item.name, "rgb": True, "metadata": metadata, **placement(item.geometry)}
        return [(np.moveaxis(item.data, 0, 2), attributes, "image")]
    record, place = source_record(item.image), placement(item.image.geometry)
    found = {key: part for key, part in item.parts.items() if isinstance(part, Objects)}
    return [
        objects_layer(part, record | {"part": key}, name=f"{item.image.name} {key}", placement=place)
        for key, part in found.items()
    ]


def placement(geometry):  # the same for the image and for what lies on it
    unit = geometry.unit or "pixel"
    return {"scale": geometry.spacing or (1.0, 1.0), "units": (unit, unit), "axis_labels": ("y", "x")}


def updated(result, layers):  # corrections by hand come back: part -> (data, attributes) of its layer
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        drawn = replace(objects_from_layer(data, attributes), name=key)
        parts[key] = measured(drawn, result.image.geometry)  # areas of the old outlines would be wrong now,
        parts["sizes"] = sizes(parts[key])  # and so would be the table
    return replace(result, parts=parts)
