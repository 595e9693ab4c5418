"""What an evaluation of volumes gives: rows, their summary, and which classes were compared with which."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workbench.core.class_match import Compared, compared_lines
from workbench.volume.evaluate.segmentation import UNSEEN, Row


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
