"""Learning rate over a training, and averages of weights."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from workbench.training.schedule import Ema, warmup_cosine


@pytest.mark.parametrize(
    ("fraction", "warmup", "floor", "factor"),
    [
        (0.0, 0.1, 0.02, 0.01), (0.0, 0.1, 0.001, 0.001), (0.05, 0.1, 0.02, 0.5), (0.1, 0.1, 0.02, 1.0),
        (0.55, 0.1, 0.02, 0.51), (1.0, 0.1, 0.02, 0.02), (1.5, 0.1, 0.02, 0.02), (0.0, 0.0, 0.02, 1.0),
        (0.5, 0.0, 0.0, 0.5), (0.5, 0.0, 1.0, 1.0),
    ],
)  # fmt: skip
def test_the_rate_rises_and_falls(fraction, warmup, floor, factor) -> None:
    assert warmup_cosine(fraction, warmup, floor) == pytest.approx(factor)


def test_the_rate_never_jumps() -> None:
    rates = [warmup_cosine(i / 1000, 0.1) for i in range(1001)]
    assert max(abs(b - a) for a, b in pairwise(rates)) < 0.011
    assert rates.index(max(rates)) == 100
    assert rates[100:] == sorted(rates[100:], reverse=True)


def _net(value: float) -> nn.Module:
    net = nn.BatchNorm1d(1)
    with torch.no_grad():
        net.weight.fill_(value)
        net.num_batches_tracked.fill_(int(value))
    return net


def test_the_average_starts_quickly_and_then_keeps_its_share() -> None:
    ema = Ema(_net(0.0), 0.9)
    ema.update(_net(1.0), 1)
    assert ema.state["weight"].item() == pytest.approx(0.9)  # 1 / 10 of the random start is left
    ema.update(_net(1.0), 1000)
    assert ema.state["weight"].item() == pytest.approx(0.9 * 0.9 + 0.1)
    assert ema.state["num_batches_tracked"].item() == 1  # whole numbers are copied


def test_without_a_share_the_average_is_the_model() -> None:
    ema = Ema(_net(0.0), 0.0)
    ema.update(_net(3.0), 1)
    assert ema.state["weight"].item() == 3.0


def test_swapping_twice_changes_nothing() -> None:
    net = _net(2.0)
    ema = Ema(_net(5.0), 0.9)
    ema.swap(net)
    assert (net.weight.item(), ema.state["weight"].item()) == (5.0, 2.0)
    ema.swap(net)
    assert (net.weight.item(), ema.state["weight"].item()) == (2.0, 5.0)
    ema.restore({"weight": torch.tensor([7.0])})
    assert ema.state["weight"].item() == 7.0
    assert math.isfinite(net.weight.item())
