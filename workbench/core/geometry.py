"""Where the samples of an array lie in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the samples of an array lie in the world.

    Parameters
    ----------
    shape
        Number of samples along each spatial axis, in array order.
    affine
        (n+1, n+1) float64, index -> world. For volumes the world is RAS+ (x to the right, y to the front, z to the
        head) in millimetres, as in NIfTI. ``None`` where the file gives no position: never a made-up number.
    axes
        One name per spatial axis, e.g. ``("i", "j", "k")``.
    unit
        Unit of the world axes (``"mm"``, ``"um"``, ``"s"``) or ``None``.
    crs
        Of a map: its coordinate system as the file spells it (``EPSG:N``, WKT, PROJ), or ``None``.
    """

    shape: tuple[int, ...]
    affine: npt.NDArray[np.float64] | None = None
    axes: tuple[str, ...] = ("i", "j", "k")
    unit: str | None = "mm"
    crs: str | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def spacing(self) -> tuple[float, ...] | None:
        """Distance between neighbouring samples along each array axis, in `unit`."""
        if self.affine is None:
            return None
        return tuple(float(v) for v in np.sqrt((self.affine[:-1, :-1] ** 2).sum(axis=0)))

    @property
    def sample_volume(self) -> float | None:
        """Volume (area) that one sample stands for, in ``unit ** ndim``: |det| of the affine."""
        if self.affine is None:
            return None
        return float(abs(np.linalg.det(self.affine[:-1, :-1])))

    def matches(self, other: Geometry, tolerance: float = 1e-3) -> bool:
        """Whether both describe the same grid: equal shapes, and corners within `tolerance` samples."""
        if self.shape != other.shape or (self.affine is None) != (other.affine is None):
            return False
        if self.affine is None or other.affine is None:
            return True
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(self.ndim, -1)
        homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
        shift = np.abs((self.affine - other.affine) @ homogeneous).max()
        return bool(shift <= tolerance * min(self.spacing or (1.0,)))
