"""What CellVTA learns of labelled nuclei: where they are, and how far every pixel is from the middle of its own.

S. Graham et al., "HoVer-Net", Med. Image Anal. 58:101563, 2019.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled


def distances(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Horizontal and vertical distance to the middle of the nucleus: ``(H, W)`` numbered nuclei to ``(2, H, W)``.

    From the rounded centre of mass, left (or above) it is negative and right (or below) positive, each side -1 or 1 at
    its farthest pixel; 0 where there is no nucleus.
    """
    found: npt.NDArray[np.float32] = compiled(_distances)(np.ascontiguousarray(labels, np.int32))
    return found


def _distances(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:  # pragma: no cover - compiled
    rows, columns = labels.shape
    top = 0
    for y in range(rows):
        for x in range(columns):
            top = max(top, labels[y, x])
    count = np.zeros(top + 1, np.int64)
    middle = np.zeros((top + 1, 2), np.float64)
    for y in range(rows):
        for x in range(columns):
            one = labels[y, x]
            if one > 0:
                count[one] += 1
                middle[one, 0] += x
                middle[one, 1] += y
    for one in range(top + 1):
        if count[one]:
            middle[one, 0] = np.floor(middle[one, 0] / count[one] + 0.5)
            middle[one, 1] = np.floor(middle[one, 1] / count[one] + 0.5)
    low, high = np.zeros((top + 1, 2)), np.zeros((top + 1, 2))
    for y in range(rows):
        for x in range(columns):
            one = labels[y, x]
            if one > 0:
                dx, dy = x - middle[one, 0], y - middle[one, 1]
                low[one, 0], low[one, 1] = min(low[one, 0], dx), min(low[one, 1], dy)
                high[one, 0], high[one, 1] = max(high[one, 0], dx), max(high[one, 1], dy)
    out = np.zeros((2, rows, columns), np.float32)
    for y in range(rows):
        for x in range(columns):
            one = labels[y, x]
            if one > 0:
                for axis in range(2):
                    away = (x if axis == 0 else y) - middle[one, axis]
                    if away < 0:
                        out[axis, y, x] = -away / low[one, axis]
                    elif away > 0:
                        out[axis, y, x] = away / high[one, axis]
    return out
