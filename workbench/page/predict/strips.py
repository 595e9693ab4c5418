"""Strips are named by what they show: the samples of one moment are the same in both places of a lead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.floating[Any]]

_SHIFT, _SHORTEST = 0.04, 0.5
"""[s] By how much two places of a lead may be apart, and how long both must be seen."""
_ALIKE, _SAME, DRAWN = 0.9, 0.985, 0.99
"""How alike two places of a lead are: at least, where there is no doubt, and where both are drawn with lines."""


def likest(strip: Row, short: Mapping[str, Row], rate: float, own: str | None, least: float = _ALIKE) -> str | None:
    """The lead that a strip repeats, where that is clear and another one than it is called; else ``None``.

    Parameters
    ----------
    strip, short
        Samples [mV] on one time base, NaN where nothing was seen: of the strip, and of the short pieces by lead.
    rate
        Samples per second [Hz].
    own
        What the strip is called so far.
    least
        How alike they are at least; `DRAWN` where both are drawn with lines and differ by nothing but rounding.
    """
    if len(short) < 3:
        return None
    alike = {lead: likeness(strip, row, rate) for lead, row in short.items()}
    best = max(alike, key=lambda lead: alike[lead])
    apart = alike[best] - (alike.get(own, 0.0) if own is not None else 0.0)
    clear = 0.02 if alike[best] > _SAME else 0.1
    return best if best != own and alike[best] >= least and apart >= clear else None


def likeness(one: Row, other: Row, rate: float) -> float:
    """How alike the samples are that both have, over small shifts; 0 where they share too few, 1 where all are equal.

    The correlation, times the ratio of their heights: leads of one direction have one shape, and each its own height.
    """
    most = round(_SHIFT * rate)
    best = 0.0
    for shift in range(-most, most + 1, max(1, most // 5)):
        moved = np.full(len(other), np.nan)
        a, b = max(0, shift), len(other) + min(0, shift)
        moved[a:b] = other[a - shift : b - shift]
        both = np.isfinite(one) & np.isfinite(moved)
        if both.sum() >= _SHORTEST * rate and np.ptp(moved[both]) > 0 and np.ptp(one[both]) > 0:
            heights = sorted((float(one[both].std()), float(moved[both].std())))
            best = max(best, float(np.corrcoef(one[both], moved[both])[0, 1]) * heights[0] / heights[1])
    return best
