"""The MEG-GPT tokeniser: parity with the released numbers, and what training needs of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from workbench.recording.net.tokenizer import MEGTokenizer
from workbench.recording.net.vocabulary import Vocabulary


def released(folder: Path) -> MEGTokenizer:
    net = MEGTokenizer(n_channels=3)
    net.load_state_dict(load_file(folder / "meggpt_tokenizer_weights.safetensors"), strict=True)
    return net.eval()


def released_vocabulary(folder: Path) -> Vocabulary:
    record = json.loads((folder / "meggpt_tokenizer_vocab.json").read_text(encoding="utf-8"))
    return Vocabulary(record["token_order"], record["total_token_counts"], 128)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() / expected.abs().max() <= 1e-4


def test_official_numbers(shared_parity: Path) -> None:
    net = released(shared_parity)
    io = load_file(shared_parity / "meggpt_tokenizer_io.safetensors")
    assert sum(p.numel() for p in net.parameters()) == 231_040
    windows = io["input"].reshape(10, 200, 3)
    with torch.inference_mode():
        logits = net.logits(windows)
        ids = net.encode(windows)
        reconstruction = net(windows)
        close(logits[0, :, 0], io["window_logits_first"])
        sure = io["windows_logits_argmax_gap"] >= 1e-3
        assert sure.float().mean() > 0.99
        assert torch.equal(ids[sure].int(), io["raw_tokens_windows"][sure])
        raw = io["raw_tokens"].reshape(10, 200, 3).long()
        close(net.decode(raw).reshape(2000, 3), io["reconstruction_from_raw"])
        close(reconstruction.reshape(2000, 3), io["reconstruction_forward"])
    error = (reconstruction.reshape(2000, 3) - io["input"]).square().mean()
    assert float(error) == pytest.approx(float(io["mse_loss"][0]), rel=1e-4)


def test_official_vocabulary(shared_parity: Path) -> None:
    net, vocabulary = released(shared_parity), released_vocabulary(shared_parity)
    io = load_file(shared_parity / "meggpt_tokenizer_io.safetensors")
    assert vocabulary.n_tokens == 66
    assert vocabulary.counts.sum() == 1_362_004_800
    labels = vocabulary.encode(io["raw_tokens"].numpy())
    assert np.array_equal(labels, io["refactored_tokens"].numpy())
    unseen = vocabulary.decode(io["refactored_tokens_with_unseen"].numpy())
    with torch.inference_mode():
        found = net.decode(torch.from_numpy(unseen).reshape(10, 200, 3)).reshape(2000, 3)
    close(found, io["reconstruction_with_unseen"])


@pytest.mark.parametrize("padding", ["causal", "same"])
@pytest.mark.parametrize(("bias", "groups", "token_dim"), [(True, 1, 10), (False, 2, 7)])
def test_collapsed_decoder_is_the_convolution_summed(padding, bias, groups, token_dim) -> None:
    torch.manual_seed(0)
    net = MEGTokenizer(2, 8, 6, sequence_length=30, token_dim=token_dim, padding=padding, bias=bias, groups=groups)
    conv = net.decoder_layer.token_basis_layer
    if bias:
        torch.nn.init.normal_(conv.bias)
    x = torch.randn(3, 30, 2)
    left = token_dim - 1 if padding == "causal" else (token_dim - 1) // 2
    net.eval()
    with torch.no_grad():
        one_hot = torch.nn.functional.one_hot(net.encode(x), 8).float().permute(0, 2, 3, 1).flatten(0, 1)
        expected = conv(torch.nn.functional.pad(one_hot, (left, token_dim - 1 - left))).sum(1)
        assert torch.allclose(net(x), expected.reshape(3, 2, 30).transpose(1, 2), atol=1e-5)
        net.train().set_temperature(0)  # the hard weights alone: the path of training gives the same
        assert torch.allclose(net(x), expected.reshape(3, 2, 30).transpose(1, 2), atol=1e-5)


def test_causal_tokens_never_look_ahead() -> None:
    torch.manual_seed(0)
    net = MEGTokenizer(2, 16, 12, sequence_length=40).eval()
    x = torch.randn(1, 40, 2)
    changed = x.clone()
    changed[:, 25:] += 3
    with torch.no_grad():
        assert torch.allclose(net.logits(x)[:, :25], net.logits(changed)[:, :25], atol=1e-6)
        assert torch.allclose(net(x)[:, :25], net(changed)[:, :25], atol=1e-6)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_tokens_sample_by_sample_are_those_of_the_logits(n_layers) -> None:
    torch.manual_seed(0)
    net = MEGTokenizer(2, 16, 12, n_layers=n_layers, sequence_length=40).eval()
    x = torch.randn(3, 40, 2, requires_grad=True)
    with torch.no_grad():
        expected = net.logits(x).argmax(-1)
    assert torch.equal(net.encode(x), expected)


def test_it_learns() -> None:
    torch.manual_seed(0)
    net = MEGTokenizer(1, 12, 16, sequence_length=50)
    time = torch.arange(50) / 250
    x = torch.sin(2 * torch.pi * (10 * time + torch.rand(16, 1)))[..., None]
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    for step in range(80):
        net.set_temperature(max(1e-3, 1 - step / 60))
        optimiser.zero_grad()
        loss = (net(x) - x).square().mean()
        loss.backward()
        optimiser.step()
    net.eval()
    with torch.no_grad():
        assert float((net(x) - x).square().mean()) < 0.2 * float(x.square().mean())


@pytest.mark.parametrize("wrong", [{"padding": "both"}, {"n_tokens": 9, "groups": 2}, {"token_dim": 0}])
def test_arguments_that_cannot_work(wrong) -> None:
    with pytest.raises(ValueError, match=r"expected|split"):
        MEGTokenizer(2, **wrong)
