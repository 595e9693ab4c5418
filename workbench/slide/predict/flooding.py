"""Pieces of a mask shared among the markers in them, by flooding from the lowest energy on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled

Numbers = npt.NDArray[np.int32]


def flooded(
    energy: npt.NDArray[np.float32],
    markers: Numbers,
    pieces: Numbers,
    sizes: npt.NDArray[np.int64],
    each: Callable[..., Iterator[Any]] = map,
    shares: int = 1,
) -> Numbers:
    """Every piece of the mask flooded from its markers ``(H, W)``; one with a single marker belongs to it, whatever the
    energy, and one without belongs to none.

    Parameters
    ----------
    pieces, sizes
        ``(H, W)`` the piece of each pixel, 0 outside of the mask; ``(N + 1,)`` pixels of each.
    each, shares
        A `map` that may do so many things at a time.
    """
    rows = len(pieces)
    bands = [(rows * k // shares, rows * (k + 1) // shares) for k in range(shares)]
    first, several = compiled(_markers_of)(markers, pieces, len(sizes))
    out = np.empty(markers.shape, np.int32)
    list(each(lambda band: compiled(_alone)(pieces, first, *band, out), bands))
    if several.any():
        # No piece touches another: some of them are flooded here, and others there.
        number = np.arange(len(several)) % shares
        bits = energy.view(np.uint32)
        wanted = [np.where(several & (number == k), sizes, 0) for k in range(shares)]
        list(each(lambda sizes: compiled(_watershed)(bits, markers, pieces, sizes, out), wanted))
    return out


def _markers_of(
    markers: Numbers, pieces: Numbers, count: int
) -> tuple[Numbers, npt.NDArray[np.bool_]]:  # pragma: no cover - compiled
    """The marker of each piece, 0 where there is none or more than one; and which pieces have more than one."""
    first = np.zeros(count, np.int32)
    several = np.zeros(count, np.bool_)
    for y in range(markers.shape[0]):
        for x in range(markers.shape[1]):
            marker = markers[y, x]
            if marker:
                piece = pieces[y, x]
                if piece:
                    if first[piece] == 0:
                        first[piece] = marker
                    elif first[piece] != marker:
                        several[piece] = True
    for piece in range(count):
        if several[piece]:
            first[piece] = 0
    return first, several


def _alone(pieces: Numbers, first: Numbers, begin: int, end: int, out: Numbers) -> None:  # pragma: no cover - compiled
    """The pixels of pieces with one marker, labelled with it."""
    for y in range(begin, end):
        for x in range(pieces.shape[1]):
            out[y, x] = first[pieces[y, x]]


def _watershed(
    bits: npt.NDArray[np.uint32], markers: Numbers, pieces: Numbers, sizes: npt.NDArray[np.int64], out: Numbers
) -> None:  # pragma: no cover - compiled
    """Flooding by priority (F. Meyer 1991), four neighbours: lowest energy first, then who came first.

    Piece by piece (those whose size is not 0), as a small heap of pixels stays where the processor is fast. The upper
    half of a key is the energy (its bits, turned so that they sort as the number does), the lower half the time at
    which it came.
    """
    rows, columns = pieces.shape
    starts = np.zeros(len(sizes) + 1, np.int64)
    largest = 0
    for piece in range(len(sizes)):
        starts[piece + 1] = starts[piece] + sizes[piece]
        largest = max(largest, sizes[piece])
    own = np.empty(starts[len(sizes)], np.int64)
    filled = starts.copy()
    for y in range(rows):
        for x in range(columns):
            piece = pieces[y, x]
            if sizes[piece]:
                own[filled[piece]] = y * columns + x
                filled[piece] += 1
    keys, places = np.empty(largest, np.uint64), np.empty(largest, np.int64)
    for piece in range(len(sizes)):
        used, time = 0, np.uint64(0)
        for i in range(starts[piece], starts[piece + 1]):
            here = own[i]
            y, x = here // columns, here % columns
            if markers[y, x] == 0:
                continue
            out[y, x] = markers[y, x]
            value = bits[y, x]
            key = np.uint64(~value if value >> 31 else value | np.uint32(0x80000000)) << np.uint64(32)
            at = used
            used += 1
            while at and keys[(at - 1) >> 1] > key:
                keys[at], places[at] = keys[(at - 1) >> 1], places[(at - 1) >> 1]
                at = (at - 1) >> 1
            keys[at], places[at] = key, here
        while used:
            here = places[0]
            used -= 1
            if used:  # the last one sinks from the top
                key, last, at = keys[used], places[used], 0
                while 2 * at + 1 < used:
                    below = 2 * at + 1
                    if below + 1 < used and keys[below + 1] < keys[below]:
                        below += 1
                    if keys[below] >= key:
                        break
                    keys[at], places[at] = keys[below], places[below]
                    at = below
                keys[at], places[at] = key, last
            y, x = here // columns, here % columns
            label = out[y, x]
            for k in range(4):
                v, u = y + (k == 3) - (k == 0), x + (k == 2) - (k == 1)
                if v < 0 or v == rows or u < 0 or u == columns or pieces[v, u] != piece or out[v, u]:
                    continue
                out[v, u] = label
                time += np.uint64(1)
                value = bits[v, u]
                key = (np.uint64(~value if value >> 31 else value | np.uint32(0x80000000)) << np.uint64(32)) | time
                at = used
                used += 1
                while at and keys[(at - 1) >> 1] > key:
                    keys[at], places[at] = keys[(at - 1) >> 1], places[(at - 1) >> 1]
                    at = (at - 1) >> 1
                keys[at], places[at] = key, v * columns + u
