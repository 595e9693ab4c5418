"""How the leads of a drawn page are arranged: the layout that has their names where they were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.page.layouts import Layout, layouts
from workbench.page.predict.drawn import DrawnPiece


@dataclass(frozen=True)
class DrawnArrangement:
    """What a drawn page shows of each moment.

    Parameters
    ----------
    layout
        The layout that is known and fits, or ``None``.
    seconds
        How long a row is.
    columns
        Pieces of a row.
    times
        Of each short lead the seconds of the page between which it was drawn.
    lost
        Leads of the layout that no curve is named after.
    """

    layout: Layout | None
    seconds: float
    columns: int
    times: dict[str, tuple[float, float]]
    lost: tuple[str, ...] = ()


def arranged(pieces: Sequence[DrawnPiece], lengths: Sequence[float]) -> DrawnArrangement:
    """The layout of drawn pieces, that with the fewest leads that were not found.

    Parameters
    ----------
    lengths
        How long each piece is [s].
    """
    times = {p.lead: (p.start, p.start + s) for p, s in zip(pieces, lengths, strict=True) if not p.is_strip}
    found = _columns([p for p in pieces if not p.is_strip], [b - a for a, b in times.values()])
    end = max(p.start + s for p, s in zip(pieces, lengths, strict=True))
    strips = [p.lead for p in sorted(pieces, key=lambda p: float(np.median(p.points[:, 1]))) if p.is_strip]
    shown = {lead.lstrip("-"): (round(a, 4), round(b, 4)) for lead, (a, b) in times.items()}
    fits = [one for one in layouts().values() if _fits(one, found)]
    if not fits:
        return DrawnArrangement(None, end, len(found), shown)
    best = min(fits, key=lambda one: len(one.leads))
    lost = tuple(lead for lead in best.leads if lead not in shown)
    pitch = float(np.median([b - a for a, b in times.values()]))
    return DrawnArrangement(best.with_strips(*strips), max(end, best.columns * pitch), best.columns, shown, lost)


def _columns(short: Sequence[DrawnPiece], lengths: Sequence[float]) -> list[list[str]]:
    """Names of the pieces of each column, left to right, and in it from the top down."""
    if not short:
        return []
    length = float(np.median(lengths))
    place = [round(p.start / length) for p in short]
    found: list[list[str]] = [[] for _ in range(max(place) + 1)]
    for piece, column in sorted(zip(short, place, strict=True), key=lambda one: float(np.median(one[0].points[:, 1]))):
        found[column].append(piece.lead.lstrip("-"))
    return found


def _fits(layout: Layout, found: Sequence[Sequence[str]]) -> bool:
    """Whether all names stand in the columns of a layout, in its order; some may be missing."""
    if not any(found) or len(found) > layout.columns:
        return False
    for n, names in enumerate(found):
        due = iter(row[n].lstrip("-") for row in layout.rows)
        if not all(name in due for name in names):
            return False
    return True
