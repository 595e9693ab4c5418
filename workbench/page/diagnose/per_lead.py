"""How much of an attribution lies on each lead of a page, and how much beside all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines
from workbench.page.diagnose.picture import Frame
from workbench.page.leads import STANDARD
from workbench.page.traces import Sheet, channels_of

Floats = npt.NDArray[np.floating[Any]]

OUTSIDE = "outside"
NEAR = 8.0
"""Millimetres around a trace that count as its own: what a network sees is no finer."""
SHORTCUT = 0.3
"""Share beside all traces above which somebody should look whether the network reads something else."""
_BEYOND = 1.0
"""Millimetres that a piece may go on beyond its ends."""


def shares_on(attribution: Floats, frame: Frame, lines: Lines, corner: tuple[float, float]) -> dict[str, float]:
    """Lead -> its share of an attribution, and `OUTSIDE` what lies farther than `NEAR` mm from all traces.

    Every place belongs to the trace that is nearest above or below it. Strips count as their lead.

    Parameters
    ----------
    attribution
        ``(height, width)`` on the picture of the frame, 1 in sum.
    lines
        The traces; see `workbench.page.traces.Sheet`.
    corner
        Where on paper the upper left corner of the flat page lies [mm].
    """
    height, width = attribution.shape
    left, top, right, bottom = frame.box
    xs = left + (np.arange(width) + 0.5) / width * (right - left)
    ys = top + (np.arange(height) + 0.5) / height * (bottom - top)
    nearest = np.full((height, width), np.inf)
    owner = np.full((height, width), -1)
    sheet, names = Sheet.of(lines), channels_of(lines)
    for n in range(len(lines)):
        mm = sheet.to_mm(lines.line(n)) - np.array(corner)
        inside = np.flatnonzero((xs >= mm[:, 0].min() - _BEYOND) & (xs <= mm[:, 0].max() + _BEYOND))
        if not inside.size:
            continue
        low, high = _reach(mm, xs[inside], (right - left) / width)
        away = np.maximum(np.maximum(low - ys[:, None], ys[:, None] - high), 0)
        closer = away < nearest[:, inside]
        nearest[:, inside] = np.where(closer, away, nearest[:, inside])
        owner[:, inside] = np.where(closer, n, owner[:, inside])
    near = nearest <= NEAR
    out = dict.fromkeys(STANDARD, 0.0)
    for n, name in enumerate(names):
        lead = name.removesuffix(" strip").split(" ")[0]
        out[lead] = out.get(lead, 0.0) + float(attribution[near & (owner == n)].sum())
    out[OUTSIDE] = max(0.0, 1.0 - sum(out.values()))
    return out


def _reach(mm: Floats, xs: Floats, step: float) -> tuple[Floats, Floats]:
    """Heights between which a line runs around each place along x [mm]."""
    order = np.argsort(mm[:, 0], kind="stable")
    fine = xs[:, None] + np.linspace(-0.5, 0.5, 9) * step
    heights = np.interp(fine, mm[order, 0], mm[order, 1])
    return heights.min(axis=1), heights.max(axis=1)


def shares_of_leads(attribution: Floats) -> dict[str, float]:
    """Lead -> its share of what speaks for a class, of attributions of samples ``(12, samples)``."""
    speaks = np.maximum(attribution.sum(axis=1), 0)
    total = float(speaks.sum())
    return {lead: float(v / total) if total > 0 else 0.0 for lead, v in zip(STANDARD, speaks, strict=True)}
