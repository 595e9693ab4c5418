"""Learning rate over the course of a training, and exponential averages of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

_START = 0.01  # of the highest rate, at the very beginning of a warm-up


def warmup_cosine(fraction: float, warmup: float, floor: float = 0.01) -> float:
    """Factor on the learning rate at a `fraction` (0 to 1) of the training.

    Rises linearly over the first `warmup` (fraction of the training), then follows half a cosine down to `floor`.
    """
    if warmup > 0 and fraction < warmup:
        return max(min(floor, _START), fraction / warmup)
    turn = min(1.0, (fraction - warmup) / max(1e-9, 1 - warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * turn))


def half_cosine(start: float, end: float, fraction: float) -> float:
    """From `start` to `end` along half a cosine, at a `fraction` (0 to 1) of the way."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, fraction))))


class Ema:
    """Running average of a model's state; the averages are what is validated and saved.

    Parameters
    ----------
    model
        Its parameters and floating-point buffers are averaged, integer buffers copied.
    decay
        Share of the old average kept per step; grows from 0.1 in the first steps, so that a short training is not held
        back by its random start. 0 switches averaging off.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step number `step` (from 1)."""
        keep = min(self.decay, step / (step + 9)) if self.decay > 0 else 0.0
        for name, value in model.state_dict().items():
            average = self.state[name]
            if average.dtype.is_floating_point:
                average.lerp_(value.detach(), 1 - keep)
            else:
                average.copy_(value)

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from saved averages."""
        for name, value in state.items():
            self.state[name].copy_(value)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's state with the averages; call again to change back."""
        for name, value in model.state_dict().items():
            held = value.detach().clone()
            value.copy_(self.state[name])
            self.state[name].copy_(held)
