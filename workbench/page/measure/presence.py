"""Whether there is a P wave and a T wave at all.

Two questions, and a wave is there where both say so. Do most beats show it, in more than a few leads? And does what
lies in its place come back with every beat, more than noise or waves that go their own way would by chance? The second
is an F test: power of the mean over beats against what is left of each beat (Elberling & Don 1984,
doi:10.3109/01050398409043059, ask the same of evoked potentials).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.page.measure.beats import Beats, windows
from workbench.page.measure.delineate import Delineation
from workbench.page.measure.lead_rule import GlobalMarks

Array = npt.NDArray[np.float64]

MOST = 0.5
"""Share of the beats that must show the wave."""
LEADS = 0.25
"""Share of the leads that saw a beat in which its wave must be."""
REST = 0.14
"""[s] With less time from T to the next QRS a P wave has no place of its own."""
CHANCE = 0.003
"""Largest probability that waves that follow no beat look like this; 0 to 3 % of simulated f waves pass it."""
SMOOTH = 0.030
"""[s] Moving mean before beats are compared: P and T change no faster, noise does."""
BANDWIDTH, INDEPENDENT = 15.0, 2
"""Independent values that waves have: so many per second [Hz], and so many leads at most (a heart is a dipole)."""


@dataclass(frozen=True)
class Presence:
    """Whether a wave is there.

    Parameters
    ----------
    present
        The answer.
    beats, of
        Dominant beats that show it, and dominant beats that could.
    chance
        Probability of so much agreement between beats if nothing followed them; ``None`` where it cannot be asked
        (fewer than three beats in every lead).
    reason
        Why it is absent, or which beats hide it; empty where every beat shows it.
    """

    present: bool
    beats: int
    of: int
    chance: float | None
    reason: str


def shown(found: Delineation, beats: Beats, leads: list[int], wave: int) -> npt.NDArray[np.bool_]:
    """``(beats,)``: whether a beat shows P (0) or T (2) in enough of the leads that saw it."""
    has = np.isfinite(found.marks[leads][:, :, 3 * wave + 1])
    saw = np.isfinite(found.marks[leads][:, :, 4]) | has
    return np.asarray(has.sum(0) >= np.maximum(np.ceil(LEADS * saw.sum(0)), 1))


def _judged(data: Array, rate: float, beats: Beats, leads: list[int], first: float, last: float) -> float | None:
    """Probability of the agreement between beats in a stretch of time, over all leads together."""
    from scipy.stats import f

    pieces = windows(data[leads], rate, beats.times[beats.dominant], -first + SMOOTH / 2, last + SMOOTH / 2)
    width = max(round(SMOOTH * rate), 1)
    signal = noise = freedom = 0.0
    each = max(round((last - first) * BANDWIDTH), 2)
    for lead in range(len(leads)):
        rows = pieces[:, lead][np.isfinite(pieces[:, lead]).all(1)]
        if len(rows) < 3:
            continue
        sums = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), axis=1)
        rows = (sums[:, width:] - sums[:, :-width]) / width
        at = np.linspace(-1, 1, rows.shape[1])
        rows = rows - rows.mean(1, keepdims=True) - np.outer(rows @ at / (at @ at), at)
        left = float(rows.var(0, ddof=1).mean())
        if left <= 0:  # the same numbers in every beat: no noise at all
            left = 1e-12
        # Each lead in units of its own noise, so that none is heard because it is large.
        signal += len(rows) * float(np.mean(rows.mean(0) ** 2)) / left
        noise += 1.0
        freedom = max(freedom, float(len(rows) - 1))
    if not noise:
        return None
    each *= min(int(noise), INDEPENDENT)
    return float(f.sf(signal / noise, each, each * freedom))


def presence(
    data: Array, rate: float, beats: Beats, found: Delineation, marks: GlobalMarks, leads: list[int], wave: int
) -> Presence:
    """Whether the dominant beats have a P wave (0) or a T wave (2).

    Parameters
    ----------
    data
        ``(leads, samples)`` [mV].
    leads
        Rows that count.
    """
    name = "PT"[wave // 2]
    which = beats.dominant
    could = np.asarray(np.isfinite(found.marks[leads][:, :, 4]).any(0)) & which
    length = data.shape[1] / rate
    if wave == 0:  # the first beat may have had its P wave before the recording
        could &= beats.times > 0.25
    else:
        could &= beats.times < length - 0.45
    does = shown(found, beats, leads, wave) & which
    could |= does
    of, count = int(could.sum()), int(does.sum())
    if not of:
        return Presence(False, 0, 0, None, f"no beat whose {name} wave could be seen")
    if count < MOST * of or not np.isfinite(marks.dominant[3 * wave]) or not np.isfinite(marks.dominant[3 * wave + 2]):
        some = f", {name} in {count} of {of} beats" if count else ""
        rest = float(np.median(np.diff(beats.times))) + float(marks.dominant[3] - marks.dominant[8]) if of > 1 else 1.0
        hidden = "; it may lie in the T wave before" if wave == 0 and rest < REST else ""
        return Presence(False, count, of, None, f"no {name} wave found{some}{hidden}")
    first, last = float(marks.dominant[3 * wave]) - 0.01, float(marks.dominant[3 * wave + 2]) + 0.01
    chance = _judged(data, rate, beats, leads, first, last)
    if chance is not None and chance > CHANCE:
        return Presence(False, count, of, chance, f"no {name} wave: what is there does not follow the beats")
    hidden = "" if count == of else f"{name} hidden or absent in {of - count} of {of} beats"
    return Presence(True, count, of, chance, hidden)
