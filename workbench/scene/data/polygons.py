"""Training areas drawn as polygons (or points) become a label map on the grid of a scene, by rasterio.

A pixel belongs to the polygon that its centre lies in. Where polygons of two classes overlap it belongs to none.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, nearest, reading
from workbench.core.types import Image, Labels
from workbench.data.formats import split_address
from workbench.scene.data import vector_files
from workbench.scene.data.crs import crs_of, crs_of_place, errors_of_gdal
from workbench.scene.data.scene import SceneNative
from workbench.scene.data.vector_files import Feature, is_vector, read_layer

__all__ = ["files_of", "is_vector", "labels_of_polygons"]

_NAMES = (
    "class", "classname", "class_name", "label", "landcover", "land_cover", "category", "material", "species", "crop",
    "mc_name", "c_name", "macroclass", "type", "name",
)  # fmt: skip
_VALUES = (
    "class_id", "classid", "classvalue", "class_value", "label_id", "labelid", "value", "code", "gridcode", "mc_id",
    "c_id",
)  # fmt: skip
_MOST_CLASSES = 65535
_NUMBERED = re.compile(r"class -?\d+")


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that decide what is read from an address."""
    return vector_files.files_of(split_address(path)[0])


def labels_of_polygons(path: Path, image: Image) -> Labels:
    """The label map of a file of polygons on the grid of a scene; its notes say what was left out.

    Parameters
    ----------
    path
        ``areas.gpkg``, ``.geojson`` or ``.shp``; ``areas.gpkg:column`` names the column of the classes.

    Raises
    ------
    GeometryError
        The scene has no position, or no polygon lies on it.
    InputError
        The file is damaged, or no column of it is known to hold classes.
    """
    file, key = split_address(path)
    layer = read_layer(file)
    values, classes = _classes(file, layer.features, key)
    place = image.native.place if isinstance(image.native, SceneNative) else None
    if place is None:
        raise GeometryError(
            f"{file}: polygons need a scene with a map position, {image.source or image.name} has no grid on a map."
            " Give a label map, or the scene warped to a map."
        )
    rasterio: Any = importlib.import_module("rasterio")
    features: Any = importlib.import_module("rasterio.features")
    warp: Any = importlib.import_module("rasterio.warp")
    shapes: list[tuple[int, Mapping[str, Any]]] = []
    for feature, value in zip(layer.features, values, strict=True):
        if feature.geometry is not None and value:
            shapes.append((value, feature.geometry))
    if not shapes:
        raise InputError(
            f"{file}: no polygon or point with a class in it. Draw some, or name the column of the classes."
        )
    notes: list[str] = []
    target, own = (
        crs_of_place(place),
        None if layer.crs is None else crs_of(layer.crs, str(file), ". Save it in another."),
    )
    if target is not None and own is not None:
        advice = "Check its coordinate system."
        with reading(file, "it cannot be brought onto the map of the scene", advice, kinds=errors_of_gdal()):
            moved = warp.transform_geom(own, target, [g for _, g in shapes])
        shapes = [(v, g) for (v, _), g in zip(shapes, moved, strict=True)]
    elif own is not None or target is not None:
        which = "the scene" if target is None else "the file of polygons"
        notes.append(f"{which} names no coordinate system: the coordinates of the polygons were taken as they are")
    shape = image.geometry.shape
    transform = rasterio.Affine(*place.transform)
    data = np.zeros(shape, np.uint8 if max(values) < 256 else np.uint16)
    claimed = np.zeros(shape, bool)
    twice = np.zeros(shape, bool)
    for value in sorted({v for v, _ in shapes}):
        with reading(file, "it cannot be drawn on the scene", "Repair its geometries.", kinds=errors_of_gdal()):
            drawn = features.rasterize(
                [g for v, g in shapes if v == value], out_shape=shape, transform=transform, fill=0, dtype="uint8"
            )
        inside = drawn > 0
        twice |= claimed & inside
        claimed |= inside
        data[inside] = value
    data[twice] = 0
    if not claimed.any():
        raise GeometryError(f"{file}: {_nowhere(shapes, shape, place.transform)}")
    notes += _notes(layer.features, values, data, classes, twice)
    return Labels(data, image.geometry, classes, name=file.stem, notes=tuple(notes))


def _classes(file: Path, rows: Sequence[Feature], key: str | None) -> tuple[list[int], ClassTable]:
    """The class value of each feature (0: none), and the classes."""
    columns = list(dict.fromkeys(c for r in rows for c in r.attributes if c.isprintable()))
    known = {c.lower(): c for c in columns}
    name: str | None
    number: str | None
    if key is not None:
        if key not in columns:
            raise InputError(f"{file}: no column '{key}' in it.{nearest(key, columns)}")
        name, number = key, None
    else:
        name = next((known[n] for n in _NAMES if n in known), None)
        number = next((known[n] for n in _VALUES if n in known), None)
    if name is None and number is None:
        raise InputError(
            f"{file}: no column of classes among {', '.join(columns[:12]) or 'none'}. Name the one that holds them:"
            f" {file.name}:{columns[0] if columns else 'class'}"
        )
    shown = name if name is not None else str(number)
    texts = [r.attributes.get(shown) for r in rows]
    numbers = [_whole(r.attributes.get(number)) for r in rows] if number is not None else [_whole(t) for t in texts]
    pairs = {(n, str(t).strip()) for n, t in zip(numbers, texts, strict=True) if t not in (None, "") and n is not None}
    clear = len({n for n, _ in pairs}) == len({t for _, t in pairs}) == len(pairs) and all(n > 0 for n, _ in pairs)
    codes = [_code(t) for t in texts]
    if pairs and clear and all(n is not None or t in (None, "") for n, t in zip(numbers, texts, strict=True)):
        named = dict(pairs)
        found = [0 if n is None or t in (None, "") else n for n, t in zip(numbers, texts, strict=True)]
    elif all(c is not None or t in (None, "") for c, t in zip(codes, texts, strict=True)):
        # Numbers of which one is no value of a map (0): it alone gets another, so that 1 is 1 in every file.
        plain = {c for c in codes if c is not None}
        free = max((c for c in plain if c > 0), default=0)
        values = {c: c if c > 0 else free + i for i, c in enumerate(sorted(plain, key=lambda c: (c > 0, c)), 1)}
        named = {v: f"class {c}" for c, v in values.items()}
        found = [0 if c is None else values[c] for c in codes]
    else:  # names alone: numbered in their order
        words = [None if t in (None, "") else str(t).strip() for t in texts]
        order = {w: i for i, w in enumerate(sorted({w for w in words if w}), 1)}
        named = {i: w for w, i in order.items()}
        found = [order.get(w, 0) if w else 0 for w in words]
    if max(named, default=0) > _MOST_CLASSES:
        raise InputError(f"{file}: class values up to {max(named)}, at most {_MOST_CLASSES} were expected.")
    nameless = ClassTable.from_values(sorted(named))
    table = ClassTable(
        tuple(
            type(c)(c.value, c.name if _whole(named[c.value]) == c.value else named[c.value], c.color) for c in nameless
        )
    )
    return found, table


def _whole(value: Any) -> int | None:
    try:
        return int(value) if value is not None and float(value) == int(float(value)) and float(value) > 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _code(value: Any) -> int | None:
    """The whole number that a field holds, of any sign."""
    try:
        return int(float(value)) if value is not None and float(value) == int(float(value)) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _notes(
    rows: Sequence[Feature], values: Sequence[int], data: npt.NDArray[Any], classes: ClassTable, twice: npt.NDArray[Any]
) -> list[str]:
    notes = []
    moved = [
        f"'{c.name}' has the value {c.value}" for c in classes if _NUMBERED.fullmatch(c.name) and not c.is_nameless
    ]
    if moved:
        notes.append(f"a class of 0 or below has another value, as 0 is no label in a map: {', '.join(moved[:8])}")
    lines = sum(r.geometry is None for r in rows)
    if lines:
        notes.append(f"{lines} of {len(rows)} features are no areas or points: left out")
    nameless = sum(v == 0 and r.geometry is not None for r, v in zip(rows, values, strict=True))
    if nameless:
        notes.append(f"{nameless} of {len(rows)} polygons have no class: left out")
    if twice.any():
        notes.append(f"{int(twice.sum())} pixels lie in polygons of two classes: they have no label")
    absent = [c.name for c in classes if not (data == c.value).any()]
    if absent:
        notes.append(f"no pixel centre of the scene lies in the polygons of {', '.join(absent[:8])}")
    return notes


def _nowhere(
    shapes: Sequence[tuple[int, Mapping[str, Any]]], shape: tuple[int, ...], transform: tuple[float, ...]
) -> str:
    features: Any = importlib.import_module("rasterio.features")
    boxes = np.array([features.bounds(g) for _, g in shapes])
    a, b, left, d, e, top = transform
    right, bottom = left + a * shape[1] + b * shape[0], top + d * shape[1] + e * shape[0]
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return (
        f"no pixel centre of the scene lies in its {len(shapes)} polygons: they lie at x {low[0]:.6g} to {high[0]:.6g},"
        f" y {low[1]:.6g} to {high[1]:.6g}, the scene at x {min(left, right):.6g} to {max(left, right):.6g}, y"
        f" {min(top, bottom):.6g} to {max(top, bottom):.6g}. Check the coordinate system of both."
    )
