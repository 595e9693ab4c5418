"""A result made again from the file of its image and its layers: after a crash nothing else is left. No Qt here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import workbench as wb
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError
from workbench.core.layers import KEY
from workbench.core.line_layers import lines_from_layer
from workbench.core.object_layers import objects_from_layer
from workbench.core.types import Image, Labels, Marks, Part, Result, Scores
from workbench.slide import edits_in
from workbench_napari.general.results import State, corrected, with_own_geometry
from workbench_napari.shared.saving import stored_provenance


def is_whole(record: Mapping[str, Any]) -> bool:
    """Whether the record of a layer holds what it takes to make its result again."""
    return all(record.get(key) for key in ("result", "provenance", "parts", "source", "kind"))


def read_image(record: Mapping[str, Any]) -> Image:
    """The image that a layer was made of; only headers are read."""
    source = f"{record['source']}:{record['key']}" if record.get("key") else record["source"]
    return with_own_geometry(wb.read(source, series=record.get("series"), kind=record["kind"]), record)


def outline_of(image: Image, layers: Sequence[State]) -> tuple[Result, list[str]]:
    """The result that these layers belong to, for `workbench_napari.general.results.corrected`, and what it lacks.

    Objects are those of their layers, tables those of the run; label maps and marks are still empty and become what
    their layers show by the way of their kind.

    Returns
    -------
    result, missing
        Names of parts that no layer and no record holds: they were not edited, so no copy of them was kept.
    """
    record = layers[0][1]["metadata"][KEY]
    parts: dict[str, Part] = {}
    for data, attributes in layers:
        own = attributes["metadata"][KEY]
        key = str(own.get("part"))
        if key in parts:
            continue
        if own.get("role") == "objects":
            parts[key] = objects_from_layer(data, attributes)
        elif own.get("role") == "outlines" and (edits := edits_in(data)) is not None:
            parts[key] = edits.objects()
        elif own.get("holds") == "Labels":
            nothing = np.broadcast_to(np.zeros((), np.uint8), image.geometry.shape)
            parts[key] = Labels(nothing, image.geometry, ClassTable.from_json(own.get("classes") or []), own["named"])
        elif own.get("role") == "lines":
            parts[key] = lines_from_layer(data, attributes)
        elif own.get("holds") == "Marks":
            parts[key] = Marks((), own["named"])
    for key, table in (record.get("tables") or {}).items():
        parts[key] = Scores(tuple(table["columns"]), tuple(tuple(row) for row in table["rows"]), table["name"])
    ordered = {key: parts[key] for key in record["parts"] if key in parts}
    provenance = stored_provenance(record, Path(record["source"]))
    return Result(ordered, image, provenance), [key for key in record["parts"] if key not in parts]


def restored(outline: Result, layers: Sequence[State]) -> Result:
    """`outline_of` these layers, filled with what they show.

    Raises
    ------
    GeometryError
        The kind cannot turn one of the layers back: rather than an empty map, nothing is saved.
    """
    now = corrected(outline, layers)
    for key, part in now.parts.items():
        if isinstance(part, Labels | Marks) and part is outline.parts[key]:
            raise GeometryError(f"the layer of '{key}' cannot be turned back into a part of its result; save the layer")
    return now
