"""Areas that every program takes: outlines that cross themselves or leave their polygon are mended with shapely (GEOS).

Valid is what OGC Simple Features (ISO 19125-1) calls valid: rings that do not cross, holes within their outline. What a
mended outline covers is all that it went around, also where it went around twice, less its holes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from workbench.core.objects import Objects

Rings = Sequence[npt.NDArray[np.floating[Any]]]
"""An outline ``(V, 2)`` and its holes, the first point not repeated."""


_SAME_AREA = 1e-6
"""Change of an area, relative to it, that mending an outline may make without a word."""


def area_of(polygons: Sequence[Rings]) -> Any:
    """A shapely polygon, or multipolygon of several; it need not be valid."""
    made = [shapely.Polygon(rings[0], list(rings[1:])) for rings in polygons]
    return made[0] if len(made) == 1 else shapely.multipolygons(made)


def mended(polygons: Sequence[Rings]) -> list[list[npt.NDArray[np.float64]]]:
    """What polygons cover, as valid polygons that overlap nowhere; empty where they cover nothing.

    Outlines turn counterclockwise in a frame whose y goes up, holes clockwise (RFC 7946).
    """
    pieces = []
    for outline, *holes in polygons:
        piece = _covered(outline)
        if holes:
            piece = shapely.difference(piece, shapely.union_all([_covered(hole) for hole in holes]))
        pieces.append(piece)
    whole = shapely.union_all(pieces)
    found = [part for part in shapely.get_parts(whole) if part.geom_type == "Polygon" and part.area > 0]
    return [[_open(ring) for ring in (p.exterior, *p.interiors)] for p in shapely.orient_polygons(found)]


def _covered(ring: npt.NDArray[np.floating[Any]]) -> Any:
    # The structure method keeps what a ring goes around twice; that of lines would make a hole of it.
    return shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)


def _open(ring: Any) -> npt.NDArray[np.float64]:
    points: npt.NDArray[np.float64] = shapely.get_coordinates(ring)[:-1]
    return points


def invalid(objects: Objects, coordinates: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Numbers of the objects ``(n,)`` that are not valid, all asked at once.

    Parameters
    ----------
    coordinates
        ``(P, 2)``, the points of `objects` as they are going to be written.
    """
    if not len(objects):
        return np.zeros(0, np.int64)
    polygons = _polygons(objects, coordinates)
    of_polygons = np.diff(objects.object_offsets)
    several = np.flatnonzero(of_polygons > 1)
    good = shapely.is_valid(polygons)
    fine = np.logical_and.reduceat(good, objects.object_offsets[:-1])
    for i in several[fine[several]]:  # pieces that are valid by themselves and overlap
        a, b = objects.object_offsets[i : i + 2]
        fine[i] = shapely.is_valid(shapely.multipolygons(polygons[a:b]))
    return np.flatnonzero(~fine)


def _polygons(objects: Objects, coordinates: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """All polygons of objects, pieces one by one, as geometries of shapely."""
    starts, counts = objects.ring_offsets[:-1], np.diff(objects.ring_offsets)
    closed = np.insert(coordinates, objects.ring_offsets[1:], coordinates[starts], axis=0)
    rings = shapely.linearrings(closed, indices=np.repeat(np.arange(len(counts)), counts + 1))
    of_rings = np.diff(objects.polygon_offsets)
    if len(rings) == len(of_rings):
        found: npt.NDArray[Any] = shapely.polygons(rings)
    else:
        found = shapely.polygons(rings, indices=np.repeat(np.arange(len(of_rings)), of_rings))
    return found


def geometries_of(objects: Objects) -> npt.NDArray[Any]:
    """Objects as an array ``(N,)`` of geometries of shapely, as they are."""
    found = np.empty(len(objects), object)
    if not len(objects):
        return found
    polygons = _polygons(objects, objects.coordinates.astype(np.float64))
    single = np.diff(objects.object_offsets) == 1
    found[single] = polygons[objects.object_offsets[:-1][single]]
    for i in np.flatnonzero(~single):
        a, b = objects.object_offsets[i : i + 2]
        found[i] = shapely.multipolygons(polygons[a:b])
    return found


@dataclass
class Faults:
    """Which of many objects have no valid outline, found before the first is written."""

    numbers: set[int] = field(default_factory=set)
    """Objects to mend, and those without any area."""
    empty: set[int] = field(default_factory=set)
    changed: int = 0
    """How many of them have another area when they are mended,"""
    change: float = 0.0
    """and by how much in all, without signs, in the unit of the frame."""

    @classmethod
    def of(cls, objects: Objects, written: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]], batch: int) -> Faults:
        """Look at `batch` objects at a time, with their coordinates as `written` gives them."""
        found = cls()
        for start in range(0, len(objects), batch):
            some = objects.select(slice(start, start + batch))
            for i in invalid(some, written(some.coordinates)).tolist():
                found._look(start + i, some.select([i]))
        return found

    def _look(self, number: int, one: Objects) -> None:
        self.numbers.add(number)
        pieces = mended(one.polygon(0))
        before, after = float(one.areas()[0]), float(area_of(pieces).area) if pieces else 0.0
        if not pieces:
            self.empty.add(number)
        elif abs(after - before) > _SAME_AREA * max(after, before):
            self.changed += 1
            self.change += abs(after - before)

    def within(self, start: int, stop: int) -> dict[int, bool]:
        """Objects of a batch to mend, by their number in it, and whether they are left out."""
        return {i - start: i in self.empty for i in range(start, stop) if i in self.numbers}

    def notes(self, unit: str) -> list[str]:
        """What a person should know; `unit` is that of areas."""
        notes = []
        if self.changed:
            notes.append(
                f"{self.changed} outline(s) crossed themselves or overlapped and were mended for the file, which "
                f"changed areas by {self.change:.6g} {unit} in all"
            )
        if self.empty:
            first = min(self.empty) + 1
            notes.append(f"{len(self.empty)} object(s) without any area were left out, the first is number {first}")
        return notes

    def to_json(self) -> dict[str, Any]:
        """The same as plain values; none where all outlines are valid."""
        if not self.numbers:
            return {}
        kept = len(self.numbers) - len(self.empty)
        return {"mended": {"outlines": kept, "area_change": self.change, "left_out": len(self.empty)}}
