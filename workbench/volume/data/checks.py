"""What a volume must be before a network sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Image


def require_volume(image: Image) -> Image:
    """Return the image if it is a volume with a place in the world; a clear error for pictures and single slices."""
    shape = image.geometry.shape
    where = image.source or image.name
    if image.kind != "volume" or len(shape) != 3 or min(shape) < 2:
        size = " x ".join(str(n) for n in shape)
        raise InputError(
            f"{where}: this is a 2-D image ({size}), a volume with at least 2 voxels along each of 3 axes was expected."
            " Give the 3-D file, or the folder of the whole DICOM series."
        )
    if image.geometry.affine is None:
        raise GeometryError(f"{where}: the file gives no voxel spacing or position. Export it with its geometry.")
    return image


def require_finite(array: npt.NDArray[Any], source: Path | str | None) -> None:
    """Refuse NaN and infinite samples, saying how many there are."""
    if array.dtype.kind != "f":
        return
    # A sum is NaN or infinite if any sample is; counting, which needs memory, happens only then.
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum(dtype=np.float64)
    if not np.isfinite(total):
        bad = int(array.size - np.isfinite(array).sum())
        if bad:
            raise InputError(
                f"{source or 'the image'}: {bad} of {array.size} voxels are NaN or infinite, expected finite numbers."
                " Replace them (e.g. by the value of air) and try again."
            )
