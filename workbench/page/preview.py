"""The small picture of what was read from a page: its leads, and never the paper, on which names may stand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.preview import LONG_SIDE, png_of
from workbench.core.signals import Signals
from workbench.core.types import Result

_ROW = 34
_MV = 14.0
"""Pixels of a millivolt."""


def preview(result: Result) -> bytes | None:
    """PNG of the leads below each other, on a grid of seconds; see `workbench.core.preview`."""
    leads = result.parts.get("leads")
    if not isinstance(leads, Signals) or not leads.channels:
        return None
    return png_of(drawn(leads, LONG_SIDE))


def drawn(leads: Signals, width: int, row: int = _ROW, per_mv: float = _MV) -> npt.NDArray[np.uint8]:
    """All leads over their time, ``(rows, width, 3)`` uint8; each value is drawn where it is, gaps stay gaps."""
    height = row * len(leads.channels) + row // 2
    out = np.full((height, width, 3), 255, np.uint8)
    samples = leads.data.shape[1]
    seconds = samples / leads.sampling_rate
    for second in np.arange(0, seconds, 1.0 if seconds <= 30 else seconds / 30):
        out[:, min(int(second / seconds * width), width - 1)] = (250, 215, 215)
    edges = np.linspace(0, samples, width + 1).astype(int)
    for n, values in enumerate(leads.data):
        middle = row * n + row * 3 // 4
        out[min(middle, height - 1)] = np.minimum(out[min(middle, height - 1)], (250, 230, 230))
        _draw(out, values, edges, middle, per_mv)
    return out


def _draw(
    out: npt.NDArray[np.uint8], values: npt.NDArray[Any], edges: npt.NDArray[Any], middle: int, per_mv: float
) -> None:
    height = out.shape[0]
    for x, (a, b) in enumerate(pairwise(edges)):
        part = values[a : max(b, a + 1) + 1]
        part = part[np.isfinite(part)]
        if part.size:
            top = int(np.clip(middle - round(float(part.max()) * per_mv), 0, height - 1))
            bottom = int(np.clip(middle - round(float(part.min()) * per_mv), 0, height - 1))
            out[top : bottom + 1, x] = (20, 20, 60)
