"""Leads as the delineation sees them: one sampling rate, no wander, one size; gaps stay gaps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LOWEST_RATE, HIGHEST_RATE = 100.0, 1000.0
"""Sampling rates [Hz] that the measurements are tested at; up to 2000 Hz is read as well."""
MOST_LEADS = 64
WANDER = 1.2
"""Length [s] of the moving mean that, taken twice, is the wander of the baseline."""
SMALLEST = 0.02
"""[mV] A lead that varies by less is not made larger than this one would be: noise stays small."""


def filled(data: Array) -> tuple[Array, Mask]:
    """Rows whose gaps (NaN) are bridged by straight lines, and where there were none; a row of gaps becomes zeros.

    Parameters
    ----------
    data
        ``(leads, samples)``.
    """
    there = np.isfinite(data)
    full = np.where(there, data, 0.0)
    at = np.arange(data.shape[1])
    for row, seen in zip(full, there, strict=True):
        if seen.any() and not seen.all():
            row[~seen] = np.interp(at[~seen], at[seen], row[seen])
    return full, there


def resampled(data: Array, rate: float, wanted: float) -> tuple[Array, Mask]:
    """Leads at another sampling rate, in the same place: sample k lies at ``k / wanted`` seconds.

    Parameters
    ----------
    data
        ``(leads, samples)`` [mV]; NaN where a lead was not seen.
    rate, wanted
        Samples per second [Hz] that `data` has, and that the result has.

    Returns
    -------
    leads, there
        ``(leads, samples)``: values with gaps bridged, and where the lead was seen.
    """
    full, there = filled(data)
    count = data.shape[1]
    if abs(wanted - rate) < 1e-9:
        return full, there
    if wanted < rate:  # a moving mean over one new sample: next to nothing of what would fold back is left
        from scipy.signal import filtfilt, firwin

        taps = firwin(2 * int(2 * rate / wanted) + 1, 0.45 * wanted, fs=rate)
        if count > 3 * len(taps):
            full = filtfilt(taps, [1.0], full, axis=1)
    times = np.arange(int(np.floor((count - 1) / rate * wanted)) + 1) / wanted * rate
    if count < 4:
        new = np.stack([np.interp(times, np.arange(count), row) for row in full]) if len(full) else full
    else:
        from scipy.interpolate import make_interp_spline

        new = make_interp_spline(np.arange(count), full, k=3, axis=1)(times)
    below = np.clip(np.floor(times).astype(int), 0, count - 1)
    above = np.clip(np.ceil(times).astype(int), 0, count - 1)
    return new, there[:, below] & there[:, above]


def _moving_mean(rows: Array, width: int) -> Array:
    """Means over `width` samples around each, of what lies inside."""
    half = width // 2
    sums = np.cumsum(np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(1, 0)]), axis=-1)
    last = rows.shape[-1]
    at = np.arange(last)
    out: Array = sums[..., np.minimum(at + half + 1, last)] - sums[..., np.maximum(at - half, 0)]
    return out


def conditioned(data: Array, there: Mask, rate: float) -> Array:
    """Leads without wander, divided by how much they vary; 0 in gaps.

    The wander is the mean over `WANDER` seconds, taken twice, of what was seen. The size is the standard deviation of
    the lead, so a wrong gain changes nothing in time.

    Parameters
    ----------
    data
        ``(..., leads, samples)`` [mV], without NaN.
    there
        Same shape; false where a lead was not seen.
    rate
        Samples per second [Hz].
    """
    weights = there.astype(np.float64)
    width = max(round(WANDER * rate), 1)
    weight = _moving_mean(_moving_mean(weights, width), width)
    # Each lead begins near 0, so that an offset of the paper costs no digits.
    first = (data * weights).sum(-1, keepdims=True) / np.maximum(weights.sum(-1, keepdims=True), 1.0)
    level = data - first
    wander = _moving_mean(_moving_mean(level * weights, width), width) / np.maximum(weight, 1e-9)
    flat = (level - wander) * weights
    size = np.sqrt((flat**2).sum(-1, keepdims=True) / np.maximum(weights.sum(-1, keepdims=True), 1.0))
    out: Array = np.clip(flat / np.maximum(size, SMALLEST), -20, 20)
    return out


def checked(data: npt.ArrayLike, names: tuple[str, ...], rate: float, subject: str) -> Array:
    """The leads as float64, once they are what they must be.

    Raises
    ------
    InputError
        Another shape, more than 64 leads, as many names as there are not leads, infinite values, or a rate that
        nothing can be read at.
    """
    rows = np.asarray(data)
    if rows.ndim == 2 and len(rows) > MOST_LEADS:
        raise InputError(
            f"{subject}: {len(rows)} leads, expected at most {MOST_LEADS}. Are rows and columns exchanged?"
        )
    if rows.dtype.kind not in "fiu":
        raise InputError(f"{subject}: leads of type {rows.dtype}, expected numbers [mV]. Convert them first")
    rows = rows.astype(np.float64)
    if rows.ndim != 2 or not rows.size:
        raise InputError(f"{subject}: leads of shape {rows.shape}, expected (leads, samples). Give one row per lead")
    if len(names) != len(rows):
        raise InputError(f"{subject}: {len(names)} names for {len(rows)} leads. Give one name per lead")
    if not np.isfinite(rate) or not 50 <= rate <= 2000:
        raise InputError(
            f"{subject}: sampling rate {rate:g} Hz, expected {LOWEST_RATE:g} to {HIGHEST_RATE:g} Hz. "
            "Check the rate, or resample"
        )
    if np.isinf(rows).any():
        raise InputError(f"{subject}: infinite values in the leads. Mark what was not seen as NaN")
    return rows
