"""All channels of a kind over each other about zero: how often each pixel is crossed. No Qt here.

Every channel is the polygon that its samples make, with its lowest and highest value in each column of pixels: of
300 channels and a million samples no extreme is lost, and the window only has to show a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench_napari.recording.blocks import KINDS, Block
from workbench_napari.recording.trace import nice

Array = npt.NDArray[Any]
Rows = tuple[Sequence[int], Sequence[int]]
"""Rows of a block that are good, and those that are bad."""

_FAINT = 0.35
"""How much of its colour a single line has; where several cross there is more."""


@dataclass(frozen=True, eq=False)
class Wing:
    """The channels of one kind over each other.

    Parameters
    ----------
    kind, title, count, unit
        MNE channel type, what people call it, how many are good and bad, and the unit of their values.
    height
        The value that the whole picture is high; zero is in its middle.
    start, stop
        First and last second of the picture.
    good, bad
        ``(pixels high, pixels wide)``: how many good and bad channels cross each pixel; row 0 is the lowest.
    low, high
        ``(pixels wide,)``: extremes of the good channels in each column.
    """

    kind: str
    title: str
    count: tuple[int, int]
    unit: str
    height: float
    start: float
    stop: float
    good: Array
    bad: Array
    low: Array
    high: Array


def rows_by_kind(block: Block, kinds: Sequence[str], bads: Sequence[str]) -> dict[str, Rows]:
    """Good and bad rows of each kind."""
    marked, found = set(bads), {}
    for kind in dict.fromkeys(kinds):
        rows = [r for r, k in enumerate(block.kinds) if k == kind]
        found[kind] = ([r for r in rows if block.rows[r] not in marked], [r for r in rows if block.rows[r] in marked])
    return found


def wings_of(
    block: Block, kinds: Mapping[str, Rows], start: float, stop: float, size: tuple[int, int], gain: float = 1.0
) -> list[Wing]:
    """The channels of each kind over each other, from `start` to `stop` [s].

    Parameters
    ----------
    size
        Pixels that the picture of one kind is high and wide.
    """
    height, width = size
    every = [r for good, bad in kinds.values() for r in (*good, *bad)]
    times, values = block.lines(start, stop, every, width)
    if len(times) < 2:
        return []
    middle = block.spread()[0][every]
    low, high = _extremes(times, np.nan_to_num(values - middle), width)
    made, row = [], 0
    for kind, (good, bad) in kinds.items():
        counted = list(good) or list(bad)
        if not counted:
            continue
        tall = nice(3.0 * block.reach(counted) / gain * (1 - 1e-6))
        mine, theirs = slice(row, row + len(good)), slice(row + len(good), row + len(good) + len(bad))
        row = theirs.stop
        made.append(
            Wing(
                kind,
                KINDS.get(kind, kind),
                (len(good), len(bad)),
                block.units[counted[0]],
                tall,
                float(times[0]),
                float(times[-1]),
                crossed(low[mine], high[mine], tall, height),
                crossed(low[theirs], high[theirs], tall, height),
                low[mine].min(axis=0, initial=0.0),
                high[mine].max(axis=0, initial=0.0),
            )
        )
    return made


def _extremes(times: Array, values: Array, width: int) -> tuple[Array, Array]:
    """Lowest and highest value of each line in each of `width` columns, its course between two samples included."""
    edges = np.linspace(times[0], times[-1], width + 1)
    places = np.union1d(times, edges)
    after = np.clip(np.searchsorted(times, places), 1, len(times) - 1)
    share = (places - times[after - 1]) / np.maximum(times[after] - times[after - 1], 1e-12)
    drawn = values[:, after - 1] * (1 - share) + values[:, after] * share
    begins = np.searchsorted(places, edges)
    ends = drawn[:, begins[1:]]  # a column has both of its edges
    low = np.minimum(np.minimum.reduceat(drawn, begins[:-1], axis=1), ends)
    high = np.maximum(np.maximum.reduceat(drawn, begins[:-1], axis=1), ends)
    return low, high


def crossed(low: Array, high: Array, tall: float, height: int) -> Array:
    """``(height, width)``: how many lines cross each pixel; what is higher than the picture stays at its edge."""
    width = low.shape[1]
    bottom, top = (np.clip(np.floor((v / tall + 0.5) * height), 0, height - 1).astype(np.intp) for v in (low, high))
    column = np.broadcast_to(np.arange(width), bottom.shape)
    size = (height + 1) * width
    begin = np.bincount((bottom * width + column).ravel(), minlength=size)
    end = np.bincount(((top + 1) * width + column).ravel(), minlength=size)
    found: Array = (begin - end).reshape(height + 1, width).cumsum(axis=0)[:height]
    return found


def picture(wing: Wing, color: tuple[int, int, int], grey: tuple[int, int, int]) -> Array:
    """``(pixels high, pixels wide, 4)`` RGBA: good channels in a colour, bad ones in grey behind them."""
    made = np.zeros((*wing.good.shape, 4), np.uint8)
    bad, good = wing.bad > 0, wing.good > 0
    made[bad] = (*grey, 110)
    made[good, :3] = color
    made[good, 3] = (255 * (1 - (1 - _FAINT) ** wing.good[good])).astype(np.uint8)
    return made


def in_words(wing: Wing) -> str:
    """How many channels are drawn, and what the picture reaches to."""
    good, bad = wing.count
    text = f"{good} {wing.kind if wing.unit else wing.title} ±{wing.height / 2:g} {wing.unit}".rstrip()
    return text + (f" ({bad} bad)" if bad else "")
