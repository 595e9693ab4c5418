"""Hamamatsu NDPA: one ``ndpviewstate`` per annotation, in nanometres from the centre of the glass.

The place of the image on the glass is in the slide (NDPI), not in this file.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from workbench.core.errors import GeometryError, InputError
from workbench.slide.annotations import colors
from workbench.slide.annotations.curves import ellipse, rectangle
from workbench.slide.annotations.place import SlidePlace
from workbench.slide.annotations.types import Annotation, Annotations, Fault, Floats, Shape
from workbench.slide.annotations.xml_tree import number_of, parse, text_of

ROOT = "annotations"
UNIT = "ndpviewstate"
_ENDS = (("x1", "y1"), ("x2", "y2"))
_NAMES = "NDPA has no classes: titles were read as names"
_ROUND = "circles were read as polygons of 128 points with the same area"


def read_ndpa(path: Path, slide: SlidePlace | None) -> Annotations:
    """Annotations in pixels of level 0 of the whole slide.

    Raises
    ------
    InputError
        Damage, with the number of the annotation; or what of the slide is missing to place it.
    """
    root = parse(path, frozenset((UNIT,)))
    to_pixels = _Placing(path, slide)
    items: list[Annotation] = []
    notes: list[str] = []
    for number, state in enumerate(root.iter(UNIT), 1):
        try:
            found = _annotation(state, to_pixels)
        except (Fault, GeometryError) as error:
            raise InputError(f"{path}: annotation {number}: {error}. Export or copy the file again.") from error
        if found is None:
            kind = getattr(state.find("annotation"), "attrib", {}).get("type", "")
            notes.append(f"annotation {number} {text_of(state, 'title')!r} was left out: it has the type {kind!r} and "
                         "no place")  # fmt: skip
        else:
            items.append(found)
            round_ = (state.find("annotation") or Element("")).get("type") == "circle"
            notes += [_ROUND] if round_ and _ROUND not in notes else []
    if any(item.name for item in items):
        notes.append(_NAMES)
    return Annotations(tuple(items), name=path.stem, notes=tuple(notes))


class _Placing:
    """Nanometres from the centre of the glass to pixels: (nm - offset) / (1000 mpp) + half the size."""

    def __init__(self, path: Path, slide: SlidePlace | None) -> None:
        known = slide or SlidePlace()
        wanted = (
            ("its size in pixels", known.size), ("its micrometres per pixel", known.mpp),
            ("hamamatsu.XOffsetFromSlideCentre and YOffsetFromSlideCentre", known.offset_nm),
        )  # fmt: skip
        missing = [what for what, value in wanted if value is None]
        if known.size is None or known.mpp is None or known.offset_nm is None:
            raise InputError(
                f"{path}: counts in nanometres from the centre of the glass; to place it, {', '.join(missing)} of the "
                "slide are needed. Give the NDPI slide that it belongs to."
            )
        self._offset = np.array(known.offset_nm)
        self._step = 1000 * np.array(known.mpp)
        self._half = np.array(known.size[::-1]) / 2

    def __call__(self, nanometres: Floats) -> Floats:
        return np.asarray((nanometres - self._offset) / self._step + self._half)

    def length(self, nanometres: float) -> Floats:
        """A length along x and along y, in pixels."""
        return nanometres / self._step


def _annotation(state: Element, to_pixels: _Placing) -> Annotation | None:
    own = state.find("annotation")
    unit = text_of(state, "coordformat")
    if unit and unit != "nanometers":
        raise Fault(f"its coordinates are in {unit[:40]!r}, nanometers were expected")
    shape = None if own is None else _shape(own, to_pixels)
    if own is None or shape is None:
        return None
    said = {"details": text_of(state, "details"), "displayname": own.get("displayname", "")}
    return Annotation(
        shape, state.get("id"), text_of(state, "title"), color=colors.of_hex(own.get("color", "")),
        properties={key: value for key, value in said.items() if value},
    )  # fmt: skip


def _shape(own: Element, to_pixels: _Placing) -> Shape | None:
    kind = own.get("type", "")
    if kind == "circle":
        radius = number_of(own.findtext("radius"), "its radius")
        if not radius > 0:
            raise Fault(f"its radius is {radius:g} nm")
        x, y = to_pixels.length(radius)
        return Shape("areas", ((ellipse(to_pixels(_at(own, ("x", "y"))), (x, 0.0), (0.0, y)),),))
    listed = own.find("pointlist")
    if listed is not None:
        points = to_pixels(np.array([_at(p, ("x", "y")) for p in listed.findall("point")]).reshape(-1, 2))
        if kind == "rectangle" or text_of(own, "specialtype") == "rectangle":
            return Shape("areas", ((rectangle(points),),))
        closed = text_of(own, "closed")
        if closed not in ("", "0", "1"):
            raise Fault(f"'closed' is {closed[:40]!r}, 0 or 1 was expected")
        whole = closed == "1" or (not closed and len(points) > 3 and (points[0] == points[-1]).all())
        return Shape("areas" if whole else "lines", ((points,),))
    if own.find("x1") is not None:
        ends = to_pixels(np.array([_at(own, names) for names in _ENDS]))
        return Shape("areas", ((rectangle(ends),),)) if kind == "rectangle" else Shape("lines", ((ends,),))
    if kind == "pin" or own.find("x") is not None:
        return Shape("points", ((to_pixels(_at(own, ("x", "y"))[None]),),))
    if kind in ("freehand", "rectangle", "linearmeasure", "pointer"):
        raise Fault(f"of the type {kind!r}, but without points")
    return None


def _at(element: Element, names: tuple[str, str]) -> Floats:
    return np.array([number_of(element.findtext(name), f"'{name}'") for name in names])
