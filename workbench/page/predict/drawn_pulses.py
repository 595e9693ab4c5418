"""Calibration pulses among the strokes of a drawn page: a level top, and at its ends two edges of one height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.predict.pulses import HEIGHTS, WIDTHS

Floats = npt.NDArray[np.floating[Any]]

_EXACT = 0.05
"""Millimetres that a stroke may be away from one with fewer corners."""
_LEVEL, _STEEP, _TOUCH = 0.1, 0.6, 0.15
"""Millimetres that a top may rise, that an edge may lean, and that their ends may be apart."""
_ALIKE = 0.05
"""Share by which the two edges may differ."""
_BEFORE = 3.0
"""Millimetres from the end of a curve within which a pulse begins that is drawn in one stroke with it."""


@dataclass(frozen=True)
class DrawnPulse:
    """A pulse: the places of its left and its right edge, and of its foot and its top [mm of paper]."""

    left: float
    right: float
    foot: float
    top: float

    @property
    def size(self) -> tuple[float, float]:
        """Height and width [mm of paper]."""
        return self.foot - self.top, self.right - self.left


def pulses_in(strokes: Sequence[Floats]) -> list[DrawnPulse]:
    """All pulses among strokes, ``(n, 2)`` [mm of paper, y down]; boxes are none.

    In which order and direction the edges are drawn, and in how many strokes, does not matter.
    """
    parts = _segments(strokes)
    wide, high = (np.abs(parts[:, 1, k] - parts[:, 0, k]) for k in (0, 1))
    tops = parts[(high <= _LEVEL) & (wide >= WIDTHS[0]) & (wide <= WIDTHS[1])]
    edges = parts[(wide <= _STEEP) & (high >= HEIGHTS[0]) & (high <= HEIGHTS[1])]
    tops = np.take_along_axis(tops, np.argsort(tops[:, :, 0], axis=1)[:, :, None], 1)
    edges = np.take_along_axis(edges, np.argsort(edges[:, :, 1], axis=1)[:, :, None], 1)
    found = [one for top in tops if (one := _pulse(top, tops, edges)) is not None]
    return list(dict.fromkeys(found))


def _segments(strokes: Sequence[Floats]) -> Floats:
    """Straight parts of strokes, ``(parts, 2, 2)``."""
    import shapely

    found = [np.zeros((0, 2, 2))]
    for points in strokes:
        if len(points) > 2:
            points = shapely.get_coordinates(shapely.simplify(shapely.LineString(points), _EXACT))
        found.append(np.stack([points[:-1], points[1:]], axis=1))
    return np.concatenate(found)


def _pulse(top: Floats, tops: Floats, edges: Floats) -> DrawnPulse | None:
    """The pulse that a level line from left to right is the top of."""
    falls = [edges[(np.abs(edges[:, 0] - end) <= _TOUCH).all(axis=1)] for end in top]
    for left in falls[0]:
        for right in falls[1]:
            high = [float(edge[1, 1] - edge[0, 1]) for edge in (left, right)]
            feet = np.array([left[1], right[1]])
            closed = (np.abs(tops - feet) <= _TOUCH).all(axis=(1, 2)).any()
            if abs(high[0] / high[1] - 1) <= _ALIKE and not closed:
                return DrawnPulse(
                    round(float(left[:, 0].mean()), 3), round(float(right[:, 0].mean()), 3),
                    round(float(feet[:, 1].mean()), 3), round(float(top[:, 1].mean()), 3),
                )  # fmt: skip
    return None


def without_pulses(curve: Floats, pulses: Sequence[DrawnPulse]) -> Floats:
    """A curve from left to right without the pulse that is drawn in one stroke with its beginning or its end."""
    for pulse in pulses:
        if not _is_part(pulse, curve):
            continue
        x = curve[:, 0]
        feet = np.flatnonzero(_on_foot(curve, pulse) & (x >= pulse.left - _STEEP) & (x <= pulse.right + _STEEP))
        if feet.size and pulse.left - x[0] < _BEFORE:
            curve = _without_foot(curve[feet[-1] :])
        elif feet.size and x[-1] - pulse.right < _BEFORE:
            curve = _without_foot(curve[: feet[0] + 1][::-1])[::-1]
    return curve


def _is_part(pulse: DrawnPulse, curve: Floats) -> bool:
    """Whether a curve goes through both corners of the top."""
    corners = np.array([[pulse.left, pulse.top], [pulse.right, pulse.top]])
    away = np.abs(curve[None] - corners[:, None])
    return bool(((away[..., 0] <= _STEEP) & (away[..., 1] <= _LEVEL)).any(axis=1).all())


def _on_foot(curve: Floats, pulse: DrawnPulse) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(curve[:, 1] - pulse.foot) <= 2 * _LEVEL)


def _without_foot(curve: Floats) -> Floats:
    """Without a first step that is longer than those of the samples behind it: the foot of a pulse."""
    steps = np.abs(np.diff(curve[:, 0]))
    return curve[1:] if len(steps) > 2 and steps[0] > 1.5 * np.median(steps) else curve
