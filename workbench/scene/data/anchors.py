"""Where a scene lies, without an affine: ground control points, or the rational polynomials of a satellite's camera.

Nothing is computed from them here. They travel from the file that was read to the maps that are written, so that the
tools of the field place both alike; where a format cannot hold them, the loss is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.scene.data import envi_header as eh

WGS84 = "EPSG:4326"
_RPC_OFFSETS = ("LINE_OFF", "SAMP_OFF", "LAT_OFF", "LONG_OFF", "HEIGHT_OFF")
_RPC_SCALES = ("LINE_SCALE", "SAMP_SCALE", "LAT_SCALE", "LONG_SCALE", "HEIGHT_SCALE")
_RPC_SERIES = ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF")
_RPC_NUMBERS = 93  # 10 offsets and scales, 80 coefficients, two offsets of a tile, and a flag


@dataclass(frozen=True)
class Point:
    """A ground control point: row and column from the corner of the first pixel, and where it is on the map."""

    row: float
    column: float
    x: float
    y: float
    z: float = 0.0


@dataclass(frozen=True, eq=False)
class Anchors:
    """Position of a scene that is no affine.

    Parameters
    ----------
    points, wkt
        Ground control points, and their coordinate system (``"EPSG:4326"`` or WKT).
    rpc
        Rational polynomial coefficients by GDAL's names, each a text of numbers.
    envi
        Fields of an ENVI header as they were read, kept for writing.
    """

    points: tuple[Point, ...] = ()
    wkt: str | None = None
    rpc: Mapping[str, str] | None = None
    envi: Mapping[str, str] | None = None

    @property
    def note(self) -> str:
        """What a person should know."""
        how = [f"{len(self.points)} ground control points"] if self.points else []
        how += ["rational polynomial coefficients (RPC)"] if self.rpc else []
        return f"placed by {' and '.join(how)}, not by a grid on the map: areas are counted in pixels"


def from_envi(fields: Mapping[str, str], path: Path) -> Anchors | None:
    """``geo points`` and ``rpc info`` of an ENVI header; ``None`` where it has neither."""
    points, rpc = eh.numbers(fields, "geo points", path), eh.numbers(fields, "rpc info", path)
    if points is None and rpc is None:
        return None
    if points is not None and len(points) % 4:
        raise InputError(
            f"{path}: 'geo points' lists {len(points)} numbers, expected pixel x, y, latitude and longitude of each"
            " point. Correct or remove it."
        )
    if rpc is not None and len(rpc) != _RPC_NUMBERS:
        raise InputError(f"{path}: 'rpc info' lists {len(rpc)} numbers, expected {_RPC_NUMBERS}. Correct or remove it.")
    values = points or []
    found = [
        # ENVI counts pixels from 1 at the corner.
        Point(values[i + 1] - 1, values[i] - 1, values[i + 3], values[i + 2])
        for i in range(0, len(values), 4)
    ]
    kept = {key: fields[key] for key in ("geo points", "rpc info") if key in fields}
    return Anchors(tuple(found), WGS84 if found else None, None if rpc is None else _rpc_tags(rpc), kept)


def to_envi(anchors: Anchors) -> dict[str, Any] | None:
    """Fields of an ENVI header; ``None`` where ENVI cannot say it (points that are no longitudes and latitudes)."""
    if anchors.envi is not None:
        return dict(anchors.envi)
    fields: dict[str, Any] = {}
    if anchors.points:
        if not is_wgs84(anchors.wkt):
            return None
        fields["geo points"] = [repr(v) for p in anchors.points for v in (p.column + 1, p.row + 1, p.y, p.x)]
    if anchors.rpc:
        numbers = _rpc_numbers(anchors.rpc)
        if numbers is None:
            return None
        fields["rpc info"] = [repr(v) for v in numbers]
    return fields


def is_wgs84(wkt: str | None) -> bool:
    """Whether a system is that of longitude and latitude on WGS 84."""
    text = (wkt or "").replace("_", " ")
    return text == WGS84 or (
        text.startswith(("GEOGCS", "GEOGCRS", "GEODCRS")) and ("WGS 84" in text or "WGS 1984" in text)
    )


def _rpc_tags(numbers: list[float]) -> dict[str, str]:
    tags = dict(zip((*_RPC_OFFSETS, *_RPC_SCALES), (repr(v) for v in numbers[:10]), strict=True))
    for i, name in enumerate(_RPC_SERIES):
        tags[name] = " ".join(repr(v) for v in numbers[10 + 20 * i : 30 + 20 * i])
    return tags


def _rpc_numbers(tags: Mapping[str, str]) -> list[float] | None:
    try:
        numbers = [float(tags[name]) for name in (*_RPC_OFFSETS, *_RPC_SCALES)]
        series = [[float(v) for v in tags[name].replace(",", " ").split()] for name in _RPC_SERIES]
    except (KeyError, ValueError):
        return None
    if any(len(s) != 20 for s in series):
        return None
    return [*numbers, *(v for s in series for v in s), 0.0, 0.0, 0.0]
