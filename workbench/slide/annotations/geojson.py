"""GeoJSON files of annotations: a FeatureCollection, a list, one feature or one geometry, read one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

import numpy as np

from workbench.core.errors import GeometryError, InputError
from workbench.core.frame import PIXELS, Frame
from workbench.data.json_stream import JsonError, JsonStream
from workbench.slide.annotations.geojson_features import annotations_of
from workbench.slide.annotations.geojson_shapes import Rings, ending
from workbench.slide.annotations.place import Bounds
from workbench.slide.annotations.types import Annotation, Annotations, Fault

MOST = 1_000_000
"""Annotations of one file: each is an object of some kilobytes; `workbench.read_objects` takes more."""


def read_geojson(path: Path) -> tuple[Annotations, Bounds | None]:
    """Annotations of a file in its own coordinates, and the bounds from whose corner it says that they count.

    Raises
    ------
    InputError
        One line with the number of the feature.
    """
    gathered = _Gathered(path.stem)
    try:
        with path.open(encoding="utf-8-sig") as file:
            _read(file, gathered)
        return gathered.annotations(), gathered.bounds()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {gathered.where}the text is no UTF-8 ({error.reason}); is it GeoJSON?") from error
    except (Fault, JsonError, GeometryError) as error:
        raise InputError(f"{path}: {gathered.where}{error}. Export or copy the file again.") from error


def _read(file: TextIO, gathered: _Gathered) -> None:
    stream = JsonStream(file)
    if stream.peek() == "[":
        _read_features(stream, gathered)
    else:
        _read_object(stream, gathered)
    if stream.peek():
        raise JsonError("there is more text after its end")


def _read_object(stream: JsonStream, gathered: _Gathered) -> None:
    header: dict[str, Any] = {}
    for key in stream.members():
        if key in header:
            raise JsonError(f"its member {key[:40]!r} occurs twice")
        if key == "features" and stream.peek() == "[":
            header[key] = None
            _read_features(stream, gathered)
        else:
            header[key] = stream.value()
    kind = header.get("type")
    if "features" in header:
        if kind not in (None, "FeatureCollection") or header["features"] is not None:
            raise JsonError(f"it holds {str(kind)[:40]!r} and features; a FeatureCollection with a list was expected")
        gathered.own = header.get("workbench")
    elif kind == "FeatureCollection":
        raise JsonError("it holds a FeatureCollection without features")
    else:
        gathered.add(header)
    gathered.where = ""


def _read_features(stream: JsonStream, gathered: _Gathered) -> None:
    for number in stream.items():
        gathered.where = f"feature {number}: "
        gathered.add(stream.value())
    gathered.where = ""


class _Gathered:
    """Annotations so far."""

    def __init__(self, name: str) -> None:
        self.where = ""
        self.own: Any = None
        """Our own member of the file."""
        self._name = name
        self._rings = Rings()
        self._items: list[Annotation] = []
        self._nowhere: list[int] = []
        self._split: list[int] = []

    def add(self, feature: Any) -> None:
        """Take over one feature."""
        self._rings.number += 1
        if len(self._items) >= MOST:
            raise Fault(f"more than {MOST} annotations; workbench.read_objects reads outlines by the million")
        found = annotations_of(feature, self._rings)
        if not found:
            self._nowhere.append(self._rings.number)
        if len(found) > 1:
            self._split.append(self._rings.number)
        self._items += found

    def annotations(self) -> Annotations:
        """All of them, once the file is at its end."""
        notes = list(ending(self._rings))
        if self._nowhere:
            notes.append(f"{len(self._nowhere)} feature(s) without a geometry were left out, the first is number "
                         f"{self._nowhere[0]}")  # fmt: skip
        if self._split:
            notes.append(f"{len(self._split)} collection(s) of several kinds of geometries became one annotation of "
                         f"each kind, the first is feature {self._split[0]}")  # fmt: skip
        frame, name, items = self._framed()
        return Annotations(tuple(items), frame, name, tuple(notes))

    def bounds(self) -> Bounds | None:
        """(row, column, height, width) that our own member names."""
        given = self.own.get("bounds") if isinstance(self.own, dict) else None
        if given is None:
            return None
        if (
            not isinstance(given, list)
            or len(given) != 4
            or not all(type(v) is int and 0 <= v < 1 << 31 for v in given)
        ):
            raise Fault("member 'workbench' is damaged: its bounds are not four whole numbers")
        return (given[0], given[1], given[2], given[3])

    def _framed(self) -> tuple[Frame, str, list[Annotation]]:
        """What our own member says; coordinates in a length become pixels."""
        if self.own is None:
            return PIXELS, self._name, self._items
        try:
            frame, name, count = Frame.from_json(self.own["frame"]), self.own["name"], self.own.get("count")
            if not isinstance(name, str) or type(count) not in (int, type(None)):
                raise TypeError("name or count")
            if frame.unit == "pixel" and frame.pixel_size != (1.0, 1.0):
                raise ValueError(f"pixels of {frame.pixel_size} pixels")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Fault(f"member 'workbench' is damaged ({type(error).__name__}: {error})") from error
        if count not in (None, self._rings.number):
            raise Fault(f"it holds {self._rings.number} features, its header promises {count}")
        items, size = self._items, frame.pixel_size
        if size != (1.0, 1.0):
            items = [a.moved(lambda points: points / np.array(size)) for a in items]
        affine = None
        if frame.affine is not None:
            affine = frame.affine @ np.diag([*size, 1.0])
        return Frame("pixel", "pixel", affine=affine, world_unit=frame.world_unit), name, items
