"""The area of a pixel on the ellipsoid of the Earth, where the map does not keep areas."""

from __future__ import annotations

import importlib
import math
from functools import lru_cache
from typing import Any

import numpy as np

from workbench.core.errors import GeometryError
from workbench.core.types import Geometry
from workbench.scene.data.crs import crs_of, errors_of_gdal

_A, _F = 6378137.0, 1 / 298.257223563  # WGS 84 [m]
_E2 = _F * (2 - _F)
_NEAR = 0.005
"""Areas that differ by less over a scene are given as one; UTM within its zone stays below."""


def ground_area(geometry: Geometry) -> float | None:
    """Area of one pixel on the ellipsoid [m2], the mean over the scene.

    ``None`` where the area differs by more than 0.5 % over the scene, so that a number of pixels says no area; NaN
    where the coordinate system is not known, or lies nowhere on the Earth.
    """
    if geometry.crs is None or geometry.affine is None:
        return math.nan
    return _area(geometry.crs, geometry.shape, tuple(geometry.affine[:2].ravel().tolist()))


@lru_cache(maxsize=32)
def _area(crs: str, shape: tuple[int, ...], numbers: tuple[float, ...]) -> float | None:
    affine = np.array(numbers).reshape(2, 3)
    rows, columns = (g.ravel() for g in np.meshgrid(*(np.linspace(0, n - 1, 5) for n in shape), indexing="ij"))
    # Half a pixel to both sides of each place, along rows and along columns.
    steps = [(rows + r, columns + c) for r, c in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))]
    index = [np.concatenate(part) for part in zip(*steps, strict=True)]
    x, y = affine @ np.vstack([*index, np.ones(4 * rows.size)])
    warp: Any = importlib.import_module("rasterio.warp")
    kinds: tuple[type[Exception], ...] = (GeometryError, *errors_of_gdal())
    try:
        found = warp.transform(crs_of(crs), crs_of("EPSG:4326"), x.tolist(), y.tolist())
    except kinds:
        return math.nan
    east, north = np.radians(np.asarray(found[:2])).reshape(2, 4, -1)
    by_row, by_column = ((_turn(east[i] - east[i + 1]), north[i] - north[i + 1]) for i in (0, 2))
    sine = np.sin(north.mean(axis=0))
    # Radii of curvature along the meridian and along the parallel.
    w = 1 - _E2 * sine**2
    scale = _A**2 * (1 - _E2) / w**2 * np.sqrt(1 - sine**2)
    area = np.abs(by_row[0] * by_column[1] - by_row[1] * by_column[0]) * scale
    mean = float(area.mean())
    if not np.isfinite(area).all() or mean <= 0:
        return math.nan
    return mean if np.ptp(area) <= _NEAR * mean else None


def _turn(angle: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A difference of longitudes within half a turn."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
