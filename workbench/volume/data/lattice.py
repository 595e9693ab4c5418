"""Label maps that are stored otherwise than their image: turned, flipped, padded or cropped on the same lattice.

Two volumes share a lattice when the voxel centres of one are voxel centres of the other. Then a map goes from one to
the other by permuting, flipping, cropping and filling with 0: no value is computed. Anything else needs resampling,
which changes the map and is done only when asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.types import Geometry, Labels
from workbench.data.geometry import describe, orientation

_CUT = "; labels reach the border of the map, and all that lies beyond it counts as background"
_TOLERANCE = 1e-3
"""Voxels by which any corner may be off: what headers in float32 cost, the same as for equal grids."""


def steps_between(found: Geometry, expected: Geometry) -> npt.NDArray[np.int64] | None:
    """The map from indices of `found` to indices of `expected`, where both are of one lattice.

    Returns
    -------
    (3, 4) int64 or None
        A signed permutation of the axes and an offset in voxels; None where the lattices differ, or a volume has no
        affine.
    """
    if found.affine is None or expected.affine is None or found.ndim != 3 or expected.ndim != 3:
        return None
    exact = np.linalg.solve(expected.affine, found.affine)[:3]
    steps = np.rint(exact)
    turn = np.abs(steps[:, :3])
    if not ((turn.sum(axis=0) == 1).all() and (turn.sum(axis=1) == 1).all()):
        return None
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in found.shape], indexing="ij")).reshape(3, -1)
    off = np.abs((exact - steps) @ np.vstack([corners, np.ones(corners.shape[1])])).max()
    return steps.astype(np.int64) if off <= _TOLERANCE else None


def onto(labels: Labels, expected: Geometry, *, lose: bool = False, whole: bool = False) -> Labels | None:
    """The label map on the grid of its image, value for value; None where the lattices differ.

    Voxels of the image that the map does not cover become 0; what is done is in ``notes``.

    Parameters
    ----------
    labels
        Three-dimensional.
    expected
        Grid of the image.
    lose
        Leave out labelled voxels that lie outside of the image; ``notes`` says how many.
    whole
        What the map does not cover is empty for sure, as in formats that leave out empty slices.

    Raises
    ------
    GeometryError
        Labelled voxels lie outside of the image: more often a wrong header, or the map of another image, than a crop.
    """
    steps = steps_between(labels.geometry, expected)
    if steps is None:
        return None
    order = [int(np.argmax(np.abs(steps[axis, :3]))) for axis in range(3)]
    turned = labels.data.transpose(order)
    places: list[slice] = []
    taken: list[slice] = []
    for axis, source in enumerate(order):
        offset, n = int(steps[axis, 3]), turned.shape[axis]
        if steps[axis, source] < 0:
            turned = np.flip(turned, axis)
            offset -= n - 1
        low, high = max(0, offset), min(expected.shape[axis], offset + n)
        places.append(slice(low, max(low, high)))
        taken.append(slice(low - offset, max(low, high) - offset))
    out: npt.NDArray[Any] = np.zeros(expected.shape, labels.data.dtype)
    inside = turned[tuple(taken)]
    out[tuple(places)] = inside
    labelled = int(np.count_nonzero(turned))
    lost = labelled - int(np.count_nonzero(inside))
    if lost and not lose:
        raise GeometryError(
            f"{lost} of {labelled} labelled voxels lie outside of the image: found {describe(labels.geometry)}, "
            f"expected {describe(expected)}. Give the map of this image; resampling it leaves them out."
        )
    is_cut = not whole and _is_cut(inside, places, expected.shape)
    said = _said(labels.geometry, expected, lost) + (_CUT if is_cut else "")
    return replace(labels, data=out, geometry=expected, notes=(*labels.notes, said))


def _is_cut(inside: npt.NDArray[Any], places: list[slice], shape: tuple[int, ...]) -> bool:
    """Whether labels lie where the map ends inside of the image: then there may be more of them beyond."""
    faces = [inside.take(0, axis) for axis, p in enumerate(places) if p.start > 0 and inside.size]
    faces += [inside.take(-1, axis) for axis, p in enumerate(places) if p.stop < shape[axis] and inside.size]
    return any(face.any() for face in faces)


def resampled(labels: Labels, expected: Geometry) -> Labels:
    """The label map on another grid, each voxel with the value of the nearest voxel of the map; 0 outside of it.

    Both need an affine. The map changes at its borders by up to half a voxel: ``notes`` says so.
    """
    from scipy.ndimage import affine_transform

    assert labels.geometry.affine is not None
    assert expected.affine is not None
    back = np.linalg.solve(labels.geometry.affine, expected.affine)
    out = affine_transform(
        labels.data, back[:3, :3], back[:3, 3], output_shape=expected.shape, order=0, mode="grid-constant", cval=0
    )
    note = (
        f"the label map ({describe(labels.geometry)}) was resampled to the grid of its image ({describe(expected)}), "
        "each voxel with the nearest label: borders moved by up to half a voxel"
    )
    return replace(labels, data=out, geometry=expected, notes=(*labels.notes, note))


def _said(found: Geometry, expected: Geometry, lost: int) -> str:
    was, now = orientation(found.affine), orientation(expected.affine)
    words = [f"turned from {was} to {now}"] if was != now else []
    sizes = [sorted(g.shape) for g in (found, expected)]
    if sizes[0] != sizes[1] or not words:
        words.append(f"cropped and filled with 0 from {_size(found)} to {_size(expected)} voxels")
    outside = f"; {lost} labelled voxel(s) lie outside of the image and were left out" if lost else ""
    return f"the label map was {' and '.join(words)}, voxel for voxel{outside}"


def _size(geometry: Geometry) -> str:
    return " x ".join(str(n) for n in geometry.shape)
