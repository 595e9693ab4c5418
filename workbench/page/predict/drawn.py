"""Pages that are drawn in a PDF file: paths are read as they are, without any pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.signals import Signals, time_base
from workbench.page.errors import NotAPage
from workbench.page.leads import STANDARD, standard_name
from workbench.page.predict.drawn_pulses import DrawnPulse, pulses_in, without_pulses
from workbench.page.predict.strips import DRAWN, likest

Floats = npt.NDArray[np.floating[Any]]

_LEAST_CORNERS = 40
_LEAST_SECONDS = 1.0
_MOST_BACK = 0.02
"""Share of steps of a trace that may lead back in time."""
_APART, _FARTHEST = 2.5, 20.0
"""Millimetres between pieces of a row that are room for pulses and names, and no time."""


class DrawnPath(Protocol):
    """A stroke: ``points`` ``(n, 2)`` [mm of the sheet, y down], its ``colour`` and ``width`` [mm]."""

    points: npt.NDArray[np.float64]
    colour: tuple[int, int, int]
    width: float


class DrawnText(Protocol):
    """Words, and their box (left, top, right, bottom) [mm of the sheet]."""

    text: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class DrawnPiece:
    """A lead as it was drawn: its name, where it begins on the page [s], its path [mm of the sheet].

    `was_read` is whether its name stands beside it; a strip without one is called after the lead that it repeats.
    """

    lead: str
    is_strip: bool
    start: float
    points: Floats
    was_read: bool = True


@dataclass(frozen=True, eq=False)
class ReadDrawing:
    """What a drawn page holds: leads in mV as `workbench.page.predict.digitise.Digitised` has them, its scale.

    `mm` are millimetres of the sheet for one of paper, `speed` and `gain` in mm of paper for a second and a millivolt.
    """

    signals: Signals
    pieces: tuple[DrawnPiece, ...]
    mm: float
    speed: float
    gain: float
    notes: tuple[str, ...]


def read_drawing(
    paths: Sequence[DrawnPath],
    texts: Sequence[DrawnText],
    *,
    scale_of: Callable[[Floats], tuple[float, float]] = lambda _pulses: (25.0, 10.0),
    sampling_rate: float = 500.0,
    source: str = "page",
) -> ReadDrawing:
    """Leads of a drawn page.

    The scale is that of the drawn grid: the distance of its fine lines is one millimetre of paper, whatever the sheet
    is scaled to.

    Parameters
    ----------
    scale_of
        Speed [mm/s] and gain [mm/mV], from the height and width [mm] of the calibration pulses, ``(pulses, 2)``.

    Raises
    ------
    NotAPage
        There is no grid of lines, or no named curves on it.
    InputError
        All curves have one name.
    """
    mm, mm_note = _millimetre(paths, source)
    strokes = _joined(paths)
    pulses = pulses_in([points / mm for points in strokes])
    speed, gain = scale_of(np.array([pulse.size for pulse in pulses]).reshape(-1, 2))
    curves = _curves(strokes, pulses, mm, speed)
    if not curves:
        raise NotAPage(f"{source}: is drawn with lines, but no curve on its grid is long enough for a lead.")
    named = [(name, text.box) for text in texts if (name := standard_name(text.text))]
    pieces = _pieces(curves, named, mm, speed)
    notes = [n for n in (mm_note,) if n]
    pieces, moved = _in_turn(pieces, mm, speed)
    notes += [moved] * bool(moved)
    pieces, said = _strips_named(pieces, mm, speed, gain, sampling_rate)
    notes += said
    if not pieces:
        raise NotAPage(
            f"{source}: {len(curves)} curves are drawn, and no name of a lead stands beside one. Save the page "
            "as PNG and give that."
        )
    if len(pieces) > 2 and len({piece.lead.lstrip("-") for piece in pieces}) == 1:
        raise InputError(  # read as a picture it would mislead just as well
            f"{source}: all {len(pieces)} curves have the name {pieces[0].lead} beside them, so that no name tells one "
            "from another. Correct the names, or export the page again."
        )
    if unnamed := len(curves) - len(pieces):
        notes.append(f"{unnamed} of {len(curves)} curves have no name beside them and were left out")
    signals = _signals(pieces, mm, speed, gain, sampling_rate)
    return ReadDrawing(signals, tuple(pieces), mm, speed, gain, tuple(notes))


def _millimetre(paths: Sequence[DrawnPath], source: str) -> tuple[float, str]:
    """Millimetres of the sheet for one millimetre of paper, from the lines of the grid in both directions."""
    found = []
    for axis in (0, 1):
        places = [
            float(p.points[0, axis])
            for p in paths
            if len(p.points) == 2
            and abs(p.points[0, axis] - p.points[1, axis]) < 1e-3
            and abs(p.points[0, 1 - axis] - p.points[1, 1 - axis]) > 20
        ]
        step = _step(np.array(places))
        if step is not None:
            found.append(step)
    if len(found) < 2:
        raise NotAPage(f"{source}: is drawn with lines, and none of them make the grid of an electrocardiogram.")
    if max(found) / min(found) > 1.02:
        raise NotAPage(
            f"{source}: the lines of its grid are {found[0]:.3f} mm apart along x and {found[1]:.3f} mm along y; "
            "expected squares. Print it without stretching."
        )
    mm = float(np.mean(found))
    note = "" if abs(mm - 1) < 0.005 else f"the sheet shows a millimetre of paper as {mm:.3f} mm, as its grid says"
    return mm, note


def _step(places: Floats) -> float | None:
    """Distance of fine lines: every line lies at a whole number of it; fitted over all of them."""
    unique = np.unique(np.round(places, 3))
    if len(unique) < 8:
        return None
    gaps = np.diff(unique)
    gaps = gaps[gaps > 0.05]
    if not len(gaps):
        return None
    small = float(np.median(gaps[gaps < 1.5 * np.percentile(gaps, 20)]))
    number = np.round((unique - unique[0]) / small)
    slope = float(np.polyfit(number, unique, 1)[0])
    miss = unique - unique[0] - slope * number
    if np.std(miss) > 0.08 * slope:
        return None
    # Where only strong lines are drawn, five of a sheet's millimetres lie between them.
    return slope / 5 if slope > 3.0 else slope


def _curves(strokes: Sequence[Floats], pulses: Sequence[DrawnPulse], mm: float, speed: float) -> list[Floats]:
    """Strokes that run on from left to right for long enough, without the pulses that they begin or end with."""
    long = [points for points in strokes if len(points) >= _LEAST_CORNERS]
    found = []
    for points in long:
        if np.mean(np.diff(points[:, 0]) < -1e-6) > 0.5:
            points = points[::-1]
        points = without_pulses(points / mm, pulses) * mm
        step = np.diff(points[:, 0])
        wide = (points[-1, 0] - points[0, 0]) / mm / speed
        if wide >= _LEAST_SECONDS and np.mean(step < -1e-6) <= _MOST_BACK:
            found.append(np.asarray(points))
    return found


def _joined(paths: Sequence[DrawnPath]) -> list[Floats]:
    """Paths of one colour and width, whose end is the next one's beginning, as one."""
    out: list[list[Floats]] = []
    last: tuple[Any, Any] | None = None
    for path in paths:
        look = (path.colour, round(path.width, 4))
        if out and last == look and np.abs(out[-1][-1][-1] - path.points[0]).max() < 0.02:
            out[-1].append(path.points[1:])
        else:
            out.append([path.points])
        last = look
    return [np.vstack(parts) for parts in out]


def _pieces(
    curves: Sequence[Floats], named: Sequence[tuple[str, tuple[float, float, float, float]]], mm: float, speed: float
) -> list[DrawnPiece]:
    """Each curve with a name near its beginning, so that all of them together are as near as they can be."""
    from scipy.optimize import linear_sum_assignment

    far = 1000.0
    away = np.full((len(curves), len(named)), far)
    for i, curve in enumerate(curves):
        level = float(np.median(curve[:, 1]))
        for j, (_, box) in enumerate(named):
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            dx, dy = (x - curve[0, 0]) / mm, (y - level) / mm
            if -14 < dx < 45 and abs(dy) < 22:
                away[i, j] = abs(dx) + 2 * abs(dy) + (4 if dx < -6 else 0)
    widths = np.array([c[-1, 0] - c[0, 0] for c in curves])
    is_strip = widths > 1.5 * np.median(widths) if len(curves) > 2 else np.zeros(len(curves), bool)
    begin = min(float(c[0, 0]) for c in curves)
    found, taken = [], set()
    for i, j in zip(*linear_sum_assignment(away), strict=True):
        if away[i, j] < far:
            taken.add(int(i))
            start = (float(curves[i][0, 0]) - begin) / mm / speed
            found.append(DrawnPiece(named[j][0], bool(is_strip[i]), start, curves[i]))
    spare = [i for i in range(len(curves)) if i not in taken and is_strip[i]]
    for i in spare:
        start = (float(curves[i][0, 0]) - begin) / mm / speed
        found.append(DrawnPiece("", True, start, curves[i], was_read=False))
    return found


def _strips_named(
    pieces: list[DrawnPiece], mm: float, speed: float, gain: float, rate: float
) -> tuple[list[DrawnPiece], list[str]]:
    """Strips without a name beside them, called after the lead whose samples they repeat; others are left out."""
    if all(piece.was_read for piece in pieces):
        return pieces, []
    data = _signals([replace(p, lead=p.lead or "?") for p in pieces], mm, speed, gain, rate).data
    ordered = sorted(pieces, key=_place)
    short = {p.lead.lstrip("-"): row for p, row in zip(ordered, data, strict=True) if not p.is_strip}
    out, notes = [], []
    for piece, row in zip(ordered, data, strict=True):
        lead = piece.lead or likest(row, short, rate, None, DRAWN)
        if lead is None:
            notes.append("a long strip has no name beside it and repeats no lead clearly: it was left out")
            continue
        if not piece.was_read:
            notes.append(
                f"a long strip has no name beside it: it is {lead} by its samples, which the short {lead} repeats"
            )
        out.append(replace(piece, lead=lead))
    return out, notes


def _in_turn(pieces: list[DrawnPiece], mm: float, speed: float) -> tuple[list[DrawnPiece], str]:
    """Pieces of a row one after another, and what to say of it: no moment is drawn twice in a row, none left out."""
    short = [p for p in pieces if not p.is_strip]
    length = float(np.median([(p.points[-1, 0] - p.points[0, 0]) / mm / speed for p in short])) if short else 0.0
    starts = _columns_at([p.start for p in short], 0.1 * length)
    if len(starts) < 2:
        return pieces, ""
    apart = float(np.median(np.diff(starts))) - length
    if 0.001 < -apart < 0.03 * length:
        said = f"overlap by {-apart * 1000:.0f} ms as they are drawn"
    elif _APART < apart * speed < _FARTHEST:
        said = f"stand {apart * speed:.1f} mm apart"
    else:
        return pieces, ""
    usual = next((u for u in (2.5, 5.0, 1.25, 3.0, 6.0) if abs(length / u - 1) < 0.01), length)
    columns = [int(np.argmin([abs(piece.start - s) for s in starts])) for piece in pieces]
    out = [p if p.is_strip else replace(p, start=c * usual) for p, c in zip(pieces, columns, strict=True)]
    return out, f"pieces of a row {said}; each is taken to begin where the one before it ends"


def _columns_at(starts: Sequence[float], near: float) -> list[float]:
    """Where columns begin, left to right: starts that are near each other are of one."""
    found: list[float] = []
    for start in sorted(starts):
        if not found or start - found[-1] > near:
            found.append(start)
    return found


def _place(piece: DrawnPiece) -> tuple[bool, int]:
    """Leads of the rows in their usual order, then strips."""
    name = piece.lead.lstrip("-")
    return piece.is_strip, STANDARD.index(name) if name in STANDARD else len(STANDARD)


def _signals(pieces: list[DrawnPiece], mm: float, speed: float, gain: float, rate: float) -> Signals:
    pieces.sort(key=_place)
    seconds = max(p.start + (p.points[-1, 0] - p.points[0, 0]) / mm / speed for p in pieces)
    samples = max(1, int(np.floor(seconds * rate + 1e-6)) + 1)
    data = np.full((len(pieces), samples), np.nan, np.float32)
    names = []
    for row, piece in zip(data, pieces, strict=True):
        times = piece.start + (piece.points[:, 0] - piece.points[0, 0]) / mm / speed
        values = (np.median(piece.points[:, 1]) - piece.points[:, 1]) / mm / gain
        values = -values if piece.lead.startswith("-") else values
        first, last = int(np.ceil(times[0] * rate - 1e-6)), int(np.floor(times[-1] * rate + 1e-6))
        at = np.arange(first, min(last, samples - 1) + 1)
        row[at] = _between(at / rate, times, values)
        names.append(f"{piece.lead.lstrip('-')} strip" if piece.is_strip else piece.lead.lstrip("-"))
    unique = [name if (k := names[:n].count(name)) == 0 else f"{name} {k + 1}" for n, name in enumerate(names)]
    return Signals(data, tuple(unique), time_base(samples, rate), "leads", "mV")


def _between(at: Floats, times: Floats, values: Floats) -> Floats:
    """Values between corners: a spline where they are even samples of a signal, straight where they are not."""
    steps = np.diff(times)
    if len(times) > 8 and steps.min() > 0 and steps.max() < 1.05 * steps.min():
        from scipy.interpolate import CubicSpline

        smooth: Floats = np.asarray(CubicSpline(times, values)(at), float)
        return smooth
    keep = np.concatenate([[True], steps > 1e-9])
    straight: Floats = np.interp(at, times[keep], values[keep])
    return straight
