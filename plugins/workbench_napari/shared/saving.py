"""From a labels layer back to a `Result` that `workbench.api.write` can put on disk, with its provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.layers import KEY
from workbench.core.types import Geometry, Heatmap, Image, Labels, Part, Provenance, Result
from workbench.volume.display import volume_scores, volume_table
from workbench.volume.layers import geometry_from_layer, labels_from_layer
from workbench_napari.writer import source_image

LayerState = tuple[npt.NDArray[Any], dict[str, Any]]
"""Array and attributes of a layer, as in a layer-data tuple."""


def state_of(layer: Any, *, copy: bool = False) -> LayerState:
    """Array and attributes of a layer; with `copy`, of this very moment."""
    data, attributes, _ = layer.as_layer_data_tuple()
    array = np.asarray(data)
    return (array.copy() if copy else array), dict(attributes)


def result_of(labels: LayerState, heatmaps: Sequence[LayerState] = ()) -> Result:
    """The result that a labels layer shows now: labels as edited, volumes recomputed, maps as they were made.

    Raises
    ------
    GeometryError
        The layer has neither a position nor a spacing.
    """
    array, attributes = labels
    record = (attributes.get("metadata") or {}).get(KEY) or {}
    part = labels_from_layer(array, attributes=attributes)
    _, _, notes = geometry_from_layer(array.shape, attributes)
    if part.geometry.affine is None:
        raise GeometryError(
            f"layer '{attributes.get('name')}' cannot be saved: {notes[0]}. "
            "Set its units to mm and its scale to the spacing"
        )
    image = source_image(attributes, part.geometry) or _stand_in(attributes, part.geometry)
    table = volume_table(part.data, part.classes, part.geometry)
    parts: dict[str, Part] = {"labels": replace(part, name="labels"), "volumes": volume_scores(table)}
    for data, own in heatmaps:
        parts |= _heatmap(data, own, part)
    return Result(parts, image, _provenance(record, image, notes))


def case_name(folder: Path, result: Result, layer_name: str) -> str:
    """Name of the case folder: that of the image, numbered if another source already has it."""
    base = result.image.name if result.image.source else layer_name
    base = "".join("_" if c in '/\\\0:*?"<>|\n\r' else c for c in base).strip(" .~") or "labels"
    name, number = base, 1
    while _belongs_to_another(folder / name, result.provenance.source):
        number += 1
        name = f"{base}-{number}"
    return name


def _belongs_to_another(folder: Path, source: str | None) -> bool:
    try:
        record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record.get("source") != source)


def _heatmap(data: npt.NDArray[Any], attributes: Mapping[str, Any], labels: Labels) -> dict[str, Part]:
    record = attributes["metadata"][KEY]
    geometry, spot, _ = geometry_from_layer(data.shape, attributes)
    if not geometry.matches(labels.geometry):
        return {}
    limits = tuple(float(v) for v in attributes["contrast_limits"])
    part = Heatmap(
        spot.to_file(data), labels.geometry, record["heatmap"], record.get("value_unit"), (limits[0], limits[1])
    )
    return {record["part"]: part}


def _stand_in(attributes: Mapping[str, Any], geometry: Geometry) -> Image:
    """The image of a layer whose file is gone, was never one, or lies elsewhere now: its grid without pixels."""

    def loader() -> npt.NDArray[Any]:
        raise GeometryError(f"layer '{attributes.get('name')}' has no image file")

    record = (attributes.get("metadata") or {}).get(KEY) or {}
    header = {"name": record.get("name") or str(attributes.get("name", "labels"))}
    return Image(geometry, np.dtype(np.int16), ("image",), loader, header=header)


def stored_provenance(record: Mapping[str, Any], source: Path | None) -> Provenance:
    """How the layers of a record were made; by hand, where no backend made them."""
    from workbench.core.provenance import versions

    stored = record.get("provenance")
    if not stored:
        return Provenance(
            "by hand", "none", None, {}, source=None if source is None else str(source), versions=versions()
        )
    known = {f.name for f in fields(Provenance)}
    values = {k: v for k, v in stored.items() if k in known}
    values["notes"] = tuple(values.get("notes") or ())
    return Provenance(**values)


def _provenance(record: Mapping[str, Any], image: Image, notes: Sequence[str]) -> Provenance:
    made = stored_provenance(record, image.source)
    edited = bool(record.get("edited")) or made.edited_by_hand
    return replace(made, edited_by_hand=edited, notes=(*made.notes, *notes))
