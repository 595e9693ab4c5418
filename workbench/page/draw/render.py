"""From signals and a style to a page, with everything that is true of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.signals import Signals
from workbench.page.draw.canvas import Canvas
from workbench.page.draw.styles import Style
from workbench.page.layouts import Cell
from workbench.page.runs import runs

Floats = npt.NDArray[np.floating[Any]]
ToPixels = Callable[[Floats], Floats]
"""From places on paper (x, y) [mm], ``(n, 2)``, to pixels, counted from the centre of the first."""
WordKind = Literal["lead", "name", "id", "date", "text"]
MM = 25.4


@dataclass(frozen=True)
class Words:
    """Something printed: what it is, what it says, its four corners in pixels, ``(4, 2)`` of (x, y), and in mm."""

    kind: WordKind
    text: str
    corners: Floats
    paper: Floats


@dataclass(frozen=True)
class DrawnLead:
    """One piece of a lead as it was drawn.

    Parameters
    ----------
    cell
        Where it is in the layout.
    samples
        First and last sample (exclusive) of the signals that are shown.
    baseline
        Height of 0 mV on paper [mm].
    start
        Where its first sample lies on paper [mm].
    line
        ``(samples, 2)``, (x, y) in pixels.
    paper
        The same in mm of paper.
    """

    cell: Cell
    samples: tuple[int, int]
    baseline: float
    start: float
    line: Floats
    paper: Floats


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """A page, and the truth about it.

    Parameters
    ----------
    pixels
        ``(height, width, 3)`` uint8.
    ink
        ``(height, width)`` uint8: how much of a pixel a trace covers (255: all of it).
    mask
        ``(height, width)`` uint8: which piece covers at least half of a pixel, counted from 1 in the order of `leads`.
    crossings
        ``(n, 4)``: column and row of crossings of fine lines (counted from the first), and their x and y in pixels.
    leads, words
        What was drawn.
    pulses
        Calibration pulses, each ``(6, 2)`` of (x, y) in mm of paper.
    signals
        The leads of the rows in mV, NaN where they were not drawn; strips are further channels ``"II strip"``.
    style
        How it was drawn.
    to_pixels
        From mm of paper to pixels.
    dpi
        Pixels per inch before anything was done to the page.
    """

    pixels: npt.NDArray[np.uint8]
    ink: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]
    crossings: Floats
    leads: tuple[DrawnLead, ...]
    words: tuple[Words, ...]
    pulses: tuple[Floats, ...]
    signals: Signals
    style: Style
    to_pixels: ToPixels
    dpi: float
    capture: str = "render"


def render(signals: Signals, style: Style, *, dpi: float = 200.0, seed: int = 0) -> DrawnPage:
    """Draw a page.

    Parameters
    ----------
    signals
        ``(leads, samples)`` in mV, at least as long as a row of the style; further samples are not shown.
    style
        See `workbench.page.draw.styles`.
    dpi
        Pixels per inch; 200 gives 7.874 pixels a millimetre.
    seed
        Of what varies between pages of one style.

    Raises
    ------
    ValueError
        The signals are too short, or lack a lead of the layout.
    """
    rng = np.random.default_rng(seed)
    scale = dpi / MM
    width, height = (round(v * scale) for v in style.size)

    def to_pixels(places: Floats) -> Floats:
        return np.asarray(places, float) * scale - 0.5

    canvas = Canvas(width, height, _outside(style))
    crossings = _grid(canvas, style, scale, to_pixels)
    pieces = _pieces(signals, style, to_pixels)
    ink = Canvas(width, height, (0.0, 0.0, 0.0))
    mask = np.zeros((height, width), np.uint8)
    pen = style.pen * scale
    for n, piece in enumerate(pieces, 1):
        canvas.lines(_without_gaps(piece.line), pen, style.ink)
        ink.lines(_without_gaps(piece.line), pen, (1.0, 1.0, 1.0))
        _mark(mask, piece.line, pen, n)
    pulses = _pulses(style, pieces, to_pixels)
    canvas.lines([to_pixels(pulse) for pulse in pulses], pen, style.ink)
    _separators(canvas, style, pieces, pen, to_pixels)
    words = (
        *_labels(canvas, style, pieces, scale, to_pixels, rng),
        *_head_and_foot(canvas, style, scale, to_pixels, rng),
    )
    return DrawnPage(
        canvas.pixels(), ink.pixels()[..., 0], mask, crossings, tuple(pieces), words, pulses,
        _shown(signals, pieces), style, to_pixels, dpi,
    )  # fmt: skip


def _outside(style: Style) -> tuple[float, float, float]:
    """Paper where there is no grid: that of the grid, or white."""
    return style.paper if len(style.head) % 2 else (1.0, 1.0, 1.0)


def _grid(canvas: Canvas, style: Style, scale: float, to_pixels: ToPixels) -> Floats:
    left, top, right, bottom = style.grid_from
    canvas.area(to_pixels(np.array([[left, top], [right, top], [right, bottom], [left, bottom]])), style.paper)
    xs, ys = np.arange(left, right + 0.01), np.arange(top, bottom + 0.01)
    every = slice(None, None, 5)

    def across(at: Floats) -> list[Floats]:
        return [to_pixels(np.array([[x, top], [x, bottom]])) for x in at]

    def along(at: Floats) -> list[Floats]:
        return [to_pixels(np.array([[left, y], [right, y]])) for y in at]

    gx, gy = np.meshgrid(xs, ys)
    places = np.column_stack([gx.ravel(), gy.ravel()])
    strong = [*across(xs[every]), *along(ys[every])]
    fine = [*across(xs), *along(ys)]
    if style.grid in ("lines", "fine"):
        canvas.lines(fine, style.minor_width * scale, style.minor)
        canvas.lines(strong, (style.minor_width if style.grid == "fine" else style.major_width) * scale, style.major)
    elif style.grid == "major only":
        canvas.lines(strong, style.major_width * scale, style.major)
    elif style.grid == "dots and lines":
        canvas.dots(to_pixels(places), max(style.minor_width, 0.2) * scale, style.minor)
        canvas.lines(strong, style.minor_width * scale, style.major)
    else:
        canvas.dots(to_pixels(places), style.minor_width * scale, style.minor)
        dotted_x = np.array([[x, y] for x in xs[every] for y in np.arange(top, bottom + 0.01, 0.5)])
        dotted_y = np.array([[x, y] for y in ys[every] for x in np.arange(left, right + 0.01, 0.5)])
        canvas.dots(to_pixels(np.vstack([dotted_x, dotted_y])), style.minor_width * scale, style.major)
    number = np.column_stack([a.ravel() for a in np.meshgrid(np.arange(len(xs)), np.arange(len(ys)))])
    return np.column_stack([number, to_pixels(places)])


def _pieces(signals: Signals, style: Style, to_pixels: ToPixels) -> list[DrawnLead]:
    layout, rate = style.layout, signals.sampling_rate
    needed = round(style.seconds * rate)
    if signals.data.shape[1] < needed:
        raise ValueError(f"{signals.data.shape[1] / rate:g} s of signal are too short for a row of {style.seconds:g} s")
    pitch = (style.last_row - style.first_row) / max(layout.n_rows - 1, 1)
    between = 6.0 if style.pulse == "each" else 0.0
    found = []
    for cell in layout.cells():
        name = cell.lead.lstrip("-")
        if name not in signals.channels:
            raise ValueError(f"the signals have no lead {name}: {', '.join(signals.channels)}")
        values = np.asarray(signals.data[signals.channels.index(name)], float) * (
            -1 if cell.lead.startswith("-") else 1
        )
        first, last = (round(t * rate) for t in cell.times(style.seconds))
        start = style.start + first / rate * style.speed + (0 if cell.is_strip else cell.column * between)
        baseline = style.first_row + cell.row * pitch
        last = max(min(last, needed), first + 2)
        shown = values[first:last]
        if style.separator == "gap" and not cell.is_strip and cell.column:
            shown = shown.copy()
            shown[: round(0.02 * rate)] = np.nan
        xs = start + np.arange(last - first) / rate * style.speed
        paper = np.column_stack([xs, baseline - shown * style.gain])
        found.append(DrawnLead(cell, (first, last), baseline, start, to_pixels(paper), paper))
    return found


def _without_gaps(line: Floats) -> list[Floats]:
    good = np.isfinite(line[:, 1])
    return [line[a:b] for a, b in runs(good)]


def _mark(mask: npt.NDArray[np.uint8], line: Floats, pen: float, number: int) -> None:
    """Pixels that a piece covers by at least a half; the last drawn keeps a pixel of several."""
    low = np.floor(np.nanmin(line, axis=0) - pen - 2).astype(int).clip(0)
    high = np.ceil(np.nanmax(line, axis=0) + pen + 3).astype(int)
    high = np.minimum(high, [mask.shape[1], mask.shape[0]])
    if (high <= low).any():
        return
    own = Canvas(int(high[0] - low[0]), int(high[1] - low[1]), (0.0, 0.0, 0.0))
    own.lines([piece - low for piece in _without_gaps(line)], pen, (1.0, 1.0, 1.0))
    part = mask[low[1] : high[1], low[0] : high[0]]
    part[own.pixels()[..., 0] >= 128] = number


def _pulses(style: Style, pieces: list[DrawnLead], to_pixels: ToPixels) -> tuple[Floats, ...]:
    """Calibration pulses of 1 mV."""
    found = []
    w, high = style.pulse_width, style.gain
    for piece in pieces:
        if style.pulse == "each" or (style.pulse == "left" and piece.cell.column == 0):
            x = piece.start - w - 1.5
        elif style.pulse == "right" and piece.cell.column == piece.cell.columns - 1:
            x = _end_of(piece, to_pixels) + 1.0
        else:
            continue
        y = piece.baseline
        found.append(np.array([[x - 0.8, y], [x, y], [x, y - high], [x + w, y - high], [x + w, y], [x + w + 0.8, y]]))
    return tuple(found)


def _end_of(piece: DrawnLead, to_pixels: ToPixels) -> float:
    """Where a piece ends on paper [mm]."""
    zero, one = to_pixels(np.array([[0.0, 0.0], [1.0, 0.0]]))
    return float((piece.line[-1, 0] - zero[0]) / (one[0] - zero[0]))


def _separators(canvas: Canvas, style: Style, pieces: list[DrawnLead], pen: float, to_pixels: ToPixels) -> None:
    """Marks between the pieces of a row."""
    if style.separator in ("none", "gap"):
        return
    for piece in pieces:
        if piece.cell.column == 0:
            continue
        x, y = piece.start, piece.baseline
        if style.separator == "tick":
            spans = [(y - 4.0, y - 1.5)] if style.label == "above" else [(y - 2.0, y + 2.0)]
        elif style.separator == "dashes":
            spans = [(y - 6 + 2.4 * k, y - 6 + 2.4 * k + 1.4) for k in range(5)]
        else:
            spans = [(y - 12 + 0.9 * k, y - 12 + 0.9 * k + 0.3) for k in range(28)]
        canvas.lines([to_pixels(np.array([[x, a], [x, b]])) for a, b in spans], pen * 0.8, style.ink)


def _labels(
    canvas: Canvas, style: Style, pieces: list[DrawnLead], scale: float, to_pixels: ToPixels, rng: np.random.Generator
) -> list[Words]:
    found = []
    shift = float(rng.uniform(0.3, 2.0))
    for piece in pieces:
        name = style.names.get(piece.cell.lead, piece.cell.lead)
        up = {"above": -4.5, "below": 5.5, "on": 1.0}[style.label]
        at = to_pixels(np.array([[piece.start + shift, piece.baseline + up]]))[0]
        box = canvas.text(at[0], at[1], name, style.label_size * scale * 1.25, style.ink, style.font, style.bold)
        found.append(_words("lead", piece.cell.lead, box, scale))
    return found


def _head_and_foot(
    canvas: Canvas, style: Style, scale: float, to_pixels: ToPixels, rng: np.random.Generator
) -> list[Words]:
    found = []
    left, top, right, bottom = style.grid_from
    size = float(rng.uniform(2.2, 3.4))
    columns = 3
    for n, line in enumerate(style.head):
        kind, _, words = line.partition(":")
        x = left + (right - left) * (n % columns) / columns + 1
        y = max(top - 3 - (size + 1.3) * (n // columns), size)
        at = to_pixels(np.array([[x, y]]))[0]
        box = canvas.text(at[0], at[1], words, size * scale, (0.05, 0.05, 0.05), style.font)
        found.append(_words(kind, words, box, scale))  # type: ignore[arg-type]
    if style.foot:
        at = to_pixels(np.array([[left + float(rng.uniform(2, 60)), bottom + float(rng.choice([-2.0, 4.5]))]]))[0]
        box = canvas.text(at[0], at[1], style.foot, size * scale, (0.05, 0.05, 0.05), style.font)
        found.append(_words("text", style.foot, box, scale))
    return found


def _words(kind: WordKind, text: str, box: tuple[float, float, float, float], scale: float) -> Words:
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return Words(kind, text, corners, (corners + 0.5) / scale)


def _shown(signals: Signals, pieces: list[DrawnLead]) -> Signals:
    """What can be seen of the signals; NaN elsewhere."""
    names = [f"{p.cell.lead.lstrip('-')} strip" if p.cell.is_strip else p.cell.lead.lstrip("-") for p in pieces]
    last = max(p.samples[1] for p in pieces)
    data = np.full((len(pieces), last), np.nan, np.float32)
    for row, piece in zip(data, pieces, strict=True):
        a, b = piece.samples
        seen = np.isfinite(piece.line[:, 1])
        row[a:b][seen] = signals.data[signals.channels.index(piece.cell.lead.lstrip("-")), a:b][seen]
    geometry = replace(signals.geometry, shape=(last,))
    return Signals(data, tuple(names), geometry, signals.name, "mV")
