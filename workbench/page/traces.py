"""Lines over the picture of a page, as people see and correct them, and the leads in mV over seconds that they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError
from workbench.core.lines import Lines
from workbench.core.signals import Signals, time_base
from workbench.core.types import Scores
from workbench.page.leads import STANDARD
from workbench.page.origins import Span, origins
from workbench.page.paper_map import PaperMap

Floats = npt.NDArray[np.floating[Any]]

LEAD, STRIP, ORIGIN, WAS_READ = "lead", "strip", "second 0 [mm]", "name read"
"""Features of the lines: the name of the lead ("-aVR" where it is drawn upside down), whether it is a long strip, where
its second 0 lies on paper, and whether its name was read."""
PAGE_CORNER = "page corner [mm]"
"""Detail of the provenance: where on paper (x, y) the upper left corner of the part ``page`` lies."""
PIECES = "pieces [s]"
"""Detail of the provenance of a drawn page: of each short lead the seconds of the page between which it is drawn."""
_CAN_BE = ((1.0, 500.0), (0.1, 200.0), (20.0, 10_000.0), (1e-3, 600.0), (1e-3, 600.0), (0.02, 50.0), (0.02, 50.0))
"""Speed, gain, sampling rate, seconds of a piece and of a strip, and the corrections of a person, from and to."""
_FARTHEST, _LONGEST = 5000.0, 120.0
"""Millimetres and seconds that a page can have."""
COVERAGE = ("lead", "strip", "seen [s]", "coverage", "certainty", "name read")


@dataclass(frozen=True, eq=False)
class Sheet:
    """What turns a line in pixels into millivolts over seconds; plain values in `Lines.about`.

    Parameters
    ----------
    paper
        Millimetres of the picture as it was read, upright.
    shape
        Height and width of the picture as it is in its file [pixels].
    turn
        Quarter turns clockwise before it was read.
    speed, gain
        mm/s and mm/mV.
    sampling_rate
        Of the leads [Hz].
    seconds
        How long a piece of a row is due to be, and a strip.
    scale
        What a person corrected the millimetres along x and y by.
    """

    paper: PaperMap
    shape: tuple[int, int]
    turn: int
    speed: float
    gain: float
    sampling_rate: float
    seconds: tuple[float, float]
    scale: tuple[float, float] = (1.0, 1.0)

    def to_json(self) -> dict[str, Any]:
        return {
            "paper": self.paper.to_json(), "shape": list(self.shape), "turned": 90 * self.turn,
            "speed [mm/s]": self.speed, "gain [mm/mV]": self.gain, "sampling rate [Hz]": self.sampling_rate,
            "seconds": list(self.seconds), "scale": list(self.scale),
        }  # fmt: skip

    @classmethod
    def of(cls, lines: Lines) -> Sheet:
        """That of lines.

        Raises
        ------
        GeometryError
            They say none, or one that cannot be.
        """
        v = lines.about
        try:
            found = cls(
                PaperMap.from_json(v["paper"]), (int(v["shape"][0]), int(v["shape"][1])), int(v["turned"]) // 90 % 4,
                float(v["speed [mm/s]"]), float(v["gain [mm/mV]"]), float(v["sampling rate [Hz]"]),
                (float(v["seconds"][0]), float(v["seconds"][1])), (float(v["scale"][0]), float(v["scale"][1])),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise GeometryError(f"lines '{lines.name}' do not say where on paper they lie ({error})") from error
        numbers = (found.speed, found.gain, found.sampling_rate, *found.seconds, *found.scale)
        if not all(low <= n <= high for n, (low, high) in zip(numbers, _CAN_BE, strict=True)):
            raise GeometryError(f"lines '{lines.name}' have a scale that cannot be: {numbers}")
        return found

    def to_mm(self, points: Floats) -> Floats:
        """Millimetres of paper, ``(n, 2)``, of points of lines (x, y from the corner of the first pixel)."""
        return self.paper.to_paper(turned(np.asarray(points, float) - 0.5, self.turn, self.shape))

    def from_mm(self, mm: Floats) -> Floats:
        """Inverse of `to_mm`."""
        return turned(self.paper.to_pixels(mm), -self.turn, self.shape) + 0.5


def turned(points: Floats, turn: int, shape: tuple[int, int]) -> Floats:
    """Pixels (x, y) of a picture of that shape, in the picture turned clockwise by so many quarters; back: minus."""
    height, width = shape
    x, y = np.asarray(points, float).T
    if turn < 0:
        back = {0: (x, y), 1: (y, height - 1 - x), 2: (width - 1 - x, height - 1 - y), 3: (width - 1 - y, x)}
        return np.column_stack(back[-turn % 4])
    there = {0: (x, y), 1: (height - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, width - 1 - x)}
    return np.column_stack(there[turn % 4])


def channel(lead: str, is_strip: bool) -> str:
    """The name among the signals: an aVR that is drawn upside down is aVR."""
    return f"{lead.lstrip('-')} strip" if is_strip else lead.lstrip("-")


def channels_of(lines: Lines) -> tuple[str, ...]:
    """Of each line the signal that it is part of."""
    leads, strips = lines.feature(LEAD, ""), lines.feature(STRIP, False)
    return tuple(channel(str(lead), bool(strip)) for lead, strip in zip(leads, strips, strict=True))


def order_of(name: str) -> tuple[bool, int, str]:
    """Leads in the standard order, then strips, for `sorted`."""
    lead = name.removesuffix(" strip")
    return name.endswith(" strip"), STANDARD.index(lead) if lead in STANDARD else len(STANDARD), name


def completed(lines: Lines) -> Lines:
    """The lines with what their file does not say: which are strips, and where second 0 lies as far as it is clear.

    A line that goes on for longer than a piece of a row is a strip. See `workbench.page.origins.origins`.

    Raises
    ------
    GeometryError
        The lines do not say where on paper they lie.
    """
    strips, starts = (tuple(map(_said, lines.feature(name))) for name in (STRIP, ORIGIN))
    if None not in strips and None not in starts:
        return lines
    sheet = Sheet.of(lines)
    pace, (piece, row) = sheet.speed / sheet.scale[0], sheet.seconds
    ends = [sheet.to_mm(lines.line(n))[:, 0] for n in range(len(lines))]
    long = [row > 1.3 * piece and float(np.ptp(x)) > 1.3 * piece * pace for x in ends]
    strips = tuple(own if said is None else bool(said) for own, said in zip(long, strips, strict=True))
    now = replace(lines, features={**lines.features, STRIP: strips})
    spans = [
        Span(name, strip, float(x.min()), float(x.max()), start)
        for name, strip, x, start in zip(channels_of(now), strips, ends, starts, strict=True)
    ]
    return replace(now, features={**now.features, ORIGIN: tuple(origins(spans, pace, sheet.seconds))})


def unsaid(lines: Lines, name: str) -> int:
    """How many lines do not have that property."""
    return sum(_said(value) is None for value in lines.feature(name))


def _said(value: Any) -> Any:
    """A property, ``None`` where it is there without a value."""
    return None if value == "" or value != value else value


def leads_of(lines: Lines) -> Signals:
    """Leads in mV, ``(leads, samples)`` float32; NaN where there is no line. See `heights_of`.

    The median of each lead is 0 mV: paper has no zero.
    """
    found = heights_of(lines)
    data = found.data.copy()
    for row in data:
        if np.isfinite(row).any():
            row -= np.nanmedian(row)
    return replace(found, data=data)


def heights_of(lines: Lines) -> Signals:
    """The same as `leads_of`, in mV from a place on paper that all lines share.

    Of two lines of one lead the later one counts where both lie. A line that turns back along x counts where it first
    was.

    Raises
    ------
    GeometryError
        The lines do not say where on paper they lie, or no line has a lead.
    """
    lines = completed(lines)
    sheet, names = Sheet.of(lines), channels_of(lines)
    wanted = sorted({name for name in names if name}, key=order_of)
    if not wanted:
        raise GeometryError(f"lines '{lines.name}': no line has the name of a lead")
    pieces = [(name, *_samples(lines, n, sheet)) for n, name in enumerate(names) if name]
    length = max((first + len(values) for _, first, values in pieces), default=0)
    data = np.full((len(wanted), max(length, 1)), np.nan, np.float32)
    for name, first, values in pieces:
        data[wanted.index(name), first : first + len(values)] = values
    return Signals(data, tuple(wanted), time_base(data.shape[1], sheet.sampling_rate), "leads", "mV")


def _samples(lines: Lines, n: int, sheet: Sheet) -> tuple[int, Floats]:
    """Number of the first sample of a line, and its values [mV] without their zero; none for one without a length."""
    mm = sheet.to_mm(lines.line(n))
    ahead = mm[:, 0] > np.maximum.accumulate(np.concatenate([[-np.inf], mm[:-1, 0]]))
    mm = mm[ahead]
    origin = lines.feature(ORIGIN)[n]
    if origin is None:
        raise GeometryError(
            f"line {n + 1} of '{lines.name}' ({channels_of(lines)[n]}) has no property '{ORIGIN}', and the lines are "
            "too few to tell it from where rows begin: give it, the place of second 0 of its lead on paper"
        )
    if not isinstance(origin, int | float) or not (np.isfinite(mm).all() and np.abs(mm).max(initial=0) < _FARTHEST):
        raise GeometryError(f"line {n + 1} of '{lines.name}' lies nowhere on paper (second 0 at {origin} mm)")
    if len(mm) < 2:
        return 0, np.zeros(0)
    times = (mm[:, 0] - origin) * sheet.scale[0] / sheet.speed
    first = max(0, int(np.ceil(times[0] * sheet.sampling_rate - 1e-6)))
    last = min(int(np.floor(times[-1] * sheet.sampling_rate + 1e-6)), int(_LONGEST * sheet.sampling_rate))
    at = np.arange(first, max(first, last + 1)) / sheet.sampling_rate
    values = -np.interp(at, times, mm[:, 1]) * sheet.scale[1] / sheet.gain
    return first, -values if str(lines.feature(LEAD, "")[n]).startswith("-") else values


def without_covered(lines: Lines) -> Lines:
    """Lines without the parts over which a later line of the same lead was drawn."""
    sheet, names = Sheet.of(lines), channels_of(lines)
    places = [sheet.to_mm(lines.line(n)) for n in range(len(lines))]
    spans = [(float(p[:, 0].min()), float(p[:, 0].max())) for p in places]
    points: list[Floats] = []
    rows: list[int] = []
    for n, name in enumerate(names):
        over = [spans[m] for m in range(n + 1, len(lines)) if names[m] == name]
        if not any(low < spans[n][1] and high > spans[n][0] for low, high in over):
            points.append(lines.line(n))
            rows.append(n)
            continue
        for first, last in _left(spans[n], over):
            points.append(_cut(lines.line(n), places[n][:, 0], first, last))
            rows.append(n)
    return lines.drawn(points, {key: tuple(values[n] for n in rows) for key, values in lines.features.items()})


def _left(span: tuple[float, float], over: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """What is left of a span; crumbs of less than half a millimetre are not."""
    at = span[0]
    for low, high in sorted(over):
        if low - at > 0.5:
            yield at, min(low, span[1])
        at = max(at, high)
    if span[1] - at > 0.5:
        yield at, span[1]


def _cut(points: Floats, x: Floats, first: float, last: float) -> Floats:
    """The part of a line between two places of x, with a point on each."""
    order = np.argsort(x, kind="stable")
    ends = np.column_stack([np.interp([first, last], x[order], points[order, k]) for k in (0, 1)])
    inside = points[(x > first) & (x < last)]
    return np.vstack([ends[:1], inside, ends[1:]])


def coverage(
    signals: Signals, sure: Mapping[str, float], read: Mapping[str, bool], seconds: tuple[float, float]
) -> Scores:
    """A row for each lead: how much of it is there, and how sure that is."""
    rows = []
    for name, values in zip(signals.channels, signals.data, strict=True):
        strip = name.endswith(" strip")
        seen = float(np.isfinite(values).sum()) / signals.sampling_rate
        share = min(seen / max(seconds[strip], 1e-9), 1.0)
        rows.append((name, strip, round(seen, 3), round(share, 4), round(sure.get(name, 0.0), 3), bool(read.get(name))))
    return Scores(COVERAGE, tuple(rows), "coverage")


def relabelled(lines: Lines, rows: Sequence[int], lead: str) -> Lines:
    """These lines under the name of another lead."""
    leads = [lead if n in set(rows) else value for n, value in enumerate(lines.feature(LEAD, ""))]
    return replace(lines, features={**lines.features, LEAD: tuple(leads)})
