"""SegFormer3D: parity with the official numbers, any size, checkpoints."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from workbench.core.errors import WeightsError
from workbench.volume.net.segformer3d import SegFormer3D, infer_config, load_state

SMALL = {"embed_dims": [8, 16, 40, 64], "decoder_head_embedding_dim": 64, "num_heads": [1, 2, 5, 8]}


def small_net(seed: int = 0, **kwargs: object) -> SegFormer3D:
    """A small network whose weights and statistics are all far from their initial values."""
    torch.manual_seed(seed)
    net = SegFormer3D(**({"in_channels": 1, "num_classes": 5, **SMALL} | kwargs))
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        elif value.is_floating_point() and value.ndim == 1:
            value.add_(0.2 * torch.randn_like(value))
        elif value.is_floating_point():
            value.normal_(std=1 / math.sqrt(value[0].numel()))
    return net.eval()


def plain_decoder(net: SegFormer3D, x: torch.Tensor) -> torch.Tensor:
    """The decoder as the paper writes it: upsample, concatenate, fuse, classify."""
    decoder = net.segformer_decoder
    stages = net.segformer_encoder(x)
    finest = stages[0][1]
    maps = []
    for s in (4, 3, 2, 1):
        tokens, grid = stages[s - 1]
        volume = getattr(decoder, f"linear_c{s}")(tokens).transpose(1, 2).reshape(len(x), -1, *grid)
        maps.append(F.interpolate(volume, size=finest, mode="trilinear", align_corners=False))
    return decoder.linear_pred(decoder.linear_fuse(torch.cat(maps, 1)))


@pytest.mark.parametrize(("name", "step"), [("small", 2), ("default", 4)])
def test_official_numbers(shared_parity: Path, name: str, step: int) -> None:
    weights = load_file(shared_parity / f"segformer3d_{name}_weights.safetensors")
    io = load_file(shared_parity / f"segformer3d_{name}_io.safetensors")
    net = SegFormer3D(**infer_config(weights, attention_scale="head_dim")).eval()
    net.load_state_dict(weights, strict=True)
    with torch.no_grad():
        out = net(io["input"].float())[..., ::step, ::step, ::step]
    stored = io["output_subsampled"]
    assert (out - stored).abs().max() / stored.abs().max() <= 1e-5


def test_attention_scale_is_the_folded_query_trick() -> None:
    x = torch.randn(1, 1, 32, 32, 32)
    ours, other = small_net(attention_scale="num_heads"), small_net(attention_scale="head_dim")
    with torch.no_grad():
        assert not torch.allclose(ours(x), other(x), atol=1e-3)
        for s, heads in enumerate((1, 2, 5, 8), start=1):
            for block in getattr(other.segformer_encoder, f"tf_block{s}"):
                block.attention.query.weight.mul_(math.sqrt(8 / heads))
                block.attention.query.bias.mul_(math.sqrt(8 / heads))
        torch.testing.assert_close(ours(x), other(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("channels", "classes", "count"), [(4, 3, 4_525_251), (3, 3, 4_514_275), (1, 14, 4_495_150), (1, 4, 4_492_580)]
)
def test_parameter_count(channels: int, classes: int, count: int) -> None:
    net = SegFormer3D(in_channels=channels, num_classes=classes)
    assert sum(p.numel() for p in net.parameters()) == count
    assert sum(b.numel() for b in net.buffers()) == 8_713
    assert len(net.state_dict()) == 232
    assert len(list(net.parameters())) == 205


def test_registration_order() -> None:
    tops = list(dict.fromkeys(".".join(k.split(".")[:2]) for k in SegFormer3D().state_dict()))
    encoder = [f"embed_{s}" for s in range(1, 5)] + [f"{n}{s}" for s in range(1, 5) for n in ("tf_block", "norm")]
    decoder = ["linear_c4", "linear_c3", "linear_c2", "linear_c1", "linear_fuse", "linear_pred"]
    assert tops == [f"segformer_encoder.{n}" for n in encoder] + [f"segformer_decoder.{n}" for n in decoder]


def test_stage_shapes() -> None:
    with torch.no_grad():
        stages = SegFormer3D().eval().segformer_encoder(torch.zeros(1, 4, 64, 64, 64))
    assert [(t.shape[2], g) for t, g in stages] == [
        (32, (16, 16, 16)), (64, (8, 8, 8)), (160, (4, 4, 4)), (256, (2, 2, 2)),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(32, 32, 32), (32, 64, 48), (14, 40, 36), (35, 41, 62), (5, 1, 9)])
def test_any_size(size: tuple[int, int, int]) -> None:
    net = small_net()
    x = torch.randn(2, 1, *size)
    with torch.no_grad():
        out, low = net(x), net.forward_low(x)
        assert out.shape == (2, 5, *size)
        assert low.shape == (2, 5, *(-(-n // 4) for n in size))
        torch.testing.assert_close(low, plain_decoder(net, x), atol=1e-5, rtol=1e-5)
    assert torch.isfinite(out).all()


def test_axes_are_carried_not_guessed() -> None:
    """Permuting the axes of input and kernels permutes the output: no axis is special, no grid is assumed cubic."""
    net, other = small_net(), small_net()
    for name, value in other.state_dict().items():
        if value.ndim == 5:
            value.copy_(value.permute(0, 1, 4, 2, 3).clone())
        assert name in net.state_dict()
    x = torch.randn(1, 1, 32, 64, 96)
    with torch.no_grad():
        a = net(x).permute(0, 1, 4, 2, 3)
        b = other(x.permute(0, 1, 4, 2, 3).contiguous())
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_training_uses_batch_statistics_like_the_plain_decoder() -> None:
    net, other = small_net().train(), small_net().train()
    x = torch.randn(2, 1, 32, 32, 48)
    out = net.forward_low(x)
    expected = plain_decoder(other, x)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)
    out.square().mean().backward()
    expected.square().mean().backward()
    for (name, a), (_, b) in zip(net.named_parameters(), other.named_parameters(), strict=True):
        assert a.grad is not None, name
        torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-3)
    for (name, a), (_, b) in zip(net.named_buffers(), other.named_buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


def test_eval_with_gradient_equals_eval_without() -> None:
    net = small_net()
    x = torch.randn(1, 1, 32, 32, 32)
    a = net(x)
    a.sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(net(x), a.detach())


def test_config_round_trip() -> None:
    net = small_net(sr_ratios=[2, 2, 1, 1], depths=[1, 2, 1, 1], mlp_ratios=[2, 2, 4, 4], qkv_bias=False)
    config = json.loads(json.dumps(net.config))
    again = SegFormer3D(**config)
    assert again.config == net.config
    assert infer_config(net.state_dict()) == net.config
    load_state(again, net.state_dict())


def test_heads_can_be_overridden() -> None:
    state = small_net(num_heads=[2, 4, 10, 16]).state_dict()
    assert infer_config(state)["num_heads"] == [1, 2, 5, 8]
    assert infer_config(state, num_heads=[2, 4, 10, 16])["num_heads"] == [2, 4, 10, 16]


def test_foreign_state_dict() -> None:
    with pytest.raises(WeightsError, match="not a SegFormer3D state dict"):
        infer_config({"conv.weight": torch.zeros(1)})


@pytest.mark.parametrize("bad", [{"num_heads": [3, 2, 5, 8]}, {"depths": [2, 2]}, {"attention_scale": "none"}])
def test_bad_configuration(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"heads|four stages|attention_scale"):
        SegFormer3D(**bad)


def test_bfloat16_autocast_stays_close() -> None:
    net = small_net()
    x = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        full = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(x)
    assert (half.float() - full).abs().max() < 0.05 * full.abs().max()
