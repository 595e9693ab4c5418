"""What a step of a pre-training learns from: which tiles, their crops, and its numbers; all by the number of the step.

Nothing random is kept between steps, so that a training that was killed goes on as if nothing had happened.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from workbench.slide.train.augment import Recipe, crop
from workbench.slide.train.dino import Moment, rising
from workbench.slide.train.settings import SlideTrainConfig
from workbench.training.schedule import half_cosine


class DinoBatch(NamedTuple):
    """Step number, and tiles ``(B, 3, rows, columns)`` of 8 bits."""

    step: int
    tiles: Tensor


def numbers_of(step: int, count: int, config: SlideTrainConfig) -> list[int]:
    """The tiles of a step: every tile once in each pass, in an order of that pass, decided by the seed alone."""
    first = step * config.batch
    orders: dict[int, Any] = {}
    found = []
    for place in range(first, first + config.batch):
        turn, at = divmod(place, count)
        if turn not in orders:
            orders[turn] = np.random.default_rng([config.seed, 22, turn]).permutation(count)
        found.append(int(orders[turn][at]))
    return found


def views(tiles: Tensor, config: SlideTrainConfig, step: int) -> tuple[list[Tensor], list[Tensor]]:
    """Two large crops and some small ones of tiles ``(B, 3, rows, columns)``, decided by seed and step."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    recipes = [
        Recipe(config.global_size, config.global_scale, config.hue, config.stain, blur=1.0),
        Recipe(config.global_size, config.global_scale, config.hue, config.stain, blur=0.1, solarise=config.solarise),
    ]
    small = Recipe(config.local_size, config.local_scale, config.hue, config.stain, blur=0.5)
    large = [crop(tiles, recipe, generator) for recipe in recipes]
    return large, [crop(tiles, small, generator) for _ in range(config.local_crops)]


def moment_of(step: int, steps: int, config: SlideTrainConfig, spent: float = 0.0) -> Moment:
    """The numbers of a step of `steps`; `spent` is the share of the time that is used, where time is limited."""
    fraction, before = max(step / steps, spent), max((step - 1) / steps, spent)
    return Moment(
        momentum=half_cosine(config.momentum, 1.0, before) if step else 1.0,
        teacher_temp=rising(config.teacher_temp_start, config.teacher_temp, fraction, config.teacher_warmup),
        student_temp=config.student_temp,
        centre_momentum=config.centre_momentum,
        fixed=fraction < config.freeze_last,
    )
