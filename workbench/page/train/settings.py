"""The settings of teaching the reader of pages: keyword arguments, flags and form. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.core.settings import setting


@dataclass(frozen=True)
class PageTrainConfig:
    """How to go on teaching the network of pages with pages whose lines a person corrected."""

    weights: str = setting("demo", "Weights to go on from: demo, a known name or a file.")
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    adapt: Literal["decoder", "all", "last"] = setting(
        "decoder",
        "What learns: the layers after the middle of the network (decoder), all of them, or the last ones alone.",
    )
    steps: int = setting(80, "optimiser steps", low=1)
    batch: int = setting(8, "pieces of pages per step, half of them of the corrected pages", low=2, high=256)
    lr: float = setting(2e-3, "highest learning rate", low=1e-8, high=1.0)
    old_pages: int = setting(
        12, "Drawn pages that are learnt again beside the corrected ones, so that nothing is forgotten; 0: none.",
        low=0, high=1000,
    )  # fmt: skip
    max_minutes: float = setting(
        0.0, "stop after this time, with the rate at its end; 0: no limit", unit="minutes", low=0
    )
    val_fraction: float = setting(
        0.25, "share of the groups (patients) to validate on; with fewer than four groups all of them teach", low=0.0,
        high=0.9,
    )  # fmt: skip
    resume: bool = setting(False, "continue an interrupted training of the same settings")
    overwrite: bool = setting(False, "replace weights, and the state of a training, that are already at the output")
    seed: int = setting(0, "decides the split, the pieces and the drawn pages", low=0)
    weight_decay: float = setting(0.0, "decay of weights", low=0.0, high=1.0, advanced=True)
    validate_every: int = setting(0, "steps between validations; 0: five in all", low=0, advanced=True)
    save_as: Literal["float16", "float32"] = setting("float16", "number type of the weight file", advanced=True)
