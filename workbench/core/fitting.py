"""Whether a map lies on its image: on the very grid of one that can be loaded, within the area of a pyramid."""

from __future__ import annotations

import numpy as np

from workbench.core.types import Geometry, Image


def fits(geometry: Geometry, image: Image) -> bool:
    """Whether a map on that grid lies on the image.

    A map of an image with a pyramid may have a coarser grid (one value per tile): its area must lie within that of the
    image, but for one pixel of the map, in the same unit.
    """
    if image.pyramid is None:
        return geometry.matches(image.geometry)
    return lies_within(geometry, image.geometry)


def lies_within(geometry: Geometry, image: Geometry) -> bool:
    """Whether the area that a grid covers is a part of that of another, but for one of its samples at each edge."""
    if geometry.ndim != image.ndim or geometry.unit != image.unit:
        return False
    if geometry.affine is None or image.affine is None:
        return geometry.matches(image)
    own = corners(geometry) @ np.linalg.inv(image.affine).T
    step = np.abs(np.linalg.solve(image.affine[:-1, :-1], geometry.affine[:-1, :-1])).sum(axis=1)
    low, high = -0.5 - step, np.array(image.shape) - 0.5 + step
    return bool((own[:, :-1] >= low - 1e-6).all() and (own[:, :-1] <= high + 1e-6).all())


def corners(geometry: Geometry) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The outer corners of a grid in its world, ``(2 ** n, n + 1)`` homogeneous."""
    assert geometry.affine is not None
    edges = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in geometry.shape], indexing="ij"))
    points = edges.reshape(geometry.ndim, -1)
    placed: np.ndarray[tuple[int, int], np.dtype[np.float64]] = (
        np.vstack([points, np.ones(points.shape[1])]).T @ geometry.affine.T
    )
    return placed


def is_of(result: Image, image: Image) -> bool:
    """Whether the image of a result is that one; the scale of one with a pyramid may have been given by settings."""
    if result.geometry.matches(image.geometry):
        return True
    if image.pyramid is None or result.pyramid is None or result.pyramid.mpp_source != "given":
        return False
    return result.geometry.shape == image.geometry.shape and result.source == image.source
