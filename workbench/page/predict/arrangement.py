"""Which piece of which row is which lead: from names that were read, rows that were followed, and what is usual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.errors import NotAPage
from workbench.page.layouts import Layout, of_rows, parts_of_rows
from workbench.page.net.page_net import LEADS
from workbench.page.origins import HALF_PEN
from workbench.page.predict.maps import Name
from workbench.page.predict.row_ink import (
    USUAL_SECONDS,
    RowInk,
    broken_within,
    edges_of,
    half_pen,
    has_gaps,
    seconds_of_piece,
)

Floats = npt.NDArray[np.floating[Any]]

_NEAR_ROW = 9.5
"""How far a name may stand from the line that it names [mm]."""
_CLEAR_NAME, _AT_START = 0.8, 14.0
"""Score of a name that was read without a doubt, and how far behind the beginning of a piece it stands [mm]."""
_MANY_WRONG = 3
"""Names that contradict a layout, from which on it is not believed."""
_READ_OF_PART, _PART_SCORE = 0.6, 1.5
"""Share of names that must be read where only a part of a page is seen, and how well all must fit."""
_WORST = -0.2
"""How badly a layout may fit what was read and seen, for each of its pieces."""
_OTHER_LEAD = 30.0
"""Names so far apart are those of two leads [mm]."""
_USUAL = {3: "3x4", 4: "3x4+1", 5: "3x4+2", 6: "3x4+3", 7: "6x2+1", 12: "12x1"}
"""What a number of rows most often is, where no name can be read."""

_WHOLE_ROW = 10.0
"""Seconds of a row, usually."""


@dataclass(frozen=True)
class Piece:
    """A lead, and where it lies: its row (from the top), and its first and last millimetre along x.

    Parameters
    ----------
    origin
        Where second 0 of the page lies for it [mm].
    start
        Seconds of the page at which it begins.
    was_read
        Whether its name was read, or follows from where it stands.
    """

    lead: str
    row: int
    first: float
    last: float
    origin: float
    start: float
    is_strip: bool
    was_read: bool
    score: float = 0.0


@dataclass(frozen=True)
class Arrangement:
    """All pieces of a page, how they are called together, and what a person should know of it.

    `score` is how well what was read and seen fits; about one for each name where a page stands upright.
    """

    layout: Layout
    pieces: tuple[Piece, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    score: float = 0.0
    edges: tuple[float, ...] = ()

    def breaks(self, row: int) -> tuple[float, ...]:
        """Where one piece of a row ends and the next begins [mm]."""
        return self.edges if row < len(self.layout.rows) else ()


def arrange(
    rows: Sequence[RowInk], names: Sequence[Name], speed: float, *, layout: str | None = None, source: str = "page"
) -> Arrangement:
    """Say what is what.

    Parameters
    ----------
    rows
        The rows that were followed, top to bottom.
    names
        What was read.
    speed
        Of the paper [mm/s].
    layout
        Name of the arrangement (see `workbench.page.layouts.layouts`), where a person said it.

    Raises
    ------
    NotAPage
        There are no rows, or no arrangement has as many.
    """
    if not rows:
        raise NotAPage(f"{source}: no traces are seen on the grid, so there is nothing to digitise.")
    offset = _offset(rows, names)
    placed = _placed(rows, names, offset)
    found = _best(rows, placed, speed, layout, source)
    return found


def _offset(rows: Sequence[RowInk], names: Sequence[Name]) -> float:
    """How far below its row a name stands on this page [mm]."""
    if not names:
        return 0.0
    away = np.array([[name.y - row.height for row in rows] for name in names])
    tries = np.arange(-_NEAR_ROW, _NEAR_ROW + 0.1, 0.5)
    hits = [sum(name.score * (np.abs(a - d) < 2.5).any() for name, a in zip(names, away, strict=True)) for d in tries]
    best = np.flatnonzero(np.array(hits) > max(hits) - 0.3)
    # Names stand as near to their rows as they can.
    return float(tries[best[np.abs(tries[best]).argmin()]]) if len(best) else 0.0


@dataclass(frozen=True)
class _Placed:
    name: Name
    row: int


def _placed(rows: Sequence[RowInk], names: Sequence[Name], offset: float) -> list[_Placed]:
    found = []
    for name in names:
        away = [abs(name.y - row.height - offset) for row in rows]
        row = int(np.argmin(away))
        pitch = min((abs(rows[row].height - r.height) for i, r in enumerate(rows) if i != row), default=30.0)
        if away[row] < max(4.0, 0.4 * pitch):
            found.append(_Placed(name, row))
    return found


def _best(
    rows: Sequence[RowInk], placed: Sequence[_Placed], speed: float, asked: str | None, source: str
) -> Arrangement:
    candidates = _fits([one for one in of_rows(len(rows)) if asked in (None, one.name)], rows, placed, speed)
    if asked is None:
        candidates = _believed(candidates, placed, len(rows))
        if not any(_is_usual_length(one, speed) for _, one in candidates):
            candidates = _likelier(candidates, _parts(rows, placed, speed))
        if not candidates and (own := _as_named(rows, placed)) is not None:
            candidates = [(score, _with_doubts(found, placed)) for score, found in _fits([own], rows, placed, speed)]
    elif not candidates:
        candidates = _fits([one for one in parts_of_rows(len(rows)) if one.name == asked], rows, placed, speed)
    if not candidates:
        counted = f"{len(rows)} rows of traces are seen"
        if asked:
            raise NotAPage(
                f"{source}: {counted}, and layout {asked} has another number; choose another, or leave it out."
            )
        names = _read(placed)
        if not names:
            raise NotAPage(
                f"{source}: {counted}, no name of a lead could be read, and so many rows are no usual layout. "
                "Cut the leads out of the picture, or say what they are with --layout."
            )
        raise NotAPage(
            f"{source}: {counted}, and the names that were read ({', '.join(dict.fromkeys(names))}) stand where no "
            "layout that is known has them. Cut one page out of the picture, or say what it is with --layout."
        )
    score, found = max(candidates, key=lambda one: one[0])
    read = [p for p in found.pieces if p.was_read]
    notes = []
    seen = {(p.lead, p.row) for p in found.pieces}
    lost = [c.lead.lstrip("-") for c in found.layout.cells() if (c.lead, c.row) not in seen]
    if lost:
        notes.append(f"no trace is seen where {', '.join(lost)} should be in the layout {found.layout.name}")
    if len(read) < 0.5 * len(found.pieces) and not found.notes:
        usual = _USUAL.get(len(rows))
        notes.append(
            f"{len(read)} of {len(found.pieces)} names of leads could be read; the others follow from the layout "
            f"{found.layout.name}"
            + (", which is the usual one for so many rows" if usual == found.layout.name else "")
            + ": check them"
        )
    return replace(found, notes=(*found.notes, *notes), score=score)


def _fits(
    layouts: Iterable[Layout], rows: Sequence[RowInk], placed: Sequence[_Placed], speed: float
) -> list[tuple[float, Arrangement]]:
    found = (_fitted(layout, rows, placed, speed) for layout in layouts)
    return [one for one in found if one is not None]


def _believed(
    candidates: list[tuple[float, Arrangement]], placed: Sequence[_Placed], count: int
) -> list[tuple[float, Arrangement]]:
    """Layouts of whole pages, less those that names on the page speak against; without names only the usual one."""
    usual = _USUAL.get(count)
    if not _read(placed):
        return [one for one in candidates if one[1].layout.name == usual]
    # Nothing but 12x1 has twelve rows, however its names are read.
    only = usual is not None and usual.endswith("x1")
    fit = [(score, one) for score, one in candidates if only or score > _WORST * len(one.pieces)]
    return [(score, one) for score, one in fit if _has_its_further(one, placed) and not _contradicted(one, placed)]


def _has_its_further(found: Arrangement, placed: Sequence[_Placed]) -> bool:
    """Whether names of some kind stand where a layout has leads beyond the twelve: V4R, V8 and V9 are not read."""
    further = [p for p in found.pieces if p.lead.lstrip("-") not in LEADS]
    return sum(bool(_at_start(p, placed)) for p in further) >= 0.5 * len(further)


def _likelier(
    whole: list[tuple[float, Arrangement]], parts: list[tuple[float, Arrangement]]
) -> list[tuple[float, Arrangement]]:
    """Whole pages or parts of them: which has a layout that fits better, for each of its pieces."""

    def best(found: list[tuple[float, Arrangement]]) -> float:
        return max((score / len(one.pieces) for score, one in found), default=-np.inf)

    return parts if best(parts) > best(whole) else whole


def _is_usual_length(found: Arrangement, speed: float) -> bool:
    """Whether pieces are nearly as long as they usually are beside each other."""
    usual = USUAL_SECONDS.get(found.layout.columns)
    seconds = found.seconds / found.layout.columns
    return usual is None or min(abs(seconds / u - 1) for u in usual) < 0.25


def _read(placed: Sequence[_Placed]) -> list[str]:
    """Names that are seen on the page, whichever of them."""
    return [p.name.lead for p in placed if p.name.score > 0.6]


def _contradicted(found: Arrangement, placed: Sequence[_Placed]) -> bool:
    """Whether clear names at the beginnings of pieces are of other leads, half as often as not.

    I, II and III are easily taken for each other, and digits are: a V5 that may be V3 is no contradiction to V2, I is
    one to aVL. What is seen further along a piece is no argument: beats of several rows look alike, and like letters.
    """
    right = wrong = 0
    for piece in found.pieces:
        here = _at_start(piece, placed)
        name = max(here, key=lambda name: name.score, default=None)
        lead = piece.lead.lstrip("-")
        if name is not None and name.score > _CLEAR_NAME and lead in LEADS:  # others are not read
            fits = lead in {name.lead, *name.others}
            other = not fits and (lead[0] != name.lead[0] or (lead[0] == "V" and not name.others))
            right, wrong = right + fits, wrong + other
    return wrong >= _MANY_WRONG and wrong >= 0.5 * right


def _at_start(piece: Piece, placed: Sequence[_Placed]) -> list[Name]:
    """Names where that of a piece stands."""
    low, high = piece.first - 6, piece.first + _AT_START
    return [p.name for p in placed if p.row == piece.row and low <= p.name.x < high]


def _may_be(piece: Piece, placed: Sequence[_Placed]) -> bool:
    """Whether a name that stands at a piece is, or may be, its own."""
    return any(piece.lead.lstrip("-") in {name.lead, *name.others} for name in _at_start(piece, placed))


def _parts(rows: Sequence[RowInk], placed: Sequence[_Placed], speed: float) -> list[tuple[float, Arrangement]]:
    """Rows that were cut out of a page, where most of their names were read."""
    found = []
    for score, one in _fits(parts_of_rows(len(rows)), rows, placed, speed):
        short = [p for p in one.pieces if not p.is_strip]
        read, may_be = sum(p.was_read for p in short), sum(_may_be(p, placed) for p in short)
        enough = read >= max(2, 0.5 * len(short)) and may_be >= _READ_OF_PART * len(short)
        if enough and score > _PART_SCORE and _is_usual_length(one, speed) and not _contradicted(one, placed):
            found.append((score, replace(one, notes=(*one.notes, f"part of a page: {one.layout.name}"))))
    return found


def _as_named(rows: Sequence[RowInk], placed: Sequence[_Placed]) -> Layout | None:
    """A layout of its own for rows that each have the name of one lead, all different."""
    leads = []
    for r in range(len(rows)):
        here = sorted((p for p in placed if p.row == r), key=lambda p: -p.name.score)
        if not here or _has_several(here):
            return None
        leads.append(here[0].name.lead)
    return Layout(f"{len(rows)}x1", tuple((lead,) for lead in leads)) if len(set(leads)) == len(leads) else None


def _has_several(names: Sequence[_Placed]) -> bool:
    """Whether names of a row stand so far apart that it has several leads."""
    clear = [p.name.x for p in names if p.name.score > 0.5]
    return bool(clear) and max(clear) - min(clear) > _OTHER_LEAD


def _with_doubts(found: Arrangement, placed: Sequence[_Placed]) -> Arrangement:
    """Nothing but the names says which leads these are: a name that may be another one is no reading."""
    doubts = {}
    for piece in found.pieces:
        own = [p.name for p in placed if p.row == piece.row and p.name.lead == piece.lead]
        if own and (others := max(own, key=lambda name: name.score).others):
            doubts[piece.lead] = f"{piece.lead} may be {' or '.join(others)}"
    pieces = tuple(replace(p, was_read=p.was_read and p.lead not in doubts) for p in found.pieces)
    notes = (f"names that are not clear: {'; '.join(doubts.values())}",) if doubts else ()
    return replace(found, pieces=pieces, notes=(*found.notes, *notes))


def _fitted(
    layout: Layout, rows: Sequence[RowInk], placed: Sequence[_Placed], speed: float
) -> tuple[float, Arrangement] | None:
    spans = [row.span(-1e9, 1e9) for row in rows]
    there = [s for s in spans if s is not None]
    if not there:
        return None
    columns, short = layout.columns, len(layout.rows)
    own_spans = [s for s in spans[:short] if s is not None] or there
    first = float(np.median([s[0] for s in own_spans])) + HALF_PEN
    last = float(np.median([s[1] for s in own_spans])) - HALF_PEN
    here = [p for p in placed if p.row < short]
    edges, evidence = edges_of(rows[:short], [p.name for p in here], first, last, columns, speed)
    score = 2.5 * (evidence - 0.3) if columns > 1 else -2.5 * broken_within(rows[:short], first, last, speed)
    pieces = []
    width = (last - first) / columns
    starts = np.array([first, *edges])
    gaps = has_gaps(rows[:short], edges)
    long = seconds_of_piece(rows[:short], starts, last, speed) if gaps else width / speed
    pen = half_pen([s for s in spans if s is not None], _WHOLE_ROW, speed)
    begin = first - HALF_PEN + pen
    for r, names in enumerate(layout.rows):
        for c, lead in enumerate(names):
            low = starts[c]
            high = starts[c + 1] if c + 1 < columns else last
            own = [p for p in placed if p.row == r and low - 5 <= p.name.x < high - min(5, 0.1 * width)]
            span = rows[r].span(low - (1.0 if c == 0 else 0.0), high + (1.0 if c == columns - 1 else 0.0))
            best = max(
                own, key=lambda p: p.name.score * (2 if p.name.x < low + 0.35 * (high - low) else 1), default=None
            )
            right = None
            if best is not None:
                near_start = 1.0 if best.name.x < low + 0.35 * (high - low) else 0.6
                score += near_start * _speaks_for(best.name, lead)
                right = best if best.name.lead.lstrip("-") == lead.lstrip("-") else None
            elif len(placed) >= 3:
                score -= 0.35
            if span is None:
                score -= 0.6
                continue
            start = c * long
            origin = span[0] + HALF_PEN - start * speed if gaps else begin
            pieces.append(
                Piece(
                    lead, r, span[0], span[1], origin, start, False, right is not None, right.name.score if right else 0
                )
            )
    strips = []
    for s, usual in enumerate(layout.strips):
        row = short + s
        own = sorted((p for p in placed if p.row == row and p.name.x < first + 25), key=lambda p: -p.name.score)
        also = [p for p in placed if p.row == row and p.name.x > first + 40]
        score -= 0.9 * sum(p.name.score for p in also)
        lead = own[0].name.lead if own else usual
        strips.append(lead)
        span = rows[row].span(-1e9, 1e9)
        score += 0.6 * own[0].name.score if own else (-0.5 if len(placed) >= 3 else -0.1)
        if span is not None:
            read = bool(own)
            pieces.append(Piece(lead, row, *span, begin, 0.0, True, read, own[0].name.score if own else 0))
    if layout.name == _USUAL.get(len(rows)):
        score += 0.6
    if layout.name.endswith("Cabrera"):
        score -= 0.3
    # A piece that is much longer or shorter than pieces are belongs to another layout.
    seconds = (last - first) / speed
    score -= 0.5 * max(0.0, 2.0 - seconds / columns) + (0.5 if columns == 1 and seconds < 3 else 0)
    arrangement = Arrangement(
        Layout(layout.name, layout.rows, tuple(strips)), tuple(pieces), seconds, edges=tuple(map(float, edges))
    )
    return score, arrangement


def _speaks_for(name: Name, lead: str) -> float:
    """What a name that was read adds to a layout that has this lead there: 1 at most, and less than 0 for another."""
    shares = [name.share(lead), 0.6 * name.share(lead.lstrip("-")) if lead.startswith("-") else 0.0]
    return float(np.clip(1 + 0.5 * np.log(max(shares)), -1.2, 1.0))
