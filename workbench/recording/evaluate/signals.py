"""Real and generated signals side by side: spectra, peaks of rhythms, covariances, bursts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.types import Scores
from workbench.recording.evaluate.bursts import Bursts, BurstSettings, burst_rows, bursts, find_bursts
from workbench.recording.evaluate.covariance import correlation, covariance, lagged_covariance, upper
from workbench.recording.evaluate.spectra import BANDS, Peak, finite, peak, psd

__all__ = ["Comparison", "bursts", "compare", "pooled_peaks", "psd"]

Array = npt.NDArray[np.float64]
LAGS = 21
_BURSTS = {"rate": "burst rate [1/s]", "interval": "burst interval [s]", "lifetime": "burst lifetime [s]",
           "share": "time in bursts [share]"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two signals of the same channels.

    Parameters
    ----------
    channels
        Names, C of them.
    fs
        Sampling rate of both [Hz].
    freqs, psd_real, psd_generated
        (F,) [Hz] and (C, F) in the unit of the signals squared per Hz.
    covariance_real, covariance_generated
        (C, C).
    lagged_real, lagged_generated
        (21, C, C): the different numbers of the time-delay-embedded covariance.
    peaks_real, peaks_generated
        Band -> peak of the geometric mean of all channels' spectra.
    strongest
        Band -> peaks of real and generated in the channel where the real one is highest.
    bursts_real, bursts_generated
        Every state of every channel; states were fitted to the real signals and counted in both. Empty if not asked
        for.
    scores
        Columns measure, real, generated, difference, correlation. Burst measures are means over channels, and their
        correlation is over channels; that of spectra and covariances is over all their values.
    per_channel
        One row per channel: peaks and burst statistics of both.
    notes
        What a reader should know.
    """

    channels: tuple[str, ...]
    fs: float
    freqs: Array
    psd_real: Array
    psd_generated: Array
    covariance_real: Array
    covariance_generated: Array
    lagged_real: Array
    lagged_generated: Array
    peaks_real: dict[str, Peak]
    peaks_generated: dict[str, Peak]
    strongest: dict[str, tuple[Peak, Peak]]
    bursts_real: list[Bursts]
    bursts_generated: list[Bursts]
    scores: Scores
    per_channel: Scores
    notes: tuple[str, ...] = ()

    @property
    def alpha_error(self) -> float:
        """Distance of the alpha peaks in the channel where the real one is highest [Hz]; NaN if either has none."""
        real, generated = self.strongest["alpha"]
        return abs(generated.frequency - real.frequency)


def compare(
    real: npt.ArrayLike,
    generated: npt.ArrayLike,
    fs: float,
    *,
    channels: Sequence[str] | None = None,
    with_bursts: bool = True,
    settings: BurstSettings | None = None,
    step: Callable[[], None] | None = None,
) -> Comparison:
    """Compare generated with real signals.

    Parameters
    ----------
    real, generated
        (C, T) and (C, U), the same channels in the same unit, both at `fs`. Nothing is resampled but for the bursts,
        which are counted at 100 Hz (said in `notes`).
    fs
        Sampling rate [Hz].
    channels
        Names; numbers if None.
    with_bursts
        Also find and count bursts: about a second per channel and minute.
    settings
        How bursts are looked for.
    step
        Called as channels are done; may raise to stop.

    Raises
    ------
    InputError
        Different numbers of channels, values that are not finite, or too short for a spectrum (2 s) or bursts (3 s).
    """
    x, y = finite(real, "real signals"), finite(generated, "generated signals")
    if len(x) != len(y):
        raise InputError(f"{len(x)} real and {len(y)} generated channels cannot be compared; give the same channels")
    names = tuple(channels) if channels is not None else tuple(str(i) for i in range(len(x)))
    freqs, of_x = psd(x, fs)
    _, of_y = psd(y, fs)
    s = settings or BurstSettings()
    counted: tuple[list[Bursts], list[Bursts]] = ([], [])
    notes: list[str] = []
    if with_bursts:
        models = find_bursts(x, fs, s, step)
        counted = bursts(x, fs, models, s, step), bursts(y, fs, models, s, step)
        notes.append(f"bursts: states fitted to the real signals at {s.rate:g} Hz (signals are at {fs:g} Hz)")
    peaks = {b: (_mean_peak(freqs, of_x, r), _mean_peak(freqs, of_y, r)) for b, r in BANDS.items()}
    lagged = lagged_covariance(x, LAGS), lagged_covariance(y, LAGS)
    rows: list[tuple[str, float | None, float | None, float | None, float | None]] = []
    strongest = {b: _strongest(freqs, of_x, of_y, r) for b, r in BANDS.items()}
    for band in BANDS:
        for where, (a, b) in (("", peaks[band]), (", strongest channel", strongest[band])):
            rows.append((f"{band} peak{where} [Hz]", a.frequency, b.frequency, b.frequency - a.frequency, None))
            rows.append((f"{band} height{where} [dB]", a.height, b.height, b.height - a.height, None))
    apart = 10 * np.log10(np.maximum(of_y, 1e-300) / np.maximum(of_x, 1e-300))
    rows.append(("PSD, 1-45 Hz [dB, rms]", None, None, float(np.sqrt((apart**2).mean())), _log_correlation(of_x, of_y)))
    deviation = float(x.std(1).mean()), float(y.std(1).mean())
    rows.append(("standard deviation", *deviation, deviation[1] - deviation[0], None))
    cov_x, cov_y = covariance(x), covariance(y)
    rows.append(("covariance of channels", None, None, None, correlation(upper(cov_x), upper(cov_y))))
    own = [np.einsum("kcc->kc", v) for v in lagged]
    rows.append((f"autocovariance of channels, {LAGS} lags", None, None, None, correlation(*own)))
    rows.append((f"time-delay-embedded covariance, {LAGS} lags", None, None, None, correlation(*lagged)))
    first, second = (burst_rows(c) for c in counted)
    for name, title in _BURSTS.items() if with_bursts else ():
        a_values, b_values = (np.array([getattr(r, name) for r in c], float) for c in (first, second))
        a_mean, b_mean = _mean(a_values), _mean(b_values)
        rows.append((title, a_mean, b_mean, b_mean - a_mean, _over_channels(a_values, b_values)))
    return Comparison(
        names, fs, freqs, of_x, of_y, cov_x, cov_y, *lagged,
        {b: p[0] for b, p in peaks.items()}, {b: p[1] for b, p in peaks.items()}, strongest, *counted,
        Scores(("measure", "real", "generated", "difference", "correlation"), tuple(rows), "comparison"),
        _per_channel(names, freqs, of_x, of_y, first, second), tuple(notes),
    )  # fmt: skip


def pooled_peaks(comparisons: Sequence[Comparison]) -> Scores:
    """Peaks of the spectra of all recordings together, in the channel where the real one is highest.

    A recording has its own alpha frequency, and what a network generates without knowing whose it is has that of nobody
    in particular; short signals scatter besides. Geometric means over recordings can be compared.

    Returns
    -------
    Scores
        Per band: channel, frequency of the real and of the generated peak [Hz], their difference, heights [dB].
    """
    first = comparisons[0]
    real, made = (
        np.exp(np.mean([np.log(np.maximum(getattr(c, name), 1e-300)) for c in comparisons], axis=0))
        for name in ("psd_real", "psd_generated")
    )
    rows = []
    for band, limits in BANDS.items():
        found = [peak(first.freqs, v, limits) for v in real]
        heights = np.nan_to_num(np.array([p.height for p in found]), nan=-1.0)
        best = int(heights.argmax())
        a, b = found[best], peak(first.freqs, made[best], limits)
        rows.append(
            (band, first.channels[best], a.frequency, b.frequency, b.frequency - a.frequency, a.height, b.height)
        )
    columns = ("band", "channel", "real [Hz]", "generated [Hz]", "difference [Hz]", "real [dB]", "generated [dB]")
    return Scores(columns, tuple(rows), "peaks of all recordings")


def _mean_peak(freqs: Array, density: Array, band: tuple[float, float]) -> Peak:
    return peak(freqs, np.exp(np.log(np.maximum(density, 1e-300)).mean(0)), band)


def _strongest(freqs: Array, of_x: Array, of_y: Array, band: tuple[float, float]) -> tuple[Peak, Peak]:
    """Peaks of both in the channel where the real one is highest; a rhythm of few channels drowns in their mean."""
    found = [peak(freqs, v, band) for v in of_x]
    heights = np.array([p.height for p in found])
    best = int(np.nanargmax(heights)) if np.isfinite(heights).any() else 0
    return found[best], peak(freqs, of_y[best], band)


def _log_correlation(a: Array, b: Array) -> float:
    return correlation(np.log(np.maximum(a, 1e-300)), np.log(np.maximum(b, 1e-300)))


def _mean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _over_channels(a: Array, b: Array) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    return correlation(a[both], b[both]) if both.sum() > 2 else float("nan")


def _per_channel(
    names: tuple[str, ...], freqs: Array, of_x: Array, of_y: Array, first: list[Bursts], second: list[Bursts]
) -> Scores:
    columns = ["channel"]
    for band in BANDS:
        columns += [f"{band} real [Hz]", f"{band} generated [Hz]"]
    for title in _BURSTS.values() if first else ():
        columns += [f"{title}, real", f"{title}, generated"]
    rows = []
    for i, name in enumerate(names):
        row: list[str | float] = [name]
        for limits in BANDS.values():
            row += [peak(freqs, of_x[i], limits).frequency, peak(freqs, of_y[i], limits).frequency]
        for key in _BURSTS if first else ():
            row += [getattr(first[i], key), getattr(second[i], key)]
        rows.append(tuple(row))
    return Scores(tuple(columns), tuple(rows), "comparison_channels")
