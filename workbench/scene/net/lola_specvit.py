"""LoLA-SpecViT: 3-D convolutions over the spectrum, then a small hierarchical window transformer per pixel.

"LoLA-SpecViT", Int. J. Applied Earth Observation and Geoinformation 144, 104924 (2025), doi 10.1016/j.jag.2025.104924,
arXiv 2506.17759. Written from a description of shapes, names and numbers; no line of the authors' code (non-commercial
licence) is used, and they publish no weights.
With the constructor's defaults the network is the published one: state-dict layout, numbers, 254,639,541 parameters
for 9 classes, of which 73,586,832 stay trainable after `freeze_all_but_lora`.

`small_config` is what the workbench uses. It differs on purpose:

- few parameters; the window is clipped to the feature size instead of being filled up with zeros that take part in the
  attention (45 of 49 keys in the published last stage);
- ``padding="halo"``: convolutions see real pixels beyond the patch (a 21x21 input for a 15x15 patch) instead of zeros
  at its border, so that convolving a whole scene once gives the same numbers as cutting out patches;
- ``embedding="shared"``: the patch embedding comes before the squeeze-and-excitation gate, so it is shared too;
- ``centre``: the pixel's own spectrum takes part in the decision directly, not only averaged over the patch;
- low-rank adaptation is the usual one of `workbench.nets.lora`; the published adapters are larger than the layers.

>>> net = LolaSpecViT(**small_config(in_channels=15, num_classes=9))
>>> logits = net(patches)                     # (B, 15, net.patch_size, net.patch_size) -> (B, 9)
>>> features = net.front(scene[None])         # dense: (1, C, H, W) -> (1, dim, H - 2 margin, W - 2 margin)
>>> logits = net.window_head(windows, spectra)   # what differs per pixel
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.core.errors import WeightsError
from workbench.nets.checkpoints import load_state, unwrap_checkpoint
from workbench.nets.lora import add_lora
from workbench.scene.net.lola_config import (
    LORA_TARGETS,
    SMALL,
    Embedding,
    Lora,
    Padding,
    WindowMode,
    check_config,
    small_config,
)
from workbench.scene.net.lola_layers import Block, Down, PublishedLoraLinear, SqueezeExcite, WindowAttention

__all__ = [
    "LORA_TARGETS",
    "SMALL",
    "LolaSpecViT",
    "freeze_all_but_lora",
    "infer_config",
    "load_except_head",
    "load_state",
    "published_config",
    "small_config",
    "unwrap_checkpoint",
]


class LolaSpecViT(nn.Module):
    """The network; the first line of arguments is named and preset as published, the others are ours.

    Parameters
    ----------
    in_channels
        Spectral components (or bands) of a pixel.
    num_classes
        Logits.
    dim
        Channels of the first stage; each further stage has twice as many.
    depths, num_heads, window_size
        Blocks, attention heads and window side of the stages (one entry per stage; at least one).
    mlp_ratio, drop_path_rate
        Hidden width of the SwiGLU relative to `dim`; stochastic depth, rising linearly to this rate.
    spatial_size
        Side of the patch in pixels, odd.
    r, lora_alpha
        Rank and strength of the adapters (`lora`).
    front_channels
        Channels of the first two 3-D convolutions; the third has `dim`.
    depth_strides
        Strides of the three convolutions along the spectrum.
    window_mode
        ``"published"``: windows are always `window_size`, smaller maps are filled up with zeros. ``"clip"``: a window
        is at most as large as the map.
    mask_padding
        Keep the zeros that fill windows up out of the attention.
    lora
        ``None``: plain layers (use `workbench.nets.lora.add_lora` with `LORA_TARGETS`); ``"low_rank"``: does so with
        `r` and `lora_alpha`, all else but the class head frozen; ``"published"``: gated full-rank adapters.
    padding
        ``"same"``: zeros around the patch. ``"halo"``: the input patch is `patch_size` wide, nothing is padded.
    embedding
        ``"window"``: gate, then 4x4 convolution with stride 2 inside the patch. ``"shared"``: 3x3 convolution with
        stride `embed_stride`, then the gate.
    centre
        Add an embedding of the middle pixel's spectrum to the pooled tokens, which start with a gain of 0.
    band_dropout, dropout
        Rates after the 3-D convolutions (whole spectral slices) and after the position embedding.
    """

    def __init__(
        self,
        in_channels: int = 15,
        num_classes: int = 9,
        dim: int = 96,
        depths: Sequence[int] = (3, 4, 19),
        num_heads: Sequence[int] = (4, 8, 16),
        window_size: Sequence[int] = (7, 7, 7),
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.2,
        spatial_size: int = 15,
        r: int = 16,
        lora_alpha: float = 32,
        *,
        front_channels: Sequence[int] = (32, 64),
        depth_strides: Sequence[int] = (1, 1, 1),
        window_mode: WindowMode = "published",
        mask_padding: bool = False,
        lora: Lora = "published",
        padding: Padding = "same",
        embedding: Embedding = "window",
        embed_stride: int = 2,
        centre: bool = False,
        band_dropout: float = 0.1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self._config: dict[str, Any] = {
            "in_channels": int(in_channels),
            "num_classes": int(num_classes),
            "dim": int(dim),
            "depths": [int(v) for v in depths],
            "num_heads": [int(v) for v in num_heads],
            "window_size": [int(v) for v in window_size],
            "mlp_ratio": float(mlp_ratio),
            "drop_path_rate": float(drop_path_rate),
            "spatial_size": int(spatial_size),
            "r": int(r),
            "lora_alpha": float(lora_alpha),
            "front_channels": [int(v) for v in front_channels],
            "depth_strides": [int(v) for v in depth_strides],
            "window_mode": window_mode,
            "mask_padding": bool(mask_padding),
            "lora": lora,
            "padding": padding,
            "embedding": embedding,
            "embed_stride": int(embed_stride),
            "centre": bool(centre),
            "band_dropout": float(band_dropout),
            "dropout": float(dropout),
        }
        check_config(self._config)
        self.embedding, self.padding = embedding, padding
        self.spatial_size = int(spatial_size)

        def linear(fan_in: int, fan_out: int) -> nn.Module:
            if lora == "published":
                return PublishedLoraLinear(fan_in, fan_out, r, lora_alpha)
            return nn.Linear(fan_in, fan_out)

        space = 1 if padding == "same" else 0
        layers: list[nn.Module] = []
        widths = (1, *front_channels, dim)
        for i, depth in enumerate((7, 5, 3)):
            layers.append(
                nn.Conv3d(widths[i], widths[i + 1], (depth, 3, 3), (depth_strides[i], 1, 1), (depth // 2, space, space))
            )
            layers += [nn.BatchNorm3d(widths[i + 1]), nn.SiLU()]
        self.spectral_conv = nn.Sequential(*layers)
        self.band_dropout = float(band_dropout)
        self.spectral_attention = SqueezeExcite(dim)
        kernel = (4, 2, 1) if embedding == "window" else (3, embed_stride, 0)
        self.patch_embed = nn.Sequential(nn.Conv2d(dim, dim, *kernel), nn.BatchNorm2d(dim), nn.SiLU())
        size = (spatial_size + 2 * kernel[2] - kernel[0]) // kernel[1] + 1
        self.pos_embed = nn.Parameter(torch.zeros(1, size, size, dim))
        self.pos_drop = nn.Dropout(dropout)

        rates = torch.linspace(0, drop_path_rate, sum(depths), device="cpu").tolist()
        self.levels = nn.ModuleList()
        width = dim
        for stage, (blocks, heads, window) in enumerate(zip(depths, num_heads, window_size, strict=True)):
            if window_mode == "clip":
                window = min(window, size)
            level: list[nn.Module] = [
                Block(width, heads, window, mlp_ratio, rates.pop(0), linear, mask_padding) for _ in range(blocks)
            ]
            if stage < len(depths) - 1:
                level.append(Down(width))
                width, size = 2 * width, (size - 1) // 2 + 1
            self.levels.append(nn.Sequential(*level))
        self.norm = nn.LayerNorm(width)
        if centre:
            self.centre = nn.Sequential(nn.Linear(in_channels, width), nn.SiLU(), nn.Linear(width, width))
            # Zero: a new network judges the pixel by itself, and learns how much its surroundings add.
            self.context_gain = nn.Parameter(torch.zeros(width))
        self.head: nn.Module
        if lora == "published":
            self.head = PublishedLoraLinear(width, num_classes, r, lora_alpha, enhanced=False)
        else:
            self.head = nn.Linear(width, num_classes)
        self._initialise(published=lora == "published")
        if lora == "low_rank":
            add_lora(self, r, lora_alpha, LORA_TARGETS)

    def _initialise(self, published: bool) -> None:
        """As published, or with gains that keep the scale of what flows through so few layers."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                if published:
                    nn.init.trunc_normal_(module.weight, std=0.02)
                else:
                    nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, WindowAttention):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments as plain JSON values."""
        return {k: list(v) if isinstance(v, list) else v for k, v in self._config.items()}

    @property
    def halo(self) -> int:
        """Pixels beyond the patch, on each side, that the input must have: 3, or 0 with zero padding."""
        return 3 if self.padding == "halo" else 0

    @property
    def patch_size(self) -> int:
        """Side of the input patch of `forward`."""
        return self.spatial_size + 2 * self.halo

    @property
    def dense(self) -> bool:
        """Whether `front` over a scene gives the same features as `front` over patches."""
        return self.padding == "halo"

    @property
    def margin(self) -> int:
        """Pixels that `front` takes off each side of its input."""
        return self.halo + (1 if self.embedding == "shared" else 0)

    @property
    def window_offsets(self) -> list[int]:
        """Rows (and columns), relative to the pixel, at which `window_head` wants features of `front`."""
        half = self.spatial_size // 2
        if self.embedding == "shared":
            return list(range(-half + 1, half, self._config["embed_stride"]))
        return list(range(-half, half + 1))

    def forward(self, patches: Tensor) -> Tensor:
        """Logits of the middle pixels.

        Parameters
        ----------
        patches
            (B, in_channels, patch_size, patch_size) floating point.

        Returns
        -------
        Tensor
            (B, num_classes)
        """
        middle = patches.shape[-1] // 2
        features = self._convolve(patches)
        if self.embedding == "shared":
            features = self.patch_embed(features)
        return self.window_head(features, patches[:, :, middle, middle])

    def front(self, x: Tensor) -> Tensor:
        """Features of every pixel: what neighbouring patches share.

        Parameters
        ----------
        x
            (B, in_channels, H, W), with `margin` more pixels on each side than features are wanted.

        Returns
        -------
        Tensor
            (B, dim, H - 2 margin, W - 2 margin). Exact for scenes only where `dense` is true.
        """
        x = self._convolve(x)
        if self.embedding == "shared":
            conv, norm, act = self.patch_embed
            assert isinstance(conv, nn.Conv2d)
            x = act(norm(F.conv2d(x, conv.weight, conv.bias)))
        return x

    def window_head(self, windows: Tensor, spectra: Tensor) -> Tensor:
        """Logits from gathered features.

        Parameters
        ----------
        windows
            (B, dim, n, n): features at `window_offsets` around each pixel.
        spectra
            (B, in_channels): the pixel itself (used with `centre`).

        Returns
        -------
        Tensor
            (B, num_classes)
        """
        x = self.spectral_attention(windows)
        if self.embedding == "window":
            x = self.patch_embed(x)
        x = self.pos_drop(x.permute(0, 2, 3, 1) + self.pos_embed)
        for level in self.levels:
            assert isinstance(level, nn.Sequential)
            for module in level:
                x = module(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) if isinstance(module, Down) else module(x)
        pooled = self.norm(x).mean((1, 2))
        if "centre" in self._modules:
            pooled = pooled * self.context_gain + self.centre(spectra)
        out = self.head(pooled)
        assert isinstance(out, Tensor)
        return out

    def spectral_logits(self, spectra: Tensor) -> Tensor:
        """Logits (B, num_classes) from spectra (B, in_channels) alone, without surroundings (needs ``centre``)."""
        out = self.head(self.centre(spectra))
        assert isinstance(out, Tensor)
        return out

    def replace_head(self, num_classes: int) -> None:
        """Start the class layer anew, for other classes."""
        old = self.head.linear if isinstance(self.head, PublishedLoraLinear) else self.head
        assert isinstance(old, nn.Linear)
        if isinstance(self.head, PublishedLoraLinear):
            rank, alpha = self._config["r"], self._config["lora_alpha"]
            self.head = PublishedLoraLinear(old.in_features, num_classes, rank, alpha, enhanced=False).to(old.weight)
        else:
            self.head = nn.Linear(old.in_features, num_classes).to(old.weight)
        self._config["num_classes"] = int(num_classes)

    def _convolve(self, x: Tensor) -> Tensor:
        """3-D convolutions over (B, C, H, W), averaged over the spectrum: (B, dim, h, w).

        The published order is gate, then average; the gate is one number per channel, so it may come later.
        """
        x = self.spectral_conv(x[:, None])
        if self.training and self.band_dropout > 0:
            keep = 1 - self.band_dropout
            x = x * (x.new_empty(*x.shape[:3], 1, 1).bernoulli_(keep) / keep)
        return x.mean(2)


def freeze_all_but_lora(net: nn.Module) -> int:
    """The published training mode: only parameters with ``lora_`` in their name learn. Returns how many numbers do."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def load_except_head(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load all weights strictly but those of the class layer, which keep their start (other classes)."""
    head = {k: v for k, v in net.state_dict().items() if k.startswith("head.")}
    load_state(net, {k: v for k, v in state.items() if not k.startswith("head.")} | head)


def infer_config(state: Mapping[str, Tensor], **known: Any) -> dict[str, Any]:
    """Constructor arguments from the shapes of a state dict.

    The number of spectral components, strides and paddings leave no sure trace in it. They are taken from `known`, else
    from the published network where the adapters are the published ones, and from `small_config` otherwise. Raises
    `WeightsError` if the state dict is not one of LoLA-SpecViT.
    """
    try:
        published = "head.linear.weight" in state
        first, second, third = (state[f"spectral_conv.{i}.weight"] for i in (0, 3, 6))
        dim = int(third.shape[0])
        head = state["head.linear.weight" if published else "head.weight"]
        found = [re.match(r"levels\.(\d+)\.(\d+)\.norm1\.weight", k) for k in state]
        blocks = [(int(m[1]), int(m[2])) for m in found if m]
        depths = [sum(level == s for level, _ in blocks) for s in range(1 + max(level for level, _ in blocks))]
        stems = [f"levels.{s}.0." for s in range(len(depths))]
        tables = [state[f"{stem}attn.relative_position_bias_table"] for stem in stems]
        hidden = int(state[f"{stems[0]}mlp.1.w1.weight"].shape[0])
        tokens = int(state["pos_embed"].shape[1])
        kernel = int(state["patch_embed.0.weight"].shape[2])
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"not a LoLA-SpecViT state dict: {error} is missing ({len(state)} entries found)") from None
    windows = [(math.isqrt(int(t.shape[0])) + 1) // 2 for t in tables]
    centre = state.get("centre.0.weight")
    base = published_config() | ({} if published else SMALL)
    config = base | {
        "in_channels": 15 if centre is None else int(centre.shape[1]),
        "num_classes": int(head.shape[0]),
        "dim": dim,
        "depths": depths,
        "num_heads": [int(t.shape[1]) for t in tables],
        "window_size": windows,
        "mlp_ratio": hidden / dim,
        "front_channels": [int(first.shape[0]), int(second.shape[0])],
        "embedding": "shared" if kernel == 3 else "window",
        "centre": centre is not None,
    }
    if published:
        rank = int(state["head.lora_down.weight"].shape[0])
        config |= {"r": rank, "lora_alpha": 2.0 * rank}
    if config["embedding"] == "shared":
        stride = known.get("embed_stride", 3 if tokens == 5 else 2)
        return config | {"embed_stride": stride, "spatial_size": stride * (tokens - 1) + 3, **known}
    return config | {"spatial_size": 2 * tokens + 1, **known}


def published_config(in_channels: int = 15, num_classes: int = 9, **changes: Any) -> dict[str, Any]:
    """Constructor arguments of the published network, with changes."""
    with torch.device("meta"):
        return LolaSpecViT(in_channels, num_classes).config | changes
