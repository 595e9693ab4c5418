"""Official state dicts become networks of ours, with every argument read off the tensors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.workbench.recording.net.test_gpt import SMALL
from workbench.core.errors import WeightsError
from workbench.nets.checkpoints import load_state
from workbench.recording.net.cache import Window
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.net.official import from_official, gpt_from, kind_of, tokenizer_from
from workbench.recording.net.tokenizer import MEGTokenizer


def lengths(config: dict) -> dict:
    """A configuration with patches of the output written as positions, which is the same."""
    out = [a * b for a, b in zip(config["n_patches_out"], config["patch_len_out"], strict=True)]
    return {**config, "n_patches_out": out, "patch_len_out": [1] * len(out)}


@pytest.mark.parametrize(
    ("weights", "net"),
    [
        ("meggpt_default_weights_fp16", MEGGPT.preset("released")),
        ("meggpt_small_weights", MEGGPT(**SMALL)),
    ],
)
def test_arguments_are_read_off_the_tensors(shared_parity: Path, weights, net) -> None:
    state = load_file(shared_parity / f"{weights}.safetensors")
    assert kind_of(state) == "gpt"
    found = gpt_from({"state_dict": state})
    assert not found.training
    assert lengths(found.config) == lengths(net.config)
    tokens = torch.randint(0, net.n_tokens, (1, net.sequence_length, net.n_channels))
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    with torch.no_grad():
        assert torch.equal(found(tokens, "mean"), net.eval()(tokens, "mean"))


def test_the_release_belongs_together(shared_parity: Path) -> None:
    coder = load_file(shared_parity / "meggpt_tokenizer_weights.safetensors")
    words = json.loads((shared_parity / "meggpt_tokenizer_vocab.json").read_text(encoding="utf-8"))
    gpt = load_file(shared_parity / "meggpt_default_weights_fp16.safetensors")
    tokenizer, vocabulary, network = from_official(coder, words, gpt)
    assert tokenizer.config == MEGTokenizer(52).config
    assert vocabulary.n_tokens == network.n_tokens == 66
    with pytest.raises(WeightsError, match="19 tokens, but the vocabulary has 66"):
        from_official(coder, words, load_file(shared_parity / "meggpt_small_weights.safetensors"))
    with pytest.raises(WeightsError, match="no array label_map"):
        from_official(coder, {k: v for k, v in words.items() if k != "label_map"})
    with pytest.raises(WeightsError, match="contradict"):
        from_official(coder, {**words, "label_map": np.roll(words["label_map"], 1)})
    with pytest.raises(WeightsError, match="found MEG-GPT"):
        tokenizer_from(gpt)
    with pytest.raises(WeightsError, match="found the MEG-GPT tokeniser"):
        gpt_from(coder)


def changed(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    state = dict(MEGGPT(**SMALL).state_dict())
    for part, value in changes.items():
        key = next(k for k in state if k.endswith(part.replace("__", ".")))
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (changed(prediction_head__bias=None), "1 missing: prediction_head.bias"),
        (changed(prediction_head__bias=torch.zeros(3)), "of another shape"),
        (changed(position_embeddings=None), "not the state dict of MEG-GPT"),
        (changed(attention_mask=torch.zeros(40, 40, dtype=torch.bool)), "see what comes after them"),
        ({**changed(), "more": torch.zeros(1)}, "unexpected: more"),
        ({"weight": torch.zeros(1)}, "entries such as weight"),
        ({}, "expected a state dict"),
    ],
)
def test_other_layouts_are_refused(state, words) -> None:
    with pytest.raises(WeightsError, match=words):
        gpt_from(state)


BANDED = {
    **SMALL, "sequence_length": 48, "n_patches_in": [48, 36, 9], "patch_len_in": [1, 1, 4],
    "n_patches_out": [48, 36, 36], "patch_len_out": [1, 1, 1], "l_patched_b": [8, None, None],
    "loss_sequence_length": 16,
}  # fmt: skip


def of_official_code() -> dict[str, torch.Tensor]:
    """A state whose second layer makes 36 positions of 48 with a band of 6, counted from the row as their code does.

    Row 0 sees the keys 0 to 6, row 35 sees 29 to 41 (measured on their mask).
    """
    torch.manual_seed(3)
    config = {**BANDED, "n_patches_in": [48, 48, 9], "n_patches_out": [48, 36, 36]}
    net = MEGGPT(**config)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0, 0.4)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    row, key = torch.arange(36)[:, None], torch.arange(48)[None]
    state["transformer_decoder.layers.1.gasp_time_attention.gasp_layer.attention_mask"] = ~(
        ((key - row).abs() <= 6) & (key <= row + 12)
    )
    return state


def plainly(net: MEGGPT, state: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """The logits by the published formulas and the masks of the state, without any of the shortcuts of the network."""
    x = net.input_embedding_layer(tokens, None).flatten(0, 1)
    for number, layer in enumerate(net.layers):
        attention = layer.gasp_time_attention
        blocked = state[f"transformer_decoder.layers.{number}.gasp_time_attention.gasp_layer.attention_mask"]
        y = layer.norm_time1(x)
        keys, values = attention.patch_keys(y)
        query = attention._split(attention.query_projection(y[:, -len(blocked) :]))
        scores = (query @ keys.transpose(-1, -2)) * query.shape[-1] ** -0.5
        shares = scores.masked_fill(blocked, -torch.inf).softmax(-1).nan_to_num(0)
        x = layer.finish(
            x[:, -len(blocked) :] + attention.output_projection((shares @ values).transpose(1, 2).flatten(2))
        )
    out = net.prediction_head(x)
    return out.reshape(len(tokens), net.n_channels, -1, net.n_tokens).transpose(1, 2)


def test_a_mask_that_the_numbers_do_not_imply_is_used_as_it_is(tmp_path: Path) -> None:
    state = of_official_code()
    key = "transformer_decoder.layers.1.gasp_time_attention.gasp_layer.attention_mask"
    seen = [(~row).nonzero().flatten().tolist() for row in state[key]]
    assert (seen[0][0], seen[0][-1], seen[35][0], seen[35][-1]) == (0, 6, 29, 41)
    net = gpt_from(state)
    assert torch.equal(net.state_dict()[key], state[key])
    tokens = torch.randint(0, 19, (3, 48, 5))
    with torch.no_grad():
        wanted = plainly(net, state, tokens)
        assert torch.allclose(net(tokens), wanted, atol=1e-5)
        assert torch.allclose(net(tokens, last=5), wanted[:, -5:], atol=1e-5)
        other = MEGGPT(**net.config)  # the mask that its numbers imply
        other.load_state_dict({**state, key: other.state_dict()[key]})
        assert (other.eval()(tokens) - wanted).abs().max() > 0.05
        # One sample at a time, as signals are generated.
        window = Window(net)
        logits = [window.start(tokens[:, :20])] + [window.step(tokens[:, n]) for n in range(20, 48)]
    assert torch.allclose(torch.stack(logits, 1), wanted[:, 19 - 12 :], atol=1e-5)
    again = MEGGPT(**net.config)
    load_state(again, net.state_dict())  # as our own weight files do it
    with torch.no_grad():
        assert torch.equal(again.eval()(tokens), net(tokens))


def test_a_mask_with_a_leak_is_refused() -> None:
    state = of_official_code()
    key = "transformer_decoder.layers.2.gasp_time_attention.gasp_layer.attention_mask"
    state[key] = state[key].clone()
    state[key][0, -1] = False
    with pytest.raises(WeightsError, match=r"layers.2.*see what comes after them"):
        gpt_from(state)
