"""What ``train`` and ``evaluate`` of every backend give back: the part of it that the shell and others rely on.

A backend's own report may hold more (scores per class, the history, decoded events). Any class with these attributes
will do, most simply a frozen dataclass; `isinstance` tells whether they are all there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class TrainReport(Protocol):
    """What a training made."""

    @property
    def weights(self) -> Path:
        """The weight file."""

    @property
    def log(self) -> Path:
        """The CSV log, a row per validation."""

    @property
    def report(self) -> Path:
        """The HTML report with the curve."""

    @property
    def score(self) -> float | None:
        """Best score on what the training was validated on, in the unit that `measure` names; ``None`` without one."""

    @property
    def measure(self) -> str:
        """Name of that score, with its unit where it has one: ``"Dice"``, ``"cross-entropy [nats]"``."""

    @property
    def validation(self) -> str:
        """In words, what the score was computed on: ``"on 2 held-out case(s) of 2 group(s)"``."""

    @property
    def test(self) -> Mapping[str, float]:
        """Measures on data that neither taught nor chose the weights, by name; empty without such data."""

    @property
    def seconds(self) -> float:
        """How long it took [s]."""

    @property
    def stopped(self) -> str:
        """Why it ended: ``"finished"``, ``"cancelled"``..."""

    @property
    def copied(self) -> tuple[str, ...]:
        """Classes whose output rows were taken over from the starting weights."""


@runtime_checkable
class EvaluationReport(Protocol):
    """Scores of a backend on a study."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """One row of plain values per case, class or run; names with units."""

    @property
    def summary(self) -> Sequence[Mapping[str, Any]]:
        """The rows put together: means and deviations."""

    @property
    def failures(self) -> Mapping[str, str]:
        """Cases that could not be scored: id -> why, in one line."""

    @property
    def traces(self) -> Mapping[str, str]:
        """Tracebacks of failures that nobody foresaw, by case."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What readers of the scores should know."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What was written; empty if nothing was asked for."""

    def text(self) -> str:
        """The summary as aligned text, for the shell."""
