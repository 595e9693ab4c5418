"""Coordinate systems as rasterio takes them."""

from __future__ import annotations

import importlib
from typing import Any

from workbench.core.errors import PARSING, GeometryError
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
            if text.upper().startswith("EPSG:"):
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
