"""LoLA-SpecViT: parity with the official numbers, what differs in our default, configurations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.lively import lively
from workbench.core.errors import WeightsError
from workbench.nets.lora import add_lora, lora_state, merge_lora
from workbench.scene.net.lola_layers import SqueezeExcite, WindowAttention, from_windows, to_windows
from workbench.scene.net.lola_specvit import (
    LORA_TARGETS,
    LolaSpecViT,
    freeze_all_but_lora,
    infer_config,
    load_except_head,
    load_state,
    published_config,
    small_config,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Thousands of tiny calls: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


TINY = {"dim": 8, "num_heads": [1, 2, 4], "front_channels": [4, 6], "in_channels": 5, "num_classes": 3}


def tiny_net(seed: int = 0, **changes: object) -> LolaSpecViT:
    """A tiny form of our default."""
    return lively(LolaSpecViT(**small_config(**(TINY | changes))), seed)


def official() -> LolaSpecViT:
    """The reduced published network of the fixtures."""
    return LolaSpecViT(
        in_channels=15,
        num_classes=9,
        dim=24,
        depths=[1, 1, 2],
        num_heads=[1, 2, 4],
        window_size=[7, 7, 7],
        mlp_ratio=4,
        drop_path_rate=0.2,
        spatial_size=15,
        r=4,
        lora_alpha=8,
    )


def as_float32(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def test_official_numbers(shared_parity: Path) -> None:
    weights = as_float32(load_file(shared_parity / "lola_specvit_small_weights_fp16.safetensors"))
    io = as_float32(load_file(shared_parity / "lola_specvit_small_io.safetensors"))
    net = official().eval()
    assert len(weights) == 201
    assert sum(p.numel() for p in net.parameters()) == 2_074_280
    net.load_state_dict(weights, strict=True)
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str):
        return lambda module, args, out: seen.__setitem__(name, out)

    net.spectral_conv.register_forward_hook(keep("conv"))
    net.spectral_attention.register_forward_hook(keep("gated"))
    net.patch_embed.register_forward_hook(keep("embedded"))
    for i in range(3):
        net.levels[i][-1].register_forward_hook(keep(f"level{i}"))
    net.norm.register_forward_hook(keep("norm"))
    with torch.no_grad():
        out = net(io["input"])
    found = {
        "after_spectral_conv_first": seen["conv"][:1, :4],
        "after_spectral_attention_mean_depth_first": seen["gated"][:1],
        "after_patch_embed": seen["embedded"],
        "after_level0": seen["level0"],
        "after_level1": seen["level1"],
        "after_level2": seen["level2"],
        "after_final_norm": seen["norm"].flatten(1, 2),
        "logits": out,
    }
    for name, value in found.items():
        assert value.shape == io[name].shape, name
        assert (value - io[name]).abs().max() / io[name].abs().max() <= 1e-4, name


def test_official_parameter_counts() -> None:
    with torch.device("meta"):
        net = LolaSpecViT()
    assert sum(p.numel() for p in net.parameters()) == 254_639_541
    assert freeze_all_but_lora(net) == 73_586_832
    assert len(net.state_dict()) == 993
    front = [p.numel() for p in net.spectral_conv.parameters()]
    assert sum(front) == 260_640
    inner = sum(p.numel() for n, p in net.named_parameters() if ".mlp.1." in n)
    assert inner == 142_985_088


def test_default_is_small_and_published_is_the_constructor() -> None:
    net = LolaSpecViT(**small_config(15, 9))
    assert 0.6e6 < sum(p.numel() for p in net.parameters()) < 3e6
    assert (net.patch_size, net.margin, net.dense) == (21, 4, True)
    assert published_config()["depths"] == [3, 4, 19]


@pytest.mark.parametrize("size", [7, 4, 2, 15])
def test_windows_and_back(size: int) -> None:
    x = torch.randn(2, 14, 28, 3) if size == 7 else torch.randn(2, size, 2 * size, 3)
    n = 7 if size == 7 else size
    torch.testing.assert_close(from_windows(to_windows(x, n), n, *x.shape[1:3]), x)


def test_attention_is_the_textbook_one() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(12, 2, 3, torch.nn.Linear)
    torch.nn.init.normal_(attention.relative_position_bias_table)
    x = torch.randn(4, 9, 12)
    q, k, v = attention.qkv(x).view(4, 9, 3, 2, 6).unbind(2)
    logits = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(6)
    for i in range(9):
        for j in range(9):
            place = (i // 3 - j // 3 + 2) * 5 + (i % 3 - j % 3 + 2)
            logits[:, :, i, j] += attention.relative_position_bias_table[place]
    out = attention.proj(torch.einsum("bhij,bjhd->bihd", logits.softmax(-1), v).flatten(2))
    torch.testing.assert_close(attention(x), out)


def test_masked_padding_equals_clipped_window() -> None:
    """Keys that only fill a window up must not matter: 4x4 and 2x2 maps in 7x7 windows = windows of their own size."""
    masked = tiny_net(window_mode="published", mask_padding=True, embed_stride=2)
    unmasked = tiny_net(window_mode="published", mask_padding=False, embed_stride=2)
    clipped = tiny_net(window_mode="clip", embed_stride=2)
    assert [level[0].window for level in clipped.levels] == [7, 4, 2]
    state = masked.state_dict()
    for stage, (level, n) in enumerate(zip(masked.levels, (7, 4, 2), strict=True)):
        key = f"levels.{stage}.0.attn."
        table = level[0].attn.relative_position_bias_table.detach().view(13, 13, -1)
        state[f"{key}relative_position_bias_table"] = table[7 - n : 6 + n, 7 - n : 6 + n].flatten(0, 1)
        state[f"{key}relative_position_index"] = clipped.state_dict()[f"{key}relative_position_index"]
    clipped.load_state_dict(state)
    unmasked.load_state_dict(masked.state_dict())
    x = torch.randn(3, 5, 21, 21)
    with torch.no_grad():
        torch.testing.assert_close(masked(x), clipped(x), atol=1e-5, rtol=1e-5)
        assert (unmasked(x) - masked(x)).abs().max() > 1e-3


@pytest.mark.parametrize(
    "changes",
    [{}, {"embedding": "window"}, {"embed_stride": 2}, {"depth_strides": [2, 2, 1]}, {"spatial_size": 9}],
)
def test_front_over_a_scene_equals_front_over_patches(changes: dict[str, object]) -> None:
    net = tiny_net(**changes)
    scene = torch.randn(5, 26, 29)
    half, margin = net.patch_size // 2, net.margin
    with torch.no_grad():
        features = net.front(scene[None])[0]
        assert features.shape[1:] == (26 - 2 * margin, 29 - 2 * margin)
        for row, column in ((10, 10), (12, 17), (15, 18)):
            patch = scene[None, :, row - half : row + half + 1, column - half : column + half + 1]
            rows, columns = (torch.tensor(net.window_offsets) + v - margin for v in (row, column))
            dense = net.window_head(features[:, rows][:, :, columns][None], scene[None, :, row, column])
            torch.testing.assert_close(net(patch), dense, atol=1e-5, rtol=1e-5)


def test_gate_commutes_with_the_mean_over_the_spectrum() -> None:
    """As published: gate from the mean over depth and space, applied before the mean over depth."""
    gate = SqueezeExcite(6)
    x = torch.randn(2, 6, 5, 4, 4)
    published = (x * gate.gate(x.mean((2, 3, 4)))[:, :, None, None, None]).mean(2)
    torch.testing.assert_close(gate(x.mean(2)), published)


def test_the_middle_spectrum_counts_by_itself() -> None:
    windows, spectra = torch.randn(2, 8, 5, 5), torch.randn(2, 5)
    with torch.no_grad():
        net = tiny_net()
        assert (net.window_head(windows, spectra) - net.window_head(windows, spectra + 1)).abs().max() > 1e-3
        plain = tiny_net(centre=False)
        torch.testing.assert_close(plain.window_head(windows, spectra), plain.window_head(windows, spectra + 1))


def test_training_step_reaches_every_parameter() -> None:
    net = tiny_net(drop_path_rate=0.0).train()
    net(torch.randn(4, 5, 21, 21)).logsumexp(1).sum().backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None]


def test_low_rank_adapters_start_at_nothing_and_merge() -> None:
    net, plain = tiny_net(), tiny_net()
    x = torch.randn(2, 5, 21, 21)
    names = add_lora(net, 2, targets=LORA_TARGETS)
    assert len(names) == 3 * 7
    with torch.no_grad():
        torch.testing.assert_close(net(x), plain(x))
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
        adapted = net(x)
        assert (adapted - plain(x)).abs().max() > 1e-3
        torch.testing.assert_close(merge_lora(net)(x), adapted, atol=1e-5, rtol=1e-5)


def test_low_rank_constructor() -> None:
    net = tiny_net(lora="low_rank", r=2)
    trainable = {n for n, p in net.named_parameters() if p.requires_grad}
    assert trainable
    assert all("lora_" in n or n.startswith("head.") for n in trainable)
    assert LolaSpecViT(**net.config).load_state_dict(net.state_dict())
    assert "head.weight" in lora_state(net)


@pytest.mark.parametrize("lora", ["published", None])
def test_head_for_other_classes(lora: str | None) -> None:
    net, other = tiny_net(lora=lora), tiny_net(1, lora=lora)
    other.replace_head(7)
    assert other.config["num_classes"] == 7
    head = {k: v.clone() for k, v in other.state_dict().items() if k.startswith("head.")}
    load_except_head(other, net.state_dict())
    for key, value in other.state_dict().items():
        torch.testing.assert_close(value, head.get(key, net.state_dict().get(key)))
    assert other(torch.randn(2, 5, 21, 21)).shape == (2, 7)
    state = {k: v for k, v in net.state_dict().items() if k != "norm.weight"}
    with pytest.raises(WeightsError, match=r"norm\.weight"):
        load_except_head(other, state)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depths": [2, 1], "num_heads": [2, 4], "window_size": [7, 7], "mlp_ratio": 2},
        {"embedding": "window", "spatial_size": 9, "centre": False},
        {"padding": "same", "spatial_size": 11},
    ],
)
def test_config_round_trip(changes: dict[str, object]) -> None:
    net = tiny_net(**changes)
    config = json.loads(json.dumps(net.config))
    again = LolaSpecViT(**config)
    load_state(again, net.state_dict())
    known = {k: config[k] for k in ("in_channels", "padding", "embed_stride")}
    found = infer_config(net.state_dict(), **known)
    assert {k for k in config if found[k] != config[k]} <= {"window_size"}
    load_state(LolaSpecViT(**found), net.state_dict())
    x = torch.randn(2, 5, net.patch_size, net.patch_size)
    with torch.no_grad():
        assert net(x).shape == (2, 3)


def test_config_of_the_official_layout(shared_parity: Path) -> None:
    weights = load_file(shared_parity / "lola_specvit_small_weights_fp16.safetensors")
    assert infer_config(weights) == official().config


def test_foreign_state_dict() -> None:
    with pytest.raises(WeightsError, match="not a LoLA-SpecViT state dict"):
        infer_config({"conv.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    "bad",
    [{"num_heads": [3, 2, 4]}, {"depths": [2, 2]}, {"padding": "none"}, {"spatial_size": 14}, {"embed_stride": 5}],
)
def test_bad_configuration(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"heads|stages|padding|odd|both ends"):
        tiny_net(**bad)
