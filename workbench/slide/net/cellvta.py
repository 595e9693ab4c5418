"""CellVTA: nuclei of a stained image as three maps, by an adapted vision transformer and three decoders.

Y. Yang, J. Zheng et al., "CellVTA", arXiv 2504.00784; the decoders are those of CellViT (F. Hoerst et al., Med. Image
Anal. 94:103143, 2024, doi 10.1016/j.media.2024.103143), the maps those of HoVer-Net (S. Graham et al., Med. Image Anal.
58:101563, 2019). Written from a description of shapes, names and numbers.

>>> net = CellVTA(**LARGE, num_classes=6, num_tissues=19)      # as taught on PanNuke: 387,769,437 parameters
>>> maps = net(tiles)                                          # (B, 3, 256, 256), values from -1 to 1
>>> maps.nuclei, maps.hv, maps.types                           # (B, 2, 256, 256), (B, 2, ...), (B, 6, ...)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from workbench.core.errors import WeightsError
from workbench.nets.vit import infer_config as infer_vit
from workbench.slide.net.adapter import AdaptedViT

LARGE: dict[str, Any] = {
    "image_size": 224, "patch_size": 16, "dim": 1024, "depth": 24, "num_heads": 16, "init_values": 1e-5, "inner": 64,
    "deform_heads": 8,
}  # fmt: skip
"""The published network, on the encoder UNI (ViT-L/16)."""
SMALL: dict[str, Any] = {
    "image_size": 224, "patch_size": 16, "dim": 96, "depth": 8, "num_heads": 6, "init_values": 1e-1, "inner": 12,
    "deform_heads": 4, "widths": (8, 24, 48, 96),
}  # fmt: skip
"""One for laptops: fewer than 4 million parameters."""
_POINTS = 4
_WIDTHS = (64, 128, 256)
"""Published widths of the decoders at full, half and quarter size; at an eighth it is 512, for small encoders 312."""


class Maps(NamedTuple):
    """What the network says of every pixel.

    Parameters
    ----------
    nuclei
        ``(B, 2, H, W)``: logits of "no nucleus" and "nucleus".
    hv
        ``(B, 2, H, W)``: distance to the middle of the nucleus, horizontal and vertical, -1 to 1 from edge to edge.
    types
        ``(B, classes, H, W)``: logits, the first class is no nucleus.
    tokens
        ``(B, D, H/16, W/16)``: the coarsest map of the encoder, which describes what lies there.
    """

    nuclei: Tensor
    hv: Tensor
    types: Tensor
    tokens: Tensor


class ConvBlock(nn.Module):
    """Convolution 3 x 3, batch norm, ReLU, dropout."""

    def __init__(self, ins: int, outs: int, dropout: float) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(ins, outs, 3, 1, 1), nn.BatchNorm2d(outs), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x)
        return out


class UpBlock(nn.Module):
    """Twice the size, then convolution 3 x 3, batch norm, ReLU, dropout."""

    def __init__(self, ins: int, outs: int, dropout: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ConvTranspose2d(ins, outs, 2, 2), nn.Conv2d(outs, outs, 3, 1, 1), nn.BatchNorm2d(outs), nn.ReLU(),
            nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x)
        return out


class Decoder(nn.Module):
    """One branch: from the coarsest map up to the size of the image, with the maps of the skips on the way."""

    def __init__(self, dim: int, widths: tuple[int, int, int, int], outs: int, dropout: float) -> None:
        super().__init__()
        full, half, quarter, bottleneck = widths
        self.bottleneck_upsampler = nn.Sequential(UpBlock(dim, bottleneck, dropout))
        self.decoder3_upsampler = nn.Sequential(
            ConvBlock(2 * bottleneck, bottleneck, dropout), ConvBlock(bottleneck, bottleneck, dropout),
            ConvBlock(bottleneck, bottleneck, dropout), nn.ConvTranspose2d(bottleneck, quarter, 2, 2),
        )  # fmt: skip
        self.decoder2_upsampler = nn.Sequential(
            ConvBlock(2 * quarter, quarter, dropout), ConvBlock(quarter, quarter, dropout),
            nn.ConvTranspose2d(quarter, half, 2, 2),
        )  # fmt: skip
        self.decoder1_upsampler = nn.Sequential(
            ConvBlock(2 * half, half, dropout), ConvBlock(half, half, dropout), nn.ConvTranspose2d(half, full, 2, 2)
        )
        self.decoder0_header = nn.Sequential(
            ConvBlock(2 * full, full, dropout), ConvBlock(full, full, dropout), nn.Conv2d(full, outs, 1)
        )

    def forward(self, x: Tensor, skips: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        image, half, quarter, eighth = skips
        x = self.bottleneck_upsampler(x)
        x = self.decoder3_upsampler(torch.cat([eighth, x], 1))
        x = self.decoder2_upsampler(torch.cat([quarter, x], 1))
        x = self.decoder1_upsampler(torch.cat([half, x], 1))
        out: Tensor = self.decoder0_header(torch.cat([image, x], 1))
        return out


class CellVTA(nn.Module):
    """The network.

    Parameters
    ----------
    num_classes
        Classes of nuclei with "none" first.
    num_tissues
        Classes of the head that is kept for state dicts alone; see `AdaptedViT`.
    dropout
        In the decoders, while it learns.
    widths
        Of the decoders at full, half, quarter and eighth size; by default the published ones.
    config
        As `AdaptedViT` and `VisionTransformer`.
    """

    def __init__(
        self,
        num_classes: int = 6,
        num_tissues: int = 0,
        dropout: float = 0.0,
        widths: Sequence[int] | None = None,
        **config: Any,
    ) -> None:
        super().__init__()
        self.encoder = AdaptedViT(num_tissues, **config)
        dim = self.encoder.dim
        full, half, quarter, bottleneck = widths or (*_WIDTHS, 512 if dim >= 512 else 312)
        own = full, half, quarter, bottleneck
        self.config: dict[str, Any] = {"num_classes": num_classes, "widths": list(own), **self.encoder.config}
        self.num_classes = num_classes
        self.decoder0 = nn.Sequential(ConvBlock(3, full // 2, dropout), ConvBlock(full // 2, full, dropout))
        self.decoder1 = nn.Sequential(ConvBlock(dim, half, dropout), ConvBlock(half, half, dropout))
        self.decoder2 = nn.Sequential(ConvBlock(dim, quarter, dropout), ConvBlock(quarter, quarter, dropout))
        self.decoder3 = nn.Sequential(ConvBlock(dim, bottleneck, dropout), ConvBlock(bottleneck, bottleneck, dropout))
        self.nuclei_binary_map_decoder = Decoder(dim, own, 2, dropout)
        self.hv_map_decoder = Decoder(dim, own, 2, dropout)
        self.nuclei_type_maps_decoder = Decoder(dim, own, num_classes, dropout)

    def forward(self, x: Tensor) -> Maps:
        """Maps of images ``(B, 3, H, W)``, mean 0.5 and deviation 0.5; sides are multiples of a patch."""
        one, two, three, four = self.encoder.maps(x)
        # The skips are those of all branches: they are computed once.
        skips = self.decoder0(x), self.decoder1(one), self.decoder2(two), self.decoder3(three)
        return Maps(
            self.nuclei_binary_map_decoder(four, skips), self.hv_map_decoder(four, skips),
            self.nuclei_type_maps_decoder(four, skips), four,
        )  # fmt: skip


def infer_config(state: Mapping[str, Tensor], num_heads: int | None = None) -> dict[str, Any]:
    """Arguments of the `CellVTA` that a state dict is of.

    Parameters
    ----------
    num_heads
        Heads of the blocks, which no entry tells; by default of 64 channels each.

    Raises
    ------
    WeightsError
        It is not that of CellVTA; the message says what it lacks. One of CellViT, which has no adapter, is named.
    """
    needed = (
        "encoder.spm.stem.0.weight", "encoder.level_embed", "encoder.interactions.0.extractor.attn.value_proj.weight",
        "encoder.interactions.0.extractor.attn.attention_weights.weight",
        "encoder.interactions.0.extractor.ffn.fc1.weight", "nuclei_type_maps_decoder.decoder0_header.2.weight",
        *(f"decoder{i}.1.block.0.weight" for i in range(4)),
    )  # fmt: skip
    missing = [name for name in needed if name not in state]
    if missing:
        is_cellvit = any(re.match(r"(encoder\.blocks|decoder0_header|nuclei_binary_map_decoder)\.", k) for k in state)
        other = " It seems to be one of CellViT, which is another network." if is_cellvit else ""
        raise WeightsError(f"expected the state dict of CellVTA; it has no {missing[0]}.{other}")
    encoder = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
    found = infer_vit(encoder, num_heads)
    dim = found["dim"]
    extractor = "interactions.0.extractor."
    head = encoder.get("head.weight")
    return found | {
        "widths": [len(state[f"decoder{i}.1.block.0.weight"]) for i in range(4)],
        "num_classes": len(state["nuclei_type_maps_decoder.decoder0_header.2.weight"]),
        "num_tissues": 0 if head is None else len(head),
        "inner": len(encoder["spm.stem.0.weight"]),
        "deform_heads": len(encoder[f"{extractor}attn.attention_weights.weight"]) // _POINTS,
        "points": _POINTS,
        "ratio": len(encoder[f"{extractor}attn.value_proj.weight"]) / dim,
        "ffn": len(encoder[f"{extractor}ffn.fc1.weight"]) / dim,
    }
