"""The plain ViT: parity with timm's numbers, counts of both sizes, other image sizes, what is no ViT."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from workbench.core.errors import WeightsError
from workbench.nets.checkpoints import load_state
from workbench.nets.vit import BASE, SMALL, VisionTransformer, infer_config

TINY = {"image_size": 32, "patch_size": 8, "dim": 24, "depth": 3, "num_heads": 3}


def tiny(seed: int = 0, **changes: object) -> VisionTransformer:
    """A small network whose weights are all far from their initial values."""
    torch.manual_seed(seed)
    net = VisionTransformer(**(TINY | changes))
    for value in net.state_dict().values():
        value.add_(0.2 * torch.randn_like(value))
    return net.eval()


def named() -> set[str]:
    """The 150 entries of the fact sheet."""
    parts = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    blocks = {f"blocks.{i}.{part}.{what}" for i in range(12) for part in parts for what in ("weight", "bias")}
    others = {f"{part}.{what}" for part in ("patch_embed.proj", "norm") for what in ("weight", "bias")}
    return blocks | others | {"cls_token", "pos_embed"}


def test_official_numbers(shared_parity: Path) -> None:
    weights = load_file(shared_parity / "stainnet_small_weights_fp16.safetensors")
    stored = load_file(shared_parity / "stainnet_small_io.safetensors")
    net = VisionTransformer(**infer_config(weights)).eval()
    load_state(net, weights)
    x = stored["input"].float()
    with torch.no_grad():
        whole, tokens = net(x), net.tokens(x)
        alone = torch.cat([net(one[None]) for one in x])
    assert (whole - stored["output"]).abs().max() / stored["output"].abs().max() <= 1e-4
    assert (tokens[:, :8] - stored["tokens_first8"]).abs().max() / stored["tokens_first8"].abs().max() <= 1e-4
    assert (whole - alone).abs().max() <= 1e-5


@pytest.mark.parametrize(("config", "count"), [(SMALL, 21_665_664), (BASE, 85_798_656)], ids=["small", "base"])
def test_counts_and_names_of_both_sizes(config, count):
    with torch.device("meta"):
        net = VisionTransformer(**config)
    state = net.state_dict()
    assert sum(v.numel() for v in state.values()) == count
    assert set(state) == named()
    assert len(state) == 150
    told = infer_config(state)
    assert {k: told[k] for k in config} == config


def test_a_batch_is_its_items():
    net, x = tiny(), torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        together = net(x)
        assert (together - torch.cat([net(one[None]) for one in x])).abs().max() <= 1e-5
        assert torch.equal(together, net(x))


def test_other_sizes_use_the_same_positions_resampled():
    net = tiny()
    with torch.no_grad():
        assert net.tokens(torch.randn(2, 3, 48, 16)).shape == (2, 1 + 6 * 2, 24)
        assert torch.equal(net.positions((4, 4)), net.pos_embed)
        net.pos_embed[:, 1:] = torch.arange(4.0).repeat_interleave(4).reshape(1, 16, 1)  # grows down the rows
        taller = net.positions((8, 4))[0, 1:].reshape(8, 4, -1)
    assert taller.std(dim=1).max() < 1e-5, "columns are alike"
    assert (taller[1:, 0, 0] > taller[:-1, 0, 0]).all(), "rows still rise"
    with pytest.raises(WeightsError, match="30 x 32 pixels .* patches of 8"):
        net(torch.randn(1, 3, 30, 32))


def test_layer_scale_is_told_by_its_entries():
    net = tiny(init_values=0.5)
    told = infer_config(net.state_dict(), num_heads=3)
    again = VisionTransformer(**told).eval()
    load_state(again, net.state_dict())
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(x), again(x))
    assert len([k for k in net.state_dict() if ".ls" in k]) == 6


def test_stochastic_depth_leaves_out_branches_while_training_alone():
    net, x = tiny(drop_path=0.9), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        net.train()
        torch.manual_seed(1)
        one = net(x)
        assert not torch.allclose(one, net(x))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("cls_token"), "no cls_token"),
        (lambda s: [s.pop(k) for k in list(s) if k.startswith("blocks")], "no blocks.0"),
        (lambda s: s.update(pos_embed=torch.zeros(1, 21, 24)), "21 tokens"),
        (lambda s: s.update(pos_embed=torch.zeros(1)), "other shapes"),
        (lambda s: s.update({"blocks.9999.norm1.weight": torch.zeros(1)}), "other shapes"),
    ],
)
def test_what_is_no_plain_vit_is_named(change, words):
    state = dict(tiny().state_dict())
    change(state)
    with pytest.raises(WeightsError, match=words):
        infer_config(state)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(WeightsError, match="width 24 with 5 heads"):
        VisionTransformer(**(TINY | {"num_heads": 5}))
