"""Where a raster opened by rasterio lies: its grid on a map, or control points and camera models."""

from __future__ import annotations

from typing import Any, TypeAlias

from workbench.scene.data.anchors import Anchors, Point

Placed: TypeAlias = tuple[tuple[float, float, float, float, float, float], str | None, str | None, str | None]


def place_of(src: Any) -> Placed | None:
    """Transform, unit of length, definition and name of the map, as `from_transform` takes them."""
    t = src.transform
    if src.crs is None and t.is_identity:
        return None
    unit = None
    if src.crs is not None:
        unit = "degree" if src.crs.is_geographic else _linear(src.crs)
    name = None if src.crs is None else (src.crs.to_string() if src.crs.to_epsg() else "projected")
    wkt = None if src.crs is None else src.crs.to_wkt()
    return (t.a, t.b, t.c, t.d, t.e, t.f), unit, wkt, name


def anchors_of(src: Any) -> Anchors | None:
    """Ground control points and rational polynomial coefficients."""
    points, crs = src.gcps
    rpc = {k: v for k, v in src.tags(ns="RPC").items() if k.endswith(("_OFF", "_SCALE", "_COEFF", "_BIAS", "_RAND"))}
    if not points and not rpc:
        return None
    kept = tuple(Point(float(p.row), float(p.col), float(p.x), float(p.y), float(p.z or 0.0)) for p in points)
    wkt = None if crs is None or not points else (f"EPSG:{crs.to_epsg()}" if crs.to_epsg() else crs.to_wkt())
    return Anchors(kept, wkt, rpc or None)


def _linear(crs: Any) -> str | None:
    unit = str(crs.linear_units or "").lower()
    return {"metre": "m", "meter": "m", "foot": "ft", "us survey foot": "us-ft"}.get(unit, unit or None)
