"""Aperio ImageScope XML: layers (``Annotation``) of regions in pixels of level 0; the layer is the class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import shapely

from workbench.core.errors import GeometryError, InputError
from workbench.data.outlines import area_of, mended
from workbench.slide.annotations import colors
from workbench.slide.annotations.curves import ellipse_in, rectangle
from workbench.slide.annotations.types import Annotation, Annotations, Fault, Floats, Shape
from workbench.slide.annotations.xml_tree import number_of, parse

ROOT = "Annotations"
UNIT = "Region"
_FREEHAND, _RECTANGLE, _ELLIPSE, _ARROW, _RULER, _POINT = "012345"
_ROUND = "ellipses were read as polygons of 128 points with the same area"
_MEASURES = ("Length", "Area", "LengthMicrons", "AreaMicrons")


@dataclass(frozen=True)
class _Region:
    number: int
    annotation: Annotation
    negative: bool


def read_imagescope(path: Path) -> Annotations:
    """Annotations in the pixels of the file; a region that takes off (``NegativeROA``) is a hole of the one around it.

    Raises
    ------
    InputError
        Damage, with the number of the region in the file.
    """
    root = parse(path, frozenset((UNIT,)))
    items: list[Annotation] = []
    notes: list[str] = []
    number = 0
    for layer in root.findall("Annotation"):
        regions: list[_Region] = []
        for element in layer.iter(UNIT):
            number += 1
            try:
                annotation = _annotation(element, layer)
            except (Fault, GeometryError) as error:
                raise InputError(f"{path}: annotation {number}: {error}. Export or copy the file again.") from error
            if annotation is None:
                notes.append(f"annotation {number} was left out: its type {element.get('Type', '')!r} is not known")
                continue
            if element.get("Type") == _ELLIPSE and _ROUND not in notes:
                notes.append(_ROUND)
            regions.append(_Region(number, annotation, element.get("NegativeROA", "0").strip() == "1"))
        kept, said = _with_holes(regions)
        items += kept
        notes += said
    return Annotations(tuple(items), name=path.stem, notes=tuple(notes))


def _annotation(element: Element, layer: Element) -> Annotation | None:
    shape = _shape(element)
    if shape is None:
        return None
    color = colors.of_bgr(layer.get("LineColor", ""))
    measured = {key: element.get(key, "") for key in _MEASURES}
    name = element.get("Text", "").strip()
    class_name = layer.get("Name", "").strip()
    more: dict[str, Any] = {"layer": layer.get("Id", ""), "type": element.get("Type", _FREEHAND)}
    return Annotation(
        shape, element.get("Id"), name, class_name, None if class_name else color, color if class_name else None,
        locked=layer.get("ReadOnly", "0").strip() == "1",
        measurements={k: number_of(v, f"'{k}'") for k, v in measured.items() if v.strip()},
        properties={"imagescope": more},
    )  # fmt: skip


def _shape(element: Element) -> Shape | None:
    kind = element.get("Type", _FREEHAND).strip()
    vertices = element.iter("Vertex")
    points = np.array([[number_of(v.get(axis), f"'{axis}'") for axis in "XY"] for v in vertices]).reshape(-1, 2)
    if kind == _FREEHAND:
        return Shape("areas", ((points,),))
    if kind in (_ARROW, _RULER):
        return Shape("lines", ((points,),))
    if kind == _POINT:
        return Shape("points", ((points,),))
    if kind not in (_RECTANGLE, _ELLIPSE):
        return None
    if len(points) < 2:
        raise Fault(f"a{'n ellipse' if kind == _ELLIPSE else ' rectangle'} has {len(points)} corner(s), 2 were "
                    "expected")  # fmt: skip
    return Shape("areas", ((rectangle(points) if kind == _RECTANGLE else ellipse_in(_finite(points)),),))


def _finite(points: Floats) -> Floats:
    if not np.isfinite(points).all():
        raise Fault("a corner is no number")
    return points


def _with_holes(regions: list[_Region]) -> tuple[list[Annotation], list[str]]:
    """Regions of a layer with those that take off as their holes: of the smallest that holds them."""
    found = {r.number: r.annotation for r in regions if not r.negative}
    areas = {n: _area(a.shape) for n, a in found.items() if a.shape.kind == "areas"}
    notes = []
    for region in (r for r in regions if r.negative):
        hole = region.annotation.shape
        if hole.kind != "areas":
            notes.append(f"annotation {region.number} was left out: it takes off, and is no area")
            continue
        cut = _area(hole)
        around = [n for n, area in areas.items() if shapely.covers(area, cut)]
        crossed = [n for n, area in areas.items() if shapely.intersection(area, cut).area > 0]
        if around:
            number = min(around, key=lambda n: float(areas[n].area))
            found[number] = _less(found[number], hole)
            continue
        for number in crossed:
            whole = found.pop(number)
            if pieces := mended([(*part, *hole.rings()) for part in whole.shape.parts]):
                found[number] = replace(whole, shape=Shape("areas", tuple(map(tuple, pieces))))
        lost = "it lies in none of its layer and was left out"
        beyond = f"it reaches beyond {len(crossed)} region(s), from which it was cut"
        notes.append(f"annotation {region.number} takes off an area, but {beyond if crossed else lost}")
    return [found[number] for number in sorted(found)], notes


def _area(shape: Shape) -> Any:
    """The valid area, on which GEOS answers questions."""
    pieces = mended(shape.parts)
    return area_of(pieces) if pieces else shapely.Polygon()


def _less(annotation: Annotation, hole: Shape) -> Annotation:
    """With a hole that lies within it; a region is one polygon, or several that an earlier hole cut it into."""
    parts = []
    for part in annotation.shape.parts:
        within = len(annotation.shape.parts) == 1 or shapely.covers(area_of([part]), _area(hole))
        parts.append((*part, *hole.rings()) if within else part)
    return replace(annotation, shape=Shape("areas", tuple(parts)))
