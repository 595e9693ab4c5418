"""What an evaluation of volumes gives: rows, their summary, and which classes were compared with which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.volume.evaluate.matching import ClassMatch, Matching
from workbench.volume.evaluate.segmentation import UNSEEN, Row


@dataclass(frozen=True)
class Compared:
    """Which classes of a study were compared, over all its cases.

    Parameters
    ----------
    classes
        Per class of the weights what it was compared with and why, and in how many cases; most often one row.
    unknown
        Classes of the references that the weights do not know: name -> in how many cases they occur.
    """

    classes: tuple[tuple[ClassMatch, int], ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, matchings: Iterable[Matching]) -> Compared:
        """From the matching of every case that was scored."""
        counts: dict[ClassMatch, int] = {}
        unknown: dict[str, int] = {}
        for matching in matchings:
            for m in matching.matches:
                counts[m] = counts.get(m, 0) + 1
            for name, _ in matching.unknown:
                unknown[name] = unknown.get(name, 0) + 1
        return cls(tuple(sorted(counts.items(), key=lambda item: item[0].value)), unknown)

    @property
    def names(self) -> tuple[str, ...]:
        """Classes of the weights that had a reference class in some case."""
        return tuple(dict.fromkeys(m.name for m, _ in self.classes if m.reference))

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes of the weights without a reference class in any case."""
        with_one = set(self.names)
        return tuple(dict.fromkeys(m.name for m, _ in self.classes if m.name not in with_one))

    @property
    def headline(self) -> str:
        """Over which classes the means are: ``3 of 6 classes of the weights (liver, spleen, aorta)``."""
        total = len(self.names) + len(self.missing)
        text = f"{len(self.names)} of {total} classes of the weights ({', '.join(self.names)})"
        if self.missing:
            text += f"; without a reference class: {', '.join(self.missing)}"
        if self.unknown:
            text += f"; {len(self.unknown)} reference class(es) that the weights do not know: {_few(self.unknown)}"
        return text

    def rows(self) -> list[dict[str, object]]:
        """One plain row per class of the weights and way of comparing."""
        return [
            {
                "class": m.name, "value": m.value, "reference": m.compared_with,
                "reference_values": [v for _, v in m.reference], "why": m.why, "cases": count,
            }
            for m, count in self.classes
        ]  # fmt: skip


def _few(names: Iterable[str], most: int = 8) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


@dataclass(frozen=True)
class VolumeEvaluation:
    """Scores of a study.

    Parameters
    ----------
    rows, summary
        See `score_case` and `summarise`.
    failures
        Cases that could not be scored: id -> why.
    files
        What was written: ``scores.csv``, ``scores.json``, ``report.html``; empty if nothing was asked for.
    notes
        What readers of the scores should know, e.g. cases whose distances are approximate.
    traces
        Tracebacks of failures that were not foreseen, by case.
    compared
        Which class of the references each class of the weights was compared with, and why.

    It is a `workbench.core.reports.EvaluationReport`.
    """

    rows: list[Row]
    summary: list[Row]
    failures: dict[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    traces: dict[str, str] = field(default_factory=dict)
    compared: Compared = field(default_factory=Compared)

    @property
    def mean_dice(self) -> float:
        """Mean Dice over all classes that were compared (`Compared.headline` names them) and all cases."""
        return float(self.summary[-1]["dice_mean"])

    @property
    def mean_dice_unseen(self) -> float | None:
        """The same over the cases that did not teach the weights; None unless some did and some did not."""
        found = [r for r in self.summary if r["class"] == UNSEEN]
        return float(found[0]["dice_mean"]) if found else None

    def text(self) -> str:
        """The summary per class as aligned text, and over which classes the mean is."""
        width = max(len(str(r["class"])) for r in self.summary)
        lines = [f"{'class':<{width}}  cases   Dice     sd  HD95 [mm]  surface Dice  missed"]
        for r in self.summary:
            scores = f"{r['dice_mean']:.3f}  {r['dice_sd']:.3f}  {r['hd95_mm_mean']:>9.2f}  {r['nsd_mean']:>12.3f}"
            lines.append(f"{r['class']:<{width}}  {r['cases']:>5}  {scores}  {r['missed']:>6}")
        if self.compared.classes:
            lines.append(f"mean over {self.compared.headline}")
            lines += [f"  {line}" for line in compared_lines(self.compared.classes)]
        return "\n".join(lines)


def compared_lines(classes: Sequence[tuple[ClassMatch, int]]) -> list[str]:
    """``kidneys: kidney_right (2) + kidney_left (3), told by classes`` per class of the weights."""
    return [
        f"{m.name} ({m.value}): {m.compared_with}, {m.why}" if m.reference else f"{m.name} ({m.value}): {m.why}"
        for m, _ in classes
    ]
