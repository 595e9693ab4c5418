"""Annotations of a slide that people made: points, lines and areas, with what a file says about each.

They are thousands, of every geometry, and carry whatever another program wrote; millions of outlines of a machine are
`workbench.core.objects.Objects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.classes import RGB, ClassTable
from workbench.core.errors import GeometryError
from workbench.core.frame import PIXELS, Frame
from workbench.core.rings import offsets_of, signed_areas

Floats = npt.NDArray[np.float64]
ShapeKind: TypeAlias = Literal["points", "lines", "areas"]

FURTHEST = 1e9
"""Coordinates beyond this are damage: no slide has so many pixels along a side."""
_LEAST = {"points": 1, "lines": 2, "areas": 3}


class Fault(ValueError):
    """What is wrong with an annotation in a file, without the file and the number of the annotation."""


@dataclass(frozen=True, eq=False)
class Shape:
    """Where an annotation lies, in pixels of level 0 as (x, y) from the outer corner of the first pixel.

    Parameters
    ----------
    kind
        ``"points"``, ``"lines"`` or ``"areas"``.
    parts
        Of areas: one entry per polygon, its outline ``(V, 2)`` and then its holes, the first point not repeated at the
        end. Of lines: one entry per line, which holds that line ``(V, 2)``. Of points: one entry that holds ``(N, 2)``.
        All float64, read-only.

    Raises
    ------
    GeometryError
        Fewer than 3 points of a ring, 2 of a line or 1; a coordinate that is no number or further than any slide.
    """

    kind: ShapeKind
    parts: tuple[tuple[Floats, ...], ...]

    def __post_init__(self) -> None:
        parts = tuple(tuple(_checked(self.kind, points) for points in part) for part in self.parts)
        if not parts or not all(parts):
            raise GeometryError(f"there are no {self.kind}")
        object.__setattr__(self, "parts", parts)

    @property
    def area(self) -> float:
        """Pixels of level 0, holes taken off; exact for outlines that do not cross, 0 for points and lines."""
        if self.kind != "areas":
            return 0.0
        rings = list(self.rings())
        sign = [1.0 if i == 0 else -1.0 for part in self.parts for i in range(len(part))]
        areas = np.abs(signed_areas(np.concatenate(rings), offsets_of(np.array([len(r) for r in rings]))))
        return float((areas * sign).sum())

    def rings(self) -> Iterator[Floats]:
        """All arrays of points, one after the other."""
        for part in self.parts:
            yield from part

    def moved(self, change: Callable[[Floats], Floats]) -> Shape:
        """The same with other coordinates."""
        return replace(self, parts=tuple(tuple(change(points) for points in part) for part in self.parts))

    def same(self, other: Shape | None) -> bool:
        """Whether all coordinates are equal."""
        if other is None or self.kind != other.kind or [len(p) for p in self.parts] != [len(p) for p in other.parts]:
            return False
        return all(np.array_equal(a, b) for a, b in zip(self.rings(), other.rings(), strict=True))


def _checked(kind: str, points: npt.ArrayLike) -> Floats:
    own = np.array(points, dtype=np.float64)
    least = _LEAST[kind]
    if own.ndim != 2 or own.shape[1] != 2:
        raise GeometryError(f"points have the shape {own.shape}, (points, 2) was expected")
    if kind == "areas" and len(own) > 1 and (own[0] == own[-1]).all():
        own = own[:-1]
    if len(own) < least:
        what = {"points": "set of points", "lines": "line", "areas": "outline"}[kind]
        raise GeometryError(f"a{'n' if kind == 'areas' else ''} {what} has {len(own)} point(s), {least} or more were"
                            " expected")  # fmt: skip
    good = np.isfinite(own).all(axis=1) & (np.abs(np.nan_to_num(own)) <= FURTHEST).all(axis=1)
    if not good.all():
        bad = own[np.flatnonzero(~good)[0]]
        raise GeometryError(f"a position is [{bad[0]:g}, {bad[1]:g}], which lies on no slide")
    own.setflags(write=False)
    return own


@dataclass(frozen=True, eq=False)
class Annotation:
    """One annotation. What is not known is empty or ``None``.

    Parameters
    ----------
    shape
        Where it is.
    id
        Text or number as it stands in the file, to the byte; QuPath before 0.3 gives many the same.
    name, class_name
        As people gave them.
    color, class_color
        (red, green, blue) from 0 to 255, its own and that of its class.
    object_type
        ``"annotation"``, ``"detection"``, ``"cell"``, ``"tile"``, or what else the file says.
    locked
        Whether people locked it against changes.
    measurements
        Name -> number, which may be NaN.
    nucleus
        Areas of the nucleus of a cell, or ``None``.
    properties
        All other properties that the file held, plain values of JSON, to be written again.
    members
        Other members of the feature: ``"geometry"`` holds those of its geometry (plane, ellipse) besides coordinates.
    """

    shape: Shape
    id: str | int | float | None = None
    name: str = ""
    class_name: str = ""
    color: RGB | None = None
    class_color: RGB | None = None
    object_type: str = "annotation"
    locked: bool = False
    measurements: Mapping[str, float] = field(default_factory=dict)
    nucleus: Shape | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def area(self) -> float:
        """Pixels of level 0; see `Shape.area`."""
        return self.shape.area

    def moved(self, change: Callable[[Floats], Floats]) -> Annotation:
        """The same with other coordinates."""
        nucleus = None if self.nucleus is None else self.nucleus.moved(change)
        return replace(self, shape=self.shape.moved(change), nucleus=nucleus)


@dataclass(frozen=True, eq=False)
class Annotations:
    """Annotations of one slide in pixels of level 0 of the whole file, counted from the corner of the first pixel.

    Parameters
    ----------
    items
        In the order of the file.
    frame
        Pixels (`Frame.unit`), with the way to the world of the slide if it is known.
    name
        Short name, used for files and layers.
    notes
        What was assumed, changed or left out, a line each.
    """

    items: tuple[Annotation, ...] = ()
    frame: Frame = PIXELS
    name: str = "annotations"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.items))
        if self.frame.unit != "pixel" or self.frame.pixel_size != (1.0, 1.0):
            raise GeometryError(f"annotations '{self.name}': their frame is in {self.frame.unit}, pixels were expected")

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<Annotations {self.name}: {len(self)}>"

    @property
    def classes(self) -> ClassTable:
        """Its classes in the order in which they come, with the colours of the file where it has some."""
        colors: dict[str, RGB | None] = {}
        for item in self.items:
            if item.class_name:
                colors[item.class_name] = colors.get(item.class_name) or item.class_color
        table = ClassTable.from_names(list(colors))
        return ClassTable(tuple(replace(c, color=colors[c.name] or c.color) for c in table))

    def classes_from_names(self) -> Annotations:
        """The same with the name of each as its class where it has none: formats without classes (NDPA) name them."""
        return replace(self, items=tuple(
            a if a.class_name or not a.name else replace(a, class_name=a.name, class_color=a.color) for a in self
        ))  # fmt: skip
