"""Named lines on a picture, and pictures that are results: what is read from paper, and the paper itself laid flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.frame import PIXELS, Frame

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lines:
    """Open lines in a stated frame, one row per line; `from_points` makes them.

    Parameters
    ----------
    coordinates
        ``(P, 2)`` float64, points as ``(x, y)`` of `frame`: x along the columns, y down the rows.
    offsets
        ``(N + 1,)`` int64: line n is ``coordinates[offsets[n] : offsets[n + 1]]``, two points or more.
    features
        Name with unit -> N plain values (text, numbers, yes or no): what each line is.
    frame
        What the coordinates mean.
    name
        Short name, used for files and layers.
    about
        Plain values that belong to all lines (the scale of the paper, say); they go into the file.

    Raises
    ------
    GeometryError
        Arrays that do not fit together, lines of fewer than two points, coordinates that are no numbers.
    """

    coordinates: Floats
    offsets: npt.NDArray[np.int64]
    features: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    frame: Frame = PIXELS
    name: str = "lines"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, dtype in (("coordinates", np.float64), ("offsets", np.int64)):
            held = np.array(getattr(self, key), dtype)
            held.setflags(write=False)
            object.__setattr__(self, key, held)
        points, offsets = self.coordinates, self.offsets
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
            raise GeometryError(f"lines '{self.name}': coordinates of shape {points.shape}, finite (P, 2) are expected")
        if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != len(points):
            raise GeometryError(f"lines '{self.name}': offsets do not go from 0 to {len(points)} points")
        if (np.diff(offsets) < 2).any():
            raise GeometryError(f"lines '{self.name}': a line has fewer than two points")
        if wrong := [key for key, values in self.features.items() if len(values) != len(self)]:
            raise GeometryError(f"lines '{self.name}': {wrong[0]} has not one value for each of {len(self)} lines")

    @classmethod
    def from_points(cls, lines: Sequence[npt.NDArray[np.floating[Any]]], **other: Any) -> Lines:
        """From one array ``(n, 2)`` for each line; `other` as for the class."""
        sizes = [len(line) for line in lines]
        points = np.vstack([np.asarray(line, np.float64) for line in lines]) if lines else np.zeros((0, 2))
        return cls(points, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), **other)

    def drawn(self, lines: Sequence[npt.NDArray[np.floating[Any]]], features: Mapping[str, tuple[Any, ...]]) -> Lines:
        """Other lines in the same frame, under the same name and with the same `about`."""
        return Lines.from_points(lines, features=features, frame=self.frame, name=self.name, about=self.about)

    def subset(self, rows: Sequence[int]) -> Lines:
        """Some of the lines, in that order."""
        features = {key: tuple(values[n] for n in rows) for key, values in self.features.items()}
        return self.drawn([self.line(n) for n in rows], features)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def line(self, n: int) -> Floats:
        """The points of line n, ``(points, 2)``."""
        return self.coordinates[self.offsets[n] : self.offsets[n + 1]]

    def feature(self, name: str, default: Any = None) -> tuple[Any, ...]:
        """A column of the features, or that value for every line where there is no such column."""
        return tuple(self.features.get(name, (default,) * len(self)))


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was made: a page laid flat, say.

    Parameters
    ----------
    pixels
        ``(rows, columns, 3)`` uint8.
    spacing
        Millimetres between pixels, along rows and columns alike; ``None`` where they have no size.
    name
        Short name, used for files and layers.
    """

    pixels: npt.NDArray[np.uint8]
    spacing: float | None = None
    name: str = "picture"

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
            raise GeometryError(f"picture '{self.name}': {dtype} of shape {shape}, expected uint8 (rows, columns, 3)")
        if self.spacing is not None and not (np.isfinite(self.spacing) and self.spacing > 0):
            raise GeometryError(f"picture '{self.name}': {self.spacing} mm between pixels, expected more than 0")
