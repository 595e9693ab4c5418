"""From the maps of a network to nuclei: every pixel gets the number of the nucleus that it belongs to.

The post-processing of HoVer-Net (S. Graham et al., Med. Image Anal. 58:101563, 2019) with the constants of CellViT
(F. Hoerst et al., Med. Image Anal. 94:103143, 2024): where the horizontal distance falls along a row, or the vertical
along a column, one nucleus ends and the next begins; what is left in the middle marks it, and a watershed gives it the
pixels around.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]
Bits = npt.NDArray[np.uint8]

LEAST = 10
"""Pixels of a piece that may be a nucleus."""
_EDGE = 0.4
_LARGE = 1 << 22
"""Pixels from which two threads are worth it."""


@dataclass(frozen=True)
class Rules:
    """How nuclei are cut.

    Parameters
    ----------
    kernel
        Side of the filter that takes the slope of the distances, in pixels, an odd number.
    least_marker
        Pixels of the middle of a nucleus, at least.
    slopes
        The slopes, in units of the distance per pixel, that stand for "an edge" and "no edge"; ``None`` takes the
        steepest fall and rise of the image at hand, as published: what a tile holds then changes what is found in it.
    """

    kernel: int
    least_marker: int
    slopes: tuple[float, float] | None = None


AT_40X, AT_20X = Rules(21, 10), Rules(11, 3)
"""As published, for 0.25 and 0.5 um per pixel."""


def instances(nuclei: npt.NDArray[np.bool_], hv: Floats, rules: Rules = AT_40X) -> Numbers:
    """The nuclei of an image: ``(H, W)`` int32, 0 between them, numbers from 1 on (some may be missing).

    Parameters
    ----------
    nuclei
        ``(H, W)``: where there is a nucleus.
    hv
        ``(2, H, W)`` float32: horizontal and vertical distance to the middle of the nucleus.
    """
    with _helpers(nuclei.size) as both:
        slopes = both(_slopes_of(rules), hv, range(2))
        pieces, sizes = compiled(_pieces)(nuclei.view(np.uint8), 1)
        mask = compiled(_kept)(pieces, sizes, LEAST)
        if not mask.any():
            return np.zeros(nuclei.shape, np.int32)
        energy, middle = compiled(_edges)(*slopes, mask)
    free, holes = compiled(_pieces)(middle, 0)
    compiled(_fill)(middle, free, len(holes))
    markers, sizes = compiled(_pieces)(_opened(middle), 1)
    compiled(_kept)(markers, sizes, rules.least_marker)
    return _flooded(energy, markers, pieces)


def _pieces(bits: Bits, wanted: int) -> tuple[Numbers, npt.NDArray[np.int64]]:  # pragma: no cover - compiled
    """Pixels of a value in pieces (four neighbours): numbers from 1 on in the order of first pixels; and sizes."""
    rows, columns = bits.shape
    labels = np.zeros((rows, columns), np.int32)
    parent = np.zeros(rows * columns // 2 + 2, np.int32)
    used = 0
    for y in range(rows):
        for x in range(columns):
            if bits[y, x] != wanted:
                continue
            above = labels[y - 1, x] if y else 0
            left = labels[y, x - 1] if x else 0
            if above == 0 and left == 0:
                used += 1
                parent[used] = used
                labels[y, x] = used
            elif above == 0 or left == 0 or above == left:
                labels[y, x] = max(above, left)
            else:
                while parent[above] != above:
                    parent[above] = parent[parent[above]]
                    above = parent[above]
                while parent[left] != left:
                    parent[left] = parent[parent[left]]
                    left = parent[left]
                low = min(above, left)
                parent[above], parent[left] = low, low
                labels[y, x] = low
    number = np.zeros(used + 1, np.int32)
    count = 0
    for one in range(1, used + 1):
        root = one
        while parent[root] != root:
            root = parent[root]
        if root == one:
            count += 1
            number[one] = count
        else:
            number[one] = number[root]
    sizes = np.zeros(count + 1, np.int64)
    for y in range(rows):
        for x in range(columns):
            if labels[y, x]:
                labels[y, x] = number[labels[y, x]]
                sizes[labels[y, x]] += 1
    return labels, sizes


def _kept(labels: Numbers, sizes: npt.NDArray[np.int64], least: int) -> Bits:  # pragma: no cover - compiled
    """Takes pieces of fewer pixels away, and gives where the others are."""
    mask = np.empty(labels.shape, np.uint8)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if sizes[labels[y, x]] < least:
                labels[y, x] = 0
            mask[y, x] = labels[y, x] != 0
    return mask


def _fill(bits: Bits, free: Numbers, count: int) -> None:  # pragma: no cover - compiled
    """Fills holes: free pieces that no path of free pixels joins to the edge of the image."""
    rows, columns = bits.shape
    is_open = np.zeros(count, np.bool_)
    for x in range(columns):
        is_open[free[0, x]] = True
        is_open[free[rows - 1, x]] = True
    for y in range(rows):
        is_open[free[y, 0]] = True
        is_open[free[y, columns - 1]] = True
    for y in range(rows):
        for x in range(columns):
            if free[y, x] and not is_open[free[y, x]]:
                bits[y, x] = 1


@contextmanager
def _helpers(pixels: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` for what does not depend on each other; by threads of their own where that is worth it."""
    if pixels < _LARGE:
        yield map
        return
    with ThreadPoolExecutor(2, thread_name_prefix="workbench-nuclei") as pool:
        yield pool.map


def _slopes_of(rules: Rules) -> Callable[[Floats, int], Floats]:
    """How much of an edge there is along rows (0) and along columns (1) in a map of distances: 0 where the distance
    rises, 1 where it falls most.
    """
    rise, smooth = _kernels(rules.kernel)

    def slope_of(one: Floats, axis: int) -> Floats:
        kernels = (smooth, rise) if axis else (rise, smooth)
        slope = compiled(_filtered)(np.ascontiguousarray(one, np.float32), *kernels)
        low, high = rules.slopes if rules.slopes is not None else (float(slope.min()), float(slope.max()))
        reach = np.float32(1 / (high - low) if high > low else 0)
        found: Floats = (np.float32(high) - slope) * reach
        return found

    return slope_of


@lru_cache(maxsize=8)
def _kernels(size: int) -> tuple[Floats, Floats]:
    """The filter of Sobel with `size` taps: slope of a line of slope 1 is 1, and a mean of weight 1."""
    smooth = np.ones(1)
    for _ in range(size - 1):
        smooth = np.convolve(smooth, (1, 1))
    rise = np.ones(1)
    for _ in range(size - 3):
        rise = np.convolve(rise, (1, 1))
    rise = np.convolve(rise, (-1, 0, 1))
    places = np.arange(size) - size // 2
    return (rise / (rise * places).sum()).astype(np.float32), (smooth / smooth.sum()).astype(np.float32)


def _filtered(image: Floats, along_rows: Floats, along_columns: Floats) -> Floats:  # pragma: no cover - compiled
    """Correlation with one kernel along the rows and one along the columns; the image is mirrored at its edges.

    Kernels are even or odd about their middle: what lies left and right of it is added (or subtracted) first.
    """
    rows, columns = image.shape
    taps = len(along_rows)
    half = taps // 2
    lines = np.empty((rows, columns), np.float32)
    wide = np.empty(columns + 2 * half, np.float32)
    sign = np.float32(1) if along_rows[0] == along_rows[taps - 1] else np.float32(-1)
    for y in range(rows):
        for x in range(-half, columns + half):
            at = -x if x < 0 else 2 * (columns - 1) - x if x >= columns else x
            wide[x + half] = image[y, min(max(at, 0), columns - 1)]
        # Slices, as an index that is a sum keeps processors from taking many pixels at a time.
        line, own, middle = lines[y], wide[half : half + columns], along_rows[half]
        for x in range(columns):
            line[x] = own[x] * middle
        for k in range(0, half, 2):
            far = taps - 1 - k
            one, a, b = along_rows[k], wide[k : k + columns], wide[far : far + columns]
            if k + 1 < half:
                two, c, d = along_rows[k + 1], wide[k + 1 : k + 1 + columns], wide[far - 1 : far - 1 + columns]
                for x in range(columns):
                    line[x] += (a[x] + sign * b[x]) * one + (c[x] + sign * d[x]) * two
            else:
                for x in range(columns):
                    line[x] += (a[x] + sign * b[x]) * one
    out = np.empty((rows, columns), np.float32)
    sign = np.float32(1) if along_columns[0] == along_columns[taps - 1] else np.float32(-1)
    source = np.empty(taps, np.int64)
    for y in range(rows):
        for k in range(taps):
            at = y + k - half
            at = -at if at < 0 else 2 * (rows - 1) - at if at >= rows else at
            source[k] = min(max(at, 0), rows - 1)
        line, own, middle = out[y], lines[y], along_columns[half]
        for x in range(columns):
            line[x] = own[x] * middle
        for k in range(0, half, 2):
            one, a, b = along_columns[k], lines[source[k]], lines[source[taps - 1 - k]]
            if k + 1 < half:
                two, c, d = along_columns[k + 1], lines[source[k + 1]], lines[source[taps - 2 - k]]
                for x in range(columns):
                    line[x] += (a[x] + sign * b[x]) * one + (c[x] + sign * d[x]) * two
            else:
                for x in range(columns):
                    line[x] += (a[x] + sign * b[x]) * one
    return out


def _edges(along_rows: Floats, along_columns: Floats, mask: Bits) -> tuple[Floats, Bits]:  # pragma: no cover - compiled
    """The energy that is flooded (low in the middle of nuclei), and where the middle of a nucleus is."""
    rows, columns = mask.shape
    inside = np.empty((rows, columns), np.float32)
    middle = np.empty((rows, columns), np.uint8)
    for y in range(rows):
        for x in range(columns):
            edge = max(along_rows[y, x], along_columns[y, x])
            edge = max(edge, np.float32(0)) if mask[y, x] else np.float32(0)
            inside[y, x] = (np.float32(1) - edge) if mask[y, x] else np.float32(0)
            middle[y, x] = mask[y, x] and edge < _EDGE
    energy = np.empty((rows, columns), np.float32)
    for y in range(rows):
        above = inside[min(1, rows - 1)] if y == 0 else inside[y - 1]
        below = inside[max(rows - 2, 0)] if y == rows - 1 else inside[y + 1]
        own = inside[y]
        for x in range(columns):
            a = min(1, columns - 1) if x == 0 else x - 1
            b = max(columns - 2, 0) if x == columns - 1 else x + 1
            left = above[a] + 2 * own[a] + below[a]
            here = above[x] + 2 * own[x] + below[x]
            right = above[b] + 2 * own[b] + below[b]
            energy[y, x] = -(left + 2 * here + right) / 16
    return energy, middle


def _opened(bits: Bits) -> Bits:
    """Opening with a disc of 5 x 5 pixels (without the two pixels left and right of its top and its bottom)."""
    return _disc(_disc(bits, np.bitwise_and, 1), np.bitwise_or, 0)


def _disc(bits: Bits, join: np.ufunc, beyond: int) -> Bits:
    rows, columns = bits.shape
    wide = np.pad(bits, 2, constant_values=beyond)
    line = wide[:, :columns].copy()
    for k in range(1, 5):
        join(line, wide[:, k : k + columns], out=line)
    found: Bits = wide[:rows, 2:-2].copy()
    for part in (line[1 : 1 + rows], line[2 : 2 + rows], line[3 : 3 + rows], wide[4:, 2:-2]):
        join(found, part, out=found)
    return found


def _flooded(energy: Floats, markers: Numbers, pieces: Numbers) -> Numbers:
    """Every piece of the mask flooded from its markers; one with a single marker belongs to it, whatever the energy."""
    out: Numbers
    out, several = compiled(_alone)(markers, pieces)
    if not several.any():
        return out
    # No piece touches another: some of them are flooded here, and others there.
    shares = 1 if energy.size < _LARGE else 2
    number = np.arange(len(several)) % shares
    with _helpers(energy.size) as both:
        flood = partial(compiled(_watershed), energy.view(np.uint32), markers, pieces)
        list(both(flood, [several & (number == k) for k in range(shares)], [out] * shares))
    return out


def _alone(markers: Numbers, pieces: Numbers) -> tuple[Numbers, npt.NDArray[np.bool_]]:  # pragma: no cover - compiled
    """The pixels of pieces with one marker, labelled with it, and which pieces have more than one."""
    rows, columns = markers.shape
    top = 0
    for y in range(rows):
        for x in range(columns):
            top = max(top, pieces[y, x])
    first = np.zeros(top + 1, np.int32)
    several = np.zeros(top + 1, np.bool_)
    for y in range(rows):
        for x in range(columns):
            marker, piece = markers[y, x], pieces[y, x]
            if marker and piece:
                if first[piece] == 0:
                    first[piece] = marker
                elif first[piece] != marker:
                    several[piece] = True
    out = np.empty((rows, columns), np.int32)
    for y in range(rows):
        for x in range(columns):
            piece = pieces[y, x]
            out[y, x] = 0 if several[piece] else first[piece]
    return out, several


def _watershed(
    bits: npt.NDArray[np.uint32], markers: Numbers, pieces: Numbers, several: npt.NDArray[np.bool_], out: Numbers
) -> None:  # pragma: no cover - compiled
    """Flooding by priority (F. Meyer 1991), four neighbours: lowest energy first, then who came first.

    A heap of pixels: the upper half of a key is the energy (its bits, turned so that they sort as the number does), the
    lower half the time at which it came.
    """
    rows, columns = pieces.shape
    wide = columns + 2
    # 0: not to be flooded, or flooded; with a frame, so that nobody asks whether a neighbour lies in the image.
    order = np.zeros((rows + 2) * wide, np.uint32)
    made = np.zeros((rows + 2) * wide, np.int32)
    size = 1
    for y in range(rows):
        for x in range(columns):
            if several[pieces[y, x]]:
                value = bits[y, x]
                order[(y + 1) * wide + x + 1] = ~value if value >> 31 else value | np.uint32(0x80000000)
                size += 1
    keys, places = np.empty(size, np.uint64), np.empty(size, np.int32)
    used, time = 0, np.uint64(0)
    for y in range(rows):
        for x in range(columns):
            here = (y + 1) * wide + x + 1
            if order[here] == 0 or markers[y, x] == 0:
                continue
            made[here] = markers[y, x]
            key = np.uint64(order[here]) << np.uint64(32)
            order[here] = 0
            at = used
            used += 1
            while at and keys[(at - 1) >> 1] > key:
                keys[at], places[at] = keys[(at - 1) >> 1], places[(at - 1) >> 1]
                at = (at - 1) >> 1
            keys[at], places[at] = key, here
    steps = np.array((-wide, -1, 1, wide))
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
        own = made[here]
        for k in range(4):
            there = here + steps[k]
            if order[there] == 0:
                continue
            made[there] = own
            time += np.uint64(1)
            key = (np.uint64(order[there]) << np.uint64(32)) | time
            order[there] = 0
            at = used
            used += 1
            while at and keys[(at - 1) >> 1] > key:
                keys[at], places[at] = keys[(at - 1) >> 1], places[(at - 1) >> 1]
                at = (at - 1) >> 1
            keys[at], places[at] = key, there
    for y in range(rows):
        for x in range(columns):
            if several[pieces[y, x]]:
                out[y, x] = made[(y + 1) * wide + x + 1]
