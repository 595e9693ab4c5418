"""The small picture of a scene: its colours, and beside or below them the class map."""

from __future__ import annotations

import numpy as np

from workbench.core.preview import LONG_SIDE, Pixels, coloured, first_labels, fitted, gray, nearest, png_of, smooth
from workbench.core.types import Geometry, Image, Result
from workbench.scene.data.scene import is_value, no_number, open_blocks
from workbench.scene.display import composite, first_bands, overview_step, stretch_limits

_LOOKED_AT = 4 * LONG_SIDE**2
_GAP = 4
_UNLABELLED = (40, 40, 40)
_CLIP = 2.0


def preview(result: Result) -> bytes:
    """PNG of three bands as the scene opens with them, and of its class map: beside it, below a wide scene.

    Every so many rows and columns are read that a large scene takes no more memory than a small one.
    """
    image, labels = result.image, first_labels(result)
    tall, wide = _extent(image.geometry)
    height, width = image.geometry.shape
    step = overview_step(height, width, _LOOKED_AT)
    if labels is None:
        return png_of(smooth(_colours(image, step), *fitted(tall, wide)))
    half = (LONG_SIDE - _GAP) / 2
    beside, below = min(LONG_SIDE / tall, half / wide), min(half / tall, LONG_SIDE / wide)
    axis = 1 if beside >= below else 0
    rows, columns = fitted(tall, wide, round(max(beside, below) * max(tall, wide)))
    seen = smooth(_colours(image, step), rows, columns)
    values = nearest(labels.data[::step, ::step], rows, columns)
    classes = np.where((values == 0)[..., None], np.array(_UNLABELLED, np.uint8), coloured(values, labels.classes))
    gap = np.full((rows, _GAP, 3) if axis else (_GAP, columns, 3), 255, np.uint8)
    return png_of(np.concatenate([seen, gap, classes], axis=axis))


def _extent(geometry: Geometry) -> tuple[float, float]:
    """Height and width in one unit: on the ground, or in pixels where these have no length (degrees)."""
    rows, columns = geometry.shape
    spacing = geometry.spacing
    if spacing is None or geometry.unit in (None, "degree", "degrees", "deg"):
        return float(rows), float(columns)
    return rows * spacing[0], columns * spacing[1]


def _colours(image: Image, step: int) -> Pixels:
    """Three bands, or one in grey, every `step` rows and columns."""
    blocks, ignore = open_blocks(image), image.header.get("ignore_value")
    if blocks.shape[0] >= 3:
        good = image.header.get("good_bands")
        _, chosen = first_bands(blocks.shape[0], image.header.get("wavelengths_nm"), good)
        return composite(blocks, chosen, clip=_CLIP, ignore=ignore, step=step)
    plane = blocks.read(slice(None, None, step), slice(None, None, step), [0])[0]
    empty = no_number(plane) if ignore is None else no_number(plane) | is_value(plane, ignore)
    shown = gray(np.where(empty, np.nan, plane), stretch_limits(plane[~empty], _CLIP))
    return np.repeat(shown[..., None], 3, axis=2)
