"""Geometries of GeoJSON (RFC 7946) as shapes, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from workbench.slide.annotations.types import Fault, Floats, Shape, ShapeKind

KINDS: dict[str, ShapeKind] = {
    "Point": "points", "MultiPoint": "points", "LineString": "lines", "MultiLineString": "lines", "Polygon": "areas",
    "MultiPolygon": "areas",
}  # fmt: skip
"""Types of geometries that have coordinates."""
_DEEPEST = 8
_NEAR = 1e-6


@dataclass
class Rings:
    """How the rings of a file end: a program that closes none forgot to, one that leaves out some is damage."""

    closed: int = 0
    open: list[int] = field(default_factory=list)
    """Numbers of the features with rings whose last position does not repeat the first."""
    nearly: int = 0
    heights: int = 0
    number: int = 0
    """Of the feature that is read."""


def shapes_of(geometry: Any, rings: Rings, depth: int = 0) -> list[Shape]:
    """The shapes in a geometry: one, or of a collection one per kind.

    Raises
    ------
    Fault, GeometryError
        What is wrong.
    """
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind == "GeometryCollection":
        return _collected(geometry.get("geometries"), rings, depth)
    if not isinstance(kind, str) or kind not in KINDS:
        names = ", ".join((*KINDS, "GeometryCollection"))
        raise Fault(f"its geometry is {str(kind)[:40] if kind else 'missing'}; expected one of {names}")
    given = geometry.get("coordinates")
    if kind == "Point":
        return [Shape("points", ((_points([given], rings),),))]
    if kind == "MultiPoint":
        return [Shape("points", ((_points(given, rings),),))]
    if KINDS[kind] == "lines":
        lines = [given] if kind == "LineString" else _list(given, "lines")
        return [Shape("lines", tuple((_points(line, rings),) for line in lines))]
    polygons = [given] if kind == "Polygon" else _list(given, "polygons")
    return [Shape("areas", tuple(tuple(_ring(r, rings) for r in _list(p, "rings")) for p in polygons))]


def _collected(geometries: Any, rings: Rings, depth: int) -> list[Shape]:
    if depth >= _DEEPEST:
        raise Fault(f"collections within collections, more than {_DEEPEST} deep")
    found = [shape for g in _list(geometries, "geometries") for shape in shapes_of(g, rings, depth + 1)]
    kinds = dict.fromkeys(shape.kind for shape in found)
    return [_joined(kind, [shape for shape in found if shape.kind == kind]) for kind in kinds]


def _joined(kind: ShapeKind, shapes: list[Shape]) -> Shape:
    if kind == "points":
        return Shape(kind, ((np.concatenate([points for s in shapes for points in s.rings()]),),))
    return Shape(kind, tuple(part for s in shapes for part in s.parts))


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Fault(f"its geometry has no {what}")
    return value


def _points(value: Any, rings: Rings) -> Floats:
    """Positions ``(N, 2)``; a third number of each is a height, which no slide has."""
    positions = _list(value, "positions")
    try:
        found = np.array(positions)
        good = found.ndim == 2 and found.shape[1] in (2, 3) and found.dtype.kind in "iuf"
    except (ValueError, OverflowError):
        good = False
    if not good or bool in set(map(type, chain.from_iterable(positions))):
        bad = next((p for p in positions if not _is_position(p)), positions[0])
        raise Fault(f"a position is {str(bad)[:40]}, two finite numbers [x, y] were expected")
    rings.heights += found.shape[1] == 3
    return found[:, :2].astype(np.float64)


def _is_position(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (2, 3) and all(type(v) in (int, float) for v in value)


def _ring(value: Any, rings: Rings) -> Floats:
    points = _points(value, rings)
    if len(points) > 3 and (points[0] == points[-1]).all():
        rings.closed += 1
        return points[:-1]
    if len(points) < 3:
        raise Fault(f"a ring has {len(points)} positions, expected 4 or more, the last like the first")
    if (points[0] == points[-1]).all():
        raise Fault("a ring has 3 positions, expected 4 or more, the last like the first")
    if len(points) > 3 and np.abs(points[0] - points[-1]).max() <= _NEAR:
        rings.nearly += 1
        rings.closed += 1
        return points[:-1]
    if np.isfinite(points).all():
        rings.open.append(rings.number)
    return points


def ending(rings: Rings) -> tuple[str, ...]:
    """What to note about the rings of a whole file.

    Raises
    ------
    Fault
        Some are closed, others not: these have lost a position or a digit.
    """
    notes = []
    if rings.open and rings.closed:
        raise Fault(
            f"feature {rings.open[0]}: a ring is not closed: its last position must repeat the first, as in the other "
            f"{rings.closed} ring(s) of this file"
        )
    if rings.open:
        notes.append(f"{len(rings.open)} ring(s) did not end where they began, as GeoJSON wants it; they were closed")
    if rings.nearly:
        notes.append(f"{rings.nearly} ring(s) ended within {_NEAR:g} pixels of where they began; they were closed")
    if rings.heights:
        notes.append("positions have a third number (height); it was left out")
    return tuple(notes)


def geometry_of(shape: Shape) -> dict[str, Any]:
    """The geometry as GeoJSON, numbers without decimals where they have none."""
    if shape.kind == "points":
        ((points,),) = shape.parts
        listed = _plain(points)
        one = len(listed) == 1
        return {"type": "Point" if one else "MultiPoint", "coordinates": listed[0] if one else listed}
    if shape.kind == "lines":
        parts: list[Any] = [_plain(line) for (line,) in shape.parts]
        kind = "LineString"
    else:
        parts = [[[*ring, ring[0]] for ring in map(_plain, rings)] for rings in shape.parts]
        kind = "Polygon"
    one = len(parts) == 1
    return {"type": kind if one else f"Multi{kind}", "coordinates": parts[0] if one else parts}


def _plain(points: Floats) -> list[list[int | float]]:
    return [[_number(x), _number(y)] for x, y in points.tolist()]


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value
