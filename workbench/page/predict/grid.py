"""The grid of a page: how many pixels a millimetre has, everywhere, and where its lines lie.

A printed grid is a carrier in two directions. Its lines are not looked for one by one: the picture is demodulated at
the frequency of the grid (as fringes are, Takeda et al. 1982, doi:10.1364/JOSA.72.000156), and the phase, unwrapped,
counts lines with a fraction at every place of the page. What bends, tilts or stretches the paper is in that phase;
traces, words and shadows average out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.errors import NotAPage

Floats = npt.NDArray[np.floating[Any]]
Plane = npt.NDArray[np.float32]

STEP = 8
"""Pixels, of the picture that is looked at, between the places where the phase is kept."""
_TILE = 256
_LONG_SIDE = 1600
"""Larger pictures are looked at in half, a third...: a grid is seen as well, and sooner."""
_SHORTEST, _LONGEST = 7.0, 260.0
"""Of 5 mm [pixels]: less than 1.4 pixels a millimetre shows no signal, more than 52 is no picture of a page."""
_WIDTHS, _HEIGHTS = (45.0, 460.0), (20.0, 460.0)
"""What a picture of a page may show [mm]."""
_LEAST_SCORE = 2.4
_MOST_UNEQUAL = 1.22
"""Ratio of the two directions that a photo may have before it is rectified."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the grid lies.

    Parameters
    ----------
    paper
        ``(2, rows, columns)``: x and y on paper [mm] of the pixels ``first + step * (column, row)``; whole numbers are
        lines, multiples of 5 strong ones where `has_strong` says that they were seen.
    step, first
        Pixels between those places, and the place of the first along x and y.
    quality
        ``(rows, columns)``, 0 to 1: how much of a grid is seen there.
    scores
        How clearly lines repeat along x and y; below `LEAST_SCORE` there is no grid.
    has_strong
        Whether every fifth line was told from the others.
    shape
        Height and width of the picture [pixels].
    notes
        What a person should know.
    """

    paper: Floats
    step: float
    first: float
    quality: Floats
    scores: tuple[float, float]
    has_strong: bool
    shape: tuple[int, int]
    notes: tuple[str, ...] = ()
    _cache: dict[str, Any] = field(default_factory=dict)

    @property
    def pixels_per_mm(self) -> tuple[float, float]:
        """Along x and y, where the grid is seen best (median)."""
        good = self.quality > 0.5 * float(self.quality.max())
        out = []
        for axis in (0, 1):
            steps = np.hypot(*np.gradient(self.paper[axis], self.step))
            out.append(float(1 / np.median(steps[good])))
        return out[0], out[1]

    def to_paper(self, places: Floats) -> Floats:
        """Millimetres of paper, ``(n, 2)``, of pixels (x, y) counted from the centre of the first."""
        from scipy import ndimage

        at = (np.asarray(places, float)[:, ::-1].T - self.first) / self.step
        return np.column_stack([_extended(self.paper[k], at, ndimage) for k in (0, 1)])

    def to_pixels(self, places: Floats) -> Floats:
        """Pixels (x, y), ``(n, 2)``, of millimetres of paper; Newton's method from the best plane."""
        mm = np.asarray(places, float)
        plane = self._plane()
        inverse = np.linalg.inv(plane[:, :2])
        found = (mm - plane[:, 2]) @ inverse.T
        for _ in range(12):
            miss = mm - self.to_paper(found)
            found = found + miss @ inverse.T
            if np.abs(miss).max(initial=0) < 1e-4:
                break
        return found

    def _plane(self) -> Floats:
        """The affine map from pixels to paper that fits best, ``(2, 3)``."""
        if "plane" not in self._cache:
            rows, columns = self.paper.shape[1:]
            y, x = np.mgrid[0:rows, 0:columns] * self.step + self.first
            weight = (self.quality + 1e-3).ravel()
            system = np.column_stack([x.ravel(), y.ravel(), np.ones(x.size)])
            solved = [
                np.linalg.lstsq(system * weight[:, None], self.paper[k].ravel() * weight, rcond=None)[0] for k in (0, 1)
            ]
            self._cache["plane"] = np.array(solved)
        plane: Floats = self._cache["plane"]
        return plane


def find_grid(pixels: npt.NDArray[np.uint8], name: str = "page") -> Grid:
    """Find the grid of a page that lies within about 15 degrees of upright (or of any quarter turn).

    Parameters
    ----------
    pixels
        ``(height, width, 3)`` uint8.
    name
        For messages.

    Raises
    ------
    NotAPage
        Nothing repeats as the lines of graph paper do, or not equally in both directions.
    """
    height, width = pixels.shape[:2]
    by = max(1, int(np.ceil(max(height, width) / _LONG_SIDE)))
    flat, spectrum = _clearest(_smaller(pixels, by))
    if spectrum.periods is None or min(spectrum.scores) < _LEAST_SCORE:
        raise NotAPage(
            f"{name}: no grid of graph paper is seen (lines along x and y score {spectrum.scores[0]:.1f} and "
            f"{spectrum.scores[1]:.1f}, {_LEAST_SCORE} are needed), so nothing says how many pixels a second and a "
            "millivolt have. Give a sharper picture, or set the scale by hand."
        )
    if by > 1 and min(spectrum.periods) / 5 < 2.6:
        by = max(1, by // 2)
        flat, spectrum = _clearest(_smaller(pixels, by))
    papers, qualities, strong = [], [], []
    for axis, start in enumerate(_in_perspective(spectrum)):
        paper, quality, has_strong = _phase(flat, spectrum, axis, start)
        papers.append(paper)
        qualities.append(quality)
        strong.append(has_strong)
    quality = np.sqrt(qualities[0] * qualities[1])
    return Grid(
        np.array(papers), float(STEP * by), (by - 1) / 2, quality, spectrum.scores, all(strong), (height, width)
    )


def _clearest(pixels: npt.NDArray[np.uint8]) -> tuple[Plane, _Spectrum]:
    """The plane of colour in which a grid is seen best, with its spectrum."""
    found = [(flat, _Spectrum(flat)) for flat in map(_flattened, _planes(pixels))]
    return max(found, key=lambda one: one[1].score)


def _smaller(pixels: npt.NDArray[np.uint8], by: int) -> npt.NDArray[np.uint8]:
    """Means of blocks of `by` pixels."""
    if by == 1:
        return pixels
    rows, columns = (n // by for n in pixels.shape[:2])
    blocks = pixels[: rows * by, : columns * by].reshape(rows, by, columns, by, 3)
    total = np.zeros((rows, columns, 3), np.uint32)
    for i in range(by):
        for j in range(by):
            total += blocks[:, i, :, j]
    return ((total + by * by // 2) // (by * by)).astype(np.uint8)


def _planes(pixels: npt.NDArray[np.uint8]) -> list[Plane]:
    """Brightness and single colours: grids of one ink may be seen in one of them only."""
    light = pixels.astype(np.float32)
    red, green, blue = (light[..., k] for k in range(3))
    planes = [0.3 * red + 0.59 * green + 0.11 * blue]
    colourful = np.abs(red - blue).mean() + np.abs(red - green).mean()
    return planes + ([green, blue, red] if colourful > 4 else [])


def _flattened(plane: Plane) -> Plane:
    """Light and contrast made even, and ink cut off, so that fine lines count as much as traces."""
    from scipy import ndimage

    size = 31
    centred = plane - ndimage.uniform_filter(plane, size)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(centred * centred, size), 0)) + 1.5
    out: Plane = np.clip(centred / spread, -1.5, 1.5)
    return out


class _Spectrum:
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
        self._combs = [_Combs([_profile(w) for w in wholes], size), _Combs([_profile(w.T) for w in wholes], size)]
        self.scores: tuple[float, float] = (0.0, 0.0)
        self.periods: tuple[float, float] | None = None
        self._choose()

    @property
    def score(self) -> float:
        return min(self.scores) if self.periods is not None else 0.0

    def _choose(self) -> None:
        """The pair of periods of 5 mm that explains both directions and makes a page of a size that there is."""
        height, width = self.shape
        best = None
        for px, sx in self._combs[0].candidates():
            if not _WIDTHS[0] <= 5 * width / px <= _WIDTHS[1]:
                continue
            for py, sy in self._combs[1].candidates():
                unequal = max(px / py, py / px)
                if unequal > _MOST_UNEQUAL or not _HEIGHTS[0] <= 5 * height / py <= _HEIGHTS[1]:
                    continue
                usual = 170 < 5 * width / px < 340
                total = sx + sy - 6 * max(unequal - 1.04, 0) + 0.8 * usual
                if best is None or total > best[0]:
                    best = (total, px, py, sx, sy)
        if best is not None:
            self.periods, self.scores = (best[1], best[2]), (best[3], best[4])

    def strength(self, axis: int, harmonic: int) -> float:
        """How clear the lines of 5 mm (1) or 1 mm (5) are along an axis."""
        assert self.periods is not None
        return self._combs[axis].at(harmonic * self.size / self.periods[axis])


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
        by_tile = np.array([_scores(self.frequencies, h) for h in self.height])
        near = ndimage.maximum_filter1d(by_tile, 19, axis=1)  # a tenth higher or lower: perspective
        best = np.sort(near, axis=0)[len(near) * 2 // 5 :]
        smeared = ndimage.gaussian_filter1d(by_tile.mean(axis=0), 2)
        self.scores = best.mean(axis=0) + 1e-3 * smeared

    def at(self, frequency: float) -> float:
        """Height of the teeth at a frequency [cycles per tile], in the mean."""
        k = int(np.clip(round(frequency), 0, self.height.shape[1] - 1))
        low, high = max(int(0.93 * k), 0), int(np.ceil(1.07 * k)) + 1
        return float(self.height[:, low:high].max(axis=1).mean())

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


def _phase(flat: Plane, spectrum: _Spectrum, axis: int, start: Floats) -> tuple[Floats, Floats, bool]:
    """Millimetres along an axis at every `STEP` pixels, how well they are known, and whether strong lines are seen."""
    assert spectrum.periods is not None
    one = spectrum.strength(axis, 1)
    period = spectrum.periods[axis]
    harmonic = _clear_harmonic(spectrum, axis)
    potential = _Potential(start * harmonic)
    for n in range(3):
        residual, quality = _residual(flat, potential, 0.9 * period)
        potential = potential.with_field(residual, quality, harmonic)
        if n == 1 and harmonic == 5 and one > 0.8:
            potential = _without_slips(flat, potential, quality, period)
    counts = potential.lines * (5.0 / harmonic)  # mm
    strong = harmonic == 1
    if not strong:
        tuned = potential.divided(harmonic)
        amplitude, angle = _global(flat, tuned, quality)
        others = [_global(flat, tuned.scaled(h), quality)[0] for h in (1.31, 0.77)]
        strong = amplitude > 2.5 * max(*others, 1e-6)
        if strong:
            counts = counts + 5.0 * np.round(angle / (2 * np.pi) * harmonic) / harmonic
    return counts, quality, strong


def _without_slips(flat: Plane, potential: _Potential, seen: Floats, period: float) -> _Potential:
    """Parts of the page that hang together by no fine lines are counted as the strong lines say."""
    from scipy import ndimage

    parts, count = ndimage.label(seen > 0.25)
    if count < 2:
        return potential
    coarse, quality = _residual(flat, potential.divided(5), 1.3 * period)
    weight = np.where(quality > 0.4, quality**2, 0.0)
    sizes = np.bincount(parts.ravel(), weights=weight.ravel(), minlength=count + 1)[1:]
    largest = int(sizes.argmax()) + 1
    turn = np.angle(_weighted_mean(np.exp(2j * np.pi * coarse), weight * (parts == largest))) / (2 * np.pi)
    slips = np.zeros_like(coarse)
    for n in range(1, count + 1):
        own = parts == n
        if n != largest and sizes[n - 1] > 20:
            away = np.angle(_weighted_mean(np.exp(2j * np.pi * (coarse - turn)), weight * own)) / (2 * np.pi)
            slips[own] = np.round(5 * away)
    if not slips.any():
        return potential
    return _Potential(potential.lines + slips)


def _axes(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Places every `STEP` pixels, to the last pixel and one step beyond: rows first."""
    rows, columns = (int(np.ceil((n - 1) / STEP)) + 1 for n in shape[:2])
    y, x = np.mgrid[0:rows, 0:columns] * float(STEP)
    return y, x


@dataclass(frozen=True, eq=False)
class _Potential:
    """How many lines were passed, with fractions, at every `STEP` pixels."""

    lines: Floats

    def with_field(self, residual: Floats, quality: Floats, harmonic: int) -> _Potential:
        """What was measured is added: a smooth polynomial, and what that leaves where it is more than noise."""
        rows, columns = residual.shape
        y, x = np.mgrid[0:rows, 0:columns] * 2.0
        terms = _terms(x / (columns - 1) - 1, y / (rows - 1) - 1)
        flat_terms = terms.reshape(len(terms), -1)
        weight = quality.ravel() ** 2
        good = weight > 0.02
        if good.sum() < 4 * len(terms):
            return self
        system = (flat_terms[:, good] * np.sqrt(weight[good])).T
        solved = np.linalg.lstsq(system, residual.ravel()[good] * np.sqrt(weight[good]), rcond=None)[0]
        polynomial = np.tensordot(solved, terms, 1)
        rest = residual - polynomial
        spread = np.sqrt(np.average(rest.ravel()[good] ** 2, weights=weight[good]))
        if spread * 5.0 / harmonic > 0.02:  # mm: less is noise, and a stiff map is the better one
            polynomial = polynomial + _smooth(rest, quality**2)
        return _Potential(self.lines + polynomial)

    def divided(self, by: float) -> _Potential:
        return _Potential(self.lines / by)

    def scaled(self, by: float) -> _Potential:
        return _Potential(self.lines * by)


def _terms(a: Floats, b: Floats) -> Floats:
    """Monomials to the third degree of places between -1 and 1."""
    return np.array([a**i * b ** (n - i) for n in range(4) for i in range(n, -1, -1)])


def _clear_harmonic(spectrum: _Spectrum, axis: int) -> int:
    """Which lines are counted: strong ones (1), fine ones (5), or what there is."""
    assert spectrum.periods is not None
    one, five = spectrum.strength(axis, 1), spectrum.strength(axis, 5)
    if five < 0.4 and one < 0.8:
        return int(np.argmax([spectrum.strength(axis, h) for h in range(1, 6)])) + 1
    return 5 if (five > 0.8 * one and spectrum.periods[axis] / 5 > 2.2) else 1


def _in_perspective(spectrum: _Spectrum) -> tuple[Floats, Floats]:
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
    y, x = _axes(spectrum.shape)
    x, y = (x - middle[0]) / unit, (y - middle[1]) / unit
    below = p[4] * x + p[5] * y + 1
    return (p[0] * x + p[1] * y) / below, (p[2] * x + p[3] * y) / below


def _frequencies(spectrum: _Spectrum, axis: int) -> Floats:
    """Of each tile with a clear peak: middle x and y, strong lines per pixel along x and y, and its weight."""
    assert spectrum.periods is not None
    size, harmonic = spectrum.size, _clear_harmonic(spectrum, axis)
    middle = harmonic * size / spectrum.periods[axis]
    found = []
    for (cx, cy), power in zip(spectrum.centres, spectrum.powers, strict=True):
        whole = _whole(power) if axis == 0 else _whole(power).T
        near, freedom = middle, 0.21 if harmonic == 1 else 0.45 / harmonic
        if harmonic > 1 and (coarse := _peak(whole, middle / harmonic, 0.21)) is not None:
            near, freedom = harmonic * coarse[0], 0.08  # the strong lines tell the fourth tooth from the fifth
        peak = _peak(whole, near, freedom)
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


def _demodulated(flat: Plane, potential: _Potential) -> npt.NDArray[np.complex64]:
    """The picture without its carrier, averaged over blocks of `STEP` pixels around the places of the lattice."""
    height, width = flat.shape
    lines = potential.lines
    rows, columns = lines.shape
    half = STEP // 2
    # Between places 8 pixels apart the phase is straight to a thousandth of a line.
    k = np.minimum(np.arange(width) // STEP, columns - 2)
    part = (np.arange(width) - k * STEP) / STEP
    across = lines[:, k] * (1 - part) + lines[:, k + 1] * part
    out = np.zeros((rows, columns), np.complex64)
    block = (np.arange(width) + half) // STEP
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    for row in range(rows):
        top, bottom = max(row * STEP - half, 0), min(row * STEP + half, height)
        if bottom <= top:
            continue
        at = np.arange(top, bottom)
        r = np.minimum(at // STEP, rows - 2)
        share = ((at - r * STEP) / STEP)[:, None]
        phase = across[r] * (1 - share) + across[r + 1] * share
        angle = (-2 * np.pi * (phase - np.floor(phase))).astype(np.float32)
        values = flat[top:bottom]
        product = (values * np.cos(angle)).sum(axis=0) + 1j * (values * np.sin(angle)).sum(axis=0)
        out[row, : block[-1] + 1] = np.add.reduceat(product, starts)
    return out


def _residual(flat: Plane, potential: _Potential, period: float) -> tuple[Floats, Floats]:
    """What the potential misses (lines), unwrapped, and how clearly (0 to 1) it is seen."""
    from scipy import ndimage
    from skimage.restoration import unwrap_phase

    raw = _demodulated(flat, potential)
    sigma = max(period / STEP, 2.0)
    smooth = ndimage.gaussian_filter(raw.real, sigma, mode="constant") + 1j * ndimage.gaussian_filter(
        raw.imag, sigma, mode="constant"
    )
    inside = ndimage.gaussian_filter(np.ones(raw.shape), sigma, mode="constant")
    amplitude = np.abs(smooth) / inside
    quality = np.clip(amplitude / max(float(np.percentile(amplitude, 90)), 1e-9), 0, 1)
    masked = np.ma.array(np.angle(smooth), mask=quality < 0.12)
    found = unwrap_phase(masked, rng=0) if not masked.mask.all() else masked
    phase = np.where(np.ma.getmaskarray(found), 0.0, np.ma.getdata(found)) / (2 * np.pi)
    quality = np.where(np.ma.getmaskarray(found), 0.0, quality)
    weight = quality**2
    if weight.sum() > 0:
        phase = phase - np.round(np.average(phase, weights=weight))
    return phase, quality


def _weighted_mean(values: Any, weight: Floats) -> Any:
    return (values * weight).sum() / (weight.sum() + 1e-12)


def _smooth(values: Floats, weight: Floats) -> Floats:
    """The values where they are known, and what is around them where they are not."""
    from scipy import ndimage

    out = np.zeros_like(values)
    left = np.ones_like(values)
    for sigma in (3.0, 8.0, 24.0):
        total = ndimage.gaussian_filter(weight, sigma, mode="nearest")
        mean = ndimage.gaussian_filter(values * weight, sigma, mode="nearest") / (total + 1e-9)
        share = total / (total + 0.02)
        out += left * share * mean
        left *= 1 - share
    return out


def _global(flat: Plane, potential: _Potential, quality: Floats) -> tuple[float, float]:
    """Strength and phase of a carrier over the whole page."""
    mean = (_demodulated(flat, potential) * quality**2).sum() / ((quality**2).sum() + 1e-9)
    return float(abs(mean)), float(np.angle(mean))


def _extended(values: Floats, at: Floats, ndimage: Any) -> Floats:
    """Cubic between the places of the lattice, straight on beyond its edges."""
    limits = np.array(values.shape)[:, None] - 1.0
    inside = np.clip(at, 0, limits)
    out: Floats = ndimage.map_coordinates(values, inside, order=3, mode="nearest")
    beyond = at - inside
    for axis in (0, 1):
        far = beyond[axis] != 0
        if far.any():
            back = inside[:, far].copy()
            step = np.sign(beyond[axis][far])
            back[axis] = np.clip(back[axis] - step * 4, 0, limits[axis])
            reached = np.maximum(np.abs(inside[axis][far] - back[axis]), 1e-9)
            before = ndimage.map_coordinates(values, back, order=1, mode="nearest")
            slope = (ndimage.map_coordinates(values, inside[:, far], order=1, mode="nearest") - before) / reached
            out[far] += np.abs(beyond[axis][far]) * slope
    return out
