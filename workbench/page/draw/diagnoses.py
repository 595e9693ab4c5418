"""Simulated electrocardiograms of four classes, to try classifiers with. They are no models of disease."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench.core.signals import Signals
from workbench.page.draw.simulate import Form, Rhythm, beats_of, simulate
from workbench.page.leads import STANDARD

Diagnosis = Literal["normal", "abnormal rhythm", "acute MI", "old MI"]
DIAGNOSES: tuple[Diagnosis, ...] = get_args(Diagnosis)
"""The classes of the data set that the paper is taken to have used (Khan et al. 2021, doi:10.1155/2021/5512243)."""
_ABNORMAL: tuple[Rhythm, ...] = (
    "bradycardia", "tachycardia", "AF", "PVC", "PAC", "first-degree block", "2:1 block", "complete block",
)  # fmt: skip
_ACUTE: tuple[Form, ...] = ("anterior MI", "inferior MI")
_PARTS = (("V1", "V2", "V3"), ("V3", "V4", "V5"), ("V5", "V6", "I", "aVL"), ("II", "III", "aVF"))
"""Leads that an infarction of one wall raises."""
_WALLS = ("septal", "front", "side", "lower")
FINER = ("normal", *_ABNORMAL, *_ACUTE, *_WALLS, "old MI")
"""What the classes are made of."""
_DRAWN_PARTS = 0.35
"""Share of acute infarctions whose elevation is drawn into the leads of one wall alone."""


def patient(diagnosis: Diagnosis, seed: int, *, seconds: float = 10.0, sampling_rate: float = 500.0) -> Signals:
    """Twelve leads of one simulated patient of a class.

    Abnormal rhythms show what they are called after within `seconds`: of extra beats there is one at least.

    Parameters
    ----------
    seed
        Of the patient: it decides the rhythm or the wall as well.
    seconds, sampling_rate
        Length [s] and samples per second [Hz].

    Returns
    -------
    Signals
        ``(12, samples)`` float32, mV, in the standard order.
    """
    rhythm, form, wall, own, rng = _drawn(diagnosis, seed)
    if wall:
        plain = simulate(own, seconds=seconds, sampling_rate=sampling_rate)
        return raised(plain, wall, float(rng.uniform(0.2, 0.45)))
    while rhythm in ("PVC", "PAC") and not any(0.6 < b.at < seconds - 0.6 and b.early for b in beats_of(own, rhythm)):
        own = _own(seed, rng)
    return simulate(own, rhythm=rhythm, form=form, seconds=seconds, sampling_rate=sampling_rate)


def finer(diagnosis: Diagnosis, seed: int) -> str:
    """Which of `FINER` the patient is that `patient` makes."""
    rhythm, form, wall, _, _ = _drawn(diagnosis, seed)
    return _WALLS[_PARTS.index(wall)] if wall else form if rhythm == "sinus" else rhythm


def _drawn(diagnosis: Diagnosis, seed: int) -> tuple[Rhythm, Form, tuple[str, ...], int, np.random.Generator]:
    """Rhythm, form, and the leads of a wall whose ST segments are drawn higher; the heart, and what is drawn next."""
    rng = np.random.default_rng([seed, 7, DIAGNOSES.index(diagnosis)])
    if diagnosis == "abnormal rhythm":
        rhythm = _ABNORMAL[int(rng.integers(len(_ABNORMAL)))]
        return rhythm, "normal", (), _own(seed, rng), rng
    if diagnosis == "acute MI" and rng.random() < _DRAWN_PARTS:
        own = _own(seed, rng)
        return "sinus", "normal", _PARTS[int(rng.integers(len(_PARTS)))], own, rng
    form: Form = "old MI" if diagnosis == "old MI" else "normal"
    if diagnosis == "acute MI":
        form = _ACUTE[int(rng.integers(len(_ACUTE)))]
    return "sinus", form, (), _own(seed, rng), rng


def raised(leads: Signals, names: tuple[str, ...], mv: float) -> Signals:
    """The same leads with ST segments that are raised by so many millivolts in some of them alone.

    From the end of QRS, where R waves are found in the sum of all leads' slopes, to the T wave.
    """
    from scipy.signal import find_peaks

    rate = leads.sampling_rate
    slope = np.abs(np.gradient(np.asarray(leads.data, float), axis=1)).sum(axis=0)
    wide = np.convolve(slope, np.hanning(round(0.08 * rate)), "same")
    peaks, _ = find_peaks(wide, height=0.45 * np.percentile(wide, 99.5), distance=round(0.35 * rate))
    times = np.arange(leads.data.shape[1]) / rate
    bump: npt.NDArray[np.float64] = np.zeros(times.size)
    for peak in peaks:
        after = times - peak / rate
        bump += np.clip((after - 0.045) / 0.03, 0, 1) * np.clip((0.34 - after) / 0.12, 0, 1)
    data = leads.data.copy()
    for name in names:
        data[STANDARD.index(name)] += (mv * np.minimum(bump, 1)).astype(np.float32)
    return replace(leads, data=data)


def _own(seed: int, rng: np.random.Generator) -> int:
    return int((seed * 1_000_003 + int(rng.integers(2**31))) % 2**31)
