"""What a volume must be before a network sees it."""

from __future__ import annotations

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
