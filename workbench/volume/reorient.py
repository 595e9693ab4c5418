"""An orientation that nothing in a file tells: which one was taken, and another one set by a person.

A person says which way each axis of the file runs. The samples stay; the geometry gets another affine, turned around
the middle of the volume, so that what was in the picture stays in it. All that lies over it takes the same motion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.types import Geometry
from workbench.volume.data.grid import world_axes
from workbench.volume.layers import AXES_TAKEN, geometry_from_layer
from workbench.volume.placement import (
    RAS_TO_SPL,
    Matrix,
    Placement,
    layer_world,
    millimetres_per_unit,
    place,
    transform_attributes,
    world_to_ras,
)

_PAIRS = ("RL", "AP", "SI")
WORDS = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}
"""What the letters of an orientation stand for."""
ORIENTATIONS = tuple("".join(code) for order in permutations(_PAIRS) for code in product(*order))
"""The 48 ways in which three axes can run, each by the direction that its axis grows in."""

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Taken:
    """The orientation of a layer whose file does not give one.

    Parameters
    ----------
    now
        Letters of the file's axes, as they count now.
    read
        The same as the reader, or the viewer, took them.
    why
        Who took them so, and why.
    """

    now: str
    read: str
    why: str

    @property
    def is_set(self) -> bool:
        """Whether a person has set another one."""
        return self.now != self.read


def code_of(affine: Matrix) -> str:
    """Letters of the axes of a grid: ``RAS`` where they run to the right, the front and the head."""
    return "".join(_PAIRS[world][0 if positive else 1] for world, positive in world_axes(affine))


def flipped(code: str, letter: str) -> str:
    """The orientation in which the axis that runs along `letter`, or against it, runs the other way."""
    pair = next(p for p in _PAIRS if letter in p)
    return "".join(pair[1 - pair.index(c)] if c in pair else c for c in code)


def taken(shape: Sequence[int], attributes: Attributes, *, pixel_is_mm: bool = False) -> Taken | None:
    """The orientation that was taken for a layer; ``None`` where its file gives one, or it has no position at all."""
    try:
        geometry, _, notes = geometry_from_layer(shape, attributes, pixel_is_mm=pixel_is_mm)
        if geometry.affine is None:
            return None
        now = code_of(geometry.affine)
    except WorkbenchError:
        return None
    own = ((attributes.get("metadata") or {}).get(KEY) or {}).get("orientation") or {}
    if own.get("set"):
        return Taken(str(own["set"]), str(own["read"]), str(own["assumed"]))
    if own.get("assumed"):
        return Taken(now, now, str(own["assumed"]))
    return Taken(now, now, AXES_TAKEN) if AXES_TAKEN in notes else None


def reoriented(geometry: Geometry, code: str) -> Geometry:
    """The same grid with its axes along other directions, around its own middle."""
    matrix = _around(_middle(geometry), _linear(geometry.affine, code))
    return Geometry(
        geometry.shape, matrix @ np.asarray(geometry.affine, dtype=np.float64), geometry.axes, geometry.unit
    )


def motion(shape: Sequence[int], attributes: Attributes, code: str, *, pixel_is_mm: bool = False) -> Matrix:
    """(4, 4) in the world of layers [mm]: how a layer moves when its orientation becomes another one.

    It leads from the present orientation over the one as it was read: the array of a pyramid has been turned itself, so
    that its axes are not those of the file.
    """
    geometry, _, _ = geometry_from_layer(shape, attributes, pixel_is_mm=pixel_is_mm)
    middle = _middle(geometry)
    own = ((attributes.get("metadata") or {}).get(KEY) or {}).get("orientation") or {}
    if own.get("set"):
        read = np.array(own["affine"])
        linear = _linear(read, code) @ np.linalg.inv(_linear(read, str(own["set"])))
    else:
        linear = _linear(geometry.affine, code)
    return np.asarray(RAS_TO_SPL @ _around(middle, linear) @ RAS_TO_SPL.T, dtype=np.float64)


def _linear(affine: Any, code: str) -> Matrix:
    """(3, 3) in RAS+: turns the directions of a grid's axes to those of `code`."""
    linear = np.zeros((3, 3))
    for letter, (world, positive) in zip(code, world_axes(np.asarray(affine, dtype=np.float64)), strict=True):
        target = next(i for i, pair in enumerate(_PAIRS) if letter in pair)
        linear[target, world] = 1.0 if (letter == _PAIRS[target][0]) == positive else -1.0
    return linear


def _middle(geometry: Geometry) -> Matrix:
    affine = np.asarray(geometry.affine, dtype=np.float64)
    return np.asarray(affine[:3, :3] @ ((np.array(geometry.shape) - 1) / 2) + affine[:3, 3], dtype=np.float64)


def _around(middle: Matrix, linear: Matrix) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = middle - linear @ middle
    return matrix


@dataclass(frozen=True, eq=False)
class Turned:
    """How a raster layer is shown after a motion.

    Parameters
    ----------
    spot
        How its array is turned, so that it still is a view along the axes of the world.
    attributes
        Its new ``scale``, ``translate``, ``rotate``, ``shear`` and ``affine``, complete.
    """

    spot: Placement
    attributes: dict[str, Any]

    def array(self, data: Any) -> Any:
        """A view of the data, or of one of its levels; leading axes stay."""
        lead = data.ndim - 3
        turned = data.transpose((*range(lead), *(lead + a for a in self.spot.order)))
        if not any(self.spot.flips):
            return turned
        return turned[(..., *(slice(None, None, -1 if f else 1) for f in self.spot.flips))]

    def array_back(self, data: Any) -> Any:
        """The inverse of `array`."""
        lead = data.ndim - 3
        back = (
            data[(..., *(slice(None, None, -1 if f else 1) for f in self.spot.flips))] if any(self.spot.flips) else data
        )
        return back.transpose((*range(lead), *(lead + int(a) for a in np.argsort(self.spot.order))))

    def index(self, index: Sequence[Any]) -> tuple[Any, ...]:
        """An index of the array, one array of whole numbers per axis, as an index of the turned one."""
        last = len(index) - 3
        found = []
        for axis, flip in zip(self.spot.order, self.spot.flips, strict=True):
            along = index[last + axis]
            found.append(self.spot.shape[axis] - 1 - along if flip else along)
        return (*index[:last], *found)


def turned(shape: Sequence[int], attributes: Attributes, matrix: Matrix, *, flips: bool = True) -> Turned:
    """A raster layer moved by a motion.

    Parameters
    ----------
    matrix
        `motion`.
    flips
        Whether its array may be flipped. The levels of a pyramid may not: they would no longer begin at one corner.
    """
    ndim = len(shape)
    spatial = tuple(int(n) for n in shape[-3:])
    world = own_motion(matrix, attributes, ndim) @ layer_world(attributes, ndim)
    spot = place(Geometry(spatial, world_to_ras(world)))
    if not flips:
        spot = Placement(spatial, spot.order, (False,) * 3, np.eye(4))
        spot = Placement(spatial, spot.order, spot.flips, world @ spot.index_matrix)
    return Turned(spot, _full_transform(transform_attributes(spot.world, spot.layer_shape), attributes, ndim))


def own_motion(matrix: Matrix, attributes: Attributes, ndim: int) -> Matrix:
    """A motion in mm as one in the units of a layer."""
    factors = millimetres_per_unit(attributes.get("units"), ndim)
    if factors is None:
        return matrix
    to_mm = np.diag([*factors, 1.0])
    return np.asarray(np.linalg.inv(to_mm) @ matrix @ to_mm, dtype=np.float64)


def _full_transform(changed: Attributes, attributes: Attributes, ndim: int) -> dict[str, Any]:
    """A transform of three axes as all parts of the transform of a layer, which keeps that of its leading axes."""
    lead = ndim - 3
    kept = {k: tuple(attributes.get(k) or ())[:lead] for k in ("scale", "translate")} if lead else {}
    affine = np.eye(ndim + 1)
    if "affine" in changed:
        affine[lead:, lead:] = changed["affine"]
    return {
        "scale": (*kept.get("scale", ()), *changed["scale"]),
        "translate": (*kept.get("translate", ()), *changed.get("translate", (0.0, 0.0, 0.0))),
        "rotate": np.eye(ndim),
        "shear": np.zeros(ndim * (ndim - 1) // 2),
        "affine": affine,
    }


def grid_record(
    shape: Sequence[int], attributes: Attributes, code: str, *, pixel_is_mm: bool = False
) -> dict[str, Any]:
    """What the record of a layer says of its file's grid and orientation once a person has set it.

    From then on a layer that another reader has opened counts as one whose file has that grid.
    """
    geometry, _, _ = geometry_from_layer(shape, attributes, pixel_is_mm=pixel_is_mm)
    before = taken(shape, attributes, pixel_is_mm=pixel_is_mm)
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    own = dict(record.get("orientation") or {})
    read = own.get("affine") if own.get("set") else np.asarray(geometry.affine, dtype=np.float64).tolist()
    if before is None or read is None:
        raise ValueError("an orientation that the file gives is not set by hand")
    as_read = Geometry(tuple(own.get("shape") or geometry.shape), np.array(read), geometry.axes, geometry.unit)
    now = as_read if code == before.read else reoriented(as_read, code)
    affine = np.asarray(now.affine, dtype=np.float64)
    orientation = {"assumed": before.why, "read": before.read, "affine": read, "shape": list(as_read.shape)}
    if code != before.read:
        orientation["set"] = code
    return {
        "shape": list(as_read.shape),
        "layer_shape": list(place(now).layer_shape),
        "affine": affine.tolist(),
        "axes": list(geometry.axes),
        "unit": geometry.unit or "mm",
        "orientation": orientation,
        **({"pixel_is_mm": True} if pixel_is_mm or record.get("pixel_is_mm") else {}),
    }


def in_order_read(data: Any, attributes: Attributes) -> Any:
    """A view of a layer's samples in the order in which they were read, whatever orientation was set since."""
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    own = record.get("orientation") or {}
    if not own.get("set"):
        return data
    if record.get("shape"):
        _, spot, _ = geometry_from_layer(data.shape, attributes)
        return Turned(spot, {}).array_back(data)
    order = place(reoriented(Geometry(tuple(own["shape"]), np.array(own["affine"])), str(own["set"]))).order
    lead = data.ndim - 3
    return data.transpose((*range(lead), *(lead + int(a) for a in np.argsort(order))))
