"""Constructor arguments of `workbench.scene.net.lola_specvit`: those of our default network, and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

WindowMode = Literal["published", "clip"]
Padding = Literal["same", "halo"]
Embedding = Literal["window", "shared"]
Lora: TypeAlias = Literal["published", "low_rank"] | None

LORA_TARGETS = r"\.(attn\.qkv|attn\.proj|mlp\.0|mlp\.1\.w[123]|mlp\.3)$"
"""Linear layers that `workbench.nets.lora.add_lora` should adapt; `train_also` its default, the class head."""

SMALL: dict[str, Any] = {
    "dim": 48,
    "depths": [1, 1, 1],
    "num_heads": [2, 4, 8],
    "window_size": [7, 7, 7],
    "mlp_ratio": 1,
    "drop_path_rate": 0.05,
    "spatial_size": 15,
    "r": 8,
    "lora_alpha": 8,
    "front_channels": [16, 32],
    "depth_strides": [1, 1, 1],
    "window_mode": "clip",
    "mask_padding": True,
    "lora": None,
    "padding": "halo",
    "embedding": "shared",
    "centre": True,
}
"""Constructor arguments of the workbench's default network."""


def small_config(in_channels: int, num_classes: int, **changes: Any) -> dict[str, Any]:
    """Constructor arguments of our default network, with changes.

    The patch embedding takes steps of 3 pixels (25 tokens for 15x15) where that divides the patch, else of 2.
    """
    config = {"in_channels": in_channels, "num_classes": num_classes, **SMALL, **changes}
    by_three = config["embedding"] == "shared" and config["spatial_size"] % 3 == 0
    return {"embed_stride": 3 if by_three else 2, **config}


def check_config(config: Mapping[str, Any]) -> None:
    """Raise `ValueError` for arguments that cannot work together."""
    stages = len(config["depths"])
    for name in ("num_heads", "window_size"):
        if len(config[name]) != stages or not stages:
            raise ValueError(f"{name} has {len(config[name])} values, expected one for each of the {stages} stages")
    for stage, heads in enumerate(config["num_heads"]):
        if (config["dim"] << stage) % heads:
            raise ValueError(f"stage {stage}: {config['dim'] << stage} channels cannot be split into {heads} heads")
    if config["spatial_size"] % 2 == 0 or config["spatial_size"] < 5:
        raise ValueError(f"spatial_size {config['spatial_size']}: expected an odd number of pixels from 5 on")
    size, stride = config["spatial_size"], config["embed_stride"]
    if config["embedding"] == "window" and stride != 2:
        raise ValueError(f"embed_stride {stride}: embedding='window' has a stride of 2")
    if stride < 1 or (config["embedding"] == "shared" and (size - 3) % stride):
        raise ValueError(f"embed_stride {stride}: does not reach both ends of a patch of {size} pixels; 2 always does")
    choices = {
        "window_mode": ("published", "clip"),
        "lora": ("published", "low_rank", None),
        "padding": ("same", "halo"),
        "embedding": ("window", "shared"),
    }
    for name, allowed in choices.items():
        if config[name] not in allowed:
            raise ValueError(f"{name} {config[name]!r}: expected one of {', '.join(map(repr, allowed))}")
