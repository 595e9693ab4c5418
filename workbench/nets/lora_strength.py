"""How strongly low-rank adapters act while they are trained: a cosine that starts again and again.

LoLA-SpecViT announces a cyclical strength without a formula that could be read; this
is the cosine with warm restarts of its learning rate, put on the strength: within a cycle of length T, at position t,

    strength = (alpha / rank) * (lowest + (1 - lowest) * (1 + cos(pi t / T)) / 2),    T: period, period * growth, ...

>>> strength = CyclicalStrength(period=10)
>>> for epoch in range(70):
...     strength.apply(net, epoch)
...     train_one_epoch(net)
>>> strength.restore(net)        # before evaluating or saving
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from workbench.core.errors import UsageError


@dataclass(frozen=True)
class CyclicalStrength:
    """Strength of every adapter relative to its alpha / rank.

    Parameters
    ----------
    period
        Length of the first cycle, in the unit of `t` (epochs or steps).
    growth
        Each cycle is this many times as long as the one before.
    lowest
        Strength at the end of a cycle, 0 to 1.
    """

    period: float = 10
    growth: float = 2
    lowest: float = 0.5

    def __post_init__(self) -> None:
        if self.period <= 0 or self.growth < 1 or not 0 <= self.lowest <= 1:
            raise UsageError(
                f"cycles of period {self.period}, growth {self.growth}, lowest {self.lowest}: "
                "expected a period above 0, a growth of at least 1 and a lowest strength from 0 to 1"
            )

    def wave(self, t: float) -> float:
        """(1 + cos(pi t / T)) / 2 within the cycle that `t` lies in: 1 at its start, towards 0 at its end."""
        length = float(self.period)
        while t >= length:
            t -= length
            length *= self.growth
        return (1 + math.cos(math.pi * t / length)) / 2

    def strength(self, t: float) -> float:
        """Factor of alpha / rank at time `t`, from `lowest` to 1."""
        return self.lowest + (1 - self.lowest) * self.wave(t)

    def apply(self, net: nn.Module, t: float) -> float:
        """Set the strength of all adapters of a network for time `t`; returns the factor."""
        factor = self.strength(t)
        _scale(net, factor)
        return factor

    def restore(self, net: nn.Module) -> None:
        """Give the adapters their full strength alpha / rank again."""
        _scale(net, 1.0)


def _scale(net: nn.Module, factor: float) -> None:
    for module in net.modules():
        scale = getattr(module, "lora_scale", None)
        if isinstance(scale, float):
            full = module.__dict__.setdefault("full_lora_scale", scale)
            module.lora_scale = full * factor
            if factor == 1.0:
                del module.full_lora_scale
