"""What a layer of the window can be to the Volume tool: an image to run on, labels to edit, a map beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.core.layers import KEY


def record_of(layer: Any) -> dict[str, Any]:
    """What the workbench noted on a layer; empty for the layers of others."""
    return layer.metadata.get(KEY) or {}


def is_volume(layer: Any) -> bool:
    """Whether an image layer can be segmented: 3 axes (or channels and 3), one value per voxel, no map of ours."""
    is_map = record_of(layer).get("role") == "heatmap"
    return bool(_type(layer) == "image" and layer.ndim in (3, 4) and not layer.rgb and not is_map)


def is_label_map(layer: Any) -> bool:
    """Whether a layer holds labels of a volume, of ours or drawn by hand."""
    return bool(_type(layer) == "labels" and layer.ndim == 3)


def maps_beside(labels: Any, layers: Iterable[Any]) -> list[Any]:
    """The image layers that came out of the same run as a labels layer."""
    run = record_of(labels).get("result")
    return [x for x in layers if run and record_of(x).get("result") == run and _type(x) == "image"]


def _type(layer: Any) -> str:
    return type(layer).__name__.lower()
