"""The page of a training of a diagnosis: scores of pages that did not teach, beside those of the paper, and how it was
made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.page.train.diagnosis_study import DiagnosisStudy
from workbench.page.train.diagnosis_table import published_rows
from workbench.report import html
from workbench.report.training import how_it_was_made


def write_report(
    path: Path, out: Path, meta: Mapping[str, Any], table: Sequence[Mapping[str, Any]], control: Mapping[str, float],
    study: DiagnosisStudy,
) -> Path:  # fmt: skip
    """Write the HTML report of a training.

    Parameters
    ----------
    path, out
        HTML file to write, and the weight file it is about.
    meta
        Its record.
    table, control
        Rows of `workbench.page.train.diagnosis_table.scored`, and accuracies with shuffled labels.
    """
    training = meta["training"]
    columns = list(dict.fromkeys(k for row in table for k in row))
    parts: list[html.Part] = [html.Text(f"Validated {training['validation']}.")]
    parts += [html.Text(f"{note}.", "warning") for note in training["notes"]]
    parts.append(html.Table(columns, [[row.get(c, "") for c in columns] for row in table],
                            "Of pages by networks that their groups did not teach.", digits=3))  # fmt: skip
    if rows := published_rows(study):
        names = list(dict.fromkeys(k for row in rows for k in row))
        parts.append(html.Table(names, [["" if row[c] is None else row[c] for c in names] for row in rows],
                                "Accuracy that the paper reports on these four classes; its splits are not known to be "
                                "by patient, and pages of this data set have printed words, which are masked here.",
                                digits=3))  # fmt: skip
    chance = max(training["of each class"].values()) / max(training["pages"], 1)
    rows_of_control = [[name, value] for name, value in control.items()]
    said = f"With shuffled labels, last layers alone: the largest class has {chance:.2f}."
    parts.append(html.Table(["opinion", "accuracy"], rows_of_control, said, digits=3))
    counts = [[name, count] for name, count in training["of each class"].items()]
    parts.append(html.Table(["class", "pages"], counts))
    sections = [html.Section("Result", parts), how_it_was_made(out, meta, ("Preparation", "recipe"), ("notes",))]
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")
