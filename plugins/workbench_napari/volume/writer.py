"""Save labels and volumes from napari's own save dialog: on the grid of their file, never without its affine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from workbench.core.errors import GeometryError, UsageError
from workbench.volume import geometry_from_layer, image_from_layers, labels_from_layer, write_file
from workbench_napari.shared.saving import clear_journal, layer_array, source_image, told


@told
def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer ``(Z, Y, X)`` in the voxel order and with the affine of the image it was made for.

    Raises
    ------
    GeometryError
        The layer has no position or no spacing, or is not a volume: nothing is written.
    InputError
        The file cannot be written, or its suffix is not known.
    """
    target = Path(path).expanduser()
    array = layer_array(data, attributes)
    _require_position(array, attributes)
    labels = labels_from_layer(array, attributes=attributes)
    source = source_image(attributes, labels.geometry)
    write_file(target, labels.data, labels.geometry, source=source, classes=labels.classes)
    clear_journal(data)
    return [str(target)]


@told
def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image layer in file order; see `write_labels`. The file it was read from is never overwritten."""
    target = Path(path).expanduser()
    if attributes.get("rgb"):
        raise UsageError(f"layer '{attributes.get('name')}' is a colour picture; it cannot be saved as a volume")
    array = layer_array(data, attributes)
    _require_position(array, attributes)
    image, _ = image_from_layers([(array, attributes)])
    if image.source is not None and target.exists() and image.source.exists() and target.samefile(image.source):
        raise UsageError(
            f"{target}: this is the file the layer was read from; it is not overwritten. Choose another name."
        )
    write_file(target, image.data, image.geometry, source=source_image(attributes, image.geometry))
    return [str(target)]


def _require_position(array: npt.NDArray[Any], attributes: dict[str, Any]) -> None:
    geometry, _, notes = geometry_from_layer(array.shape, attributes)
    if geometry.affine is None:
        raise GeometryError(
            f"layer '{attributes.get('name')}' cannot be saved as a medical file: {notes[0]}. "
            "Set its units to mm and its scale to the voxel spacing (layer controls, or layer.units = 'mm')."
        )
