"""Maps of nuclei that are drawn, as a network that is never wrong would give them: for assembly and measurements."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def drawn_maps(
    shape: tuple[int, int],
    spacing: float = 22.0,
    seed: int = 0,
    noise: float = 0.03,
    origin: tuple[int, int] = (0, 0),
    period: int = 1 << 30,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32], npt.NDArray[np.uint8], int]:
    """A piece of an endless plane of ellipses on a jittered grid, some of which touch.

    Parameters
    ----------
    shape, origin
        (rows, columns) of the piece, and where it lies on the plane: pieces of one plane fit together.
    spacing
        From one nucleus to the next, in pixels.
    noise
        Deviation of the noise on the distances.
    period
        Nuclei along a side after which the plane repeats itself; then pieces can be copied.

    Returns
    -------
    nuclei, hv, types, number
        ``(H, W)`` bool, ``(2, H, W)`` float32, ``(H, W)`` uint8 from 1 to 3, and how many centres lie in the piece.
    """
    rows, columns = shape
    top, left = origin
    nuclei, types = np.zeros(shape, bool), np.zeros(shape, np.uint8)
    hv, nearest = np.zeros((2, *shape), np.float32), np.full(shape, np.inf, np.float32)
    reach = int(spacing) + 4
    first, last = int((top - reach) // spacing), int((top + rows + reach) // spacing) + 1
    begin, end = int((left - reach) // spacing), int((left + columns + reach) // spacing) + 1
    number = 0
    for i in range(first, last):
        for j in range(begin, end):
            rng = np.random.default_rng((seed, i % period, j % period))
            cy, cx = (i + 0.5) * spacing + rng.uniform(-2, 2), (j + 0.5) * spacing + rng.uniform(-2, 2)
            a, b, turn = rng.uniform(0.40, 0.52) * spacing, rng.uniform(0.32, 0.42) * spacing, rng.uniform(0, np.pi)
            kind = int(rng.integers(1, 4))
            number += top <= cy < top + rows and left <= cx < left + columns
            y0, y1 = max(int(cy - reach), top), min(int(cy + reach) + 1, top + rows)
            x0, x1 = max(int(cx - reach), left), min(int(cx + reach) + 1, left + columns)
            if y0 >= y1 or x0 >= x1:
                continue
            y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
            dx, dy = x - cx, y - cy
            u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
            far = (u / a) ** 2 + (v / b) ** 2
            where = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
            own = (far <= 1) & (far < nearest[where])
            nearest[where][own] = far[own]
            nuclei[where] |= own
            types[where][own] = kind
            wide = np.hypot(a * np.cos(turn), b * np.sin(turn))
            high = np.hypot(a * np.sin(turn), b * np.cos(turn))
            hv[0][where][own] = (dx / wide)[own]
            hv[1][where][own] = (dy / high)[own]
    grain = np.random.default_rng(seed + 1).standard_normal((64, 64)).astype(np.float32)
    tiled = grain[np.ix_((np.arange(rows) + top) % 64, (np.arange(columns) + left) % 64)]
    hv += noise * tiled * nuclei
    return nuclei, hv, types, number
