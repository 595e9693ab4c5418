"""The small picture of a volume: one axial plane as on a radiology workstation, with the classes over it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.layers import contrast_limits, count_labels
from workbench.core.levels import slabs
from workbench.core.preview import LONG_SIDE, first_labels, fitted, gray, nearest, painted, png_of, smooth
from workbench.core.types import Image, Result
from workbench.volume.placement import Placement, place

SMALL = 16 << 20
LARGE = 256 << 20
"""Bytes of samples: smaller volumes are read whole where nobody holds them, larger ones only plane by plane."""
_COUNTED = 1 << 18
_NO_IMAGE = 32
_ENLARGED = 24
"""Pixels of a picture along a voxel at most: more shows nothing more."""


def preview(result: Result) -> bytes:
    """PNG of the axial plane through the middle of the largest class, else through the middle of the volume.

    The patient's right is on the left side, the front at the top; proportions are those in millimetres. Where the
    samples are no longer in memory only the plane is read, and where that cannot be done of a large file the classes
    are shown alone.
    """
    image, labels = result.image, first_labels(result)
    spot = place(image.geometry)
    axis, planes = spot.order[0], spot.layer_shape[0]
    number = None if labels is None else _middle_of_largest(labels.data, axis)
    at = planes // 2 if number is None else planes - 1 - number if spot.flips[0] else number
    _, tall, wide = (np.array(image.geometry.spacing or (1.0, 1.0, 1.0))[list(spot.order)] * spot.layer_shape).tolist()
    rows, columns = fitted(tall, wide, min(LONG_SIDE, _ENLARGED * max(spot.layer_shape[1:])))
    plane = _plane(image, spot, at)
    if plane is None:
        picture = np.full((rows, columns), _NO_IMAGE, np.uint8)
    else:
        limits, _ = contrast_limits(plane, modality=image.modality, value_unit=image.value_unit)
        picture = smooth(gray(plane, limits), rows, columns)
    pixels = np.repeat(picture[..., None], 3, axis=2)
    if labels is not None:
        pixels = painted(pixels, nearest(spot.to_layer(labels.data)[at], rows, columns), labels.classes)
    return png_of(pixels)


def _middle_of_largest(values: npt.NDArray[Any], axis: int) -> int | None:
    """The plane across that axis with as much of the largest class before it as behind it."""
    step = math.ceil(math.cbrt(values.size / _COUNTED))
    # Of a large map every so many voxels say which class is the largest; a class that they all miss is not.
    counts = _positive(values[::step, ::step, ::step]) or _positive(values)
    if not counts:
        return None
    largest = max(counts, key=lambda v: (counts[v], -v))
    others = tuple(a for a in range(values.ndim) if a != axis)
    found = np.zeros(values.shape[axis], np.int64)
    for part in slabs(values.shape):
        found[part if axis == 0 else slice(None)] += np.count_nonzero(values[part] == largest, axis=others)
    sums = np.cumsum(found)
    return int(np.searchsorted(sums, sums[-1] / 2))


def _positive(values: npt.NDArray[Any]) -> dict[int, int]:
    return {v: n for v, n in count_labels(values).items() if v > 0}


def _plane(image: Image, spot: Placement, at: int) -> npt.NDArray[Any] | None:
    """One plane of the first channel in the order of a layer; ``None`` where it would take too much to read."""
    size = len(image.channels) * int(np.prod(image.geometry.shape, dtype=np.int64)) * image.dtype.itemsize
    axis, alone = spot.order[0], None
    if not image.is_loaded and size > SMALL:
        number = spot.layer_shape[0] - 1 - at if spot.flips[0] else at
        alone = _read_plane(image, axis, number) if image.is_unchanged else None
        if alone is None and size > LARGE:
            return None
    if alone is not None:
        at, whole = 0, alone.reshape([1 if a == axis else n for a, n in enumerate(image.geometry.shape)])
    else:
        whole = image.samples()[0]
    found: npt.NDArray[Any] = spot.to_layer(whole)[at]
    return found


def _read_plane(image: Image, axis: int, number: int) -> npt.NDArray[Any] | None:
    """One plane of the file, where its format lets that be read alone."""
    from workbench.volume.data import dicom, dicom_pixels, nifti

    path = image.source
    if image.format == "nifti" and path is not None and len(image.all_files) == 1 and image.geometry.shape[2] > 1:
        return nifti.read_plane(path, axis, number)
    native = image.native
    if isinstance(native, dicom.Native) and axis == 2 and native.stack.even is None:
        plane = native.stack.planes[number]
        if plane.frames == 1 and len(image.files) == len(native.stack.planes):
            first: npt.NDArray[Any] = dicom_pixels.load_plane(native.stack, number, len(image.channels), image.dtype)[0]
            return first
    return None
