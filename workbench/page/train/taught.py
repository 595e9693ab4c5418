"""What a page with corrected lines teaches: the flat page, where its traces are, and what the network said besides.

Lines say where traces are, and by that where none are. Of calibration pulses and words they say nothing: there the
answer of the network before is what it shall go on to say. The name of a lead is taught where the network saw a name
beside the beginning of just one line: the place is the network's, what it says is the person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines
from workbench.page.net.page_net import FINER, LEADS, MULTIPLE
from workbench.page.predict.digitise import flatten
from workbench.page.predict.maps import Name, names_of, shares
from workbench.page.rectified import PER_MM
from workbench.page.traces import LEAD, STRIP, Sheet, channels_of
from workbench.page.train.crops import bump, drawn

Floats = npt.NDArray[np.floating[Any]]
Bytes = npt.NDArray[np.uint8]

_AROUND_ENDS = 1.0
"""Millimetres around the end of a line where a trace may go on or not."""
_GAP = 15.0
"""How far above and below the gap between two lines of one lead there may be ink that nobody followed [mm]."""
_BEFORE, _AFTER, _ASIDE = 4.0, 14.0, 9.5
"""Where the name of a lead can stand: so many mm before and after the beginning of its line, above or below it."""
_SIDE = 256
"""Of the pieces that are learnt from [pixels]."""


@dataclass(frozen=True, eq=False)
class TaughtPage:
    """A page laid flat and what is true of it; as in `workbench.page.train.crops.Crop`, of a whole page.

    Parameters
    ----------
    pixels
        ``(rows, columns, 3)`` uint8; rows and columns are multiples of 32, 256 or more.
    trace, known
        ``(rows, 2 * columns)`` uint8: how much lines cover, and where that is known (255) or not (0).
    pulse, words, names
        What the network said before, as uint8 of 255; no pulses on lines, and names as the lines say.
    along
        ``(n, 2)``: points (x, y) of the lines, in pixels, each as likely as the others to be learnt from.
    named
        How many names of leads are taught.
    seen
        Where the network saw traces before, ``(rows, 2 * columns)``.
    without
        Share of that which lies on no line.
    """

    pixels: Bytes
    trace: Bytes
    known: Bytes
    pulse: Bytes
    words: Bytes
    names: Bytes
    along: Floats
    named: int
    seen: npt.NDArray[np.bool_]
    without: float


def teach(pixels: Bytes, lines: Lines, net: Any, device: Any = "cpu", source: str = "page") -> TaughtPage:
    """Lay a page flat with the map that is in its lines, and say what it teaches.

    Parameters
    ----------
    pixels
        ``(height, width, 3)`` uint8, the picture as it is in its file.
    net
        The `workbench.page.net.page_net.PageNet` that learns, in evaluation mode.

    Raises
    ------
    GeometryError
        The lines do not say where on paper they lie.
    NotAPage
        The map shows no grid.
    """
    sheet = Sheet.of(lines)
    flat = flatten(np.ascontiguousarray(np.rot90(pixels, -sheet.turn)), sheet.paper, source)
    height, width = flat.pixels.shape[:2]
    rows, columns = (max(_SIDE, -(-n // MULTIPLE) * MULTIPLE) for n in (height, width))
    page = np.pad(flat.pixels, [(0, rows - height), (0, columns - width), (0, 0)], mode="edge")
    found, pulse, words, names = shares(net, page, device)
    on_page = [(sheet.to_mm(lines.line(n)) - flat.corner) * PER_MM - 0.5 for n in range(len(lines))]
    trace = drawn(on_page, rows, columns)
    near = _near(trace)
    named = _named(lines, on_page, names_of(names))
    seen = found > 0.5
    return TaughtPage(
        page, trace, _known(channels_of(lines), on_page, near), _bytes(np.where(near, 0, pulse)),
        _bytes(words), _bytes(_with_names(names, named)), np.vstack([_even(line) for line in on_page]), len(named),
        seen, float((seen & ~near).sum() / max(int(seen.sum()), 1)),
    )  # fmt: skip


def _bytes(share: Floats) -> Bytes:
    return np.round(share * 255).astype(np.uint8)


def _near(trace: Bytes) -> npt.NDArray[np.bool_]:
    """Where a line is within a millimetre."""
    from scipy import ndimage

    reach = round(PER_MM)
    return np.asarray(ndimage.maximum_filter(trace, (2 * reach + 1, 2 * FINER * reach + 1)) > 127)


def _even(line: Floats) -> Floats:
    """Points of a line at every millimetre of its length."""
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.arange(0.0, max(steps[-1], 1e-6), PER_MM)
    return np.column_stack([np.interp(at, steps, line[:, k]) for k in (0, 1)])


def _known(channels: Sequence[str], lines: Sequence[Floats], near: npt.NDArray[np.bool_]) -> Bytes:
    """Everywhere but around the ends of lines, and between two lines of one lead where no other line is near."""
    known = np.full(near.shape, 255, np.uint8)
    for name in set(channels):
        own = sorted((line for line, c in zip(lines, channels, strict=True) if c == name), key=lambda p: float(p[0, 0]))
        for before, after in pairwise(own):
            _forget(known, before[-1], after[0], (0.0, _GAP * PER_MM))
    known[near] = 255
    for line in lines:
        for end in (line[0], line[-1]):
            _forget(known, end, end, (_AROUND_ENDS * PER_MM, _AROUND_ENDS * PER_MM))
    return known


def _forget(known: Bytes, one: Floats, other: Floats, around: tuple[float, float]) -> None:
    """Nothing is known in the box between two places [pixels] and so many pixels around it, along x and y."""
    low, high = np.minimum(one, other) - around, np.maximum(one, other) + around
    x, y = (
        slice(*(int(np.clip(round(v), 0, n)) for v in (a, b + 1)))
        for a, b, n in zip(low * [FINER, 1], high * [FINER, 1], known.shape[::-1], strict=True)
    )
    known[y, x] = 0


def _named(lines: Lines, on_page: Sequence[Floats], seen: Sequence[Name]) -> dict[tuple[float, float], str]:
    """Places of names [pixels] and what they say: names beside the beginning of one lead, which has no other there."""
    starts: dict[tuple[str, bool], Floats] = {}
    for lead, strip, line in zip(lines.feature(LEAD, ""), lines.feature(STRIP, False), on_page, strict=True):
        key = (str(lead or ""), bool(strip))
        if key[0] in LEADS and (key not in starts or line[0, 0] < starts[key][0]):
            starts[key] = line[0]
    claims: dict[int, list[str]] = {}
    for (lead, _), start in starts.items():
        away = np.array([[name.x, name.y] for name in seen]).reshape(-1, 2) - (start + 0.5) / PER_MM
        near = (away[:, 0] > -_BEFORE) & (away[:, 0] < _AFTER) & (np.abs(away[:, 1]) < _ASIDE)
        if near.sum() == 1:
            claims.setdefault(int(np.flatnonzero(near)[0]), []).append(lead)
    return {
        (seen[k].x * PER_MM - 0.5, seen[k].y * PER_MM - 0.5): leads[0] for k, leads in claims.items() if len(leads) == 1
    }


def _with_names(names: Floats, named: dict[tuple[float, float], str]) -> Floats:
    out = names.copy()
    for (x, y), lead in named.items():
        here = bump(names.shape[1], names.shape[2], x, y)
        out *= 1 - here
        out[LEADS.index(lead)] = np.maximum(out[LEADS.index(lead)], here)
    return out


def piece(page: TaughtPage, rng: np.random.Generator) -> dict[str, Bytes]:
    """A piece of 256 x 256 pixels, most often along the lines, in light that varies a little."""
    rows, columns = page.pixels.shape[:2]
    if rng.random() < 0.12 or not len(page.along):
        middle = rng.uniform(0, [columns, rows])
    else:
        middle = page.along[int(rng.integers(len(page.along)))] + rng.uniform(-0.4, 0.4, 2) * _SIDE
    x, y = (
        int(np.clip(round((m - _SIDE / 2) / 8) * 8, 0, n - _SIDE)) for m, n in zip(middle, (columns, rows), strict=True)
    )
    light = page.pixels[y : y + _SIDE, x : x + _SIDE].astype(np.float32)
    light = light * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32) + rng.normal(0, 5, 3).astype(np.float32)
    fine = (slice(y, y + _SIDE), slice(FINER * x, FINER * (x + _SIDE)))
    half = (slice(y // 2, (y + _SIDE) // 2), slice(x // 2, (x + _SIDE) // 2))
    eighth = (slice(y // 8, (y + _SIDE) // 8), slice(x // 8, (x + _SIDE) // 8))
    return {
        "pixels": np.clip(np.round(light), 0, 255).astype(np.uint8), "trace": page.trace[fine],
        "known": page.known[fine], "pulse": page.pulse[fine], "words": page.words[half],
        "names": page.names[(slice(None), *eighth)],
    }  # fmt: skip
