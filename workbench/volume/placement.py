"""Where a volume lies in the world of a viewer, and how its array is turned so that people see it as they expect.

Files keep their voxels in any axis order and direction (RAS, LPI, ...). A viewer of arrays shows axis 0 as the stack
and axes 1 and 2 as rows and columns. So the voxel axes are permuted and flipped, as views, to the closest order of

    (S, P, L) = head, back, left of the patient, in millimetres

which is DICOM's LPS world read backwards. Rows run to the back and columns to the patient's left: an axial slice looks
as on a radiology workstation, spine at the bottom and the patient's left on the right side of the screen. What the
turn cannot express (spacing, obliqueness, position) stays in a 4x4 matrix: nothing is resampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.levels import linear_of
from workbench.core.types import Geometry

Matrix = npt.NDArray[np.float64]

# RAS+ (our geometry) -> (S, P, L); its own inverse would be its transpose.
RAS_TO_SPL: Matrix = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)

# A viewer's matrix may differ from the true one by this part of a voxel (see `Geometry.matches`); the file's own affine
# is kept apart and goes back untouched. Without it the rounding of a float32 header would count as an oblique scan.
_SNAP_VOXELS = 1e-3


@dataclass(frozen=True, eq=False)
class Placement:
    """How an array in file order becomes the array of a layer.

    Parameters
    ----------
    shape
        Shape of the array in file order.
    order
        ``order[d]`` is the file axis shown as layer axis ``d``.
    flips
        Whether layer axis ``d`` runs against its file axis.
    world
        (4, 4) float64, layer index -> (S, P, L) [mm]; identity-like in voxels where the file gives no position.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    flips: tuple[bool, ...]
    world: Matrix

    def to_layer(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View of an array ``(*shape)`` in layer order; nothing is copied."""
        return array.transpose(self.order)[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]

    def to_file(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View of a layer's array in file order: the inverse of `to_layer`, bit for bit."""
        back = array[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]
        return back.transpose(np.argsort(self.order))

    @property
    def layer_shape(self) -> tuple[int, ...]:
        return tuple(self.shape[a] for a in self.order)

    @property
    def index_matrix(self) -> Matrix:
        """(4, 4) layer index -> file index."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for d, (axis, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            matrix[axis, d] = -1 if flip else 1
            matrix[axis, 3] = self.shape[axis] - 1 if flip else 0
        return matrix


def place(geometry: Geometry) -> Placement:
    """Turn a volume's geometry to the closest (S, P, L) order.

    Raises
    ------
    GeometryError
        If the geometry is not three-dimensional or its affine is singular.
    """
    if geometry.ndim != 3:
        raise GeometryError(f"a volume of 3 axes is expected, this one has shape {geometry.shape}")
    if geometry.affine is None:
        # No position: last file axis first, as for any array read in Fortran order; the world is counted in voxels.
        return Placement(geometry.shape, (2, 1, 0), (False, False, False), np.eye(4))
    to_world = RAS_TO_SPL @ np.asarray(geometry.affine, dtype=np.float64)
    linear = to_world[:3, :3]
    lengths = np.sqrt((linear**2).sum(axis=0))
    if not np.isfinite(to_world).all() or abs(np.linalg.det(linear)) <= 1e-9 * max(lengths.prod(), 1e-30):
        raise GeometryError(f"the affine {np.asarray(geometry.affine).tolist()} is singular; it places no volume")
    cosines = np.abs(linear) / lengths
    order = max(permutations(range(3)), key=lambda p: sum(cosines[d, axis] for d, axis in enumerate(p)))
    flips = tuple(bool(linear[d, axis] < 0) for d, axis in enumerate(order))
    turned = Placement(geometry.shape, order, flips, np.eye(4))
    return Placement(geometry.shape, order, flips, to_world @ turned.index_matrix)


def transform_attributes(world: Matrix, shape: Sequence[int]) -> dict[str, Any]:
    """Layer attributes for a 4x4 layer index -> world matrix.

    Upright volumes get ``scale`` and ``translate`` only, which every plugin understands; oblique ones get their spacing
    as ``scale`` and the rest (rotation, shear, position) as ``affine``.
    """
    linear, offset = world[:3, :3], world[:3, 3]
    spacing = np.sqrt((linear**2).sum(axis=0))
    oblique = linear - np.diag(np.diag(linear))
    reach = np.abs(oblique) @ np.maximum(np.asarray(shape, dtype=float) - 1, 1)
    if reach.max() <= _SNAP_VOXELS * spacing.min() and (np.diag(linear) > 0).all():
        return {"scale": tuple(np.diag(linear).tolist()), "translate": tuple(offset.tolist())}
    affine = np.eye(4)
    affine[:3, :3] = linear / spacing
    affine[:3, 3] = offset
    return {"scale": tuple(spacing.tolist()), "affine": affine}


def layer_world(attributes: Mapping[str, Any], ndim: int = 3) -> Matrix:
    """Layer index -> layer world of any layer, from *all* its parts: affine · (translate, rotate · shear · scale).

    Parameters
    ----------
    attributes
        As in a layer-data tuple: any of ``scale, translate, rotate, shear, affine``; missing ones do nothing.
    ndim
        Number of layer axes; the last three count.

    Returns
    -------
    ndarray, (4, 4) float64
        In the units of the layer.
    """
    inner = np.eye(ndim + 1)
    inner[:ndim, :ndim] = linear_of(attributes, ndim)
    shift = np.asarray(attributes.get("translate", ()), dtype=float).ravel()
    inner[ndim - len(shift) : ndim, ndim] = shift
    outer = np.eye(ndim + 1)
    affine = attributes.get("affine")
    if affine is not None:
        # A napari Affine object carries its matrix; tuples and arrays are the matrix.
        matrix = np.asarray(getattr(affine, "affine_matrix", affine), dtype=float)
        n = matrix.shape[0] - 1
        outer[ndim - n : ndim, ndim - n : ndim] = matrix[:n, :n]
        outer[ndim - n : ndim, ndim] = matrix[:n, n]
    full = outer @ inner
    keep = [*range(ndim - 3, ndim), ndim]
    return np.ascontiguousarray(full[np.ix_(keep, keep)])


def millimetres_per_unit(units: Any, ndim: int = 3) -> Matrix | None:
    """Factor to mm for each of the last three axes, or ``None`` where a layer has no length unit (pixels).

    Raises
    ------
    GeometryError
        If a unit is neither a length nor pixels, or only some axes have a length.
    """
    if units is None:
        return None
    names = [units] * ndim if isinstance(units, str) else list(units)
    factors = [_millimetres(u) for u in names[-3:]]
    if all(f is None for f in factors):
        return None
    if len(factors) != 3 or any(f is None for f in factors):
        raise GeometryError(f"units {', '.join(map(str, names))}: give all three axes a length, e.g. mm")
    return np.array(factors, dtype=float)


def _millimetres(unit: Any) -> float | None:
    import pint

    registry: Any = pint.get_application_registry()  # type: ignore[no-untyped-call]
    try:
        quantity = registry.Quantity(1, str(unit))
    except pint.UndefinedUnitError as error:
        raise GeometryError(f"unit '{unit}' is not known; set the layer's units to a length, e.g. mm") from error
    if quantity.check("[length]"):
        return float(quantity.to("mm").magnitude)
    if quantity.dimensionless or str(quantity.units) == "pixel":
        return None
    raise GeometryError(f"unit '{unit}' is not a length; set the layer's units to a length, e.g. mm")


def world_to_ras(world: Matrix) -> Matrix:
    """Layer index -> (S, P, L) turned into layer index -> RAS+."""
    return RAS_TO_SPL.T @ world
