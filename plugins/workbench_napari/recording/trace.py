"""One channel as it is drawn, and its numbers for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_STEPS = (1, 2, 5)


@dataclass(frozen=True, eq=False)
class Trace:
    """One channel: name, unit, colour, times [s] and values ``(n,)``, and the value that one row is high.

    `channel` is its name in the recording, and `is_bad` whether it is drawn in grey.
    """

    name: str
    unit: str
    color: str
    times: npt.NDArray[Any]
    values: npt.NDArray[Any]
    height: float
    channel: str = ""
    is_bad: bool = False


def nice(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten that is not smaller."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return next(float(f"{f * power:.6g}") for f in (*_STEPS, 10) if f * power >= value * (1 - 1e-9))


def number(value: float) -> str:
    """Three digits, and never an exponent that people have to work out."""
    if np.isnan(value):
        return "-"
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
