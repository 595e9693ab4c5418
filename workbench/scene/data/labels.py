"""Ground truth of spectral scenes: class maps in every format of cubes, and abundances turned into classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Geometry, Image, Labels
from workbench.data.geometry import require_match
from workbench.data.label_values import whole_numbers
from workbench.scene.data.crs import require_same_map
from workbench.scene.data.scene import ignore_of, is_value, no_number

PURE = 0.7
"""A pixel whose largest abundance is below this is a mixture and gets no label."""


def labels_of(image: Image, reference: Geometry | None = None) -> Labels:
    """The label map that a file of one band holds; several bands of abundances give their largest.

    Parameters
    ----------
    image
        One band of whole numbers (0: no label), or several bands of fractions 0 to 1 that add up to 1 in each pixel.
    reference
        Grid of the scene. A map without a position takes the one of the scene.

    Raises
    ------
    GeometryError
        If the map has another size than the scene, or lies elsewhere.
    InputError
        If the samples are neither whole numbers nor abundances.
    """
    geometry, said = (image.geometry, ()) if reference is None else _same_grid(image, reference)
    notes = (*image.notes, *said)
    if len(image.channels) > 1:
        data = largest_abundance(image.data, str(image.source))
        nameless = all(re.fullmatch(r"band \d+.*", name) for name in image.channels)
        values = list(range(1, len(image.channels) + 1))
        named = ClassTable.from_values(values) if nameless else ClassTable.from_names(image.channels)
        return Labels(data, geometry, named, image.name, notes)
    data = whole_numbers(_without_empty(image), image.source or image.name)
    classes = image.classes
    ignore = ignore_of(image)
    if ignore and classes is None and (zeros := int(is_value(image.data[0], 0.0).sum())):
        notes = (
            *notes,
            f"{zeros} pixels are 0, and the file's no-data value is {ignore:g}: 0 is no label here; give a class of 0"
            " another value",
        )
    present = [int(v) for v in np.unique(data) if v > 0]
    if classes is None:
        colors = image.header.get("colormap") or {}
        classes = ClassTable(tuple(_colored(c, colors) for c in ClassTable.from_values(present)))
    elif present and present[-1] > max((c.value for c in classes), default=0):
        raise InputError(
            f"{image.source}: holds the class {present[-1]}, its header names only {len(classes)} classes. Correct"
            " 'class names' and 'classes'."
        )
    return Labels(data, geometry, classes, image.name, notes)


def _without_empty(image: Image) -> npt.NDArray[Any]:
    """The one band, 0 where the file says that there is no data: by a mask, or by its own value for that."""
    band: npt.NDArray[Any] = image.data[0]
    ignore = ignore_of(image)
    empty = np.zeros(band.shape, bool)
    if image.header.get("masked") and band.dtype.kind == "f":
        empty |= np.isnan(band)
    empty |= is_value(band, ignore)
    if ignore is not None:  # of -3.4e+38 a header gives a few digits
        empty |= no_number(band)
    return np.where(empty, np.zeros((), band.dtype), band) if empty.any() else band


def _colored(info: ClassInfo, colors: Mapping[str, Sequence[int]]) -> ClassInfo:
    """The class in the colour of the file's palette, if it has one."""
    if str(info.value) not in colors:
        return info
    r, g, b = colors[str(info.value)]
    return replace(info, color=(r, g, b))


def largest_abundance(data: npt.NDArray[Any], source: str, *, pure: float = PURE) -> npt.NDArray[np.uint16]:
    """Class map (rows, columns) of abundances (classes, rows, columns): the largest, 0 where it is below `pure`."""
    values = np.asarray(data, dtype=np.float64)
    total = values.sum(axis=0)
    # Unmixing leaves rounding errors; a scene of reflectances does not add up to one everywhere.
    if not np.isfinite(values).all() or values.min() < -0.01 or np.abs(total - 1).max() > 0.05:
        raise InputError(
            f"{source}: a label map has one band of whole numbers, or abundances that add up to 1 in every pixel; found"
            f" {values.shape[0]} bands of {values.min():.4g} to {values.max():.4g}."
        )
    best = values.argmax(axis=0) + 1
    return np.where(values.max(axis=0) < pure, 0, best).astype(np.uint16)


def _same_grid(image: Image, reference: Geometry) -> tuple[Geometry, tuple[str, ...]]:
    found = image.geometry
    if found.shape != reference.shape:
        hint = " It looks transposed." if found.shape == tuple(reversed(reference.shape)) else ""
        raise GeometryError(
            f"{image.source}: the label map has {_size(found)}, the scene has {_size(reference)}.{hint} Give the map of"
            " this scene."
        )
    if found.affine is not None and reference.affine is not None:
        require_match(found, reference, f"label map {image.source}", None)
        return reference, require_same_map(found, reference, str(image.source))
    return reference, ()


def _size(geometry: Geometry) -> str:
    return f"{geometry.shape[0]} rows x {geometry.shape[1]} columns"
