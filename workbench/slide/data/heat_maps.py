"""Maps over a slide (a value per tile, a mask at low power) as OME-TIFF that lies where it belongs.

The size of a pixel and the place of the first one stand in OME-XML (PhysicalSize, PositionX, PositionY), in micrometres
of the slide: https://docs.openmicroscopy.org/ome-model/.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.core.types import Geometry, Heatmap, Labels
from workbench.data.label_values import smallest_unsigned

_OURS = "workbench "
"""So begins what OME-XML says of a map of ours."""
_LEAST_LEVEL = 512
_TILE = 256


def write_map(path: Path, part: Labels | Heatmap) -> None:
    """Write a map, with coarser levels where it is large; NaN stays where there is no value."""
    import tifffile

    levels = levels_of(part)
    data = levels[0]
    with tifffile.TiffWriter(path, bigtiff=data.nbytes > 3 << 30, ome=True) as file:
        options: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
        if min(data.shape) >= _TILE:
            options["tile"] = (_TILE, _TILE)
        file.write(levels[0], subifds=len(levels) - 1, metadata=_metadata(part), **options)
        for level in levels[1:]:
            file.write(level, subfiletype=1, **options)


def levels_of(part: Labels | Heatmap) -> list[npt.NDArray[Any]]:
    """The map as float32, or its labels in the smallest type that holds them, and coarser ones to 512 pixels."""
    labels = isinstance(part, Labels)
    data: npt.NDArray[Any] = smallest_unsigned(part.data, part.name) if labels else np.asarray(part.data, np.float32)
    levels = [data]
    while min(levels[-1].shape) > _LEAST_LEVEL:
        levels.append(np.ascontiguousarray(levels[-1][::2, ::2]) if labels else _halved(levels[-1]))
    return levels


def _metadata(part: Labels | Heatmap) -> dict[str, Any]:
    """What OME-XML says of a map."""
    about: dict[str, Any] = {"axes": "YX", "Name": part.name}
    facts: dict[str, Any] = {"name": part.name}
    if isinstance(part, Labels):
        facts["classes"] = part.classes.to_json()
    elif part.unit:
        facts["unit"] = part.unit
    affine, unit = part.geometry.affine, part.geometry.unit
    if affine is not None and unit == "um":
        # The place of the centre of its first pixel, counted from that of the slide's.
        facts["affine"] = np.asarray(affine).tolist()
        about |= {"PhysicalSizeX": float(affine[1, 1]), "PhysicalSizeXUnit": "µm"}
        about |= {"PhysicalSizeY": float(affine[0, 0]), "PhysicalSizeYUnit": "µm"}
        place = {"PositionX": float(affine[1, 2]), "PositionXUnit": "µm"}
        about["Plane"] = place | {"PositionY": float(affine[0, 2]), "PositionYUnit": "µm"}
    # By default it would be another at every writing, and equal maps other bytes.
    seed = hashlib.sha256(part.data.tobytes() + json.dumps(facts).encode()).digest()
    about["UUID"] = f"urn:uuid:{uuid.UUID(bytes=seed[:16])}"
    about["Description"] = _OURS + json.dumps(facts)
    return about


def _halved(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Means of 2 x 2 values; of those that are there."""
    import warnings

    rows, columns = data.shape
    filled = np.pad(data, ((0, rows % 2), (0, columns % 2)), constant_values=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN
        halved: npt.NDArray[Any] = np.nanmean(filled.reshape(-(-rows // 2), 2, -1, 2), axis=(1, 3))
    return halved.astype(data.dtype)


def is_map(path: Path) -> bool:
    """Whether a TIFF is a map of ours, by its header."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return _OURS + "{" in (file.ome_metadata or "")
    except (OSError, ValueError, tifffile.TiffFileError):
        return False


def read_any_map(path: Path) -> tuple[npt.NDArray[Any], Geometry, dict[str, Any]]:
    """A map of ours, where it lies, and what it says of itself: name, classes or unit.

    Raises
    ------
    InputError
        It is no such file.
    """
    return _read(path)


def read_map(path: Path) -> tuple[npt.NDArray[Any], Geometry]:
    """A map of ours again, and where it lies.

    Raises
    ------
    InputError
        It is no such file.
    """
    data, geometry, _ = _read(path)
    return data, geometry


def read_labels(path: Path) -> Labels:
    """A mask or class map of ours again, with its classes.

    Raises
    ------
    InputError
        It is no such file, or a map of values.
    """
    data, geometry, facts = _read(path)
    if "classes" not in facts or data.dtype.kind not in "bui":
        raise InputError(f"{path}: is a map of values; expected a mask or class map (tissue.ome.tif, say).")
    return Labels(data, geometry, ClassTable.from_json(facts["classes"]), str(facts.get("name", path.stem)))


def _read(path: Path) -> tuple[npt.NDArray[Any], Geometry, dict[str, Any]]:
    import xml.etree.ElementTree as ElementTree

    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            data = file.series[0].levels[0].asarray()
            text = file.ome_metadata or ""
        found = next(e for e in ElementTree.fromstring(text).iter() if e.tag.rpartition("}")[2] == "Description")
        facts = json.loads((found.text or "").removeprefix(_OURS))
        affine = np.array(facts["affine"], np.float64) if "affine" in facts else None
    except (OSError, ValueError, KeyError, StopIteration, ElementTree.ParseError, tifffile.TiffFileError) as error:
        raise InputError(
            f"{path}: is no map of the workbench (OME-TIFF, as it writes tissue). Masks of other programs: as "
            "outlines (GeoJSON)."
        ) from error
    return data, Geometry((data.shape[0], data.shape[1]), affine, ("y", "x"), None if affine is None else "um"), facts
