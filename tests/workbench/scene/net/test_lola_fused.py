"""The multiplied-out network gives the logits of the network."""

from __future__ import annotations

import pytest
import torch

from tests.lively import lively
from workbench.nets.lora import add_lora
from workbench.scene.net.lola_fused import FusedLola
from workbench.scene.net.lola_specvit import LORA_TARGETS, LolaSpecViT, small_config


def net_of(**changes: object) -> LolaSpecViT:
    tiny = {"dim": 8, "num_heads": [1, 2, 4], "front_channels": [4, 6], "mlp_ratio": 2, "depths": [1, 2, 1]}
    return lively(LolaSpecViT(**small_config(5, 3, **(tiny | changes))))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"embedding": "window"},
        {"padding": "same", "centre": False},
        {"lora": "published", "padding": "same", "embedding": "window", "window_mode": "published"},
        {"window_mode": "published", "embed_stride": 2},
    ],
)
def test_same_logits(changes: dict[str, object]) -> None:
    net = net_of(**changes)
    fused = FusedLola(net)
    x = torch.randn(3, 5, net.patch_size, net.patch_size)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), net(x), atol=2e-5, rtol=1e-5)
        if net.dense:
            block = torch.randn(1, 5, 30, 31)
            torch.testing.assert_close(fused.front(block), net.front(block), atol=1e-5, rtol=1e-5)


def test_adapters_are_multiplied_in() -> None:
    net = net_of()
    add_lora(net, 2, alpha=3, targets=LORA_TARGETS)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_b" in name:
                parameter.normal_(std=0.3)
        fused = FusedLola(net)
        x = torch.randn(3, 5, 21, 21)
        torch.testing.assert_close(fused(x), net(x), atol=2e-5, rtol=1e-5)


def test_it_is_a_copy_for_evaluation() -> None:
    net = net_of(band_dropout=0.5, dropout=0.5, drop_path_rate=0.5).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    fused = FusedLola(net)
    x = torch.randn(2, 5, 21, 21)
    torch.testing.assert_close(fused(x), net.eval()(x), atol=2e-5, rtol=1e-5)
    assert not any(p.requires_grad for p in fused.parameters())
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, before[key])
