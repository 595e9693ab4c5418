"""Steps between slices: even, uneven, missing ones or places that occur twice; and uneven ones made even when asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError

TOLERANCE = 0.1
"""Positions are written with few decimals (0.625 mm steps as 0.6, 1.3, 1.9): a slice may lie this part of the slice
distance off the regular grid. A missing slice is off by far more."""

_MOST_SLICES = 65535


class Placed(Protocol):
    """What is asked of a plane: its name for people, its object and frame, and its number in the series."""

    @property
    def where(self) -> str: ...

    @property
    def uid(self) -> str: ...

    @property
    def frame(self) -> int | None: ...

    @property
    def number(self) -> int | None: ...


@dataclass(frozen=True, eq=False)
class EvenSteps:
    """Slices in even steps, each between two planes.

    Attributes
    ----------
    step
        Height of a slice along the normal [mm].
    below, share
        For each slice the plane below it, and how far it lies on the way to the next one (0 to 1).
    said
        What was done, for people.
    """

    step: float
    below: npt.NDArray[np.intp]
    share: npt.NDArray[np.float64]
    said: str

    def resampled(self, planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Linear interpolation of ``(planes, ...)``; whole numbers are rounded, so that the type stays as it is."""
        out = np.empty((len(self.below), *planes.shape[1:]), planes.dtype)
        for k, (n, share) in enumerate(zip(self.below, self.share, strict=True)):
            if share < 1e-9:
                out[k] = planes[n]
                continue
            mixed = planes[n] * (1 - share) + planes[n + 1] * share
            out[k] = mixed if planes.dtype.kind == "f" else np.rint(mixed)
        return out


def require_single(ordered: Sequence[Placed], heights: npt.NDArray[np.float64], source: Path) -> None:
    """Refuse places that occur twice."""
    steps = np.diff(heights)
    doubled = np.flatnonzero(steps <= max(1e-4, 1e-3 * float(np.median(steps))))
    if not doubled.size:
        return
    a, b = ordered[doubled[0]], ordered[doubled[0] + 1]
    if a.uid and a.uid == b.uid and a.frame == b.frame:
        hint = "They are one object (the same SOPInstanceUID), stored twice: give the folder without the second file."
    else:
        hint = (
            "They are of several volumes, and none of the attributes that are known (echo, time, acquisition,"
            " diffusion, type of image) tells which is of which: give each volume its own folder."
        )
    raise GeometryError(
        f"{source}: {len(doubled)} slice position(s) occur twice, first {heights[doubled[0]]:.6g} mm ({a.where} and"
        f" {b.where}), each was expected once. {hint}"
    )


def is_even(heights: npt.NDArray[np.float64]) -> bool:
    """Whether the slices lie on a regular grid, but for the rounding of their positions."""
    grid = np.linspace(heights[0], heights[-1], len(heights))
    return bool(np.abs(heights - grid).max() <= TOLERANCE * float(np.median(np.diff(heights))))


def require_even(
    ordered: Sequence[Placed], heights: npt.NDArray[np.float64], source: Path, *, regularise: bool
) -> EvenSteps:
    """Even steps for uneven ones, where that is asked for; else, and where slices are missing, an error."""
    steps = np.diff(heights)
    gaps = _gaps(ordered, steps)
    if gaps is not None:
        usual = float(np.median(steps))
        missing = int(sum(round(steps[g] / usual) - 1 for g in gaps))
        places = ", ".join(f"{heights[g]:.6g} to {heights[g + 1]:.6g} mm" for g in gaps[:5])
        more = f" and {len(gaps) - 5} more" if len(gaps) > 5 else ""
        raise GeometryError(
            f"{source}: about {missing} slice(s) missing between {places}{more} along the slice normal; a step of"
            f" {usual:.6g} mm was expected. Copy the series again."
        )
    said = (
        f"uneven slice spacing, {steps.min():.6g} mm (at {heights[int(steps.argmin())]:.6g} mm) to"
        f" {steps.max():.6g} mm (at {heights[int(steps.argmax())]:.6g} mm)"
    )
    if not regularise:
        raise GeometryError(
            f"{source}: {said}, one step was expected: {_runs(heights)}. Choose a reconstruction with one step, or"
            " resample it to even steps: --regularise (in Python regularise=True)."
        )
    return _evenly(heights, said, source)


def _evenly(heights: npt.NDArray[np.float64], said: str, source: Path) -> EvenSteps:
    """Steps of the most frequent height, from the first slice on, as far as there are slices."""
    steps = np.diff(heights)
    rounded, counts = np.unique(np.round(steps, 2), return_counts=True)
    usual = float(np.median(steps[np.round(steps, 2) == rounded[int(counts.argmax())]]))
    count = int((heights[-1] - heights[0]) / usual + 1e-3) + 1
    if count > _MOST_SLICES:
        raise GeometryError(f"{source}: {said}: even steps would make {count} slices. Export it with one step.")
    wanted = heights[0] + usual * np.arange(count)
    below = np.clip(np.searchsorted(heights, wanted + 1e-6, side="right") - 1, 0, len(heights) - 2)
    share = np.clip((wanted - heights[below]) / steps[below], 0.0, 1.0)
    below, share = np.where(share > 1 - 1e-6, below + 1, below), np.where(share > 1 - 1e-6, 0.0, share)
    share = np.where(share < 1e-6, 0.0, share)
    note = (
        f"{said}: resampled by linear interpolation from {len(heights)} slices to {count} slices in steps of"
        f" {usual:.6g} mm, as asked"
    )
    return EvenSteps(usual, below.astype(np.intp), share, note)


def _gaps(ordered: Sequence[Placed], steps: npt.NDArray[np.float64]) -> list[int] | None:
    """Where slices are missing; ``None`` where steps only are uneven.

    Numbers of the slices decide, where they have some: a number is missing for each slice that is. Without them, wide
    steps are gaps where they are whole multiples of the usual step and stand alone; several in a row are a change of
    the step.
    """
    usual = float(np.median(steps))
    wide = [int(g) for g in np.flatnonzero(steps > 1.5 * usual)]
    multiples = steps / usual
    if not wide or np.abs(multiples - np.rint(multiples)).max() > 2 * TOLERANCE:
        return None
    numbers = [p.number for p in ordered]
    known = [n for n in numbers if n is not None]
    if len(set(known)) == len(ordered):
        jumps = [abs(b - a) for a, b in pairwise(known)]
        if all(jumps[g] == 1 for g in wide):
            return None
        if all(jumps[g] == round(multiples[g]) for g in wide):
            return wide
    in_a_row = any(b == a + 1 for a, b in pairwise(wide))
    return None if in_a_row else wide


def _runs(heights: npt.NDArray[np.float64]) -> str:
    """``5 mm from 0 to 55, 10 mm from 55 to 95``: the steps one after the other."""
    steps = np.round(np.diff(heights), 2)
    cuts = [0, *(int(i) + 1 for i in np.flatnonzero(np.diff(steps))), len(steps)]
    runs = [f"{steps[a]:g} mm from {heights[a]:.6g} to {heights[b]:.6g}" for a, b in pairwise(cuts)]
    return ", ".join(runs[:4]) + (f" and {len(runs) - 4} changes more" if len(runs) > 4 else "")
