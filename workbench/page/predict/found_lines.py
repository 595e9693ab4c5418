"""What was followed on a page, as lines over its picture that people can correct."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines
from workbench.page.net.page_net import FINER
from workbench.page.predict.digitise import LONGEST_FILLED, Digitised, heights_of
from workbench.page.rectified import PER_MM
from workbench.page.runs import runs
from workbench.page.traces import LEAD, ORIGIN, STRIP, WAS_READ, Sheet, turned

Floats = npt.NDArray[np.floating[Any]]

_EXACT = 0.08
"""Pixels of the flat page that a line may be away from what was followed, where it is drawn with fewer points."""


def lines_of(found: Digitised, shape: tuple[int, int], turn: int = 0) -> Lines:
    """Lines of all pieces in pixels of the picture as it is in its file.

    Parameters
    ----------
    shape
        Height and width of that picture.
    turn
        Quarter turns clockwise after which it was read.
    """
    columns = max(found.arrangement.layout.columns, 1)
    seconds = (found.arrangement.seconds / columns, found.arrangement.seconds)
    sheet = Sheet(
        found.grid, shape, turn, found.paper.speed, found.paper.gain, found.signals.sampling_rate, seconds
    )  # fmt: skip
    lines: list[Floats] = []
    rows: list[tuple[str, bool, float, bool]] = []
    for piece in found.pieces:
        first, heights = heights_of(found.lines[piece.row], piece)
        for mm in _unbroken(first, heights, found.flat.corner):
            pixels = found.grid.to_pixels(mm)
            lines.append(turned(pixels, -turn, shape) + 0.5)
            rows.append((piece.lead, piece.is_strip, round(piece.origin + found.flat.corner[0], 4), piece.was_read))
    features = {key: tuple(row[n] for row in rows) for n, key in enumerate((LEAD, STRIP, ORIGIN, WAS_READ))}
    return Lines.from_points(lines, features=features, name="traces", about=sheet.to_json())


def _unbroken(first: int, heights: Floats, corner: tuple[float, float]) -> list[Floats]:
    """Points on paper [mm] of each stretch without a longer gap, as few as say the same."""
    import shapely

    out = []
    good = np.isfinite(heights)
    gaps = [(a, b) for a, b in runs(~good) if b - a > LONGEST_FILLED * FINER * PER_MM]
    starts = [0, *(b for _, b in gaps)]
    ends = [*(a for a, _ in gaps), len(heights)]
    for a, b in zip(starts, ends, strict=True):
        at = a + np.flatnonzero(good[a:b])
        if len(at) < 2:
            continue
        points = np.column_stack([(first + at + 0.5) / FINER, heights[at] + 0.5])
        few = shapely.get_coordinates(shapely.simplify(shapely.LineString(points), _EXACT, preserve_topology=False))
        out.append(few / PER_MM + corner)
    return out
