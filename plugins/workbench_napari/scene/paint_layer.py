"""The labels layer that people paint classes in: its class table lives in the layer's own metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.layers import KEY, LayerTuple, colormap, count_labels
from workbench.core.types import Image, Labels
from workbench.scene import labels_layer, scene_geometry, scene_record, with_unlisted


def paint_layer(image: Image, classes: ClassTable, token: str) -> LayerTuple:
    """An empty labels layer on the grid of a scene."""
    data = np.zeros(image.geometry.shape, np.uint8)
    # Restoring after a crash opens the scene first where a layer belongs to a result of it.
    record = scene_record(image) | {"part": "painted", "result": token}
    labels = Labels(data, image.geometry, classes, "painted")
    return labels_layer(labels, record, f"{image.name} painted", opacity=0.8)


def fits(layer: Any, shape: tuple[int, int]) -> bool:
    """Whether people can paint the classes of a scene in this layer; maps that a method made are left out."""
    record = layer.metadata.get(KEY) or {}
    is_map = record.get("part") in ("labels", "reference_labels") and bool(record.get("result"))
    # napari lets nobody paint in a layer of several levels.
    is_single = type(layer).__name__ == "Labels" and not layer.multiscale
    return is_single and tuple(layer.data.shape) == tuple(shape) and not is_map


def adopt(layer: Any, image: Image) -> None:
    """Give a labels layer of somebody else, or of a file, the grid and the classes that saving and learning need."""
    record = layer.metadata.get(KEY) or {}
    if scene_geometry(record) is not None:
        return
    _, attributes, _ = paint_layer(image, ClassTable(), "adopted")
    layer.metadata[KEY] = {**attributes["metadata"][KEY], **{k: v for k, v in record.items() if k == "classes"}}
    layer.scale, layer.translate = attributes["scale"], attributes["translate"]


def classes_in(layer: Any, counts: dict[int, int] | None = None) -> ClassTable:
    """Classes of a layer: those of its table, those taken away whose pixels came back, and nameless others."""
    record = layer.metadata.get(KEY) or {}
    classes = ClassTable.from_json(record.get("classes", []))
    if not counts:
        return classes
    known = {c.value for c in classes}
    removed = ClassTable.from_json(record.get("removed", []))
    back = tuple(c for c in removed if c.value in counts and c.value not in known)
    return with_unlisted(ClassTable((*classes, *back)), counts)


def set_classes(layer: Any, classes: ClassTable) -> None:
    """Keep classes in a layer and show their colours."""
    from napari.utils.colormaps import DirectLabelColormap

    record = layer.metadata.setdefault(KEY, {})
    if record.get("classes") != classes.to_json():
        record["classes"] = classes.to_json()
    table = colormap(classes)
    now = getattr(layer.colormap, "color_dict", {})
    same = set(table) == set(now)
    if not (same and np.allclose([now[k] for k in table], list(table.values()), atol=2e-3)):
        layer.colormap = DirectLabelColormap(color_dict=table)


def remove_class(layer: Any, value: int) -> None:
    """Take a class out of the table and its pixels off the layer; the layer's undo brings the pixels back."""
    record = layer.metadata[KEY]
    classes = classes_in(layer)
    gone = [c for c in classes if c.value == value]
    kept = [r for r in record.get("removed", []) if r["value"] != value]
    record["removed"] = kept + ClassTable(tuple(gone)).to_json()
    record["classes"] = ClassTable(tuple(c for c in classes if c.value != value)).to_json()
    where = np.nonzero(layer.data == value)
    if len(where[0]):
        layer.data_setitem(where, 0)


def painted_pixels(
    data: npt.NDArray[Any], limit: int = 400, seed: int = 0
) -> dict[int, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Rows and columns of at most `limit` pixels of every painted class."""
    flat = np.flatnonzero(data)
    values = data.reshape(-1)[flat]
    rng = np.random.default_rng(seed)
    found = {}
    order = np.argsort(values, kind="stable")
    present, starts = np.unique(values[order], return_index=True)
    parts = np.split(flat[order], starts[1:]) if len(present) else []
    for value, here in zip(present, parts, strict=True):
        if len(here) > limit:
            here = np.sort(rng.choice(here, limit, replace=False))
        found[int(value)] = np.unravel_index(here, data.shape)
    return found


def counts_of(layer: Any, stop: Callable[[], bool] = lambda: False) -> dict[int, int]:
    """Painted pixels per class value; those counted so far once `stop` says so."""
    counts = count_labels(np.asarray(layer.data), stop)
    return {v: n for v, n in counts.items() if v > 0}
