"""SegFormer3D: hierarchical transformer encoder and all-MLP decoder for volumes.

S. Perera, P. Navard, A. Yilmaz, "SegFormer3D: an Efficient Transformer for 3D Medical Image Segmentation", CVPR 2024
workshop DEF-AI-MIA, pp. 4981-4988, arXiv 2404.10156. Written from the paper and a description of shapes, names and
numbers; no line of the original code (GPL-3.0) is used. The layout of the state dict is the official one, so the
authors' checkpoints load; they publish those without a licence of their own.

Parameters (default widths), input channels -> classes: 4 -> 3: 4,525,251; 1 -> 14: 4,495,150; 1 -> 4: 4,492,580.

Three things differ from the original on purpose, and none changes its numbers:

- any (D, H, W): the token grid is carried along instead of being guessed as a cube, and logits have the input's size;
- ``attention_scale``: the released weights were trained with q.k / sqrt(number of heads), the current official code
  divides by sqrt(head width). Nothing in a checkpoint tells which, so it is an argument (default: the released one);
- the decoder's 1x1x1 fusion convolution is applied per scale before upsampling, with which it commutes: the same sum at
  an eighth to a five-hundredth of the voxels, without the 1024-channel concatenation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.core.errors import WeightsError
from workbench.nets.checkpoints import load_state, require_fit, unwrap_checkpoint

__all__ = ["PRESETS", "SegFormer3D", "infer_config", "load_state", "require_config", "unwrap_checkpoint"]

AttentionScale = Literal["num_heads", "head_dim"]
Size3: TypeAlias = tuple[int, int, int]

PRESETS: dict[str, dict[str, Any]] = {
    "brats": {"in_channels": 4, "num_classes": 3},
    "synapse": {"in_channels": 1, "num_classes": 14},
    "acdc": {"in_channels": 1, "num_classes": 4},
}
"""Constructor arguments for the data sets of the paper; only BraTS has released weights."""


def _to_volume(tokens: Tensor, grid: Size3) -> Tensor:
    """(B, N, C) -> (B, C, D, H, W) without a copy: tokens are already a channels-last volume."""
    b, _, c = tokens.shape
    return tokens.transpose(1, 2).view(b, c, *grid)


def _to_tokens(volume: Tensor) -> Tensor:
    """(B, C, D, H, W) -> (B, N, C)."""
    return volume.flatten(2).transpose(1, 2)


class PatchEmbedding(nn.Module):
    """Overlapping strided convolution and a layer norm: volume -> tokens and their grid."""

    def __init__(self, in_channels: int, dim: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.patch_embeddings = nn.Conv3d(in_channels, dim, kernel, stride, padding)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Size3]:
        x = self.patch_embeddings(x)
        d, h, w = x.shape[2:]
        return self.norm(_to_tokens(x)), (d, h, w)


class SelfAttention(nn.Module):
    """Attention of all tokens to keys and values on a grid that is `sr_ratio` times coarser."""

    def __init__(
        self, dim: int, num_heads: int, sr_ratio: int, qkv_bias: bool, attention_scale: AttentionScale
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.sr_ratio = sr_ratio
        self.scale = 1.0 / math.sqrt(num_heads if attention_scale == "num_heads" else dim // num_heads)
        self.query = nn.Linear(dim, dim, bias=qkv_bias)
        self.key_value = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        if sr_ratio > 1:
            self.sr = nn.Conv3d(dim, dim, sr_ratio, sr_ratio)
            self.sr_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, grid: Size3) -> Tensor:
        b, n, c = x.shape
        q = self.query(x).view(b, n, self.num_heads, -1).transpose(1, 2)
        if self.sr_ratio > 1:
            volume = _to_volume(x, grid)
            missing = [-s % self.sr_ratio for s in grid]
            if any(missing):
                # Repeat the border, so that the last tokens are seen too (the original drops them).
                pad = [v for m in reversed(missing) for v in (0, m)]
                volume = F.pad(volume, pad, mode="replicate")
            x = self.sr_norm(_to_tokens(self.sr(volume)))
        kv = self.key_value(x).view(b, x.shape[1], 2, self.num_heads, c // self.num_heads)
        k, v = kv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        out = self.proj(out.transpose(1, 2).reshape(b, n, c))
        assert isinstance(out, Tensor)
        return out


class DepthwiseConv(nn.Module):
    """Depthwise 3x3x3 convolution and batch norm: the only source of position in the network."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv3d(dim, dim, 3, 1, 1, groups=dim)
        self.bn = nn.BatchNorm3d(dim)

    def forward(self, x: Tensor, grid: Size3) -> Tensor:
        volume = _to_volume(x, grid)
        if self.training:
            return _to_tokens(self.bn(self.dwconv(volume)))
        gain, shift = _fold(self.bn)
        bias = self.dwconv.bias
        assert bias is not None
        weight = self.dwconv.weight * gain.view(-1, 1, 1, 1, 1)
        return _to_tokens(F.conv3d(volume, weight, bias * gain + shift, padding=1, groups=weight.shape[0]))


class MixFFN(nn.Module):
    """Two linear layers with the depthwise convolution between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = DepthwiseConv(hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, grid: Size3) -> Tensor:
        out = self.fc2(F.gelu(self.dwconv(self.fc1(x), grid)))
        assert isinstance(out, Tensor)
        return out


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dim: int, attention: SelfAttention, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = attention
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MixFFN(dim, dim * mlp_ratio)

    def forward(self, x: Tensor, grid: Size3) -> Tensor:
        x = x + self.attention(self.norm1(x), grid)
        x = x + self.mlp(self.norm2(x), grid)
        return x


class Encoder(nn.Module):
    """Four stages at 1/4, 1/8, 1/16 and 1/32 of the resolution."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dims = config["embed_dims"]
        inputs = (config["in_channels"], *dims[:-1])
        for s in range(4):
            patch = (config[k][s] for k in ("patch_kernel_size", "patch_stride", "patch_padding"))
            setattr(self, f"embed_{s + 1}", PatchEmbedding(inputs[s], dims[s], *patch))
        for s in range(4):
            blocks = [
                Block(
                    dims[s],
                    SelfAttention(
                        dims[s],
                        config["num_heads"][s],
                        config["sr_ratios"][s],
                        config["qkv_bias"],
                        config["attention_scale"],
                    ),
                    config["mlp_ratios"][s],
                )
                for _ in range(config["depths"][s])
            ]
            setattr(self, f"tf_block{s + 1}", nn.ModuleList(blocks))
            setattr(self, f"norm{s + 1}", nn.LayerNorm(dims[s]))

    def forward(self, x: Tensor) -> list[tuple[Tensor, Size3]]:
        """Normalised tokens and grid of every stage, finest first."""
        stages = []
        for s in range(1, 5):
            tokens, grid = getattr(self, f"embed_{s}")(x)
            for block in getattr(self, f"tf_block{s}"):
                tokens = block(tokens, grid)
            tokens = getattr(self, f"norm{s}")(tokens)
            stages.append((tokens, grid))
            x = _to_volume(tokens, grid)
        return stages


class Projection(nn.Module):
    """Linear layer and layer norm; the official attribute name of the norm is ``bn``."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, out)
        self.bn = nn.LayerNorm(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.proj(x))
        return x


class Decoder(nn.Module):
    """All scales to one width, upsampled to the finest grid, fused by a 1x1x1 convolution, classified."""

    def __init__(self, dims: Sequence[int], width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        for s in (4, 3, 2, 1):
            setattr(self, f"linear_c{s}", Projection(dims[s - 1], width))
        self.linear_fuse = nn.Sequential(nn.Conv3d(4 * width, width, 1, bias=False), nn.BatchNorm3d(width), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.linear_pred = nn.Conv3d(width, num_classes, 1)

    def forward(self, stages: list[tuple[Tensor, Size3]]) -> Tensor:
        """Logits on the grid of the first stage, (B, classes, d, h, w)."""
        conv, norm = self.linear_fuse[0], self.linear_fuse[1]
        assert isinstance(conv, nn.Conv3d)
        assert isinstance(norm, nn.BatchNorm3d)
        weight, bias = conv.weight.flatten(1), None
        if not self.training:
            gain, bias = _fold(norm)
            weight = weight * gain[:, None]
        finest = stages[0][1]
        slices = weight.chunk(4, dim=1)  # the official order of the concatenation: c4, c3, c2, c1
        fused: Tensor | None = None
        for s in (1, 2, 3, 4):
            tokens, grid = stages[s - 1]
            projection = getattr(self, f"linear_c{s}")
            part = _to_volume(F.linear(projection(tokens), slices[4 - s], bias if s == 1 else None), grid)
            # Under autocast the sum and the classifier stay in the weights' precision: bfloat16 there would change as
            # many labels as in a good part of the network, and saves next to nothing.
            part = part.to(weight.dtype)
            if grid != finest:
                part = F.interpolate(part, size=finest, mode="trilinear", align_corners=False)
            if fused is None:
                fused = part
            elif torch.is_grad_enabled():
                fused = fused + part
            else:
                fused.add_(part)
        assert fused is not None
        if self.training:
            fused = norm(fused)
        fused = F.relu(fused, inplace=not torch.is_grad_enabled())
        fused = F.dropout(fused, self.dropout.p, self.training)
        with torch.autocast(fused.device.type, enabled=False):
            tokens = F.linear(_to_tokens(fused), self.linear_pred.weight.flatten(1), self.linear_pred.bias)
        return _to_volume(tokens, finest)


def _fold(norm: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Gain and shift of a batch norm with running statistics."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return gain, norm.bias - norm.running_mean * gain


class SegFormer3D(nn.Module):
    """The network; arguments are named as in the official code, ``attention_scale`` is ours.

    Parameters
    ----------
    in_channels, num_classes
        Channels of the input and of the logits.
    embed_dims, num_heads, depths, sr_ratios, mlp_ratios
        Width, attention heads, blocks, key/value reduction and MLP expansion of the four stages.
    patch_kernel_size, patch_stride, patch_padding
        Convolution that begins each stage; `patch_stride` must be (4, 2, 2, 2).
    decoder_head_embedding_dim, decoder_dropout
        Width and dropout of the decoder.
    qkv_bias
        Whether query, key and value have a bias.
    attention_scale
        ``"num_heads"``: logits of the attention are divided by sqrt(heads), as when the released weights were trained;
        ``"head_dim"``: by sqrt(width of a head), as in the official code since November 2025.
    """

    def __init__(
        self,
        in_channels: int = 4,
        sr_ratios: Sequence[int] = (4, 2, 1, 1),
        embed_dims: Sequence[int] = (32, 64, 160, 256),
        patch_kernel_size: Sequence[int] = (7, 3, 3, 3),
        patch_stride: Sequence[int] = (4, 2, 2, 2),
        patch_padding: Sequence[int] = (3, 1, 1, 1),
        mlp_ratios: Sequence[int] = (4, 4, 4, 4),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        depths: Sequence[int] = (2, 2, 2, 2),
        decoder_head_embedding_dim: int = 256,
        num_classes: int = 3,
        decoder_dropout: float = 0.0,
        qkv_bias: bool = True,
        attention_scale: AttentionScale = "num_heads",
    ) -> None:
        super().__init__()
        per_stage = {
            "sr_ratios": sr_ratios,
            "embed_dims": embed_dims,
            "patch_kernel_size": patch_kernel_size,
            "patch_stride": patch_stride,
            "patch_padding": patch_padding,
            "mlp_ratios": mlp_ratios,
            "num_heads": num_heads,
            "depths": depths,
        }
        for name, values in per_stage.items():
            if len(values) != 4:
                raise ValueError(f"{name} has {len(values)} values, expected one for each of the four stages")
        for dim, heads in zip(embed_dims, num_heads, strict=True):
            if dim % heads:
                raise ValueError(f"embed_dims {dim} cannot be split into {heads} heads")
        if tuple(patch_stride) != (4, 2, 2, 2):
            raise ValueError(
                f"patch_stride {tuple(patch_stride)}: the decoder upsamples by 4, so it must be (4, 2, 2, 2)"
            )
        if attention_scale not in ("num_heads", "head_dim"):
            raise ValueError(f"attention_scale is 'num_heads' or 'head_dim', not {attention_scale!r}")
        self._config: dict[str, Any] = {
            "in_channels": int(in_channels),
            **{name: [int(v) for v in values] for name, values in per_stage.items()},
            "decoder_head_embedding_dim": int(decoder_head_embedding_dim),
            "num_classes": int(num_classes),
            "decoder_dropout": float(decoder_dropout),
            "qkv_bias": bool(qkv_bias),
            "attention_scale": attention_scale,
        }
        self.segformer_encoder = Encoder(self._config)
        self.segformer_decoder = Decoder(embed_dims, decoder_head_embedding_dim, num_classes, decoder_dropout)
        self.apply(_initialise)

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments as plain JSON values."""
        return {k: list(v) if isinstance(v, list) else v for k, v in self._config.items()}

    def forward_low(self, x: Tensor) -> Tensor:
        """Logits at a quarter of the resolution, where the decoder makes them.

        Parameters
        ----------
        x
            (B, in_channels, D, H, W) floating point.

        Returns
        -------
        Tensor
            (B, num_classes, ceil(D/4), ceil(H/4), ceil(W/4)); voxel i covers input voxels 4i to 4i+3.
        """
        out = self.segformer_decoder(self.segformer_encoder(x))
        assert isinstance(out, Tensor)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes, D, H, W) for a volume (B, in_channels, D, H, W) of any size."""
        low = self.forward_low(x)
        out = F.interpolate(low, size=[4 * n for n in low.shape[2:]], mode="trilinear", align_corners=False)
        d, h, w = x.shape[2:]
        return out[:, :, :d, :h, :w]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv3d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def require_config(arguments: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Refuse constructor arguments that a state dict contradicts, before memory or time is spent on them.

    Raises `WeightsError` where entries or shapes differ; errors of the constructor itself pass through.
    """
    if max(arguments.get("depths", (1,))) > len(state):
        raise WeightsError(f"a network with {arguments['depths']} blocks was described, {len(state)} entries are there")
    require_fit(lambda: SegFormer3D(**arguments), state)


def infer_config(
    state: Mapping[str, Tensor],
    *,
    num_heads: Sequence[int] | None = None,
    attention_scale: AttentionScale = "num_heads",
) -> dict[str, Any]:
    """Constructor arguments from the shapes of a state dict.

    Neither the heads nor the attention scale leave a trace in shapes. Heads are 32 wide where that divides all widths
    (all official models), else as wide as the first stage; `num_heads` overrides. Raises `WeightsError` if the state
    dict is not one of SegFormer3D.
    """
    e, d = "segformer_encoder.", "segformer_decoder."
    try:
        patches = [state[f"{e}embed_{s}.patch_embeddings.weight"] for s in range(1, 5)]
        dims = [int(p.shape[0]) for p in patches]
        kernels = [int(p.shape[2]) for p in patches]
        blocks = [re.compile(rf"{re.escape(e)}tf_block{s}\.(\d+)\.") for s in range(1, 5)]
        depths = [1 + max(int(m[1]) for k in state if (m := pattern.match(k))) for pattern in blocks]
        sr = [state.get(f"{e}tf_block{s}.0.attention.sr.weight") for s in range(1, 5)]
        hidden = [int(state[f"{e}tf_block{s}.0.mlp.fc1.weight"].shape[0]) for s in range(1, 5)]
        head = state[f"{d}linear_pred.weight"]
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"not a SegFormer3D state dict: {error} is missing ({len(state)} entries found)") from None
    if num_heads is None:
        width = 32 if all(c % 32 == 0 for c in dims) else dims[0]
        if any(c % width for c in dims):
            raise WeightsError(f"cannot tell the number of heads for widths {dims}; give num_heads")
        num_heads = [c // width for c in dims]
    return {
        "in_channels": int(patches[0].shape[1]),
        "sr_ratios": [1 if w is None else int(w.shape[2]) for w in sr],
        "embed_dims": dims,
        "patch_kernel_size": kernels,
        "patch_stride": [4, 2, 2, 2],
        "patch_padding": [k // 2 for k in kernels],
        "mlp_ratios": [h // c for h, c in zip(hidden, dims, strict=True)],
        "num_heads": [int(h) for h in num_heads],
        "depths": depths,
        "decoder_head_embedding_dim": int(head.shape[1]),
        "num_classes": int(head.shape[0]),
        "decoder_dropout": 0.0,
        "qkv_bias": f"{e}tf_block1.0.attention.query.bias" in state,
        "attention_scale": attention_scale,
    }
