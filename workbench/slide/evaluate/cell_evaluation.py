"""What a scoring of nuclei gives: rows, their summary, and pictures to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Row = dict[str, Any]


@dataclass(frozen=True)
class CellEvaluation:
    """Scores of a study; a `workbench.core.reports.EvaluationReport`.

    Parameters
    ----------
    rows, summary
        A row per picture, class and method; and of all pictures together.
    """

    rows: list[Row]
    summary: list[Row]
    failures: Mapping[str, str] = field(default_factory=dict)
    traces: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def bpq(self) -> float:
        """Mean panoptic quality of all nuclei whatever their class, over the pictures that have any."""
        return float(self.summary[0]["bPQ"])

    def text(self) -> str:
        """The summary as aligned text."""
        shown = [c for c in dict.fromkeys(k for row in self.summary for k in row) if c not in ("DQ+", "SQ+")]
        table = [shown, *([_text(row.get(c, "")) for c in shown] for row in self.summary)]
        widths = [max(len(line[i]) for line in table) for i in range(len(shown))]
        lines = ([f"{cell:{'<' if i < 2 else '>'}{widths[i]}}" for i, cell in enumerate(line)] for line in table)
        return "\n".join(" ".join(line).rstrip() for line in lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3f}"
    return str(value)


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture with its nuclei, for the report."""

    caption: str
    pixels: npt.NDArray[np.uint8]
    right: npt.NDArray[np.int32]
    found: npt.NDArray[np.int32]
