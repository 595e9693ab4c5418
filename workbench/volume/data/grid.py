"""The grid a network works on: the image's axes turned to a given orientation and resampled to a given spacing.

Turning only permutes and flips axes, to the nearest orientation, so it is exact. Resampling keeps both ends of the
field of view: the spacing is adjusted by the fraction of a voxel that is needed for whole voxels to fill it, and the
affine says so. Down-sampling averages over the coarse voxel, up-sampling interpolates linearly.

>>> grid = Grid.plan(image.geometry, "RAS", (1.5, 1.5, 1.5))
>>> volume = grid.resample(grid.orient(image.data))             # (C, *grid.shape) float32
>>> labels = grid.unorient(labels_on_grid_oriented_shape)       # back in file order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError, UsageError
from workbench.core.types import Geometry

Floats: TypeAlias = npt.NDArray[np.float32]
Affine: TypeAlias = npt.NDArray[np.float64]
Size3: TypeAlias = tuple[int, int, int]

# Positive direction of each world axis (RAS+) and its opposite.
_CODES = (("R", "L"), ("A", "P"), ("S", "I"))


@dataclass(frozen=True, eq=False)
class Grid:
    """A working grid over a native one; made by `Grid.plan`.

    Parameters
    ----------
    native
        The image's own grid, in file order.
    orientation
        Axis codes of the working axes, e.g. ``"RAS"``; empty if the image has no affine.
    order
        For each working axis, the native axis it runs along.
    flip
        For each working axis, whether it runs against the native axis.
    shape
        Voxels of the working grid.
    affine
        (4, 4) float64 of the working grid, index -> RAS+ mm; ``None`` if the image has none.
    """

    native: Geometry
    orientation: str
    order: Size3
    flip: tuple[bool, bool, bool]
    shape: Size3
    affine: Affine | None

    @classmethod
    def plan(cls, geometry: Geometry, orientation: str = "RAS", spacing_mm: Sequence[float] | None = None) -> Grid:
        """Lay a working grid over an image.

        Parameters
        ----------
        geometry
            Native grid, three axes.
        orientation
            One of the 48 axis codes; the nearest axes of an oblique image are taken.
        spacing_mm
            Wanted spacing along the axes of `orientation`; ``None`` keeps the image's own.

        Raises
        ------
        GeometryError
            If the grid is not 3-D, its affine is singular, or a spacing is wanted and the image has none.
        UsageError
            If `orientation` or `spacing_mm` cannot be.
        """
        if geometry.ndim != 3:
            raise GeometryError(f"expected a volume with 3 axes, found {geometry.ndim} (shape {geometry.shape})")
        _check_codes(orientation)
        if spacing_mm is not None and (len(spacing_mm) != 3 or min(spacing_mm) <= 0):
            raise UsageError(f"spacing_mm {tuple(spacing_mm)}: expected three lengths above 0")
        if geometry.affine is None:
            if spacing_mm is not None:
                raise GeometryError(
                    f"the image has no spacing, but the weights need {tuple(spacing_mm)} mm; set its voxel size first"
                )
            shape = (geometry.shape[0], geometry.shape[1], geometry.shape[2])
            return cls(geometry, "", (0, 1, 2), (False, False, False), shape, None)
        axes = world_axes(geometry.affine)
        by_world = {world: (native, positive) for native, (world, positive) in enumerate(axes)}
        order, flip = [], []
        for code in orientation:
            world = next(i for i, pair in enumerate(_CODES) if code in pair)
            native, positive = by_world[world]
            order.append(native)
            flip.append(positive != (code == _CODES[world][0]))
        oriented = [geometry.shape[a] for a in order]
        turn = np.zeros((4, 4))
        turn[3, 3] = 1.0
        for i, (a, f) in enumerate(zip(order, flip, strict=True)):
            turn[a, i] = -1.0 if f else 1.0
            turn[a, 3] = oriented[i] - 1.0 if f else 0.0
        affine = geometry.affine @ turn
        if spacing_mm is None:
            shape3 = oriented
        else:
            spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
            shape3 = [max(1, round(n * s / t)) for n, s, t in zip(oriented, spacing, spacing_mm, strict=True)]
            step = np.array(oriented) / np.array(shape3)
            scale = np.diag([*step, 1.0])
            scale[:3, 3] = 0.5 * step - 0.5
            affine = affine @ scale
        return cls(
            geometry,
            orientation,
            (order[0], order[1], order[2]),
            (flip[0], flip[1], flip[2]),
            (shape3[0], shape3[1], shape3[2]),
            affine,
        )

    @property
    def oriented_shape(self) -> Size3:
        """Voxels of the native grid in the order of the working axes."""
        s = self.native.shape
        return (s[self.order[0]], s[self.order[1]], s[self.order[2]])

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Spacing of the working grid in mm."""
        if self.affine is None:
            return None
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return (float(x), float(y), float(z))

    @property
    def resampled(self) -> bool:
        """Whether the working voxels differ from the native ones (beyond their order)."""
        return self.shape != self.oriented_shape

    @property
    def _flips(self) -> tuple[Any, ...]:
        return (..., *(slice(None, None, -1 if f else 1) for f in self.flip))

    @property
    def geometry(self) -> Geometry:
        """The working grid as a `Geometry`."""
        return Geometry(self.shape, self.affine, self.native.axes, self.native.unit)

    def orient(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn (C, *native) or (*native) to the working axes, keeping the native voxels: a view."""
        lead = self._lead(array, self.native.shape)
        turned = array.transpose(*range(lead), *(a + lead for a in self.order))
        flipped: npt.NDArray[Any] = turned[self._flips]
        return flipped

    def unorient(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Inverse of `orient`: (C, *oriented_shape) or (*oriented_shape) back to file order, a view."""
        lead = self._lead(array, self.oriented_shape)
        turned: npt.NDArray[Any] = array[self._flips]
        back = np.argsort(self.order)
        return turned.transpose(*range(lead), *(int(a) + lead for a in back))

    def resample(self, array: npt.NDArray[Any], order: Literal["linear", "nearest"] = "linear") -> npt.NDArray[Any]:
        """Oriented native voxels (C, *oriented_shape) -> working voxels (C, *shape).

        ``"linear"`` gives float32; ``"nearest"`` keeps the type and is meant for labels.
        """
        self._lead(array, self.oriented_shape)
        return resize(array, self.shape, order)

    def restore(self, labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Labels on the working grid (*shape) -> file order (*native), nearest voxel."""
        self._lead(labels, self.shape)
        return np.ascontiguousarray(self.unorient(resize(labels, self.oriented_shape, "nearest")))

    @staticmethod
    def _lead(array: npt.NDArray[Any], shape: Sequence[int]) -> int:
        if array.ndim not in (3, 4) or array.shape[-3:] != tuple(shape):
            raise GeometryError(f"array of shape {array.shape} does not lie on the grid {tuple(shape)}")
        return array.ndim - 3


def _check_codes(orientation: str) -> None:
    if len(orientation) != 3 or any(sum(c in pair for c in orientation) != 1 for pair in _CODES):
        raise UsageError(f"orientation {orientation!r}: expected one of R/L, one of A/P and one of S/I, e.g. 'RAS'")


def world_axes(affine: Affine) -> list[tuple[int, bool]]:
    """For each array axis, the nearest world axis (0 R, 1 A, 2 S) and whether it runs in its positive direction.

    Each world axis is given once; the array axes that fit best choose first, as in nibabel's ``io_orientation``.
    Raises `GeometryError` for an affine that is not finite or singular.
    """
    linear = np.asarray(affine, np.float64)[:3, :3]
    spacing = np.sqrt((linear**2).sum(axis=0))
    if not np.isfinite(affine).all() or spacing.min() <= 0 or abs(np.linalg.det(linear / spacing)) < 1e-6:
        raise GeometryError(f"the affine is singular or not finite (spacing {spacing.tolist()}); correct the header")
    # Nearest rotation (or reflection): what remains when shear is taken out.
    left, _, right = np.linalg.svd(linear / spacing)
    rotation = left @ right
    free = np.abs(rotation)
    found = [(0, True)] * 3
    for axis in np.argsort(-(rotation**2).max(axis=0), kind="stable"):
        world = int(np.argmax(free[:, axis]))
        found[axis] = (world, bool(rotation[world, axis] > 0))
        free[world, :] = -1.0
    return found


def axis_matrix(n_in: int, n_out: int) -> Floats:
    """(n_out, n_in) float32 that resamples one axis over the same field of view, ends aligned.

    Linear interpolation when up-sampling; when down-sampling, the mean of the interpolated line over the coarse voxel
    (a blunted triangle), which keeps linear gradients exactly where they are. Rows sum to 1.
    """
    step = n_in / n_out
    centre = (np.arange(n_out)[:, None] + 0.5) * step - 0.5
    offset = np.arange(n_in)[None, :] - centre
    if step <= 1:
        weight = np.maximum(0.0, 1.0 - np.abs(offset))
    else:
        weight = _triangle_integral(offset + step / 2) - _triangle_integral(offset - step / 2)
        weight[weight < 1e-9] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    return weight.astype(np.float32)


def _triangle_integral(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Integral from minus infinity to x of the triangle between -1 and 1."""
    x = np.clip(x, -1.0, 1.0)
    return 0.5 + x - 0.5 * x * np.abs(x)


def bands(matrix: npt.NDArray[Any], block: int = 64) -> list[tuple[slice, slice]]:
    """Cut a banded matrix into blocks of rows with the columns each needs: few multiplications by zero."""
    cuts = []
    for start in range(0, matrix.shape[0], block):
        rows = slice(start, min(start + block, matrix.shape[0]))
        used = np.flatnonzero(matrix[rows].any(axis=0))
        cuts.append((rows, slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 1)))
    return cuts


def resize(
    array: npt.NDArray[Any], shape: Sequence[int], order: Literal["linear", "nearest"] = "linear"
) -> npt.NDArray[Any]:
    """Resample the last three axes to `shape` over the same field of view; see `Grid.resample`."""
    lead = array.ndim - 3
    old = array.shape[lead:]
    if order == "nearest":
        for i, n in enumerate(shape):
            if n != old[i]:
                index = np.minimum(((np.arange(n) + 0.5) * (old[i] / n)).astype(np.intp), old[i] - 1)
                array = np.take(array, index, axis=lead + i)
        return np.ascontiguousarray(array)
    out = np.ascontiguousarray(array, dtype=np.float32)
    # The axis that shrinks most goes first: the others then have less to do.
    for i in sorted(range(3), key=lambda a: shape[a] / old[a]):
        if shape[i] == old[i]:
            continue
        matrix = axis_matrix(old[i], shape[i])
        flat = out.reshape(-1, old[i], int(np.prod(out.shape[lead + i + 1 :], dtype=np.int64)))
        result = np.empty((flat.shape[0], shape[i], flat.shape[2]), np.float32)
        for rows, columns in bands(matrix):
            np.matmul(matrix[rows, columns], flat[:, columns], out=result[:, rows])
        out = result.reshape(*out.shape[: lead + i], shape[i], *out.shape[lead + i + 1 :])
    return out
