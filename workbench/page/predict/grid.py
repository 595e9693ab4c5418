"""The grid of a page: how many pixels a millimetre has, everywhere, and where its lines lie.

A printed grid is a carrier in two directions. Its lines are not looked for one by one: the picture is demodulated at
the frequency of the grid (as fringes are, Takeda et al. 1982, doi:10.1364/JOSA.72.000156), and the phase, unwrapped,
counts lines with a fraction at every place of the page. What bends, tilts or stretches the paper is in that phase;
traces, words and shadows average out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.errors import NoGrid
from workbench.page.paper_map import PaperMap
from workbench.page.predict.repeats import STEP, Spectrum, clear_harmonic, clearest, in_perspective

Floats = npt.NDArray[np.floating[Any]]
Plane = npt.NDArray[np.float32]

_LONG_SIDE = 1600
"""Larger pictures are looked at in half, a third...: a grid is seen as well, and sooner."""
_SMALLEST = 64
_LEAST_SCORE = 2.4


@dataclass(frozen=True, eq=False)
class Grid(PaperMap):
    """Where the grid lies: whole millimetres are lines, multiples of 5 strong ones where `has_strong` says so.

    Parameters
    ----------
    scores
        How clearly lines repeat along x and y; below `LEAST_SCORE` there is no grid.
    has_strong
        Whether every fifth line was told from the others.
    shape
        Height and width of the picture [pixels].
    """

    scores: tuple[float, float]
    has_strong: bool
    shape: tuple[int, int]


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
    NoGrid
        Nothing repeats as the lines of graph paper do, or not equally in both directions.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < _SMALLEST:
        raise NoGrid(
            f"{name}: no grid of graph paper is seen in {width} x {height} pixels, which is too small for one."
        )
    by = max(1, int(np.ceil(max(height, width) / _LONG_SIDE)))
    flat, spectrum = clearest(_smaller(pixels, by))
    if spectrum.periods is None or min(spectrum.scores) < _LEAST_SCORE:
        raise NoGrid(
            f"{name}: no grid of graph paper is seen (lines along x and y score {spectrum.scores[0]:.1f} and "
            f"{spectrum.scores[1]:.1f}, {_LEAST_SCORE} are needed), so nothing says how many pixels a second and a "
            "millivolt have. Give a sharper picture, or the scale of an electrocardiogram (--pixels-per-mm; in napari "
            "by two clicks)."
        )
    unequal = max(spectrum.periods) / min(spectrum.periods)
    if abs(unequal - 2) < 0.16:
        raise NoGrid(
            f"{name}: lines of the grid are twice as far apart along one side as along the other: the picture was "
            "stretched, or every second line is not seen. Give the picture as it was taken, with square squares."
        )
    if by > 1 and min(spectrum.periods) / 5 < 2.6:
        by = max(1, by // 2)
        flat, spectrum = clearest(_smaller(pixels, by))
    papers, qualities, strong = [], [], []
    for axis, start in enumerate(in_perspective(spectrum)):
        paper, quality, has_strong = _phase(flat, spectrum, axis, start)
        papers.append(paper)
        qualities.append(quality)
        strong.append(has_strong)
    quality = np.sqrt(qualities[0] * qualities[1])
    return Grid(
        np.array(papers), float(STEP * by), (by - 1) / 2, quality, spectrum.scores, all(strong), (height, width)
    )


def given_grid(shape: tuple[int, int], pixels_per_mm: float) -> Grid:
    """The grid of a flat picture whose scale a person knows, in a picture of this height and width."""
    down, across = (int(np.ceil(n / STEP)) + 1 for n in shape)
    y, x = np.mgrid[0:down, 0:across] * float(STEP)
    ones = np.ones((down, across))
    return Grid(np.array([x, y]) / pixels_per_mm, float(STEP), 0.0, ones, (0.0, 0.0), False, shape)


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


def _phase(flat: Plane, spectrum: Spectrum, axis: int, start: Floats) -> tuple[Floats, Floats, bool]:
    """Millimetres along an axis at every `STEP` pixels, how well they are known, and whether strong lines are seen."""
    assert spectrum.periods is not None
    one = spectrum.strength(axis, 1)
    period = spectrum.periods[axis]
    harmonic = clear_harmonic(spectrum, axis)
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
