"""Objects as GeoJSON: one feature each, written and read one after the other, so that a million need little memory.

The layout is that of QuPath: a FeatureCollection whose features have ``classification`` (name and colour),
``measurements`` and ``probability`` among their properties, with coordinates in pixels of the full resolution counted
from the corner of the first pixel. What GeoJSON has no place for (frame, table of classes, number types) is in one more
member, ``workbench``, before the features; files of others do without.

Every outline that is written is valid as OGC Simple Features have it: one that crosses itself is mended (see
`workbench.data.outlines`), all others keep their coordinates to the last bit.
"""

from __future__ import annotations

import json
import warnings
from array import array
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError, NothingFound, WorkbenchWarning
from workbench.core.frame import PIXELS, Frame
from workbench.core.objects import REVIEW, Objects
from workbench.core.rings import offsets_of
from workbench.data.geojson_lines import features_of, written
from workbench.data.json_stream import JsonError, JsonStream
from workbench.data.outlines import Faults

_BATCH = 4096
"""Features that are turned to text at once."""
_POINTS = 1 << 17
"""Points that are kept as Python numbers before they go into an array."""
OLD_TYPES = {
    "PathAnnotationObject": "annotation", "PathDetectionObject": "detection", "PathCellObject": "cell",
    "PathTileObject": "tile", "TMACoreObject": "tma_core", "PathRootObject": "root",
}  # fmt: skip
"""What QuPath 0.2 wrote as the id of every object."""
CORES = ("tmaCore", "tma_core")
_AROUND = ("annotation", "root", *CORES)
_OBJECTS = ("detection", "cell")
"""What QuPath draws around objects, and what it calls those: where a file holds both, only these count."""
_DEEPEST = 32
_INFINITE = {"inf": np.inf, "-inf": -np.inf, "nan": np.nan, "infinity": np.inf, "-infinity": -np.inf}


def write_geojson(objects: Objects, path: Path) -> None:
    """Write objects in order; numbers as short as they can be and still come back exactly.

    Outlines that are not valid are mended. Where that changes an area, and where objects without any area are left
    out, a `WorkbenchWarning` says how many and how much, and so does the file (``mended`` in its own member).

    Raises
    ------
    GeometryError
        Numbers that make no sense (see `Objects.validate`), or two classes of one name. Nothing is written then.
    """
    objects.validate()
    names = objects.classes.names
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise GeometryError(f"objects '{objects.name}': two classes are called '{twice}'; a file tells them by name")
    faults = Faults.of(objects, written, _BATCH)
    header = {
        "format": "objects",
        "version": 1,
        "name": objects.name,
        "count": len(objects) - len(faults.empty),
        "frame": objects.frame.to_json(),
        "classes": objects.classes.to_json(),
        "coordinates": objects.coordinates.dtype.name,
        "probabilities": objects.probabilities is not None,
        "measurements": {k: v.dtype.name for k, v in objects.measurements.items()},
        **faults.to_json(),
    }
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(
            f'{{"type":"FeatureCollection",\n"workbench":{json.dumps(header, ensure_ascii=False)},\n"features":['
        )
        before = "\n"
        for start in range(0, len(objects), _BATCH):
            stop = start + _BATCH
            for line in features_of(objects.select(slice(start, stop)), faults.within(start, stop)):
                file.write(before + line)
                before = ",\n"
        file.write("\n]}\n")
    if notes := faults.notes(objects.frame.area_unit):
        warnings.warn(f"objects '{objects.name}': {'; '.join(notes)}", WorkbenchWarning, stacklevel=2)


def read_geojson(path: Path) -> Objects:
    """Read objects: a FeatureCollection, or a list of features, of polygons and multipolygons.

    Files of others have no frame of ours: their coordinates are taken as pixels of the full resolution, their classes
    are numbered in the order in which they come.

    Raises
    ------
    NothingFound, InputError
        No such file; or it is damaged or holds something else than areas: one line names the feature.
    """
    if not path.is_file():
        raise NothingFound(f"{path}: no such file. Check the path.")
    gathered = _Gathered()
    try:
        with path.open(encoding="utf-8-sig") as file:
            _read(file, gathered)
        objects = gathered.objects(path.stem)
        objects.validate()
    except RecursionError as error:
        raise InputError(f"{path}: {gathered.where}it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {gathered.where}the text is no UTF-8 ({error.reason}); is it GeoJSON?") from error
    except JsonError as error:
        raise InputError(f"{path}: {gathered.where}{error}. Export or copy the file again.") from error
    except GeometryError as error:
        raise InputError(f"{path}: {error}. Feature and object have the same number.") from error
    if notes := gathered.notes():
        warnings.warn(f"{path.name}: {'; '.join(notes)}", WorkbenchWarning, stacklevel=2)
    return objects


def _read(file: TextIO, gathered: _Gathered) -> None:
    stream = JsonStream(file)
    found = stream.peek() == "["
    if found:
        _read_features(stream, gathered)
    else:
        for key in stream.members():
            if key == "features":
                found = True
                _read_features(stream, gathered)
            else:
                gathered.header[key] = stream.value()
                if key == "workbench" and not isinstance(gathered.header[key], dict):
                    raise JsonError("member 'workbench' is no object with names and values")
    gathered.finish()
    kind = gathered.header.get("type", "FeatureCollection")
    if kind != "FeatureCollection" or not found:
        raise JsonError(f"it holds a {kind}{'' if found else ' without features'}; a FeatureCollection was expected")
    if stream.peek():
        raise JsonError("there is more text after its end")
    promised = gathered.own.get("count", gathered.number)
    if promised != gathered.number:
        raise JsonError(f"it holds {gathered.number} features, its header promises {promised}")


def _read_features(stream: JsonStream, gathered: _Gathered) -> None:
    for number in stream.items():
        gathered.number, gathered.where = number, f"feature {number}: "
        gathered.add(stream.value())
    gathered.where = ""


class _Gathered:
    """Features so far, as columns; `objects` makes them `Objects` once the whole file is known."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {}
        self.number = 0
        self.where = ""
        """Where the reading stands, as the beginning of an error."""
        self._points: list[Any] = []
        self._owners: list[tuple[int, int]] = []
        self._coordinates: list[npt.NDArray[Any]] = []
        self._rings, self._polygons, self._pieces = array("q"), array("q"), array("q")
        self._classes: dict[str, RGB | None] = {}
        self._names = {"": 0}
        self._values = array("i")
        self._chances = array("d")
        self._columns: dict[str, array[float]] = {}
        self._ids: list[Any] = []
        self._review = array("b")
        self._around = array("b")
        self._left_out = self._cells = 0
        self._has_objects = False
        self._words: dict[str, int] = {}

    @property
    def own(self) -> dict[str, Any]:
        """Our own member of the file; empty in files of others."""
        found: dict[str, Any] = self.header.get("workbench", {})
        return found

    def add(self, feature: Any, depth: int = 0) -> None:
        """Take over one feature, and those within it (QuPath's ``childObjects``)."""
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise JsonError("not a GeoJSON feature")
        children = feature.get("childObjects") or []
        if not isinstance(children, list) or depth > _DEEPEST:
            raise JsonError("its childObjects are no list, or nested too deeply")
        what = _type_of(feature)
        geometry = feature.get("geometry")
        if what == "cell" and feature.get("nucleusGeometry") is not None:
            geometry = feature["nucleusGeometry"]
            self._cells += 1
        if what in _AROUND and not _is_area(geometry):
            self._left_out += 1  # a point or a line that somebody drew
        else:
            self._add_one(feature, geometry, what)
        for child in children:
            self.add(child, depth + 1)

    def _add_one(self, feature: dict[str, Any], geometry: Any, what: str) -> None:
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if not isinstance(geometry, dict) or kind not in ("Polygon", "MultiPolygon"):
            raise JsonError(f"its geometry is {kind or 'missing'}, Polygon or MultiPolygon was expected")
        self._add_outlines(geometry.get("coordinates"), several=kind == "MultiPolygon")
        others = sorted(feature.keys() - {"type", "geometry", "id", "bbox", "childObjects", "nucleusGeometry"})
        if others and "properties" not in feature:  # class and measurements would be lost without a word
            raise JsonError(f"it has no 'properties', which each feature must have, but {others[0][:40]!r}")
        properties = feature.get("properties") or {}
        if not isinstance(properties, dict):
            raise JsonError("its properties are no object with names and values")
        self._add_class(properties.get("classification"))
        self._chances.append(_number(properties.get("probability"), "probability"))
        self._add_measurements(properties.get("measurements") or {})
        name = feature.get("id")
        self._ids.append(_writable(name) if isinstance(name, str) else name)
        told = properties.get("metadata")
        said = told.get("review") if isinstance(told, dict) else None
        self._review.append(self._state(said))
        self._around.append(what in _AROUND)
        self._has_objects = self._has_objects or what in _OBJECTS
        if len(self._points) >= _POINTS:
            self._flush()

    def _state(self, said: Any) -> int:
        """What a person said of it, -1 for nothing that is understood."""
        word = said.strip().casefold() if isinstance(said, str) else said
        if word in REVIEW:
            return REVIEW.index(word)
        if said is not None:
            text = ascii(said)[:24]
            self._words[text] = self._words.get(text, 0) + 1
        return -1

    def notes(self) -> list[str]:
        """What a person should know of the file."""
        found = []
        if out := self._left_out + self._count_around():
            found.append(f"{out} annotations, cores or other shapes around objects were left out")
        if self._cells:
            found.append(f"of {self._cells} cells the nucleus was taken, not the border of the cell")
        if self._words:
            first, count = ", ".join(list(self._words)[:3]), sum(self._words.values())
            found.append(f"{count} review states were not understood ({first}); known are {', '.join(REVIEW)}")
        return found

    def _count_around(self) -> int:
        """How many shapes lie around others; none where there is nothing else."""
        around = int(np.count_nonzero(np.array(self._around, np.int8)))
        return around if self._has_objects else 0

    def _add_outlines(self, coordinates: Any, *, several: bool) -> None:
        polygons = coordinates if several else [coordinates]
        if not isinstance(polygons, list) or not polygons:
            raise JsonError("it has no outlines")
        for rings in polygons:
            if not isinstance(rings, list) or not rings:
                raise JsonError("it has a polygon without rings")
            for ring in rings:
                if not isinstance(ring, list) or len(ring) < 4:
                    count = len(ring) if isinstance(ring, list) else 0
                    raise JsonError(f"a ring has {count} positions, expected 4 or more, the last like the first")
                if ring.pop() != ring[0]:
                    raise JsonError("a ring is not closed: its last position must repeat the first")
                self._points.extend(ring)
                self._owners.append((self.number, len(ring)))
                self._rings.append(len(ring))
            self._polygons.append(len(rings))
        self._pieces.append(len(polygons))

    def _add_class(self, classification: Any) -> None:
        name: Any = ""
        if isinstance(classification, dict):
            name = classification.get("name", "")
            names = classification.get("names")  # QuPath's derived classes
            if isinstance(names, list) and names and not name:
                name = ": ".join(map(str, names))
        elif classification is not None:
            name = classification
        if not isinstance(name, str):
            raise JsonError("the name of its classification is no text")
        _writable(name)
        if name and name not in self._names:
            self._names[name] = len(self._names)
            self._classes[name] = _color(classification)
        self._values.append(self._names[name])

    def _add_measurements(self, given: Any) -> None:
        if isinstance(given, list):  # QuPath before 0.4
            try:
                given = {m["name"]: m["value"] for m in given}
            except (KeyError, TypeError):
                raise JsonError("its measurements are no names with values") from None
        if not isinstance(given, dict):
            raise JsonError("its measurements are no names with values")
        for name in given:
            if name not in self._columns:
                self._columns[_writable(name)] = array("d", [np.nan]) * (len(self._values) - 1)
        for name, column in self._columns.items():
            column.append(_number(given.get(name), name))

    def _flush(self) -> None:
        """The waiting points as one array, in the type that they were written in."""
        try:
            points = np.array(self._points)
            good = points.ndim == 2 and points.shape[1] in (2, 3) and points.dtype.kind in "iuf"
        except (ValueError, OverflowError):
            good = False
        if not good or not np.isfinite(points).all() or bool in set(map(type, chain.from_iterable(self._points))):
            self._blame()
        # A third number is a height, which nothing here has.
        dtype = np.float32 if self.own.get("coordinates") == "float32" else np.float64
        self._coordinates.append(points[:, :2].astype(dtype))
        self._points, self._owners = [], []

    def _blame(self) -> None:
        """Say which of the waiting features has positions that are none."""
        at = 0
        for number, count in self._owners:
            for position in self._points[at : at + count]:
                fine = isinstance(position, list) and len(position) in (2, 3)
                if not fine or not all(type(v) in (int, float) and -_LARGEST <= v <= _LARGEST for v in position):
                    self.where = f"feature {number}: "
                    raise JsonError(f"a position is {str(position)[:40]}, two finite numbers [x, y] were expected")
            at += count
        self.where = f"features {self._owners[0][0]} to {self._owners[-1][0]}: "
        raise JsonError("some positions have two numbers, others three")

    def finish(self) -> None:
        """All features are there."""
        self.where = ""
        if self._points:
            self._flush()

    def objects(self, name: str) -> Objects:
        """What was read; `name` where the file says none."""
        own = self.own
        try:
            frame = Frame.from_json(own["frame"]) if "frame" in own else PIXELS
            known = ClassTable.from_json(own.get("classes", []))
            types = {str(k): np.dtype(v) for k, v in own.get("measurements", {}).items()}
            if odd := [v.name for v in types.values() if v.kind not in "biuf"]:
                raise ValueError(f"measurements of type {odd[0]}")
            np.array([c.value for c in known], np.int32)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise JsonError(f"member 'workbench' is damaged ({type(error).__name__}: {error})") from error
        classes, values = self._table(known)
        if self._coordinates:
            coordinates = np.concatenate(self._coordinates)
        else:
            coordinates = np.zeros((0, 2), np.float32 if own.get("coordinates") == "float32" else np.float64)
        self._coordinates = []
        chances = np.frombuffer(self._chances, np.float64).astype(np.float32) if self._chances else np.zeros(0, "f4")
        has = own.get("probabilities", bool(np.isfinite(chances).any()))
        names = list(dict.fromkeys([*types, *self._columns]))
        review = np.array(self._review, np.int8)
        found = Objects.from_rings(
            coordinates, offsets_of(np.array(self._rings)), offsets_of(np.array(self._polygons)),
            offsets_of(np.array(self._pieces)), class_values=values, ids=self._numbers(),
            probabilities=chances if has else None, measurements={k: self._column(k, types.get(k)) for k in names},
            classes=classes, frame=frame, name=str(own.get("name", name)),
            review=np.maximum(review, 0).astype(np.uint8) if (review >= 0).any() else None,
        )  # fmt: skip
        return self._without_around(found, known) if self._count_around() else found

    def _without_around(self, found: Objects, known: ClassTable) -> Objects:
        """The objects without the shapes around them, and without classes that only those have."""
        kept = found.select(np.array(self._around, np.int8) == 0)
        used = {c.value for c in known} | set(kept.class_values.tolist())
        return replace(kept, classes=ClassTable(tuple(c for c in kept.classes if c.value in used)))

    def _column(self, name: str, dtype: np.dtype[Any] | None) -> npt.NDArray[Any]:
        column = np.array(self._columns.get(name, array("d", [np.nan]) * len(self._values)), np.float64)
        whole = dtype is None or dtype.kind == "f" or np.isfinite(column).all()
        return column.astype(dtype) if dtype is not None and whole else column

    def _table(self, known: ClassTable) -> tuple[ClassTable, npt.NDArray[np.int32]]:
        """The table of the file with the classes that it does not list behind, and the value of each object."""
        by_name = {c.name: c.value for c in known}
        fresh = [n for n in self._classes if n not in by_name]
        free = max(by_name.values(), default=0) + 1
        palette = ClassTable.from_values([free + i for i in range(len(fresh))])
        extra = [ClassInfo(c.value, n, self._classes[n] or c.color) for n, c in zip(fresh, palette, strict=True)]
        by_name |= {c.name: c.value for c in extra}
        lookup = np.array([by_name.get(n, 0) for n in self._names], np.int32)
        return ClassTable((*known, *extra)), lookup[np.array(self._values, np.int64)]

    def _numbers(self) -> npt.NDArray[Any] | None:
        """Ids as whole numbers if all are, else as text; ``None`` if there are none."""
        if all(i is None or i in OLD_TYPES for i in self._ids):
            return None
        if all(type(i) is int and abs(i) < 2**63 for i in self._ids):
            return np.array(self._ids, np.int64)
        return np.array([f"feature {n + 1}" if i is None else str(i) for n, i in enumerate(self._ids)])


def _type_of(feature: dict[str, Any]) -> str:
    """What QuPath says that a feature is; "" where nothing is said."""
    properties = feature.get("properties")
    if isinstance(properties, dict):
        said = properties.get("objectType", properties.get("object_type"))
        if isinstance(said, str):
            return said
    name = feature.get("id")
    return OLD_TYPES.get(name, "") if isinstance(name, str) else ""


def _is_area(geometry: Any) -> bool:
    return isinstance(geometry, dict) and geometry.get("type") in ("Polygon", "MultiPolygon")


def _writable(text: str) -> str:
    """The text; half a character (a lone surrogate) can be read, and never written again."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise JsonError(f"the name {ascii(text)[:40]} holds half a character") from None
    return text


_LARGEST = float(np.finfo(np.float64).max)  # whole numbers of any size can be compared with it


def _number(value: Any, what: str) -> float:
    """A number as JSON or QuPath writes it; NaN for none."""
    if value is None:
        return float("nan")
    if isinstance(value, str) and value.lower() in _INFINITE:
        return _INFINITE[value.lower()]
    if not isinstance(value, int | float):
        raise JsonError(f"'{what}' is {str(value)[:40]!r}, a number was expected")
    try:
        return float(value)
    except OverflowError:
        raise JsonError(f"'{what}' has {len(str(value))} digits, no number is that large") from None


def _color(classification: Any) -> RGB | None:
    """Colour of a class: three numbers, or one as QuPath before 0.4 packs them; ``None`` if it has none."""
    if not isinstance(classification, Mapping):
        return None
    color, packed = classification.get("color"), classification.get("colorRGB")
    if isinstance(packed, int) and color is None:
        return (packed >> 16 & 255, packed >> 8 & 255, packed & 255)
    if color is None:
        return None
    if not isinstance(color, list) or len(color) < 3 or not all(isinstance(c, int) and 0 <= c < 256 for c in color[:3]):
        raise JsonError("the colour of its classification is no three whole numbers from 0 to 255")
    return (color[0], color[1], color[2])
