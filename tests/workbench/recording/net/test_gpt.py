"""MEG-GPT: parity with the released network's numbers, and that nothing looks ahead in any configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from workbench.recording.net.gpt import MEGGPT

SMALL = {
    "sequence_length": 40,
    "n_channels": 5,
    "n_tokens": 19,
    "model_dim": 32,
    "n_heads": 4,
    "ff_dim": 64,
    "n_patches_in": [40, 10, 8],
    "patch_len_in": [1, 4, 4],
    "n_patches_out": [10, 8, 8],
    "patch_len_out": [4, 4, 1],
    "l_patched_b": [5, None, None],
    "n_sessions": 7,
    "session_dim": 12,
    "loss_sequence_length": 8,
}


def as_float32(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


@pytest.mark.parametrize(
    ("name", "weights", "net"),
    [
        ("default", "meggpt_default_weights_fp16", MEGGPT.preset("released")),
        ("small", "meggpt_small_weights", MEGGPT(**SMALL)),
    ],
)
def test_official_numbers(shared_parity: Path, name, weights, net) -> None:
    state = as_float32(load_file(shared_parity / f"{weights}.safetensors"))
    io = load_file(shared_parity / f"meggpt_{name}_io.safetensors")
    for key, value in state.items():  # masks are part of the layout: ours must equal them before loading
        if value.dtype == torch.bool:
            assert torch.equal(net.state_dict()[key], value), key
    net.load_state_dict(state, strict=True)
    net.eval()
    assert sum(p.numel() for p in net.parameters()) == {"default": 4_080_508, "small": 29_079}[name]
    assert len(state) == {"default": 109, "small": 67}[name]
    tokens, sessions = io["tokens"], io["session_labels"][:, 0]
    seen: dict[str, torch.Tensor] = {}
    for i, layer in enumerate(net.layers):
        layer.register_forward_hook(lambda m, a, out, i=i: seen.__setitem__(f"layer{i}_output_first_channel", out[:1]))
    with torch.no_grad():
        seen["embedding_first_channel"] = net.input_embedding_layer(tokens[:1, :-1], sessions[:1])[:, 0]
        seen["decoder_output"] = net.hidden(tokens[:, :-1], sessions)[:, :, :2]
        seen["logits"] = net(tokens[:, :-1], sessions)
        loss = net.loss(tokens, sessions)
    seen |= {"total_loss": loss["loss"], "top_1_acc": loss["top1"], "top_5_acc": loss["top5"]}
    for key, expected in io.items():
        if key in ("tokens", "session_labels"):
            continue
        found = seen[key].reshape(expected.shape)
        assert (found - expected).abs().max() / expected.abs().max() <= 1e-4, key


@pytest.mark.parametrize("layer_with_blind_rows", [2])
def test_blind_rows_of_the_released_layout(layer_with_blind_rows) -> None:
    net = MEGGPT.preset("released", n_channels=1, model_dim=16, ff_dim=16, n_sessions=0)
    blind = [int(v.gasp_time_attention.gasp_layer.attention_mask.all(1).sum()) for v in net.layers]
    assert blind == [0, 0, 3, 0, 0]
    layer = net.layers[layer_with_blind_rows]
    with torch.no_grad():
        x = torch.randn(1, 80, 16)
        out = layer.gasp_time_attention(x, 80)
        assert torch.equal(out[:, :3], layer.gasp_time_attention.output_projection.bias.expand(1, 3, -1))
    net.loss(torch.randint(0, 66, (1, 101, 1)))["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
