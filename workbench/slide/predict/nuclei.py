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
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled
from workbench.slide.predict.flooding import flooded
from workbench.slide.predict.pieces import Bits, Numbers, fill_holes, painted, pieces_of

Floats = npt.NDArray[np.float32]

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
    rows = len(nuclei)
    with _helpers(nuclei.size) as (each, shares):
        bands = [(rows * k // shares, rows * (k + 1) // shares) for k in range(shares)]
        coming = each(_slopes_of(rules), hv, range(2))
        found = pieces_of(nuclei.view(np.uint8))
        pieces = painted(nuclei.shape, found, LEAST)
        slopes = list(coming)
        if not pieces.any():
            return pieces
        inside, energy, middle = np.empty_like(slopes[0]), np.empty_like(slopes[0]), np.empty(nuclei.shape, np.uint8)
        list(each(lambda band: compiled(_edges)(*slopes, pieces, *band, inside, middle), bands))
        list(each(lambda band: compiled(_blurred)(inside, *band, energy), bands))
        fill_holes(middle)
        markers = painted(nuclei.shape, pieces_of(_opened(middle)), rules.least_marker)
        return flooded(energy, markers, pieces, found.sizes, each, shares)


@contextmanager
def _helpers(pixels: int) -> Iterator[tuple[Callable[..., Iterator[Any]], int]]:
    """A `map` for what does not depend on each other, and how many things it does at a time: by threads of their own
    where that is worth it.
    """
    if pixels < _LARGE:
        yield map, 1
        return
    with ThreadPoolExecutor(2, thread_name_prefix="workbench-nuclei") as pool:
        yield pool.map, 2


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


def _edges(
    along_rows: Floats, along_columns: Floats, pieces: Numbers, begin: int, end: int, inside: Floats, middle: Bits
) -> None:  # pragma: no cover - compiled
    """How far from an edge pixels of the mask are (1 is "no edge"), and which are the middle of a nucleus."""
    for y in range(begin, end):
        for x in range(pieces.shape[1]):
            edge = max(max(along_rows[y, x], along_columns[y, x]), np.float32(0))
            own = pieces[y, x] != 0
            inside[y, x] = (np.float32(1) - edge) if own else np.float32(0)
            middle[y, x] = own and edge < _EDGE


def _blurred(inside: Floats, begin: int, end: int, energy: Floats) -> None:  # pragma: no cover - compiled
    """The energy that is flooded, low in the middle of nuclei."""
    rows, columns = inside.shape
    for y in range(begin, end):
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
