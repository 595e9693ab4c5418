"""A prediction beside its reference, in the three planes where they differ most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.types import Image
from workbench.report.pictures import contours
from workbench.volume.data.grid import Grid


def comparison(
    image: Image,
    predicted: npt.NDArray[np.integer[Any]],
    reference: npt.NDArray[np.integer[Any]] | None,
    classes: ClassTable,
    *,
    title: str = "",
) -> bytes:
    """PNG of axial, coronal and sagittal planes with outlines.

    Parameters
    ----------
    image
        The volume; CT is shown in the window -160 to 240 HU.
    predicted, reference
        Label maps in the voxel order of the file. Without a reference the planes go through the middle of what was
        found.
    """
    grid = Grid.plan(image.geometry, "RAS")
    pixels, found = grid.orient(image.data)[0], grid.orient(predicted)
    spacing = grid.spacing or (1.0, 1.0, 1.0)
    maps = {"prediction": found}
    interesting = found > 0
    if reference is not None:
        wanted = grid.orient(reference)
        maps = {"reference": wanted, "prediction": found}
        interesting = found != wanted
        if not interesting.any():
            interesting = wanted > 0
    at = [_fullest(interesting, axis) for axis in range(3)]
    window = (-160.0, 240.0) if image.value_unit == "HU" or image.modality == "CT" or pixels.min() < -500 else None
    return contours(pixels, maps, classes, spacing_mm=spacing, at=at, window=window, title=title)


def _fullest(mask: npt.NDArray[np.bool_], axis: int) -> int:
    """Index of the plane across `axis` that holds most; the middle one of an empty mask."""
    counts = mask.sum(axis=tuple(a for a in range(3) if a != axis))
    return int(counts.argmax()) if counts.any() else mask.shape[axis] // 2
