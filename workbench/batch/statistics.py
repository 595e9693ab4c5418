"""Sizes of classes over a study, and which cases are far from the others, by a rule that outliers do not spoil."""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.batch.rows import Rows, sizes

LEAST = 5
"""With fewer sizes nothing is marked: they do not say what is usual."""
CUT = 3.5
EMPTY_SHARE = 0.1
LISTED = 10
"""Outliers of a class that are named; all are marked in the table of cases."""

RULE = (
    f"A size is marked where its modified z-score is above {CUT:g}: 0.6745 · |x − median| / MAD, MAD being the median "
    "distance from the median; x is the logarithm of the size (where a study has sizes below 0, the size itself). "
    "Where more than half of the sizes are equal the MAD is 0, and the mean distance from the median, times 1.2533, "
    "takes the place of MAD / 0.6745. A size of 0 is marked where fewer than one in ten cases have it. "
    f"With fewer than {LEAST} sizes of a class none is marked."
)
"""The rule in words, as the page says it."""


@dataclass(frozen=True)
class Rule:
    """When a size of a class is far from the others.

    Parameters
    ----------
    middle, scale
        Median of what is compared, and the distance from it that a z-score of 1 is; 0 marks nothing.
    log
        Whether logarithms are compared.
    empty
        Whether a size of 0 is marked.
    """

    middle: float = 0.0
    scale: float = 0.0
    log: bool = True
    empty: bool = False

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> Rule:
        """The rule that these sizes give; see `RULE`."""
        log = bool((values >= 0).all())
        compared = np.log(values[values > 0]) if log else values
        zeros = int((values == 0).sum())
        empty = log and len(values) >= LEAST and 0 < zeros < EMPTY_SHARE * len(values)
        if len(compared) < LEAST:
            return cls(log=log, empty=empty)
        middle = float(np.median(compared))
        distance = np.abs(compared - middle)
        scale = float(np.median(distance)) / 0.6745 or float(distance.mean()) * 1.253314
        return cls(middle, scale, log, empty)

    def score(self, size: float) -> float:
        """Modified z-score with its sign; infinite for a size of 0 that is marked."""
        if self.log and size <= 0:
            return -math.inf if self.empty else 0.0
        off = (math.log(size) if self.log else size) - self.middle
        if self.scale == 0 or abs(off) <= 1e-9 * max(1.0, abs(self.middle)):  # a rounding is no difference
            return 0.0
        return off / self.scale

    def says(self, size: float) -> str:
        """``"high"``, ``"low"``, ``"empty"``, or "" for a size that is not marked."""
        score = self.score(size)
        if abs(score) <= CUT:
            return ""
        return "high" if score > 0 else "empty" if size == 0 else "low"


@dataclass(frozen=True)
class ClassStatistics:
    """The sizes of one class over all cases that have one; deviation and quartiles are those of the sample."""

    name: str
    n: int
    median: float
    quartiles: tuple[float, float]
    mean: float
    sd: float
    least: float
    most: float
    rule: Rule

    @property
    def is_marked(self) -> bool:
        """Whether there are enough sizes to mark any."""
        return self.n >= LEAST


@dataclass(frozen=True)
class Outlier:
    """A case whose size of a class is marked; `number` is its place among the rows, from 0."""

    number: int
    case: str
    size: float
    says: str


def class_statistics(rows: Rows, measure: str, classes: Sequence[str]) -> list[ClassStatistics]:
    """Statistics of each class, in that order: one pass over the rows, which keeps 8 bytes per size."""
    values: dict[str, array[float]] = {name: array("d") for name in classes}
    for row in rows:
        for name, size in sizes(row, measure).items():
            if name in values:
                values[name].append(size)
    found = []
    while values:
        name = next(iter(values))
        found.append(_statistics(name, np.frombuffer(values.pop(name), np.float64)))
    return found


def outliers(rows: Rows, measure: str, statistics: Sequence[ClassStatistics]) -> dict[str, tuple[int, list[Outlier]]]:
    """How many sizes of each class are marked, and the farthest of them, first; one pass over the rows."""
    rules = {s.name: s.rule for s in statistics if s.is_marked}
    counts = dict.fromkeys(rules, 0)
    kept: dict[str, list[tuple[float, int, Outlier]]] = {name: [] for name in rules}
    for number, row in enumerate(rows):
        for name, size in sizes(row, measure).items():
            if name not in rules or not (says := rules[name].says(size)):
                continue
            counts[name] += 1
            # Among equals the first in the list wins.
            entry = (abs(rules[name].score(size)), -number, Outlier(number, str(row.get("case", "")), size, says))
            (heapq.heappush if len(kept[name]) < LISTED else heapq.heappushpop)(kept[name], entry)
    return {name: (counts[name], [o for _, _, o in sorted(kept[name], reverse=True)]) for name in rules}


def _statistics(name: str, values: npt.NDArray[np.float64]) -> ClassStatistics:
    low, median, high = (float(v) for v in np.percentile(values, (25, 50, 75)))
    return ClassStatistics(
        name=name,
        n=len(values),
        median=median,
        quartiles=(low, high),
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        least=float(values.min()),
        most=float(values.max()),
        rule=Rule.of(values),
    )
