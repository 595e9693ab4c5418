"""What was measured: numbers with their unit and spread, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.page.measure.beats import Beats
from workbench.page.measure.delineate import BORDERS, Delineation
from workbench.page.measure.median_beat import MedianBeat
from workbench.page.measure.presence import Presence


@dataclass(frozen=True)
class Measurement:
    """One number.

    Parameters
    ----------
    name
        ``"PR"``, ``"QRS"``...
    value
        The number, or ``None``: not measurable.
    unit
        ``"ms"``, ``"1/min"``, ``"deg"`` or ``""``.
    spread
        Standard deviation from beat to beat, in the same unit; ``None`` for fewer than three beats.
    between_leads
        Standard deviation of what each lead alone would say; ``None`` for fewer than three leads, or where it has no
        meaning.
    reason
        Why there is no number, or what to know about it; empty otherwise.
    """

    name: str
    value: float | None
    unit: str
    spread: float | None = None
    between_leads: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: not measurable ({self.reason})"
        spread = "" if self.spread is None else f" +- {self.spread:.0f}"
        return f"{self.name}: {self.value:.0f}{spread} {self.unit}".rstrip()


@dataclass(frozen=True, eq=False)
class Measurements:
    """All numbers of one electrocardiogram, and what they were taken from.

    A time base that is wrong by a factor (25 for 50 mm/s) changes every interval by it and shows in nothing here.

    Parameters
    ----------
    values
        In the order of a report.
    beats
        When the beats are, and which look alike.
    waves
        Borders of P, QRS and T of each beat and lead.
    per_beat
        ``(beats, 9)`` float64 [s from the first sample], in the order of `BORDERS`: borders over all leads.
    median
        The representative beat; ``None`` where no beat was found.
    p, t
        Whether there are P and T waves, and how sure that is.
    notes
        What may make these numbers wrong.
    """

    values: tuple[Measurement, ...]
    beats: Beats
    waves: Delineation
    per_beat: npt.NDArray[np.float64]
    median: MedianBeat | None
    p: Presence
    t: Presence
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self.values)

    def __getitem__(self, name: str) -> Measurement:
        for value in self.values:
            if value.name == name:
                return value
        raise KeyError(name)

    def rows(self) -> list[dict[str, str | float | None]]:
        """One row per number, for a table: name, value, unit, spread, between_leads, reason."""
        return [
            {
                "name": m.name, "value": m.value, "unit": m.unit, "spread": m.spread,
                "between_leads": m.between_leads, "reason": m.reason,
            }
            for m in self.values
        ]  # fmt: skip

    def beat_rows(self) -> list[dict[str, float | int | None]]:
        """One row per beat: kind (0 is the dominant one) and nine borders over all leads [s]; absent is ``None``."""
        return [
            {"beat": k + 1, "kind": int(kind)}
            | {border: float(x) if np.isfinite(x) else None for border, x in zip(BORDERS, marks, strict=True)}
            for k, (kind, marks) in enumerate(zip(self.beats.kind, self.per_beat, strict=True))
        ]
