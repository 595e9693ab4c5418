"""Voltages as whole steps of 16 bits, as WFDB, DICOM and EDF hold them, and what none of them can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError, visible
from workbench.page.data.ecg_image import HIGHEST_RATE, LOWEST_RATE, MOST_LEADS, listed

STEPS_UV = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Steps [uV] that are tried, finest first."""
_FINE = 0.001
"""Step [mV] up to which nothing is lost that a heart gives."""
GAP = -32768
"""The stored value for "no sample" of WFDB and DICOM."""
TOP = 32767


@dataclass(frozen=True, eq=False)
class Stored:
    """Signals as whole steps of 16 bits.

    Parameters
    ----------
    data
        ``(leads, samples)`` int16, -32768 where there is no sample.
    steps
        One step of each lead [mV].
    middles
        Voltage of the stored value 0 of each lead [mV]; 0 wherever the lead fits around it.
    """

    data: npt.NDArray[np.int16]
    steps: tuple[float, ...]
    middles: tuple[float, ...]


def stored(signals: npt.NDArray[np.floating[Any]], leads: Sequence[str]) -> Stored:
    """Signals [mV] as whole steps, each lead with the finest step that holds it.

    Raises
    ------
    UsageError
        A lead spans more than 16 bits hold at the coarsest step (6.5 V): it is no electrocardiogram in mV.
    """
    out = np.full(signals.shape, GAP, np.int16)
    found = _steps(signals, leads)
    for n, (step, middle) in enumerate(found):
        row = np.asarray(signals[n], np.float64)
        there = np.isfinite(row)
        out[n, there] = np.round((row[there] - middle) / step).astype(np.int16)
    steps, middles = zip(*found, strict=True)
    return Stored(out, steps, middles)


def _steps(signals: npt.NDArray[np.floating[Any]], leads: Sequence[str]) -> list[tuple[float, float]]:
    """Step and voltage of the stored value 0 [mV] of each lead."""
    return [_step(np.asarray(row, np.float64), lead) for row, lead in zip(signals, leads, strict=True)]


def _step(row: npt.NDArray[np.float64], lead: str) -> tuple[float, float]:
    there = row[np.isfinite(row)]
    low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 0.0)
    for step in STEPS_UV:
        size = step / 1000
        middle = 0.0 if max(-low, high) <= TOP * size else round((low + high) / 2, 1)
        if max(high - middle, middle - low) <= TOP * size and in_eight(middle, size):
            return size, middle
    raise UsageError(
        f"lead {visible(lead)} runs from {low:g} to {high:g} mV, more than 16 bits hold at {STEPS_UV[-1]:g} uV."
        " Give the signals in mV, or write CSV."
    )


def coarse(signals: npt.NDArray[np.floating[Any]], leads: Sequence[str]) -> str:
    """Which leads are stored in steps of more than 1 uV, in words; "" where none is."""
    found = [
        f"{visible(lead)} ({1000 * step:g} uV)"
        for lead, (step, _) in zip(leads, _steps(signals, leads), strict=True)
        if step > _FINE
    ]
    return f"stored in steps of more than 1 uV, as the voltages run so far: {listed(found)}" if found else ""


def eight(value: float) -> str:
    """A number of a field of eight characters; steps and middles are chosen so that it is exact (`in_eight`)."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def in_eight(middle: float, step: float) -> bool:
    """Whether EDF has room for the ends of the range of a lead."""
    return all(len(eight(middle + end * step)) <= 8 for end in (GAP, TOP))


def require_writable(signals: npt.NDArray[Any], leads: Sequence[str], rate: float) -> None:
    """Refuse what no format can hold."""
    if not isinstance(signals, np.ndarray) or signals.ndim != 2 or signals.shape[0] != len(leads) or not signals.size:
        shape = getattr(signals, "shape", None)
        raise UsageError(f"signals have shape {shape} for {len(leads)} lead name(s), expected (leads, samples)")
    if len(leads) > MOST_LEADS or len(set(leads)) != len(leads) or not all(lead.strip() for lead in leads):
        raise UsageError(
            f"the leads are called {listed(map(visible, leads))}: expected up to {MOST_LEADS} different names"
        )
    if not (math.isfinite(rate) and LOWEST_RATE <= rate <= HIGHEST_RATE):
        raise UsageError(f"the sampling rate is {rate:g} Hz, expected {LOWEST_RATE:g} to {HIGHEST_RATE:g} Hz")
    if not np.issubdtype(signals.dtype, np.floating):
        raise UsageError(f"signals are of the type {signals.dtype}, expected floating-point numbers [mV]")
    if np.isinf(signals).any():
        raise UsageError("signals hold infinite values: expected voltages [mV], and NaN where there is no sample")
