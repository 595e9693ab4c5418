"""The released MEG-GPT and its tokeniser: from official state dicts to ours, with every argument read off the tensors.

Repository OHBA-analysis/MEG-GPT (MIT), described in arXiv:2510.18080. The release has its state dicts in
``models/tokenizer/model_state.pt`` and ``models/meg-gpt/model_state.pt`` and the vocabulary in
``models/tokenizer/vocab.pkl``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy.typing as npt
import torch
from torch import Tensor

from workbench.core.errors import WeightsError
from workbench.nets.checkpoints import load_state, require_fit, unwrap_checkpoint
from workbench.recording.net.gpt import MEGGPT
from workbench.recording.net.gpt_layers import Layout
from workbench.recording.net.tokenizer import MEGTokenizer
from workbench.recording.net.vocabulary import Vocabulary, official_vocabulary

_TOKENIZER_KEY = "decoder_layer.token_basis_layer.weight"
_GPT_KEY = "input_embedding_layer.token_embed.base_module.weight"
_LAYER = "transformer_decoder.layers.{}."
_ATTENTION = _LAYER + "gasp_time_attention."
_SESSION = "input_embedding_layer.extra_embeds.0."

WINDOW = 200
"""Samples of the released tokeniser's windows, which no tensor tells."""


def kind_of(content: Mapping[str, object]) -> Literal["tokenizer", "gpt"] | None:
    """Which of the two a state dict is, or ``None``."""
    return "tokenizer" if _TOKENIZER_KEY in content else "gpt" if _GPT_KEY in content else None


def from_official(
    tokenizer: Mapping[str, object],
    vocabulary: Mapping[str, npt.ArrayLike],
    gpt: Mapping[str, object] | None = None,
) -> tuple[MEGTokenizer, Vocabulary, MEGGPT | None]:
    """Networks in evaluation mode from what the official files hold.

    Parameters
    ----------
    tokenizer, gpt
        State dicts, as they are or wrapped (``state_dict``).
    vocabulary
        The arrays of ``vocab.pkl``.

    Raises
    ------
    WeightsError
        Keys or shapes that are not those of the release, a damaged vocabulary, or parts that do not belong together.
    """
    coder = tokenizer_from(tokenizer)
    try:
        words = official_vocabulary(vocabulary)
    except ValueError as error:
        raise WeightsError(f"not the vocabulary of a tokeniser ({error})") from error
    if words.n_raw != coder.n_tokens:
        raise WeightsError(f"a vocabulary of {words.n_raw} raw tokens, but the tokeniser has {coder.n_tokens}")
    if gpt is None:
        return coder, words, None
    network = gpt_from(gpt)
    if network.n_tokens != words.n_tokens:
        raise WeightsError(f"a transformer of {network.n_tokens} tokens, but the vocabulary has {words.n_tokens}")
    return coder, words, network


def tokenizer_from(content: Mapping[str, object]) -> MEGTokenizer:
    """The tokeniser of a state dict."""
    state = _float32(content, "tokenizer")
    weight = state[_TOKENIZER_KEY]
    if weight.ndim != 3 or not weight.shape[1]:
        raise WeightsError(f"{_TOKENIZER_KEY} is {tuple(weight.shape)}, expected tokens x tokens x samples")
    tokens, per_group, length = weight.shape
    recurrent = [k for k in state if k.startswith("encoder_layer.rnn_layers.") and k.endswith("weight_hh_l0")]
    units = state[recurrent[0]].shape[-1] if recurrent else 1
    layers, bias = max(1, len(recurrent)), _TOKENIZER_KEY.replace("weight", "bias") in state

    def construct() -> MEGTokenizer:
        # The number of channels is that of the release; no tensor depends on it.
        return MEGTokenizer(52, tokens, units, layers, WINDOW, length, "causal", bias, tokens // per_group)

    require_fit(construct, state)
    net = construct()
    load_state(net, state)
    return net.eval()


def gpt_from(content: Mapping[str, object]) -> MEGGPT:
    """The transformer of a state dict."""
    state = _float32(content, "gpt")
    try:
        config = _gpt_config(state)
        require_fit(lambda: MEGGPT(**config), state)
        net = MEGGPT(**config)
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise WeightsError(f"not the state dict of MEG-GPT ({type(error).__name__}: {error})") from error
    for number, layer in enumerate(net.layers):
        key = _ATTENTION.format(number) + "gasp_layer.attention_mask"
        state[key] = state[key].bool()
        # A mask of its own is kept as it is, since it is what the network was taught with; but nothing may look ahead.
        if (layer.gasp_time_attention.layout.ahead() & ~state[key]).any():
            raise WeightsError(f"{key}: a mask that lets positions see what comes after them, which nothing can use")
    load_state(net, state)
    return net.eval()


def _gpt_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    tokens, width = state[_GPT_KEY].shape
    length = state["input_embedding_layer.pos_embed.base_module.position_embeddings"].shape[0]
    lists: dict[str, list[int | None]] = {
        k: [] for k in ("n_patches_in", "patch_len_in", "n_patches_out", "patch_len_out", "l_patched_b")
    }
    heads, current, depth = 0, length, 0
    while (mask_key := _ATTENTION.format(depth) + "gasp_layer.attention_mask") in state:
        blocked = state[mask_key].bool()
        out, patches = blocked.shape
        patch = current // patches
        reduce = state.get(_ATTENTION.format(depth) + "patch_projection_k.weight")
        heads = heads if reduce is None else reduce.shape[0]
        seen = int((~blocked).sum(1).max())
        lists["n_patches_in"].append(patches)
        lists["patch_len_in"].append(patch)
        lists["n_patches_out"].append(out)
        lists["patch_len_out"].append(1)
        band = seen - 1 if patch == 1 and seen < patches else None
        # Where the numbers imply another mask than is there, the one that is there is loaded over it.
        implied = Layout(current, out, patch, band=band).blocked()
        lists["l_patched_b"].append(band if torch.equal(implied, blocked) else None)
        current, depth = out, depth + 1
    session = state.get(_SESSION + "base_module.weight")
    return {
        "sequence_length": length,
        "n_channels": state["input_embedding_layer.channel_embed.base_module.position_embeddings"].shape[0],
        "n_tokens": tokens,
        "model_dim": width,
        "n_heads": heads or 4,
        "ff_dim": state[_LAYER.format(0) + "ff_time.net.0.weight"].shape[0],
        **lists,
        "n_sessions": 0 if session is None else session.shape[0],
        "session_dim": None if session is None else session.shape[1],
        "dropout": 0.2,
    }


def _float32(content: Mapping[str, object], kind: Literal["tokenizer", "gpt"]) -> dict[str, Tensor]:
    state = unwrap_checkpoint(content)
    if kind_of(state) != kind:
        what = {"tokenizer": "the MEG-GPT tokeniser", "gpt": "MEG-GPT"}
        found = what.get(str(kind_of(state)), f"entries such as {next(iter(state))}")
        raise WeightsError(f"expected the state dict of {what[kind]}, found {found}")
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
