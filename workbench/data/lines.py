"""Lines as GeoJSON: one feature each; what GeoJSON has no place for is in one more member, ``workbench``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import GeometryError, InputError, NothingFound, reason
from workbench.core.frame import PIXELS, Frame
from workbench.core.jsonable import plain_json
from workbench.core.lines import Lines

_MOST_BYTES = 64 << 20
_DECIMALS = 4


def write_lines(lines: Lines, path: Path) -> None:
    """A FeatureCollection of LineStrings, coordinates to a ten thousandth of a pixel."""
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode
    own = {"frame": lines.frame.to_json(), "name": lines.name, "about": plain_json(dict(lines.about))}
    features = []
    for n in range(len(lines)):
        points = np.round(lines.line(n), _DECIMALS).tolist()
        properties = plain_json({key: values[n] for key, values in lines.features.items()})
        features.append(
            encode({"type": "Feature", "geometry": {"type": "LineString", "coordinates": points},
                    "properties": properties})
        )  # fmt: skip
    body = ",\n".join(features)
    path.write_text(
        f'{{"type":"FeatureCollection","workbench":{encode(own)},\n"features":[\n{body}\n]}}\n', encoding="utf-8"
    )


def read_lines(path: str | Path) -> Lines:
    """Lines of a file of `write_lines`, or LineStrings of any GeoJSON in pixels.

    Raises
    ------
    NothingFound, InputError
        The file is missing, damaged, or holds something else; one line names the feature.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise NothingFound(f"{path}: no such file.")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: {path.stat().st_size >> 20} MB of lines, at most {_MOST_BYTES >> 20} are read.")
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as GeoJSON ({reason(error)}).") from error
    if not isinstance(found, dict) or not isinstance(found.get("features"), list):
        raise InputError(f"{path}: holds no features, a FeatureCollection of LineStrings was expected.")
    lines, rows = [], []
    for n, feature in enumerate(found["features"], 1):
        lines.append(_points(feature, n, path))
        properties = feature.get("properties")
        rows.append(properties if isinstance(properties, dict) else {})
    columns = dict.fromkeys(key for row in rows for key in row)
    own = found.get("workbench")
    own = own if isinstance(own, dict) else {}
    try:
        frame = Frame.from_json(own["frame"]) if isinstance(own.get("frame"), dict) else PIXELS
        return Lines.from_points(
            lines,
            features={str(key): tuple(row.get(key) for row in rows) for key in columns},
            frame=frame,
            name=str(own.get("name") or "lines"),
            about=own["about"] if isinstance(own.get("about"), dict) else {},
        )
    except (GeometryError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not readable as lines ({reason(error)}).") from error


def _points(feature: Any, n: int, path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind != "LineString":
        raise InputError(f"{path}: feature {n} is {kind or 'no geometry'}, a LineString was expected.")
    try:
        points = np.array([[float(x), float(y)] for x, y, *_ in (geometry or {})["coordinates"]], np.float64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: feature {n} has coordinates that are no numbers ({reason(error)}).") from error
    if len(points) < 2 or not np.isfinite(points).all() or math.isinf(float(np.abs(points).max())):
        raise InputError(f"{path}: feature {n} has {len(points)} points, two or more finite ones were expected.")
    return points


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
