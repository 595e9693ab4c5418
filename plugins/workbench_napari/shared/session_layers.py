"""The layers of a session: by the file they were opened from, or by a copy of what they hold; and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import InputError, WorkbenchError, reading
from workbench.core.layers import KEY, LayerTuple, to_layers, up_to_date
from workbench_napari.shared.journal import Journal
from workbench_napari.shared.layer_record import arrays_of, json_only, kind_of, layer_tuple, record_of
from workbench_napari.shared.recovery_store import LIMIT_BYTES
from workbench_napari.shared.session_file import numbers, text

_LOOKS = ("opacity", "blending", "visible", "gamma")
_PLACE = ("scale", "translate", "rotate", "shear")

Arrays = Callable[[], Mapping[str, Any]]


def row_of(layer: Any, journal: Journal) -> tuple[dict[str, Any], Arrays | None, str]:
    """What a session notes of a layer, what gives its arrays if it keeps a copy of them, and what is left out of it.

    Arrays that a person can edit are copied here, on the window's thread: the writing goes on while they paint.
    """
    row: dict[str, Any] = {"name": layer.name, "type": _type(layer), "looks": _looks(layer)}
    own = layer.metadata.get(KEY) or {}
    if is_as_its_file(layer, journal):
        return {**row, "source_path": str(own["source"]), "record": json_only(own)}, None, ""
    kind = kind_of(layer)
    if kind is not None:
        record = record_of(layer)
        arrays = {"data": np.array(layer.data)} if kind == "labels" else arrays_of(layer)
        if sum(a.nbytes for a in arrays.values()) > LIMIT_BYTES:
            return row, None, f"'{layer.name}' is larger than {LIMIT_BYTES / 1e9:.1f} GB"
        unsaved = journal.is_unsaved(layer)
        return {**row, "kept": record, "unsaved": unsaved}, lambda: arrays, ""
    path = layer.source.path
    if not own and path and Path(path).exists():
        return {**row, "source_path": str(path), "reader": layer.source.reader_plugin}, None, ""
    if _type(layer) != "image":
        return row, None, f"'{layer.name}' has no file, and layers of {_type(layer)} are not kept"
    levels = list(layer.data) if layer.multiscale else [layer.data]
    if sum(int(np.prod(a.shape)) * np.dtype(a.dtype).itemsize for a in levels) > LIMIT_BYTES:
        return row, None, f"'{layer.name}' has no file, and is larger than {LIMIT_BYTES / 1e9:.1f} GB"
    # A layer that napari shows is not changed in place as labels are; of a dask array nothing is computed here.
    return {**row, "kept": _image_record(layer)}, lambda: _levels(levels), ""


def is_as_its_file(layer: Any, journal: Journal) -> bool:
    """Whether a layer of ours shows just what its file holds: nothing that was made from it, or drawn."""
    own = layer.metadata.get(KEY) or {}
    is_map = own.get("role") in ("heatmap", "marks", "similarity")
    made = own.get("result") or own.get("part") or own.get("edited") or is_map
    is_file = bool(own.get("source")) and Path(str(own["source"])).exists() and _type(layer) in ("image", "labels")
    return is_file and not made and not journal.is_unsaved(layer)


def _levels(levels: list[Any]) -> dict[str, Any]:
    return {f"level{n:05d}": np.asarray(level) for n, level in enumerate(levels)}


def _type(layer: Any) -> str:
    names = [cls.__name__.lower() for cls in type(layer).__mro__]
    known = ("image", "labels", "shapes", "points", "surface", "tracks", "vectors")
    return next((n for n in names if n in known), names[0])


def _looks(layer: Any) -> dict[str, Any]:
    looks = {key: getattr(layer, key) for key in _LOOKS if hasattr(layer, key)}
    if _type(layer) == "image":
        looks["contrast_limits"] = [float(v) for v in layer.contrast_limits]
        looks["colormap"] = layer.colormap.name
    if _type(layer) == "labels":
        looks["selected_label"] = int(layer.selected_label)
    return looks


def _image_record(layer: Any) -> dict[str, Any]:
    place = {key: np.asarray(getattr(layer, key)).tolist() for key in _PLACE}
    return {
        "kind": "image",
        "attributes": {
            **place,
            "affine": np.asarray(layer.affine.affine_matrix).tolist(),
            "units": [str(u) for u in layer.units],
            "axis_labels": list(layer.axis_labels),
            "rgb": bool(layer.rgb),
            "multiscale": bool(layer.multiscale),
            "metadata": json_only(layer.metadata),
        },
    }


# --- and back


def layer_of_copy(row: Mapping[str, Any], arrays: Mapping[str, Any], moved: Mapping[str, str], where: Path) -> Any:
    """The layer of a copy.

    Parameters
    ----------
    moved
        Files that lie elsewhere now: where they were and where they are.

    Raises
    ------
    InputError
        The record does not fit the arrays.
    """
    from napari.layers import Layer

    kept = row.get("kept")
    with reading(where, "the record of a layer does not fit its copy"):
        if not isinstance(kept, dict) or not isinstance(kept.get("attributes"), dict):
            raise InputError(f"{where}: '{text(row, 'name')}' has no record")
        metadata = kept["attributes"].get("metadata")
        own = metadata.get(KEY) if isinstance(metadata, dict) else None
        if isinstance(own, dict):
            own = up_to_date(own)
            metadata[KEY] = own | ({"source": moved[own["source"]]} if own.get("source") in moved else {})
        if kept.get("kind") == "image":
            return Layer.create(*_image_tuple(kept, arrays))
        return Layer.create(*layer_tuple(kept, arrays))


def _image_tuple(kept: Mapping[str, Any], arrays: Mapping[str, Any]) -> LayerTuple:
    attributes = dict(kept["attributes"])
    for key in ("scale", "translate", "shear", "axis_labels", "units"):
        attributes[key] = tuple(attributes[key])
    attributes["rotate"], attributes["affine"] = np.array(attributes["rotate"]), np.array(attributes["affine"])
    levels = [arrays[key] for key in sorted(arrays) if key.startswith("level")]
    return levels if attributes["multiscale"] else levels[0], attributes, "image"


def layers_of_file(file: Path, row: Mapping[str, Any]) -> list[LayerTuple]:
    """All layers that the reader makes of the file of a layer.

    Raises
    ------
    WorkbenchError
        It cannot be read.
    """
    import workbench as wb

    own = row.get("record")
    own = up_to_date(own) if isinstance(own, dict) else {}
    words = {key: text(own, key) or None for key in ("kind", "series", "key")}
    address = f"{file}:{words['key']}" if words["key"] else str(file)
    image = wb.read(address, series=words["series"], kind=words["kind"])
    rate = own.get("sampling_rate")
    if words["key"] is None and isinstance(rate, int | float) and rate != image.header.get("sampling_rate", rate):
        image = wb.read(f"{address}:{rate:g}Hz", kind=words["kind"])  # the rate was part of the name
    found = to_layers(image)
    if text(row, "type") == "labels" and not any(kind == "labels" for _, _, kind in found):
        found += to_layers(image, as_labels=True)
    return found


def matching(found: list[LayerTuple], row: Mapping[str, Any]) -> LayerTuple | None:
    """That of the layers of a file which a row means: of its type, with the most of its record."""
    own = row.get("record")
    own = own if isinstance(own, dict) else {}

    def likeness(item: LayerTuple) -> int:
        record = (item[1].get("metadata") or {}).get(KEY) or {}
        same = sum(record.get(key) == own.get(key) for key in record if key not in ("source", "stamp"))
        return 2 * same + (item[1].get("name") == row.get("name"))

    right = [item for item in found if item[2] == row.get("type")]
    return max(right, key=likeness) if right else None


def set_looks(layer: Any, row: Mapping[str, Any]) -> None:
    """Name and looks of a layer as they were; what is none is left as it is."""
    if name := text(row, "name"):
        layer.name = name
    looks = row.get("looks")
    looks = looks if isinstance(looks, dict) else {}
    for key in (*_LOOKS, "colormap", "selected_label", "contrast_limits"):
        value = numbers(looks.get(key), 2) if key == "contrast_limits" else looks.get(key)
        if value is None or not hasattr(layer, key) or (key == "colormap" and _type(layer) != "image"):
            continue
        try:
            if key == "contrast_limits":
                low, high = layer.contrast_limits_range
                layer.contrast_limits_range = (min(low, value[0]), max(high, value[1]))
            setattr(layer, key, value)
        except (ValueError, TypeError, KeyError, AttributeError, WorkbenchError):
            continue
