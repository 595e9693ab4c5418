"""How near digitised leads come to the truth, by both public definitions, and by what users would look at.

- PhysioNet 2024 (Reyna et al., https://moody-challenge.physionet.org/2024): decibels per lead of signal against error,
  after the shift in time (up to 0.5 s) and in voltage (up to 1 mV) that fits best; multiplied by the share of samples
  that were found; the mean over leads. The reference is not centred.
- Kaggle 2025/26 (PhysioNet - Digitization of ECG Images): each lead is shifted by up to 0.2 s to the greatest
  correlation of the centred signals and by the best constant; what is missing counts as 0 mV; signal and error are
  summed over all leads of a record, and the ratio is at most 384 (25.84 dB). Over records the ratio is averaged,
  not the decibels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
KAGGLE_CAP = 384.0


@dataclass(frozen=True)
class LeadScore:
    """Of one lead.

    Parameters
    ----------
    physionet
        Decibels; NaN for a perfect or an empty lead, as the definition has it.
    lag
        Seconds by which it comes late.
    gain
        Slope of the digitised values against the true ones, 1 if right.
    stretch
        Per cent by which its time is too long.
    coverage
        Share of the true samples that were found.
    kaggle
        Decibels of this lead alone by Kaggle's definition; NaN of a flat one, and where `score` did not ask for it.
    """

    physionet: float
    lag: float
    gain: float
    stretch: float
    coverage: float
    correlation: float
    kaggle: float = float("nan")


@dataclass(frozen=True)
class PageScore:
    """Of one page; `kaggle_ratio` is what is averaged over pages, `kaggle` its decibels."""

    leads: Mapping[str, LeadScore]
    physionet: float
    kaggle_ratio: float

    @property
    def kaggle(self) -> float:
        return _decibels(self.kaggle_ratio)

    @property
    def worst(self) -> tuple[str, float]:
        """The lead with the least decibels (PhysioNet's)."""
        known = {name: s.physionet for name, s in self.leads.items() if np.isfinite(s.physionet)}
        if not known:
            return "", float("nan")
        name = min(known, key=lambda n: known[n])
        return name, known[name]


def score(reference: Mapping[str, Floats], found: Mapping[str, Floats], rate: float) -> PageScore:
    """Compare the leads of a page.

    Parameters
    ----------
    reference, found
        Lead -> mV at `rate` Hz on the same time base, NaN where it is not on the page. Leads that were not found at all
        count as missing.
    """
    leads, above, below, decibels = {}, 0.0, 0.0, []
    for name, true in reference.items():
        there = np.flatnonzero(np.isfinite(true))
        if not there.size:
            continue
        part = slice(there[0], there[-1] + 1)
        whole = np.full(len(true), np.nan)
        other = found.get(name)
        if other is not None:
            n = min(len(other), len(true))
            whole[:n] = other[:n]
        one = lead_score(true[part], whole[part], rate)
        decibels.append(one.physionet)
        signal, error = kaggle_power(true[part], whole[part], rate)
        own = _decibels(min(signal / error, KAGGLE_CAP) if error > 0 else KAGGLE_CAP)
        leads[name] = replace(one, kaggle=own if signal > 0 else float("nan"))
        above += signal
        below += error
    ratio = min(above / below, KAGGLE_CAP) if below > 0 else KAGGLE_CAP
    known = [d for d in decibels if np.isfinite(d)]
    return PageScore(leads, float(np.mean(known)) if known else float("nan"), float(ratio))


def _decibels(ratio: float) -> float:
    return float(10 * np.log10(ratio)) if ratio > 0 else float("-inf")


def likest(reference: Mapping[str, Floats], found: Floats, rate: float) -> dict[str, float]:
    """Decibels of every lead of a reference against its difference to one digitised lead, shifted and scaled to fit.

    By up to 0.2 s and any gain above 0: a wrong gain makes no lead another one.
    Leads that share less than half of its samples, or a second, are left out: nothing is known of them.
    """
    there = np.isfinite(found)
    out: dict[str, float] = {}
    for name, true in reference.items():
        n = min(len(true), len(found))
        both = there[:n] & np.isfinite(true[:n])
        if both.sum() < max(0.5 * there.sum(), rate):
            continue
        part = slice(int(np.argmax(both)), n - int(np.argmax(both[::-1])))
        moved = _moved(found[part], -_lag(true[part], found[part], round(0.2 * rate)))
        good = np.isfinite(moved) & np.isfinite(true[part])
        centred, own = (v[good] - v[good].mean() for v in (true[part], moved))
        power, product = float((centred**2).sum()), max(float((centred * own).sum()), 0.0)
        error = power - product**2 / max(float((own**2).sum()), 1e-12)
        out[name] = _decibels(power / max(error, 1e-6 * power, 1e-12))
    return out


def mean_kaggle(scores: list[PageScore]) -> float:
    """Decibels of the mean ratio over pages."""
    return float(10 * np.log10(np.mean([s.kaggle_ratio for s in scores])))


def lead_score(true: Floats, found: Floats, rate: float) -> LeadScore:
    """PhysioNet's decibels of one lead, and what explains them."""
    both = np.isfinite(true) & np.isfinite(found)
    coverage = float(both.sum() / max(np.isfinite(true).sum(), 1))
    if both.sum() < 8:
        return LeadScore(
            0.0 if coverage == 0 else float("nan"), float("nan"), float("nan"), float("nan"), coverage, float("nan")
        )
    lag = _lag(true, found, round(0.5 * rate))
    moved = _moved(found, -lag)
    good = np.isfinite(true) & np.isfinite(moved)
    offset = float(np.clip(np.mean(moved[good] - true[good]), -1.0, 1.0))
    error = float(np.mean((moved[good] - offset - true[good]) ** 2))
    power = float(np.mean(true[good] ** 2))
    share = float(good.sum() / max(np.isfinite(true).sum(), 1))
    decibels = 10 * np.log10(power / error) * min(share, 1.0) if error > 0 and power > 0 else float("nan")
    centred = true[good] - true[good].mean()
    gain = float((centred * (moved[good] - moved[good].mean())).sum() / max((centred**2).sum(), 1e-12))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(true[good], moved[good])[0, 1])
    return LeadScore(decibels, lag / rate, gain, _stretch(true, moved, rate), coverage, correlation)


def kaggle_power(true: Floats, found: Floats, rate: float) -> tuple[float, float]:
    """Sums of squares of the signal and of the error of one lead by Kaggle's definition."""
    if not np.isfinite(found).any():  # moved to the mean of the truth, nothing would count as something
        power = float(np.nansum(true**2))
        return power, power
    given = np.where(np.isfinite(found), found, 0.0)
    real = np.where(np.isfinite(true), true, 0.0)
    lag = _lag(real, given, round(0.2 * rate))
    moved = _moved(given, -lag)
    inside = np.isfinite(moved)
    aligned = np.where(inside, moved, 0.0)
    aligned = aligned - np.mean(aligned[inside] - real[inside])
    return float((real**2).sum()), float(((aligned - real) ** 2).sum())


def _lag(true: Floats, found: Floats, most: int) -> int:
    """Samples by which `found` comes late: where the centred signals correlate best."""
    from scipy.signal import correlate

    a = np.where(np.isfinite(true), true - np.nanmean(true), 0.0)
    b = np.where(np.isfinite(found), found - np.nanmean(found), 0.0)
    full = correlate(b, a, "full", method="fft")
    middle = len(a) - 1
    low, high = max(middle - most, 0), min(middle + most + 1, len(full))
    return int(np.argmax(full[low:high])) + low - middle


def _moved(values: Floats, by: int) -> Floats:
    out = np.full(len(values), np.nan)
    if by >= 0:
        out[by:] = values[: len(values) - by]
    else:
        out[:by] = values[-by:]
    return out


def _stretch(true: Floats, found: Floats, rate: float) -> float:
    """Per cent by which time runs too long: how the lag grows from the first to the last third."""
    n = len(true)
    third = n // 3
    if third < 0.5 * rate:
        return float("nan")
    a = _fine_lag(true[:third], found[:third])
    b = _fine_lag(true[-third:], found[-third:])
    return 100.0 * (b - a) / (n - third)


def _fine_lag(true: Floats, found: Floats) -> float:
    """Lag to a fraction of a sample: one Gauss-Newton step from the best whole sample."""
    good = np.isfinite(true) & np.isfinite(found)
    if good.sum() < 16:
        return float("nan")
    a = np.where(good, true, np.nanmean(true))
    b = np.where(good, found, np.nanmean(found))
    whole = _lag(a, b, 25)
    moved = _moved(b, -whole)
    inside = np.isfinite(moved) & good
    slope = np.gradient(a)
    x = np.column_stack([-slope[inside], np.ones(inside.sum())])
    fraction = np.linalg.lstsq(x, moved[inside] - a[inside], rcond=None)[0][0]
    return whole + float(fraction)
