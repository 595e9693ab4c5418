"""From the picture of a page to its leads in mV over seconds; every step is kept, to be seen and corrected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.signals import Signals, time_base
from workbench.page.errors import NotAPage
from workbench.page.leads import STANDARD
from workbench.page.net.page_net import FINER
from workbench.page.origins import HALF_PEN
from workbench.page.paper_map import PaperMap
from workbench.page.predict.arrangement import Arrangement, Piece, arrange
from workbench.page.predict.grid import Grid, find_grid, given_grid
from workbench.page.predict.maps import Maps, look
from workbench.page.predict.row_ink import RowInk
from workbench.page.predict.strips import likest
from workbench.page.predict.tracing import Stroke, baselines, follow, middle_line, share_along
from workbench.page.rectified import PER_MM, sample
from workbench.page.runs import long_runs, runs
from workbench.page.traces import channel

Floats = npt.NDArray[np.floating[Any]]
Pixels = npt.NDArray[np.uint8]

PEN = 0.375
"""Width of the lines in the map of traces [mm]."""
_MARGIN = (6.0, 20.0)
"""Paper around the grid that is looked at as well [mm]: at its sides, and above and below, for tall beats."""
LONGEST_FILLED = 1.0
"""Gaps up to so many mm are bridged; longer ones stay gaps."""
_AT_EDGE = 2.0
"""Millimetres beside the ends of a piece in which marks between pieces stand."""
_ONE_BEAT = 5.0
"""Millimetres within which unclear strokes are one beat's."""
_SHORTEST = 1.0
"""Seconds of leads below which there is no beat to be seen whole."""
_FINE, _COARSEST = 5.0, 2.5
"""Pixels a millimetre below which intervals are not to be trusted to 20 ms, and below which beats are lost."""
_STRETCHED = 1.15
"""Ratio of the sides of a square of the grid above which somebody should know."""
_STRAIGHT, _RULED = 0.12, 0.8
"""Millimetres from a straight line, and the share of a row within them above which it is a frame."""
_TALL, _WORD, _NARROW = 1.0, 4.2, 2.0
"""Millimetres of a beat above and below a word, of the word, and of the width of what is joined through it."""
_IS_WORD, _JOINED = 0.3, 0.6
"""Share of words in the map where one is printed, and of ink that joins a beat through it."""
_FRAME_REACH, _LEAST_FRAME = 2.5, 0.4
"""Millimetres that a frame may bend, and the share of the width that it has at least."""
_LARGEST = 40_000_000
"""Pixels of a rectified page; 500 x 500 mm have 16 million."""


@dataclass(frozen=True)
class Paper:
    """What the page was printed at: mm of paper for a second, and for a millivolt."""

    speed: float = 25.0
    gain: float = 10.0


@dataclass(frozen=True, eq=False)
class Flat:
    """A rectified page: pixels at `PER_MM` a millimetre, and where its upper left corner lies on paper [mm]."""

    pixels: Pixels
    corner: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Digitised:
    """A page that was read.

    Parameters
    ----------
    signals
        ``(leads, samples)`` float32, mV, NaN where nothing was drawn or seen. Leads of the rows in the standard order,
        then strips, called ``"II strip"``.
    sure
        The same shape: how certain each sample is, 0 to 1.
    pieces
        Where each of the signals lies, in their order.
    lines
        Of each row, in every column of the map, the height of the line [rows of pixels of the flat page].
    grid, flat, maps, strokes, arrangement, paper
        The steps.
    notes
        What a person should know.
    """

    signals: Signals
    sure: npt.NDArray[np.float32]
    pieces: tuple[Piece, ...]
    lines: tuple[Floats, ...]
    grid: Grid
    flat: Flat
    maps: Maps
    strokes: tuple[Stroke, ...]
    arrangement: Arrangement
    paper: Paper
    notes: tuple[str, ...]

    def coverage(self) -> dict[str, float]:
        """The share of samples that were seen, of those that a lead has on this page."""
        found = {}
        for name, row, piece in zip(self.signals.channels, self.signals.data, self.pieces, strict=True):
            width = self.arrangement.seconds / (1 if piece.is_strip else self.arrangement.layout.columns)
            due = width * self.signals.sampling_rate
            found[name] = float(min(np.isfinite(row).sum() / max(due, 1), 1.0))
        return found


def digitise(
    pixels: Pixels,
    model: Any,
    *,
    paper_of: Callable[[Maps], Paper] = lambda maps: Paper(),
    layout: str | None = None,
    pixels_per_mm: float | None = None,
    sampling_rate: float = 500.0,
    device: Any = "cpu",
    source: str = "page",
) -> Digitised:
    """Read a page that stands upright.

    Parameters
    ----------
    pixels
        ``(height, width, 3)`` uint8.
    model
        A `workbench.page.net.page_net.PageNet`.
    paper_of
        Speed and gain, from what was seen; 25 mm/s and 10 mm/mV by default.
    layout
        Where a person says what the arrangement is.
    pixels_per_mm
        Where a person says how large the paper is, and no grid is looked for.
    sampling_rate
        Of what comes out [Hz].

    Raises
    ------
    NoGrid
        Nothing says how many pixels a second and a millivolt have.
    NotAPage
        No traces, or nothing that looks like leads.
    """
    shape = (pixels.shape[0], pixels.shape[1])
    grid = find_grid(pixels, source) if pixels_per_mm is None else given_grid(shape, pixels_per_mm)
    _require_pixels(grid, source)
    flat = flatten(pixels, grid, source)
    maps = look(model, flat.pixels, device)
    found = read_flat(flat, grid, maps, paper_of(maps), layout=layout, sampling_rate=sampling_rate, source=source)
    if pixels_per_mm is None:
        return found
    return replace(found, notes=(*_compared(pixels, pixels_per_mm), *found.notes))


def flatten(pixels: Pixels, grid: PaperMap, source: str = "page") -> Flat:
    """The part of a picture that shows a grid, and a little around it, laid flat."""
    good = grid.quality > 0.25
    if not good.any():
        raise NotAPage(f"{source}: no grid is seen well enough to lay the page flat.")
    low = np.array([np.percentile(grid.paper[k][good], 0.5) for k in (0, 1)]) - _MARGIN
    high = np.array([np.percentile(grid.paper[k][good], 99.5) for k in (0, 1)]) + _MARGIN
    low = np.maximum(low, [grid.paper[k].min() for k in (0, 1)])
    high = np.minimum(high, [grid.paper[k].max() for k in (0, 1)])
    columns, rows = (max(32, int(np.ceil(v * PER_MM))) for v in high - low)
    if rows * columns > _LARGEST:
        raise NotAPage(f"{source}: {high[0] - low[0]:.0f} x {high[1] - low[1]:.0f} mm of paper are no page.")
    corner = (float(low[0]), float(low[1]))
    return Flat(sample(pixels, grid.to_pixels, corner, rows, columns), corner)


def read_flat(
    flat: Flat, grid: Grid, maps: Maps, paper: Paper, *, layout: str | None, sampling_rate: float, source: str
) -> Digitised:
    """The later steps, from what the network saw."""
    trace = _through_words(_on_grid(maps, grid, flat), maps.words)
    heights = baselines(trace, PER_MM)
    ends = (0, len(heights) - 1) if len(heights) > 2 else ()
    frames = {n: line for n in ends if (line := _frame(trace, heights[n])) is not None}
    if frames:
        trace = _without(trace, list(frames.values()))
        heights = heights[[n for n in range(len(heights)) if n not in frames]]
    strokes = follow(trace, heights, PER_MM) if len(heights) else []
    lines = [middle_line(stroke, PEN * PER_MM, FINER) for stroke in strokes]
    rows = [
        RowInk(
            (h + 0.5) / PER_MM,
            np.isfinite(s.top),
            s.top / PER_MM,
            s.bottom / PER_MM,
            share_along(trace, s.followed),
            FINER * PER_MM,
        )
        for h, s in zip(heights, strokes, strict=True)
    ]
    found = arrange(rows, maps.names, paper.speed, layout=layout, source=source)
    if any(found.breaks(n) for n in range(len(heights))):
        # Where pieces begin is known now: a beat that is cut there is followed from its own beginning.
        around = np.arange(-0.5, 0.51, 1 / FINER / PER_MM)
        breaks = [
            [round((edge + away) * FINER * PER_MM) for edge in found.breaks(n) for away in around]
            for n in range(len(heights))
        ]
        strokes = follow(trace, heights, PER_MM, breaks=breaks)
        lines = [middle_line(stroke, PEN * PER_MM, FINER) for stroke in strokes]
    signals, sure, pieces = _signals(found, lines, strokes, paper, sampling_rate)
    seconds = float(np.isfinite(signals.data).any(axis=0).sum()) / sampling_rate if pieces else 0.0
    if seconds < _SHORTEST:
        raise NotAPage(
            f"{source}: {seconds:.1f} s of lines are seen on the grid, an electrocardiogram has {_SHORTEST:g} s."
        )
    signals, pieces, said = _strips_by_samples(signals, pieces)
    notes = (*_coarse(grid), *found.notes, *said, *_over_each_other(pieces, strokes))
    return Digitised(signals, sure, pieces, tuple(lines), grid, flat, maps, tuple(strokes), found, paper, notes)


def _compared(pixels: Pixels, pixels_per_mm: float) -> list[str]:
    """What the grid of the picture says to a scale that a person gave."""
    said = f"the scale was given as {pixels_per_mm:g} pixels a millimetre, and paper taken as flat"
    try:
        x, y = find_grid(pixels).pixels_per_mm
    except NotAPage:
        return [f"{said}: no grid is seen that could say otherwise"]
    if max(abs(x / pixels_per_mm - 1), abs(y / pixels_per_mm - 1)) < 0.01:
        return [f"{said}: its grid has {x:.2f} and {y:.2f} along x and y"]
    return [f"{said}, but its grid has {x:.2f} and {y:.2f} along x and y: one of them is wrong"]


def _require_pixels(grid: Grid, source: str) -> None:
    """Refuse a picture whose pixels are so large that strokes of beats are lost while flat lines are seen."""
    least = min(grid.pixels_per_mm)
    if least < _COARSEST:
        raise NotAPage(
            f"{source}: {least:.1f} pixels a millimetre ({least * 25.4:.0f} dots per inch): beats would be lost "
            f"without a word; expected {_COARSEST} at least, better {_FINE:g}. Give the picture as it was taken, or "
            f"scan the page with {_FINE * 25.4:.0f} dots per inch or more."
        )


def _coarse(grid: Grid) -> list[str]:
    """What a person should know of a picture with few pixels, or with pixels that are not square."""
    least, most = sorted(grid.pixels_per_mm)
    x, y = grid.pixels_per_mm
    notes = []
    if most / least > _STRETCHED:
        notes.append(
            f"squares of the grid are {x / y:.2f} times as wide as high: the picture was stretched, or taken from "
            "aside; time and voltage follow the grid"
        )
    if least >= _FINE:
        return notes
    return [
        *notes,
        f"the picture has {least:.1f} pixels a millimetre: small waves are lost, and intervals are uncertain by tens "
        f"of milliseconds (scan with {_FINE * 25.4:.0f} dots per inch or more)",
    ]


def _frame(trace: npt.NDArray[np.float32], height: float) -> Floats | None:
    """The frame of a page that a row is: its height in every column where it is seen, else NaN; ``None`` for leads.

    A frame is straight nearly everywhere. Leads are within `_STRAIGHT` mm of one line in up to 0.56 of their length,
    frames in 0.89 and more.
    """
    stroke = follow(trace, np.array([height]), PER_MM, reach=_FRAME_REACH)[0]
    line = middle_line(stroke, PEN * PER_MM, FINER)
    good = np.isfinite(line)
    if good.sum() < max(200, _LEAST_FRAME * len(line)):
        return None
    x, y = np.flatnonzero(good), line[good]
    fit = np.polyfit(x, y, 2)
    for _ in range(8):
        away = np.abs(y - np.polyval(fit, x))
        near = away <= 1.5 * np.median(away) + 0.1
        fit = np.polyfit(x[near], y[near], 2)
    straight = np.polyval(fit, np.arange(len(line)))
    on_it = np.abs(line - straight) < _STRAIGHT * PER_MM
    if on_it.sum() < _RULED * good.sum():
        return None
    thin = stroke.bottom - stroke.top < 2.5 * PEN * PER_MM
    return np.where(on_it & thin, straight, np.nan)


def _without(trace: npt.NDArray[np.float32], frames: list[Floats]) -> npt.NDArray[np.float32]:
    """The map of traces without these straight lines; where something taller crosses them it stays."""
    out = trace.copy()
    rows = np.arange(len(trace))[:, None]
    for line in frames:
        out[np.abs(rows - np.where(np.isfinite(line), line, -1e6)) < 1.2 * PEN * PER_MM] = 0
    return out


def _on_grid(maps: Maps, grid: Grid, flat: Flat) -> npt.NDArray[np.float32]:
    """The map of traces without pulses, and without what lies far from any grid (words of a header)."""
    from scipy import ndimage

    rows, columns = flat.pixels.shape[:2]
    step = 4 * PER_MM
    down, across = (int(np.ceil(n / step)) + 1 for n in (rows, columns))
    gy, gx = np.mgrid[0:down, 0:across] * step
    paper = np.column_stack([gx.ravel() / PER_MM + flat.corner[0], gy.ravel() / PER_MM + flat.corner[1]])
    places = (grid.to_pixels(paper) - grid.first) / grid.step
    quality = ndimage.map_coordinates(grid.quality, places[:, ::-1].T, order=1, mode="nearest").reshape(down, across)
    near = ndimage.maximum_filter(quality, (9, 3)) > 0.12
    fine = np.repeat(np.repeat(near, int(step), 0), int(step * FINER), 1)[:rows, : FINER * columns]
    pulse = ndimage.maximum_filter(maps.pulse[::2, ::4], 3) > 0.5
    pulse = np.repeat(np.repeat(pulse, 2, 0), 4, 1)[:rows, : FINER * columns]
    stronger = pulse & (maps.pulse > maps.trace)
    return np.where(fine & ~stronger, maps.trace, np.float32(0))


def _through_words(trace: npt.NDArray[np.float32], words: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The map of traces with beats joined that go through a printed word: tall above it and tall below it."""
    from scipy import ndimage

    rows, columns = trace.shape
    ink = trace > 0.5
    least, reach = round(_TALL * PER_MM), round(_WORD * PER_MM)
    tall = long_runs(ink, least)
    gap = ~long_runs(~tall, reach) & ~ink
    printed = np.repeat(np.repeat(words > _IS_WORD, 2, 0), 2 * FINER, 1)[:rows, :columns]
    gap[: printed.shape[0], : printed.shape[1]] &= printed
    parts, count = ndimage.label(gap, np.ones((3, 3)))
    if not count:
        return trace
    out = trace.copy()
    for n, (down, across) in enumerate(ndimage.find_objects(parts), start=1):
        own = parts[down, across] == n
        if own.shape[1] <= _NARROW * FINER * PER_MM:
            out[down, across][own] = np.maximum(out[down, across][own], _JOINED)
    return out


def heights_of(line: Floats, piece: Piece) -> tuple[int, Floats]:
    """First column of the map of a piece, and the heights of its line from there on [pixels of the flat page]."""
    per_mm = FINER * PER_MM
    a, b = round(piece.first * per_mm), round(piece.last * per_mm)
    return a, _without_others(line[a:b], round(2 * HALF_PEN * per_mm))


def _signals(
    found: Arrangement, lines: list[Floats], strokes: list[Stroke], paper: Paper, rate: float
) -> tuple[Signals, npt.NDArray[np.float32], tuple[Piece, ...]]:
    order = {name: n for n, name in enumerate(STANDARD)}
    pieces = sorted(found.pieces, key=lambda p: (p.is_strip, order.get(p.lead.lstrip("-"), 99), p.row))
    names: list[str] = []
    for n, piece in enumerate(pieces):
        if channel(piece.lead, piece.is_strip) in names:
            copies = sum(p.lead == piece.lead and p.is_strip == piece.is_strip for p in found.pieces)
            pieces[n] = piece = replace(piece, lead=f"{piece.lead} {copies}")
        names.append(channel(piece.lead, piece.is_strip))
    ends = [(p.last - p.origin) / paper.speed for p in pieces]
    samples = max(1, int(np.ceil(max(ends, default=0) * rate)))
    data = np.full((len(pieces), samples), np.nan, np.float32)
    sure = np.zeros_like(data)
    per_mm = FINER * PER_MM
    for n, piece in enumerate(pieces):
        a, heights = heights_of(lines[piece.row], piece)
        b = a + len(heights)
        good = np.isfinite(heights)
        if good.sum() < 4:
            continue
        times = ((np.arange(a, b) + 0.5) / per_mm - piece.origin) / paper.speed
        values = (np.median(heights[good]) - heights) / PER_MM / paper.gain
        if piece.lead.startswith("-"):
            values = -values
        _resample(times, values, strokes[piece.row].sure[a:b], rate, paper.speed, data[n], sure[n])
    return Signals(data, tuple(names), time_base(samples, rate), "leads", "mV"), sure, tuple(pieces)


def _strips_by_samples(signals: Signals, pieces: tuple[Piece, ...]) -> tuple[Signals, tuple[Piece, ...], list[str]]:
    """Strips called after the lead whose short piece they repeat, whatever was read beside them."""
    names, out, notes = list(signals.channels), list(pieces), []
    short = {p.lead.lstrip("-"): row for p, row in zip(pieces, signals.data, strict=True) if not p.is_strip}
    for n, piece in enumerate(pieces):
        own = piece.lead.lstrip("-")
        best = likest(signals.data[n], short, signals.sampling_rate, own) if piece.is_strip else None
        if best is not None and f"{best} strip" not in names:
            how = f"its name was read as {own}" if piece.was_read else "its name could not be read"
            notes.append(f"the strip is {best} by its samples, which those of the short {best} repeat ({how})")
            out[n], names[n] = replace(piece, lead=best, was_read=False), f"{best} strip"
    return replace(signals, channels=tuple(names)), tuple(out), notes


def _over_each_other(pieces: Sequence[Piece], strokes: Sequence[Stroke]) -> list[str]:
    """Leads whose beats lie over those of others, so that it is not clear whose strokes are whose."""
    per_mm = FINER * PER_MM
    places = {}
    for piece in pieces:
        first, last = piece.first + _AT_EDGE, piece.last - _AT_EDGE
        unclear = strokes[piece.row].unclear[round(first * per_mm) : round(last * per_mm)]
        starts = [a for a, _ in runs(unclear)]
        count = sum(b - a > _ONE_BEAT * per_mm for a, b in pairwise([-np.inf, *starts]))
        if count:
            places[channel(piece.lead, piece.is_strip)] = count
    if not places:
        return []
    told = ", ".join(f"{name} ({count} {'place' if count == 1 else 'places'})" for name, count in places.items())
    return [
        f"beats lie over each other, and which stroke is whose is not clear: {told}; look at the lines on the page "
        "before heights of these beats are used"
    ]


def _without_others(heights: Floats, edge: int) -> Floats:
    """A piece without ends that jump away: there the ink of the piece beside it begins."""
    if len(heights) < 6 * edge:
        return heights
    out = heights.copy()
    for ends, inner in ((slice(0, edge), heights[edge : 3 * edge]), (slice(-edge, None), heights[-3 * edge : -edge])):
        if np.isfinite(inner).any():
            # A steep stroke goes on as it was; what is farther off than that belongs to another lead.
            allowed = 1.0 * PER_MM + 2 * (np.nanmax(inner) - np.nanmin(inner))
            far = np.abs(out[ends] - np.nanmedian(inner)) > allowed
            out[ends] = np.where(far, np.nan, out[ends])
    return out


def _resample(times: Floats, values: Floats, sure: Floats, rate: float, speed: float, out: Any, certain: Any) -> None:
    """Columns to even samples; gaps longer than a millimetre stay gaps."""
    from scipy.interpolate import PchipInterpolator

    good = np.isfinite(values)
    t, v = times[good], values[good]
    first, last = int(np.ceil(t[0] * rate)), int(np.floor(t[-1] * rate))
    first, last = max(first, 0), min(last, len(out) - 1)
    if last < first:
        return
    at = np.arange(first, last + 1) / rate
    out[first : last + 1] = PchipInterpolator(t, v)(at)
    after = np.clip(np.searchsorted(t, at), 1, len(t) - 1)
    wide = (t[after] - t[after - 1]) * speed
    seen = wide <= LONGEST_FILLED
    out[first : last + 1][~seen] = np.nan
    step = speed * float(np.median(np.diff(t)))
    bridged = wide > 1.5 * step
    certain[first : last + 1] = np.where(seen, np.interp(at, t, sure[good]) * np.where(bridged, 0.5, 1.0), 0.0)
