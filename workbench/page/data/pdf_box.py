"""What of the lines of a PDF page is shown: a page that was cropped still holds the rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""
_MARGIN = 0.01


def shown(points: Floats, box: Box) -> list[Floats]:
    """The parts of a path ``(n, 2)`` within a box, with a point on its edge where it leaves; the path itself if all is.

    A part has two points or more; a path of one point is kept or left out, and one that leads nowhere left out.
    """
    if not np.isfinite(points).all():
        return []
    low, high = np.array(box[:2]) - _MARGIN, np.array(box[2:]) + _MARGIN
    if ((points >= low) & (points <= high)).all():
        return [points]
    if (points.max(axis=0) < low).any() or (points.min(axis=0) > high).any() or len(points) < 2:
        return []
    parts: list[list[Floats]] = []
    begin, end = _shares(points, low, high)
    going = False
    for n, (first, last) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        if first >= last:  # no part of this piece
            going = False
            continue
        one, step = points[n], points[n + 1] - points[n]
        if not going or first > 0:
            parts.append([one + first * step])
        parts[-1].append(one + last * step)
        going = last >= 1
    return [np.array(part) for part in parts]


def _shares(points: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """From which to which share of each piece of a path lies in the box (Liang and Barsky 1984); none: not below."""
    one, step = points[:-1], np.diff(points, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        there, back = (low - one) / step, (high - one) / step
    still = step == 0
    inside = (one >= low) & (one <= high)
    there = np.where(still, np.where(inside, -np.inf, np.inf), there)
    back = np.where(still, np.where(inside, np.inf, -np.inf), back)
    first, last = np.minimum(there, back), np.maximum(there, back)
    first, last = np.where(still, there, first), np.where(still, back, last)
    return np.clip(first.max(axis=1), 0, None), np.clip(last.min(axis=1), None, 1)
