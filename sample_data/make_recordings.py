"""Simulate MEG of twelve parcels: bursts driven by hidden states, 1/f background, artefacts and two kinds of event.

    python sample_data/make_recordings.py               # writes the sample files beside this script again
    python sample_data/make_recordings.py -o DIR --subject 3 --session 1 --seconds 120 --seed 7

A recording is decided by (subject, session, seconds, seed). A subject has its own alpha and beta frequency, slope of
the background, strength of bursts and places on the cortex; a session shifts all of them a little; the seed draws the
noise, the states, the blinks, a clenched jaw now and then, and the events. Units are arbitrary (about one deviation),
as in parcel time courses.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from workbench.core.types import Mark, Marks

SAMPLING_RATE = 250.0
AREAS = ("frontal", "central", "temporal", "parietal", "occipital", "midline")
PARCELS = tuple(
    f"{area} {side}" for area in AREAS for side in (("front", "back") if area == "midline" else ("left", "right"))
)
# Centres of the parcels in head coordinates [m]: x to the right, y to the front, z up.
_CENTRES = {
    "frontal": (0.035, 0.055, 0.060), "central": (0.045, -0.010, 0.085), "temporal": (0.065, -0.005, 0.020),
    "parietal": (0.035, -0.055, 0.085), "occipital": (0.025, -0.085, 0.035),
}  # fmt: skip
STATES = ("background", "alpha", "beta")
EVENTS = ("visual", "button")
_DWELL = (0.45, 0.40, 0.25)  # mean life of each state [s]
_NEXT = ((0.0, 0.55, 0.45), (0.75, 0.0, 0.25), (0.8, 0.2, 0.0))


class Simulated(NamedTuple):
    """One recording and what it was made of.

    ``data`` (parcels, samples) float32; ``fs`` [Hz]; ``events`` [(time in s, kind)]; ``states`` (samples,) uint8,
    numbers of `STATES`; ``marks``: events and artefacts as annotations.
    """

    data: NDArray[np.float32]
    fs: float
    events: list[tuple[float, str]]
    states: NDArray[np.uint8]
    marks: Marks


@dataclass(frozen=True)
class Brain:
    """What is constant in one session of one subject.

    ``alpha_hz``, ``beta_hz``: where bursts peak; ``slope``: exponent of the background's power; ``alpha``, ``beta``
    (sources, parcels) complex: strength and phase of a burst in each parcel; ``mixing`` (parcels, parcels): how the
    background spreads; ``blink`` (parcels,): height of a blink.
    """

    alpha_hz: float
    beta_hz: float
    slope: float
    alpha: NDArray[np.complex128]
    beta: NDArray[np.complex128]
    mixing: NDArray[np.float64]
    blink: NDArray[np.float64]


def centres() -> NDArray[np.float64]:
    """(parcels, 3) in metres."""
    rows = []
    for name in PARCELS:
        area, side = name.split()
        if area == "midline":
            rows.append((0.0, 0.03 if side == "front" else -0.045, 0.095))
        else:
            x, y, z = _CENTRES[area]
            rows.append((-x if side == "left" else x, y, z))
    return np.array(rows)


def brain_of(subject: int, session: int) -> Brain:
    """The traits of a subject, shifted a little by the session."""
    own, today = np.random.default_rng([41, subject]), np.random.default_rng([42, subject, session])
    place = centres()

    def sources(at: tuple[str, ...], size: float, strength: float) -> NDArray[np.complex128]:
        rows = []
        for name in at:
            centre = place[PARCELS.index(name)] + own.normal(0, 0.010, 3) + today.normal(0, 0.002, 3)
            distance = np.linalg.norm(place - centre, axis=1)
            gain = strength * np.exp(-0.5 * (distance / size) ** 2) * np.exp(own.normal(0, 0.15, len(place)))
            # A burst travels: parcels further away lag behind.
            rows.append(gain * np.exp(1j * (own.normal(0, 0.3, len(place)) - 12 * distance)))
        return np.stack(rows)

    level_alpha, level_beta = np.exp(own.normal(0, 0.15, 2) + today.normal(0, 0.05, 2))
    near = np.exp(-np.linalg.norm(place[:, None] - place[None], axis=2) / 0.05)
    mixing = near * np.exp(own.normal(0, 0.15, near.shape))
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
    return Brain(
        alpha_hz=float(np.clip(own.normal(10.0, 0.45), 9.2, 10.8) + today.normal(0, 0.1)),
        beta_hz=float(np.clip(own.normal(20.0, 0.9), 18.2, 21.8) + today.normal(0, 0.2)),
        slope=float(np.clip(own.normal(1.3, 0.12) + today.normal(0, 0.03), 1.0, 1.6)),
        alpha=sources(("occipital left", "occipital right", "parietal right"), 0.045, 2.0 * level_alpha),
        beta=sources(("central left", "central right"), 0.040, 1.8 * level_beta),
        mixing=mixing,
        blink=8.0 * np.exp(-0.5 * (np.linalg.norm(place - (0.0, 0.085, 0.02), axis=1) / 0.05) ** 2),
    )


def simulate(subject: int, session: int, seconds: float, seed: int) -> Simulated:
    """Make one recording.

    Parameters
    ----------
    subject, session
        Whose brain, and on which day (see `brain_of`).
    seconds
        Length.
    seed
        Draws noise, states, artefacts and events; the same four values give the same arrays.
    """
    rng = np.random.default_rng([43, seed, subject, session])
    brain = brain_of(subject, session)
    n = round(seconds * SAMPLING_RATE)
    events = _event_times(n, rng)
    states = _states(n, rng)
    evoked = np.zeros((len(PARCELS), n))
    for start, kind in events:
        _respond(evoked, states, start, kind, rng)
    levels = ndimage.gaussian_filter1d(np.eye(len(STATES))[states].T, 0.025 * SAMPLING_RATE, axis=1)
    data = 0.6 * brain.mixing @ _background(len(PARCELS), n, brain.slope, rng)
    data += _bursts(brain.alpha, brain.alpha_hz, 1.2, levels[1], rng)
    data += _bursts(brain.beta, brain.beta_hz, 2.5, levels[2], rng)
    data += evoked + 0.04 * rng.standard_normal(data.shape)
    blinks = _blink_times(n, rng)
    for start, length in blinks:
        stop = min(n, start + length)
        wave = np.hanning(length)[: stop - start] ** 1.5 * np.exp(rng.normal(0, 0.2))
        data[:, start:stop] += brain.blink[:, None] * wave
    marks = [Mark(s / SAMPLING_RATE, 0.0, kind) for s, kind in events]
    marks += [Mark(s / SAMPLING_RATE, length / SAMPLING_RATE, "blink") for s, length in blinks]
    muscle = _muscle_times(n, rng)
    for start, length in muscle:
        data[:, start : start + length] += _muscle(brain, length, rng)
    marks += [Mark(s / SAMPLING_RATE, length / SAMPLING_RATE, "muscle") for s, length in muscle]
    ordered = Marks(tuple(sorted(marks, key=lambda m: (m.onset, m.label))), "simulated")
    times = [(s / SAMPLING_RATE, kind) for s, kind in events]
    return Simulated(data.astype(np.float32), SAMPLING_RATE, times, states, ordered)


def _background(parcels: int, n: int, slope: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise of unit variance with power 1 / f^slope above 1 Hz, and little below or near the end of the band."""
    length = n + 500
    f = np.fft.rfftfreq(length, 1 / SAMPLING_RATE)
    amplitude = np.where(f > 0, np.maximum(f, 0.3) ** (-slope / 2), 0)
    amplitude *= 1 / np.sqrt(1 + (1.0 / np.maximum(f, 1e-3)) ** 6) / np.sqrt(1 + (f / 70.0) ** 8)
    spectrum = amplitude * (rng.standard_normal((parcels, len(f))) + 1j * rng.standard_normal((parcels, len(f))))
    noise = np.fft.irfft(spectrum, length)[:, 250 : 250 + n]
    return np.asarray(noise / np.sqrt((amplitude**2).sum() * 4) * length)


def _bursts(
    sources: NDArray[np.complex128], hz: float, width: float, level: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(parcels, samples) of narrow-band oscillations that sound as loud as `level` says."""
    n = len(level)
    turn = np.exp(2j * np.pi * hz / SAMPLING_RATE - np.pi * width / SAMPLING_RATE)
    drive = rng.standard_normal((len(sources), n + 500)) + 1j * rng.standard_normal((len(sources), n + 500))
    z = signal.lfilter([1.0], [1.0, -turn], drive, axis=1)[:, 500:]
    z *= np.sqrt((1 - abs(turn) ** 2) / 2)
    return np.asarray(np.real(sources.T @ (z * level)))


def _states(n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Semi-Markov: each state lives for a gamma-distributed time, then another follows."""
    states, at, state = np.zeros(n, np.uint8), 0, 0
    while at < n:
        length = max(20, round(rng.gamma(4.0, _DWELL[state] / 4.0) * SAMPLING_RATE))
        states[at : at + length] = state
        at += length
        state = int(rng.choice(3, p=_NEXT[state]))
    return states


def _event_times(n: int, rng: np.random.Generator) -> list[tuple[int, str]]:
    found, at = [], rng.uniform(0.8, 1.5)
    while (at + 0.7) * SAMPLING_RATE < n:
        found.append((round(at * SAMPLING_RATE), EVENTS[int(rng.integers(2))]))
        at += rng.uniform(1.2, 2.2)
    return found


def _blink_times(n: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    found, at = [], rng.exponential(6.0) + 1.0
    while (at + 0.5) * SAMPLING_RATE < n:
        found.append((round(at * SAMPLING_RATE), round(rng.uniform(0.25, 0.4) * SAMPLING_RATE)))
        at += 2.0 + rng.exponential(8.0)
    return found


def _muscle_times(n: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    found, at = [], 4.0 + rng.exponential(12.0)
    while (at + 1.2) * SAMPLING_RATE < n:
        found.append((round(at * SAMPLING_RATE), round(rng.uniform(0.4, 1.0) * SAMPLING_RATE)))
        at += 6.0 + rng.exponential(18.0)
    return found


def _muscle(brain: Brain, length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A clenched jaw: broad noise above 30 Hz over the temporal parcels of one side or both."""
    sound = signal.sosfilt(signal.butter(4, 30, "high", fs=SAMPLING_RATE, output="sos"), rng.standard_normal(length))
    side = ("left", "right", "left right")[int(rng.integers(3))]
    at = [i for i, p in enumerate(PARCELS) if p.startswith("temporal") and p.split()[1] in side]
    gain = brain.mixing[:, at].sum(1) / brain.mixing[at][:, at].sum(0).max()
    return np.asarray(2.0 * np.exp(rng.normal(0, 0.2)) * gain[:, None] * sound * np.hanning(length) ** 0.5)


def _respond(
    evoked: NDArray[np.float64], states: NDArray[np.uint8], start: int, kind: str, rng: np.random.Generator
) -> None:
    """Add what one event does, in place: a weak evoked wave, locked in time, and bursts, which are not.

    ``visual``: a wave over the occipital parcels at 100 ms, alpha gives way to the background. ``button``: a wave over
    the left central parcel, and in most trials a burst of beta.
    """
    at = "occipital" if kind == "visual" else "central"
    gain = np.array([1.0 if p.startswith(at) else 0.25 if p.startswith("parietal") else 0.0 for p in PARCELS])
    if kind == "button":
        gain *= [0.4 if p.endswith("right") else 1.0 for p in PARCELS]
    latency = 0.10 + rng.normal(0, 0.015)
    t = np.arange(round(0.5 * SAMPLING_RATE)) / SAMPLING_RATE - latency
    wave = np.exp(-0.5 * (t / 0.03) ** 2) - 0.7 * np.exp(-0.5 * ((t - 0.09) / 0.045) ** 2)
    stop = min(evoked.shape[1], start + len(t))
    evoked[:, start:stop] += 0.25 * np.exp(rng.normal(0, 0.5)) * gain[:, None] * wave[: stop - start]
    begin = start + round((0.03 + abs(rng.normal(0, 0.02))) * SAMPLING_RATE)
    end = begin + round(rng.uniform(0.28, 0.45) * SAMPLING_RATE)
    if rng.random() < 0.85:
        states[begin:end] = STATES.index("background" if kind == "visual" else "beta")


def info_of(fs: float = SAMPLING_RATE) -> Any:
    """The `mne.Info` of parcel time courses: kind ``misc``, with the centres of the parcels as positions."""
    import mne

    info = mne.create_info(list(PARCELS), fs, "misc")
    for channel, centre in zip(info["chs"], centres(), strict=True):
        channel["loc"][:3] = centre
    return info


def write_recording(found: Simulated, path: Path, *, bad: tuple[str, ...] = ()) -> Path:
    """Write a recording: ``*_raw.fif`` with annotations, or ``.npy`` as (parcels, samples) with a ``.json`` beside it.

    `bad` names annotations that become bad segments, which trainings leave out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, found.data)
        beside = {
            "sampling_rate": found.fs,
            "channels": PARCELS,
            "kinds": ["misc"] * len(PARCELS),
            "annotations": [[m.onset, m.duration, m.label] for m in found.marks],
            "events": found.events,
        }
        path.with_suffix(".json").write_text(json.dumps(beside, indent=1), encoding="utf-8")
        return path
    import mne

    raw = mne.io.RawArray(found.data, info_of(found.fs), verbose="error")
    marks = [Mark(m.onset, m.duration, f"bad {m.label}" if m.label in bad else m.label) for m in found.marks]
    raw.set_annotations(
        mne.Annotations([m.onset for m in marks], [m.duration for m in marks], [m.label for m in marks])
    )
    raw.save(path, fmt="single", overwrite=True, verbose="error")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "files")
    parser.add_argument("--subject", type=int, help="one recording of this subject; without it, the sample files")
    parser.add_argument("--session", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.subject is not None:
        found = simulate(options.subject, options.session, options.seconds, options.seed)
        name = f"sub-{options.subject:02d}_ses-{options.session}_raw.fif"
        print(write_recording(found, options.output / name))
        return
    for file in write_samples(options.output):
        print(file)


def write_samples(folder: Path) -> list[Path]:
    """The sample files: two sessions of subject 91, one as FIF and a shorter one as a plain array."""
    return [
        write_recording(simulate(91, 1, 100.0, 9201), folder / "recording_9201_raw.fif"),
        write_recording(simulate(91, 2, 40.0, 9202), folder / "recording_9202.npy"),
    ]


if __name__ == "__main__":
    main()
