"""ASAP XML (Computation Pathology Group, Radboud University Medical Center): pixels of level 0, classes are groups."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from workbench.core.classes import RGB
from workbench.core.errors import GeometryError, InputError
from workbench.slide.annotations import colors
from workbench.slide.annotations.curves import rectangle
from workbench.slide.annotations.types import Annotation, Annotations, Fault, Floats, Shape
from workbench.slide.annotations.xml_tree import number_of, parse

ROOT = "ASAP_Annotations"
_SPLINE = "splines were read as polygons through their points, with straight edges"
_AREAS = ("Polygon", "Rectangle", "Spline")
_POINTS = ("Dot", "PointSet")


def read_asap(path: Path) -> Annotations:
    """Annotations in the pixels of the file.

    Raises
    ------
    InputError
        Damage, with the number of the annotation.
    """
    root = parse(path, frozenset(("Annotation",)))
    groups = {g.get("Name", ""): colors.of_hex(g.get("Color", "")) for g in root.iter("Group")}
    items: list[Annotation] = []
    notes: list[str] = []
    for number, element in enumerate(root.iter("Annotation"), 1):
        kind = element.get("Type", "")
        if kind not in (*_AREAS, *_POINTS):
            notes.append(
                f"annotation {number} {element.get('Name', '')!r} was left out: its type {kind!r} is not known"
            )
            continue
        try:
            items.append(_annotation(element, kind, groups))
        except (Fault, GeometryError) as error:
            raise InputError(f"{path}: annotation {number}: {error}. Export or copy the file again.") from error
        if kind == "Spline" and _SPLINE not in notes:
            notes.append(_SPLINE)
    return Annotations(tuple(items), name=path.stem, notes=tuple(notes))


def _annotation(element: Element, kind: str, groups: dict[str, RGB | None]) -> Annotation:
    points = _points(element)
    shape = Shape("points", ((points,),))
    if kind in _AREAS:
        shape = Shape("areas", ((rectangle(points) if kind == "Rectangle" else points,),))
    group = element.get("PartOfGroup", "")
    known = "" if group == "None" else group
    return Annotation(
        shape, name=element.get("Name", ""), class_name=known, color=colors.of_hex(element.get("Color", "")),
        class_color=groups.get(known), properties={"asap_type": kind},
    )  # fmt: skip


def _points(element: Element) -> Floats:
    rows = []
    for place, point in enumerate(element.iter("Coordinate")):
        order = number_of(point.get("Order", str(place)), "'Order'")
        if not np.isfinite(order):
            raise Fault(f"'Order' is {order}")
        rows.append((order, number_of(point.get("X"), "'X'"), number_of(point.get("Y"), "'Y'")))
    orders = [row[0] for row in rows]
    if len(set(orders)) < len(orders):
        raise Fault("two of its coordinates have the same 'Order'")
    if not rows:
        raise Fault("it has no coordinates")
    return np.array(sorted(rows))[:, 1:]
