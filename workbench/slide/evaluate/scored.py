"""Scores of nuclei: of one picture, and of all pictures together, by the conventions of PanNuke and of CoNIC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.slide.evaluate.nuclei import (
    Detection,
    Panoptic,
    aggregated_jaccard,
    detection,
    mean_pq,
    panoptic,
    pooled,
)
from workbench.slide.predict.traced import traced

Numbers = npt.NDArray[np.int32]
ALL = "all nuclei"
MEAN = "mean over classes"
NO_CLASSES = ClassTable()


@dataclass(frozen=True)
class Scored:
    """One picture: counts of all nuclei (class 0) and of those of each class, and AJI of all.

    Parameters
    ----------
    panoptic, detection
        By the value of the class, 0 for all nuclei whatever their class.
    """

    case: str
    panoptic: Mapping[int, Panoptic]
    detection: Mapping[int, Detection]
    aji: float

    def rows(self, classes: ClassTable, radius: float, method: str, seen: str) -> list[dict[str, Any]]:
        """Plain values, a row per class."""
        names = {0: ALL, **{c.value: c.name for c in classes}}
        found = []
        for value, one in self.panoptic.items():
            near = self.detection[value]
            found.append({
                "case": self.case, "method": method, "class": names[value], "reference nuclei": one.pairs + one.missed,
                "found nuclei": one.pairs + one.excess, "PQ": one.pq, "DQ": one.dq, "SQ": one.sq,
                "AJI": self.aji if value == 0 else float("nan"), f"precision ({radius:g} um)": near.precision,
                f"recall ({radius:g} um)": near.recall, f"F1 ({radius:g} um)": near.f1, "seen by the weights": seen,
            })  # fmt: skip
        return found


def score(
    case: str, right: Numbers, found: Numbers, radius: float, classes: ClassTable = NO_CLASSES,
    types: tuple[Numbers, Numbers] | None = None,
) -> Scored:  # fmt: skip
    """Compare numbers of nuclei ``(H, W)``.

    Parameters
    ----------
    radius
        In pixels.
    types
        The classes of both, per pixel; nuclei of a class are then scored as if there were no others.
    """
    quality, near = {0: panoptic(right, found)}, {0: _near(right, found, radius)}
    if types is not None:
        found = _without_unknown(found, (right > 0) & (types[0] == 0))
    for c in classes if types is not None else ():
        assert types is not None
        one, other = (np.where(kind == c.value, x, 0) for x, kind in zip((right, found), types, strict=True))
        quality[c.value], near[c.value] = panoptic(one, other), _near(one, other, radius)
    return Scored(case, quality, near, aggregated_jaccard(right, found))


def _without_unknown(found: Numbers, unknown: npt.NDArray[np.bool_]) -> Numbers:
    """Found nuclei that lie, for the most part, on right ones without a class are of no class that could be wrong."""
    if not unknown.any():
        return found
    top = int(found.max(initial=0)) + 1
    share = np.bincount(found[unknown], minlength=top) / np.maximum(np.bincount(found.ravel(), minlength=top), 1)
    return np.where(share[found] > 0.5, 0, found).astype(np.int32)


def _near(right: Numbers, found: Numbers, radius: float) -> Detection:
    return detection(traced(right).centroids, traced(found).centroids, radius)


def summarise(scored: Sequence[Scored], classes: ClassTable, radius: float, method: str) -> list[dict[str, Any]]:
    """A row for all nuclei, for each class, and for the mean over classes.

    bPQ, AJI and mPQ are means over the pictures that have nuclei (PanNuke): of a picture, mPQ is the mean over the
    classes that it has. PQ+ and mPQ+ are of the counts of all pictures together (CoNIC).
    """
    values = {0: ALL, **{c.value: c.name for c in classes if any(c.value in s.panoptic for s in scored)}}
    rows = []
    for value, name in values.items():
        those = [s for s in scored if value in s.panoptic]
        own = [s.panoptic[value] for s in those]
        whole = pooled(own)
        near = sum((s.detection[value] for s in those), Detection())
        rows.append({
            "method": method, "class": name, "pictures": len(own), "reference nuclei": whole.pairs + whole.missed,
            "found nuclei": whole.pairs + whole.excess, "bPQ" if value == 0 else "PQ": mean_pq(own), "PQ+": whole.pq,
            "DQ+": whole.dq, "SQ+": whole.sq,
            "AJI": _mean([s.aji for s in scored if _has(s.panoptic[0])]) if value == 0 else float("nan"),
            f"precision ({radius:g} um)": near.precision, f"recall ({radius:g} um)": near.recall,
            f"F1 ({radius:g} um)": near.f1,
        })  # fmt: skip
    kinds = [v for v in values if v]
    if kinds:
        those = [s for s in scored if kinds[0] in s.panoptic]
        each = [_mean([s.panoptic[v].pq for v in kinds if _has(s.panoptic[v])]) for s in those]
        wholes = [pooled([s.panoptic[v] for s in those]) for v in kinds]
        rows.append({
            "method": method, "class": MEAN, "pictures": len(those), "mPQ": _mean(each),
            "mPQ+": _mean([w.pq for w in wholes if _has(w)]),
        })  # fmt: skip
    return rows


def _has(one: Panoptic) -> bool:
    return one.pairs + one.missed > 0


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if v == v]
    return float(np.mean(known)) if known else float("nan")
