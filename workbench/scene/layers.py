"""Spectral cubes and maps made from them as napari layers, and back, without importing napari.

A cube is shown as a colour picture of three of its bands; the cube itself stays in its file. Layers of a scene lie on
its own grid, rows downwards, with the pixel size as ``scale``: map coordinates in the millions would not survive the
float32 of a graphics card. The true position stays in ``metadata["workbench"]`` and goes into every file written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.layers import (
    KEY,
    LayerTuple,
    colormap,
    contrast_limits,
    count_labels,
    is_label_map,
    token,
    up_to_date,
)
from workbench.core.levels import finest
from workbench.core.types import Geometry, Heatmap, Image, Labels, Result
from workbench.data.label_values import whole_numbers
from workbench.scene.display import area_table, areas, composite, first_bands, overview_step
from workbench.scene.preview import preview as preview

_LENGTHS = {"m": "m", "km": "km", "ft": "ft", "cm": "cm", "mm": "mm", "um": "um"}


def to_layers(item: Image | Result, *, as_labels: bool | None = None) -> list[LayerTuple]:
    """A scene as a colour picture of three bands, a class map as a labels layer; of a result its maps.

    The contract of the ``layers`` module of a kind; see `workbench.core.layers.to_layers`.
    """
    if isinstance(item, Result):
        return result_layers(item, token(item))
    if not is_label_map(item, as_labels):
        return image_layers(item)
    data = whole_numbers(item.data[0], item.source or item.name, negative=True)
    classes = item.classes or ClassTable.from_values(sorted(v for v in count_labels(data) if v > 0))
    return [labels_layer(Labels(data, item.geometry, classes, item.name), scene_record(item), item.name)]


def updated(result: Result, layers: Mapping[str, tuple[Any, dict[str, Any]]]) -> Result:
    """The result with its class maps and areas as the layers show them now (data and attributes by part)."""
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        if isinstance(parts.get(key), Labels):
            part = labels_from_layer(np.asarray(finest(data, attributes)), attributes.get("metadata") or {}, key)
            parts[key] = replace(part, name=key)
            if "areas" in parts:
                parts["areas"] = areas(part)
    return replace(result, parts=parts)


def image_layers(image: Image) -> list[LayerTuple]:
    """One RGB layer for a cube of several bands; a gray layer for a single band."""
    from workbench.scene.data.scene import open_blocks

    blocks = open_blocks(image)
    bands, rows, columns = blocks.shape
    step = overview_step(rows, columns)
    if bands < 3:
        plane = blocks.read(slice(None, None, step), slice(None, None, step), [0])[0]
        limits, full = contrast_limits(plane)
        record = scene_record(image) | {"role": "image", "bands": [0], "step": step, "range": list(full)}
        attributes = {"name": image.name, "colormap": "gray", "contrast_limits": limits, "rgb": False}
        return [(plane, attributes | common_attributes(image.geometry, record, step), "image")]
    preset, chosen = first_bands(bands, image.header.get("wavelengths_nm"), image.header.get("good_bands"))
    picture = composite(blocks, chosen, ignore=image.header.get("ignore_value"), step=step)
    record = scene_record(image) | {"role": "scene", "preset": preset, "bands": list(chosen), "step": step}
    attributes = {"name": image.name, "rgb": True, **common_attributes(image.geometry, record, step)}
    return [(picture, attributes, "image")]


def result_layers(result: Result, token: str) -> list[LayerTuple]:
    """Label maps and heat maps of a result as layers."""
    record = scene_record(result.image) | {"provenance": result.provenance.to_json(), "result": token}
    layers: list[LayerTuple] = []
    for key, part in result.parts.items():
        if isinstance(part, Heatmap):
            layers.append(heatmap_layer(part, record | {"part": key}, f"{result.image.name} {part.name}"))
        elif isinstance(part, Labels):
            layers.append(labels_layer(part, record | {"part": key}, f"{result.image.name} {part.name}"))
    return layers


def heatmap_layer(part: Heatmap, record: Mapping[str, Any], name: str) -> LayerTuple:
    """A confidence or doubt map as a hidden image layer."""
    limits, full = (part.limits, part.limits) if part.limits else contrast_limits(part.data)
    own = {"role": "heatmap", "value_unit": part.unit, "range": list(full), "heatmap": part.name}
    attributes = {
        "name": name,
        "colormap": part.colormap,
        "contrast_limits": limits,
        "blending": "translucent_no_depth",
        "opacity": 0.7,
        "visible": False,
        "rgb": False,
        **common_attributes(part.geometry, {**record, **own}),
    }
    return part.data, attributes, "image"


def labels_layer(labels: Labels, record: Mapping[str, Any], name: str, *, opacity: float = 0.5) -> LayerTuple:
    """A class map as a labels layer ``(rows, columns)`` that people can paint in."""
    data = labels.data if labels.data.flags.writeable else labels.data.copy()
    own = {"role": "labels", "part_name": labels.name, "classes": labels.classes.to_json()}
    attributes = {
        "name": name,
        "opacity": opacity,
        "colormap": colormap(labels.classes),
        "features": area_table(count_labels(data), labels.classes, labels.geometry),
        **common_attributes(labels.geometry, {**record, **own}),
    }
    return data, attributes, "labels"


def scene_record(image: Image) -> dict[str, Any]:
    """What a layer remembers of its cube: small, plain values that survive JSON."""
    return {
        "kind": "scene",
        "source": None if image.source is None else _absolute(image.source),
        "format": image.format,
        "key": image.header.get("key"),
        "name": image.name,
        "value_unit": image.value_unit,
        "n_bands": len(image.channels),
    }


def _absolute(source: Any) -> str:
    from pathlib import Path

    return str(Path(source).absolute())


def common_attributes(geometry: Geometry, record: Mapping[str, Any], step: int = 1) -> dict[str, Any]:
    """Transform and metadata of a layer on the grid of a scene, shown every `step` pixels."""
    spacing, unit = layer_spacing(geometry)
    own = {
        "shape": list(geometry.shape),
        "affine": None if geometry.affine is None else np.asarray(geometry.affine, dtype=np.float64).tolist(),
        "axes": list(geometry.axes),
        "unit": geometry.unit,
        "crs": geometry.crs,
    }
    return {
        "scale": tuple(s * step for s in spacing),
        # The first shown pixel stands for `step` pixels, so its centre lies in their middle.
        "translate": tuple(s * (step - 1) / 2 for s in spacing),
        "units": (unit, unit),
        "axis_labels": ("y", "x"),
        "metadata": {KEY: {**record, **own}},
    }


def layer_spacing(geometry: Geometry) -> tuple[tuple[float, float], str]:
    """Pixel size and unit of the layers of a scene; pixels where its unit is no length (degrees) or not known."""
    spacing, unit = geometry.spacing, _LENGTHS.get(geometry.unit or "")
    if spacing is None or unit is None:
        return (1.0, 1.0), "pixel"
    return (float(spacing[0]), float(spacing[1])), unit


def scene_geometry(record: Mapping[str, Any]) -> Geometry | None:
    """Geometry of the scene a layer belongs to, bit for bit, from its metadata; ``None`` if it is no layer of ours."""
    record = up_to_date(record)
    if record.get("kind") != "scene" or "shape" not in record:
        return None
    affine = record.get("affine")
    matrix = None if affine is None else np.array(affine, dtype=np.float64)
    axes = tuple(record.get("axes", ("row", "column")))
    return Geometry(tuple(record["shape"]), matrix, axes, record.get("unit"), record.get("crs"))


def labels_from_layer(array: npt.NDArray[Any], metadata: Mapping[str, Any], name: str = "labels") -> Labels:
    """A labels layer as `Labels` on the grid of its scene, with the classes of its table.

    Raises
    ------
    GeometryError
        The layer does not have the rows and columns of its scene, or belongs to none.
    """
    record = metadata.get(KEY) or {}
    geometry = scene_geometry(record)
    if geometry is None or geometry.shape != tuple(array.shape):
        expected = "no scene" if geometry is None else " x ".join(map(str, geometry.shape))
        raise GeometryError(
            f"labels of {' x '.join(map(str, array.shape))} pixels belong to {expected}; "
            "open the cube first and paint in the layer that the Spectra tool makes"
        )
    classes = with_unlisted(ClassTable.from_json(record.get("classes", [])), count_labels(array))
    return Labels(array, geometry, classes, record.get("part_name", name))


def with_unlisted(classes: ClassTable, values: Sequence[int] | Mapping[int, int]) -> ClassTable:
    """The classes, and ``class N`` for every other value that occurs."""
    return ClassTable((*classes, *classes.unlisted(values)))
