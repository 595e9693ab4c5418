"""The settings of scoring the reader of pages: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting


@dataclass(frozen=True)
class PageEvaluateConfig:
    """How pages are read (as by `predict`), and what of it is shown."""

    weights: str = setting("demo", "Weights: demo, a known name, or a file or folder.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    speed: float | None = setting(
        None, "Speed of the paper of all pages; by default as the text of a PDF page says, else 25.", unit="mm/s",
        low=5.0, high=100.0,
    )  # fmt: skip
    gain: float | None = setting(
        None,
        "Height of a millivolt on all pages; by default as the text of a PDF page says, else as the calibration pulses "
        "are high, else 10.",
        unit="mm/mV", low=1.0, high=50.0,
    )  # fmt: skip
    layout: str = setting(
        "", "Arrangement of the leads of all pages, where a person knows it (3x4+1...): leads of a record that it has "
        "not are not due then.",
    )  # fmt: skip
    turn: Literal["auto", "0", "90", "180", "270"] = setting(
        "auto", "Degrees by which pictures are turned clockwise before they are read."
    )
    worst: int = setting(3, "How many of the worst pages to show.", low=0, high=50)
    diagnosis: str = setting(
        "none",
        "Weights of a diagnosis (demo or a file): labelled pages are diagnosed and scored, instead of their leads.",
    )
    label_column: str = setting(
        "label", "diagnosis: column of the list that holds the label; else folders are classes."
    )
    mask: bool = setting(True, "diagnosis: paint over words before a page is looked at; no: as it is printed.")
