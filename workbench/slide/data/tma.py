"""Cores of a tissue microarray: found on its mask of tissue, and numbered as QuPath does (A-1 is above and left)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

Floats = npt.NDArray[np.float64]
_FULL = 0.25
"""Share of a disc that is tissue from which there may be a core."""
_RADIUS = 12
"""Pixels across which half a core is looked at."""
_TURNED = 20.0
"""Degrees by which an array may be turned on its slide."""
_OFF = 0.35
"""How far, in steps of the grid, a core may lie from its place."""
_STEPS = (1.05, 3.0)
"""From one core to the next, in diameters."""


@dataclass(frozen=True)
class Core:
    """A core, or a place of the grid where none is.

    Parameters
    ----------
    row, column
        Counted from 0, from above and from the left.
    x, y
        Its middle, in pixels of level 0.
    is_missing
        There is no tissue.
    """

    row: int
    column: int
    x: float
    y: float
    is_missing: bool = False

    @property
    def name(self) -> str:
        """A-1, A-2, ..., Z-1, AA-1."""
        letters, n = "", self.row + 1
        while n:
            n, rest = divmod(n - 1, 26)
            letters = chr(65 + rest) + letters
        return f"{letters}-{self.column + 1}"


def find_cores(mask: npt.NDArray[np.bool_], step: tuple[float, float], mpp: float, diameter: float) -> list[Core]:
    """The cores of an array, row by row, with the places of the grid where there is none.

    Parameters
    ----------
    mask
        ``(rows, columns)`` of tissue.
    step
        Pixels of level 0 along (y, x) of one of its pixels.
    mpp
        Micrometres per pixel of level 0.
    diameter
        Of a core [mm].

    Raises
    ------
    InputError
        Fewer than two cores of this size, or they stand in no grid: another diameter, or no array.
    """
    across = diameter * 1000 / mpp  # pixels of level 0
    middles = _middles(mask, step, across)
    if len(middles) < 2:
        raise InputError(
            f"{len(middles)} core(s) of {diameter:g} mm were found: is it an array, and of this size (--tma)?"
        )
    index, spacing, corner, turn = _grid(middles, across, diameter)
    index -= index.min(0)
    found = {(int(r), int(c)): (float(x), float(y)) for (r, c), (x, y) in zip(index, middles, strict=True)}
    if len(found) < len(middles):
        raise InputError(
            f"{len(middles) - len(found)} of {len(middles)} cores of {diameter:g} mm have the place of another in the "
            "grid: is the diameter right (--tma)?"
        )
    rows, columns = index.max(0) + 1
    places = [(r, c) for r in range(rows) for c in range(columns)]
    steps = np.array([(corner[0] + c * spacing[0], corner[1] + r * spacing[1]) for r, c in places])
    expected = [(float(x), float(y)) for x, y in _turned(steps, -turn)]
    return [
        Core(*at, *found.get(at, other), is_missing=at not in found)
        for at, other in zip(places, expected, strict=True)
    ]  # fmt: skip


def _middles(mask: npt.NDArray[np.bool_], step: tuple[float, float], across: float) -> Floats:
    """Where discs of this size hold most tissue, (x, y) in pixels of level 0."""
    from scipy import ndimage
    from scipy.signal import fftconvolve

    height, width = (across / 2 / s for s in step)
    shrink = max(1, int(min(height, width) / _RADIUS))
    rows, columns = (-(-n // shrink) for n in mask.shape)
    padded = np.zeros((rows * shrink, columns * shrink), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    small = padded.reshape(rows, shrink, columns, shrink).mean((1, 3))
    high, wide = height / shrink, width / shrink
    y, x = np.ogrid[-math.ceil(high) : math.ceil(high) + 1, -math.ceil(wide) : math.ceil(wide) + 1]
    disc = ((y / high) ** 2 + (x / wide) ** 2 <= 1).astype(np.float32)
    covered = fftconvolve(small, disc, mode="same") / disc.sum()
    covered = ndimage.gaussian_filter(covered, (high / 8, wide / 8))
    size = max(3, round(high)), max(3, round(wide))
    r, c = np.nonzero((covered == ndimage.maximum_filter(covered, size)) & (covered > _FULL))
    order = np.argsort(-covered[r, c], kind="stable")
    found: list[tuple[float, float]] = []
    for own in order.tolist():
        cy, cx = (r[own] + 0.5) * shrink, (c[own] + 0.5) * shrink
        low, left = max(0, round(cy - height)), max(0, round(cx - width))
        inside = mask[low : round(cy + height), left : round(cx + width)]
        dy, dx = ndimage.center_of_mass(inside) if inside.any() else (cy - low, cx - left)
        at = ((dx + left + 0.5) * step[1], (dy + low + 0.5) * step[0])
        if all(math.hypot(at[0] - a, at[1] - b) > 0.7 * across for a, b in found):
            found.append(at)
    return np.array(found, np.float64).reshape(-1, 2)


def _grid(middles: Floats, across: float, diameter: float) -> tuple[npt.NDArray[np.int64], Floats, Floats, float]:
    """(row, column) of each core; from one to the next along (x, y); (x, y) of the first; and how far all is turned."""
    from scipy.spatial import cKDTree

    _, near = cKDTree(middles).query(middles, k=min(5, len(middles)))
    away = (middles[near[:, 1:]] - middles[:, None]).reshape(-1, 2)
    length = np.hypot(*away.T)
    away = away[length <= _STEPS[1] * across]
    angle = np.degrees(np.arctan2(away[:, 1], away[:, 0]))
    flat = (angle + 45) % 90 - 45  # of either axis
    straight = np.abs(flat) <= _TURNED
    if not straight.any():
        raise InputError(f"cores of {diameter:g} mm stand in no grid: is it an array, and of this size (--tma)?")
    turn = float(np.radians(np.median(flat[straight])))
    upright = _turned(middles, turn)
    index, spacing, corner = [], [], []
    for axis in range(2):
        own, step, first = _along(upright[:, axis], across)
        index.append(own)
        spacing.append(step)
        corner.append(first)
    if len(middles) > 2 and (lost := int(_is_off(upright, index, spacing, corner).sum())):
        raise InputError(
            f"{lost} of {len(middles)} cores of {diameter:g} mm stand beside their grid: draw the cores instead (--roi)"
        )
    return np.stack([index[1], index[0]], 1), np.array(spacing), np.array(corner), turn


def _along(values: Floats, across: float) -> tuple[npt.NDArray[np.int64], float, float]:
    """The number of each line along one axis, how far lines are apart, and where the first is."""
    order = np.sort(values)
    parts = np.split(order, np.flatnonzero(np.diff(order) > 0.5 * across) + 1)
    lines = np.array([part.mean() for part in parts])
    if len(lines) == 1:
        return np.zeros(len(values), np.int64), across * 1.5, float(lines[0])
    apart = float(np.median(np.diff(lines)[np.diff(lines) <= 1.5 * np.diff(lines).min()]))
    numbers = np.rint((lines - lines[0]) / apart)
    slope, first = np.polyfit(numbers, lines, 1)
    index = np.rint((values - first) / slope).astype(np.int64)
    shift = int(index.min())
    return index - shift, float(slope), float(first + shift * slope)


def _is_off(
    upright: Floats, index: list[npt.NDArray[np.int64]], spacing: list[float], corner: list[float]
) -> npt.NDArray[np.bool_]:
    places = np.stack([corner[k] + index[k] * spacing[k] for k in range(2)], 1)
    off: npt.NDArray[np.bool_] = np.any(np.abs(upright - places) > _OFF * np.array(spacing), axis=1)
    return off


def _turned(points: Floats, angle: float) -> Floats:
    """Points turned back by an angle: what stood turned by it stands upright."""
    cos, sin = math.cos(angle), math.sin(angle)
    found: Floats = points @ np.array([[cos, -sin], [sin, cos]])
    return found
