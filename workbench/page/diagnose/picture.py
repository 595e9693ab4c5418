"""The picture of a page as classifiers of pictures take it: its leads cut out of it and set at their usual places.

Every lead has its place, 2.5 s long, in three rows of four; below them lies one row of ten seconds. A millimetre of
paper is as many pixels on every page, whatever its resolution and layout, and pages that were printed at another speed
or gain are drawn as 25 mm/s and 10 mm/mV would: so a heart rate and a raised ST segment look alike everywhere. Ink is
shown as dark as it stands out from the paper around it. All pixels are those of the page laid flat, on which everything
printed but names of leads is painted over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Lines, Picture
from workbench.core.types import Result
from workbench.page.leads import STANDARD
from workbench.page.rectified import PER_MM
from workbench.page.traces import PAGE_CORNER, Sheet, channels_of

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]

ROWS, COLUMNS = 4, 4
_PIECE, _WHOLE = 64.0, 256.0
"""Millimetres across of a place for a lead, and of the row below them: 2.56 and 10.24 s at 25 mm/s."""
DOWN = 40.0
"""Millimetres that each is high: 2 mV above and below its middle at 10 mm/mV."""
_SPEED, _GAIN = 25.0, 10.0
_LONG = 0.85
"""Share of ten seconds from which a piece is a strip."""
_PREFERRED = ("II", "V1", "V5", "III", "aVF", "I")
"""Leads that show a rhythm, best first."""
_LIGHT = 25
"""Pixels over which paper is looked at."""
_LEAST_INK = 0.1
"""Share of light that ink takes at least, where there is any."""
RECIPE = {"mm across": _WHOLE, "mm down each": DOWN, "places": "3 x 4 leads, 1 row", "masked": True, "evened": True}
"""What is done to pages, as it stands in the record of weights."""


@dataclass(frozen=True)
class Piece:
    """Where a lead lies on the flat page [mm from its upper left corner].

    Parameters
    ----------
    first, last
        Where it begins and ends along x.
    middle
        Height of its middle.
    """

    first: float
    last: float
    middle: float
    is_strip: bool = False


@dataclass(frozen=True)
class Place:
    """A part of the flat page, and where in the picture it is shown.

    Parameters
    ----------
    box
        Left, top, right and bottom edge on the flat page [mm]; may go beyond it.
    rows, columns
        First and last pixel (exclusive) of the picture, down and across.
    leads
        Names of the leads in it, each with where it begins and ends on the flat page [mm].
    is_below
        Whether it is the row of ten seconds below the leads.
    """

    box: Box
    rows: tuple[int, int]
    columns: tuple[int, int]
    leads: tuple[tuple[str, float, float], ...]
    is_below: bool = False

    def to_picture(self, mm: Floats) -> Floats:
        """Pixels (x, y) of the picture, ``(n, 2)``, of places on the flat page [mm]."""
        left, top, right, bottom = self.box
        size = (self.columns[1] - self.columns[0], self.rows[1] - self.rows[0])
        inside = (np.asarray(mm, float) - (left, top)) / (right - left, bottom - top)
        return inside * size + (self.columns[0], self.rows[0])


def places_of(pieces: Mapping[str, Piece], speed: float, gain: float, size: tuple[int, int]) -> tuple[Place, ...]:
    """What of a page is shown where.

    Parameters
    ----------
    pieces
        Lead, or ``"II strip"``, -> where it lies.
    speed, gain
        mm/s and mm/mV.
    size
        Height and width of the picture [pixels], multiples of four.
    """
    high, wide = size[0] // ROWS, size[1] // COLUMNS
    per_x, per_y = speed / _SPEED, gain / _GAIN
    found = []
    for n, lead in enumerate(STANDARD):
        own = pieces.get(lead) or pieces.get(f"{lead} strip")
        if own is None:
            continue
        column, row = divmod(n, 3)
        box = (own.first, own.middle - DOWN / 2 * per_y, own.first + _PIECE * per_x, own.middle + DOWN / 2 * per_y)
        last = min(own.last, box[2])
        found.append(
            Place(box, (row * high, (row + 1) * high), (column * wide, (column + 1) * wide), ((lead, own.first, last),))
        )
    below = _row_below(pieces, per_x * _WHOLE)
    if below is not None:
        first, middle, leads = below
        box = (first, middle - DOWN / 2 * per_y, first + _WHOLE * per_x, middle + DOWN / 2 * per_y)
        found.append(Place(box, (3 * high, 4 * high), (0, 4 * wide), leads, True))
    return tuple(found)


def _row_below(
    pieces: Mapping[str, Piece], across: float
) -> tuple[float, float, tuple[tuple[str, float, float], ...]] | None:
    """A strip or, where there is none, the whole row of a lead that shows a rhythm: its start, height, and leads."""
    long = [name for name, p in pieces.items() if p.last - p.first > _LONG * across]
    for lead in (*_PREFERRED, *STANDARD):
        for name in (f"{lead} strip", lead):
            if name in long:
                own = pieces[name]
                return own.first, own.middle, ((lead, own.first, own.last),)
    for lead in (*_PREFERRED, *STANDARD):
        if lead in pieces:
            middle = pieces[lead].middle
            row = {n: p for n, p in pieces.items() if abs(p.middle - middle) < DOWN / 8 and not p.is_strip}
            leads = tuple((n, p.first, p.last) for n, p in sorted(row.items(), key=lambda item: item[1].first))
            return min(p.first for p in row.values()), middle, leads
    return None


def assembled(pixels: Pixels, places: Sequence[Place], size: tuple[int, int], per_mm: float = PER_MM) -> Pixels:
    """The picture, ``(height, width, 3)`` uint8: parts of a flat page at their places, evened, white where nothing is.

    What a pixel covers is averaged.

    Parameters
    ----------
    pixels
        ``(rows, columns, 3)`` uint8 of the flat page.
    per_mm
        Its pixels a millimetre.
    """
    inks = [_ink(_cut(pixels, place, per_mm)) for place in places]
    dark = np.concatenate([ink.ravel() for ink in inks]) if inks else np.zeros(1, np.float32)
    full = max(float(np.percentile(dark, 99)), _LEAST_INK)
    out = np.full(size, 255, np.uint8)
    for place, ink in zip(places, inks, strict=True):
        pale = np.round(255 * (1 - np.minimum(ink / full, 1.0))).astype(np.uint8)
        out[slice(*place.rows), slice(*place.columns)] = pale
    return np.repeat(out[..., None], 3, axis=2)


def _cut(pixels: Pixels, place: Place, per_mm: float) -> npt.NDArray[np.float32]:
    """Grey of a part of the page, at the size of its place; beyond the page the page's usual paper."""
    import torch
    from torch.nn.functional import interpolate

    left, top, right, bottom = (round(v * per_mm) for v in place.box)
    rows, columns = pixels.shape[:2]
    area = np.empty((bottom - top, right - left, 3), np.uint8)
    area[:] = np.median(pixels[::7, ::7].reshape(-1, 3), axis=0).astype(np.uint8)
    a, b, c, d = max(top, 0), min(bottom, rows), max(left, 0), min(right, columns)
    if a < b and c < d:
        area[a - top : b - top, c - left : d - left] = pixels[a:b, c:d]
    grey = torch.from_numpy(area.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))
    size = (place.rows[1] - place.rows[0], place.columns[1] - place.columns[0])
    found = interpolate(grey[None, None], size=size, mode="bilinear", antialias=True, align_corners=False)
    out: npt.NDArray[np.float32] = found[0, 0].numpy()
    return out


def _ink(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The share of the light of the paper around it that is lacking, 0 to 1."""
    from scipy import ndimage

    around = ndimage.uniform_filter(np.maximum(grey, ndimage.uniform_filter(grey, _LIGHT)), _LIGHT)
    out: npt.NDArray[np.float32] = np.clip((around - grey) / np.maximum(around, 8.0), 0, 1).astype(np.float32)
    return out


def pieces_on(lines: Lines, corner: tuple[float, float]) -> dict[str, Piece]:
    """Where the leads of a page that was read lie.

    Parameters
    ----------
    lines
        What was followed; see `workbench.page.traces.Sheet`.
    corner
        Where on paper the upper left corner of the flat page lies [mm].
    """
    sheet = Sheet.of(lines)
    found: dict[str, list[Floats]] = {}
    for n, name in enumerate(channels_of(lines)):
        found.setdefault(name, []).append(sheet.to_mm(lines.line(n)) - np.array(corner))
    out = {}
    for name, parts in found.items():
        mm = np.concatenate(parts)
        first, last = float(mm[:, 0].min()), float(mm[:, 0].max())
        # Points are denser where a line is steep: its middle is that of even steps along x.
        even = np.concatenate([_evenly(part) for part in parts])
        out[name] = Piece(first, last, float(np.median(even)), name.endswith(" strip"))
    return out


def _evenly(mm: Floats) -> Floats:
    order = np.argsort(mm[:, 0], kind="stable")
    x = mm[order, 0]
    out: Floats = np.interp(np.arange(x[0], x[-1] + 0.125, 0.25), x, mm[order, 1])
    return out


def picture_of(result: Result, size: tuple[int, int]) -> tuple[Pixels, tuple[Place, ...]] | None:
    """The picture of a page that was read, ``(height, width, 3)`` uint8, and what of the flat page is shown where.

    It is cut from the part ``page``: what is painted over there is not seen here. ``None`` where the result has none.
    """
    page, lines = result.parts.get("page"), result.parts.get("traces")
    corner = result.provenance.details.get(PAGE_CORNER)
    if not isinstance(page, Picture) or not isinstance(lines, Lines) or not len(lines) or corner is None:
        return None
    sheet = Sheet.of(lines)
    speed, gain = (v / s for v, s in zip((sheet.speed, sheet.gain), sheet.scale, strict=True))
    places = places_of(pieces_on(lines, (float(corner[0]), float(corner[1]))), speed, gain, size)
    return assembled(page.pixels, places, size), places
