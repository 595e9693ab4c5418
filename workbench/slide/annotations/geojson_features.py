"""Features of GeoJSON as annotations, and back, in every form that QuPath and others have given them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.core.classes import RGB
from workbench.data.geojson import OLD_TYPES
from workbench.slide.annotations import colors
from workbench.slide.annotations.geojson_shapes import KINDS, Rings, geometry_of, shapes_of
from workbench.slide.annotations.types import Annotation, Fault, Shape

_KNOWN = {"classification", "name", "color", "colorRGB", "isLocked", "measurements", "objectType", "object_type"}
_DEEPEST = 32
_NUMBERS = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


def annotations_of(feature: Any, rings: Rings) -> list[Annotation]:
    """The annotation of a feature, or of a geometry alone; none of a feature that says it is nowhere.

    A collection of points and areas becomes one annotation of each kind.

    Raises
    ------
    Fault, GeometryError
        What is wrong.
    """
    if not isinstance(feature, dict):
        raise Fault(f"{str(feature)[:40]!r} is no GeoJSON feature")
    kind = feature.get("type")
    if kind in (*KINDS, "GeometryCollection"):
        more = _members(feature, {"type", "coordinates", "geometries", "bbox"})
        return [Annotation(shape, members={"geometry": more} if more else {}) for shape in shapes_of(feature, rings)]
    if kind != "Feature":
        raise Fault(f"it is {str(kind)[:40]!r}, a GeoJSON feature was expected")
    properties = feature.get("properties")
    members = _members(feature, {"type", "geometry", "id", "bbox", "properties", "nucleusGeometry"})
    if "properties" not in feature and members:  # class and measurements would be lost without a word
        raise Fault(f"it has no 'properties', which each feature must have, but {min(members)[:40]!r}")
    if not isinstance(properties, dict | None):
        raise Fault("its properties are no object with names and values")
    geometry: Any = feature.get("geometry")
    if geometry is None and "geometry" in feature:
        return []
    shapes = shapes_of(geometry, rings)
    if more := _members(geometry, {"type", "coordinates", "geometries", "bbox"}):
        members["geometry"] = more
    first = replace(_described(shapes[0], feature.get("id"), properties or {}), members=members)
    if (nucleus := feature.get("nucleusGeometry")) is not None:
        first = replace(first, nucleus=_nucleus(nucleus, rings))
    return [first, *(replace(first, shape=shape, nucleus=None) for shape in shapes[1:])]


def _members(given: dict[str, Any], known: set[str]) -> dict[str, Any]:
    return {key: plain(value) for key, value in given.items() if key not in known}


def plain(value: Any, depth: int = 0) -> Any:
    """A value of JSON that can be written again: without NaN, and not deeper than anybody needs."""
    if depth > _DEEPEST:
        raise Fault(f"a property has lists within lists, more than {_DEEPEST} deep")
    if isinstance(value, dict):
        return {key: plain(v, depth + 1) for key, v in value.items()}
    if isinstance(value, list):
        return [plain(v, depth + 1) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nucleus(geometry: Any, rings: Rings) -> Shape:
    shapes = shapes_of(geometry, rings)
    if len(shapes) != 1 or shapes[0].kind != "areas":
        raise Fault("the geometry of its nucleus is no polygon")
    return shapes[0]


def _described(shape: Shape, given_id: Any, properties: dict[str, Any]) -> Annotation:
    if isinstance(given_id, bool) or not isinstance(given_id, str | int | float | None):
        raise Fault(f"its id is {str(given_id)[:40]!r}, text or a number was expected")
    if isinstance(given_id, float) and not math.isfinite(given_id):
        raise Fault(f"its id is {given_id}, which JSON does not have")
    others = {key: plain(value) for key, value in properties.items() if key not in _KNOWN}
    class_name, class_color, more = _class_of(properties.get("classification"))
    if more:
        others["classification"] = more
    name = _text(properties.get("name"), "name")
    if "classification" not in properties:
        group, label = _label(properties.get("group")), _label(properties.get("label"))
        class_name = group or label
        name = name or (label if label != class_name else "")
    locked = properties.get("isLocked", False)
    if not isinstance(locked, bool | None):
        raise Fault(f"'isLocked' is {str(locked)[:40]!r}, true or false was expected")
    return Annotation(
        shape, given_id, name, class_name, colors.of_json(properties.get("color"), properties.get("colorRGB")),
        class_color, _type_of(given_id, properties), bool(locked), _measurements(properties.get("measurements")),
        properties=others,
    )  # fmt: skip


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str | None):
        raise Fault(f"its {what} is {str(value)[:40]!r}, text was expected")
    return value or ""


def _label(value: Any) -> str:
    """``label`` and ``group`` of HistomicsUI and the Digital Slide Archive; other programs may mean other things."""
    if isinstance(value, dict):
        value = value.get("value")
    return value if isinstance(value, str) else ""


def _type_of(given_id: Any, properties: Mapping[str, Any]) -> str:
    stated = properties.get("objectType", properties.get("object_type"))
    if stated is None:
        return OLD_TYPES.get(given_id, "annotation") if isinstance(given_id, str) else "annotation"
    return _text(stated, "object type")


def _class_of(given: Any) -> tuple[str, RGB | None, dict[str, Any]]:
    """Name, colour, and what else a classification says."""
    if given is None or isinstance(given, str):
        return given or "", None, {}
    if not isinstance(given, dict):
        raise Fault(f"its classification is {str(given)[:40]!r}, a name or an object with one was expected")
    name, names = given.get("name"), given.get("names")
    more = {k: plain(v) for k, v in given.items() if k not in ("name", "color", "colorRGB")}
    if not name and isinstance(names, list):
        if not all(isinstance(n, str) for n in names):
            raise Fault("the names of its classification are no text")
        name = ": ".join(names)
    return _text(name, "class"), colors.of_json(given.get("color"), given.get("colorRGB")), more


def _measurements(given: Any) -> dict[str, float]:
    if isinstance(given, list):  # QuPath before 0.4
        if not all(isinstance(m, dict) and isinstance(m.get("name"), str) and "value" in m for m in given):
            raise Fault("its measurements are no names with values")
        given = {m["name"]: m["value"] for m in given}
    if not isinstance(given, dict | None):
        raise Fault("its measurements are no names with values")
    return {name: _number(value, name) for name, value in (given or {}).items()}


def _number(value: Any, name: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) and value.strip().lower() in _NUMBERS:
        return _NUMBERS[value.strip().lower()]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Fault(f"measurement {name[:40]!r} is {str(value)[:40]!r}, a number was expected")
    if isinstance(value, int) and abs(value) >= 1 << 63:
        raise Fault(f"measurement {name[:40]!r} has {len(str(value))} digits, no number is that large")
    return value


def feature_of(annotation: Annotation) -> dict[str, Any]:
    """The feature as QuPath lays it out, in plain values; inverse of `annotations_of`."""
    members = dict(annotation.members)
    geometry = {**geometry_of(annotation.shape), **members.pop("geometry", {})}
    feature: dict[str, Any] = {"type": "Feature"}
    if annotation.id is not None:
        feature["id"] = annotation.id
    feature["geometry"] = geometry
    if annotation.nucleus is not None:
        feature["nucleusGeometry"] = geometry_of(annotation.nucleus)
    return {**feature, "properties": _properties(annotation), **members}


def _properties(annotation: Annotation) -> dict[str, Any]:
    others = dict(annotation.properties)
    found: dict[str, Any] = {"objectType": annotation.object_type}
    if annotation.name:
        found["name"] = annotation.name
    if annotation.color is not None:
        found["color"] = list(annotation.color)
    if (class_ := _classification(annotation, others.pop("classification", {}))) is not None:
        found["classification"] = class_
    if annotation.locked:
        found["isLocked"] = True
    if annotation.measurements:
        found["measurements"] = {k: _written(v) for k, v in annotation.measurements.items()}
    return {**found, **others}


def _classification(annotation: Annotation, more: Mapping[str, Any]) -> dict[str, Any] | None:
    name, color = annotation.class_name, annotation.class_color
    if not name and color is None:
        # An empty classification stops 'label' and 'group' from being taken for a class that was removed.
        return {} if {"label", "group"} & annotation.properties.keys() else None
    names = more.get("names")
    stale = "names" in more and (not isinstance(names, list) or ": ".join(map(str, names)) != name)
    kept = {k: v for k, v in more.items() if not (k == "names" and stale)}
    return {"name": name, **({} if color is None else {"color": list(color)}), **kept}


def _written(value: float) -> float | str:
    """As Java reads numbers that JSON does not have."""
    if isinstance(value, int) or math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
