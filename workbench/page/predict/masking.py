"""The page laid flat as it may be shown: traces, calibration pulses and names of leads on paper that is painted anew.

What may stay is said, not what must go: a network misses words that are faint, large, handwritten, or of a script that
it never saw. So no pixel of the picture is kept but those of ink that was followed as a row of traces, of pulses beside
such a row, and of names of leads at the beginning of their pieces. All other paper is made of what lies around at the
same place between the lines of the grid (the median of many cells, in which no letter is left), and beyond the traces
it is one plain colour. Where a word is seen on a trace, the line that was followed is drawn anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.core.lines import Picture
from workbench.page.net.page_net import FINER
from workbench.page.rectified import PER_MM

if TYPE_CHECKING:
    from workbench.page.predict.arrangement import Piece
    from workbench.page.predict.digitise import Digitised

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]

MASKED = "everything printed or written on the page but names of leads was painted over, before anything was written"
SHOWN = "the page was written as it is, with all that is printed or written on it (names, dates, ids): masking is off"

_INK = 0.3
"""Share of a trace or pulse in a pixel above which it is kept, with one pixel around it."""
_WORD = 0.3
"""Share of words from which, and half a millimetre around, lines are drawn anew."""
_HALF = 1.5
"""Half the width of such a line [pixels]."""
_SURE = 0.8
"""Share of a trace in pixels that say what colour the ink has."""
_SPIKE = (4.0, 2.0)
"""Height from which, and width to which, ink is a spike and no letter [mm]."""
_ALONE = 5.0
"""Within so many mm of a spike there is one other at most: bars of a code stand closer."""
_BEYOND = 0.6
"""What a piece may go on beyond its ends [mm]."""
_NAME = (11.0, 7.0)
"""Width and height [mm] above which what stands at a name of a lead is more than that name."""
_NAME_AT = (-5.0, 14.0)
"""Where a name stands from the beginning of its piece [mm]."""
_NAME_OFF = 9.5
"""How far above or below its row a name stands at most [mm]."""
_SPEAKS = 0.15
"""Share of what was read there that speaks for the lead of the piece."""
_PULSE = ((3.0, 26.0), (1.0, 14.0))
"""Heights and widths of what is kept as a pulse [mm]."""
_FOOT = 2.5
"""How far its foot may lie from the height of its row [mm]."""
_AROUND = 6.0
"""Grid that is painted around the traces [mm]."""
_CELL = round(5 * PER_MM)
"""Pixels after which a grid repeats."""
_BLOCK, _REACH, _MANY = 4, 3, 200
"""Cells between two places at which paper is looked at, cells on each side that it is looked at in (every other one),
and how many are enough to say how the whole page looks."""
_GRID = 0.25
"""How well a grid must be seen where paper is looked at."""
_FEWEST = 6
"""Cells that must say how paper looks at a place; with fewer the whole page does."""


def corrected_page(found: Digitised, mask: bool = True) -> Picture:
    """The page laid flat and upright, as the part ``page`` of a result.

    Parameters
    ----------
    found
        What was read of it.
    mask
        Whether everything printed or written but names of leads is painted over.

    Returns
    -------
    Picture
        ``(rows, columns, 3)`` uint8, `PER_MM` pixels a millimetre. Its upper left corner lies at ``found.flat.corner``.
    """
    flat = found.flat.pixels
    return Picture(np.ascontiguousarray(_masked(found) if mask else flat), 1 / PER_MM, "page")


def _masked(found: Digitised) -> Pixels:
    flat = found.flat.pixels
    kept, drawn = ink_to_keep(found)
    out = np.where(kept[..., None], flat, painted_paper(flat, kept | drawn, _clean(found)))
    pure = kept & (found.maps.trace.reshape(len(kept), -1, FINER).min(axis=2) > _SURE)
    out[drawn & ~kept] = np.median(flat[pure], axis=0) if pure.any() else 0
    return out


def ink_to_keep(found: Digitised) -> tuple[Mask, Mask]:
    """Pixels of the flat page that may be shown, and those where the line that was followed is drawn anew.

    Both ``(rows, columns)`` bool. Lines are drawn anew within words, of whose letters nothing must stay.
    """
    words = _spread(found, found.maps.words > _WORD, 9)
    traces, lines = _traces(found, words)
    return traces | _spikes(found, traces, words) | _pulses(found) | _names(found), lines & words


def _traces(found: Digitised, words: Mask) -> tuple[Mask, Mask]:
    """Ink that was followed, within the pieces of its row and beside words; and the lines in its middle."""
    from scipy import ndimage

    trace = found.maps.trace
    rows, fine = trace.shape
    ink, middle = np.zeros((rows, fine), bool), np.zeros((rows, fine), bool)
    for piece in found.pieces:
        a, b = (int(np.clip(round(v * FINER * PER_MM), 0, fine)) for v in (piece.first - _BEYOND, piece.last + _BEYOND))
        stroke, line = found.strokes[piece.row], found.lines[piece.row][a:b]
        top, bottom = stroke.top[a:b], stroke.bottom[a:b]
        if not np.isfinite(top).any():
            continue
        after = np.append(line[1:], np.nan)
        above, below = np.fmin(line, after), np.fmax(line, after)
        low, high = max(int(np.nanmin(top)) - 4, 0), int(np.nanmax(bottom)) + 5
        down = np.arange(low, min(high, rows))[:, None]
        part = slice(low, high), slice(a, b)
        with np.errstate(invalid="ignore"):
            ink[part] |= (down >= top - 2) & (down <= bottom + 2)
            middle[part] |= (down >= above - _HALF) & (down <= below + _HALF) & np.isfinite(line)
    ink &= trace > _INK
    wide: Mask = ndimage.maximum_filter(ink.reshape(rows, -1, FINER).any(axis=2), 3)
    return wide & ~words, np.asarray(middle.reshape(rows, -1, FINER).any(axis=2))


def _spread(found: Digitised, words: Mask, reach: int) -> Mask:
    """A map of words on the pixels of the flat page, and so many pixels across wider."""
    from scipy import ndimage

    rows, columns = found.flat.pixels.shape[:2]
    fine = np.repeat(np.repeat(words, 2, axis=0), 2, axis=1)[:rows, :columns]
    return np.asarray(ndimage.maximum_filter(fine, reach), bool)


def _spikes(found: Digitised, traces: Mask, words: Mask) -> Mask:
    """Tall thin strokes that were seen and not followed, each alone beside a trace: what is left of lost beats."""
    from scipy import ndimage

    seen = (found.maps.trace > 0.5).reshape(len(traces), -1, FINER).any(axis=2)
    parts, _ = ndimage.label(seen & ~traces & ~words, np.ones((3, 3)))
    boxes = [
        (n, box)
        for n, box in enumerate(ndimage.find_objects(parts), 1)
        if box[0].stop - box[0].start >= _SPIKE[0] * PER_MM and box[1].stop - box[1].start <= _SPIKE[1] * PER_MM
    ]
    out = np.zeros_like(traces)
    apart = round(_ALONE * PER_MM)
    for n, (down, across) in boxes:
        others = [
            m
            for m, (y, x) in boxes
            if y.start < down.stop and down.start < y.stop
            and abs(x.start + x.stop - across.start - across.stop) < 2 * apart
        ]  # fmt: skip
        near = traces[max(down.start - 8, 0) : down.stop + 8, max(across.start - 8, 0) : across.stop + 8]
        if len(others) <= 2 and near.any():
            out[down, across] |= parts[down, across] == n
    return np.asarray(ndimage.maximum_filter(out, 3), bool)


def _pulses(found: Digitised) -> Mask:
    """Pulses that stand on a row, as high and as wide as pulses are."""
    from scipy import ndimage

    seen = (found.maps.pulse > _INK).reshape(len(found.maps.pulse), -1, FINER).any(axis=2)
    parts, _ = ndimage.label(seen, np.ones((3, 3)))
    out = np.zeros_like(seen)
    middles = [_height(found, row) for row in sorted({p.row for p in found.pieces})]
    (low, high), (narrow, wide) = _PULSE
    for n, box in enumerate(ndimage.find_objects(parts), 1):
        tall, broad = ((s.stop - s.start) / PER_MM for s in box)
        foot = box[0].stop / PER_MM
        on_row = any(abs(foot - middle) < _FOOT for middle in middles)
        if on_row and low <= tall <= high and narrow <= broad <= wide:
            out[box] |= parts[box] == n
    return np.asarray(ndimage.maximum_filter(out, 3), bool)


def _height(found: Digitised, row: int) -> float:
    """Where the line of a row lies [mm]."""
    return (float(np.nanmedian(found.lines[row])) + 0.5) / PER_MM


def _names(found: Digitised) -> Mask:
    """What stands at names of leads that were read at the beginning of their pieces, and is no more than a name."""
    from scipy import ndimage

    words = found.maps.words
    parts, _ = ndimage.label(words > _INK, np.ones((3, 3)))
    boxes = ndimage.find_objects(parts)
    small = np.zeros_like(words, bool)
    half = PER_MM / 2
    for name in found.maps.names:
        if not any(_is_at(found, piece, name.x, name.y) and name.share(piece.lead) > _SPEAKS for piece in found.pieces):
            continue
        y, x = int(name.y * half), int(name.x * half)
        near = parts[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5]
        for n in np.unique(near[near > 0]):
            box = boxes[n - 1]
            high, wide = ((s.stop - s.start) / half for s in box)
            if wide <= _NAME[0] and high <= _NAME[1]:
                small[box] |= parts[box] == n
    return _spread(found, small, 5)


def _is_at(found: Digitised, piece: Piece, x: float, y: float) -> bool:
    """Whether a place is where the name of a piece stands."""
    return _NAME_AT[0] <= x - piece.first <= _NAME_AT[1] and abs(y - _height(found, piece.row)) < _NAME_OFF


def _clean(found: Digitised) -> Mask:
    """Pixels on which nothing seems to be but paper with a grid on it."""
    from scipy import ndimage

    rows, columns = found.flat.pixels.shape[:2]
    ink = np.maximum(found.maps.trace, found.maps.pulse).reshape(rows, -1, FINER).max(axis=2) > 0.2
    near: Mask = ndimage.maximum_filter(ink, 7)
    step = round(PER_MM)
    y, x = ((np.arange(0, n, step) + 0.5) / PER_MM for n in (rows, columns))
    paper = np.column_stack([v.ravel() for v in np.meshgrid(x, y)]) + found.flat.corner
    at = (found.grid.to_pixels(paper) - found.grid.first) / found.grid.step
    seen = ndimage.map_coordinates(found.grid.quality, at[:, ::-1].T, order=1, cval=0.0).reshape(len(y), len(x))
    grid = np.repeat(np.repeat(seen > _GRID, step, axis=0), step, axis=1)[:rows, :columns]
    return grid & ~near & ~_spread(found, found.maps.words > 0.1, 17)


def painted_paper(flat: Pixels, kept: Mask, clean: Mask) -> Pixels:
    """Paper with its grid and without anything on it where ink is kept and around, one plain colour elsewhere.

    Parameters
    ----------
    flat
        ``(rows, columns, 3)`` uint8, the page laid flat.
    kept, clean
        ``(rows, columns)`` bool: the ink that is shown; pixels that show paper and nothing else, as far as is known.
    """
    there = [np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0)]
    if not there[0].size:
        there = [np.arange(n) for n in kept.shape]
    margin = round(_AROUND * PER_MM)
    (top, bottom), (left, right) = (
        (max(int(at[0]) - margin, 0), min(int(at[-1]) + 1 + margin, size))
        for at, size in zip(there, kept.shape, strict=True)
    )
    own, known = flat[top:bottom, left:right], clean[top:bottom, left:right]
    plain = np.median(own[known] if known.any() else own.reshape(-1, 3), axis=0)
    out = np.empty_like(flat)
    out[:] = plain
    out[top:bottom, left:right] = _repeated(own, known, plain)
    return out


def _repeated(own: Pixels, known: Mask, plain: Floats) -> Pixels:
    """Every pixel as the median of those a whole number of cells away."""
    rows, columns = own.shape[:2]
    down, across = (-(-n // _CELL) for n in (rows, columns))
    spare = [(0, down * _CELL - rows), (0, across * _CELL - columns)]
    cells = np.pad(own, [*spare, (0, 0)]).reshape(down, _CELL, across, _CELL, 3).swapaxes(1, 2)
    good = np.pad(known, spare).reshape(down, _CELL, across, _CELL).swapaxes(1, 2)
    thin = max(1, down * across // _MANY)
    everywhere, seen = _median(
        cells.reshape(-1, *cells.shape[2:])[::thin], good.reshape(-1, *good.shape[2:])[::thin]
    )  # fmt: skip
    everywhere = np.where(seen[..., None] >= 1, everywhere, plain)
    at = [np.arange(_BLOCK // 2, max(n, _BLOCK // 2 + 1), _BLOCK) for n in (down, across)]
    chequered = np.add.outer(np.arange(down), np.arange(across)) % 2 == 0
    patterns = np.empty((len(at[0]), len(at[1]), _CELL, _CELL, 3), np.float32)
    for i, y in enumerate(at[0]):
        for j, x in enumerate(at[1]):
            part = slice(max(y - _REACH, 0), y + _REACH + 1), slice(max(x - _REACH, 0), x + _REACH + 1)
            one, count = _median(cells[part][chequered[part]], good[part][chequered[part]])
            enough = count >= _FEWEST
            # Where too little is seen, the page as a whole says it, as light as it is here.
            light = np.median((one - everywhere)[enough], axis=0) if enough.any() else np.zeros(3)
            patterns[i, j] = np.where(enough[..., None], one, everywhere + light)
    vertical, horizontal = (_weights(n, places) for n, places in zip((down, across), at, strict=True))
    out = np.einsum("ipb,bdpqk->ipdqk", vertical, patterns)
    out = np.einsum("jqd,ipdqk->ipjqk", horizontal, out).reshape(down * _CELL, across * _CELL, 3)
    whole: Pixels = np.clip(np.round(out), 0, 255).astype(np.uint8)
    return whole[:rows, :columns]


def _median(cells: Pixels, good: Mask) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Median over the first axis of what is good, and how many that are."""
    held = np.sort(np.where(good[..., None], cells, np.uint8(255)), axis=0)
    count = good.sum(axis=0)
    middle = np.maximum(count - 1, 0)[None, ..., None] // 2
    return np.take_along_axis(held, middle, axis=0)[0].astype(np.float32), count


def _weights(cells: int, places: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
    """``(cells, pixels, places)``: how much of what was seen at each place goes into a pixel; they add up to 1."""
    pixels = (np.arange(cells * _CELL) + 0.5) / _CELL - 0.5
    shares = [np.interp(pixels, places, one) for one in np.eye(len(places))]
    return np.stack(shares, axis=-1).reshape(cells, _CELL, len(places)).astype(np.float32)
