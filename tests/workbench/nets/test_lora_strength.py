"""The cyclical strength of adapters: golden values, on and off a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.core.errors import UsageError
from workbench.nets.lora import add_lora
from workbench.nets.lora_strength import CyclicalStrength
from workbench.scene.net.lola_layers import PublishedLoraLinear


@pytest.mark.parametrize(
    ("t", "wave", "strength"),
    [
        (0, 1.0, 1.0),
        (5, 0.5, 0.75),
        (9, 0.0244717, 0.5122359),
        (10, 1.0, 1.0),  # second cycle: 20 long
        (20, 0.5, 0.75),
        (25, 0.1464466, 0.5732233),
        (30, 1.0, 1.0),  # third: 40 long
        (50, 0.5, 0.75),
        (70, 1.0, 1.0),
    ],
)
def test_golden_values(t: float, wave: float, strength: float) -> None:
    cycle = CyclicalStrength(period=10, growth=2, lowest=0.5)
    assert cycle.wave(t) == pytest.approx(wave, abs=1e-6)
    assert cycle.strength(t) == pytest.approx(strength, abs=1e-6)


def test_strength_scales_the_addition_and_comes_back() -> None:
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("qkv", nn.Linear(4, 4))
    add_lora(net, 2, alpha=6)
    nn.init.normal_(net.qkv.lora_b)
    x = torch.randn(3, 4)
    base = nn.functional.linear(x, net.qkv.weight, net.qkv.bias)
    full = net(x) - base
    cycle = CyclicalStrength()
    for t in (5, 7.5, 0, 12):
        assert cycle.apply(net, t) == cycle.strength(t)
        torch.testing.assert_close(net(x) - base, full * cycle.strength(t))
    cycle.restore(net)
    assert net.qkv.lora_scale == 3.0
    torch.testing.assert_close(net(x) - base, full)


def test_published_adapters_follow_too() -> None:
    layer = PublishedLoraLinear(3, 3, 2, 4.0)
    CyclicalStrength().apply(layer, 5)
    assert layer.lora_scale == 1.5


@pytest.mark.parametrize("bad", [{"period": 0}, {"growth": 0.5}, {"lowest": 1.5}])
def test_bad_cycle(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected a period above 0"):
        CyclicalStrength(**bad)
