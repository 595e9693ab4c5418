"""Electrocardiograms by formula, whose beats, intervals and axes are known exactly.

P and T are single cosine bumps, the QRS is made of straight lines: each begins and ends at a definite moment. A dipole
in the frontal plane makes the limb leads, so they obey Einthoven's law; the chest leads are shares of the same waves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

NAMES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_CHEST = {
    "P": (0.3, 0.5, 0.6, 0.6, 0.6, 0.5),
    "QRS": (-0.7, -0.9, 0.5, 1.1, 1.3, 1.0),
    "T": (-0.2, 0.7, 0.9, 0.9, 0.8, 0.6),
}


@dataclass(frozen=True)
class Heart:
    """One heart: intervals [s], sizes [mV], axes [deg].

    `ectopic` names beats (by number) that come early, wide and without P; `dropped` beats whose P wave leads to no QRS.
    """

    rate: float = 60.0
    pr: float = 0.160
    p: float = 0.100
    qrs: float = 0.090
    qt: float = 0.390
    t: float = 0.180
    p_size: float = 0.15
    qrs_size: float = 1.2
    t_size: float = 0.35
    p_axis: float = 50.0
    qrs_axis: float = 40.0
    t_axis: float = 35.0
    jitter: float = 0.0
    fibrillation: float = 0.0
    ectopic: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    seed: int = 0

    def but(self, **changes: object) -> Heart:
        """The same heart with other numbers."""
        return replace(self, **changes)  # type: ignore[arg-type]


def _bump(t: np.ndarray, start: float, length: float) -> np.ndarray:
    x = (t - start) / length
    return np.where((x > 0) & (x < 1), 0.5 - 0.5 * np.cos(2 * np.pi * x), 0.0)


def _qrs(t: np.ndarray, start: float, length: float) -> np.ndarray:
    """Q, R and S as straight lines."""
    corners = np.array([0.0, 0.15, 0.45, 0.75, 1.0]) * length + start
    return np.interp(t, corners, [0.0, -0.12, 1.0, -0.25, 0.0], left=0.0, right=0.0)


def onsets(heart: Heart, seconds: float) -> np.ndarray:
    """Moments [s] at which a QRS begins (of dropped beats: would begin)."""
    rng = np.random.default_rng(heart.seed)
    moments, now = [], 0.35
    while now < seconds + 1:
        moments.append(now)
        now += 60 / heart.rate * (1 + heart.jitter * rng.uniform(-1, 1))
    found = np.array(moments)
    for k in heart.ectopic:
        if k < len(found):
            found[k] -= 0.35 * 60 / heart.rate
    return found


def leads(heart: Heart, seconds: float = 10.0, sampling_rate: float = 500.0, noise: float = 0.0) -> np.ndarray:
    """``(12, samples)`` mV."""
    t = np.arange(round(seconds * sampling_rate)) / sampling_rate
    waves = {name: np.zeros_like(t) for name in ("P", "QRS", "T", "V")}
    for k, start in enumerate(onsets(heart, seconds)):
        if k in heart.ectopic:
            waves["V"] += 1.4 * _qrs(t, start, 0.16) - 0.5 * _bump(t, start + 0.18, 0.25)
            continue
        if not heart.fibrillation:
            waves["P"] += heart.p_size * _bump(t, start - heart.pr, heart.p)
        if k not in heart.dropped:
            waves["QRS"] += heart.qrs_size * _qrs(t, start, heart.qrs)
            waves["T"] += heart.t_size * _bump(t, start + heart.qt - heart.t, heart.t)
    rng = np.random.default_rng(heart.seed + 1)
    if heart.fibrillation:
        phase = np.cumsum(2 * np.pi * (6 + rng.normal(0, 12, len(t))) / sampling_rate)
        waves["P"] += heart.fibrillation * np.sin(phase)
    axes = {"P": heart.p_axis, "QRS": heart.qrs_axis, "T": heart.t_axis, "V": -100.0}
    angles = {name: np.radians(a) for name, a in axes.items()}
    one = sum(np.cos(angles[w]) * x for w, x in waves.items())
    two = sum(np.cos(angles[w] - np.pi / 3) * x for w, x in waves.items())
    rows = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    for k in range(6):
        rows.append(sum(_CHEST[w][k] * waves[w] for w in ("P", "QRS", "T")) - _CHEST["QRS"][k] * waves["V"])
    return np.stack(rows) + noise * rng.standard_normal((12, len(t)))


def as_page(data: np.ndarray, sampling_rate: float, strip: int | None = 1) -> tuple[np.ndarray, tuple[str, ...]]:
    """3 x 4 leads of a quarter each, NaN elsewhere, and a strip of one lead over the whole time."""
    samples = data.shape[1]
    page = np.full_like(data, np.nan)
    for k in range(12):
        first, last = (k // 3) * samples // 4, (k // 3 + 1) * samples // 4
        page[k, first:last] = data[k, first:last]
    if strip is None:
        return page, NAMES
    return np.concatenate([page, data[strip : strip + 1]]), (*NAMES, NAMES[strip])
