"""The layers that lie on a slide: which they are, what they show now, and another size of a pixel for all. No Qt."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from workbench.core.layers import KEY
from workbench.core.types import Geometry
from workbench.slide import common_attributes, frame_of, geometry_of, is_annotations, is_mask
from workbench_napari.shared.saving import LayerState


def record_of(layer: Any) -> dict[str, Any]:
    """What a layer of ours remembers; empty for others."""
    found = layer.metadata.get(KEY)
    return found if isinstance(found, dict) else {}


def same_slide(layer: Any, other: Any) -> bool:
    """Whether two layers are of one slide."""
    one, two = record_of(layer), record_of(other)
    return one.get("kind") == "slide" and all(one.get(k) == two.get(k) for k in ("kind", "source", "series", "key"))


def masks_on(viewer: Any, slide: Any) -> list[Any]:
    """Labels layers over a slide: found, painted, or of a result."""
    return [x for x in viewer.layers if _is_labels(x) and is_mask(record_of(x)) and same_slide(x, slide)]


def annotations_on(viewer: Any, slide: Any) -> list[Any]:
    """Layers of annotations on a slide."""
    return [x for x in viewer.layers if is_drawn(x) and same_slide(x, slide)]


def is_drawn(layer: Any) -> bool:
    return is_annotations(record_of(layer)) and type(layer).__name__ in ("Shapes", "Points")


def is_own_mask(layer: Any) -> bool:
    """Whether a layer is a mask that no run made."""
    return _is_labels(layer) and is_mask(record_of(layer)) and not record_of(layer).get("result")


def _is_labels(layer: Any) -> bool:
    return type(layer).__name__ == "Labels"


def state_now(layer: Any) -> LayerState:
    """Data and attributes of a layer as they are at this moment: people go on drawing."""
    data, attributes, _ = layer.as_layer_data_tuple()
    own = dict(attributes)
    own["metadata"] = copy.deepcopy(dict(own.get("metadata") or {}))
    own["features"] = layer.features.copy(deep=True)
    if type(layer).__name__ == "Shapes":
        own["shape_type"] = list(layer.shape_type)
        return [np.array(d) for d in data], own
    return np.array(data), own


def rescale(viewer: Any, slide: Any, geometry: Geometry) -> bool:
    """Lay a slide, and what was drawn on it, in a world where its pixels have another size; whether they had.

    Results lie where they were made: those of before keep the size of before.
    """
    before = geometry_of(record_of(slide))
    if before is None or geometry.affine is None:
        return False
    old = np.eye(3) if before.affine is None else before.affine
    if before.unit == geometry.unit and np.allclose(old, geometry.affine, rtol=1e-9, atol=0):
        return False
    factor = np.diag(geometry.affine)[:2] / np.diag(old)[:2]
    drawn = [x for x in (*masks_on(viewer, slide), *annotations_on(viewer, slide)) if not record_of(x).get("result")]
    for layer in (slide, *drawn):
        layer.units = (str(geometry.unit),) * 2
        layer.scale, layer.translate = layer.scale * factor, layer.translate * factor
        _note(layer, record_of(layer), factor, geometry)
    return True


def _note(layer: Any, record: dict[str, Any], factor: Any, geometry: Geometry) -> None:
    own = geometry_of(record)
    if own is not None:
        affine = np.eye(3) if own.affine is None else np.array(own.affine)
        affine[:2] *= factor[:, None]
        moved = Geometry(own.shape, affine, own.axes, geometry.unit)
        record.update(common_attributes(moved, record)["metadata"][KEY])
    if is_annotations(record):
        record["frame"] = frame_of(geometry).to_json()
