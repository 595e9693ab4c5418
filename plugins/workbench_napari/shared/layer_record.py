"""Layers that people draw in, as plain values and arrays, and back: what the recovery store keeps of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.layers import KEY

KINDS = ("labels", "shapes", "points", "outlines")

HINT, STAIN = "hint", "stain"
"""Role of a layer of ours that only points at something: it is nobody's work, and is neither kept nor saved."""

_COMMON = ("name", "opacity", "blending", "visible")
_POINTS = ("size", "face_color", "border_color", "shown")
_SHAPES = ("edge_width", "edge_color", "face_color", "z_index")


def kind_of(layer: Any) -> str | None:
    """``"labels"``, ``"shapes"``, ``"points"`` or ``"outlines"`` for layers that can be kept, else ``None``.

    Outlines are labels that are painted where they are looked at, from objects that people correct.
    """
    if edits_of(layer) is not None:
        return "outlines"
    names = (cls.__name__.lower() for cls in type(layer).__mro__)
    kind = next((n for n in names if n in KINDS), None)
    return None if getattr(layer, "multiscale", False) else kind


def edits_of(layer: Any) -> Any:
    """What people correct behind a layer of outlines (`workbench.slide.nuclei_edits.NucleiEdits`), else ``None``."""
    if (layer.metadata.get(KEY) or {}).get("role") != "outlines":
        return None
    from workbench.slide import edits_in

    return edits_in(layer.data)


def record_of(layer: Any) -> dict[str, Any]:
    """Everything about a layer but its large arrays, as JSON-able values."""
    kind = kind_of(layer)
    attributes = {k: getattr(layer, k) for k in _COMMON}
    attributes |= {k: np.asarray(getattr(layer, k)).tolist() for k in ("scale", "translate", "rotate", "shear")}
    attributes["affine"] = np.asarray(layer.affine.affine_matrix).tolist()
    attributes["units"] = [str(u) for u in layer.units]
    attributes["axis_labels"] = list(layer.axis_labels)
    attributes["features"] = {str(c): _plain(layer.features[c]) for c in layer.features.columns}
    attributes["metadata"] = json_only(layer.metadata)
    if kind == "labels" and hasattr(layer.colormap, "color_dict"):
        colors = layer.colormap.color_dict
        attributes["colors"] = [[None if k is None else int(k), np.asarray(v).tolist()] for k, v in colors.items()]
    more = {}
    if kind == "outlines":
        more["edits"] = edits_of(layer).about()
    if kind == "points":
        attributes["ndim"] = layer.ndim
        attributes["symbol"] = [str(s) for s in layer.symbol]
    if kind == "shapes":
        attributes["ndim"] = layer.ndim
        attributes["shape_type"] = [str(s) for s in layer.shape_type]
    own = layer.metadata.get(KEY) or {}
    source = own.get("source") or (str(layer.source.path) if layer.source.path else None)
    return {"kind": kind, "name": layer.name, "source": source, "attributes": attributes, **more}


def arrays_of(layer: Any) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a shapes or points layer, copied: they are small. Of outlines all, not copied."""
    edits = edits_of(layer)
    if edits is not None:
        found: dict[str, npt.NDArray[Any]] = edits.base_arrays() | edits.arrays()
        return found
    if kind_of(layer) == "points":
        arrays = {"data": np.array(layer.data)}
        return arrays | {k: np.array(getattr(layer, k)) for k in _POINTS}
    arrays = {f"shape{i:05d}": np.array(d) for i, d in enumerate(layer.data)}
    return arrays | {k: np.array(getattr(layer, k)) for k in _SHAPES}


def layer_tuple(record: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Any, dict[str, Any], str]:
    """Layer-data tuple from a record and its arrays (``{"data": ...}`` for labels)."""
    attributes = dict(record["attributes"])
    kind = str(record["kind"])
    if kind == "outlines":
        from workbench.slide import kept_outlines

        return kept_outlines(attributes, record["edits"], arrays)
    for key in ("scale", "translate", "shear", "axis_labels", "units"):
        attributes[key] = tuple(attributes[key])
    attributes["rotate"] = np.array(attributes["rotate"])
    attributes["affine"] = np.array(attributes["affine"])
    colors = attributes.pop("colors", None)
    if kind == "labels":
        if colors is not None:
            attributes["colormap"] = {k: tuple(v) for k, v in colors}
        return arrays["data"], attributes, kind
    if kind == "points":
        attributes |= {k: arrays[k] for k in _POINTS}
        if len(arrays["data"]) == 0:
            # napari cannot take per-point properties of no points.
            for key in (*_POINTS, "symbol", "features"):
                attributes.pop(key, None)
        return arrays["data"], attributes, kind
    data = [arrays[k] for k in sorted(arrays) if k.startswith("shape")]
    attributes |= {k: arrays[k] for k in _SHAPES}
    attributes["edge_width"] = arrays["edge_width"].tolist()
    attributes["z_index"] = arrays["z_index"].tolist()
    if not data:
        for key in (*_SHAPES, "shape_type", "features"):
            attributes.pop(key, None)
        return None, attributes, kind
    return data, attributes, kind


def _plain(column: Any) -> list[Any]:
    return [v.item() if isinstance(v, np.generic) else v for v in column]


def json_only(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON can hold; of a mapping the entries that it can hold, so that one odd value does not take the rest."""
    kept: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            kept[str(key)] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            if isinstance(value, Mapping):
                kept[str(key)] = json_only(value)
    return kept
