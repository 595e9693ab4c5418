"""Circles, ellipses and rectangles as outlines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.slide.annotations.types import Floats

STEPS = 128
"""Points along an ellipse."""


def ellipse(centre: npt.ArrayLike, one: npt.ArrayLike, other: npt.ArrayLike) -> Floats:
    """An ellipse ``(STEPS, 2)`` about a centre with two half axes (x, y); its polygon has the area of the ellipse."""
    angle = np.linspace(0, 2 * np.pi, STEPS, endpoint=False)
    wider = np.sqrt(2 * np.pi / STEPS / np.sin(2 * np.pi / STEPS))
    points: Floats = np.asarray(centre, float) + wider * (
        np.cos(angle)[:, None] * np.asarray(one, float) + np.sin(angle)[:, None] * np.asarray(other, float)
    )
    return points


def ellipse_in(points: Floats) -> Floats:
    """The ellipse in the upright box around points."""
    low, high = points.min(axis=0), points.max(axis=0)
    half = (high - low) / 2
    return ellipse((low + high) / 2, (half[0], 0.0), (0.0, half[1]))


def rectangle(points: Floats) -> Floats:
    """Four corners: as given, or of the upright box between two."""
    if len(points) != 2:
        return points
    (x1, y1), (x2, y2) = points
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
