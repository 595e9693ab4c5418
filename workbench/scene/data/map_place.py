"""Where a scene lies on the map: ENVI's ``map info`` and the geotransform of GeoTIFF as one affine, and back.

The affine maps (row, column) of pixel *centres* to (x, y) on the map, like every `Geometry` of the workbench. ENVI and
GDAL count from the corner of the first pixel; the half pixel between the two is taken care of here and nowhere else.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError

_UNITS = {
    "meters": "m", "metres": "m", "meter": "m", "metre": "m", "m": "m",
    "degrees": "degree", "degree": "degree", "deg": "degree",
    "feet": "ft", "foot": "ft", "us survey foot": "us-ft", "km": "km", "kilometers": "km",
    "seconds": "arcsec", "minutes": "arcmin", "radians": "radian",
}  # fmt: skip
_ZONE = re.compile(r"UTM[ _]zone[ _]0*(\d+)([NS])", re.IGNORECASE)
_ENVI_UNITS = {"m": "Meters", "degree": "Degrees", "ft": "Feet", "km": "Kilometers"}


@dataclass(frozen=True, eq=False)
class MapPlace:
    """Position of a scene.

    Parameters
    ----------
    affine
        (3, 3) float64: (row, column, 1) of a pixel centre -> (x, y, 1).
    unit
        ``"m"``, ``"degree"``, ``"ft"``... or ``None`` where the file does not say.
    wkt
        Coordinate reference system as WKT, or ``None``.
    map_info
        ENVI's own field as it was read, kept for writing.
    name
        For people: ``"UTM 10 North, WGS-84"``.
    projection
        ENVI's field ``projection info`` as it was read, which says what the name in ``map info`` means.
    """

    affine: npt.NDArray[np.float64]
    unit: str | None = None
    wkt: str | None = None
    map_info: tuple[str, ...] | None = None
    name: str | None = None
    projection: str | None = None

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """(a, b, c, d, e, f) of rasterio: corner (column, row) -> (x, y)."""
        (xr, xc, x0), (yr, yc, y0) = self.affine[0], self.affine[1]
        return (
            float(xc), float(xr), float(x0 - (xr + xc) / 2),
            float(yc), float(yr), float(y0 - (yr + yc) / 2),
        )  # fmt: skip


def from_transform(
    transform: tuple[float, float, float, float, float, float], unit: str | None, wkt: str | None, name: str | None
) -> MapPlace:
    """Inverse of `MapPlace.transform`."""
    a, b, c, d, e, f = transform
    affine = np.array([[b, a, c + (a + b) / 2], [e, d, f + (d + e) / 2], [0.0, 0.0, 1.0]])
    return MapPlace(affine, unit, wkt, None, name)


def from_map_info(fields: tuple[str, ...], wkt: str | None, source: Path, *, projection: str | None = None) -> MapPlace:
    """Place of an ENVI scene: name, reference pixel (1-based corner), its x and y, pixel sizes, zone, datum, units.

    Raises
    ------
    GeometryError
        If a number is missing, not a number, or a pixel size is 0; the zone is none, or not that of `wkt`.
    """
    plain = [f.strip() for f in fields if "=" not in f]
    pairs = [(k.strip().lower(), v.strip()) for k, _, v in (f.partition("=") for f in fields if "=" in f)]
    named = dict(pairs)
    if twice := next((k for k, v in pairs if v != named[k]), None):
        raise GeometryError(f"{source}: map info gives '{twice}' twice, with other values. Remove the wrong one.")
    _require_one_system(plain, wkt or "", source)
    try:
        column, row, x, y, dx, dy = (float(v) for v in plain[1:7])
        rotation = math.radians(float(named.get("rotation", 0.0)))
    except ValueError as error:
        raise GeometryError(
            f"{source}: map info is {{{', '.join(fields)}}}, expected a name, reference pixel x and y, map x and y, and"
            f" pixel width and height ({error}). Correct or remove this field."
        ) from error
    if not all(math.isfinite(v) for v in (column, row, x, y, dx, dy, rotation)) or dx <= 0 or dy == 0:
        raise GeometryError(
            f"{source}: map info gives a pixel of {dx:g} x {dy:g} at ({x:g}, {y:g}), expected finite numbers and sizes"
            " above 0. Correct or remove this field."
        )
    cos, sin = math.cos(rotation), math.sin(rotation)
    # Counter-clockwise, as GDAL takes it.
    step_column = np.array([cos * dx, sin * dx])
    step_row = np.array([sin * dy, -cos * dy])
    # (1, 1) is the outer corner of the first pixel, (1.5, 1.5) its centre.
    centre = np.array([x, y]) + (1.5 - column) * step_column + (1.5 - row) * step_row
    affine = np.array(
        [[step_row[0], step_column[0], centre[0]], [step_row[1], step_column[1], centre[1]], [0.0, 0.0, 1.0]]
    )
    unit = _unit(plain, named)
    if unit is None and projection is not None:
        unit = "degree" if projection_numbers(projection)[:1] == ["1"] else "m"  # what ENVI takes unless it is told
    return MapPlace(affine, unit, wkt, fields, _name(plain), projection)


def _require_one_system(plain: list[str], wkt: str, source: Path) -> None:
    """Refuse a zone that is none, and one that the definition of the map contradicts: the scene would lie elsewhere."""
    kind, definition = plain[0].lower() if plain else "", wkt.partition(",")[0]
    geographic = definition.upper().startswith(("GEOGCS", "GEOGCRS", "GEODCRS"))
    wrong = kind.startswith("geographic") and definition.upper().startswith(("PROJCS", "PROJCRS"))
    if kind == "utm" and len(plain) > 8 and plain[7]:
        zone, half = re.fullmatch(r"0*([1-9]|[1-5]\d|60)(\.0*)?", plain[7]), plain[8].lower()
        if zone is None or half not in ("n", "s", "north", "south"):
            raise GeometryError(
                f"{source}: map info gives the UTM zone {plain[7]} {plain[8]}, expected 1 to 60 and North or South."
                " Correct or remove this field."
            )
        named = _ZONE.search(definition)
        wrong = geographic or (named is not None and (named[1], named[2].lower()) != (zone[1], half[0]))
    if wrong:
        said = " ".join(plain[:1] + plain[7:9])
        raise GeometryError(
            f"{source}: map info says {said}, 'coordinate system string' {definition}. Correct the one that is wrong."
        )


def to_map_info(place: MapPlace) -> tuple[str, ...]:
    """ENVI's field for this place; the one it was read from, if it was.

    Raises
    ------
    GeometryError
        If the pixels are sheared, which ENVI cannot say.
    """
    if place.map_info is not None:
        return place.map_info
    step_row, step_column = place.affine[:2, 0], place.affine[:2, 1]
    dx, dy = float(np.hypot(*step_column)), float(np.hypot(*step_row))
    rotation = math.atan2(step_column[1], step_column[0])
    expected = np.array([math.sin(rotation) * dy, -math.cos(rotation) * dy])
    if np.allclose(step_row, -expected, rtol=0, atol=1e-6 * dy):  # rows that run to the north
        dy = -dy
    elif not np.allclose(step_row, expected, rtol=0, atol=1e-6 * dy):
        raise GeometryError("the pixels of this scene are sheared, which ENVI's map info cannot hold; write a GeoTIFF.")
    corner = place.affine[:2, 2] - (step_row + step_column) / 2
    fields = [_envi_name(place), "1", "1", *(repr(float(v)) for v in corner), repr(dx), repr(dy)]
    zone = _utm_zone(place)
    if zone is not None:
        fields += [str(zone[0]), zone[1]]
    if zone is not None or _is_wgs84(place.wkt):
        fields.append("WGS-84")
    if place.unit is not None:
        fields.append(f"units={_ENVI_UNITS.get(place.unit, place.unit)}")
    if abs(rotation) > 1e-12:
        fields.append(f"rotation={math.degrees(rotation)!r}")
    return tuple(fields)


_PROJECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "3": ("tmerc", ("lat_0", "lon_0", "x_0", "y_0", "k")),
    "4": ("lcc", ("lat_0", "lon_0", "x_0", "y_0", "lat_1", "lat_2")),
    "6": ("stere", ("lat_0", "lon_0", "x_0", "y_0", "k")),
    "9": ("aea", ("lat_0", "lon_0", "x_0", "y_0", "lat_1", "lat_2")),
    "10": ("poly", ("lat_0", "lon_0", "x_0", "y_0")),
    "11": ("laea", ("lat_0", "lon_0", "x_0", "y_0")),
    "12": ("aeqd", ("lat_0", "lon_0", "x_0", "y_0")),
    "31": ("stere", ("lat_ts", "lon_0", "x_0", "y_0")),
}
"""ENVI's number of a projection: PROJ's name, and the numbers that follow the two axes of the ellipsoid."""


def projection_numbers(projection: str) -> list[str]:
    """The parts of a ``projection info``."""
    return [part.strip() for part in projection.strip().strip("{}").split(",")]


def proj_of(place: MapPlace) -> str | None:
    """A ``projection info`` in the words of PROJ; ``None`` where it is another projection, or broken."""
    if place.projection is None:
        return None
    parts = projection_numbers(place.projection)
    if parts[0] not in _PROJECTIONS:
        return None
    name, wanted = _PROJECTIONS[parts[0]]
    try:
        numbers = [float(v) for v in parts[1 : 3 + len(wanted)]]
    except ValueError:
        return None
    if len(numbers) != 2 + len(wanted) or not all(math.isfinite(v) for v in numbers):
        return None
    more = {"lat_0": 90.0 if numbers[2] > 0 else -90.0} if parts[0] == "31" else {}
    said = {"a": numbers[0], "b": numbers[1], **dict(zip(wanted, numbers[2:], strict=True)), **more}
    unit = {"ft": "us-ft", "us-ft": "us-ft", "km": "km"}.get(place.unit or "m", "m")
    return " ".join([f"+proj={name}", *(f"+{k}={v!r}" for k, v in said.items()), f"+units={unit}", "+no_defs"])


def epsg_of(fields: tuple[str, ...] | None) -> int | None:
    """EPSG number of a ``map info`` in UTM or geographic coordinates on WGS-84, else ``None``."""
    if fields is None:
        return None
    plain = [f.strip() for f in fields if "=" not in f]
    joined = " ".join(plain).lower().replace("_", "-")
    if "wgs-84" not in joined and "wgs84" not in joined and "wgs 84" not in joined:
        return None
    kind = plain[0].lower()
    if kind.startswith("geographic"):
        return 4326
    if kind == "utm" and len(plain) > 8:
        try:
            zone = int(float(plain[7]))
        except (ValueError, OverflowError):  # no number, or infinite
            return None
        if 1 <= zone <= 60:
            return (32700 if plain[8].lower().startswith("s") else 32600) + zone
    return None


def _unit(plain: list[str], named: dict[str, str]) -> str | None:
    text = named.get("units", "").lower()
    if text:
        return _UNITS.get(text, text)
    kind = plain[0].lower()
    return "m" if kind == "utm" else "degree" if kind.startswith("geographic") else None


def _name(plain: list[str]) -> str:
    words = [plain[0], *plain[7:]]
    if words[0].upper() == "UTM" and len(words) > 2:
        return f"UTM {words[1]} {words[2]}" + (f", {words[3]}" if len(words) > 3 else "")
    return ", ".join(w for w in words if w)


def _utm_zone(place: MapPlace) -> tuple[int, str] | None:
    """Zone of a WGS 84 / UTM system by the name inside its WKT."""
    text = (place.wkt or "").replace("_", " ")
    for half in ("N", "S"):
        for zone in range(60, 0, -1):
            if f"WGS 84 / UTM zone {zone}{half}" in text or f"WGS 1984 UTM Zone {zone}{half}" in text:
                return zone, "North" if half == "N" else "South"
    return None


def _is_wgs84(wkt: Any) -> bool:
    text = str(wkt or "")
    return "WGS 84" in text or "WGS_1984" in text


def _envi_name(place: MapPlace) -> str:
    if _utm_zone(place) is not None:
        return "UTM"
    if (place.wkt or "").startswith(("GEOGCS", "GEOGCRS")):
        return "Geographic Lat/Lon"
    return "Arbitrary" if place.wkt is None else "Projected"
