"""The ink of rows of traces: from where to where it goes, and where one piece of a row ends and the next begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.origins import HALF_PEN
from workbench.page.predict.maps import Name
from workbench.page.predict.sharing import EDGE
from workbench.page.runs import runs

Floats = npt.NDArray[np.floating[Any]]

_STEP = 0.125
"""Of places along a row at which breaks are looked for [mm]."""
USUAL_SECONDS = {2: (5.0, 2.5, 3.0), 3: (2.5,), 4: (2.5,), 5: (2.0, 2.5)}
"""How long the pieces of a row usually are, by their number."""
_ODD = 30.0
"""Cost of a piece that is longer or shorter than pieces are, by the share: beats that fall on one moment in all rows
look like the place where pieces meet."""
_LOOSE = 0.25
"""Cost of a millimetre by which pieces begin and end elsewhere than the ink of their rows, whichever is nearer."""
_PEN = (-0.1, 0.9)
"""Width of pens [mm], least and most: by so much the ink of a piece is longer than the piece."""
_LAST = 0.002
"""Seconds between the last sample of a piece and its end."""
_APART, _SHORT = 4.0, 15.0
"""Ink at the ends of a row that lies so far from the rest and is so short is none of it [mm]."""


@dataclass(frozen=True)
class RowInk:
    """Of a row: its height [mm], and at every step of `per_mm` columns whether there is ink, and where [mm].

    `share` says how much ink (0 to 1), so that its ends are known to a fraction of a column.
    """

    height: float
    has_ink: npt.NDArray[np.bool_]
    top: Floats
    bottom: Floats
    share: npt.NDArray[np.floating[Any]]
    per_mm: float

    def span(self, first: float, last: float) -> tuple[float, float] | None:
        """First and last ink between two places [mm]; specks do not count, nor what lies apart at the ends."""
        a, b = (int(np.clip(round(v * self.per_mm), 0, len(self.has_ink))) for v in (first, last))
        there = np.flatnonzero(self.has_ink[a:b])
        if there.size < 2 * self.per_mm:
            return None
        window = int(2 * self.per_mm)
        dense = np.convolve(self.has_ink[a:b], np.ones(window), "valid")
        good = np.flatnonzero(dense > 0.7 * window)
        if not good.size:
            return None
        low, high = self._body(good, window)
        inside = there[(there >= low) & (there < high)]
        return (self._end(a + inside[0], -1)) / self.per_mm, (self._end(a + inside[-1], 1)) / self.per_mm

    def _end(self, column: int, step: int) -> float:
        """Where ink ends whose last column this is [columns]: between its middle and that of the one beside it."""
        beside = column + step
        if not 0 <= beside < len(self.share):
            return column + 0.5 + 0.5 * step
        own, less = float(self.share[column]), float(self.share[beside])
        part = (own - EDGE) / (own - less) if own > EDGE > less else 0.5
        return column + 0.5 + part * step

    def _body(self, good: npt.NDArray[np.int_], window: int) -> tuple[int, int]:
        """Where dense ink begins and ends, without short stretches that lie apart: edges of the paper, a table."""
        parts = np.split(good, np.flatnonzero(np.diff(good) > _APART * self.per_mm + window) + 1)
        spans = [(int(part[0]), int(part[-1]) + window) for part in parts]
        least = min(_SHORT * self.per_mm, 0.25 * max(end - start for start, end in spans))
        kept = [n for n, (start, end) in enumerate(spans) if end - start >= least]
        return spans[kept[0]][0], spans[kept[-1]][1]


def seconds_of_piece(rows: Sequence[RowInk], starts: Floats, last: float, speed: float) -> float:
    """How long pieces are that stand apart: what is usual, where that is what they nearly are."""
    ends = [*starts[1:], last]
    spans = [row.span(a, b) for row in rows for a, b in zip(starts, ends, strict=True)]
    found = float(np.median([b - a for a, b in (s for s in spans if s is not None)] or [0.0])) / speed
    for usual in (2.5, 5.0, 10.0, 1.25, 3.0, 6.0):
        if abs(found / usual - 1) < 0.02:
            return usual
    return found


def half_pen(spans: Sequence[tuple[float, float]], seconds: float, speed: float) -> float:
    """By how much the ink of lines begins before they do [mm]: the ends of a pen are round.

    Where ink is as long as pieces of `seconds` and a pen, half of what is too much; else what is usual.
    """
    beyond = float(np.median([last - first for first, last in spans])) - (seconds - _LAST) * speed
    return beyond / 2 if _PEN[0] <= beyond <= _PEN[1] else HALF_PEN


def edges_of(
    rows: Sequence[RowInk], names: Sequence[Name], first: float, last: float, columns: int, speed: float
) -> tuple[Floats, float]:
    """Where one piece of a row ends and the next begins [mm], and how clearly that is seen in all rows (0 to 1).

    Pieces are as long as each other, and most often as long as pieces usually are; lines break off between them, and
    names stand at their beginnings.
    """
    if columns == 1:
        return np.zeros(0), 0.0
    apart = _common_gaps(rows, first, last)
    if len(apart) == columns - 1:
        return np.array(apart), 1.0
    places, broken = _broken(rows, first, last)
    measured = (last - first) / columns
    usual = [u * speed for u in USUAL_SECONDS[columns] if abs(u * speed / measured - 1) < 0.12]
    widths = np.unique(np.concatenate([w * np.arange(0.985, 1.0151, 0.0025) for w in (measured, *usual)]))
    xs = np.array([name.x for name in names])
    weights = np.array([name.score for name in names])
    best = (-9.0, 0.0, measured, 0.0)
    for w in widths:
        odd = min(abs(w / u - 1) for u in (measured, *usual))
        for a in np.arange(-2.5, 2.51, 0.125):
            at = first + a + w * np.arange(columns)
            k = np.clip(np.round((at[1:] - first) / _STEP).astype(int), 0, len(places) - 1)
            seen = float(np.minimum(broken[k], 1.0).mean())
            named = 0.0
            if len(xs):
                behind = xs[:, None] - at
                named = float((weights * ((behind > -1.5) & (behind < 14)).any(axis=1)).sum() / weights.sum())
            ends = sorted((abs(a), abs(first + a + w * columns - last)))
            total = seen + 0.6 * named - _LOOSE * ends[0] - 0.04 * ends[1] - _ODD * odd
            if total > best[0]:
                best = (total, float(a), float(w), seen)
    _, a, w, seen = best
    return first + a + w * np.arange(1, columns), min(seen, 1.0)


def _broken(rows: Sequence[RowInk], first: float, last: float) -> tuple[Floats, Floats]:
    """Places along a row [mm], and the share of rows whose line breaks off there."""
    places = np.arange(first, last, _STEP)
    return places, np.mean([_breaks(row, places) for row in rows], axis=0)


def broken_within(rows: Sequence[RowInk], first: float, last: float, speed: float) -> float:
    """How clearly all rows break off together somewhere in their middle: then they have several pieces."""
    places, broken = _broken(rows, first, last)
    inside = (places > first + 0.15 * (last - first)) & (places < last - 0.15 * (last - first))
    return max(0.0, float(broken[inside].max(initial=0)) - 0.5) if len(rows) > 1 else 0.0


def _common_gaps(rows: Sequence[RowInk], first: float, last: float, least: float = 2.5) -> list[float]:
    """Middles of the gaps that most rows have in common [mm]: there pulses stand, or pieces begin."""
    per_mm = rows[0].per_mm
    a, b = (int(np.clip(round(v * per_mm), 0, len(rows[0].has_ink))) for v in (first + 5, last - 5))
    empty = np.mean([~row.has_ink[a:b] for row in rows], axis=0) > 0.6
    return [(a + (i + j) / 2) / per_mm for i, j in runs(empty) if j - i > least * per_mm]


def _breaks(row: RowInk, places: Floats) -> Floats:
    """How clearly the line breaks off at each place: a gap, or a jump that no ink joins; smeared over a millimetre."""
    from scipy import ndimage

    # Ink of neighbouring columns touches, however steep the stroke, unless the line breaks off.
    apart = np.fmax(row.top[1:] - row.bottom[:-1], row.top[:-1] - row.bottom[1:])
    broken = np.where(np.isfinite(apart), np.clip((apart - 0.05) / 0.4, 0, 1), 1.0)
    smeared = ndimage.maximum_filter1d(broken, 2 * max(1, round(0.4 * row.per_mm)) + 1)
    k = np.clip(np.round(places * row.per_mm).astype(int), 0, len(smeared) - 1)
    return np.asarray(smeared[k], float)


def has_gaps(rows: Sequence[RowInk], edges: Floats) -> bool:
    """Whether pieces of a row stand apart, as they do where each has a pulse of its own."""
    if not len(edges):
        return False
    wide = []
    for row in rows:
        for edge in edges:
            a, b = (int(np.clip(round(v * row.per_mm), 0, len(row.has_ink))) for v in (edge - 6, edge + 6))
            wide.append((~row.has_ink[a:b]).sum() / row.per_mm if b > a else 0.0)
    return float(np.median(wide)) > 2.5
