"""A line that a person drew roughly along ink, moved onto the ink."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.traces import Sheet

Floats = npt.NDArray[np.floating[Any]]

_STEP = 1 / 16
"""Millimetres between places that are looked at."""
_REACH = 1.2
"""Millimetres that the ink may be away from the line."""
_LEAST = 25.0
"""Levels of 255 by which ink must stand out."""
_JUMP, _PULL = 0.35, 0.05
"""Cost of a millimetre from one column to the next, and of one away from what was drawn, of 1 for a column of paper."""


def onto_ink(pixels: npt.NDArray[np.uint8], sheet: Sheet, points: Floats) -> Floats:
    """The line through the darkest way near a drawn one, ``(n, 2)``; the drawn one where nothing dark is near.

    Parameters
    ----------
    pixels
        ``(height, width, 3)`` uint8, the picture as it is in its file.
    sheet
        Where on paper its pixels lie.
    points
        ``(m, 2)``, x and y from the corner of the first pixel; x on paper goes forth.
    """
    from scipy import ndimage

    mm = sheet.to_mm(points)
    ahead = mm[:, 0] > np.maximum.accumulate(np.concatenate([[-np.inf], mm[:-1, 0]]))
    mm = mm[ahead]
    if len(mm) < 2:
        return np.asarray(points, float)
    x = np.arange(mm[0, 0], mm[-1, 0], _STEP)
    away = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    y = np.interp(x, mm[:, 0], mm[:, 1])
    places = np.stack([np.broadcast_to(x, (len(away), len(x))), y + away[:, None]], axis=2)
    at = sheet.from_mm(places.reshape(-1, 2)) - 0.5
    shades = [
        ndimage.map_coordinates(pixels[..., k].astype(np.float32), [at[:, 1], at[:, 0]], order=1, mode="nearest")
        for k in range(3)
    ]
    clear = [float(np.median(s) - np.percentile(s, 3)) for s in shades]
    best = int(np.argmax(clear))
    if clear[best] < _LEAST:
        return np.asarray(points, float)
    dark = np.clip((np.median(shades[best]) - shades[best]) / clear[best], 0, 1).reshape(len(away), len(x))
    chosen = _cheapest(1 - dark + _PULL * np.abs(away)[:, None])
    near = np.abs(np.arange(len(away))[:, None] - chosen) * _STEP <= 0.4
    weight = np.where(near, dark**2, 0.0)
    total = weight.sum(axis=0)
    moved = np.where(total > 0.3, (weight * away[:, None]).sum(axis=0) / np.maximum(total, 1e-9), away[chosen])
    return sheet.from_mm(np.column_stack([x, y + moved]))


def _cheapest(cost: Floats) -> npt.NDArray[np.int_]:
    """Row of each column on the cheapest way from left to right; a jump costs by its height."""
    rows, columns = cost.shape
    step = _JUMP * _STEP
    total = np.empty_like(cost)
    total[:, 0] = cost[:, 0]
    climb = step * np.arange(rows)
    for k in range(1, columns):
        before = total[:, k - 1]
        down = np.minimum.accumulate(before - climb) + climb
        up = (np.minimum.accumulate((before + climb)[::-1]))[::-1] - climb
        total[:, k] = np.minimum(down, up) + cost[:, k]
    way = np.empty(columns, int)
    way[-1] = int(total[:, -1].argmin())
    for k in range(columns - 2, -1, -1):
        way[k] = int((total[:, k] + step * np.abs(np.arange(rows) - way[k + 1])).argmin())
    return way
