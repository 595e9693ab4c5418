"""What it costs a row of traces to go this way or that, and the cheapest way (Viterbi 1967).

Ways lie on a coarse map of ink, a quarter of a millimetre high and an eighth wide: ink is cheap, climbing costs by its
height, leaving ink costs most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Share = npt.NDArray[np.float32]

COARSE = 2
"""Rows and columns of the map of traces that are one of the coarse map."""
MIDDLE = 2
"""What marks the middle of a tall stroke."""
_ALONG, _ACROSS = 0.002, 0.1
"""Cost of a pixel of height, along ink and across paper."""
_UNCLAIMED, _BESIDE, _CLAIMED = -0.01, 0.012, 0.01
"""The same along the middle of a tall stroke that no other row went through when rows were followed before, beside its
middle, and along ink that another row went through."""
_JUMP = 1.0
"""Cost of a jump from the end of one piece to the beginning of the next."""
_NEAR, _CLOSE = 1.0, 0.5
"""How far from its row a line takes ink that no other has, and keeps what others have as well [pitches of rows]."""
_NO_INK = 0.9
"""Cost of a column without ink."""


@dataclass(frozen=True)
class Prices:
    """Of being at a height in a column, ``(heights, columns)``; of climbing to it from the top, ``(columns, heights)``;
    and the columns into which a way may jump."""

    node: Floats
    climb: Floats
    free: set[int]


class Way:
    """How a row may go: where it lies, how far it may leave, and where it may jump."""

    def __init__(
        self,
        small: Share,
        rows: Floats,
        number: int,
        pitch: float,
        per_mm: float,
        reach: float,
        breaks: Sequence[int],
    ) -> None:
        row = float(rows[number])
        self.low = max(0, int((row - reach * per_mm) // COARSE))
        self.high = min(small.shape[0], int((row + reach * per_mm) // COARSE) + 1)
        at = np.arange(self.low, self.high) * float(COARSE)
        self.pull = 0.05 * np.minimum(((at - row) / pitch) ** 2, 4.0)
        # Along the middle of another row lies its own ink, not that of this one: it may be crossed, not followed.
        others = np.array([other for n, other in enumerate(rows) if n != number])
        if len(others):
            near = np.abs(at[:, None] - others).min(axis=1) < 2.5 * per_mm
            self.pull = self.pull + np.where(near, _NO_INK, 0.0)
        self.near = np.abs(at - row) < _NEAR * pitch
        self.close = np.abs(at - row) < _CLOSE * pitch
        self.free = {column // COARSE for column in breaks}

    def prices(
        self,
        small: Share,
        claimed: npt.NDArray[np.bool_],
        ridge: npt.NDArray[np.int8] | None,
        first_column: int = 0,
    ) -> Prices:
        """What ways through a part of the coarse map cost, where others have what is `claimed`."""
        band = slice(self.low, self.high)
        own = claimed[band]
        dark = np.clip(small[band] * 1.25 - 0.1, 0, 1).astype(np.float64)
        # What another row has is no reason to go there, but near its own row a line keeps its ink.
        node = _NO_INK * (1 - np.where(own & ~self.close[:, None], 0.0, dark)) + self.pull[:, None]
        along = np.full(own.shape, _ALONG)
        if ridge is not None:
            along = np.where(ridge[band] > 0, _BESIDE, along)
            along = np.where((ridge[band] == MIDDLE) & self.near[:, None], _UNCLAIMED, along)
            along = np.where(own, _CLAIMED, along)
        climb = np.cumsum(_ACROSS + (along - _ACROSS) * dark, axis=0).T * COARSE
        free = {column - first_column for column in self.free}
        return Prices(node, climb, free)

    def cheapest(self, prices: Prices, ends: tuple[float, float] | None = None) -> Floats:
        """Heights [rows of the coarse map] of the cheapest way, between two heights if they are given."""
        fixed = None if ends is None else (self._states(prices, ends[0]), self._states(prices, ends[1]))
        return _cheapest(prices, fixed) + self.low

    def cost(self, prices: Prices, path: Floats, first: int, last: int) -> float:
        """What a part of a way costs, and the steps into and out of it."""
        columns = np.arange(max(first, 1), min(last + 1, len(path)))
        at = np.clip(np.round(path - self.low).astype(int), 0, len(prices.node) - 1)
        steps = prices.climb[columns, at[columns]] - prices.climb[columns, at[columns - 1]]
        steps = np.where(at[columns] >= at[columns - 1], steps, -steps)
        steps = np.where(np.isin(columns, list(prices.free)), np.minimum(steps, _JUMP), steps)
        return float(steps.sum() + prices.node[at[columns], columns].sum())

    def _states(self, prices: Prices, height: float) -> int:
        return int(np.clip(round(height - self.low), 0, len(prices.node) - 1))


def _cheapest(prices: Prices, ends: tuple[int, int] | None) -> Floats:
    """The height in every column of the cheapest way from left to right."""
    node, climb, free = prices.node, prices.climb, prices.free
    states, columns = node.shape
    total = np.empty((columns, states))
    total[0] = node[:, 0]
    if ends is not None:
        total[0, np.arange(states) != ends[0]] = np.inf
    for x in range(1, columns):
        before, y = total[x - 1], climb[x]
        from_above = np.minimum.accumulate(before - y) + y
        from_below = np.minimum.accumulate((before + y)[::-1])[::-1] - y
        best = np.minimum(from_above, from_below)
        total[x] = (np.minimum(best, before.min() + _JUMP) if x in free else best) + node[:, x]
    path = np.empty(columns)
    at = int(total[-1].argmin()) if ends is None else ends[1]
    path[-1] = at
    order = np.arange(states)
    for x in range(columns - 2, -1, -1):
        y = climb[x + 1]
        way = np.where(order <= at, y[at] - y, y - y[at])
        at = int((total[x] + (np.minimum(way, _JUMP) if x + 1 in free else way)).argmin())
        path[x] = at
    return path
