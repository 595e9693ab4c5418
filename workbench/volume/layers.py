"""Volumes, label maps and results as napari layers, and back, without importing napari.

`to_layers` gives views ``(Z, Y, X)`` of the arrays in the (S, P, L) millimetre world of `workbench.volume.placement`;
nothing is resampled. `labels_from_layer` and `image_from_layers` go back to file order and the file's own affine, bit
for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.layers import (
    KEY,
    LayerTuple,
    colormap,
    contrast_limits,
    count_labels,
    is_label_map,
    source_record,
    token,
)
from workbench.core.levels import finest, refuse_time
from workbench.core.types import Geometry, Heatmap, Image, Labels, Result
from workbench.data.label_values import whole_numbers
from workbench.volume.data.assumed import orientation_note
from workbench.volume.display import volume_scores, volume_table
from workbench.volume.placement import (
    Matrix,
    Placement,
    layer_world,
    millimetres_per_unit,
    place,
    transform_attributes,
    world_to_ras,
)
from workbench.volume.preview import preview as preview
from workbench.volume.statistics import class_statistics

AXES_TAKEN = "layer axes were taken as z: to the head, y: to the back, x: to the patient's left"
"""What is noted where nothing says how the axes of a layer lie in the patient."""


def to_layers(item: Image | Result, *, as_labels: bool | None = None) -> list[LayerTuple]:
    """A volume as one image layer per channel, or as one labels layer; of a result its maps.

    The contract of the ``layers`` module of a kind; see `workbench.core.layers.to_layers`.
    """
    if isinstance(item, Result):
        return _result_layers(item)
    if not is_label_map(item, as_labels):
        return _image_layers(item)
    data = whole_numbers(item.data[0], item.source or item.name, negative=True)
    labels = Labels(data, item.geometry, item.classes or _classes_of(data), item.name)
    return [_labels_layer(labels, _source_record(item))]


def updated(result: Result, layers: Mapping[str, tuple[Any, dict[str, Any]]]) -> Result:
    """The result with its label maps and volumes as the layers show them now (data and attributes by part)."""
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        if isinstance(parts.get(key), Labels):
            part = labels_from_layer(np.asarray(finest(data, attributes)), attributes=attributes)
            if not part.geometry.matches(result.image.geometry):
                raise GeometryError(f"layer of '{key}' was cropped or moved off the grid of {result.image.name}")
            parts[key] = replace(part, name=key)
            if "volumes" in parts:
                parts["volumes"] = volume_scores(volume_table(part.data, part.classes, part.geometry))
            if "statistics" in parts:
                parts["statistics"] = class_statistics(part, result.image)
    return replace(result, parts=parts)


def _image_layers(image: Image) -> list[LayerTuple]:
    spot = place(image.geometry)
    layers: list[LayerTuple] = []
    several = len(image.channels) > 1
    group = token(image)
    for c, channel in enumerate(image.channels):
        data = spot.to_layer(image.data[c])
        limits, full = contrast_limits(data, modality=image.modality, value_unit=image.value_unit)
        record = _source_record(image) | {
            "role": "image",
            "group": group,
            "channel": c,
            "channels": list(image.channels),
            "range": list(full),
        }
        attributes = {
            "name": f"{image.name} {channel}" if several else image.name,
            "colormap": "gray",
            "contrast_limits": limits,
            "blending": "translucent_no_depth" if c == 0 else "additive",
            "visible": c == 0,
            **_common(spot, image.geometry, record),
        }
        layers.append((data, attributes, "image"))
    return layers


def _result_layers(result: Result) -> list[LayerTuple]:
    record = _source_record(result.image) | {"provenance": result.provenance.to_json(), "result": token(result)}
    layers: list[LayerTuple] = []
    for key, part in result.parts.items():
        if isinstance(part, Heatmap):
            spot = place(part.geometry)
            data = spot.to_layer(part.data)
            limits, full = (part.limits, part.limits) if part.limits else contrast_limits(data)
            own = {"role": "heatmap", "part": key, "value_unit": part.unit, "range": list(full), "heatmap": part.name}
            attributes = {
                "name": f"{result.image.name} {part.name}",
                "colormap": part.colormap,
                "contrast_limits": limits,
                "blending": "additive",
                "opacity": 0.6,
                "visible": False,
                **_common(spot, part.geometry, record | own),
            }
            layers.append((data, attributes, "image"))
        elif isinstance(part, Labels):
            name = f"{result.image.name} {part.name}"
            layers.append(_labels_layer(part, record | {"part": key, "part_name": part.name}, name))
    return layers


def _labels_layer(labels: Labels, record: dict[str, Any], name: str | None = None) -> LayerTuple:
    spot = place(labels.geometry)
    # People paint in it: it must be their own, writable copy of what the file or the backend holds.
    data = spot.to_layer(labels.data if labels.data.flags.writeable else labels.data.copy())
    attributes = {
        "name": name or labels.name,
        "opacity": 0.5,
        "colormap": colormap(labels.classes),
        "features": volume_table(data, labels.classes, labels.geometry),
        **_common(spot, labels.geometry, record | {"role": "labels", "classes": labels.classes.to_json()}),
    }
    return data, attributes, "labels"


def _common(spot: Placement, geometry: Geometry, record: dict[str, Any]) -> dict[str, Any]:
    placed = geometry.affine is not None
    own = {
        "shape": list(geometry.shape),
        "layer_shape": list(spot.layer_shape),
        "affine": None if geometry.affine is None else np.asarray(geometry.affine, dtype=np.float64).tolist(),
        "axes": list(geometry.axes),
        "unit": geometry.unit,
    }
    return {
        **transform_attributes(spot.world, spot.layer_shape),
        "units": ((geometry.unit or "mm") if placed else "pixel",) * 3,
        "axis_labels": ("z", "y", "x"),
        "metadata": {KEY: record | own},
    }


def _source_record(image: Image) -> dict[str, Any]:
    series = image.header.get("SeriesInstanceUID")
    own = {"series": series if isinstance(series, str) else None, "modality": image.modality}
    assumed = orientation_note(image.notes)
    return source_record(image) | own | ({"orientation": {"assumed": assumed}} if assumed else {})


def _classes_of(data: npt.NDArray[np.integer[Any]]) -> ClassTable:
    return ClassTable.from_values(sorted(v for v in count_labels(data) if v > 0))


def geometry_from_layer(
    shape: Sequence[int], attributes: Mapping[str, Any], *, pixel_is_mm: bool = False
) -> tuple[Geometry, Placement, tuple[str, ...]]:
    """Geometry in file order of any layer, from its full transform and units.

    Parameters
    ----------
    shape
        Shape of the layer's array; the last three axes are the volume.
    attributes
        Layer attributes as in a layer-data tuple (``scale``, ``affine``, ..., ``units``, ``metadata``).
    pixel_is_mm
        Count pixels as millimetres where the layer has neither a unit nor a spacing.

    Returns
    -------
    geometry, placement, notes
        For our own layers that were not moved: the file's own affine, bit for bit. Otherwise the layer's array order is
        the file order, and the notes say what was assumed.

    Raises
    ------
    GeometryError
        The layer is not a volume, or its unit is not a length.
    InputError
        Its first axis is time.
    """
    spatial = tuple(int(n) for n in shape[-3:])
    if len(spatial) != 3:
        raise GeometryError(
            f"layer '{attributes.get('name', '?')}' has shape {tuple(shape)}; a volume of 3 axes is needed"
        )
    refuse_time(shape, attributes)
    world = layer_world(attributes, len(shape))
    notes: list[str] = []
    factors = millimetres_per_unit(attributes.get("units"), len(shape))
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    pixel_is_mm = pixel_is_mm or bool(record.get("pixel_is_mm"))
    original = stored_grid(record, spatial)
    by_hand = set_by_hand(record)
    if factors is not None:
        world = np.diag([*factors, 1.0]) @ world
    elif original is not None and original[0].affine is None and np.allclose(world, original[1].world):
        if not pixel_is_mm:
            return original[0], original[1], ("the file gives no position and no spacing",)
        return _in_file_order(original[1], world, original[0].axes), original[1], ("1 pixel was taken as 1 mm",)
    elif pixel_is_mm or not np.allclose(np.abs(world[:3, :3]).sum(axis=0), 1.0):
        notes.append("the layer has no unit; its scale was taken as millimetres")
    else:
        bare = Placement(spatial, (0, 1, 2), (False, False, False), np.eye(4))
        return Geometry(spatial, None, ("z", "y", "x"), None), bare, ("the layer has neither a unit nor a spacing",)
    if original is not None:
        geometry, spot = original
        if geometry.affine is not None and _same_place(world, spot.world, spatial):
            return geometry, spot, (*notes, *([by_hand] if by_hand else []))
        notes.append("the layer was moved in the viewer; its new position counts")
        return _in_file_order(spot, world, geometry.axes), spot, tuple(notes)
    notes.append(by_hand or AXES_TAKEN)
    bare = Placement(spatial, (0, 1, 2), (False, False, False), world)
    return Geometry(spatial, world_to_ras(world), ("z", "y", "x"), "mm"), bare, tuple(notes)


def set_by_hand(record: Mapping[str, Any]) -> str:
    """What results say of an orientation that a person has set; "" where none has."""
    own = record.get("orientation") or {}
    return f"orientation set by hand: {own['set']} instead of {own['read']}" if own.get("set") else ""


def _in_file_order(spot: Placement, world: Matrix, axes: tuple[str, ...]) -> Geometry:
    return Geometry(spot.shape, world_to_ras(world @ np.linalg.inv(spot.index_matrix)), axes, "mm")


def stored_grid(record: Mapping[str, Any], spatial: tuple[int, ...]) -> tuple[Geometry, Placement] | None:
    """The file's geometry as our metadata keeps it; nothing if the layer was cropped or made by others."""
    if "shape" not in record:
        return None
    affine = record.get("affine")
    matrix = None if affine is None else np.array(affine, dtype=np.float64)
    geometry = Geometry(tuple(record["shape"]), matrix, tuple(record.get("axes", "ijk")), record.get("unit"))
    spot = place(geometry)
    return (geometry, spot) if spot.layer_shape == spatial else None


def _same_place(a: Matrix, b: Matrix, shape: tuple[int, ...]) -> bool:
    return Geometry(shape, a).matches(Geometry(shape, b), tolerance=5e-3)


def labels_from_layer(
    array: npt.NDArray[Any],
    metadata: Mapping[str, Any] | None = None,
    *,
    attributes: Mapping[str, Any] | None = None,
    pixel_is_mm: bool = False,
    name: str = "labels",
) -> Labels:
    """A labels layer as `Labels` in the voxel order and with the affine of the image it was made for.

    Parameters
    ----------
    array
        ``(Z, Y, X)`` integers of the layer.
    metadata
        The layer's ``metadata``.
    attributes
        All attributes of the layer; give them where the layer may come from somewhere else or may have been moved.
    pixel_is_mm, name
        See `geometry_from_layer`; name of the part.

    Raises
    ------
    GeometryError
        Neither the metadata nor the attributes say where the layer lies, or it is not a volume.
    """
    if array.ndim != 3:
        raise GeometryError(f"labels of shape {tuple(array.shape)} are no volume of 3 axes (z, y, x)")
    full = dict(attributes or {})
    full["metadata"] = metadata if metadata is not None else full.get("metadata")
    record = (full["metadata"] or {}).get(KEY) or {}
    if attributes is None:
        found = stored_grid(record, tuple(array.shape))
        if found is None:
            raise GeometryError(
                f"labels {tuple(array.shape)} do not fit the image they were made for; nothing was written"
            )
        geometry, spot = found
    else:
        geometry, spot, _ = geometry_from_layer(array.shape, full, pixel_is_mm=pixel_is_mm)
    data = spot.to_file(array)
    classes = ClassTable.from_json(record.get("classes", []))
    made = (record.get("provenance") or {}).get("backend", "")
    return Labels(
        data,
        geometry,
        _with_unlisted(classes, data, full),
        record.get("part_name", name),
        origin="corrected" if made else "unknown",
        algorithm=made,
    )


def shown_colors(attributes: Mapping[str, Any], values: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    """The colours (0-255) that a labels layer shows these values in; nothing where its colormap does not say."""
    table = attributes.get("colormap")
    direct = getattr(table, "color_dict", table)
    if isinstance(direct, Mapping):
        shown = {v: direct[v] for v in values if v in direct}
    elif values and table is not None and hasattr(table, "map"):
        # napari's own colours, which repeat: it knows them by value only.
        shown = dict(zip(values, np.atleast_2d(table.map(np.array(values))), strict=True))
    else:
        shown = {}
    found = {}
    for value, color in shown.items():
        r, g, b = (round(float(v) * 255) for v in np.asarray(color, dtype=float)[:3])
        found[value] = (r, g, b)
    return found


def _with_unlisted(
    classes: ClassTable, data: npt.NDArray[np.integer[Any]], attributes: Mapping[str, Any]
) -> ClassTable:
    extra = classes.unlisted(count_labels(data))
    colors = shown_colors(attributes, [c.value for c in extra])
    return ClassTable((*classes, *(ClassInfo(c.value, c.name, colors.get(c.value, c.color)) for c in extra)))


def image_from_layers(
    layers: Sequence[tuple[npt.NDArray[Any], Mapping[str, Any]]], *, pixel_is_mm: bool = False
) -> tuple[Image, tuple[str, ...]]:
    """One `Image` from one image layer per channel (or a single layer with a leading channel axis).

    Parameters
    ----------
    layers
        Array and attributes of each; an array may be one that is read when it is taken (dask), which the image does
        when its pixels are asked for. Of a multiscale layer take one level: `workbench.core.levels.at_level`.
    pixel_is_mm
        See `geometry_from_layer`.

    Returns
    -------
    image, notes
        The pixels are those of the layers, in file order; the notes say what was assumed about unit and position.

    Raises
    ------
    GeometryError
        The layers do not lie on the same grid.
    """
    arrays, names, geometries = [], [], []
    notes: tuple[str, ...] = ()
    for array, attributes in layers:
        if array.ndim not in (3, 4) or attributes.get("rgb"):
            raise InputError(
                f"layer '{attributes.get('name')}' has shape {tuple(array.shape)}; "
                "a volume (z, y, x), or (channel, z, y, x), is needed"
            )
        geometry, spot, notes = geometry_from_layer(array.shape, attributes, pixel_is_mm=pixel_is_mm)
        record = (attributes.get("metadata") or {}).get(KEY) or {}
        channel_names = record.get("channels") or []
        for c in range(array.shape[0] if array.ndim == 4 else 1):
            arrays.append((array[c] if array.ndim == 4 else array, spot))
            known = record.get("channel") is not None and len(channel_names) > 1
            names.append(channel_names[record["channel"]] if known else str(attributes.get("name", f"channel {c}")))
        geometries.append(geometry)
        if not geometry.matches(geometries[0]):
            raise GeometryError(
                f"layers '{layers[0][1].get('name')}' and '{attributes.get('name')}' do not lie on the same grid "
                f"({geometries[0].shape} and {geometry.shape}); resample one to the other first"
            )
    record = (layers[0][1].get("metadata") or {}).get(KEY) or {}
    source = record.get("source")
    image = Image(
        geometry=geometries[0],
        dtype=np.result_type(*(array.dtype for array, _ in arrays)),
        channels=tuple(names),
        loader=lambda: _stacked([spot.to_file(np.asarray(array)) for array, spot in arrays]),
        source=Path(source) if source else None,
        value_unit=record.get("value_unit"),
        modality=record.get("modality"),
        format=record.get("format"),
        header={
            "name": record.get("name") or str(layers[0][1].get("name", "image")),
            "stamp": record.get("stamp"),  # of the files when the layer was opened, not now
        },
    )
    return image, notes


def _stacked(channels: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.stack(channels) if len(channels) > 1 else channels[0][None]
