"""Objects as GeoParquet 1.1: millions of outlines in columns, for tables (geopandas, DuckDB, sedona, QGIS).

https://geoparquet.org/releases/v1.1.0/. Geometry is WKB in the pixels of the full resolution, as in our GeoJSON; there
is no coordinate reference system. What has no column of its own (frame, table of classes) is in the metadata under
``workbench``. Outlines that are not valid are mended, those without any area left out and said, as in GeoJSON.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, MissingExtra, NothingFound, WorkbenchWarning, reading
from workbench.core.frame import PIXELS, Frame
from workbench.core.objects import REVIEW, Objects
from workbench.core.rings import offsets_of
from workbench.data.outlines import Faults, area_of, geometries_of, mended

SUFFIX = ".parquet"
EXTRA = "slides"
_ROWS = 50_000
"""Objects of a row group: what is held at once."""
_GEOMETRY, _ID, _CLASS, _VALUE, _PROBABILITY = "geometry", "id", "class", "class_value", "probability"
_REVIEW = "review"
_OWN = (_GEOMETRY, _ID, _CLASS, _VALUE, _PROBABILITY, _REVIEW)


def write_geoparquet(objects: Objects, path: Path) -> None:
    """Write objects in order, coordinates exact (float64).

    Raises
    ------
    GeometryError
        Numbers that make no sense (see `Objects.validate`), or a measurement with the name of a column of ours.
    MissingExtra
        pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("writing GeoParquet (pyarrow)", EXTRA) from None
    objects.validate()
    if taken := [name for name in objects.measurements if name in _OWN]:
        raise GeometryError(f"objects '{objects.name}': a measurement is called '{taken[0]}', as a column of the file")
    faults = Faults.of(objects, lambda points: points.astype(np.float64), _ROWS)
    names = {0: None, **{c.value: c.name for c in objects.classes}}
    header = {
        "format": "objects", "version": 1, "name": objects.name, "count": len(objects) - len(faults.empty),
        "frame": objects.frame.to_json(), "classes": objects.classes.to_json(),
        "coordinates": objects.coordinates.dtype.name, **faults.to_json(),
    }  # fmt: skip
    geo = {
        "version": "1.1.0", "primary_column": _GEOMETRY,
        "columns": {_GEOMETRY: {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"], "crs": None}},
    }  # fmt: skip
    writer: Any = None
    try:
        for start in range(0, max(1, len(objects)), _ROWS):
            stop = min(start + _ROWS, len(objects))
            kept = [i for i in range(start, stop) if i not in faults.empty]
            some, mending = objects.select(kept), [k for k, i in enumerate(kept) if i in faults.numbers]
            columns: dict[str, Any] = {
                _GEOMETRY: pa.array(_wkb(some, mending), pa.binary()),
                _ID: pa.array(some.ids.tolist(), pa.string() if some.ids.dtype.kind in "UO" else pa.int64()),
                _CLASS: pa.array([names.get(v) for v in some.class_values.tolist()], pa.string()),
                _VALUE: pa.array(some.class_values),
            }
            if some.probabilities is not None:
                columns[_PROBABILITY] = pa.array(some.probabilities)
            if some.review is not None:
                columns[_REVIEW] = pa.array([REVIEW[v] for v in some.review.tolist()], pa.string())
            columns |= {key: pa.array(values) for key, values in some.measurements.items()}
            table = pa.table(columns)
            if writer is None:
                about = {b"geo": json.dumps(geo).encode(), b"workbench": json.dumps(header).encode()}
                writer = parquet.ParquetWriter(path, table.schema.with_metadata(about), compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if notes := faults.notes(objects.frame.area_unit):
        warnings.warn(f"objects '{objects.name}': {'; '.join(notes)}", WorkbenchWarning, stacklevel=2)


def _wkb(objects: Objects, mending: list[int]) -> list[bytes]:
    import shapely

    geometries = geometries_of(objects)
    for number in mending:
        geometries[number] = area_of(mended(objects.polygon(number)))
    found: list[bytes] = shapely.to_wkb(geometries, include_srid=False).tolist()
    return found


def read_geoparquet(path: Path) -> Objects:
    """Read objects: those of `write_geoparquet`, or polygons and multipolygons in WKB of others.

    Raises
    ------
    NothingFound, InputError
        No such file; or it is damaged, no GeoParquet, or holds something else than areas.
    MissingExtra
        pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("reading GeoParquet (pyarrow)", EXTRA) from None
    if not path.is_file():
        raise NothingFound(f"{path}: no such file. Check the path.")
    with reading(path, "no GeoParquet that can be read", kinds=(pa.ArrowException, OSError, ValueError, KeyError)):
        table = parquet.read_table(path)
        about = table.schema.metadata or {}
        geo = json.loads(about.get(b"geo", b"{}"))
        own = json.loads(about.get(b"workbench", b"{}"))
        name = str(geo.get("primary_column", _GEOMETRY))
        if name not in table.column_names:
            raise InputError(f"{path}: no GeoParquet: it has no column of geometry ('geo' in its metadata)")
        wkb = table.column(name).to_pylist()
        columns = {key: table.column(key).to_numpy() for key in table.column_names if key != name}
    return _objects(path, wkb, columns, own)


def _objects(path: Path, wkb: list[Any], columns: dict[str, Any], own: dict[str, Any]) -> Objects:
    import shapely

    try:
        geometries = shapely.from_wkb(np.array(wkb, object))
    except (shapely.GEOSException, TypeError) as error:
        raise InputError(f"{path}: an outline in it is no WKB ({str(error).splitlines()[0]})") from error
    kinds = shapely.get_type_id(geometries)
    wrong = np.flatnonzero((kinds != 3) & (kinds != 6))
    if len(wrong):
        raise InputError(f"{path}: object {int(wrong[0]) + 1} is no area (a polygon or multipolygon was expected)")
    polygons, of_object = shapely.get_parts(geometries, return_index=True)
    rings, of_polygon = shapely.get_rings(polygons, return_index=True)
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    counts = np.bincount(of_ring, minlength=len(rings))
    ends = np.cumsum(counts) - 1
    keep = np.ones(len(points), bool)
    keep[ends] = False  # the last repeats the first
    table = ClassTable.from_json(own["classes"]) if own.get("classes") else _named(columns)
    values = columns.get(_VALUE) if own else None
    if values is None:
        numbers = {c.name: c.value for c in table}
        values = np.array([numbers.get(str(n), 0) for n in columns.get(_CLASS, [None] * len(wkb))], np.int32)
    measured = {k: v for k, v in columns.items() if k not in _OWN and np.asarray(v).dtype.kind in "iufb"}
    try:
        objects = Objects.from_rings(
            points[keep].astype(own.get("coordinates", "float64")), offsets_of(counts - 1),
            offsets_of(np.bincount(of_polygon, minlength=len(polygons))),
            offsets_of(np.bincount(of_object, minlength=len(geometries))), class_values=values,
            ids=_ids(columns.get(_ID), len(wkb)), probabilities=columns.get(_PROBABILITY), measurements=measured,
            classes=table, review=_review(columns.get(_REVIEW)),
            frame=Frame.from_json(own["frame"]) if "frame" in own else PIXELS,
            name=str(own.get("name", path.stem)),
        )  # fmt: skip
        objects.validate()
    except (GeometryError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error
    return objects


def _named(columns: dict[str, Any]) -> ClassTable:
    names = dict.fromkeys(str(n) for n in columns.get(_CLASS, []) if n)
    return ClassTable.from_names(list(names))


def _review(found: Any) -> npt.NDArray[np.uint8] | None:
    """What a person said of each; others may have a column of that name: what is none of our words is "proposed"."""
    if found is None or not any(v in REVIEW for v in found):
        return None
    return np.array([REVIEW.index(v) if v in REVIEW else 0 for v in found], np.uint8)


def _ids(found: Any, count: int) -> npt.NDArray[Any]:
    if found is None:
        return np.arange(1, count + 1)
    return np.asarray(found) if np.asarray(found).dtype.kind in "iu" else np.array([str(i) for i in found], np.str_)
