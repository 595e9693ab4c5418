"""Spectra of signals: Welch's density, its 1/f background, and the peaks of rhythms above it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

Array = npt.NDArray[np.float64]
BANDS = {"alpha": (7.0, 13.0), "beta": (14.0, 30.0)}
"""Where peaks of spectra are looked for [Hz]."""


def finite(x: npt.ArrayLike, what: str) -> Array:
    """`x` as (C, T) float64.

    Raises
    ------
    InputError
        Not two-dimensional, empty, or with values that are not finite.
    """
    values = np.asarray(x, np.float64)
    if values.ndim != 2 or not values.size:
        raise InputError(f"{what}: shape {values.shape}, expected (channels, samples)")
    bad = ~np.isfinite(values).all(1)
    if bad.any():
        raise InputError(
            f"{what}: {int(bad.sum())} of {len(values)} channels hold NaN or infinity, first channel "
            f"{int(bad.argmax())}; leave out those segments"
        )
    return values


def psd(
    x: npt.ArrayLike, fs: float, *, low: float = 1.0, high: float = 45.0, seconds: float = 2.0
) -> tuple[Array, Array]:
    """Power spectral density by Welch's method (Hann windows, half overlapping, mean removed from each).

    Parameters
    ----------
    x
        (C, T) signals; the spectrum is in their unit squared per Hz.
    fs
        Sampling rate [Hz].
    low, high
        Range returned [Hz]; `high` is lowered to half the sampling rate.
    seconds
        Window length; the spectrum has a line every ``1 / seconds`` Hz.

    Returns
    -------
    (F,) frequencies [Hz] and (C, F) densities.

    Raises
    ------
    InputError
        Fewer samples than one window, or values that are not finite.
    """
    from scipy.signal import welch

    values = finite(x, "signals")
    window = round(seconds * fs)
    if values.shape[1] < window:
        raise InputError(
            f"{values.shape[1] / fs:.2f} s of signal are too short for a spectrum of {1 / seconds:g} Hz resolution; "
            f"at least {seconds:g} s needed"
        )
    freqs, density = welch(values, fs, nperseg=window, axis=1)
    keep = (freqs >= low) & (freqs <= min(high, fs / 2))
    return freqs[keep], density[:, keep]


@dataclass(frozen=True)
class Peak:
    """A bump of a spectrum above its 1/f background: frequency [Hz] and height [dB]; NaN where there is none."""

    frequency: float
    height: float


def background(freqs: npt.ArrayLike, density: npt.ArrayLike, *, low: float = 2.0, high: float = 40.0) -> Array:
    """The 1/f part of a spectrum: a straight line in log-log coordinates, fitted below the bumps.

    A first fit through 2 to 40 Hz lies too high because of the bumps. The half of the spectrum that lies lowest
    relative to it gives the second, whose scatter below tells what is noise; the third uses all that is not further
    above than twice that. Simpler than specparam (Donoghue et al., Nat. Neurosci. 23, 1655 (2020)): no knee, and bumps
    are left out instead of fitted.

    Returns
    -------
    (F,) log10 of the background at all of `freqs`; 0 Hz is given the value of the lowest line above.
    """
    f = np.asarray(freqs, np.float64)
    values = np.log10(np.maximum(np.asarray(density, np.float64), 1e-300))
    x = np.log10(np.maximum(f, f[f > 0].min()))
    used = np.flatnonzero((f >= low) & (f <= high))
    if len(used) < 8:
        raise InputError(f"a background needs at least 8 lines of a spectrum between {low:g} and {high:g} Hz")
    line = np.polyfit(x[used], values[used], 1)
    rest = values[used] - np.polyval(line, x[used])
    low_half = used[rest <= np.median(rest)]
    line = np.polyfit(x[low_half], values[low_half], 1)
    rest = values[used] - np.polyval(line, x[used])
    noise = np.sqrt((rest[rest <= 0] ** 2).mean()) if (rest <= 0).any() else 0.0
    flat = used[rest <= 2 * noise]
    if len(flat) >= 8:
        line = np.polyfit(x[flat], values[flat], 1)
    return np.asarray(np.polyval(line, x))


def peak(freqs: npt.ArrayLike, density: npt.ArrayLike, band: tuple[float, float], *, least: float = 2.0) -> Peak:
    """The highest bump of one spectrum within a band, above the 1/f background.

    Parameters
    ----------
    freqs, density
        (F,) each, as from `psd`.
    band
        Range [Hz]; a maximum at its edge is a slope, not a bump.
    least
        Height above the background from which a bump counts [dB]; a spectrum of a minute of noise reaches 1.5.

    Returns
    -------
    Peak
        Frequency between the lines of the spectrum (parabola through the highest and its neighbours) and height.
    """
    f = np.asarray(freqs, np.float64)
    above = 10 * (np.log10(np.maximum(np.asarray(density, np.float64), 1e-300)) - background(f, density))
    inside = np.flatnonzero((f >= band[0]) & (f <= band[1]))
    inside = inside[(inside > 0) & (inside < len(f) - 1)]
    tops = inside[(above[inside] >= above[inside - 1]) & (above[inside] >= above[inside + 1])]
    if not len(tops) or above[tops].max() < least:
        return Peak(float("nan"), float("nan"))
    i = int(tops[above[tops].argmax()])
    left, middle, right = above[i - 1 : i + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return Peak(float(f[i] + shift * (f[1] - f[0])), float(middle - 0.25 * (left - right) * shift))
