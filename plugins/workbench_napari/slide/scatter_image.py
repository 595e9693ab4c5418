"""Dots of tiles as a picture, a hundred thousand in some ten milliseconds. No Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_MANY = 3000, 30_000
"""With more dots than that, each is smaller."""
_FAINT = 0.6
"""So much of the background is in the colour of dots that are not chosen, where some are."""


def radius_of(count: int, ratio: float = 1.0) -> float:
    """Of a dot, in pixels of the screen, of which there may be `ratio` along one of the window."""
    return ratio * (3.5 if count <= _MANY[0] else 2.4 if count <= _MANY[1] else 1.3)


def drawn(
    places: npt.NDArray[np.floating[Any]], colors: npt.NDArray[np.uint8], shape: tuple[int, int], *,
    back: tuple[int, int, int], ring: tuple[int, int, int], radius: float, seen: npt.NDArray[np.bool_],
    chosen: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint32]:  # fmt: skip
    """A picture ``(rows, columns)`` of 0xffRRGGBB.

    Parameters
    ----------
    places
        ``(N, 2)`` (x, y) in pixels of the picture.
    colors
        ``(N, 3)``.
    back, ring
        Colours of the background, and of what is drawn around dots that are chosen.
    seen, chosen
        ``(N,)`` which dots are drawn, and which stand out.
    """
    canvas = np.full(shape, _packed(np.array([back], np.uint8))[0], np.uint32)
    # In an order that has nothing to do with the slide, or the dots of the last tiles would lie over all others.
    order = np.random.default_rng(0).permutation(len(places))
    order = order[seen[order]]
    some = bool((chosen & seen).any())
    own = colors.astype(np.float32)
    others = own * (1 - _FAINT) + np.array(back, np.float32) * _FAINT if some else own
    plain, marked = order[~chosen[order]], order[chosen[order]]
    _stamp(canvas, places[plain], _packed(others[plain]), radius)
    if marked.size:
        edge = np.full(len(marked), _packed(np.array([ring], np.uint8))[0], np.uint32)
        _stamp(canvas, places[marked], edge, 1.25 * radius + 1.5)
        _stamp(canvas, places[marked], _packed(own[marked]), 1.25 * radius)
    return canvas


def nearest(
    places: npt.NDArray[np.floating[Any]], seen: npt.NDArray[np.bool_], at: tuple[float, float], most: float
) -> int | None:
    """The dot that is seen nearest to a place, if it is not farther than that."""
    away = np.where(seen, ((places - np.asarray(at)) ** 2).sum(1), np.inf)
    return int(away.argmin()) if len(away) and away.min() <= most**2 else None


def inside(places: npt.NDArray[np.floating[Any]], line: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
    """Which places lie in a closed line ``(V, 2)``."""
    found = np.zeros(len(places), bool)
    if len(line) < 3:
        return found
    near = np.flatnonzero(((places >= line.min(0)) & (places <= line.max(0))).all(1))
    x, y = places[near].T
    odd = np.zeros(len(near), bool)
    for (x0, y0), (x1, y1) in zip(line, np.roll(line, -1, axis=0), strict=True):
        if y0 != y1:
            odd ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    found[near] = odd
    return found


def _packed(colors: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    red, green, blue = np.asarray(colors).astype(np.uint32).T
    found: npt.NDArray[np.uint32] = (np.uint32(0xFF000000) | red << 16 | green << 8 | blue).astype(np.uint32)
    return found


def _stamp(
    canvas: npt.NDArray[np.uint32], places: npt.NDArray[Any], colors: npt.NDArray[np.uint32], radius: float
) -> None:
    """A disc of one colour at each place. Pixels beyond the edge fall into a margin that is cut off."""
    rows, columns = canvas.shape
    reach = int(np.ceil(radius))
    at = np.floor(places)
    near = ((at > -reach) & (at < np.array([columns, rows]) + reach)).all(1)
    x, y = at[near].astype(np.int64).T
    whole = np.zeros((rows + 4 * reach, columns + 4 * reach), np.uint32)
    inner = whole[2 * reach : 2 * reach + rows, 2 * reach : 2 * reach + columns]
    inner[:] = canvas
    flat, first = whole.reshape(-1), (y + 2 * reach) * whole.shape[1] + x + 2 * reach
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 <= radius**2:
                flat[first + down * whole.shape[1] + right] = colors[near]
    canvas[:] = inner
