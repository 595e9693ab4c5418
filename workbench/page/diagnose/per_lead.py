"""How much of an attribution lies on each lead of a page, and how much beside all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines
from workbench.page.diagnose.picture import Place
from workbench.page.leads import STANDARD
from workbench.page.traces import Sheet, channels_of

Floats = npt.NDArray[np.floating[Any]]

OUTSIDE = "outside"
BELOW = "rhythm row"
"""The row of ten seconds below the leads: a lead that is shown there as well has its own place beside, and the longer
row would outweigh it."""
NEAR = 5.0
"""Millimetres above and below a trace that count as its own."""
SHORTCUT = 0.3
"""Share beside all traces above which somebody should look whether the network reads something else."""


def shares_on(
    attribution: Floats, places: Sequence[Place], lines: Lines, corner: tuple[float, float], near_mm: float = NEAR
) -> dict[str, float]:
    """Lead -> its share of an attribution in its own place, `BELOW` that of the row below, and `OUTSIDE` what lies
    farther from the traces that are shown there.

    Parameters
    ----------
    attribution
        ``(height, width)`` on the picture, 1 in sum.
    places
        What of the page is shown where; see `workbench.page.diagnose.picture.places_of`.
    lines
        The traces; see `workbench.page.traces.Sheet`.
    corner
        Where on paper the upper left corner of the flat page lies [mm].
    near_mm
        Above and below a trace what counts as its own [mm]: never finer than what the network sees as one.
    """
    sheet = Sheet.of(lines)
    traces: dict[str, list[Floats]] = {}
    for n, name in enumerate(channels_of(lines)):
        traces.setdefault(name, []).append(sheet.to_mm(lines.line(n)) - np.array(corner))
    out = dict.fromkeys(STANDARD, 0.0)
    for place in places:
        left, top, right, bottom = place.box
        part = attribution[slice(*place.rows), slice(*place.columns)]
        xs = left + (np.arange(part.shape[1]) + 0.5) / part.shape[1] * (right - left)
        ys = top + (np.arange(part.shape[0]) + 0.5) / part.shape[0] * (bottom - top)
        for lead, first, last in place.leads:
            inside = (xs >= first - 1) & (xs <= last + 1)
            own = [mm for name in (lead, f"{lead} strip") for mm in traces.get(name, [])]
            near = np.zeros((len(ys), int(inside.sum())), bool)
            for mm in own:
                low, high = _reach(mm, xs[inside], (right - left) / part.shape[1])
                near |= (ys[:, None] >= low - near_mm) & (ys[:, None] <= high + near_mm)
            name = BELOW if place.is_below else lead.removesuffix(" strip").split(" ")[0]
            out[name] = out.get(name, 0.0) + float(part[:, inside][near].sum())
    out[OUTSIDE] = max(0.0, 1.0 - sum(out.values()))
    return out


def _reach(mm: Floats, xs: Floats, step: float) -> tuple[Floats, Floats]:
    """Heights between which a line runs around each place along x [mm]; NaN beyond its ends."""
    order = np.argsort(mm[:, 0], kind="stable")
    fine = xs[:, None] + np.linspace(-0.5, 0.5, 9) * step
    heights = np.interp(fine, mm[order, 0], mm[order, 1], left=np.nan, right=np.nan)
    seen = np.isfinite(heights)
    low, high = np.where(seen, heights, np.inf).min(axis=1), np.where(seen, heights, -np.inf).max(axis=1)
    return np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)


def shares_of_leads(lost: Floats) -> dict[str, float]:
    """Lead -> its share of what a class loses without each of them ``(12,)``; leads that speak against it have none."""
    speaks = np.maximum(lost, 0)
    total = float(speaks.sum())
    return {lead: float(v / total) if total > 0 else 0.0 for lead, v in zip(STANDARD, speaks, strict=True)}
