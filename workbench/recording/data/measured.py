"""What some stretches of a recording say about all of it: amplitude, spectrum, reference, rank, channels that are none.

At most a minute of raw samples is read, before anything is filtered or standardised: the same for recordings that teach
weights and for those that meet them (`workbench.recording.data.taught` compares).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.recording.data.channels import Choice
from workbench.recording.data.recipe import RecordingRecipe
from workbench.recording.data.recording import Recording

Array = npt.NDArray[np.float64]

EDGES = (0.0, 1.0, 4.0, 8.0, 13.0, 30.0, 45.0, 60.0, 80.0, 100.0, 125.0, 160.0, 200.0, 300.0, 500.0)
"""Edges of the bands [Hz] whose shares of the variance are compared."""
LINES = (50.0, 60.0)

_STRETCHES, _SECONDS = 8, 8.0
_WINDOW = 4.0  # s, so that the first band has four bins
_LINE_WIDTH = 2.0  # Hz on either side that belong to a line
_FEW_VALUES, _FEW_CHANGES = 20, 0.2
_FEWEST = 500  # samples below which nothing is said of steps and clipping


@dataclass(frozen=True)
class Measured:
    """One recording, as its chosen channels are in the file.

    Parameters
    ----------
    kinds
        MNE type -> number of chosen channels.
    rate
        Samples per second [Hz] in the file.
    limits
        High-pass and low-pass that the header names [Hz], ``None`` where it does not.
    line_freq
        Frequency of the power line that the header names [Hz].
    spread
        Type -> median over channels of the robust deviation (1.48 MAD), in SI units.
    shares
        Median over channels of the share of the variance in each band of `EDGES`; ``None`` where the recording has no
        samples for it. Without what lies at `LINES`.
    lines
        Power at 50 and at 60 Hz over that beside it [dB].
    common
        Share of the variance that the mean over channels has; about 0 after an average reference.
    rank
        Number of directions with variance.
    standardised
        Whether every channel has mean 0 and deviation 1.
    envelope
        Whether no channel goes below zero, and they often come near it.
    flat, stepped
        Names of channels without change, and of those that jump between few values as triggers do.
    clipped
        Largest share of samples of a channel that lie at its highest or lowest value.
    """

    kinds: Mapping[str, int]
    rate: float
    limits: tuple[float | None, float | None] = (None, None)
    line_freq: float | None = None
    spread: Mapping[str, float] = field(default_factory=dict)
    shares: tuple[float | None, ...] = ()
    lines: tuple[float | None, ...] = (None, None)
    common: float | None = None
    rank: int | None = None
    standardised: bool = False
    envelope: bool = False
    flat: tuple[str, ...] = ()
    stepped: tuple[str, ...] = ()
    clipped: float = 0.0


def measure(recording: Recording, choice: Choice, recipe: RecordingRecipe, *, samples: bool = True) -> Measured:
    """Describe a recording by its header and, unless that is all that is wanted, by some stretches of samples."""
    info = recording.info
    plain = Measured(
        kinds=dict(Counter(choice.kinds)),
        rate=recording.rate,
        limits=(None, None) if info is None else (float(info["highpass"]), float(info["lowpass"])),
        line_freq=None if info is None or not info["line_freq"] else float(info["line_freq"]),
    )
    if not samples:
        return plain
    parts = [p for p in _stretches(recording, choice) if p.shape[1] > 1]
    if not parts:
        return plain
    with np.errstate(all="ignore"):
        return _described(plain, parts, choice, recipe)


def _stretches(recording: Recording, choice: Choice) -> list[Array]:
    """Finite samples ``(C, n)`` of some stretches spread evenly over what is not annotated as bad."""
    rate = recording.rate
    length = max(64, round(_SECONDS * rate))
    bad = np.array(
        [(m.onset - recording.start, m.duration) for m in recording.marks if m.label.lower().startswith("bad")]
    ).reshape(-1, 2) * rate  # fmt: skip
    places = []
    for first, last in recording.continuous:
        for at in range(first, max(first + 1, last - length // 2), length):
            stop = min(at + length, last)
            if not ((bad[:, 0] < stop) & (bad.sum(axis=1) > at)).any():
                places.append((at, stop))
    if not places:
        places = [(a, min(b, a + length)) for a, b in recording.continuous]
    chosen = np.unique(np.linspace(0, len(places) - 1, _STRETCHES).round().astype(int))
    found = []
    for number in chosen:
        first, last = places[number]
        part = recording.read(first, last, list(choice.numbers)).astype(np.float64)
        found.append(part[:, np.isfinite(part).all(axis=0)] if not np.isfinite(part).all() else part)
    return found


def _described(plain: Measured, parts: list[Array], choice: Choice, recipe: RecordingRecipe) -> Measured:
    together = np.concatenate(parts, axis=1)
    centre = np.median(together, axis=1, keepdims=True)
    robust = 1.4826 * np.median(np.abs(together - centre), axis=1)
    deviation = together.std(axis=1)
    alive = deviation > 1e-12 * np.abs(together).max(axis=1)
    kinds = np.array(choice.kinds)
    spread = {k: float(np.median(robust[alive & (kinds == k)])) for k in plain.kinds if (alive & (kinds == k)).any()}
    stepped, clipped = np.zeros(len(kinds), bool), np.zeros(len(kinds))
    if together.shape[1] >= _FEWEST:
        stepped, clipped = _steps(together, parts, alive)
    names = np.array(choice.names, dtype=object)
    sound = alive & ~stepped
    more: dict[str, Any] = {}
    if sound.any():
        rows = together[sound]
        scaled = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)
        values = np.linalg.eigvalsh(scaled @ scaled.T / scaled.shape[1])
        means = np.abs(rows.mean(axis=1))
        lowest, middle = rows.min(axis=1), np.median(rows, axis=1)
        long = together.shape[1] >= _FEWEST
        electric = sound & (kinds == "eeg")
        shares, lines = _spectrum([p[sound] for p in parts], plain.rate, recipe)
        more = {
            "rank": int((values > RANK_TOLERANCE * values[-1]).sum()),
            # Over the whole recording both hold exactly, over some of its stretches about.
            "standardised": bool(long and (np.abs(rows.std(axis=1) - 1) < 0.3).all() and (means < 0.3).all()
                                 and abs(float(np.median(rows.std(axis=1))) - 1) < 0.1),
            "envelope": bool(long and ((lowest >= 0) & (lowest < 0.2 * middle)).mean() > 0.9),
            "shares": shares,
            "lines": lines,
            "common": _common(together[electric]) if electric.sum() > 3 else None,
        }  # fmt: skip
    return Measured(
        plain.kinds, plain.rate, plain.limits, plain.line_freq, spread=spread, flat=tuple(names[~alive]),
        stepped=tuple(names[stepped]), clipped=float(clipped.max(initial=0.0)), **more,
    )  # fmt: skip


RANK_TOLERANCE = 1e-6
"""Share of the largest variance below which a direction of standardised channels holds rounding noise (float32)."""


def _steps(together: Array, parts: list[Array], alive: npt.NDArray[np.bool_]) -> tuple[Any, Array]:
    """Which channels jump between few values; and the share of samples at the highest or lowest value of each."""
    changes = sum((np.diff(p, axis=1) != 0).sum(axis=1) for p in parts) / together.shape[1]
    stepped = np.zeros(len(together), bool)
    for row in np.flatnonzero(alive & (changes < _FEW_CHANGES)):
        stepped[row] = len(np.unique(together[row])) <= _FEW_VALUES
    top = (together == together.max(axis=1, keepdims=True)).mean(axis=1)
    bottom = (together == together.min(axis=1, keepdims=True)).mean(axis=1)
    return stepped, np.where(alive & ~stepped, np.maximum(top, bottom), 0.0)


def _common(rows: Array) -> float:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return float(centred.mean(axis=0).var() / max(float(centred.var(axis=1).mean()), 1e-300))


def _spectrum(
    parts: list[Array], rate: float, recipe: RecordingRecipe
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Shares of the variance in the bands that the recipe keeps, and the height of lines above what is beside [dB]."""
    from scipy.signal import welch

    top = min(recipe.sampling_rate, rate) / 2
    low, high = recipe.band or (None, None)
    nothing = (None,) * (len(EDGES) - 1)
    longest = max(p.shape[1] for p in parts)
    window = min(round(_WINDOW * rate), longest)
    if window < 2 * rate:  # not even the slow bands can be told apart
        return nothing, (None, None)
    density: Any = 0.0
    used = 0
    for part in parts:
        if part.shape[1] >= window:
            frequencies, found = welch(part, rate, nperseg=window, axis=1)
            density, used = density + found, used + 1
    density = density / used
    lines = tuple(_line(frequencies, density, f) for f in LINES)
    keep = (frequencies >= (low or 0.0)) & (frequencies <= min(high or top, top))
    for line in LINES:
        keep &= np.abs(frequencies - line) > _LINE_WIDTH
    kept = np.where(keep, density, 0.0)
    # What is slower than a window is seen in the means of the stretches.
    slow = np.array([p.mean(axis=1) for p in parts]).var(axis=0) / (frequencies[1] if not low else np.inf)
    kept[:, 0] += slow
    total = kept.sum(axis=1)
    shares: list[float | None] = []
    for a, b in pairwise(EDGES):
        inside = (frequencies >= a) & (frequencies < b)
        counted = b > (low or 0.0) and a < min(high or recipe.sampling_rate / 2, recipe.sampling_rate / 2)
        shares.append(float(np.median(kept[:, inside].sum(axis=1) / total)) if counted else None)
    return tuple(shares), lines


def _line(frequencies: Array, density: Array, line: float) -> float | None:
    near = np.abs(frequencies - line) <= 0.6
    beside = (np.abs(frequencies - line) > 1.5) & (np.abs(frequencies - line) <= 4)
    if frequencies[-1] < line + 4 or not near.any() or not beside.any():
        return None
    return float(10 * np.log10(np.median(density[:, near].max(axis=1) / np.median(density[:, beside], axis=1))))
