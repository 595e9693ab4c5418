"""Save labels and volumes from napari's own save dialog: on the grid of their file, never without its affine."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import replacing
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, UsageError
from workbench.core.layers import KEY
from workbench.core.types import Geometry, Image
from workbench.volume.layers import geometry_from_layer, image_from_layers, labels_from_layer


def _told(write: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """napari takes any ValueError of a writer for "no writer found" and stays silent; ours must reach the user."""

    @wraps(write)
    def told(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
        try:
            return write(path, data, attributes)
        except UsageError as error:
            raise InputError(str(error)) from error

    return told


@_told
def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer ``(Z, Y, X)`` in the voxel order and with the affine of the image it was made for.

    Raises
    ------
    GeometryError
        The layer has no position or no spacing, or is not a volume: nothing is written.
    InputError
        The file cannot be written, or its suffix is not known.
    """
    from workbench.data.label_values import smallest_unsigned

    target = _target(path)
    array = _array(data, attributes)
    _require_position(array, attributes)
    labels = labels_from_layer(array, attributes=attributes)
    source = source_image(attributes, labels.geometry)
    _write(target, smallest_unsigned(labels.data, labels.name), labels.geometry, source, labels.classes)
    _clear_journal(data)
    return [str(target)]


@_told
def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image layer in file order; see `write_labels`. The file it was read from is never overwritten."""
    target = _target(path)
    array = _array(data, attributes)
    _require_position(array, attributes)
    image, _ = image_from_layers([(array, attributes)])
    if image.source is not None and target.exists() and image.source.exists() and target.samefile(image.source):
        raise UsageError(
            f"{target}: this is the file the layer was read from; it is not overwritten. Choose another name."
        )
    _write(target, image.data, image.geometry, source_image(attributes, image.geometry), None)
    return [str(target)]


@_told
def write_class_map(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a class map ``(rows, columns)`` as ENVI classification, GeoTIFF or NumPy file, at the place of its scene.

    Raises
    ------
    GeometryError
        The layer belongs to no scene, or has another size: nothing is written.
    """
    from workbench import api
    from workbench.scene.layers import labels_from_layer

    target = Path(path).expanduser()
    families = {".dat": "envi", ".tif": "geotiff", ".npy": "npy"}
    if target.suffix.lower() not in families:
        raise UsageError(f"{target}: the suffix says no format of class maps; use {', '.join(families)}")
    labels = labels_from_layer(_array(data, attributes), attributes.get("metadata") or {})
    written = api.write(
        labels,
        target.parent,
        format=families[target.suffix.lower()],  # type: ignore[arg-type]
        name=target.stem,
        source=source_image(attributes, labels.geometry),
    )
    _clear_journal(data)
    return [str(p) for p in written]


def source_image(attributes: dict[str, Any], geometry: Geometry) -> Image | None:
    """The header of the file a layer came from, if it is still there and still has that geometry."""
    from workbench.core.errors import WorkbenchError
    from workbench.data import formats

    record = (attributes.get("metadata") or {}).get(KEY) or {}
    if not record.get("source") or not Path(record["source"]).exists():
        return None
    try:
        image = formats.read(record["source"], series=record.get("series"))
    except WorkbenchError:
        return None
    same = image.geometry.shape == geometry.shape and np.array_equal(image.geometry.affine, geometry.affine)
    return image if same else None


def _target(path: str) -> Path:
    target = Path(path).expanduser()
    name = target.name.lower()
    if not name.endswith((".nii", ".nii.gz", ".nrrd", ".mha")):
        raise UsageError(f"{target}: the suffix says no format we write; use .nii.gz, .nii, .nrrd or .mha")
    return target


def _array(data: Any, attributes: dict[str, Any]) -> npt.NDArray[Any]:
    if isinstance(data, list | tuple) or attributes.get("multiscale"):
        data = data[0]
    return np.asarray(data)


def _require_position(array: npt.NDArray[Any], attributes: dict[str, Any]) -> None:
    geometry, _, notes = geometry_from_layer(array.shape, attributes)
    if geometry.affine is None:
        raise GeometryError(
            f"layer '{attributes.get('name')}' cannot be saved as a medical file: {notes[0]}. "
            "Set its units to mm and its scale to the voxel spacing (layer controls, or layer.units = 'mm')."
        )


def _write(
    target: Path, data: npt.NDArray[Any], geometry: Geometry, source: Image | None, classes: ClassTable | None
) -> None:
    family = "nifti" if ".nii" in target.name.lower() else "itk"
    native = None
    if source is not None and (source.format == "nifti") == (family == "nifti") and source.format != "dicom":
        native = source.native
    with replacing(target) as part:
        if family == "nifti":
            from workbench.volume.data import nifti

            scanner = source is not None and source.format == "dicom"
            nifti.write(part, data, geometry, native=native, classes=classes, scanner=scanner)
        else:
            from workbench.volume.data import itk_formats

            itk_formats.write(part, data, geometry, native=native, classes=classes)


def _clear_journal(data: Any) -> None:
    """The layer is on disk now: its recovery copy is not needed any more."""
    import sys

    # Without the journal's module no layer can have been journalled.
    journal = sys.modules.get("workbench_napari.shared.journal")
    if journal is not None:
        journal.saved_data(data)
