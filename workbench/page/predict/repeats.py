"""What repeats in a picture as the lines of graph paper do: how far apart lines are, by tile, and in perspective."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Plane = npt.NDArray[np.float32]

STEP = 8
"""Pixels, of the picture that is looked at, between the places where a phase is kept."""
_TILE = 256
_SHORTEST, _LONGEST = 7.0, 260.0
"""Of 5 mm [pixels]: less than 1.4 pixels a millimetre shows no signal, more than 52 is no picture of a page."""
_WIDTHS, _HEIGHTS = (45.0, 460.0), (20.0, 460.0)
"""What a picture of a page may show [mm]."""
_LEAST_OF_TILE = 1.2
"""Score of a tile in which lines are taken for a grid."""
_MOST_STRETCHED, _CLEARLY = 2.3, 1.0
"""The same of a picture that was stretched, and by how much better it must fit than one that was not."""
_DOUBLED = 1.5
"""What it costs that every second line of a period is much clearer than the others."""
_MOST_UNEQUAL = 1.22
"""Ratio of the two directions that a photo may have before it is rectified."""


def clearest(pixels: npt.NDArray[np.uint8]) -> tuple[Plane, Spectrum]:
    """The plane of colour in which a grid is seen best, with its spectrum."""
    found = [(flat, Spectrum(flat)) for flat in map(_flattened, _planes(pixels))]
    return max(found, key=lambda one: one[1].score)


def _planes(pixels: npt.NDArray[np.uint8]) -> list[Plane]:
    """Brightness and single colours: grids of one ink may be seen in one of them only."""
    light = pixels.astype(np.float32)
    red, green, blue = (light[..., k] for k in range(3))
    planes = [0.3 * red + 0.59 * green + 0.11 * blue]
    colourful = np.abs(red - blue).mean() + np.abs(red - green).mean()
    return planes + ([green, blue, red] if colourful > 4 else [])


def _flattened(plane: Plane) -> Plane:
    """How dark it is, light and contrast made even, and ink cut off, so that fine lines count as much as traces."""
    from scipy import ndimage

    size = 31
    centred = ndimage.uniform_filter(plane, size) - plane
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(centred * centred, size), 0)) + 1.5
    out: Plane = np.clip(centred / spread, -1.5, 1.5)
    return out


class Spectrum:
    """What repeats in the picture along x and y."""

    def __init__(self, flat: Plane) -> None:
        height, width = flat.shape
        self.size = size = min(_TILE, height, width)
        self.shape = flat.shape
        ys, xs = (_starts(n, size, 0.7) for n in (height, width))
        window = np.outer(np.hanning(size), np.hanning(size)).astype(np.float32)
        self.centres = np.array([(x + (size - 1) / 2, y + (size - 1) / 2) for y in ys for x in xs])
        powers = []
        for y in ys:
            for x in xs:
                tile = flat[y : y + size, x : x + size]
                powers.append(np.abs(np.fft.rfft2((tile - tile.mean()) * window)) ** 2)
        self.powers = powers
        wholes = [_whole(power) for power in powers]
        self.combs = [_Combs([_profile(w) for w in wholes], size), _Combs([_profile(w.T) for w in wholes], size)]
        self.scores: tuple[float, float] = (0.0, 0.0)
        self.periods: tuple[float, float] | None = None
        self._choose()

    @property
    def score(self) -> float:
        return min(self.scores) if self.periods is not None else 0.0

    def _choose(self) -> None:
        """The pair of periods of 5 mm that explains both directions and makes a page of a size that there is."""
        square, stretched = [], []
        for px, sx, double_x in self._candidates(0):
            for py, sy, double_y in self._candidates(1):
                unequal = max(px / py, py / px)
                total = sx + sy - _DOUBLED * (double_x + double_y)
                if unequal <= _MOST_UNEQUAL:
                    usual = 170 < 5 * self.shape[1] / px < 340
                    square.append((total + 0.8 * usual - 6 * max(unequal - 1.04, 0), px, py, sx, sy))
                elif unequal <= _MOST_STRETCHED:  # somebody made it wider or higher
                    stretched.append((total - _CLEARLY, px, py, sx, sy))
        if square or stretched:
            _, px, py, sx, sy = max([*square, *stretched], key=lambda one: one[0])
            self.periods, self.scores = (px, py), (sx, sy)

    def _candidates(self, axis: int) -> list[tuple[float, float, float]]:
        """Periods of 5 mm that make a page of a size that there is, with their scores and how doubled each is."""
        length, (low, high) = self.shape[1 - axis], (_WIDTHS, _HEIGHTS)[axis]
        comb = self.combs[axis]
        return [(p, s, comb.doubled(p)) for p, s in comb.candidates() if low <= 5 * length / p <= high]

    def strength(self, axis: int, harmonic: int) -> float:
        """How clear the lines of 5 mm (1) or 1 mm (5) are along an axis."""
        assert self.periods is not None
        return self.combs[axis].at(harmonic * self.size / self.periods[axis])


def _starts(n: int, size: int, step: float) -> npt.NDArray[np.int_]:
    """Where tiles begin that cover a length, `step` of their size apart at most."""
    count = max(1, int(np.ceil((n - size) / (size * step))) + 1)
    return np.unique(np.linspace(0, max(n - size, 0), count).astype(int))


def _whole(half: Floats) -> Floats:
    """The power of all frequencies from that of those with x >= 0, by the symmetry of real pictures."""
    n = half.shape[0]
    out = np.zeros((n, n))
    out[:, : half.shape[1]] = half
    flipped = np.roll(half[::-1], 1, axis=0)
    out[:, n - 1 : n // 2 : -1] = flipped[:, 1 : n - n // 2]
    return out


def _profile(power: Floats) -> Floats:
    """Power along x: of each frequency the greatest within 15 degrees of the axis."""
    half = power.shape[0] // 2
    out = np.zeros(half)
    for k in range(1, half):
        most = int(0.27 * k) + 1
        out[k] = power[np.arange(-most, most + 1), k].max()
    return out


class _Combs:
    """How well teeth of one period fit the profiles of power of all tiles, each with a little freedom."""

    def __init__(self, profiles: list[Floats], size: int) -> None:
        from scipy import ndimage

        level = np.log(np.array(profiles) + 1e-9)
        around = ndimage.median_filter(level, (1, 21), mode="nearest")
        self.size = size
        self.height = np.clip(level - around, 0, 4)
        self.height[:, :2] = 0
        highest = min(size / _SHORTEST, size / 2 - 1)
        self.frequencies = np.geomspace(max(1.4, size / _LONGEST), highest, 360)
        by_tile = self._by_tile = np.array([_scores(self.frequencies, h) for h in self.height])
        near = ndimage.maximum_filter1d(by_tile, 19, axis=1)  # a tenth higher or lower: perspective
        best = np.sort(near, axis=0)[len(near) * 2 // 5 :]
        smeared = ndimage.gaussian_filter1d(by_tile.mean(axis=0), 2)
        self.scores = best.mean(axis=0) + 1e-3 * smeared

    def at(self, frequency: float) -> float:
        """Height of the teeth at a frequency [cycles per tile], in the mean."""
        k = int(np.clip(round(frequency), 0, self.height.shape[1] - 1))
        low, high = max(int(0.93 * k), 0), int(np.ceil(1.07 * k)) + 1
        return float(self.height[:, low:high].max(axis=1).mean())

    def doubled(self, period: float) -> float:
        """How much clearer every second tooth of a period [pixels] is than the others: half of it is the period."""
        teeth = np.array([self.at(n * self.size / period) for n in range(1, 7)])
        return max(0.0, float(teeth[1::2].mean() - teeth[::2].mean()))

    def local(self, tile: int, frequency: float) -> float | None:
        """The frequency at which teeth fit a tile best, near that of the page; ``None`` where they do not fit it."""
        near = np.flatnonzero(np.abs(self.frequencies / frequency - 1) < 0.17)
        if not near.size:
            return None
        scores = self._by_tile[tile, near]
        return float(self.frequencies[near[scores.argmax()]]) if scores.max() > _LEAST_OF_TILE else None

    def candidates(self) -> list[tuple[float, float]]:
        """Periods of 5 mm [pixels] with their scores, the best first."""
        s = self.scores
        peaks = np.flatnonzero((s[1:-1] >= s[:-2]) & (s[1:-1] > s[2:])) + 1
        best = peaks[np.argsort(s[peaks])[::-1]][:16]
        return [(self.size / float(self.frequencies[i]), float(s[i])) for i in best]


def _scores(frequencies: Floats, height: Floats) -> Floats:
    """Teeth against what is between them; strong and fine lines count most, and what is not explained against it."""
    n = np.arange(len(height))
    teeth = np.arange(1, 13)
    places = frequencies[:, None] * teeth
    inside = places < len(n) - 1
    gain = np.interp(places, n, height) - np.interp(places - 0.5 * frequencies[:, None], n, height)
    weight = np.where(teeth % 5 == 0, 2.0, np.where(teeth == 1, 1.4, 1 / np.sqrt(teeth))) * inside
    score = (gain * weight).sum(axis=1) / np.sqrt((weight**2).sum(axis=1))
    strong = np.flatnonzero(height > 1.2)
    if strong.size:
        ratio = strong / frequencies[:, None]
        off = np.abs(ratio - np.round(ratio)) * frequencies[:, None]
        allowed = np.minimum(0.8 + 0.02 * strong, 0.18 * frequencies[:, None] + 0.2)
        apart = (off > allowed) | (strong < 0.7 * frequencies[:, None])
        score -= 4.0 * (apart * height[strong]).sum(axis=1) / height[strong].sum()
    out: Floats = score
    return out


def clear_harmonic(spectrum: Spectrum, axis: int) -> int:
    """Which lines are counted: strong ones (1), fine ones (5), or what there is."""
    assert spectrum.periods is not None
    one, five = spectrum.strength(axis, 1), spectrum.strength(axis, 5)
    if five < 0.4 and one < 0.8:
        return int(np.argmax([spectrum.strength(axis, h) for h in range(1, 6)])) + 1
    return 5 if (five > 0.8 * one and spectrum.periods[axis] / 5 > 2.2) else 1


def in_perspective(spectrum: Spectrum) -> tuple[Floats, Floats]:
    """Strong lines along x and y, at every `STEP` pixels, of the flat page in perspective that fits the tiles best."""
    from scipy.optimize import least_squares

    height, width = spectrum.shape
    middle, unit = np.array([width / 2, height / 2]), float(max(width, height)) / 2
    measured = [_frequencies(spectrum, axis) for axis in (0, 1)]

    def slopes(p: Floats, axis: int, at: Floats) -> Floats:
        a, b = p[2 * axis : 2 * axis + 2]
        g, h = p[4:]
        x, y = at.T
        below = g * x + h * y + 1
        above = a * x + b * y
        out: Floats = np.column_stack([a / below - above * g / below**2, b / below - above * h / below**2])
        return out

    def miss(p: Floats) -> Floats:
        parts = []
        for axis, found in enumerate(measured):
            at = (found[:, :2] - middle) / unit
            away = (slopes(p, axis, at) - found[:, 2:4] * unit) * found[:, 4:]
            parts.append(away.ravel())
        out: Floats = np.concatenate(parts)
        return out

    first = np.zeros(6)
    for axis, found in enumerate(measured):
        first[2 * axis : 2 * axis + 2] = np.median(found[:, 2:4], axis=0) * unit
    limit = 0.4
    bounds = (np.array([-np.inf] * 4 + [-limit] * 2), np.array([np.inf] * 4 + [limit] * 2))
    p = least_squares(miss, first, bounds=bounds, loss="soft_l1", f_scale=0.5 * unit / spectrum.size).x
    y, x = axes_of(spectrum.shape)
    x, y = (x - middle[0]) / unit, (y - middle[1]) / unit
    below = p[4] * x + p[5] * y + 1
    return (p[0] * x + p[1] * y) / below, (p[2] * x + p[3] * y) / below


def _frequencies(spectrum: Spectrum, axis: int) -> Floats:
    """Of each tile with a clear peak: middle x and y, strong lines per pixel along x and y, and its weight."""
    assert spectrum.periods is not None
    size, harmonic = spectrum.size, clear_harmonic(spectrum, axis)
    middle = harmonic * size / spectrum.periods[axis]
    found = []
    for tile, ((cx, cy), power) in enumerate(zip(spectrum.centres, spectrum.powers, strict=True)):
        # All teeth together tell the fourth from the fifth, and a grid from the beats of a heart.
        own = spectrum.combs[axis].local(tile, middle / harmonic)
        if own is None:
            continue
        peak = _peak(_whole(power) if axis == 0 else _whole(power).T, harmonic * own, max(0.05, 1.2 / (harmonic * own)))
        if peak is not None:
            along, across, clear = peak
            fx, fy = (along, across) if axis == 0 else (across, along)
            found.append((cx, cy, fx / size / harmonic, fy / size / harmonic, min(clear, 12.0) / 12))
    if not found:
        f = 1 / spectrum.periods[axis]
        found = [(spectrum.shape[1] / 2, spectrum.shape[0] / 2, *((f, 0.0) if axis == 0 else (0.0, f)), 1.0)]
    return np.array(found)


def _peak(power: Floats, middle: float, freedom: float) -> tuple[float, float, float] | None:
    """Frequency (along, across) of the strongest peak near one, to a fraction of a bin, and how clear it is."""
    n = power.shape[0]
    low, high = max(2, int((1 - freedom) * middle)), min(int(np.ceil((1 + freedom) * middle)), n // 2 - 2)
    if high <= low:
        return None
    most = int(0.27 * middle) + 2
    rows = np.arange(-most, most + 1)
    part = power[rows][:, low : high + 1]
    r, c = np.unravel_index(int(part.argmax()), part.shape)
    clear = float(part[r, c] / (np.median(part) + 1e-12))
    if clear < 12 or r in (0, len(rows) - 1):
        return None
    k, j = low + int(c), int(rows[r])

    def offset(before: float, at: float, after: float) -> float:
        a, b, c = (np.log(v + 1e-12) for v in (before, at, after))
        bend = a - 2 * b + c
        return float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5)) if bend < 0 else 0.0

    return (
        k + offset(power[j, k - 1], power[j, k], power[j, k + 1]),
        j + offset(power[j - 1, k], power[j, k], power[(j + 1) % n, k]),
        min(clear, 2000.0) ** 0.5,
    )


def axes_of(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Places every `STEP` pixels, to the last pixel and one step beyond: rows first."""
    rows, columns = (int(np.ceil((n - 1) / STEP)) + 1 for n in shape[:2])
    y, x = np.mgrid[0:rows, 0:columns] * float(STEP)
    return y, x
