"""What the reports of all trainings have in common: the course of loss and score, and how the weights were made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from workbench.report import html
from workbench.report.pictures import curves


def course(
    history: Sequence[Mapping[str, float]],
    scores: Mapping[str, str],
    *,
    ylabel: str,
    limits: tuple[float, float] | None = None,
    against: Literal["minutes", "steps"] = "steps",
) -> bytes:
    """PNG of validation scores (left axis) and loss (right axis) over a training.

    Parameters
    ----------
    history
        Rows of the log, see `workbench.training.loop.FitResult.history`.
    scores
        Label of each curve and the column of the log it shows; columns that no row has are left out.
    ylabel, limits
        Of the scores' axis.
    against
        What the horizontal axis counts.
    """
    across = [row["seconds"] / 60 if against == "minutes" else row["step"] for row in history]
    lines = {
        label: (across, [row.get(column, math.nan) for row in history])
        for label, column in scores.items()
        if any(column in row for row in history)
    }
    loss = {"loss": (across, [row["loss"] for row in history])}
    return curves(lines, xlabel=against, ylabel=ylabel, limits=limits, right=loss, right_label="loss")


def how_it_was_made(
    out: Path, meta: Mapping[str, Any], preparation: tuple[str, str], leave_out: Sequence[str] = ()
) -> html.Section:
    """Facts of a training, its settings, how its data were prepared, and the network.

    Parameters
    ----------
    out
        The weight file.
    meta
        Its record.
    preparation
        Title, and the entry of the record that says how data are prepared.
    leave_out
        Facts of the training that the report shows elsewhere.
    """
    training = meta["training"]
    facts = {k: v for k, v in training.items() if k not in ("settings", *leave_out)}
    title, key = preparation
    return html.Section(
        "How it was made",
        [
            html.Facts({"weights": out.name, **facts}),
            html.Facts(training["settings"], folded=True, title="Settings"),
            html.Facts(meta[key], folded=True, title=title),
            html.Facts(meta["net"], folded=True, title="Network"),
        ],
    )
