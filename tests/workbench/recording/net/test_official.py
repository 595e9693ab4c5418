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
        (changed(attention_mask=torch.zeros(40, 40, dtype=torch.bool)), "not the one of completed patches"),
        ({**changed(), "more": torch.zeros(1)}, "unexpected: more"),
        ({"weight": torch.zeros(1)}, "entries such as weight"),
        ({}, "expected a state dict"),
    ],
)
def test_other_layouts_are_refused(state, words) -> None:
    with pytest.raises(WeightsError, match=words):
        gpt_from(state)
