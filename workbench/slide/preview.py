"""The small picture of a slide: what it looks like, where its tissue is, and beside it its tiles or its nuclei."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.core.preview import LONG_SIDE, Pixels, fitted, png_of
from workbench.core.types import Heatmap, Image, Labels, Result

Mask = npt.NDArray[np.bool_]

_GAP = 4
_SHOWN = ("structure", "sharpness", "density")
_EDGE = (200, 30, 90)


def thumbnail(image: Image, side: int) -> Pixels:
    """The slide with `side` pixels along its longer edge; label and macro images are never touched."""
    from PIL import Image as Pillow

    from workbench.slide.predict.chosen import low_power_by

    assert image.pyramid is not None
    rows, columns = image.geometry.shape
    found = low_power_by(image.pyramid, max(1.0, max(rows, columns) / (2 * side)))
    high, wide = fitted(rows, columns, side)
    return np.asarray(Pillow.fromarray(found.pixels).resize((wide, high), Pillow.Resampling.BOX))


def preview(result: Result) -> bytes | None:
    """PNG of the slide with the edge of its tissue, and beside it its tiles in colours of their structure."""
    return None if result.image.pyramid is None else drawn(result, (LONG_SIDE - _GAP) // 2)


def drawn(result: Result, side: int) -> bytes:
    """The same with `side` pixels along the longer edge of each half."""
    image = result.image
    left = thumbnail(image, side).copy()
    tissue = result.parts.get("tissue")
    if isinstance(tissue, Labels):
        inside = _resized(tissue.data > 0, left.shape[:2])
        left[edge_of(inside)] = _EDGE
    right = np.full_like(left, 255)
    heat = next((result.parts[key] for key in _SHOWN if key in result.parts), None)
    if isinstance(heat, Heatmap) and np.isfinite(heat.data).any():
        right = _painted(heat, image, right)
    gap = np.full((left.shape[0], _GAP, 3), 255, np.uint8)
    return png_of(np.concatenate([left, gap, right], axis=1))


def edge_of(inside: Mask) -> Mask:
    """Pixels of a mask with a neighbour outside it."""
    filled = np.pad(inside, 1)
    whole = filled[:-2, 1:-1] & filled[2:, 1:-1] & filled[1:-1, :-2] & filled[1:-1, 2:]
    edge: Mask = inside & ~whole
    return edge


def _resized(mask: Mask, shape: tuple[int, ...]) -> Mask:
    rows = np.minimum((np.arange(shape[0]) + 0.5) * mask.shape[0] / shape[0], mask.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(shape[1]) + 0.5) * mask.shape[1] / shape[1], mask.shape[1] - 1).astype(int)
    found: Mask = mask[np.ix_(rows, columns)]
    return found


def _painted(heat: Heatmap, image: Image, canvas: Pixels) -> Pixels:
    """The values of the tiles in colours, each where its tile lies."""
    from matplotlib import colormaps

    assert image.geometry.affine is not None
    assert heat.geometry.affine is not None
    step = np.linalg.inv(heat.geometry.affine) @ image.geometry.affine
    high, wide = canvas.shape[:2]
    y = (np.arange(high) + 0.5) * image.geometry.shape[0] / high - 0.5
    x = (np.arange(wide) + 0.5) * image.geometry.shape[1] / wide - 0.5
    r = np.rint(step[0, 0] * y + step[0, 2]).astype(int)
    c = np.rint(step[1, 1] * x + step[1, 2]).astype(int)
    values = np.full((high, wide), np.nan)
    rows, columns = (r >= 0) & (r < heat.data.shape[0]), (c >= 0) & (c < heat.data.shape[1])
    values[np.ix_(rows, columns)] = heat.data[np.ix_(r[rows], c[columns])]
    there = np.isfinite(values)
    low, top = np.percentile(values[there], (2, 98)) if there.any() else (0.0, 1.0)
    colours = colormaps[heat.colormap](np.clip((values[there] - low) / max(top - low, 1e-9), 0, 1))[:, :3]
    painted = canvas.copy()
    painted[there] = np.rint(colours * 255).astype(np.uint8)
    return painted
