"""Annotations as GeoJSON in QuPath's layout, one feature after the other, every area valid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from workbench.core.atomic import replacing
from workbench.core.frame import PIXELS
from workbench.data.outlines import area_of, mended
from workbench.slide.annotations.geojson_features import feature_of
from workbench.slide.annotations.place import Bounds, FrameName, shift_of
from workbench.slide.annotations.types import Annotation, Annotations, Floats, Shape

_SAID = 20
"""Notes about single annotations; further ones are counted."""


def write_annotations(
    annotations: Annotations | Iterable[Annotation],
    path: str | Path,
    *,
    frame: FrameName | None = None,
    bounds: Bounds | None = None,
) -> tuple[str, ...]:
    """Write a FeatureCollection, whole or not at all; any number of annotations in the same memory.

    Areas that are not valid (they cross themselves, holes reach out) are mended; one without any area is written as
    the line that it is. Coordinates of all others are exact.

    Parameters
    ----------
    annotations
        Or an iterable that makes them one after the other.
    frame, bounds
        ``"bounds"``: coordinates in the file count from the corner of these bounds (row, column, height, width), as
        QuPath does where it crops; our own member of the file says so. By default from the first pixel of the whole
        slide.

    Returns
    -------
    notes
        What was changed, and how much area that is.

    Raises
    ------
    UsageError
        The frame needs bounds; or the file cannot be written.
    """
    change, said = shift_of(frame, bounds, writing=True)
    notes = _Notes()
    target = Path(path).expanduser()
    with replacing(target) as part, part.open("w", encoding="utf-8", newline="\n") as file:
        header = _header(annotations, target)
        if frame == "bounds" and bounds is not None:
            header["bounds"] = [int(v) for v in bounds]
        file.write(f'{{"type":"FeatureCollection",\n"workbench":{_text(header)},\n"features":[')
        before = "\n"
        for number, annotation in enumerate(annotations, 1):
            valid = _valid(annotation, number, notes)
            file.write(before + _text(feature_of(valid if change is None else valid.moved(change))))
            before = ",\n"
        file.write("\n]}\n")
    return (*said, *notes.lines())


def _header(annotations: Annotations | Iterable[Annotation], target: Path) -> dict[str, Any]:
    own: dict[str, Any] = {"format": "annotations", "version": 1}
    if isinstance(annotations, Annotations):
        return {**own, "name": annotations.name, "count": len(annotations), "frame": annotations.frame.to_json()}
    return {**own, "name": target.stem, "frame": PIXELS.to_json()}


def _text(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can say and UTF-8 cannot
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text


class _Notes:
    """What was changed, the first few one by one."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._more = 0

    def add(self, line: str) -> None:
        if len(self._lines) < _SAID:
            self._lines.append(line)
        else:
            self._more += 1

    def lines(self) -> tuple[str, ...]:
        return (*self._lines, *((f"and {self._more} more annotation(s) were mended",) if self._more else ()))


def _valid(annotation: Annotation, number: int, notes: _Notes) -> Annotation:
    what = f"annotation {number}" + (f" '{annotation.name}'" if annotation.name else "")
    shape = valid_shape(annotation.shape, what, notes.add)
    if annotation.nucleus is None:
        return annotation if shape is annotation.shape else replace(annotation, shape=shape)
    nucleus = valid_shape(annotation.nucleus, f"the nucleus of {what}", notes.add)
    return replace(annotation, shape=shape, nucleus=nucleus if nucleus.kind == "areas" else None)


def valid_shape(shape: Shape, what: str, note: Callable[[str], object] = lambda line: None) -> Shape:
    """The same shape where it is valid; else the area that it goes around, or the line that it is.

    Parameters
    ----------
    what
        The annotation, for notes.
    note
        Called with a line where something changed.
    """
    if shape.kind != "areas":
        return shape
    clean = shape if all(_distinct(ring) is ring for ring in shape.rings()) else shape.moved(_distinct)
    if shapely.is_valid(area_of(clean.parts)):
        return clean
    pieces = mended(clean.parts)
    if not pieces:
        note(f"{what} has no area and was written as a line")
        return Shape("lines", tuple((np.concatenate([part[0], part[0][:1]]),) for part in clean.parts))
    found = Shape("areas", tuple(tuple(rings) for rings in pieces))
    difference = found.area - shape.area
    note(f"{what} crossed itself or had a hole outside and was mended: its area changed by {difference:.6g} pixels, "
         f"from {shape.area:.6g}")  # fmt: skip
    return found


def _distinct(ring: Floats) -> Floats:
    """The ring without points that repeat the one before; itself where there are none."""
    same = (ring == np.roll(ring, 1, axis=0)).all(axis=1)
    return ring if not same.any() or (~same).sum() < 3 else ring[~same]
