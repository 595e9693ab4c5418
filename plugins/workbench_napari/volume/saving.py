"""From a labels layer back to a `Result` that `workbench.api.write` can put on disk, with its provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.layers import KEY
from workbench.core.types import Geometry, Heatmap, Image, Labels, Part, Provenance, Result
from workbench.volume import geometry_from_layer, labels_from_layer, volume_scores, volume_table
from workbench_napari.shared.case import is_edited
from workbench_napari.shared.saving import LayerState, case_record, source_image, stored_provenance


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
    # Labels that were opened from the folder of a case go back there; their own file is no image to save beside.
    image = None if case_record(record) else source_image(attributes, part.geometry)
    image = image or _stand_in(attributes, part.geometry)
    table = volume_table(part.data, part.classes, part.geometry)
    parts: dict[str, Part] = {"labels": replace(part, name="labels"), "volumes": volume_scores(table)}
    for data, own in heatmaps:
        parts |= _heatmap(data, own, part)
    return Result(parts, image, _provenance(record, image, notes))


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


def _provenance(record: Mapping[str, Any], image: Image, notes: Sequence[str]) -> Provenance:
    made = stored_provenance(record, image.source)
    edited = is_edited(record) or made.edited_by_hand
    return replace(made, edited_by_hand=edited, notes=tuple(dict.fromkeys((*made.notes, *notes))))
