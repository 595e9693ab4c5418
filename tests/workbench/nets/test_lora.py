"""Low-rank adaptation: neutral at the start, small on disk, gone after merging."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from workbench.core.errors import UsageError, WeightsError
from workbench.nets.lora import LoraLinear, add_lora, load_lora, lora_state, merge_lora
from workbench.volume.net.segformer3d import SegFormer3D, load_state

SMALL = {"embed_dims": [8, 16, 40, 64], "decoder_head_embedding_dim": 64, "num_heads": [1, 2, 5, 8]}


def small_net(seed: int = 0, classes: int = 5) -> SegFormer3D:
    torch.manual_seed(seed)
    return SegFormer3D(in_channels=1, num_classes=classes, **SMALL).eval()


def trained(net: nn.Module, steps: int = 2) -> nn.Module:
    """A few real optimiser steps in training mode, which also move the batch-norm statistics."""
    torch.manual_seed(1)
    net.train()
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(steps):
        x, y = torch.randn(2, 1, 32, 32, 32), torch.randint(0, 5, (2, 8, 8, 8))
        optimiser.zero_grad()
        nn.functional.cross_entropy(net.forward_low(x), y).backward()
        optimiser.step()
    return net.eval()


X = torch.randn(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(5))


def test_neutral_until_trained() -> None:
    net = small_net()
    before = net(X)
    names = add_lora(net, rank=4)
    # 8 blocks with query, key_value, proj, fc1, fc2, and four projections of the decoder
    assert len(names) == 8 * 5 + 4
    torch.testing.assert_close(net(X), before, rtol=0, atol=0)


def test_plain_keys_stay_and_plain_weights_still_load() -> None:
    net = small_net()
    keys = list(net.state_dict())
    add_lora(net, rank=4)
    assert [k for k in net.state_dict() if "lora_" not in k] == keys
    assert all(k.endswith(("lora_a", "lora_b")) for k in net.state_dict() if "lora_" in k)


def test_only_adapters_and_head_are_trained() -> None:
    net = small_net()
    frozen = copy.deepcopy(net.state_dict())
    add_lora(net, rank=4)
    trainable = {n for n, p in net.named_parameters() if p.requires_grad}
    assert {n for n in trainable if "lora_" not in n} == {
        "segformer_decoder.linear_pred.weight",
        "segformer_decoder.linear_pred.bias",
    }
    trained(net)
    for name, value in net.state_dict().items():
        if name in frozen and name not in trainable and "running" not in name and "tracked" not in name:
            torch.testing.assert_close(value, frozen[name], rtol=0, atol=0, msg=name)
    unmoved = {n for n in trainable if n.endswith("lora_b") and not net.get_parameter(n).any()}
    # With one token in the last stage the softmax is constant: its queries cannot learn from this input.
    assert {n.rsplit(".", 2)[1] for n in unmoved} <= {"query"}
    assert all("tf_block4" in n for n in unmoved)


def test_norms_can_be_trained_too() -> None:
    net = small_net()
    add_lora(net, 2, targets=r"query$", train_also=r"norm|linear_pred")
    trainable = {n for n, p in net.named_parameters() if p.requires_grad}
    assert "segformer_encoder.norm1.weight" in trainable
    assert not any("fc1" in n for n in trainable)


@pytest.mark.parametrize("alpha", [None, 16.0])
def test_merge_gives_the_plain_network_with_equal_outputs(alpha: float | None) -> None:
    net = small_net()
    keys = list(net.state_dict())
    plain = net(X)
    add_lora(net, rank=4, alpha=alpha)
    trained(net)
    adapted = net(X).detach()
    assert (adapted - plain).abs().max() > 1e-3
    merge_lora(net)
    assert (net(X).detach() - adapted).abs().max() <= 1e-6 * max(1.0, float(adapted.abs().max()))
    assert list(net.state_dict()) == keys
    assert not any(isinstance(m, LoraLinear) for m in net.modules())
    assert all(p.requires_grad for p in net.parameters())
    load_state(small_net(3), net.state_dict())


@pytest.mark.parametrize("alpha", [None, 3.0])
def test_adapter_file_round_trip(tmp_path: Path, alpha: float | None) -> None:
    net = small_net()
    base = copy.deepcopy(net.state_dict())
    add_lora(net, rank=4, alpha=alpha)
    trained(net)
    state = lora_state(net)
    save_file(state, tmp_path / "adapter.safetensors")
    other = small_net(9)
    load_state(other, base)
    load_lora(other, load_file(tmp_path / "adapter.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(other(X), net(X), rtol=0, atol=0)
    assert {n for n, p in other.named_parameters() if p.requires_grad} == {
        n for n, p in net.named_parameters() if p.requires_grad
    }


def test_adapter_is_small() -> None:
    net = SegFormer3D(in_channels=1, num_classes=14)
    add_lora(net, rank=4)
    assert sum(v.numel() for v in lora_state(net).values()) < 0.05 * sum(p.numel() for p in net.parameters())


def test_rank_is_limited_by_the_layer() -> None:
    net = small_net()
    add_lora(net, rank=500)
    layer = net.segformer_encoder.tf_block1[0].attention.query
    assert layer.lora_a.shape == (8, 8)
    before = lora_state(net)
    other = small_net()
    load_lora(other, before)
    assert other.segformer_encoder.tf_block1[0].attention.query.lora_scale == layer.lora_scale


def test_any_network() -> None:
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("fc1", nn.Linear(16, 32))
    net.add_module("act", nn.GELU())
    net.add_module("head", nn.Linear(32, 3, bias=False))
    assert add_lora(net, 2, alpha=4) == ["fc1"]
    net.fc1.lora_b.data.normal_()
    x = torch.randn(2, 5, 16)
    with torch.no_grad():
        before = net(x)
        torch.testing.assert_close(merge_lora(net)(x), before, rtol=1e-5, atol=1e-6)


def test_clear_refusals() -> None:
    net = small_net()
    with pytest.raises(UsageError, match="rank 0"):
        add_lora(net, 0)
    with pytest.raises(UsageError, match="no linear layer"):
        add_lora(net, 2, targets="nothing_like_this")
    with pytest.raises(UsageError, match="no LoRA layers"):
        lora_state(net)
    add_lora(net, 2)
    with pytest.raises(UsageError, match="already has"):
        add_lora(net, 2)
    state = lora_state(net)
    with pytest.raises(WeightsError, match="number of classes"):
        load_lora(small_net(classes=9), state)
    with pytest.raises(WeightsError, match="no LoRA layers"):
        load_lora(small_net(), small_net().state_dict())
    with pytest.raises(WeightsError, match="does not fit"):
        load_lora(nn.Linear(3, 3), state)
