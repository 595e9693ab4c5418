"""The colour that a labels layer gives a label."""

from __future__ import annotations

from typing import Any


def color_of(layer: Any, value: int) -> tuple[int, int, int]:
    """Red, green and blue (0-255) of a label."""
    table = getattr(layer.colormap, "color_dict", None)
    # Not by index: a table that makes its own colours would keep each that is asked for.
    color = layer.colormap.map(value) if table is None else table.get(value, table.get(None, (0.5, 0.5, 0.5)))
    red, green, blue = (min(255, max(0, round(float(c) * 255))) for c in list(color)[:3])
    return red, green, blue
