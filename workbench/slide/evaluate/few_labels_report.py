"""The tables of a comparison of encoders, for the screen, as CSV and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.atomic import write_text
from workbench.core.csv_text import table_text
from workbench.report import html
from workbench.slide.evaluate.few_labels import AT_RANDOM, BY_PATIENT
from workbench.slide.few_shot import BALANCED

Rows = Sequence[dict[str, Any]]
COLUMNS = (
    "set", "encoder", "split", "task", BALANCED, "deviation", "macro F1", "AUROC", "queries", "Acc@1", "Acc@3", "Acc@5",
    "vote@5", "mAP", "chance", "note",
)  # fmt: skip
RETRIEVAL = ("Acc@1", "Acc@3", "Acc@5", "vote@5", "mAP", "chance")


def few_table(rows: Rows, name: str, split: str) -> tuple[list[str], list[list[str]]]:
    """Balanced accuracy of each encoder by the number of labels, mean and deviation, for a set; empty without rows."""
    own = [r for r in rows if r["set"] == name and r["split"] == split and r["task"] != "retrieval"]
    tasks = list(dict.fromkeys(r["task"] for r in own))
    table = [
        [encoder, *(_cell(own, encoder, task) for task in tasks)]
        for encoder in dict.fromkeys(r["encoder"] for r in own)
    ]
    return ["encoder", *tasks], table


def _cell(rows: Rows, encoder: str, task: str) -> str:
    for r in rows:
        if r["encoder"] == encoder and r["task"] == task:
            return f"{r[BALANCED]:.3f} ({r['deviation']:.3f})" if BALANCED in r else "too few tiles"
    return ""


def retrieval_table(rows: Rows, name: str, split: str) -> tuple[list[str], list[list[str]]]:
    """Retrieval by each encoder for a set; empty without rows."""
    own = [r for r in rows if r["set"] == name and r["split"] == split and r["task"] == "retrieval"]
    table = [[r["encoder"], *(f"{r[k]:.3f}" for k in RETRIEVAL), str(r["queries"])] for r in own]
    return ["encoder", *RETRIEVAL, "queries"], table


def _tables(rows: Rows) -> list[tuple[str, list[str], list[list[str]]]]:
    found = []
    for name in dict.fromkeys(r["set"] for r in rows):
        for split in (BY_PATIENT, AT_RANDOM):
            for title, make in (("balanced accuracy, few labels", few_table), ("retrieval", retrieval_table)):
                heads, table = make(rows, name, split)
                if table:
                    found.append((f"{name}: {title}, {split}", heads, table))
    return found


def lines_of(rows: Rows) -> list[str]:
    """The tables as text."""
    found = []
    for title, heads, table in _tables(rows):
        wide = [max(len(str(row[i])) for row in (heads, *table)) for i in range(len(heads))]
        found += ["", title, *("  ".join(str(v).ljust(w) for v, w in zip(row, wide, strict=True)).rstrip()
                               for row in (heads, *table))]  # fmt: skip
    return found


def write_tables(folder: Path, rows: Rows, notes: Sequence[str]) -> list[Path]:
    """``tables.csv`` with all numbers, and ``tables.html``."""
    folder.mkdir(parents=True, exist_ok=True)
    text = table_text(list(COLUMNS), [{c: row.get(c, "") for c in COLUMNS} for row in rows])
    about = html.Text(
        "Balanced accuracy: mean (deviation) over draws of labels; logistic regression, five folds, all tiles judged "
        "in each draw. Retrieval: of the most similar tiles by cosine, by patient only those of other patients. A "
        "split at random shows what the same tiles seem to give where a patient is on both sides."
    )  # fmt: skip
    sections = [html.Section("How", [about, *(html.Text(f"{n}.", "warning") for n in notes)])]
    for title, heads, table in _tables(rows):
        sections.append(html.Section(title[:1].upper() + title[1:], [html.Table(heads, table)]))
    page = html.write(folder / "tables.html", "Encoders on labelled tiles", sections, subtitle="Research use only.")
    return [write_text(folder / "tables.csv", text), page]
