"""Objects as napari layers, and back; napari is not imported.

Up to a thousand are shown as a shapes layer, whose outlines people can edit; more as a points layer with one point at
the centre of each: without a compiled triangulation napari takes about 4 ms to build an outline of 24 points, and the
window stands still meanwhile. Both have the same table of features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.frame import Frame
from workbench.core.layers import KEY, LayerTuple
from workbench.core.objects import EDITED, REVIEW, Objects
from workbench.core.rings import signed_areas

SHAPES_LIMIT = 1000
"""Objects that are shown with their outlines, if the caller says no other number."""
OUTLINES = "workbench_objects"
"""Entry in the ``metadata`` of a points layer that holds the `Objects` themselves, in memory only."""

_NO_CLASS = (0.75, 0.75, 0.75, 1.0)
_OWN = ("id", "class", "probability", "review")


def objects_layer(
    objects: Objects,
    record: Mapping[str, Any],
    *,
    name: str | None = None,
    placement: Mapping[str, Any] | None = None,
    limit: int = SHAPES_LIMIT,
) -> LayerTuple:
    """A shapes layer with the outlines of up to `limit` objects, else a points layer with their centres.

    Parameters
    ----------
    record
        What a layer of this kind remembers of its image: small, plain values.
    name
        Name of the layer.
    placement
        Attributes that put layers on their image (``scale``, ``translate``, ``affine``, ``units``, ``axis_labels``),
        for data in (row, column) of level 0, pixel centres at whole numbers.

    Returns
    -------
    (data, attributes, ``"shapes"`` or ``"points"``)
        Data: a list of ``(V, 2)``, or ``(N, 2)``, as (row, column). ``features``: ``id``, ``class``, ``probability``
        and the measurements. Holes and further pieces of an object are parts of its one outline, reached and left over
        the same edge, as napari fills it. ``feature_defaults`` are those of an outline that a person draws: no class
        and no numbers. ``metadata["workbench"]`` says in ``shown_as`` which it is, and in ``note`` why.
    """
    as_points = len(objects) > limit
    own = {
        "role": "objects",
        "shown_as": "points" if as_points else "shapes",
        "limit": limit,
        "objects": objects.name,
        "frame": objects.frame.to_json(),
        "classes": objects.classes.to_json(),
        "coordinates": objects.coordinates.dtype.name,
        "probabilities": objects.probabilities is not None,
        "measurements": {k: v.dtype.name for k, v in objects.measurements.items()},
        "review": objects.review is not None,
        "no_id": _no_id(objects.ids),
    }
    colors, features = _colors(objects), _features(objects)
    metadata: dict[str, Any] = {KEY: {**record, **own}}
    attributes: dict[str, Any] = {
        "name": name or objects.name,
        "features": features,
        "feature_defaults": new_outline(features, metadata[KEY]),
        "metadata": metadata,
        **(placement or {}),
    }
    if as_points:
        metadata[KEY]["note"] = f"{len(objects)} objects, more than {limit}: shown as points at their centres"
        metadata[OUTLINES] = objects
        attributes |= {"face_color": colors, "border_color": "transparent", "size": 8.0}
        return objects.frame.to_index(objects.centroids()), attributes, "points"
    faint = colors * (1, 1, 1, 0.35)
    attributes |= {"shape_type": "polygon", "face_color": faint, "edge_color": colors, "edge_width": 1.0}
    return walks_of(objects), attributes, "shapes"


def objects_from_layer(data: Any, attributes: Mapping[str, Any]) -> Objects:
    """What a layer of `objects_layer` shows now, after people changed outlines, classes, or removed and drew some.

    An outline that a person added, drawn or pasted, has a fresh id, the class that it was given since, if any, and no
    probability and no measurement (NaN): napari fills the table with those of another object, which are not its own.
    Measurements of the others are those of the table: they are not measured again. In a points layer outlines cannot
    be changed, objects can be removed and given another class; points that were added have no outline and are left
    out.

    Parameters
    ----------
    data
        ``layer.data``.
    attributes
        ``features`` (a table with columns by name) and ``metadata`` of the layer.

    Raises
    ------
    GeometryError
        The layer is none of ours, or an outline has fewer than three points.
    InputError
        A class that the layer's table does not have; points whose outlines are not in memory.
    """
    record = attributes.get("metadata", {}).get(KEY) or {}
    if record.get("role") != "objects":
        raise GeometryError("this layer does not hold objects of a result; choose one that the workbench made")
    classes = ClassTable.from_json(record["classes"])
    features = attributes["features"]
    columns = {str(k): np.asarray(features[k]) for k in features}
    values = _class_values(columns.get("class"), classes, len(data))
    ids, model = _clean_ids(columns.get("id"), record, len(data))
    if record["shown_as"] == "points":
        return _of_points(attributes, ids, model, values)
    for row in np.flatnonzero((model >= 0) & (model != np.arange(len(data)))):
        # A copy has the class of the object it was copied from, until a person gives it another one.
        values[row] = 0 if values[row] == values[model[row]] else values[row]
    added = model != np.arange(len(data))
    frame = Frame.from_json(record["frame"])
    polygons = []
    for outline in data:
        if len(outline) < 3:
            raise GeometryError(f"an outline has {len(outline)} points, 3 or more were expected; remove or finish it")
        polygons.append(rings_of_walk(frame.from_index(outline).astype(record["coordinates"])))
    measured = record["measurements"]
    return Objects.from_polygons(
        polygons,
        ids=_fresh_ids(ids, added),
        class_values=values,
        probabilities=_numbers(columns.get("probability"), "float32", added) if record["probabilities"] else None,
        measurements={k: _numbers(columns.get(k), dtype, added) for k, dtype in measured.items()},
        classes=classes,
        frame=frame,
        name=record["objects"],
        review=_review(columns.get("review"), added) if record.get("review") else None,
    )


def new_outline(features: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """What napari is to put into the table of such a layer for an outline that a person draws: nothing.

    napari itself repeats the last row. It also forgets these defaults when somebody sets the whole table, so whoever
    watches a layer sets them anew (``layer.feature_defaults``) before an outline is added.

    Parameters
    ----------
    features
        The table of the layer, columns by name.
    record
        The layer's own entry in its metadata.
    """
    blank: dict[str, Any] = {}
    for name in features:
        kind = np.asarray(features[name]).dtype.kind
        # Columns of whole numbers have no NaN; `objects_from_layer` knows such a row by its id.
        blank[str(name)] = np.nan if kind == "f" else 0 if kind in "iub" else ""
    if "id" in blank and "no_id" in record:
        blank["id"] = record["no_id"]
    return blank


def _of_points(
    attributes: Mapping[str, Any], ids: list[Any], model: npt.NDArray[np.int64], values: npt.NDArray[np.int32]
) -> Objects:
    kept = attributes["metadata"].get(OUTLINES)
    if not isinstance(kept, Objects):
        raise InputError("this layer shows points, their outlines are not in memory; open the objects again")
    where = {str(v): i for i, v in enumerate(kept.ids.tolist())}
    rows = [(row, where[str(i)]) for row, i in enumerate(ids) if model[row] == row and str(i) in where]
    index = np.array([i for _, i in rows], np.int64)
    rows_kept = [row for row, _ in rows]
    told = attributes["features"]["review"] if kept.review is not None and "review" in attributes["features"] else None
    review = (
        kept.select(index).review if told is None else _review(np.asarray(told), np.zeros(len(model), bool))[rows_kept]
    )
    return replace(kept.select(index), class_values=values[rows_kept], review=review)


def _review(column: npt.NDArray[Any] | None, added: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """What the table says; an outline that a person added is edited."""
    words = [""] * len(added) if column is None else column.tolist()
    found = np.array([REVIEW.index(w) if w in REVIEW else 0 for w in words], np.uint8)
    found[added] = EDITED
    return found


def _features(objects: Objects) -> dict[str, npt.NDArray[Any]]:
    names = {0: "", **{c.value: c.name for c in objects.classes}}
    table: dict[str, npt.NDArray[Any]] = {
        "id": objects.ids.astype(np.int64) if objects.ids.dtype.kind == "u" else objects.ids,
        "class": np.array([names.get(v, "") for v in objects.class_values.tolist()], object),
    }
    if objects.probabilities is not None:
        table["probability"] = objects.probabilities
    if objects.review is not None:
        table["review"] = np.array([REVIEW[v] for v in objects.review.tolist()], object)
    return table | {k: v for k, v in objects.measurements.items() if k not in _OWN}


def _colors(objects: Objects) -> npt.NDArray[np.float64]:
    """Colour of each object's class, ``(N, 4)`` from 0 to 1; gray without one."""
    table = np.array([_NO_CLASS, *((*(v / 255 for v in c.color), 1.0) for c in objects.classes)])
    values = np.array([0, *(c.value for c in objects.classes)])
    order = np.argsort(values)
    found: npt.NDArray[np.float64] = table[order[np.searchsorted(values[order], objects.class_values)]]
    return found


def walks_of(objects: Objects) -> list[npt.NDArray[np.float64]]:
    """One closed walk per object as (row, column): each further ring is reached from the first point and left to it.

    Outlines go round one way, holes the other; that is how `rings_of_walk` tells them.
    """
    points = objects.frame.to_index(objects.coordinates)
    turns = signed_areas(points, objects.ring_offsets) > 0 if len(objects) else np.zeros(0, bool)
    offsets, polygons = objects.ring_offsets, objects.polygon_offsets
    outer = np.zeros(len(offsets) - 1, bool)
    outer[polygons[:-1]] = True
    walks = []
    for a, b in zip(objects.object_offsets[:-1], objects.object_offsets[1:], strict=True):
        first, last = int(polygons[a]), int(polygons[b])
        walk = points[offsets[first] : offsets[first + 1]]
        if last > first + 1:
            pieces = [walk, walk[:1]]
            for r in range(first + 1, last):
                ring = points[offsets[r] : offsets[r + 1]]
                if (turns[r] == turns[first]) != outer[r]:
                    ring = ring[::-1]
                pieces += [ring, ring[:1], walk[:1]]
            walk = np.concatenate(pieces)
        walks.append(walk)
    return walks


def rings_of_walk(walk: npt.NDArray[np.floating[Any]]) -> list[list[npt.NDArray[np.floating[Any]]]]:
    """Inverse of `walks_of` for one object: its pieces, each an outline with its holes."""
    anchor, at = walk[0], 0
    rings: list[npt.NDArray[np.floating[Any]]] = []
    while at < len(walk):
        if rings and (walk[at] == anchor).all():  # back at the first point, between two rings
            at += 1
            continue
        again = np.flatnonzero((walk[at + 1 :] == walk[at]).all(axis=1))
        stop = at + 1 + int(again[0]) if again.size else len(walk)
        rings.append(walk[at:stop])
        at = stop + 1
    rings = [ring for ring in rings if len(ring) > 2]
    if len(rings) < 2:
        return [rings or [walk]]
    turns = [bool(signed_areas(ring, np.array([0, len(ring)]))[0] > 0) for ring in rings]
    pieces: list[list[npt.NDArray[np.floating[Any]]]] = []
    for ring, turn in zip(rings, turns, strict=True):
        if turn == turns[0]:
            pieces.append([ring])
        else:
            pieces[-1].append(ring)
    return pieces


def _class_values(names: npt.NDArray[Any] | None, classes: ClassTable, n: int) -> npt.NDArray[np.int32]:
    """Values of the classes in the table; 0 where a new shape has none."""
    if names is None:
        return np.zeros(n, np.int32)
    known = {c.name: c.value for c in classes}
    values = np.zeros(n, np.int32)
    for i, name in enumerate(names.tolist()):
        if name is None or name != name or name == "":
            continue
        if str(name) not in known:
            raise InputError(f"class '{name}' of object {i + 1} is not in the table: {', '.join(known) or 'empty'}")
        values[i] = known[str(name)]
    return values


def _no_id(ids: npt.NDArray[Any]) -> int | str:
    """What stands for no id in a column like this."""
    return "" if ids.dtype.kind not in "iu" else min(0, int(ids.min(initial=0))) - 1


def _clean_ids(
    column: npt.NDArray[Any] | None, record: Mapping[str, Any], n: int
) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Ids as numbers, or as texts where one is a text, ``None`` where a row has none; and whose id each row has.

    The second is the row itself, the earlier row that it was copied from, or -1 where it has no id.
    """
    given: Sequence[Any] = [None] * n if column is None else column.tolist()
    no_id = record.get("no_id", "")
    missing = [i is None or i != i or i == "" or i == no_id for i in given]
    whole = all(gone or isinstance(i, int | float) for i, gone in zip(given, missing, strict=True))
    clean = [None if gone else int(i) if whole else str(i) for i, gone in zip(given, missing, strict=True)]
    first: dict[Any, int] = {}
    model = [-1 if i is None else first.setdefault(i, row) for row, i in enumerate(clean)]
    return clean, np.array(model, np.int64)


def _fresh_ids(ids: list[Any], added: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """The ids, with new ones for outlines that were added."""
    taken = {i for i in ids if i is not None}
    whole = all(isinstance(i, int) for i in taken)
    free = max((i for i in taken if isinstance(i, int)), default=0)
    found: list[Any] = []
    for i, new in zip(ids, added.tolist(), strict=True):
        if new:
            free += 1
            while f"new {free}" in taken:
                free += 1
            i = free if whole else f"new {free}"
        found.append(i)
    return np.array(found, np.int64 if whole else np.str_)


def _numbers(column: npt.NDArray[Any] | None, dtype: str, added: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """A column in its own type; as float64 where an added outline has no number and the type has no NaN."""
    values = np.full(len(added), np.nan) if column is None else np.array(column, np.float64)
    values[added] = np.nan
    wanted = np.dtype(dtype)
    return values.astype(wanted) if wanted.kind == "f" or np.isfinite(values).all() else values
