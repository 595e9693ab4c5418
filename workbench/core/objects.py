"""Many outlines at once: polygons with holes, their classes, probabilities and measurements, as a few flat arrays.

A million nuclei take some hundred MB here, and tens of GB as Python objects; no method loops over objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.frame import PIXELS, Frame
from workbench.core.rings import (
    area_moments,
    blocks,
    members,
    offsets_of,
    open_rings,
    outside_of,
    signed_areas,
    take_rings,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

REVIEW = ("proposed", "accepted", "edited", "rejected")
"""What a person has said of an object; its place here is what `Objects.review` holds."""
PROPOSED, ACCEPTED, EDITED, REJECTED = range(4)


@dataclass(frozen=True, eq=False)
class Objects:
    """Polygons with holes in a stated frame, one row per object. `from_polygons` and `from_rings` make them.

    Arrays are held as read-only views: nobody changes them through this object, and who made them should not either.
    A ring is an outline without its first point repeated at the end; its direction means nothing.

    Parameters
    ----------
    coordinates
        ``(P, 2)`` float32 or float64, points as ``(x, y)`` of `frame`: x along the columns, y down the rows.
    ring_offsets
        ``(R + 1,)`` int64: ring r is ``coordinates[ring_offsets[r] : ring_offsets[r + 1]]``, three points or more.
    polygon_offsets
        ``(Q + 1,)`` int64: the rings of each polygon; the first is its outline, others are holes in it.
    object_offsets
        ``(N + 1,)`` int64: the polygons of each object, one for most, several for an object in pieces.
    class_values
        ``(N,)`` int32, values of `classes`; 0 is no class.
    ids
        ``(N,)`` whole numbers or text, each once.
    probabilities
        ``(N,)`` float32, 0 to 1 (NaN: unknown), or ``None``.
    measurements
        Name with unit (``"area [um2]"``) -> ``(N,)`` numbers; NaN where there is none.
    classes
        Names and colours of the class values.
    frame
        What the coordinates mean.
    name
        Short name, used for files and layers.
    review
        ``(N,)`` uint8, places in `REVIEW`; ``None`` where nobody has looked yet.

    Raises
    ------
    GeometryError
        Arrays that do not fit together: shapes, offsets that go back, rings of fewer than three points. Whether the
        numbers make sense is asked by `validate`.
    """

    coordinates: npt.NDArray[np.floating[Any]]
    ring_offsets: Integers
    polygon_offsets: Integers
    object_offsets: Integers
    class_values: npt.NDArray[np.int32]
    ids: npt.NDArray[Any]
    probabilities: npt.NDArray[np.float32] | None = None
    measurements: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    classes: ClassTable = field(default_factory=ClassTable)
    frame: Frame = PIXELS
    name: str = "objects"
    review: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        points = np.asarray(self.coordinates)
        if points.dtype not in (np.float32, np.float64):
            points = points.astype(np.float64)
        self._hold("coordinates", points)
        for key in ("ring_offsets", "polygon_offsets", "object_offsets"):
            self._hold(key, np.asarray(getattr(self, key), np.int64))
        self._hold("class_values", np.asarray(self.class_values, np.int32))
        self._hold("ids", np.asarray(self.ids))
        if self.probabilities is not None:
            self._hold("probabilities", np.asarray(self.probabilities, np.float32))
        if self.review is not None:
            self._hold("review", np.asarray(self.review, np.uint8))
        columns = {str(k): _locked(np.asarray(v)) for k, v in self.measurements.items()}
        object.__setattr__(self, "measurements", columns)
        self._require_structure()

    def _hold(self, key: str, array: npt.NDArray[Any]) -> None:
        object.__setattr__(self, key, _locked(array))

    @classmethod
    def from_rings(
        cls,
        coordinates: npt.NDArray[np.floating[Any]],
        ring_offsets: npt.NDArray[np.integer[Any]],
        polygon_offsets: npt.NDArray[np.integer[Any]] | None = None,
        object_offsets: npt.NDArray[np.integer[Any]] | None = None,
        *,
        class_values: npt.ArrayLike | None = None,
        ids: npt.ArrayLike | None = None,
        **more: Any,
    ) -> Objects:
        """Objects from flat arrays; see `Objects`.

        Parameters
        ----------
        polygon_offsets
            By default every ring is a polygon without holes.
        object_offsets
            By default every polygon is an object.
        class_values, ids
            By default 0 (no class), and the numbers from 1 on.
        **more
            ``probabilities``, ``measurements``, ``classes``, ``frame``, ``name``, ``review``.
        """
        rings = np.asarray(ring_offsets, np.int64)
        polygons = np.arange(len(rings)) if polygon_offsets is None else np.asarray(polygon_offsets, np.int64)
        own = np.arange(len(polygons)) if object_offsets is None else np.asarray(object_offsets, np.int64)
        n = max(0, len(own) - 1)
        values = np.zeros(n, np.int32) if class_values is None else np.asarray(class_values)
        names = np.arange(1, n + 1) if ids is None else np.asarray(ids)
        return cls(np.asarray(coordinates), rings, polygons, own, values, names, **more)

    @classmethod
    def from_polygons(cls, polygons: npt.NDArray[Any] | Sequence[Any], **more: Any) -> Objects:
        """Objects from one outline each, with or without holes.

        Parameters
        ----------
        polygons
            An array ``(N, V, 2)``, or for each object: an outline ``(V, 2)``; or a list of rings, the outline first
            and then its holes; or a list of such lists, for an object in pieces. Points are ``(x, y)``; a last point
            that repeats the first is dropped.
        **more
            ``class_values``, ``ids``, ``probabilities``, ``measurements``, ``classes``, ``frame``, ``name``.
        """
        if isinstance(polygons, np.ndarray) and polygons.ndim == 3:
            n, vertices, _ = polygons.shape
            flat, offsets = polygons.reshape(-1, polygons.shape[2]), np.arange(n + 1) * vertices
            return cls.from_rings(*open_rings(flat, offsets), **more)
        pieces = [_pieces(item) for item in polygons]
        parts = list(chain.from_iterable(pieces))
        rings = [np.asarray(ring) for ring in chain.from_iterable(parts)]
        for ring in rings:
            if ring.ndim != 2 or ring.shape[1] != 2:
                raise GeometryError(f"a ring has shape {ring.shape}, (points, 2) was expected")
        flat = np.concatenate(rings) if rings else np.zeros((0, 2))
        of_rings = offsets_of(np.array([len(r) for r in rings], np.int64))
        of_polygons = offsets_of(np.array([len(p) for p in parts], np.int64))
        of_objects = offsets_of(np.array([len(p) for p in pieces], np.int64))
        return cls.from_rings(*open_rings(flat, of_rings), of_polygons, of_objects, **more)

    def __len__(self) -> int:
        return len(self.object_offsets) - 1

    def __repr__(self) -> str:
        return f"<Objects {self.name}: {len(self)} object(s), {len(self.coordinates)} points in {self.frame.unit}>"

    def polygon(self, i: int) -> list[list[npt.NDArray[np.floating[Any]]]]:
        """The pieces of object `i`, each a list of rings ``(V, 2)``, outline first; views, nothing is copied."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"object {i} of {len(self)}")
        start, stop = self.object_offsets[i % len(self) : i % len(self) + 2]
        rings, points = self.polygon_offsets, self.ring_offsets
        return [
            [self.coordinates[points[r] : points[r + 1]] for r in range(rings[q], rings[q + 1])]
            for q in range(start, stop)
        ]

    def select(self, which: npt.ArrayLike | slice) -> Objects:
        """Some of the objects, with all that belongs to them.

        Parameters
        ----------
        which
            A mask ``(N,)``, numbers of objects in the order wanted, or a slice. Neighbours in order (a slice, a mask
            that is one run) are views and cost nothing.
        """
        index = _numbers(which, len(self))
        if isinstance(index, slice):
            return self._run(index.start, index.stop)
        of_objects, polygons = members(self.object_offsets, index)
        of_polygons, rings = members(self.polygon_offsets, polygons)
        points, of_rings = take_rings(self.coordinates, self.ring_offsets, rings)
        return self._with(points, of_rings, of_polygons, of_objects, index)

    def _run(self, start: int, stop: int) -> Objects:
        objects = self.object_offsets[start : stop + 1]
        polygons = self.polygon_offsets[objects[0] : objects[-1] + 1]
        rings = self.ring_offsets[polygons[0] : polygons[-1] + 1]
        points = self.coordinates[rings[0] : rings[-1]]
        offsets = (rings - rings[0], polygons - polygons[0], objects - objects[0])
        return self._with(points, *offsets, slice(start, stop))

    def _with(
        self, points: npt.NDArray[np.floating[Any]], rings: Integers, polygons: Integers, objects: Integers,
        index: Integers | slice,
    ) -> Objects:  # fmt: skip
        return replace(
            self, coordinates=points, ring_offsets=rings, polygon_offsets=polygons, object_offsets=objects,
            class_values=self.class_values[index], ids=self.ids[index],
            probabilities=None if self.probabilities is None else self.probabilities[index],
            measurements={k: v[index] for k, v in self.measurements.items()},
            review=None if self.review is None else self.review[index],
        )  # fmt: skip

    def exploded(self) -> Objects:
        """Every piece of every object as an object of its own; what was measured of the whole is not known of them.

        Some programs write all nuclei of a class as one object of thousands of pieces.
        """
        counts = np.diff(self.object_offsets)
        if (counts == 1).all():
            return self
        owner = np.repeat(np.arange(len(self)), counts)
        several = counts[owner] > 1
        measured = {}
        for key, column in self.measurements.items():
            values = np.array(column[owner], column.dtype if column.dtype.kind == "f" else np.float64)
            values[several] = np.nan
            measured[key] = values
        whole = self.ids.dtype.kind in "iu"
        ids: npt.NDArray[Any] = self.ids[owner]
        if whole:
            first = int(self.ids.max(initial=0)) + 1
            ids = np.where(several, first + np.arange(len(owner)), ids)
        else:
            place = np.arange(len(owner)) - np.repeat(self.object_offsets[:-1], counts) + 1
            ids = np.array([f"{i} {p}" if s else i for i, p, s in zip(ids.tolist(), place, several, strict=True)])
        return replace(
            self, object_offsets=np.arange(len(owner) + 1), class_values=self.class_values[owner], ids=ids,
            probabilities=None if self.probabilities is None else self.probabilities[owner], measurements=measured,
            review=None if self.review is None else self.review[owner],
        )  # fmt: skip

    def areas(self) -> Floats:
        """Area of each object ``(N,)``, holes taken off, in `frame.area_unit`; exact for outlines that do not cross."""
        if not len(self):
            return np.zeros(0)
        area = np.abs(signed_areas(self.coordinates, self.ring_offsets)) * self._ring_signs()
        return np.asarray(np.add.reduceat(area, self.polygon_offsets[self.object_offsets[:-1]]))

    def centroids(self) -> Floats:
        """Centre of the area of each object ``(N, 2)`` as (x, y); mean of its points where the area is 0."""
        if not len(self):
            return np.zeros((0, 2))
        area, moment = area_moments(self.coordinates, self.ring_offsets)
        sign = np.sign(area) * self._ring_signs()
        rings = self.polygon_offsets[self.object_offsets]
        first = self.coordinates[self.ring_offsets[:-1]].astype(np.float64)
        own = np.repeat(first[rings[:-1]], np.diff(rings), axis=0)
        area *= sign
        moment = moment * sign[:, None] + area[:, None] * (first - own)
        total = np.add.reduceat(area, rings[:-1])
        flat = total <= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            centre = np.add.reduceat(moment, rings[:-1], axis=0) / total[:, None] + first[rings[:-1]]
        if flat.any():
            thin = self.select(flat)
            points = thin._points_of_objects()
            sums = np.add.reduceat(thin.coordinates.astype(np.float64), points[:-1], axis=0)
            centre[flat] = sums / np.diff(points)[:, None]
        return np.asarray(centre)

    def bounds(self) -> npt.NDArray[np.floating[Any]]:
        """Smallest box around each object, ``(N, 4)``: x and y of its lowest, x and y of its highest point."""
        if not len(self):
            return np.zeros((0, 4), self.coordinates.dtype)
        starts = self._points_of_objects()[:-1]
        low = np.minimum.reduceat(self.coordinates, starts, axis=0)
        return np.concatenate([low, np.maximum.reduceat(self.coordinates, starts, axis=0)], axis=1)

    def in_frame(self, frame: Frame) -> Objects:
        """The same objects in another frame of the same image (pixels, or a length); measurements stay as they are."""
        factor = np.divide(frame.pixel_size, self.frame.pixel_size)
        points = self.coordinates * factor.astype(self.coordinates.dtype)
        return replace(self, coordinates=points, frame=frame)

    def _points_of_objects(self) -> Integers:
        """Where the points of each object begin, ``(N + 1,)``."""
        return self.ring_offsets[self.polygon_offsets[self.object_offsets]]

    def _ring_signs(self) -> Floats:
        """1 for outlines, -1 for holes, ``(R,)``."""
        sign = np.full(len(self.ring_offsets) - 1, -1.0)
        sign[self.polygon_offsets[:-1]] = 1.0
        return sign

    def validate(self) -> None:
        """Raise a `GeometryError` that names the first object whose numbers make no sense.

        Structure (see `Objects`), finite coordinates, probabilities from 0 to 1, classes of the table, ids that are
        there once.
        """
        self._require_structure()
        for part in blocks(self.ring_offsets):
            low, high = self.ring_offsets[part.start], self.ring_offsets[part.stop]
            good = np.isfinite(self.coordinates[low:high]).all(axis=1)
            if not good.all():
                point = int(low + np.flatnonzero(~good)[0])
                self._blame(np.searchsorted(self._points_of_objects(), point, "right") - 1, "a coordinate is no number")
        if self.probabilities is not None:
            odd = (self.probabilities < 0) | (self.probabilities > 1)
            if odd.any():
                first = int(np.flatnonzero(odd)[0])
                self._blame(first, f"probability {self.probabilities[first]:g}, 0 to 1 was expected")
        if self.review is not None and (odd := self.review >= len(REVIEW)).any():
            first = int(np.flatnonzero(odd)[0])
            self._blame(first, f"review {self.review[first]}, a number below {len(REVIEW)} was expected")
        unknown = ~np.isin(self.class_values, [0, *(c.value for c in self.classes)])
        if unknown.any():
            first = int(np.flatnonzero(unknown)[0])
            self._blame(first, f"class {self.class_values[first]} is not in its table of classes")
        self._require_holes()
        if len(np.unique(self.ids)) != len(self):
            raise GeometryError(f"objects '{self.name}': ids occur more than once; each object needs its own")

    def _require_holes(self) -> None:
        """Holes that take off more than there is, or lie outside of their outline: no area of such an object is one."""
        holes = np.flatnonzero(self._ring_signs() < 0)
        if not holes.size:
            return
        own = np.searchsorted(self.polygon_offsets, holes, "right") - 1  # polygon of each hole
        area = np.abs(signed_areas(self.coordinates, self.ring_offsets)) * self._ring_signs()
        left = np.add.reduceat(area, self.polygon_offsets[:-1])
        short = left < -1e-6 * np.abs(area[self.polygon_offsets[:-1]])
        outside = outside_of(self.coordinates, self.ring_offsets, holes, self.polygon_offsets[own])
        for polygons, why in (
            (np.flatnonzero(short), "its holes are larger than their outline"),
            (own[outside], "a hole lies outside of its outline"),
        ):
            if polygons.size:
                self._blame(np.searchsorted(self.object_offsets, polygons[0], "right") - 1, why)

    def _blame(self, number: Any, why: str) -> None:
        raise GeometryError(f"objects '{self.name}': object {int(number) + 1} of {len(self)}: {why}")

    def _require_structure(self) -> None:
        points, n = self.coordinates, len(self.object_offsets) - 1
        if points.ndim != 2 or points.shape[1] != 2:
            raise GeometryError(f"objects '{self.name}': coordinates of shape {points.shape}, (points, 2) was expected")
        levels = (
            ("ring", self.ring_offsets, len(points), 3, "points"),
            ("polygon", self.polygon_offsets, len(self.ring_offsets) - 1, 1, "rings"),
            ("object", self.object_offsets, len(self.polygon_offsets) - 1, 1, "polygons"),
        )
        for what, offsets, end, least, of in levels:
            if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != end:
                raise GeometryError(
                    f"objects '{self.name}': {what}_offsets must go from 0 to {end}, the {of} there are"
                )
            counts = np.diff(offsets)
            if (counts < least).any():
                number = int(np.flatnonzero(counts < least)[0])
                raise GeometryError(
                    f"objects '{self.name}': {what} {number + 1} has {counts[number]} {of}, expected {least} or more"
                )
        columns = {"class_values": self.class_values, "ids": self.ids, **self.measurements}
        if self.probabilities is not None:
            columns["probabilities"] = self.probabilities
        if self.review is not None:
            columns["review"] = self.review
        for key, values in columns.items():
            if values.shape != (n,):
                raise GeometryError(f"objects '{self.name}': {key} has shape {values.shape}, ({n},) was expected")
        for key, values in self.measurements.items():
            if values.dtype.kind not in "biuf":
                raise GeometryError(f"objects '{self.name}': measurement {key} holds {values.dtype}, expected numbers")
        if n and self.ids.dtype.kind not in "iuU":
            raise GeometryError(f"objects '{self.name}': ids of type {self.ids.dtype}, expected whole numbers or text")


def _locked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.setflags(write=False)
    return view


def _numbers(which: npt.ArrayLike | slice, n: int) -> Integers | slice:
    """What `Objects.select` takes, as numbers of objects; as a slice where they are neighbours in order."""
    if isinstance(which, slice):
        start, stop, step = which.indices(n)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
    index = np.asarray(which)
    if index.dtype == bool:
        if index.shape != (n,):
            raise GeometryError(f"a mask of shape {index.shape} chooses among {n} objects; ({n},) was expected")
        index = np.flatnonzero(index)
    index = index.astype(np.int64)
    if index.size and (index.min() < -n or index.max() >= n):
        raise IndexError(f"object {index.max()} of {n}")
    index = np.where(index < 0, index + n, index)
    if index.size and (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def _pieces(item: Any) -> list[list[Any]]:
    """One entry of `from_polygons` as pieces of rings."""
    depth, inner = 0, item
    while isinstance(inner, np.ndarray | list | tuple):
        depth += inner.ndim if isinstance(inner, np.ndarray) else 1
        if isinstance(inner, np.ndarray) or not len(inner):
            break
        inner = inner[0]
    if depth == 2:
        return [[item]]
    if depth == 3:
        return [list(item)]
    if depth == 4:
        return [list(piece) for piece in item]
    raise GeometryError("an object must be a ring (points, 2), a list of rings, or a list of lists of rings")
