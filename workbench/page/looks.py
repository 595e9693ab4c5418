"""How lines of leads are shown: a colour for each lead, and a pen that shows the ink below it."""

from __future__ import annotations

from workbench.core.lines import Lines
from workbench.page.traces import Sheet, channels_of, order_of

_COLORS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#e377c2", "#8c564b", "#17becf", "#ff7f0e")
"""Readable on paper, red grids among it."""


def colors_of(lines: Lines) -> list[str]:
    """A colour for each line, the same for all of a lead, and others for its neighbours."""
    names = channels_of(lines)
    order = {name: n for n, name in enumerate(sorted(set(names), key=order_of))}
    return [_COLORS[order[name] % len(_COLORS)] for name in names]


def width_of(lines: Lines) -> float:
    """Pixels of a pen that shows the ink below it."""
    return max(1.5, 0.3 * min(Sheet.of(lines).paper.pixels_per_mm))
