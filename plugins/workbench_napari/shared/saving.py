"""What saving needs whatever the kind: the state of a layer, its file, how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core import case_folder
from workbench.core.errors import InputError, UsageError
from workbench.core.layers import KEY
from workbench.core.levels import at_level, finest
from workbench.core.stamps import mark
from workbench.core.types import Geometry, Image, Provenance
from workbench_napari.shared.case import BY_HAND

LayerState = tuple[npt.NDArray[Any], dict[str, Any]]
"""Array and attributes of a layer, as in a layer-data tuple."""


def state_of(layer: Any, *, copy: bool = False, level: int = 0) -> LayerState:
    """Array and attributes of a layer; with `copy`, of this very moment.

    Parameters
    ----------
    level
        Of a multiscale layer the level, with the attributes that put just that one in place.

    Raises
    ------
    GeometryError
        That level cannot be placed.
    """
    data, attributes = unread_state(layer, level)
    array = np.asarray(data)
    return (array.copy() if copy else array), attributes


def unread_state(layer: Any, level: int = 0) -> tuple[Any, dict[str, Any]]:
    """`state_of` a layer whose samples are not read: what it takes to say what and where the layer is."""
    data, attributes, _ = layer.as_layer_data_tuple()
    return at_level(data, dict(attributes), level)


def samples_of(layer: Any) -> Any:
    """The samples that the attributes of a layer belong to, not read yet; of a multiscale layer those of level 0."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


def stored_provenance(record: Mapping[str, Any], source: Path | None) -> Provenance:
    """How the layers of a record were made: by a run, by what the folder of a case says of their file, or by hand."""
    from workbench.core.provenance import versions

    stored = record.get("provenance") or case_record(record)
    if not stored:
        return Provenance(
            BY_HAND, "none", None, {}, source=None if source is None else str(source), versions=versions()
        )
    return Provenance.from_json(stored)


def case_record(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The completion record of the case whose folder the file of a layer lies in, if it is one that was saved there."""
    source = record.get("source")
    found = case_folder.record_of_file(Path(source)) if source and not record.get("result") else None
    return found if found is not None and {"backend", "weights", "weights_sha256", "settings"} <= set(found) else None


def source_image(attributes: dict[str, Any], geometry: Geometry) -> Image | None:
    """The header of the file a layer came from, if it is still there, still has that geometry, and was not changed."""
    import workbench as wb
    from workbench.core.errors import WorkbenchError

    record = (attributes.get("metadata") or {}).get(KEY) or {}
    if not record.get("source") or not Path(record["source"]).exists():
        return None
    try:
        image = wb.read(record["source"], series=record.get("series"))
    except WorkbenchError:
        return None
    if record.get("stamp") not in (None, mark(image.stamp)):
        return None
    same = image.geometry.shape == geometry.shape and np.array_equal(image.geometry.affine, geometry.affine)
    return image if same else None


def told(write: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """napari takes any ValueError of a writer for "no writer found" and stays silent; ours must reach the user."""

    @wraps(write)
    def told(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
        try:
            return write(path, data, attributes)
        except UsageError as error:
            raise InputError(str(error)) from error

    return told


def layer_array(data: Any, attributes: dict[str, Any]) -> npt.NDArray[Any]:
    """The samples of a layer-data tuple; of several levels those of the finest, which the attributes belong to."""
    return np.asarray(data[0] if isinstance(data, list | tuple) else finest(data, attributes))


def clear_journal(data: Any) -> None:
    """The layer is on disk now: its recovery copy is not needed any more."""
    import sys

    # Without the journal's module no layer can have been journalled.
    journal = sys.modules.get("workbench_napari.shared.journal")
    if journal is not None:
        journal.saved_data(data)
