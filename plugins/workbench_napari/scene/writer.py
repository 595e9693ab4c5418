"""Save class maps from napari's own save dialog: on the grid of their scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import workbench as wb
from workbench.core.errors import UsageError
from workbench.scene import labels_from_layer
from workbench_napari.shared.saving import clear_journal, layer_array, source_image, told


@told
def write_class_map(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a class map ``(rows, columns)`` as ENVI classification, GeoTIFF or NumPy file, at the place of its scene.

    Raises
    ------
    GeometryError
        The layer belongs to no scene, or has another size: nothing is written.
    """
    target = Path(path).expanduser()
    families = {".dat": "envi", ".tif": "geotiff", ".npy": "npy"}
    if target.suffix.lower() not in families:
        raise UsageError(f"{target}: the suffix says no format of class maps; use {', '.join(families)}")
    labels = labels_from_layer(layer_array(data, attributes), attributes.get("metadata") or {})
    written = wb.write(
        labels,
        target.parent,
        format=families[target.suffix.lower()],
        name=target.stem,
        source=source_image(attributes, labels.geometry),
    )
    clear_journal(data)
    return [str(p) for p in written]
