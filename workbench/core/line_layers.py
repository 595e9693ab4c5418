"""Lines as a napari layer that people edit, and back; napari is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.core.errors import GeometryError
from workbench.core.frame import Frame
from workbench.core.jsonable import plain_json
from workbench.core.layers import KEY, LayerTuple
from workbench.core.lines import Lines


def lines_layer(
    lines: Lines, record: Mapping[str, Any], *, name: str | None = None, placement: Mapping[str, Any] | None = None
) -> LayerTuple:
    """A shapes layer with a path for each line.

    Parameters
    ----------
    record
        What a layer of this kind remembers of its image: small, plain values.
    name
        Name of the layer.
    placement
        Attributes that put layers on their image, for data in (row, column), pixel centres at whole numbers; and looks.

    Returns
    -------
    (data, attributes, ``"shapes"``)
        ``features`` are those of the lines.
    """
    own = {
        "role": "lines", "lines": lines.name, "frame": lines.frame.to_json(), "columns": list(lines.features),
        "about": plain_json(dict(lines.about)),
    }  # fmt: skip
    attributes: dict[str, Any] = {
        "name": name or lines.name, "shape_type": "path", "face_color": "transparent",
        "features": {key: list(values) for key, values in lines.features.items()},
        "metadata": {KEY: {**record, **own}}, **(placement or {}),
    }  # fmt: skip
    return [lines.frame.to_index(lines.line(n)) for n in range(len(lines))], attributes, "shapes"


def lines_from_layer(data: Any, attributes: Mapping[str, Any]) -> Lines:
    """What a layer of `lines_layer` shows now, after people moved points, removed and drew lines.

    Raises
    ------
    GeometryError
        The layer is none of ours, or holds a shape that is no line.
    """
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    if record.get("role") != "lines":
        raise GeometryError("this layer does not hold lines of a result; choose one that the workbench made")
    frame = Frame.from_json(record["frame"])
    kinds = attributes.get("shape_type", "path")
    kinds = [kinds] * len(data) if isinstance(kinds, str) else list(kinds)
    wrong = sorted({str(kind) for kind in kinds} - {"path", "line"})
    if wrong:
        raise GeometryError(f"a {wrong[0]} was drawn among the lines; remove it, and draw with the path or line tool")
    features = attributes.get("features")
    features = {} if features is None else features
    columns = {
        str(key): tuple(v.item() if hasattr(v, "item") else v for v in features[key])
        for key in record["columns"]
        if key in features
    }
    points = [frame.from_index(np.asarray(line, np.float64)) for line in data]
    about = record.get("about") or {}
    return Lines.from_points(points, features=columns, frame=frame, name=record["lines"], about=about)
