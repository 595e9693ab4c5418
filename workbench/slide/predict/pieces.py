"""Pixels in pieces, by runs: what lies side by side in a row is one run, and runs that touch are one piece."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled

Numbers = npt.NDArray[np.int32]
Bits = npt.NDArray[np.uint8]


class Pieces(NamedTuple):
    """The pieces (four neighbours) of pixels of one value.

    Parameters
    ----------
    starts, stops
        ``(R,)`` int32, first column of each run and the one behind its last, row by row.
    rows
        ``(H + 1,)`` int64: the runs of row ``y`` are ``rows[y]`` to ``rows[y + 1]``.
    numbers
        ``(R,)`` int32, the piece of each run, from 1 on in the order of first pixels.
    sizes
        ``(N + 1,)`` int64, pixels of each piece; none has the number 0.
    """

    starts: Numbers
    stops: Numbers
    rows: npt.NDArray[np.int64]
    numbers: Numbers
    sizes: npt.NDArray[np.int64]


def pieces_of(bits: Bits, wanted: int = 1) -> Pieces:
    """The pieces of pixels of an image ``(H, W)`` uint8 that have a value."""
    return Pieces(*compiled(_runs)(bits, wanted))


def painted(shape: tuple[int, ...], pieces: Pieces, least: int) -> Numbers:
    """``(H, W)`` int32: the number of its piece in each pixel of those that have so many pixels, 0 elsewhere."""
    labels = np.zeros(shape, np.int32)
    compiled(_paint)(labels, *pieces, least)
    return labels


def fill_holes(bits: Bits) -> None:
    """Fills what no path of free pixels joins to the edge of the image, in place."""
    compiled(_fill)(bits, *pieces_of(bits, 0))


def _runs(
    bits: Bits, wanted: int
) -> tuple[Numbers, Numbers, npt.NDArray[np.int64], Numbers, npt.NDArray[np.int64]]:  # pragma: no cover - compiled
    height, width = bits.shape
    most = height * ((width + 1) // 2)
    starts, stops, parent = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    rows = np.zeros(height + 1, np.int64)
    used = 0
    for y in range(height):
        row = bits[y]
        above = rows[y - 1] if y else 0
        end = used
        x = 0
        while True:
            while x < width and row[x] != wanted:
                x += 1
            if x == width:
                break
            start = x
            while x < width and row[x] == wanted:
                x += 1
            starts[used], stops[used], parent[used] = start, x, used
            while above < end and stops[above] <= start:
                above += 1
            other = above
            while other < end and starts[other] < x:
                one, two = used, other
                while parent[one] != one:
                    parent[one] = parent[parent[one]]
                    one = parent[one]
                while parent[two] != two:
                    parent[two] = parent[parent[two]]
                    two = parent[two]
                low = min(one, two)
                parent[one], parent[two] = low, low
                other += 1
            if other > above:
                above = other - 1  # it may reach over the next run, too
            used += 1
        rows[y + 1] = used
    numbers = np.empty(used, np.int32)
    count = 0
    for one in range(used):
        root = parent[one]  # an earlier run, or itself: the first of a piece is its root in the end
        if root == one:
            count += 1
            numbers[one] = count
        else:
            numbers[one] = numbers[root]
    sizes = np.zeros(count + 1, np.int64)
    for one in range(used):
        sizes[numbers[one]] += stops[one] - starts[one]
    return starts[:used].copy(), stops[:used].copy(), rows, numbers, sizes


def _paint(
    labels: Numbers,
    starts: Numbers,
    stops: Numbers,
    rows: npt.NDArray[np.int64],
    numbers: Numbers,
    sizes: npt.NDArray[np.int64],
    least: int,
) -> None:  # pragma: no cover - compiled
    for y in range(len(rows) - 1):
        for run in range(rows[y], rows[y + 1]):
            if sizes[numbers[run]] >= least:
                labels[y, starts[run] : stops[run]] = numbers[run]


def _fill(
    bits: Bits,
    starts: Numbers,
    stops: Numbers,
    rows: npt.NDArray[np.int64],
    numbers: Numbers,
    sizes: npt.NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    height, width = bits.shape
    is_open = np.zeros(len(sizes), np.bool_)
    for y in range(height):
        for run in range(rows[y], rows[y + 1]):
            if y == 0 or y == height - 1 or starts[run] == 0 or stops[run] == width:
                is_open[numbers[run]] = True
    for y in range(height):
        for run in range(rows[y], rows[y + 1]):
            if not is_open[numbers[run]]:
                bits[y, starts[run] : stops[run]] = 1
