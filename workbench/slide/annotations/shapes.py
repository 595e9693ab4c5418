"""Annotations as napari layers, and back after people changed them; napari is not imported.

Areas and lines are a shapes layer, points a points layer, both in (row, column) of level 0 with pixel centres at whole
numbers. napari keeps vertices as float32, to some thousandths of a pixel on a slide: what nobody moved comes back as it
was, from the record of the layer.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import RGB, ClassTable
from workbench.core.errors import GeometryError
from workbench.core.frame import Frame
from workbench.core.layers import KEY, LayerTuple
from workbench.core.object_layers import rings_of_walk, walks_of
from workbench.core.objects import Objects
from workbench.slide.annotations.curves import ellipse
from workbench.slide.annotations.geojson_features import annotations_of, feature_of
from workbench.slide.annotations.geojson_shapes import Rings
from workbench.slide.annotations.types import Annotation, Annotations, Fault, Floats, Shape

ROLE = "annotations"
OWN_COLUMNS = ("row", "id", "name", "class", "type", "locked")
"""Columns of the table of such a layer before the measurements. ``row`` is the number of the shape in the record of the
layer, from 1; 0 is a shape that a person drew."""
_GRAY: RGB = (191, 191, 191)
_DECIMALS = 9
_FLOAT32 = 2.0**-22


def to_shapes(
    annotations: Annotations,
    record: Mapping[str, Any] | None = None,
    *,
    placement: Mapping[str, Any] | None = None,
) -> list[LayerTuple]:
    """A shapes layer with areas and lines, and a points layer where there are points.

    Parameters
    ----------
    record
        What layers of this kind remember of their slide: small, plain values.
    placement
        Attributes that put layers on their slide (``scale``, ``translate``, ``affine``, ``units``).

    Returns
    -------
    list of (data, attributes, ``"shapes"`` or ``"points"``)
        ``features``: `OWN_COLUMNS` and the measurements (NaN where an annotation has none). Colours are its own, else
        of its class. Holes and further polygons are reached over the same edge, as napari fills them; each line of
        several is a shape. ``metadata["workbench"]`` holds the annotations for `from_shapes`, in values of JSON.
    """
    wholes = list(enumerate(annotations, 1))
    drawn = [(n, a) for n, a in wholes if a.shape.kind != "points"]
    dots = [(n, a) for n, a in wholes if a.shape.kind == "points"]
    layers = [_layer(annotations, drawn, "shapes", record or {}, placement or {})]
    if dots:
        layers.append(_layer(annotations, dots, "points", record or {}, placement or {}))
    return layers


def _layer(
    annotations: Annotations, items: list[tuple[int, Annotation]], kind: str, record: Mapping[str, Any],
    placement: Mapping[str, Any],
) -> LayerTuple:  # fmt: skip
    pieces = [_pieces(a.shape, annotations.frame) for _, a in items]
    owners = [i for i, own in enumerate(pieces) for _ in own]
    own = {
        "role": ROLE,
        "shown_as": kind,
        "annotations": annotations.name,
        "frame": annotations.frame.to_json(),
        "classes": annotations.classes.to_json(),
        "numbers": [n for n, _ in items],
        "features": [feature_of(a) for _, a in items],
    }
    table = _table([items[i][1] for i in owners])
    attributes: dict[str, Any] = {
        "name": annotations.name if kind == "shapes" else f"{annotations.name} (points)",
        "features": table,
        "feature_defaults": _blank(table),
        "metadata": {KEY: {**record, **own}},
        **placement,
    }
    by_class = {c.name: c.color for c in annotations.classes}
    colors = (
        np.array([by_class.get(a.class_name) or a.color or _GRAY for a in (items[i][1] for i in owners)]).reshape(-1, 3)
        / 255
    )
    solid = np.concatenate([colors, np.ones((len(colors), 1))], axis=1)
    data = [piece for own_ in pieces for piece in own_]
    if kind == "points":
        attributes |= {"face_color": solid, "border_color": "transparent", "size": 10.0}
        return np.array(data).reshape(-1, 2), attributes, "points"
    areas = [items[i][1].shape.kind == "areas" for i in owners]
    faint = solid * np.where(areas, 0.35, 0.0)[:, None] ** np.array([0, 0, 0, 1])
    types = ["polygon" if area else "path" for area in areas]
    if data:  # napari takes no colours of no shapes
        attributes |= {"shape_type": types, "face_color": faint, "edge_color": solid, "edge_width": 1.0}
    return data, attributes, "shapes"


def _pieces(shape: Shape, frame: Frame) -> list[Floats]:
    """What napari shows of a shape: one outline, each line, or each point, as (row, column)."""
    if shape.kind == "areas":
        return walks_of(Objects.from_polygons([[list(part) for part in shape.parts]], frame=frame))
    if shape.kind == "lines":
        return [frame.to_index(line) for line in shape.rings()]
    return list(frame.to_index(np.concatenate(list(shape.rings()))))


def _table(items: Sequence[Annotation]) -> dict[str, npt.NDArray[Any]]:
    """Columns of the features, a row per shape."""
    names = dict.fromkeys(name for a in items for name in a.measurements if name not in OWN_COLUMNS)
    table: dict[str, npt.NDArray[Any]] = {
        "row": np.arange(1, len(items) + 1),
        "id": np.array(["" if a.id is None else str(a.id) for a in items], object),
        "name": np.array([a.name for a in items], object),
        "class": np.array([a.class_name for a in items], object),
        "type": np.array([a.object_type for a in items], object),
        "locked": np.array([a.locked for a in items], bool),
    }
    return table | {n: np.array([a.measurements.get(n, np.nan) for a in items], np.float64) for n in names}


def _blank(table: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """The row of a shape that a person draws."""
    blank = {name: "" if v.dtype == object else v.dtype.type(0) if v.dtype.kind in "ib" else np.nan
             for name, v in table.items()}  # fmt: skip
    return blank | {"type": "annotation"}


def from_shapes(data: Any, attributes: Mapping[str, Any]) -> Annotations:
    """What a layer of `to_shapes` shows now, after people moved, removed, named and drew shapes.

    A shape that was drawn or pasted is an annotation of its own with a fresh id and no measurements; a pasted one has
    the class that it was given since. What was moved keeps its measurements, which a note says; what nobody moved has
    the coordinates that it had, to the last bit.

    Parameters
    ----------
    data
        ``layer.data``: vertices ``(V, 2)`` of each shape, or points ``(N, 2)``.
    attributes
        ``features``, ``metadata`` and, of shapes, ``shape_type`` of the layer: polygon, rectangle, ellipse, path, line.

    Raises
    ------
    GeometryError
        The layer is none of ours; or a shape is unfinished.
    """
    return from_layers([(data, dict(attributes), "")])


def from_layers(layers: Iterable[LayerTuple]) -> Annotations:
    """The annotations of a shapes layer and its points layer together, in their order; new ones behind."""
    found: list[tuple[int, Annotation]] = []
    notes: list[str] = []
    own: _Layer | None = None
    for data, attributes, _ in layers:
        layer = _Layer.of(attributes)
        own = own or layer
        items, said = layer.annotations(data)
        found += items
        notes += said
    if own is None:
        raise GeometryError("no layer of annotations was given")
    found.sort(key=lambda item: (item[0] == 0, item[0]))
    return Annotations(tuple(a for _, a in found), own.frame, own.name, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Layer:
    """What a layer remembers, and its table."""

    name: str
    frame: Frame
    colors: Mapping[str, RGB]
    numbers: Sequence[int]
    items: Sequence[Annotation]
    columns: Mapping[str, list[Any]]
    types: Any

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> _Layer:
        record = attributes.get("metadata", {}).get(KEY) or {}
        if record.get("role") != ROLE:
            raise GeometryError("this layer does not hold annotations; choose one that the workbench made")
        try:
            items = [annotations_of(feature, Rings())[0] for feature in record["features"]]
            classes = ClassTable.from_json(record["classes"])
            frame = Frame.from_json(record["frame"])
        except (Fault, KeyError, IndexError, TypeError, ValueError) as error:
            raise GeometryError(f"the record of this layer of annotations is damaged ({error})") from error
        features = attributes.get("features", {})
        columns = {str(k): np.asarray(features[k]).tolist() for k in features}
        colors = {c.name: c.color for c in classes}
        types = attributes.get("shape_type", "polygon")
        return cls(str(record["annotations"]), frame, colors, record["numbers"], items, columns, types)

    def annotations(self, data: Any) -> tuple[list[tuple[int, Annotation]], list[str]]:
        """(number, annotation), the number 0 of new ones, and what to note."""
        places = [(i, k) for i, a in enumerate(self.items) for k in range(len(_pieces(a.shape, self.frame)))]
        rows = self.columns.get("row", [0] * len(data))
        if len(rows) != len(data):
            raise GeometryError(f"this layer has {len(data)} shapes and a table of {len(rows)} rows; one each was "
                                "expected")  # fmt: skip
        kept: dict[int, dict[int, int]] = {}
        fresh: list[tuple[int, Annotation | None]] = []
        taken: set[int] = set()
        for at, row in enumerate(rows):
            place = int(row) if row == row and row is not None else 0
            if not 0 < place <= len(places) or place in taken:
                fresh.append((at, self.items[places[place - 1][0]] if 0 < place <= len(places) else None))
                continue
            taken.add(place)
            item, piece = places[place - 1]
            kept.setdefault(item, {})[piece] = at
        found, notes = [], []
        for item, pieces in sorted(kept.items()):
            changed, moved = self._kept(self.items[item], pieces, data)
            found.append((self.numbers[item], changed))
            notes += self._said(self.numbers[item], changed) if moved else []
        return found + [(0, self._fresh(at, model, data)) for at, model in fresh], notes

    def _kept(self, old: Annotation, pieces: Mapping[int, int], data: Any) -> tuple[Annotation, bool]:
        """An annotation whose shapes are still there, at least some; and whether any was moved."""
        before = _pieces(old.shape, self.frame)
        still = len(pieces) == len(before) and all(_same(data[at], before[k]) for k, at in pieces.items())
        first = min(pieces.values())
        described = self._described(old, first)
        if still:
            return described, False
        if old.shape.kind == "points":
            parts = [[self._exact(data[at], before[k], old.shape.parts[0][0][k]) for k, at in sorted(pieces.items())]]
            shape = Shape("points", ((np.concatenate(parts[0]).reshape(-1, 2),),))
        else:
            shapes = [
                Shape(old.shape.kind, (old.shape.parts[k],))
                if old.shape.kind == "lines" and _same(data[at], before[k]) else self._shape(data, at)
                for k, at in sorted(pieces.items())
            ]  # fmt: skip
            shape = Shape(shapes[0].kind, tuple(part for s in shapes for part in s.parts))
        members = {k: v for k, v in described.members.items() if k != "geometry"}
        plane = {k: v for k, v in described.members.get("geometry", {}).items() if k == "plane"}
        return replace(described, shape=shape, members={**members, **({"geometry": plane} if plane else {})}), True

    def _exact(self, now: Any, before: Floats, exact: Floats) -> Floats:
        return exact if _same(now, before) else self._back(np.asarray(now, np.float64))

    def _said(self, number: int, annotation: Annotation) -> list[str]:
        what = f"annotation {number}" + (f" '{annotation.name}'" if annotation.name else "")
        notes = [f"{what} is locked and was changed"] if annotation.locked else []
        if annotation.measurements:
            notes.append(f"{what} was changed; its measurements are those of before")
        if annotation.nucleus is not None:
            notes.append(f"{what} was changed; its nucleus is where it was before")
        return notes

    def _described(self, old: Annotation, at: int) -> Annotation:
        """What its row of the table says now."""
        text = {key: self._text(key, at, was) for key, was in (
            ("name", old.name), ("class", old.class_name), ("type", old.object_type))}  # fmt: skip
        locked = self.columns.get("locked")
        measured = {
            name: self._measured(name, at, old.measurements.get(name))
            for name in dict.fromkeys((*old.measurements, *(c for c in self.columns if c not in OWN_COLUMNS)))
        }
        same = text["class"] == old.class_name
        return replace(
            old, name=text["name"], class_name=text["class"], object_type=text["type"] or "annotation",
            class_color=old.class_color if same else self.colors.get(text["class"]),
            locked=old.locked if locked is None else bool(locked[at]),
            measurements={k: v for k, v in measured.items() if v is not None},
        )  # fmt: skip

    def _text(self, key: str, at: int, otherwise: str) -> str:
        column = self.columns.get(key)
        if column is None:
            return otherwise
        value = column[at]
        return "" if value is None or value != value else str(value)

    def _measured(self, name: str, at: int, was: float | None) -> float | None:
        column = self.columns.get(name)
        if column is None or name in OWN_COLUMNS:
            return was
        value = float(column[at])
        if was is not None and (value == float(was) or (value != value and was != was)):
            return was
        return None if value != value else value

    def _fresh(self, at: int, model: Annotation | None, data: Any) -> Annotation:
        """One that a person drew, or pasted from `model`."""
        name = self._text("name", at, "")
        class_name = self._text("class", at, "")
        if model is not None:  # napari repeats the table's row
            name = "" if name == model.name else name
            class_name = "" if class_name == model.class_name else class_name
        shape = self._shape(data, at) if np.ndim(data[at]) == 2 else Shape("points", ((self._back(data[at])[None],),))
        return Annotation(
            shape, str(uuid.uuid4()), name, class_name, class_color=self.colors.get(class_name),
            object_type=self._text("type", at, "annotation") or "annotation",
        )  # fmt: skip

    def _shape(self, data: Any, at: int) -> Shape:
        vertices = np.asarray(data[at], np.float64)
        kind = self.types if isinstance(self.types, str) else self.types[at]
        if kind in ("path", "line"):
            return Shape("lines", ((self._back(vertices),),))
        if kind == "ellipse":
            if len(vertices) != 4:
                raise GeometryError(f"an ellipse has {len(vertices)} corners of its box, 4 were expected")
            centre, one, other = vertices.mean(axis=0), vertices[1] - vertices[0], vertices[3] - vertices[0]
            vertices = ellipse(centre, one / 2, other / 2)
        if len(vertices) < 3:
            raise GeometryError(f"an outline has {len(vertices)} points, 3 or more were expected; remove or finish it")
        return Shape("areas", tuple(tuple(self._back(r) for r in rings) for rings in rings_of_walk(vertices)))

    def _back(self, index: npt.NDArray[Any]) -> Floats:
        """(x, y), without the noise that adding half a pixel leaves in the last digits."""
        return np.round(self.frame.from_index(index), _DECIMALS)


def _same(now: Any, before: Floats) -> bool:
    """Whether vertices are those of before, as float32 keeps them."""
    own = np.asarray(now, np.float64)
    return own.shape == before.shape and bool(np.abs(own - before).max() <= _FLOAT32 * max(1.0, np.abs(before).max()))
