"""Directions of P, QRS and T in the frontal plane, from the areas under leads I and aVF.

The lead aVF is smaller than a lead between two limbs by the square root of 3 over 2 (Goldberger 1942), so its area
counts 2 / sqrt(3) times. 0 degrees points to the left arm, 90 degrees to the feet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.page.leads import derived
from workbench.page.measure.median_beat import MedianBeat

Array = npt.NDArray[np.float64]

SMALLEST = {0: 0.012, 1: 0.03, 2: 0.012}
"""[mV] Mean height over the wave below which P, QRS and T have no direction."""
WIDEST = 40.0
"""[deg] An axis that is less sure than this is none."""


@dataclass(frozen=True)
class Axis:
    """A direction [deg, -180 to 180], how far it may be off [deg], or why there is none."""

    angle: float | None
    spread: float | None
    reason: str


def _area(row: Array, spread: Array, times: Array, first: float, last: float, *, level: str) -> tuple[float, float]:
    """Mean height [mV] of a wave over its line of rest, and the spread of that between beats."""
    inside = (times >= first) & (times <= last)
    if inside.sum() < 3 or not np.isfinite(row[inside]).all():
        return float("nan"), float("nan")
    wave = row[inside]
    if level == "line":  # the P wave may ride on a slope
        wave = wave - np.linspace(wave[0], wave[-1], len(wave))
    noise = spread[inside]
    known = np.isfinite(noise)
    # Noise of neighbours goes together for about 20 ms.
    free = max((last - first) / 0.02, 1.0)
    return float(wave.mean()), float(np.sqrt(np.mean(noise[known] ** 2) / free)) if known.any() else float("nan")


def frontal_rows(beat: MedianBeat, rows: dict[str, int]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Leads I and aVF of the median beat and their spread, computed from two other limb leads where need be."""
    values = {name: beat.data[row] for name, row in rows.items()}
    spreads = {name: beat.spread[row] for name, row in rows.items()}
    if not {"I", "aVF"} <= set(values):
        full = derived(values)
        if "aVF" in values and "I" not in values and "II" in values:  # aVF = II - I / 2
            full = {"I": 2 * (values["II"] - values["aVF"])}
        for name in {"I", "aVF"} - set(values):
            if name in full:
                values[name] = full[name]
                used = [spreads[k] for k in ("I", "II", "III") if k in spreads]
                spreads[name] = np.sqrt(np.sum(np.square(used), axis=0)) if used else np.full_like(full[name], np.nan)
    return values, spreads


def axis(beat: MedianBeat, rows: dict[str, int], wave: int) -> Axis:
    """The axis of P (0), QRS (1) or T (2).

    Parameters
    ----------
    rows
        Row of the median beat by the usual name of its lead.
    """
    values, spreads = frontal_rows(beat, rows)
    missing = [name for name in ("I", "aVF") if name not in values]
    if missing:
        return Axis(None, None, f"no lead {' and no lead '.join(missing)}")
    first, last = float(beat.marks[3 * wave]), float(beat.marks[3 * wave + 2])
    if not np.isfinite([first, last]).all():
        return Axis(None, None, f"no {('P', 'QRS', 'T')[wave]} wave to take the axis of")
    level = "line" if wave == 0 else "before"
    found = {k: _area(values[k], spreads[k], beat.times, first, last, level=level) for k in ("I", "aVF")}
    unseen = [name for name, (height, _) in found.items() if not np.isfinite(height)]
    if unseen:
        return Axis(None, None, f"lead {' and lead '.join(unseen)} does not show a whole beat")
    x, x_off = found["I"]
    y, y_off = (2 / np.sqrt(3) * v for v in found["aVF"])
    size = float(np.hypot(x, y))
    if size < SMALLEST[wave]:
        return Axis(None, None, f"too small for a direction ({1000 * size:.0f} uV on average)")
    off = np.degrees(np.sqrt(np.square([x * y_off, y * x_off]).sum())) / size**2
    spread = float(off) if np.isfinite(off) else None
    if spread is not None and spread > WIDEST:
        return Axis(None, None, f"too small beside the noise for a direction (+-{spread:.0f} deg)")
    return Axis(float(np.degrees(np.arctan2(y, x))), spread, "")
