"""Checks on the geometry of volumes, and words for it. NumPy only: opening a header must stay cheap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError, InputError
from workbench.core.fitting import fits
from workbench.core.types import Geometry, Image

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM and ITK point to the left and the back, NIfTI to the right and the front: negating x and y is exact."""

MAX_BYTES = 64 * 1024**3
"""No volume larger than this is loaded: a header that promises more is broken or hostile."""

MAX_DEFLATE_RATIO = 1040  # DEFLATE cannot pack better than 1032:1
_POSITIVE, _NEGATIVE = "RAS", "LPI"


def checked_affine(affine: npt.ArrayLike, source: Path | str, field: str) -> npt.NDArray[np.float64]:
    """Return the affine as float64 (4, 4), or say what is wrong with it.

    Parameters
    ----------
    affine
        (4, 4) index -> world.
    source
        File named in the error.
    field
        Header field the affine comes from, named in the error.

    Raises
    ------
    GeometryError
        If a number is NaN or infinite, if an axis has zero length, or if the axes are not independent.
    """
    a = np.array(affine, dtype=np.float64)
    if a.shape != (4, 4):
        raise GeometryError(f"{source}: {field} has shape {a.shape}, expected (4, 4). Export the volume again.")
    if not np.isfinite(a).all():
        raise GeometryError(f"{source}: {field} holds NaN or infinite numbers. Correct this header field.")
    lengths = np.sqrt((a[:3, :3] ** 2).sum(axis=0))
    if (lengths <= 1e-9).any():
        axis = "ijk"[int(np.argmin(lengths))]
        raise GeometryError(f"{source}: {field} gives zero spacing along axis {axis}. Correct this header field.")
    # |det| of the unit axes is the volume they span: 1 when orthogonal, 0 when they lie in one plane.
    if abs(np.linalg.det(a[:3, :3] / lengths)) < 1e-4:
        raise GeometryError(
            f"{source}: {field} is singular (its axes lie in one plane), expected three independent axes."
            " Correct this header field."
        )
    return a


def check_size(shape: tuple[int, ...], channels: int, dtype: np.dtype[Any], source: Path | str) -> int:
    """Bytes of the decoded array; refuses empty shapes and more than `MAX_BYTES`, with the arithmetic."""
    if any(n < 1 for n in shape) or channels < 1:
        raise InputError(
            f"{source}: the header promises shape {shape} with {channels} channel(s), so no voxels at all."
        )
    size = int(channels) * int(dtype.itemsize)
    for n in shape:
        size *= int(n)
    if size > MAX_BYTES:
        sides = " x ".join(str(n) for n in (*shape, channels))
        raise InputError(
            f"{source}: the header promises {sides} voxels x {dtype.itemsize} bytes = {size / 1024**3:.4g} GiB, "
            f"more than the limit of {MAX_BYTES // 1024**3} GiB. The header is damaged, or the volume needs cropping."
        )
    return size


def check_packed(needed: int, path: Path) -> None:
    """Refuse a gzip or zlib file that is too small to hold `needed` bytes, before memory is taken for them."""
    size = path.stat().st_size
    if needed > size * MAX_DEFLATE_RATIO:
        raise InputError(
            f"{path}: {size} bytes of gzip can hold at most {size * MAX_DEFLATE_RATIO} bytes, the header promises"
            f" {needed}. The header is damaged."
        )


def orientation(affine: npt.NDArray[np.float64] | None) -> str | None:
    """Direction in which each array axis mostly points, e.g. ``"LPS"``; ``None`` without an affine.

    Each world axis is given to one array axis, largest component first, so oblique volumes get three different letters.
    """
    if affine is None:
        return None
    m = np.array(affine[:3, :3], dtype=np.float64)
    m /= np.maximum(np.sqrt((m**2).sum(axis=0)), 1e-30)
    # The nearest rotation, so that shears do not decide (as in nibabel.orientations.io_orientation).
    u, _, vt = np.linalg.svd(m)
    r = u @ vt
    letters = [""] * 3
    free = np.abs(r)
    for _ in range(3):
        world, axis = np.unravel_index(int(np.argmax(free)), free.shape)
        letters[axis] = (_POSITIVE if r[world, axis] > 0 else _NEGATIVE)[world]
        free[world, :] = -1.0
        free[:, axis] = -1.0
    return "".join(letters)


def is_sheared(geometry: Geometry) -> bool:
    """Whether axes stand more than about 0.06 degrees off the right angle."""
    if geometry.affine is None:
        return False
    axes = geometry.affine[:-1, :-1] / np.sqrt((geometry.affine[:-1, :-1] ** 2).sum(axis=0))
    return bool(np.abs(axes.T @ axes - np.eye(len(axes))).max() > 1e-3)


def world(affine: npt.NDArray[np.float64], index: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """World positions (n, 3) of voxel indices (n, 3)."""
    return np.asarray(index, dtype=np.float64) @ affine[:3, :3].T + affine[:3, 3]


def describe(geometry: Geometry) -> str:
    """One line for people: ``512 x 512 x 20, 0.977 x 0.977 x 2 mm, LPS``."""
    size = " x ".join(str(n) for n in geometry.shape)
    if geometry.spacing is None:
        return f"{size}, no spacing"
    step = " x ".join(f"{s:.4g}" for s in geometry.spacing)
    where = f", {orientation(geometry.affine)}" if geometry.ndim == 3 else ""
    return f"{size}, {step} {geometry.unit}{where}"


def require_match(found: Geometry, expected: Geometry, what: str, source: Path | str | None) -> None:
    """Refuse `found` unless it is the grid of `expected`."""
    if found.matches(expected):
        return
    raise GeometryError(
        f"{what} does not lie on the grid of {source or 'its image'}: found {describe(found)}{_origin(found)}, "
        f"expected {describe(expected)}{_origin(expected)}. Nothing was written; resample it to the image first."
    )


def require_fit(found: Geometry, image: Image, what: str) -> None:
    """Refuse a map unless it lies on its image: on its grid, or within the area of one with a pyramid."""
    if image.pyramid is None:
        require_match(found, image.geometry, what, image.source)
    elif not fits(found, image):
        raise GeometryError(
            f"{what} does not lie within {image.source or image.name}: found {describe(found)}{_origin(found)}, the "
            f"image has {describe(image.geometry)}. Nothing was written."
        )


def _origin(geometry: Geometry) -> str:
    if geometry.affine is None:
        return ""
    return " at (" + ", ".join(f"{v:.6g}" for v in geometry.affine[:-1, -1]) + ")"
