"""What saving needs whatever the kind: the state of a layer, its file, a name for its folder, how it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError
from workbench.core.layers import KEY
from workbench.core.levels import at_level, finest
from workbench.core.types import Geometry, Image, Provenance, Result

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


def case_name(folder: Path, result: Result, layer_name: str) -> str:
    """Name of the case folder: that of the image, numbered if another source already has it."""
    base = case_base(result, layer_name)
    name, number = base, 1
    while _belongs_to_another(folder / name, result.provenance.source):
        number += 1
        name = f"{base}-{number}"
    return name


def case_base(result: Result, layer_name: str) -> str:
    """Name of the image, or of the layer where the image has no file, as one file name."""
    base = result.image.name if result.image.source else layer_name
    return "".join("_" if c in '/\\\0:*?"<>|\n\r' else c for c in base).strip(" .~") or "labels"


def _belongs_to_another(folder: Path, source: str | None) -> bool:
    try:
        record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(record.get("source") != source)


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


def source_image(attributes: dict[str, Any], geometry: Geometry) -> Image | None:
    """The header of the file a layer came from, if it is still there and still has that geometry."""
    import workbench as wb
    from workbench.core.errors import WorkbenchError

    record = (attributes.get("metadata") or {}).get(KEY) or {}
    if not record.get("source") or not Path(record["source"]).exists():
        return None
    try:
        image = wb.read(record["source"], series=record.get("series"))
    except WorkbenchError:
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
