"""What the coordinates of objects mean: unit, size of a pixel, origin, and the way to the world of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frame:
    """A coordinate frame of a two-dimensional image, with points as ``(x, y)``: x along columns, y down the rows.

    The origin is the outer **corner** of the first pixel of level 0, as in QuPath and OpenSlide: in pixels, row r and
    column c cover x from c to c + 1 and y from r to r + 1, with the centre at (c + 0.5, r + 0.5). `Geometry.affine` and
    napari count from pixel **centres**; `to_index` and `from_index` go there and back.

    Parameters
    ----------
    name
        ``"pixel"``, or what else the frame is called (``"um"``).
    unit
        Unit of the coordinates: ``"pixel"``, ``"um"``, ``"mm"``.
    pixel_size
        Size of a pixel of level 0 along (x, y), in `unit`; (1, 1) for pixels.
    affine
        (3, 3) float64, (x, y, 1) -> world of the image (that of `Geometry.affine`); ``None`` where the image has none.
    world_unit
        Unit of that world, or ``None``.
    """

    name: str = "pixel"
    unit: str = "pixel"
    pixel_size: tuple[float, float] = (1.0, 1.0)
    affine: Floats | None = None
    world_unit: str | None = None

    def __post_init__(self) -> None:
        if len(self.pixel_size) != 2 or not all(np.isfinite(s) and s > 0 for s in self.pixel_size):
            raise GeometryError(
                f"frame '{self.name}': pixel size {self.pixel_size}, two positive numbers were expected"
            )
        if self.affine is None:
            return
        matrix = np.array(self.affine, dtype=np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) == 0:
            raise GeometryError(
                f"frame '{self.name}': affine of shape {matrix.shape}, expected a finite (3, 3) with an inverse"
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "affine", matrix)

    @classmethod
    def of(
        cls,
        affine: npt.NDArray[np.floating[Any]] | None = None,
        world_unit: str | None = None,
        *,
        unit: str = "pixel",
        pixel_size: tuple[float, float] = (1.0, 1.0),
    ) -> Frame:
        """The frame of an image: in its pixels, or in a length if `unit` and `pixel_size` say so.

        Parameters
        ----------
        affine, world_unit
            `Geometry.affine` ((3, 3), (row, column, 1) of pixel centres -> world) and `Geometry.unit`.
        """
        x, y = pixel_size
        index = np.array([[0, 1 / y, -0.5], [1 / x, 0, -0.5], [0, 0, 1]])
        world = None if affine is None else np.asarray(affine, np.float64) @ index
        return cls(unit, unit, (float(x), float(y)), world, world_unit)

    @property
    def area_unit(self) -> str:
        """Unit of areas in this frame: ``"um2"``."""
        return f"{self.unit}2"

    def to_index(self, points: npt.NDArray[np.floating[Any]]) -> Floats:
        """Points ``(..., 2)`` as (row, column) of level 0, whole numbers being pixel centres."""
        return (np.asarray(points, np.float64) / self.pixel_size - 0.5)[..., ::-1]

    def from_index(self, index: npt.NDArray[np.floating[Any]]) -> Floats:
        """Inverse of `to_index`: (row, column) ``(..., 2)`` as (x, y) of this frame."""
        points: Floats = (np.asarray(index, np.float64)[..., ::-1] + 0.5) * self.pixel_size
        return points

    def to_world(self, points: npt.NDArray[np.floating[Any]]) -> Floats:
        """Points ``(..., 2)`` in the world of the image, in `world_unit`.

        Raises
        ------
        GeometryError
            The image has no place in a world.
        """
        if self.affine is None:
            raise GeometryError(f"frame '{self.name}' has no place in the world: its image states none")
        world: Floats = np.asarray(points, np.float64) @ self.affine[:2, :2].T + self.affine[:2, 2]
        return world

    def matches(self, other: Frame, tolerance: float = 1e-3) -> bool:
        """Whether points lie alike in both: equal units, and within `tolerance` pixels over 10,000 pixels."""
        if self.unit != other.unit or (self.affine is None) != (other.affine is None):
            return False
        corners = np.array([(0.0, 0.0), (1e4, 0.0), (0.0, 1e4), (1e4, 1e4)])
        points = corners * self.pixel_size
        if np.abs(points / other.pixel_size - corners).max() > tolerance:
            return False
        if self.affine is None or other.affine is None:
            return True
        step = np.sqrt((self.affine[:2, :2] ** 2).sum(axis=0)) * self.pixel_size
        shift = np.abs(self.to_world(points) - other.to_world(points)).max()
        return self.world_unit == other.world_unit and bool(shift <= tolerance * step.min())

    def to_json(self) -> dict[str, Any]:
        """Plain values; the origin is stated too, for whoever reads the file without us."""
        return {
            "name": self.name,
            "unit": self.unit,
            "origin": "corner of the first pixel of level 0",
            "axes": ["x", "y"],
            "pixel_size": list(self.pixel_size),
            "affine": None if self.affine is None else self.affine.tolist(),
            "world_unit": self.world_unit,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Frame:
        """Inverse of `to_json`."""
        affine = values.get("affine")
        x, y = (float(v) for v in values["pixel_size"])
        matrix = None if affine is None else np.array(affine, np.float64)
        unit = values.get("world_unit")
        return cls(str(values["name"]), str(values["unit"]), (x, y), matrix, None if unit is None else str(unit))


PIXELS = Frame()
"""Pixels of level 0 of an image that has no place in a world."""
