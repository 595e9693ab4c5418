"""Objects as lines of GeoJSON: one feature each, with numbers as short as they can be and still come back exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.objects import REVIEW, Objects
from workbench.data.outlines import mended


def written(coordinates: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The numbers as they stand in the file."""
    return _short(coordinates).astype(np.float64, copy=False)


def features_of(objects: Objects, faults: Mapping[int, bool]) -> Iterator[str]:
    """One line per object; `faults` as `workbench.data.outlines.Faults.within` gives them."""
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode
    points = _short(objects.coordinates).tolist()
    rings = [[*points[a:b], points[a]] for a, b in pairwise(objects.ring_offsets.tolist())]
    polygons = [rings[a:b] for a, b in pairwise(objects.polygon_offsets.tolist())]
    classes = {c.value: {"name": c.name, "color": list(c.color)} for c in objects.classes}
    chances = None if objects.probabilities is None else _plain(objects.probabilities)
    columns = {k: _plain(v) for k, v in objects.measurements.items()}
    review = None if objects.review is None else objects.review.tolist()
    values, ids = objects.class_values.tolist(), objects.ids.tolist()
    for i, (a, b) in enumerate(pairwise(objects.object_offsets.tolist())):
        if faults.get(i):
            continue
        pieces = _mended(objects.polygon(i)) if i in faults else polygons[a:b]
        properties: dict[str, Any] = {"objectType": "detection"}
        if values[i]:
            properties["classification"] = classes[values[i]]
        if chances is not None:
            properties["probability"] = chances[i]
        if columns:
            properties["measurements"] = {k: v[i] for k, v in columns.items()}
        if review is not None:
            properties["metadata"] = {"review": REVIEW[review[i]]}
        one = len(pieces) == 1
        geometry = {"type": "Polygon" if one else "MultiPolygon", "coordinates": pieces[0] if one else pieces}
        yield encode({"type": "Feature", "id": ids[i], "geometry": geometry, "properties": properties})


def _mended(polygons: list[list[npt.NDArray[np.floating[Any]]]]) -> list[list[list[list[float]]]]:
    """A valid area as coordinates of closed rings."""
    found = mended(polygons)
    return [[[*ring.tolist(), ring[0].tolist()] for ring in rings] for rings in found]


def _short(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The float64 with the fewest decimals that becomes the same float32; other types as they are."""
    if values.dtype != np.float32:
        return values
    exact = values.astype(np.float64).ravel()
    found, todo = exact.copy(), np.flatnonzero(np.isfinite(exact))
    for decimals in range(10):
        rounded = np.round(exact[todo], decimals)
        same = rounded.astype(np.float32) == exact[todo]
        found[todo[same]] = rounded[same]
        todo = todo[~same]
        if not todo.size:
            break
    return found.reshape(values.shape)


def _plain(values: npt.NDArray[Any]) -> list[Any]:
    """Numbers as JSON has them: ``null`` for NaN, text for infinity."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        plain: list[Any] = _short(values).tolist()
        return plain
    return [v if np.isfinite(v) else None if v != v else "inf" if v > 0 else "-inf" for v in _short(values).tolist()]
