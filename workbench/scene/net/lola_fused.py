"""LoLA-SpecViT for inference: the same function with fewer multiplications.

Three chains in the network are linear from end to end, so each is one linear map: the layer before the SwiGLU with its
two inner layers; its outer layer with the one after it; and, in the down-sampling, 1x1 convolution, batch norm and
strided 3x3 convolution. Batch norms fold into convolutions, norm gains and low-rank adapters into linear layers. Logits
differ from those of the network only by rounding (about 1e-6 of their size).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.nets.lora import LoraLinear
from workbench.scene.net.lola_layers import Block, Down, PublishedLoraLinear
from workbench.scene.net.lola_specvit import LolaSpecViT


class FusedLola(nn.Module):
    """`LolaSpecViT.front` and `.window_head` with weights multiplied out, for evaluation only.

    A copy: later changes of the network do not reach it. The gated published adapters cannot be multiplied out: such
    layers run as they are.

    Parameters
    ----------
    net
        The trained network, on its device.
    """

    def __init__(self, net: LolaSpecViT) -> None:
        super().__init__()
        self.patch_size, self.margin = net.patch_size, net.margin
        self.window_offsets, self.dense, self.embedding = net.window_offsets, net.dense, net.embedding
        where = net.pos_embed.device
        if where.type != "cpu":  # products are taken in double precision, which not every device has
            net = _copy(net).cpu()
        with torch.no_grad():
            self.convolutions = nn.ModuleList(
                _fold_norm(net.spectral_conv[i], net.spectral_conv[i + 1]) for i in (0, 3, 6)
            )
            self.embed = _fold_norm(net.patch_embed[0], net.patch_embed[1])
            self.gate = _copy(net.spectral_attention.fc)
            self.pos_embed = nn.Parameter(net.pos_embed.detach().clone(), requires_grad=False)
            stages = [module for level in net.levels for module in level]  # type: ignore[attr-defined]
            size = net.pos_embed.shape[1]
            self.stages = nn.ModuleList()
            for module in stages:
                if isinstance(module, Down):
                    self.stages.append(_FusedDown(module, size))
                    size = (size - 1) // 2 + 1
                else:
                    self.stages.append(_FusedBlock(module))
            self.norm = _copy(net.norm)
            self.centre = _copy(net.centre) if "centre" in net._modules else None
            self.gain = _copy(net.context_gain) if self.centre is not None else None
            self.head = _plain(net.head)
        self.requires_grad_(False)
        self.eval().to(where)

    def forward(self, patches: Tensor) -> Tensor:
        """Logits (B, classes) of patches (B, C, patch_size, patch_size)."""
        middle = patches.shape[-1] // 2
        features = self._convolve(patches)
        if self.embedding == "shared":
            features = F.silu(self.embed(features))
        return self.window_head(features, patches[:, :, middle, middle])

    def front(self, x: Tensor) -> Tensor:
        """See `LolaSpecViT.front`."""
        x = self._convolve(x)
        if self.embedding == "shared":
            embed = self.embed
            assert isinstance(embed, nn.Conv2d)
            x = F.silu(F.conv2d(x, embed.weight, embed.bias))
        return x

    def window_head(self, windows: Tensor, spectra: Tensor) -> Tensor:
        """See `LolaSpecViT.window_head`."""
        tokens = windows.permute(0, 2, 3, 1)
        gate = self.gate(tokens.mean((1, 2)))
        if self.embedding == "window":
            tokens = F.silu(self.embed(windows * gate[:, :, None, None])).permute(0, 2, 3, 1)
            x = tokens + self.pos_embed
        else:
            x = torch.addcmul(self.pos_embed, tokens, gate[:, None, None, :])
        for stage in self.stages:
            x = stage(x)
        pooled = self.norm(x).mean((1, 2))
        if self.centre is not None and self.gain is not None:
            pooled = pooled * self.gain + self.centre(spectra)
        out = self.head(pooled)
        assert isinstance(out, Tensor)
        return out

    def _convolve(self, x: Tensor) -> Tensor:
        x = x[:, None]
        for convolution in self.convolutions:
            x = F.silu(convolution(x), inplace=not torch.is_grad_enabled())
        return x.mean(2)


class _FusedBlock(nn.Module):
    """A transformer block on (B, H, W, C) whose MLP is two linear layers."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = _copy(block)
        for name, layer in (("qkv", block.attn.qkv), ("proj", block.attn.proj)):
            setattr(self.block.attn, name, _plain(layer))
        before, glu, _, after = block.mlp
        before, after = _plain(before), _plain(after)
        self.inner = self.outer = None
        if isinstance(before, nn.Linear) and isinstance(after, nn.Linear):
            w1, w2, w3 = (_plain(w) for w in (glu.w1, glu.w2, glu.w3))
            self.inner = _product(_stack(w1, w2), before)
            self.outer = _product(after, w3)
            self.block.mlp = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        block = self.block
        if self.inner is None or self.outer is None:
            out = block(x)
            assert isinstance(out, Tensor)
            return out
        x = x + block._attend(block.norm1(x))
        a, b = self.inner(block.norm2(x)).chunk(2, -1)
        return x + self.outer(F.silu(a) * b)  # type: ignore[no-any-return]


class _FusedDown(nn.Module):
    """Down-sampling on (B, H, W, C) with one convolution after the gate."""

    def __init__(self, down: Down, size: int) -> None:
        super().__init__()
        self.depthwise, self.gate = _copy(down.conv[0]), _copy(down.conv[2])
        gain, shift = _gain_and_shift(down.norm)
        widen, reduce = down.conv[3].weight, down.reduction.weight
        assert isinstance(widen, Tensor)
        weight = torch.einsum("omhw,mc->ochw", reduce.double(), widen[:, :, 0, 0].double() * gain[:, None])
        self.weight = nn.Parameter(weight.to(reduce.dtype))
        # What the norm adds is lost beyond the border, where the convolution sees zeros: it depends on the position.
        constant = shift[None, :, None, None].expand(1, -1, size, size)
        self.shift = nn.Parameter(F.conv2d(constant, reduce.double(), stride=2, padding=1).to(reduce.dtype))

    def forward(self, x: Tensor) -> Tensor:
        x = self.gate(F.silu(self.depthwise(x.permute(0, 3, 1, 2))))
        out = F.conv2d(x, self.weight, stride=2, padding=1) + self.shift
        return out.permute(0, 2, 3, 1)


def _copy(module: Any) -> Any:
    return copy.deepcopy(module)


def _gain_and_shift(norm: Any) -> tuple[Tensor, Tensor]:
    """In double precision: small variances make large gains, and rounding would be multiplied by them."""
    gain = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    return gain, norm.bias.double() - norm.running_mean.double() * gain


def _fold_norm(convolution: Any, norm: Any) -> nn.Module:
    """Convolution that includes the batch norm after it."""
    gain, shift = _gain_and_shift(norm)
    folded = _copy(convolution)
    folded.weight.copy_(folded.weight.double() * gain.view(-1, *(1,) * (folded.weight.ndim - 1)))
    folded.bias.copy_(folded.bias.double() * gain + shift)
    return folded  # type: ignore[no-any-return]


def _plain(layer: Any) -> nn.Module:
    """A linear layer with its adapter added in, where that is possible."""
    if isinstance(layer, PublishedLoraLinear):
        if layer.enhanced:
            return _copy(layer)  # type: ignore[no-any-return]
        product = layer.lora_scale * (layer.lora_up.weight @ layer.lora_down.weight)
        return _linear(layer.linear.weight + product, layer.linear.bias)
    if isinstance(layer, LoraLinear):
        return _linear(layer.weight + layer.lora_scale * (layer.lora_b @ layer.lora_a), layer.bias)
    return _linear(layer.weight, layer.bias)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer


def _stack(a: Any, b: Any) -> nn.Linear:
    return _linear(torch.cat([a.weight, b.weight]), torch.cat([a.bias, b.bias]))


def _product(second: Any, first: Any) -> nn.Linear:
    """One layer that does what `first` and then `second` do."""
    weight = second.weight.double() @ first.weight.double()
    bias = second.weight.double() @ first.bias.double() + second.bias.double()
    return _linear(weight.to(first.weight.dtype), bias)
