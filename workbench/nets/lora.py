"""Low-rank adaptation: teach a network with a few thousand numbers beside its frozen weights.

E. J. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, arXiv 2106.09685. A linear layer with
weight W computes with W + (alpha / rank) B A, where A (rank, in) is random and B (out, rank) starts at zero, so that
nothing changes before training. Layers keep their names and their own keys: the state dict of an adapted network is the
plain one plus ``*.lora_a`` and ``*.lora_b``, and a merged network is the plain one again.

A network that reads ``layer.weight`` itself instead of calling the layer passes the addition by (torch's own
``TransformerEncoderLayer`` does so in its fast path); ours call their layers.

>>> names = add_lora(net, rank=8)
>>> optimiser = torch.optim.AdamW(p for p in net.parameters() if p.requires_grad)
>>> adapter = lora_state(net)          # small: save this
>>> load_lora(fresh_net, adapter)      # adds the layers it names and fills them
>>> merge_lora(net)                    # plain network with the same outputs
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.core.errors import UsageError, WeightsError

ATTENTION_AND_MLP = r"(^|\.)(query|key_value|key|value|qkv|proj|fc1|fc2)$"
"""Default targets: the linear layers of attention and MLP in the names that our networks use."""

HEAD = r"(^|\.)(linear_pred|head|classifier)(\.|$)"
"""Default for what is trained in full besides: the layer that makes the classes."""

_ALPHA = "lora_alpha"


class LoraLinear(nn.Linear):
    """A linear layer with a low-rank addition; ``weight`` and ``bias`` are those of the layer it replaces."""

    lora_a: nn.Parameter
    lora_b: nn.Parameter
    lora_scale: float

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias) + F.linear(F.linear(x, self.lora_a), self.lora_b) * self.lora_scale


def add_lora(
    net: nn.Module,
    rank: int,
    alpha: float | None = None,
    targets: str = ATTENTION_AND_MLP,
    *,
    train_also: str | None = HEAD,
) -> list[str]:
    """Freeze a network and add trainable low-rank layers to it, in place.

    Parameters
    ----------
    net
        Any module; its linear layers whose names match `targets` are adapted.
    rank
        Inner size of the addition; at most the smaller side of a layer is used.
    alpha
        Strength: the addition is multiplied by ``alpha / rank``. ``None`` means `rank`, a factor of 1.
    targets
        Regular expression that is searched in module names.
    train_also
        Regular expression for parameters that stay trainable in full (default: the class head), or ``None``. Add
        ``norm`` to it to train the norms too.

    Returns
    -------
    list of str
        Names of the adapted layers.

    Raises
    ------
    UsageError
        If the rank is below 1, nothing matches, or the network has such layers already.
    """
    if rank < 1:
        raise UsageError(f"rank {rank}: expected at least 1")
    if _adapted(net):
        raise UsageError("the network already has LoRA layers; merge them before adding new ones")
    names = [n for n, m in net.named_modules() if re.search(targets, n) and type(m) is nn.Linear]
    if not names:
        raise UsageError(f"no linear layer of {type(net).__name__} has a name that matches {targets!r}")
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    scale = (rank if alpha is None else float(alpha)) / rank
    for name in names:
        _adapt(net.get_submodule(name), rank, scale)
    if train_also is not None:
        for name, parameter in net.named_parameters():
            if re.search(train_also, name):
                parameter.requires_grad_(True)
    return names


def lora_state(net: nn.Module) -> dict[str, Tensor]:
    """What must be saved of an adapted network, on the CPU.

    Low-rank tensors, everything else that is trainable, and the statistics of batch norms, which move with every
    training step even where their weights are frozen.
    """
    layers = _adapted(net)
    if not layers:
        raise UsageError("the network has no LoRA layers; call add_lora first")
    state = {n: p.detach().cpu().clone() for n, p in net.named_parameters() if p.requires_grad or "lora_" in n}
    for name, module in net.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for key, buffer in module.named_buffers(prefix=name, recurse=False):
                state[key] = buffer.detach().cpu().clone()
    for name, layer in layers.items():
        state[f"{name}.{_ALPHA}"] = torch.tensor(layer.lora_scale * layer.lora_a.shape[0])
    return state


def load_lora(net: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Add the layers that `lora_state` describes to a plain (or equally adapted) network and fill them.

    Returns the names of the adapted layers. Raises `WeightsError` with the names that do not fit.
    """
    names = [k.removesuffix(".lora_a") for k in state if k.endswith(".lora_a")]
    if not names:
        raise WeightsError(f"no LoRA layers among the {len(state)} entries; expected names that end in '.lora_a'")
    plain = {k: v for k, v in state.items() if not k.rsplit(".", 1)[-1].startswith("lora_")}
    own = net.state_dict()
    modules = dict(net.named_modules())
    bad = [n for n in names if not isinstance(modules.get(n), nn.Linear)]
    bad += [n for n in names if n not in bad and not _fits(modules[n], state, n)]
    bad += [k for k, v in plain.items() if k not in own or own[k].shape != v.shape]
    if bad:
        raise WeightsError(
            f"the adapter does not fit {type(net).__name__}: {len(bad)} of {len(names) + len(plain)} entries, "
            f"e.g. {', '.join(bad[:3])}; it was made for another network or number of classes"
        )
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        for name in names:
            a, b = state[f"{name}.lora_a"], state[f"{name}.lora_b"]
            rank = a.shape[0]
            alpha = state.get(f"{name}.{_ALPHA}")
            layer = _adapt(modules[name], rank, 1.0 if alpha is None else float(alpha) / rank)
            layer.lora_a.copy_(a)
            layer.lora_b.copy_(b)
        for key, value in plain.items():
            own[key].copy_(value)
    for key, parameter in net.named_parameters():
        if key in state:
            parameter.requires_grad_(True)
    return names


def merge_lora(net: nn.Module) -> nn.Module:
    """Add the low-rank products to the weights and restore the plain layers, in place; all parameters trainable."""
    for layer in _adapted(net).values():
        product = layer.lora_scale * (layer.lora_b.detach().double() @ layer.lora_a.detach().double())
        with torch.no_grad():
            layer.weight.copy_((layer.weight.double() + product.view(layer.weight.shape)).to(layer.weight.dtype))
        del layer.lora_a, layer.lora_b, layer.lora_scale
        layer.__class__ = nn.Linear  # type: ignore[assignment]
    for parameter in net.parameters():
        parameter.requires_grad_(True)
    return net


def _adapted(net: nn.Module) -> dict[str, LoraLinear]:
    return {n: m for n, m in net.named_modules() if isinstance(m, LoraLinear)}


def _fits(module: nn.Module, state: Mapping[str, Tensor], name: str) -> bool:
    a, b = state[f"{name}.lora_a"], state.get(f"{name}.lora_b")
    weight = module.weight
    assert isinstance(weight, Tensor)
    return b is not None and a.shape == (b.shape[1], weight.shape[1]) and b.shape[0] == weight.shape[0]


def _adapt(module: nn.Module, rank: int, scale: float) -> LoraLinear:
    """Turn a layer into its adapted form in place, so that every reference to it stays valid."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    rank = min(rank, *weight.shape)
    a = torch.empty(rank, weight.shape[1], device=weight.device, dtype=weight.dtype)
    nn.init.kaiming_uniform_(a, a=math.sqrt(5))
    module.lora_a = nn.Parameter(a)
    module.lora_b = nn.Parameter(torch.zeros(weight.shape[0], rank, device=weight.device, dtype=weight.dtype))
    module.__class__ = LoraLinear
    assert isinstance(module, LoraLinear)
    module.lora_scale = scale
    return module
