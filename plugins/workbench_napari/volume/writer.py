"""Save labels and volumes from napari's own save dialog: on the grid of their file, never without its affine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from workbench.core.errors import GeometryError, UsageError
from workbench.core.layers import KEY
from workbench.volume import geometry_from_layer, image_from_layers, labels_from_layer, write_file
from workbench_napari.shared.saving import clear_journal, layer_array, source_image, told


@told
def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer ``(Z, Y, X)`` in the voxel order and with the affine of the image it was drawn over.

    Raises
    ------
    GeometryError
        The layer has no position or no spacing, is not a volume, or could be that of several images: nothing is
        written.
    InputError
        The file cannot be written, or its suffix is not known.
    """
    target = Path(path).expanduser()
    array = layer_array(data, attributes)
    array, attributes = _on_grid_below("labels", data, attributes) or (array, attributes)
    _require_position(array, attributes)
    labels = labels_from_layer(array, attributes=attributes)
    source = source_image(attributes, labels.geometry)
    write_file(target, labels.data, labels.geometry, source=source, classes=labels.classes)
    clear_journal(data)
    return [str(target)]


@told
def write_drawn(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write what points or shapes cover as a label map on the grid of the open volume that they were drawn over.

    Raises
    ------
    GeometryError
        There is no open volume below them, or several of different grids: nothing is written.
    InputError
        The file cannot be written, or its suffix is not known.
    """
    target = Path(path).expanduser()
    found = _on_grid_below("points or shapes", data, attributes)
    if found is None:
        raise GeometryError(
            f"layer '{attributes.get('name')}' lies over no open volume, so there is no grid to save it on. Open the "
            "volume in the same window."
        )
    array, own = found
    _require_position(array, own)
    labels = labels_from_layer(array, attributes=own)
    source = source_image(own, labels.geometry)
    write_file(target, labels.data, labels.geometry, source=source, classes=labels.classes)
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


def _on_grid_below(what: str, data: Any, attributes: dict[str, Any]) -> tuple[npt.NDArray[Any], dict[str, Any]] | None:
    """A layer of the open window on the grid of the image below it, and says which that is; ``None`` without one.

    napari hands writers arrays, and only the window knows what lies below.
    """
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return None
    name = attributes.get("name")
    layers = [x for x in viewer.layers if x.data is data or (what != "labels" and x.name == name)]
    if not layers:
        return None
    from napari.utils.notifications import show_info

    from workbench_napari.shared.plain_text import plain_tip
    from workbench_napari.volume.drawing import brought_to_grid

    found = brought_to_grid(layers[0], viewer.layers)
    if found is not None:
        over = found[1]["metadata"][KEY]["drawn_over"]
        show_info(plain_tip(f"'{name}' is saved on the grid of '{over}'."))
    return found


def _require_position(array: npt.NDArray[Any], attributes: dict[str, Any]) -> None:
    geometry, _, notes = geometry_from_layer(array.shape, attributes)
    if geometry.affine is None:
        raise GeometryError(
            f"layer '{attributes.get('name')}' cannot be saved as a medical file: {notes[0]}. "
            "Set its units to mm and its scale to the voxel spacing (layer controls, or layer.units = 'mm')."
        )
