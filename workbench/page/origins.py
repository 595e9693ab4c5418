"""Where the second 0 of lines lies that do not say it: as a page that is read says it, from where its rows begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

HALF_PEN = 0.19
"""What round ends add to a line [mm]."""
_APART = 2.5
"""Millimetres between pieces of a row above which they stand apart, and the room between them is no time."""
_USUAL_SECONDS = (2.5, 5.0, 10.0, 1.25, 3.0, 6.0)
_WHOLE = 0.7
"""Share of a row that lines must go along, so that its beginning is among theirs."""


@dataclass(frozen=True)
class Span:
    """A line: the signal that it is part of, whether that is a strip, where it lies along x, and where second 0 is.

    All in mm of paper; ``origin`` is ``None`` where the line does not say it.
    """

    name: str
    is_strip: bool
    first: float
    last: float
    origin: float | None


def origins(spans: Sequence[Span], pace: float, seconds: tuple[float, float]) -> list[float | None]:
    """Second 0 of each line: as it says, as others of its signal say, as lines beside it do, as rows begin.

    Parameters
    ----------
    pace
        Millimetres of paper for a second.
    seconds
        How long a piece of a row is due to be, and a whole row.

    Returns
    -------
    list
        ``None`` where nothing says it: the lines are too few to tell where their rows begin.
    """
    said = {s.name: s.origin for s in spans if s.origin is not None}
    if said:
        return [s.origin if s.origin is not None else said.get(s.name, _beside(s, spans)) for s in spans]
    wholes = _wholes(spans)
    first = min((s.first for s in wholes), default=0.0)
    if not wholes or max(s.last for s in wholes) - first < _WHOLE * seconds[1] * pace:
        return [None] * len(spans)
    begin = _middle([s.first for s in wholes if s.first < first + 0.3 * seconds[0] * pace]) + HALF_PEN
    found = _of_short([s for s in wholes if not s.is_strip], begin, pace, seconds[0])
    return [found.get(s.name, begin) for s in spans]


def _wholes(spans: Sequence[Span]) -> list[Span]:
    """Of each signal one span, from its first line to its last."""
    found: dict[str, Span] = {}
    for s in spans:
        before = found.get(s.name, s)
        found[s.name] = Span(s.name, s.is_strip, min(before.first, s.first), max(before.last, s.last), None)
    return list(found.values())


def _beside(span: Span, spans: Sequence[Span]) -> float | None:
    """Second 0 of the line that begins nearest to this one."""
    known = [s for s in spans if s.origin is not None]
    return min(known, key=lambda s: abs(s.first - span.first)).origin


def _of_short(short: Sequence[Span], begin: float, pace: float, seconds: float) -> dict[str, float]:
    """Second 0 of pieces that stand apart; none where pieces follow each other without room, which begin as rows do."""
    columns: dict[int, list[Span]] = {}
    for s in short:
        columns.setdefault(round((s.first - begin) / (seconds * pace)), []).append(s)
    if len(columns) < 2:
        return {}
    starts = {n: _middle([s.first for s in here]) for n, here in sorted(columns.items())}
    length = _middle([s.last - s.first for s in short])
    pitch = _middle([(b - a) / (m - n) for (n, a), (m, b) in pairwise(starts.items())])
    if pitch - length < _APART:
        return {}
    length = next((u * pace for u in _USUAL_SECONDS if abs(length / (u * pace) - 1) < 0.02), length)
    return {s.name: starts[n] + HALF_PEN - n * length for n, here in columns.items() for s in here}


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))
