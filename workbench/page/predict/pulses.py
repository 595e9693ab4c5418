"""Calibration pulses: how high a millivolt is drawn. Of time they say only whether the speed may be another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

USUAL = (5.0, 10.0, 20.0)
HEIGHTS, WIDTHS = (3.0, 25.0), (1.5, 12.5)
"""Millimetres from and to which a pulse can be high and wide."""
_PEN = 0.375
PULSE = 0.2
"""How long pulses usually are [s]."""


def sizes(pulse: npt.NDArray[np.float32], per_mm: float, finer: int) -> npt.NDArray[np.floating[Any]]:
    """Height and width [mm] of all pulses that are seen whole in a map, ``(rows, finer * columns)`` of 0 to 1.

    ``(pulses, 2)``.
    """
    from scipy import ndimage

    parts, _ = ndimage.label(pulse > 0.5)
    found = []
    for n, box in enumerate(ndimage.find_objects(parts), 1):
        if box is None:
            continue
        rows, columns = box
        high = (rows.stop - rows.start) / per_mm - _PEN
        wide = (columns.stop - columns.start) / per_mm / finer - _PEN
        if not (HEIGHTS[0] <= high <= HEIGHTS[1] and WIDTHS[0] <= wide <= WIDTHS[1]):
            continue
        own = parts[box] == n
        # A pulse has a top of its own and feet: its upper line is flat, and there is none in its middle below.
        across = own.shape[1]
        top = own[: max(1, round(0.6 * per_mm)), across // 4 : -across // 4 or None].any(axis=0).mean()
        hollow = own[round(0.35 * own.shape[0]) : round(0.65 * own.shape[0]), across * 2 // 5 : across * 3 // 5].mean()
        if top > 0.7 and hollow < 0.2:
            found.append((high, wide))
    return np.array(found).reshape(-1, 2)


def other_speed(widths: npt.NDArray[np.floating[Any]], speed: float) -> str:
    """What pulses say against a speed [mm/s]: most are 200 ms wide; nothing where they agree, or not with each other.

    Some makers draw pulses of 100 ms: narrow ones say nothing at 25 mm/s, and this is a hint only.
    """
    if len(widths) < 2:
        return ""
    median = float(np.median(widths))
    if np.mean(np.abs(widths / median - 1) < 0.08) < 0.6:
        return ""
    usual = next((s for s in (12.5, 25.0, 50.0, 100.0) if abs(median / (s * PULSE) - 1) < 0.1), None)
    if usual is None or abs(usual / speed - 1) < 0.1 or usual < min(speed, 25.0):
        return ""
    return (
        f"calibration pulses are {median:.1f} mm wide, which is usual for paper of {usual:g} mm/s: check the speed "
        f"(it counts for every time)"
    )


def gain_of(found: npt.NDArray[np.floating[Any]]) -> tuple[float | None, float]:
    """The usual gain [mm/mV] that pulses agree on, or ``None``; and their median height [mm]."""
    if not len(found):
        return None, float("nan")
    median = float(np.median(found))
    near = min(USUAL, key=lambda u: abs(np.log(median / u)))
    agrees = np.mean(np.abs(found / near - 1) < 0.08) > 0.6
    return (near if agrees and abs(median / near - 1) < 0.06 else None), median
