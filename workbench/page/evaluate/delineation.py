"""How far the borders of waves lie from those that people drew.

Borders are matched one to one within `WINDOW`, as CSE and the delineators after it are scored (Martinez et al. 2004,
doi:10.1109/TBME.2003.821031, use the same 150 ms of AAMI EC57).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WINDOW = 0.150
"""Farthest [s] that a border may lie from the one it is matched with."""
BORDERS = ("P on", "P peak", "P off", "QRS on", "QRS peak", "QRS off", "T on", "T peak", "T off")

Times = Mapping[str, npt.NDArray[np.float64]]
"""Moments [s] by border, ascending; NaN for what was not found."""


@dataclass(frozen=True)
class BorderScore:
    """Counts and errors of one border.

    Parameters
    ----------
    border
        One of `BORDERS`.
    reference, found, matched
        Numbers of borders: drawn, found where somebody drew, matched with one another.
    mean, sd
        Mean and standard deviation of found - drawn [ms] over the matched ones; ``None`` for fewer than one and two.
    """

    border: str
    reference: int
    found: int
    matched: int
    mean: float | None
    sd: float | None

    @property
    def sensitivity(self) -> float | None:
        """Share of the drawn borders that were found."""
        return self.matched / self.reference if self.reference else None

    @property
    def predictivity(self) -> float | None:
        """Share of the found borders that were drawn (positive predictive value)."""
        return self.matched / self.found if self.found else None


def matched(
    reference: npt.NDArray[np.float64], found: npt.NDArray[np.float64], window: float = WINDOW
) -> list[tuple[int, int]]:
    """Pairs of indices, the nearest first, each index at most once, none farther apart than `window` [s]."""
    apart = np.abs(np.subtract.outer(reference, found))
    near = np.argwhere(apart <= window)
    order = np.argsort(apart[near[:, 0], near[:, 1]], kind="stable")
    pairs, used_reference, used_found = [], set(), set()
    for r, f in near[order].tolist():
        if r not in used_reference and f not in used_found:
            pairs.append((r, f))
            used_reference.add(r)
            used_found.add(f)
    return pairs


def score(pairs: Iterable[tuple[Times, Times, float, float]], window: float = WINDOW) -> tuple[BorderScore, ...]:
    """Scores over many leads.

    Parameters
    ----------
    pairs
        Of each lead the drawn borders, the found ones, and first and last moment [s] of the stretch in which somebody
        drew. What was found outside of it and matches nothing is not counted: nobody said what is there.
    window
        Farthest distance [s] of two that match.
    """
    counts = {border: [0, 0, 0] for border in BORDERS}
    errors: dict[str, list[float]] = {border: [] for border in BORDERS}
    for reference, found, first, last in pairs:
        for border in BORDERS:
            drawn = np.asarray(reference.get(border, ()), np.float64)
            mine = np.asarray(found.get(border, ()), np.float64)
            drawn, mine = drawn[np.isfinite(drawn)], mine[np.isfinite(mine)]
            both = matched(drawn, mine, window)
            used = {f for _, f in both}
            inside = [f for f, x in enumerate(mine) if f in used or first <= x <= last]
            counts[border][0] += len(drawn)
            counts[border][1] += len(inside)
            counts[border][2] += len(both)
            errors[border] += [1000.0 * (mine[f] - drawn[r]) for r, f in both]
    rows = []
    for border in BORDERS:
        drawn_number, found_number, matched_number = counts[border]
        off = np.array(errors[border])
        mean = float(off.mean()) if len(off) else None
        sd = float(off.std(ddof=1)) if len(off) > 1 else None
        rows.append(BorderScore(border, drawn_number, found_number, matched_number, mean, sd))
    return tuple(rows)
