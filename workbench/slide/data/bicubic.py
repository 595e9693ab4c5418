"""The bicubic filter of Pillow with antialiasing, byte by byte, in less than half of its time: most of reading a tile.

Every pixel that is made is a weighted sum of those under it: first along the rows, then along the columns, rounded to
8 bits after each, weights as whole numbers of 22 bits (Keys 1981, doi:10.1109/TASSP.1981.1163711, a = -0.5, widened by
the scale). Both passes run along lines that lie together in memory, which processors do many at a time. Where the
scales of rows and columns differ, Pillow 13 goes along the columns first if that is shorter.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from workbench.core.compiled import compiled

_BITS = 22
_A = -0.5
_SUPPORT = 2.0
_WORDS = 32

Pixels = npt.NDArray[np.uint8]


def resized(pixels: Pixels, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> Pixels:
    """A picture ``(rows, columns, channels)`` of 8 bits at another size.

    Parameters
    ----------
    size
        (rows, columns) to make.
    box
        (left, top, right, bottom) of the part that is shown, in pixels of the picture, as real numbers; by default the
        whole. Pixels beside it are used where the filter reaches them.
    """
    rows, columns, channels = pixels.shape
    left, top, right, bottom = np.array((0, 0, columns, rows) if box is None else box, np.float32)
    low_x, x = _weights(float(left), float(right - left), size[1], columns)
    low_y, y = _weights(float(top), float(bottom - top), size[0], rows)
    first, last = int(low_y[0]), min(int(low_y[-1]) + y.shape[1], rows)
    filtered = compiled(_filtered)
    some = pixels[first:last].reshape(last - first, columns * channels)
    lines = filtered(_turned(some), low_x, x, channels)
    found: Pixels = filtered(_turned(lines)[: last - first], low_y - first, y, 1)
    return np.ascontiguousarray(found[:, : size[1] * channels]).reshape(size[0], size[1], channels)


def _turned(lines: Pixels) -> Pixels:
    """``(n, m)`` with rows as columns, both filled up to multiples of 8 with anything: ``(m + a, n + b)``."""
    rows, columns = lines.shape
    if rows % 8 or columns % 8 or not lines.flags.c_contiguous:
        filled = np.empty((rows + -rows % 8, columns + -columns % 8), np.uint8)
        filled[:rows, :columns] = lines
        lines = filled
    out = np.empty(lines.shape[::-1], np.uint8)
    compiled(_turn)(lines.view("<u8"), out.view("<u8"))
    return out


def _turn(lines: npt.NDArray[np.uint64], out: npt.NDArray[np.uint64]) -> None:  # pragma: no cover - compiled
    """8 x 8 bytes at once: halves, quarters and single bytes change places between 8 words (H. Warren, "Hacker's
    Delight", 7-3), for many words along a line together.
    """
    x = np.empty((8, _WORDS), np.uint64)
    for first in range(0, lines.shape[1], _WORDS):  # so many that what is written stays in the nearest cache
        many = min(_WORDS, lines.shape[1] - first)
        for r in range(lines.shape[0] // 8):
            for i in range(8):
                for j in range(many):
                    x[i, j] = lines[8 * r + i, first + j]
            for stage in range(3):
                apart = 4 >> stage
                bits = np.uint64(8 * apart)
                mask = np.uint64((0x00000000FFFFFFFF, 0x0000FFFF0000FFFF, 0x00FF00FF00FF00FF)[stage])
                for i in range(8):
                    if i & apart:
                        continue
                    low, high = x[i], x[i + apart]
                    for j in range(many):
                        t = ((low[j] >> bits) ^ high[j]) & mask
                        high[j] ^= t
                        low[j] ^= t << bits
            for j in range(many):
                for i in range(8):
                    out[8 * (first + j) + i, r] = x[i, j]


@lru_cache(maxsize=256)
def _weights(first: float, length: float, size: int, limit: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """For each pixel to make, the first that it takes from ``(size,)``, and the weights of that and the next."""
    scale = length / size
    wide = max(scale, 1.0)
    centre = first + (np.arange(size) + 0.5) * scale
    low = np.maximum((centre - _SUPPORT * wide + 0.5).astype(np.int64), 0)
    high = np.minimum((centre + _SUPPORT * wide + 0.5).astype(np.int64), limit)
    taps = np.arange(int((high - low).max()))
    x = np.abs((low[:, None] + taps - centre[:, None] + 0.5) * (1 / wide))
    near = ((_A + 2) * x - (_A + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * _A
    weight = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    weight[taps >= (high - low)[:, None]] = 0
    weight /= weight.sum(1, keepdims=True)
    weight *= 1 << _BITS
    return low, np.trunc(weight + np.copysign(0.5, weight)).astype(np.int32)


def _filtered(
    lines: Pixels, low: npt.NDArray[np.int64], weights: npt.NDArray[np.int32], step: int
) -> Pixels:  # pragma: no cover - compiled
    """``lines`` ``(n * step, m)`` to ``(len(low) * step, m)``: every line the sum of those `step` apart, weighted."""
    size, taps = weights.shape
    many = lines.shape[1]
    out = np.empty((size * step, many), np.uint8)
    total = np.empty(many, np.int32)
    for i in range(size):
        used = taps  # no line beyond the last is looked at: where weights are short, nothing may lie there
        while used > 1 and weights[i, used - 1] == 0:
            used -= 1
        for c in range(step):
            total[:] = 1 << (_BITS - 1)
            k = 0
            while k + 4 <= used:  # four at once: the sums are fetched and put back less often
                at = (low[i] + k) * step + c
                one, two, three, four = lines[at], lines[at + step], lines[at + 2 * step], lines[at + 3 * step]
                u, v, w, x = weights[i, k], weights[i, k + 1], weights[i, k + 2], weights[i, k + 3]
                for j in range(many):
                    total[j] += (
                        np.int32(one[j]) * u + np.int32(two[j]) * v + np.int32(three[j]) * w + np.int32(four[j]) * x
                    )
                k += 4
            while k < used:
                one, u = lines[(low[i] + k) * step + c], weights[i, k]
                for j in range(many):
                    total[j] += np.int32(one[j]) * u
                k += 1
            made = out[i * step + c]
            for j in range(many):
                made[j] = min(max(total[j] >> _BITS, 0), 255)
    return out
