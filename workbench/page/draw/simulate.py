"""Electrocardiograms made by a moving dipole, so that what leads say of each other holds. Never clinical data.

The dipole is a sum of Gaussian waves in space (McSharry et al. 2003, doi:10.1109/TBME.2003.808805, in three
components); the leads are its projections by the matrix of Dower (Dower et al. 1980, J Electrocardiol 13:27), and the
other limb leads follow from I and II.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from workbench.core.signals import Signals, time_base
from workbench.page.leads import STANDARD, derived

Rhythm = Literal[
    "sinus", "bradycardia", "tachycardia", "AF", "PVC", "PAC", "first-degree block", "2:1 block", "complete block"
]
Form = Literal[
    "normal", "old MI", "anterior MI", "inferior MI", "hypertrophy", "left bundle block", "right bundle block"
]
RHYTHMS: tuple[Rhythm, ...] = get_args(Rhythm)
FORMS: tuple[Form, ...] = get_args(Form)
Floats = npt.NDArray[np.float64]

_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],  # V6
    ]
)
"""Leads of a dipole whose x points to the left, y to the feet and z to the back."""
_PROJECTED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class Wave:
    """A Gaussian wave of the dipole: when [s from R], its standard deviation [s], and its vector [mV]."""

    at: float
    width: float
    vector: tuple[float, float, float]


_P = (Wave(-0.165, 0.018, (0.06, 0.09, -0.03)), Wave(-0.135, 0.018, (0.07, 0.07, 0.04)))
_QRS = (
    Wave(-0.026, 0.0075, (-0.16, 0.02, -0.22)),
    Wave(0.0, 0.0095, (1.05, 0.85, 0.20)),
    Wave(0.016, 0.0095, (0.30, 0.25, 0.75)),
    Wave(0.034, 0.0085, (-0.18, -0.18, 0.28)),
)
_T = (Wave(0.235, 0.050, (0.16, 0.14, -0.10)), Wave(0.290, 0.030, (0.16, 0.14, -0.08)))


@dataclass(frozen=True)
class Heart:
    """What one simulated patient's beats are made of."""

    p: tuple[Wave, ...]
    qrs: tuple[Wave, ...]
    t: tuple[Wave, ...]


def simulate(
    seed: int,
    *,
    rhythm: Rhythm = "sinus",
    form: Form = "normal",
    rate: float | None = None,
    seconds: float = 10.0,
    sampling_rate: float = 500.0,
    noise: float = 1.0,
) -> Signals:
    """A simulated twelve-lead electrocardiogram.

    Parameters
    ----------
    seed
        Of the patient and of the noise: the same seed gives the same samples.
    rhythm, form
        See `RHYTHMS` and `FORMS`: software is tried with them; they are no models of disease.
    rate
        Heart rate [1/min]; drawn from what the rhythm allows by default.
    seconds, sampling_rate
        Length [s] and samples per second [Hz].
    noise
        Strength of drift, muscle and mains noise; 0 for none: then ``III = II - I`` and the others hold exactly.

    Returns
    -------
    Signals
        ``(12, samples)`` float32, mV, in the standard order.
    """
    heart, beats, rng = _drawn(seed, rhythm, form, rate, seconds)
    times = np.arange(round(seconds * sampling_rate)) / sampling_rate
    dipole = np.zeros((3, times.size))
    for beat in beats:
        _add(dipole, times, heart, beat, rng)
    if rhythm == "AF":
        dipole += _flicker(times, rng)
    found = dict(zip(_PROJECTED, _DOWER @ dipole, strict=True))
    if noise:
        for name in found:
            found[name] = found[name] + noise * _noise(times, rng)
    found |= derived(found)
    data = np.array([found[name] for name in STANDARD], np.float32)
    return Signals(data, STANDARD, time_base(times.size, sampling_rate), "simulated", "mV")


def random_rhythm(rng: np.random.Generator) -> tuple[Rhythm, Form]:
    """A rhythm and a form as they come, sinus rhythm and normal forms most often."""
    rhythm = RHYTHMS[int(rng.integers(len(RHYTHMS)))] if rng.random() < 0.55 else "sinus"
    form = FORMS[int(rng.integers(len(FORMS)))] if rng.random() < 0.55 else "normal"
    return rhythm, form


def beats_of(
    seed: int, rhythm: Rhythm, form: Form = "normal", rate: float | None = None, seconds: float = 10.0
) -> list[Beat]:
    """The beats that `simulate` draws with the same arguments, some of them before its beginning and after its end."""
    return _drawn(seed, rhythm, form, rate, seconds)[1]


def _drawn(
    seed: int, rhythm: Rhythm, form: Form, rate: float | None, seconds: float
) -> tuple[Heart, list[Beat], np.random.Generator]:
    rng = np.random.default_rng([seed, RHYTHMS.index(rhythm), FORMS.index(form)])
    heart = _formed(_patient(rng), form, rng)
    return heart, _beats(rhythm, rate, seconds, rng), rng


@dataclass(frozen=True)
class Beat:
    """When a beat comes [s], how long its cycle is, and what it has; `early` ones are no part of the rhythm."""

    at: float
    cycle: float
    with_p: bool = True
    with_qrs: bool = True
    wide: bool = False
    pr_shift: float = 0.0
    p_scale: float = 1.0
    early: bool = False


def _patient(rng: np.random.Generator) -> Heart:
    """Waves as they differ between people: sizes, directions, widths."""
    turn = _rotation(rng.normal(0, 0.30, 3))
    size = rng.lognormal(0, 0.28)

    def waves(group: tuple[Wave, ...], own: float, direction: float) -> tuple[Wave, ...]:
        further = _rotation(rng.normal(0, direction, 3))
        wide = rng.lognormal(0, 0.10)
        shift = rng.normal(0, 0.012) if own != 1.0 else 0.0
        return tuple(
            Wave(
                w.at + shift,
                w.width * wide,
                tuple(float(v) for v in size * own * rng.lognormal(0, 0.12) * (further @ turn @ np.array(w.vector))),  # type: ignore[arg-type]
            )
            for w in group
        )

    return Heart(
        waves(_P, rng.lognormal(0, 0.30), 0.20), waves(_QRS, 1.0, 0.12), waves(_T, rng.lognormal(0, 0.40), 0.25)
    )


def _rotation(angles: Floats) -> Floats:
    out = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        i, j = [k for k in range(3) if k != axis]
        one = np.eye(3)
        one[i, i], one[i, j], one[j, i], one[j, j] = c, -s, s, c
        out = one @ out
    return out


def _formed(heart: Heart, form: Form, rng: np.random.Generator) -> Heart:
    """The same patient with another form of beats."""
    edit: dict[str, Callable[[], Heart]] = {
        "normal": lambda: heart,
        "old MI": lambda: replace(
            heart,
            qrs=(Wave(-0.020, 0.013, _towards(rng, (-0.3, -0.75, 0.35))), *heart.qrs[1:]),
            t=tuple(replace(w, vector=_times(w.vector, (0.6, -0.9, 1.2))) for w in heart.t),
        ),
        "anterior MI": lambda: replace(heart, t=(*heart.t, *_elevation(_towards(rng, (0.12, 0.02, -0.32))))),
        "inferior MI": lambda: replace(heart, t=(*heart.t, *_elevation(_towards(rng, (-0.08, 0.32, 0.08))))),
        "hypertrophy": lambda: replace(
            heart,
            qrs=tuple(replace(w, vector=_times(w.vector, (1.9, 1.3, 2.0))) for w in heart.qrs),
            t=tuple(replace(w, vector=_times(w.vector, (-0.8, 0.5, -1.0))) for w in heart.t),
        ),
        "left bundle block": lambda: replace(
            heart,
            qrs=(
                Wave(-0.02, 0.012, (0.25, 0.2, 0.35)), Wave(0.015, 0.018, (0.75, 0.35, 0.75)),
                Wave(0.060, 0.020, (0.80, 0.25, 0.80)),
            ),
            t=tuple(replace(w, at=w.at + 0.04, vector=_times(w.vector, (-1.1, 0.3, 2.4))) for w in heart.t),
        ),
        "right bundle block": lambda: replace(
            heart, qrs=(*heart.qrs, Wave(0.062, 0.017, _towards(rng, (-0.55, -0.05, -0.65))))
        ),
    }  # fmt: skip
    return edit[form]()


def _elevation(vector: tuple[float, float, float]) -> tuple[Wave, ...]:
    """Three wide waves that fill the time from QRS to T."""
    return tuple(Wave(at, 0.035, vector) for at in (0.085, 0.140, 0.195))


def _towards(rng: np.random.Generator, vector: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = rng.lognormal(0, 0.3) * np.array(vector) + rng.normal(0, 0.03, 3)
    return float(x), float(y), float(z)


def _times(vector: tuple[float, float, float], by: tuple[float, float, float]) -> tuple[float, float, float]:
    return vector[0] * by[0], vector[1] * by[1], vector[2] * by[2]


def _beats(rhythm: Rhythm, rate: float | None, seconds: float, rng: np.random.Generator) -> list[Beat]:
    """When each beat comes, and what it has."""
    low, high = {"bradycardia": (32, 49), "tachycardia": (111, 165), "AF": (65, 150), "complete block": (28, 45)}.get(
        rhythm, (52, 105)
    )
    cycle = 60.0 / (rate if rate is not None else rng.uniform(low, high))
    spread = 0.18 if rhythm == "AF" else rng.uniform(0.005, 0.05)
    block = rng.uniform(0.05, 0.16) if rhythm == "first-degree block" else 0.0
    scale = 0.0 if rhythm == "AF" else 1.0
    found: list[Beat] = []
    at, n = -2 * cycle + rng.uniform(0, cycle), 0
    while at < seconds + cycle:
        own = cycle * float(np.clip(rng.lognormal(0, spread), 0.55, 1.8))
        early = rhythm in ("PVC", "PAC") and rng.random() < 0.22 and n > 0
        if early and found:
            when = found[-1].at + 0.62 * cycle
            if rhythm == "PVC":
                found.append(Beat(when, 0.8 * cycle, with_p=False, wide=True, early=True))
                at = found[-2].at + 2 * cycle  # a full pause
            else:
                found.append(Beat(when, 0.8 * cycle, p_scale=0.8, pr_shift=-0.02, early=True))
                at = when + 1.1 * cycle
        if rhythm == "complete block":
            found.append(Beat(at, own, with_p=False))
        else:
            found.append(Beat(at, own, pr_shift=block, p_scale=scale, with_p=scale > 0))
        if rhythm == "2:1 block":
            found.append(Beat(at + own / 2, own, with_qrs=False))
        at += own
        n += 1
    if rhythm == "complete block":
        p_cycle = 60.0 / rng.uniform(70, 105)
        found += [Beat(t, p_cycle, with_qrs=False) for t in np.arange(rng.uniform(-1, 0), seconds + 1, p_cycle)]
    return found


def _add(dipole: Floats, times: Floats, heart: Heart, beat: Beat, rng: np.random.Generator) -> None:
    """One beat onto the dipole; T comes the later, the longer the cycle (Bazett)."""
    longer = float(np.sqrt(np.clip(beat.cycle, 0.3, 1.6)))
    loud = rng.lognormal(0, 0.02)
    waves: list[tuple[float, float, Any]] = []
    if beat.with_p:
        shift = beat.pr_shift + (0.0 if longer > 0.75 else -0.015)
        waves += [(w.at - shift, w.width, beat.p_scale * np.array(w.vector)) for w in heart.p]
    if beat.with_qrs:
        stretch = 2.3 if beat.wide else 1.0
        turn = np.array([-0.9, 1.1, -0.8]) if beat.wide else np.ones(3)
        waves += [(w.at * stretch, w.width * stretch, turn * w.vector) for w in heart.qrs]
        late = 0.05 if beat.wide else 0.0
        waves += [
            (
                w.at * (0.35 + 0.65 * longer) + late,
                w.width * (0.5 + 0.5 * longer),
                -0.9 * turn * w.vector if beat.wide else np.array(w.vector),
            )
            for w in heart.t
        ]
    for at, width, vector in waves:
        near = slice(*np.searchsorted(times, [beat.at + at - 6 * width, beat.at + at + 6 * width]))
        dipole[:, near] += loud * np.outer(vector, np.exp(-0.5 * ((times[near] - beat.at - at) / width) ** 2))


def _flicker(times: Floats, rng: np.random.Generator) -> Floats:
    """Waves of the fibrillating atria: 4 to 9 a second, never quite the same."""
    phase = (
        2
        * np.pi
        * (rng.uniform(4.5, 8.5) * times + 0.25 * np.cumsum(rng.normal(0, 1, times.size)) / np.sqrt(times.size))
    )
    size = rng.uniform(0.02, 0.09) * (1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * times + rng.uniform(0, 6)))
    wave = size * (np.sin(phase) + 0.35 * np.sin(2 * phase + rng.uniform(0, 6)))
    out: Floats = np.outer([0.35, 0.8, -0.7], wave)
    return out


def _noise(times: Floats, rng: np.random.Generator) -> Floats:
    """Drift of breath and skin, muscles, a little mains [mV]."""
    drift = sum(
        rng.uniform(0, 0.06) * np.sin(2 * np.pi * f * times + rng.uniform(0, 6)) for f in rng.uniform(0.05, 0.45, 3)
    )
    muscle = rng.normal(0, 1, times.size)
    muscle = np.convolve(muscle, np.hanning(5) / np.hanning(5).sum(), "same") * float(
        rng.choice([0.002, 0.005, 0.015], p=[0.5, 0.35, 0.15])
    )
    mains = rng.choice([0, 0.006], p=[0.85, 0.15]) * np.sin(2 * np.pi * 50 * times + rng.uniform(0, 6))
    out: Floats = drift + muscle + mains
    return out
