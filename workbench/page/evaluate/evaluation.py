"""What a scoring of pages gives: a row for each page, a row for each lead, and means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.page.evaluate.scores import PageScore, mean_kaggle

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]
PHYSIONET, KAGGLE = "PhysioNet 2024 [dB]", "Kaggle [dB]"
LAG, GAIN, TIME, COVERAGE = "lag [ms]", "gain error [%]", "time-scale error [%]", "coverage [%]"
NAMED, SEEN = "named right", "seen"


@dataclass(frozen=True, eq=False)
class Judged:
    """A page that was scored.

    Parameters
    ----------
    named
        Lead -> whether it was found under its name: ``"yes"``, ``"no"``, ``"not found"``.
    what
        What it was held against: ``"record"`` or ``"lines"``.
    seen
        Whether it taught the weights; see `workbench.core.seen.Seen.mark`.
    due, found
        Lead -> mV at `rate` Hz.
    """

    case: str
    score: PageScore
    named: Mapping[str, str]
    what: str
    seen: str
    due: Mapping[str, Floats]
    found: Mapping[str, Floats]
    rate: float

    def lead_rows(self) -> list[Row]:
        """A row for each lead."""
        return [
            {
                "page": self.case, "lead": name, PHYSIONET: s.physionet, KAGGLE: s.kaggle, LAG: 1000 * s.lag,
                GAIN: 100 * (s.gain - 1), TIME: s.stretch, COVERAGE: 100 * s.coverage,
                NAMED: self.named.get(name, "not known"), SEEN: self.seen,
            }
            for name, s in self.score.leads.items()
        ]  # fmt: skip

    def row(self) -> Row:
        """The page in a row: medians of its leads, but decibels as defined and the mean of the coverage."""
        leads = list(self.score.leads.values())
        worst, decibels = self.score.worst
        right = sum(v == "yes" for v in self.named.values())
        return {
            "page": self.case, PHYSIONET: self.score.physionet, KAGGLE: self.score.kaggle,
            "worst lead": worst, "worst lead [dB]": decibels,
            LAG: _median([1000 * s.lag for s in leads]), GAIN: _median([100 * (s.gain - 1) for s in leads]),
            TIME: _median([s.stretch for s in leads]), COVERAGE: float(np.mean([100 * s.coverage for s in leads])),
            NAMED: f"{right} of {len(self.named)}", "reference": self.what, SEEN: self.seen,
        }  # fmt: skip


def _median(values: Sequence[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.median(known)) if known else float("nan")


def summarise(judged: Sequence[Judged]) -> list[Row]:
    """Means over all pages, and over those that did not teach the weights where others did."""
    rows = [_summary("all", judged)]
    unseen = [j for j in judged if j.seen in ("no", "not known")]
    if unseen and len(unseen) < len(judged):
        rows.append(_summary("not seen in training", unseen))
    return rows


def _summary(what: str, judged: Sequence[Judged]) -> Row:
    rows = [j.row() for j in judged]
    named = [v for j in judged for v in j.named.values()]
    known = [row[PHYSIONET] for row in rows if np.isfinite(row[PHYSIONET])]
    return {
        "pages": what, "n": len(rows), PHYSIONET: float(np.mean(known)) if known else float("nan"),
        KAGGLE: mean_kaggle([j.score for j in judged]),
        "worst lead [dB]": _median([row["worst lead [dB]"] for row in rows]),
        LAG: _median([row[LAG] for row in rows]), GAIN: _median([row[GAIN] for row in rows]),
        TIME: _median([row[TIME] for row in rows]), COVERAGE: float(np.mean([row[COVERAGE] for row in rows])),
        "named right [%]": 100.0 * float(np.mean([v == "yes" for v in named])) if named else float("nan"),
    }  # fmt: skip


@dataclass(frozen=True)
class PageEvaluation:
    """Scores of a study; a `workbench.core.reports.EvaluationReport`.

    Parameters
    ----------
    rows, leads
        A row for each page, and for each lead of each page.
    summary
        All pages together: the mean of PhysioNet's decibels, Kaggle's decibels of the mean ratio, medians of the rest.
    """

    rows: list[Row]
    leads: list[Row]
    summary: list[Row]
    failures: Mapping[str, str] = field(default_factory=dict)
    traces: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def text(self) -> str:
        """The summary and the pages as aligned text."""
        return "\n".join([*aligned(self.summary), "", *aligned(self.rows)])


def aligned(rows: Sequence[Row]) -> list[str]:
    """A table as lines of text."""
    shown = list(dict.fromkeys(k for row in rows for k in row))
    table = [shown, *([_text(row.get(c, "")) for c in shown] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(shown))]
    lines = ([f"{cell:{'<' if i < 1 else '>'}{widths[i]}}" for i, cell in enumerate(line)] for line in table)
    return ["  ".join(line).rstrip() for line in lines]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.2f}"
    return str(value)
