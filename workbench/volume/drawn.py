"""What people draw over an open volume, brought onto the grid of that volume: labels, points and shapes.

A layer that a program makes for drawing (napari's *New labels*) knows where it lies, but not how the file of the image
keeps its voxels. Here it gets the grid of the image it was drawn over, so that both files have one grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.layers import KEY
from workbench.core.types import Geometry
from workbench.volume.layers import geometry_from_layer
from workbench.volume.overlay import last_axes
from workbench.volume.placement import Matrix, layer_world, millimetres_per_unit

Attributes = Mapping[str, Any]
Fit = Literal["grid", "box", ""]

# Sine of 20 degrees: less is not worth a second letter.
_OBLIQUE = 0.34
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
# What says nothing about the image itself: which part of it a layer shows, and how.
_NOT_TAKEN = (
    "role", "group", "channel", "channels", "range", "classes", "part", "part_name", "edited", "provenance", "result",
    "value_unit", "heatmap",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Below:
    """An image layer that something may have been drawn over: the shape of its array, and its attributes."""

    shape: tuple[int, ...]
    attributes: Attributes

    @property
    def name(self) -> str:
        return str(self.attributes.get("name", "image"))

    @property
    def spatial(self) -> tuple[int, int, int]:
        a, b, c = self.shape[-3:]
        return int(a), int(b), int(c)

    @property
    def world(self) -> Matrix:
        """(4, 4) layer index -> world [mm, or what the layer counts in]."""
        return world_of(self.attributes, len(self.shape))


def world_of(attributes: Attributes, ndim: int) -> Matrix:
    """(4, 4) layer index -> world, in mm where the layer has a unit."""
    factors = millimetres_per_unit(attributes.get("units"), ndim)
    world = layer_world(attributes, ndim)
    return world if factors is None else np.diag([*factors, 1.0]) @ world


def has_grid(attributes: Attributes) -> bool:
    """Whether a layer is known to lie on the grid of a file: it was opened, made by a run, or brought there."""
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    return any(record.get(key) for key in ("shape", "source", "result", "drawn_over"))


def fit_of(shape: Sequence[int], attributes: Attributes, image: Below) -> Fit:
    """How an array of labels lies on an image: on its very grid, in a box around it, or neither.

    The box is what programs make that know how far an image reaches, and not how it is turned.
    """
    spatial = tuple(int(n) for n in shape[-3:])
    if len(spatial) != 3 or len(image.shape) < 3:
        return ""
    mine, its = world_of(attributes, len(shape)), image.world
    if spatial == image.spatial and Geometry(spatial, mine).matches(Geometry(spatial, its), tolerance=5e-3):
        return "grid"
    reach = np.sqrt((its[:3, :3] ** 2).sum(axis=0)).max()
    step = np.sqrt((mine[:3, :3] ** 2).sum(axis=0)).max()
    apart = np.abs(np.array(_box(spatial, mine)) - np.array(_box(image.spatial, its))).max()
    return "box" if apart <= 1.01 * max(step, reach) else ""


def _box(shape: Sequence[int], world: Matrix) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    corners = np.array([(*c, 1.0) for c in product(*((0, n - 1) for n in shape))])
    at = (corners @ world.T)[:, :3]
    return at.min(axis=0), at.max(axis=0)


def choose_image(shape: Sequence[int], attributes: Attributes, images: Sequence[Below], preferred: int = -1) -> int:
    """Which of several images something was drawn over; -1 if none fits.

    Parameters
    ----------
    images
        From the bottom to the top.
    preferred
        The one that a person works with, where there is one: of those that fit equally well it is meant.

    Raises
    ------
    GeometryError
        Several fit equally well and keep their voxels in different orders, and none of them is preferred: the two files
        would not be the same.
    """
    fits = [fit_of(shape, attributes, image) for image in images]
    for level in ("grid", "box"):
        found = [i for i, f in enumerate(fits) if f == level]
        if preferred in found:
            return preferred
        if found:
            if not all(_same_file_grid(images[i], images[found[0]]) for i in found):
                names = " or ".join(f"'{images[i].name}'" for i in found)
                raise GeometryError(
                    f"layer '{attributes.get('name')}' may have been drawn over {names}, whose files keep their voxels "
                    "in different orders: choose the image in the Volume tool"
                )
            return found[-1]
    return -1


def _same_file_grid(a: Below, b: Below) -> bool:
    (one, spot, _), (other, turned, _) = (geometry_from_layer(x.shape, x.attributes) for x in (a, b))
    if one.affine is None or other.affine is None:
        return one.shape == other.shape and (one.affine is None) == (other.affine is None)
    return bool(one.matches(other) and (spot.order, spot.flips) == (turned.order, turned.flips))


def attributes_over(attributes: Attributes, image: Below) -> dict[str, Any]:
    """The attributes of a layer moved onto the grid of an image: its place, its unit, and what is known of its file."""
    its = (image.attributes.get("metadata") or {}).get(KEY) or {}
    mine = (attributes.get("metadata") or {}).get(KEY) or {}
    taken = {k: v for k, v in its.items() if k not in _NOT_TAKEN and v is not None}
    record = {**taken, **mine, "role": "labels", "drawn_over": str(its.get("name") or image.name)}
    record.setdefault("classes", [])
    place = {k: last_axes(image.attributes[k], k) for k in _PLACE if image.attributes.get(k) is not None}
    kept = {k: v for k, v in attributes.items() if k not in _PLACE}
    return {**kept, **place, "metadata": {**(attributes.get("metadata") or {}), KEY: record}}


def labels_over(
    array: npt.NDArray[Any], attributes: Attributes, image: Below
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Labels as array and attributes on the grid of an image: each voxel of it takes the label that lies at its centre.

    An array that lies on that grid already is given back itself.
    """
    if fit_of(array.shape, attributes, image) != "grid":
        back = np.linalg.inv(world_of(attributes, array.ndim)) @ image.world
        array = _nearest(array, back, image.spatial)
    return array, attributes_over(attributes, image)


def _nearest(array: npt.NDArray[Any], matrix: Matrix, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    """What lies at the centres of another grid: `matrix` leads from its index to that of the array."""
    out = np.zeros(shape, array.dtype)
    limits = np.array(array.shape)[:, None, None]
    rows, columns = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    within = (
        matrix[:3, 1, None, None] * rows + matrix[:3, 2, None, None] * columns + matrix[:3, 3, None, None]
    )  # a plane at a time: indices of a whole volume would take many times its memory
    for plane in range(shape[0]):
        at = np.rint(within + matrix[:3, 0, None, None] * plane).astype(np.intp)
        inside = ((at >= 0) & (at < limits)).all(axis=0)
        out[plane][inside] = array[tuple(at[:, inside])]
    return out


def to_voxels(points: npt.NDArray[Any], attributes: Attributes, image: Below) -> npt.NDArray[np.float64]:
    """Places ``(N, 3)`` in the coordinates of a layer of points or shapes, as index of the array of the image."""
    points = np.asarray(points, dtype=np.float64)
    matrix = np.linalg.inv(image.world) @ world_of(attributes, points.shape[1])
    found: npt.NDArray[np.float64] = points[:, -3:] @ matrix[:3, :3].T + matrix[:3, 3]
    return found


def balls(
    centres: npt.NDArray[Any], radii_mm: Sequence[float], values: Sequence[int], image: Below
) -> npt.NDArray[np.uint16]:
    """A label map on the grid of an image with a ball around each centre (an index of its array).

    Each covers at least the voxel that it lies in. Centres outside of the image are left out.
    """
    out = np.zeros(image.spatial, np.uint16)
    linear, limits = image.world[:3, :3], np.array(image.spatial)
    steps = np.sqrt((linear**2).sum(axis=0))
    # How far a sphere of 1 mm reaches along each index axis, for any grid.
    spread = np.sqrt((np.linalg.inv(linear) ** 2).sum(axis=1))
    for centre, radius, value in zip(centres, radii_mm, values, strict=True):
        nearest = np.rint(centre).astype(int)
        if ((nearest < 0) | (nearest >= limits)).any():
            continue
        reach = radius * np.maximum(spread, 1 / steps)
        low = np.maximum(np.floor(centre - reach), 0).astype(int)
        high = np.minimum(np.ceil(centre + reach), limits - 1).astype(int)
        grid = np.stack(
            np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1
        )
        inside = np.linalg.norm((grid - centre) @ linear.T, axis=-1) <= radius
        out[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))][inside] = value
        out[tuple(nearest)] = value
    return out


def screen_direction(shape: Sequence[int], attributes: Attributes, shown: tuple[int, int], along: int) -> Matrix:
    """Which way in the patient (right, front, head; a unit vector) an axis of the screen runs.

    A slice of an oblique volume follows the grid of the volume; so does this.

    Parameters
    ----------
    shown
        The world axes on the screen (0: S, 1: P, 2: L), rows and columns.
    along
        Which of these two runs along the screen axis that is asked for, in its growing direction.
    """
    world = layer_world(attributes, len(shape))
    linear = world[:3, :3]
    # Where a step on the screen leads: napari shows the axes of the array that answer to the shown ones of the world.
    block = linear[np.ix_(shown, shown)]
    if abs(np.linalg.det(block)) < 1e-12:
        moved = np.zeros(3)
        moved[shown[along]] = 1.0
    else:
        step = np.zeros(2)
        step[along] = 1.0
        moved = linear[:, shown] @ np.linalg.solve(block, step)
    right_front_head = np.array([-moved[2], -moved[1], moved[0]])
    return np.asarray(right_front_head / np.linalg.norm(right_front_head), dtype=np.float64)


def letters(direction: npt.NDArray[Any]) -> str:
    """The letters of a direction (right, front, head), the main one first: ``L``, or ``LH`` for an oblique one."""
    names = (("R", "L"), ("A", "P"), ("H", "F"))
    order = np.argsort(-np.abs(direction))
    kept = [int(i) for i in order if abs(direction[i]) > _OBLIQUE]
    return "".join(names[i][0] if direction[i] > 0 else names[i][1] for i in kept)
