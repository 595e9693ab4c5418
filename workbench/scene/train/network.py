"""The network that a training starts with: made from scratch, or that of given weights."""

from __future__ import annotations

import torch

from workbench import weights
from workbench.core.errors import UsageError, WeightsError
from workbench.nets.lora import add_lora
from workbench.scene.data.spectra import FittedSpectra
from workbench.scene.net import lola_specvit as nets
from workbench.scene.net.lola_specvit import LolaSpecViT
from workbench.scene.train.settings import SceneTrainConfig


def starting_network(
    config: SceneTrainConfig, start: weights.WeightsFile | None, fitted: FittedSpectra, classes: int
) -> LolaSpecViT:
    """A network for so many classes, its weights drawn or taken from a file."""
    if start is None:
        if config.lora_rank:
            raise UsageError("lora_rank adapts trained weights, but weights=none has none; give --weights")
        channels = fitted.recipe.channels
        if config.net == "published":
            net = LolaSpecViT(channels, classes, spatial_size=config.patch)
            nets.freeze_all_but_lora(net)
            return net
        _require_odd(config)
        return LolaSpecViT(**nets.small_config(channels, classes, spatial_size=config.patch))
    if start.is_lora:
        raise WeightsError(f"{start.path}: an adapter cannot be adapted further; start from its base weights")
    net = LolaSpecViT(**{**start.meta["net"], "num_classes": classes})
    tensors = {k: v.float() for k, v in weights.load_tensors(start).items() if not k.startswith("spectra.")}
    nets.load_except_head(net, tensors)
    if config.lora_rank:
        # The pixel's own spectrum speaks to the new classes too, and the weight of its surroundings is found anew.
        also = r"(^|\.)(head|centre|context_gain)(\.|$)"
        add_lora(net, rank=config.lora_rank, targets=nets.LORA_TARGETS, train_also=also)
    return net


def patch_of(config: SceneTrainConfig, start: weights.WeightsFile | None, fitted: FittedSpectra) -> int:
    """Side of all that the network sees around a pixel, before it is made."""
    with torch.device("meta"):  # neither memory nor random numbers
        if start is not None:
            return LolaSpecViT(**start.meta["net"]).patch_size
        channels = fitted.recipe.channels
        if config.net == "published":
            return LolaSpecViT(channels, 2, spatial_size=config.patch).patch_size
        _require_odd(config)
        return LolaSpecViT(**nets.small_config(channels, 2, spatial_size=config.patch)).patch_size


def _require_odd(config: SceneTrainConfig) -> None:
    if config.patch % 2 == 0:
        raise UsageError(f"patch={config.patch}: expected an odd number of pixels, so that one is in the middle")
