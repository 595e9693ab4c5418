"""The settings of teaching to read pages and to diagnose them: keyword arguments, flags and form. No torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from workbench.core.errors import UsageError
from workbench.core.settings import setting

_ONLY = {
    "lines": ("steps", "lr", "old_pages", "val_fraction", "weight_decay", "validate_every"),
    "diagnosis": ("pictures", "architecture", "leads", "label_column", "folds", "epochs", "diagnosis_lr", "width"),
}
"""Settings that count for one of what can be learnt."""
_INSTEAD = {"steps": "epochs", "lr": "diagnosis_lr", "val_fraction": "folds", "epochs": "steps", "diagnosis_lr": "lr"}


@dataclass(frozen=True)
class PageTrainConfig:
    """How to go on teaching the network of pages with corrected lines, or to teach a diagnosis with labelled pages."""

    weights: str = setting(
        "demo", "Weights that read pages: demo, a known name or a file. For lines those to go on from."
    )
    learn: Literal["lines", "diagnosis"] = setting(
        "lines",
        "What is learnt: to follow lines, from pages with corrected ones; or a diagnosis, from pages with a label each "
        "(a column of a list, or a folder for each class).",
    )
    pictures: str = setting(
        "small",
        "diagnosis: network of pictures to begin with: small (from random numbers), hf_hub:OWNER/NAME or a folder as "
        "transformers writes it (ViT, BEiT, Swin), weights of a diagnosis (demo or a file), or none for leads alone.",
    )
    architecture: Literal["swin", "vit", "beit"] = setting("swin", "diagnosis: what a small network of pictures is.")
    leads: str = setting(
        "small",
        "diagnosis: network of leads to begin with: small, weights of a diagnosis (demo or a file), or none for "
        "pictures alone.",
    )
    label_column: str = setting("label", "diagnosis: column of the list that holds the label.")
    folds: int = setting(
        5, "diagnosis: parts that judge what the others taught, by groups; fewer where a class has fewer groups.",
        low=2, high=20,
    )  # fmt: skip
    epochs: float = setting(30.0, "diagnosis: rounds through all pages", low=0.1, high=1000.0)
    diagnosis_lr: float | None = setting(
        None, "diagnosis: highest learning rate; by default 5e-5 for published weights and 6e-4 for others", low=1e-8,
        high=1.0,
    )  # fmt: skip
    width: int = setting(512, "diagnosis: pixels across of the picture, twice its height", low=64, high=2048)
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    adapt: Literal["decoder", "all", "last"] = setting(
        "decoder",
        "What learns: the layers after the middle of the network (decoder), all of them, or the last ones alone. Of a "
        "diagnosis the last layer alone, or all.",
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


def refuse_foreign(config: PageTrainConfig) -> None:
    """Settings that were given and would do nothing.

    Raises
    ------
    UsageError
        One was given that counts only where something else is learnt.
    """
    default = {f.name: f.default for f in fields(config)}
    for learn, names in _ONLY.items():
        given = [name for name in names if learn != config.learn and getattr(config, name) != default[name]]
        if given:
            other = _INSTEAD.get(given[0])
            raise UsageError(
                f"{given[0]}={getattr(config, given[0])} does nothing where learn={config.learn}: it is of "
                f"learn={learn}. {f'Give {other}' if other else 'Leave it out'}."
            )
