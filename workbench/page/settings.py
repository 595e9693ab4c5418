"""The settings of reading pages: arguments, flags and form are made from this declaration. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting
from workbench.page.evaluate.settings import PageEvaluateConfig as EvaluateConfig
from workbench.page.train.settings import PageTrainConfig as TrainConfig

__all__ = ["Config", "EvaluateConfig", "TrainConfig"]


@dataclass(frozen=True)
class Config:
    """Settings of `predict`."""

    weights: str = setting("demo", "Weights: demo, a known name, or a file or folder.")
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, cuda:N or mps.")
    speed: float | None = setting(
        None,
        "Speed of the paper; by default as the text of a PDF page says, else 25: words on pictures are not read.",
        unit="mm/s", low=5.0, high=100.0,
    )  # fmt: skip
    gain: float | None = setting(
        None,
        "Height of a millivolt; by default as the text of a PDF page says, else as the calibration pulses are high "
        "(5, 10 or 20), else 10.",
        unit="mm/mV", low=1.0, high=50.0,
    )  # fmt: skip
    layout: str = setting(
        "",
        "Arrangement of the leads (3x4, 3x4+1, 6x2, 12x1...; with ' Cabrera' behind for that order); by default as the "
        "names of leads and the rows say.",
    )
    pixels_per_mm: float | None = setting(
        None,
        "Pixels a millimetre of the paper; by default as its grid is found. For flat pictures in which none is seen.",
        unit="pixels/mm", low=1.0, high=200.0,
    )  # fmt: skip
    sampling_rate: float = setting(500.0, "Samples per second that come out.", unit="Hz", low=50.0, high=2000.0)
    turn: Literal["auto", "0", "90", "180", "270"] = setting(
        "auto",
        "Degrees by which the picture is turned clockwise before it is read; auto finds it by the names of leads.",
    )
    doubtful: bool = setting(
        False,
        "Read pages whose lines can hardly be told from their grid all the same; by default they are refused.",
    )
    diagnosis: str = setting(
        "none",
        "Weights of a diagnosis: a file that train --learn diagnosis made, demo (taught with simulated hearts alone), "
        "or none.",
    )
    attribution: bool = setting(True, "Find out what a diagnosis rests on, on the page and in each lead.")
    measure: bool = setting(True, "Measure heart rate, intervals and axes.")
    page: bool = setting(True, "Write the corrected page: laid flat and upright, 8 pixels a millimetre.")
    mask: bool = setting(
        True, "Paint over everything printed or written on it but the names of leads (names, dates, ids)."
    )
