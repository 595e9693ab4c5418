"""Polygons and points with their attributes from GeoPackage, GeoJSON and shapefile, without a library for them.

What comes out is plain: GeoJSON geometries in the coordinate system of the file, and a row of attributes each.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbench.core.errors import InputError, reading
from workbench.data.companion import require_regular

SUFFIXES = (".gpkg", ".geojson", ".shp")
WAY_OUT = "Convert it to GeoPackage (.gpkg), GeoJSON (.geojson) or shapefile (.shp), with ogr2ogr or in QGIS."

_MOST_BYTES = 512 * 1024**2
_AREAS = ("Polygon", "MultiPolygon", "Point", "MultiPoint")
_DAMAGED = "Export it again."
_OF_SQLITE = (sqlite3.Error, ValueError, OverflowError)  # texts of a damaged file are no UTF-8


@dataclass(frozen=True)
class Feature:
    """A geometry of GeoJSON (``None`` where it is a line or empty) with its attributes."""

    geometry: Mapping[str, Any] | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """The features of a file, and their coordinate system (EPSG:N or WKT; ``None`` where the file does not say)."""

    features: tuple[Feature, ...]
    crs: str | None


def is_vector(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that decide what is read: of a shapefile also its table and its coordinate system, of a GeoPackage the
    changes that a program which has it open saved, and which are not in it yet."""
    suffix = path.suffix.lower()
    near = [_beside(path, ".dbf"), _beside(path, ".prj")] if suffix == ".shp" else []
    near += [_changes(path)] if suffix == ".gpkg" else []
    return (path, *(f for f in near if f is not None))


def read_layer(path: Path) -> Layer:
    """Read all features of a file.

    Raises
    ------
    InputError
        If it is missing, damaged, too large, or holds several layers.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    for file in files_of(path):
        require_regular(file)
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path}: {path.stat().st_size >> 20} MB of polygons, at most {_MOST_BYTES >> 20} are read.")
    readers: dict[str, Callable[[Path], Layer]] = {".gpkg": _geopackage, ".geojson": _geojson, ".shp": _shapefile}
    return readers[path.suffix.lower()](path)


def _geojson(path: Path) -> Layer:
    with reading(path, "not GeoJSON", _DAMAGED, kinds=(OSError, ValueError, RecursionError)):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    rows = content.get("features") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise InputError(f"{path}: not GeoJSON with a list of features. {_DAMAGED}")
    features = [Feature(_checked(path, r.get("geometry")), r.get("properties") or {}) for r in rows]
    if not all(isinstance(f.attributes, dict) for f in features):
        raise InputError(f"{path}: the properties of a feature are no object. {_DAMAGED}")
    crs: Any = content.get("crs")
    named = crs.get("properties", {}).get("name") if isinstance(crs, dict) else None
    number = str(named).replace("::", ":").rsplit(":", 1)[-1] if named else ""
    geographic = not named or number in ("CRS84", "4326")
    return Layer(tuple(features), "EPSG:4326" if geographic else f"EPSG:{number}")


def _checked(path: Path, geometry: Any) -> Mapping[str, Any] | None:
    """A geometry whose coordinates are numbers all the way down."""
    if geometry is None or not isinstance(geometry, dict) or geometry.get("type") not in _AREAS:
        return None
    depth = {"Point": 0, "MultiPoint": 1, "Polygon": 2, "MultiPolygon": 3}[geometry["type"]]
    if not _is_nested(geometry.get("coordinates"), depth):
        raise InputError(f"{path}: a {geometry['type']} without proper coordinates. {_DAMAGED}")
    return {"type": geometry["type"], "coordinates": geometry["coordinates"]} if geometry["coordinates"] else None


def _is_nested(value: Any, depth: int) -> bool:
    if not isinstance(value, list):
        return False
    if depth == 0:
        return len(value) >= 2 and all(isinstance(v, int | float) and abs(v) < 1e300 for v in value[:2])
    return all(_is_nested(v, depth - 1) for v in value)


def _geopackage(path: Path) -> Layer:
    changes = _changes(path)
    advice = _DAMAGED if changes is None else f"{changes.name} holds changes: close it in the program that edits it."
    wrong = (path, "not a readable GeoPackage", advice)
    with ExitStack() as opened:
        address = _address(path, changes, opened)
        with reading(*wrong, kinds=_OF_SQLITE):
            base = opened.enter_context(closing(sqlite3.connect(address, uri=True)))
        base.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
        with reading(*wrong, kinds=_OF_SQLITE):
            tables = base.execute(
                "SELECT c.table_name, g.column_name, s.organization, s.organization_coordsys_id, s.definition FROM "
                "gpkg_contents c JOIN gpkg_geometry_columns g ON c.table_name = g.table_name LEFT JOIN "
                "gpkg_spatial_ref_sys s ON g.srs_id = s.srs_id WHERE c.data_type = 'features'"
            ).fetchall()
        if len(tables) != 1:
            called = ", ".join(str(t[0]) for t in tables[:6])
            raise InputError(f"{path}: {len(tables)} layers of features ({called}), one was expected. {_DAMAGED}")
        table, column, authority, number, definition = tables[0]
        quoted = str(table).replace('"', '""')
        with reading(*wrong, kinds=_OF_SQLITE):
            rows = base.execute(f'SELECT * FROM "{quoted}"')
            names = [d[0] for d in rows.description]
            found = rows.fetchall()
    if column not in names:
        raise InputError(f"{path}: the layer has no column '{column}' of geometries. {_DAMAGED}")
    features = []
    for row in found:
        values = dict(zip(names, row, strict=True))
        features.append(Feature(_of_blob(path, values.pop(column)), values))
    named = isinstance(authority, str) and authority.upper() == "EPSG"
    wkt = str(definition) if definition and str(definition) != "undefined" else None
    return Layer(tuple(features), f"EPSG:{number}" if named else wkt)


def _changes(path: Path) -> Path | None:
    """SQLite's log of changes beside a GeoPackage, where it holds any."""
    log = path.with_name(f"{path.name}-wal")
    return log if log.is_file() and log.stat().st_size else None


def _address(path: Path, changes: Path | None, opened: ExitStack) -> str:
    """How SQLite opens a GeoPackage without writing anything beside it."""
    if changes is None:
        return f"{path.absolute().as_uri()}?mode=ro&immutable=1"  # looks at nothing but the file itself
    file = path.absolute()
    if not path.with_name(f"{path.name}-shm").is_file():
        # No program has it open, and SQLite would make this index of the changes there.
        folder = opened.enter_context(TemporaryDirectory())
        with reading(path, "cannot be copied to be read with its changes", kinds=(OSError,)):
            file = Path(shutil.copy(path, folder))
            shutil.copy(changes, folder)
    return f"{file.as_uri()}?mode=ro"


def _of_blob(path: Path, blob: Any) -> Mapping[str, Any] | None:
    """A geometry of a GeoPackage: a short header, then the well-known binary."""
    if blob is None:
        return None
    if not isinstance(blob, bytes) or blob[:2] != b"GP" or len(blob) < 8:
        raise InputError(f"{path}: a geometry does not begin with GP. {_DAMAGED}")
    envelope = (0, 32, 48, 48, 64)
    kind = blob[3] >> 1 & 7
    if blob[3] & 0x10 or kind > 4:  # empty
        return None
    return _Binary(path, blob, 8 + envelope[kind]).geometry()


class _Binary:
    """Well-known binary, read from a place on."""

    def __init__(self, path: Path, content: bytes, at: int) -> None:
        self._path, self._content, self._at = path, content, at

    def _take(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        if self._at + size > len(self._content):
            raise InputError(f"{self._path}: a geometry is cut off. {_DAMAGED}")
        found = struct.unpack_from(form, self._content, self._at)
        self._at += size
        return found

    def geometry(self, depth: int = 0) -> Mapping[str, Any] | None:
        order = "<" if self._take("B")[0] else ">"
        code = int(self._take(f"{order}I")[0])
        if code & 0x20000000:  # PostGIS puts a number of the system in front
            self._take(f"{order}I")
        more = (code >> 31 & 1) + (code >> 30 & 1)
        plain = code & 0x0FFFFFFF
        more += (0, 1, 1, 2)[min(plain // 1000, 3)]
        kind, width = plain % 1000, 2 + more
        if kind == 1:
            return {"type": "Point", "coordinates": self._points(order, width, 1)[0]}
        if kind == 2:
            self._points(order, width, self._count(order))
            return None
        if kind == 3:
            rings = [self._points(order, width, self._count(order)) for _ in range(self._count(order))]
            return {"type": "Polygon", "coordinates": rings} if rings else None
        if kind in (4, 5, 6, 7) and depth < 8:
            parts = [self.geometry(depth + 1) for _ in range(self._count(order))]
            return _joined([p for p in parts if p is not None])
        raise InputError(f"{self._path}: a geometry of the kind {kind}, polygons or points were expected. {WAY_OUT}")

    def _count(self, order: str) -> int:
        found = int(self._take(f"{order}I")[0])
        if found > len(self._content):
            raise InputError(f"{self._path}: a geometry promises {found} parts, more than it has bytes. {_DAMAGED}")
        return found

    def _points(self, order: str, width: int, count: int) -> list[list[float]]:
        numbers = self._take(f"{order}{width * count}d")
        return [list(numbers[i : i + 2]) for i in range(0, len(numbers), width)]


def _joined(parts: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Polygons of several geometries, or their points where there is no polygon."""
    polygons = [p["coordinates"] for p in parts if p["type"] == "Polygon"]
    polygons += [c for p in parts if p["type"] == "MultiPolygon" for c in p["coordinates"]]
    if polygons:
        return {"type": "MultiPolygon", "coordinates": polygons}
    points = [p["coordinates"] for p in parts if p["type"] == "Point"]
    points += [c for p in parts if p["type"] == "MultiPoint" for c in p["coordinates"]]
    return {"type": "MultiPoint", "coordinates": points} if points else None


def _shapefile(path: Path) -> Layer:
    table, system = _beside(path, ".dbf"), _beside(path, ".prj")
    if table is None:
        raise InputError(f"{path}: no table {path.stem}.dbf beside it, which holds the classes. Copy it there.")
    rows = list(_records(table))
    geometries = list(_shapes(path))
    if len(rows) != len(geometries):
        raise InputError(
            f"{path}: {len(geometries)} shapes, its table {table.name} has {len(rows)} rows. Copy both again."
        )
    features = tuple(Feature(g, r) for g, r in zip(geometries, rows, strict=True) if r is not None)
    crs = None
    if system is not None:
        with reading(system, "cannot be read", _DAMAGED, kinds=(OSError, ValueError)):
            crs = system.read_text(encoding="utf-8").strip() or None
    return Layer(features, crs)


def _beside(path: Path, suffix: str) -> Path | None:
    return next((f for s in (suffix, suffix.upper()) if (f := path.with_suffix(s)).is_file()), None)


def _shapes(path: Path) -> Iterator[Mapping[str, Any] | None]:
    content = path.read_bytes()
    if len(content) < 100 or struct.unpack(">i", content[:4])[0] != 9994:
        raise InputError(f"{path}: not a shapefile. {_DAMAGED}")
    at = 100
    while at + 8 <= len(content):
        words = struct.unpack_from(">i", content, at + 4)[0]
        body = content[at + 8 : at + 8 + 2 * words]
        if words < 2 or len(body) != 2 * words:
            raise InputError(f"{path}: a shape is cut off at byte {at}. Copy it again.")
        yield _shape(path, body)
        at += 8 + 2 * words


def _shape(path: Path, body: bytes) -> Mapping[str, Any] | None:
    kind = struct.unpack_from("<i", body)[0]
    try:
        if kind in (1, 11, 21):
            return {"type": "Point", "coordinates": list(struct.unpack_from("<2d", body, 4))}
        if kind in (8, 18, 28):
            count = struct.unpack_from("<i", body, 36)[0]
            return {"type": "MultiPoint", "coordinates": _pairs(body, 40, count)}
        if kind in (5, 15, 25):
            parts, count = struct.unpack_from("<2i", body, 36)
            starts = [*struct.unpack_from(f"<{parts}i", body, 44), count]
            points = _pairs(body, 44 + 4 * parts, count)
            # All rings as one polygon: inside is what an odd number of rings encloses, holes and islands alike.
            return {"type": "Polygon", "coordinates": [points[a:b] for a, b in pairwise(starts)]}
    except struct.error:
        raise InputError(f"{path}: a shape promises more points than it has. Copy it again.") from None
    return None


def _pairs(body: bytes, at: int, count: int) -> list[list[float]]:
    numbers = struct.unpack_from(f"<{2 * count}d", body, at)
    return [list(numbers[i : i + 2]) for i in range(0, len(numbers), 2)]


def _records(path: Path) -> Iterator[dict[str, Any] | None]:
    """Rows of a dBASE table; ``None`` for deleted ones."""
    content = path.read_bytes()
    if len(content) < 33:
        raise InputError(f"{path}: not a dBASE table. {_DAMAGED}")
    count, start, length = struct.unpack_from("<IHH", content, 4)
    fields: list[tuple[str, str, int]] = []
    at = 32
    while at + 32 <= min(start, len(content)) and content[at] != 0x0D:
        name = content[at : at + 11].split(b"\0")[0].decode("ascii", errors="replace")
        name = "".join(c if c.isprintable() else "?" for c in name)
        fields.append((name, chr(content[at + 11]), content[at + 16]))
        at += 32
    if not fields or sum(f[2] for f in fields) + 1 != length or start + count * length > len(content):
        raise InputError(f"{path}: promises {count} rows of {length} bytes, which do not fit. Copy it again.")
    for row in range(count):
        at = start + row * length
        if content[at : at + 1] == b"*":
            yield None
            continue
        at += 1
        values: dict[str, Any] = {}
        for name, kind, size in fields:
            values[name] = _cell(content[at : at + size], kind)
            at += size
        yield values


def _cell(raw: bytes, kind: str) -> Any:
    try:
        text = raw.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        text = raw.decode("latin-1").strip(" \0")
    if kind not in "NF":
        return text
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        return None
