"""Speed and gain of a page: as a person says, else as its words say, else as its pulses are high, else as is usual."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.page.predict.pulses import gain_of, other_speed

Floats = npt.NDArray[np.floating[Any]]
USUAL_SPEED, USUAL_GAIN = 25.0, 10.0
_SPEED = re.compile(r"(\d+(?:[.,]\d+)?)\s*mm\s*/\s*s", re.IGNORECASE)
_GAIN = re.compile(r"(\d+(?:[.,]\d+)?)\s*mm\s*/\s*m[vV]")
_SPEEDS, _GAINS = (5.0, 100.0), (1.0, 50.0)
"""What can be said of a page [mm/s and mm/mV]; other numbers are of something else."""


class Words(Protocol):
    """Words of a page."""

    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class Said:
    """Speeds [mm/s] and gains [mm/mV] that stand on a page, in words."""

    speeds: tuple[float, ...] = ()
    gains: tuple[float, ...] = ()

    @property
    def speed(self) -> float | None:
        """The only one that stands there."""
        return self.speeds[0] if len(self.speeds) == 1 else None

    @property
    def gain(self) -> float | None:
        """The only one that stands there."""
        return self.gains[0] if len(self.gains) == 1 else None


def said(texts: Iterable[Words]) -> Said:
    """What words say of the scale."""
    words = " ".join(t.text for t in texts)
    found = []
    for pattern, (low, high) in ((_SPEED, _SPEEDS), (_GAIN, _GAINS)):
        numbers = {float(v.replace(",", ".")) for v in pattern.findall(words)}
        found.append(tuple(sorted(v for v in numbers if low <= v <= high)))
    return Said(*found)


def scale(
    pulses: Floats, speed: float | None, gain: float | None, words: Said | None
) -> tuple[float, float, list[str]]:
    """Speed [mm/s] and gain [mm/mV] of a page, and what they rest on.

    Parameters
    ----------
    pulses
        Height and width [mm] of the calibration pulses, ``(pulses, 2)``.
    speed, gain
        What a person said.
    words
        What stands on the page; ``None`` where its words cannot be read.
    """
    heights, widths = pulses.T
    found, notes = _speed(speed, words)
    high, more = _gain(gain, words or Said(), heights)
    hint = other_speed(widths, found)
    return found, high, [*more, *notes, *([hint] if hint else [])]


def _speed(given: float | None, words: Said | None) -> tuple[float, list[str]]:
    if words is None:
        unread = (
            f"the speed was taken as {USUAL_SPEED:g} mm/s: words on pictures are not read: check that it says "
            f"{USUAL_SPEED:g} mm/s"
        )
        return given or USUAL_SPEED, [unread] if given is None else []
    used = given or words.speed or USUAL_SPEED
    if given is not None:
        return used, _against(given, words.speed, "speed", "mm/s")
    return used, [f"the speed was taken as {used:g} mm/s: {_why(words.speeds, 'mm/s')}"]


def _gain(given: float | None, words: Said, heights: Floats) -> tuple[float, list[str]]:
    by_pulse, high = gain_of(heights)
    seen = f"{len(heights)} calibration pulses are {high:.1f} mm high"
    used = given or words.gain or by_pulse or USUAL_GAIN
    notes = [] if given is None else _against(given, words.gain, "gain", "mm/mV")
    if (given or words.gain) is not None and by_pulse is not None and by_pulse != used:
        claim = "the gain was given as" if given is not None else "the page says"
        notes.append(f"{claim} {used:g} mm/mV, and {seen}: one of them is wrong, or they are not 1 mV")
    if given is not None:
        return used, notes
    if words.gain is None and by_pulse is not None:
        return used, [f"the gain is {used:g} mm/mV by {len(heights)} calibration pulses, {high:.1f} mm high"]
    pulses = f"its pulses are {high:.1f} mm high" if len(heights) else "no calibration pulse was seen whole"
    why = _why(words.gains, "mm/mV") if words.gains else pulses
    return used, [f"the gain was taken as {used:g} mm/mV: {why}", *notes]


def _why(said: tuple[float, ...], unit: str) -> str:
    """What a number rests on that nobody gave."""
    if len(said) > 1:
        return f"the page says {' and '.join(f'{v:g}' for v in said)} {unit}, check which of its leads are so"
    return "as the page says" if said else "nothing on the page says it"


def _against(given: float, said: float | None, name: str, unit: str) -> list[str]:
    if said is None or said == given:
        return []
    return [f"the {name} was given as {given:g} {unit}, and the page says {said:g}"]
