"""Coordinate systems as rasterio takes them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from workbench.core.errors import PARSING, GeometryError
from workbench.core.types import Geometry
from workbench.scene.data.map_place import MapPlace, proj_of

_TO_WRITE = "; nothing was written. Choose format envi, which keeps it as it is."


def crs_of(text: str, whose: str = "this scene", advice: str = _TO_WRITE) -> Any:
    """The system of ``EPSG:N`` or WKT, which may be in ESRI's dialect.

    Raises
    ------
    GeometryError
        If it is not understood.
    """
    rasterio: Any = importlib.import_module("rasterio")
    try:
        with rasterio.Env():  # else GDAL prints what it says
            if text.upper().startswith("EPSG:") or text.startswith("+proj"):
                return rasterio.crs.CRS.from_string(text)
            return rasterio.crs.CRS.from_wkt(text, morph_from_esri_dialect=True)
    except rasterio.errors.CRSError as error:
        raise GeometryError(
            f"the coordinate system of {whose} is not understood ({' '.join(str(error).split())[:100]}){advice}"
        ) from error


def crs_of_place(place: MapPlace) -> Any:
    """The system of a place, translated from ENVI's ``projection info`` where only that says it; ``None`` without."""
    if place.wkt is not None:
        return crs_of(place.wkt)
    text = proj_of(place)
    if text is None:
        return None
    rasterio: Any = importlib.import_module("rasterio")
    return rasterio.crs.CRS.from_string(text)


def errors_of_gdal() -> tuple[type[Exception], ...]:
    """What rasterio raises on data that GDAL or PROJ cannot take."""
    rasterio: Any = importlib.import_module("rasterio")
    return (*PARSING, rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError)


def require_same_map(found: Geometry, expected: Geometry, source: str) -> tuple[str, ...]:
    """Refuse a grid whose numbers are those of another map: its corners lie elsewhere on the ground. Notes of it.

    Systems are compared by what they do, not by how they are spelled: EPSG number, WKT of any dialect, map info.

    Raises
    ------
    GeometryError
        The corners lie half a pixel or more away from where they were expected.
    """
    if found.affine is None or expected.affine is None or found.crs == expected.crs:
        return ()
    if found.crs is None or expected.crs is None:
        which = "the label map" if found.crs is None else "the scene"
        return (f"{which} names no coordinate system: its coordinates were taken for those of the other",)
    rows, columns = (n - 1 for n in found.shape)
    corners = np.array([(0, 0, 1), (rows, 0, 1), (0, columns, 1), (rows, columns, 1)], float)
    x, y = (found.affine @ corners.T)[:2]
    warp: Any = importlib.import_module("rasterio.warp")
    unclear = (f"the coordinate systems of {source} and of the scene could not be compared",)
    kinds: tuple[type[Exception], ...] = (GeometryError, *errors_of_gdal())
    try:
        own, other = (crs_of(t, "it", ".") for t in (found.crs, expected.crs))
        if own == other:
            return ()
        moved = np.asarray(warp.transform(own, other, x.tolist(), y.tolist())[:2])
    except kinds:
        return unclear
    shift = np.abs(moved - (x, y)).max()
    if shift < 0.5 * min(expected.spacing or (1.0,)):
        return ()
    names = [f"EPSG:{c.to_epsg()}" if c.to_epsg() else " ".join(c.to_wkt().split())[:60] for c in (own, other)]
    raise GeometryError(
        f"{source}: the label map lies in {names[0]}, the scene in {names[1]}: the same numbers are another place."
        " Give the map of this scene, or warp it onto its grid first."
    )
