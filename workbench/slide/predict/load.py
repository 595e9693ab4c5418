"""Weights of StainNet, or of an encoder of another group, as a network; and what was taught on top of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.errors import UsageError, WeightsError
from workbench.slide.predict.model import Model
from workbench.slide.predict.settings import Config
from workbench.weights import WeightsFile

if TYPE_CHECKING:
    import torch

    from workbench.nets.vit import Pooled, VisionTransformer

NAME = "stainnet"


def find_weights(config: Config) -> WeightsFile:
    """The weights that a run takes, without loading them."""
    from workbench import weights
    from workbench.slide import encoders

    if not config.encoder:
        return weights.find(config.weights, NAME)
    if config.weights != "demo":
        raise UsageError(f"weights '{config.weights}' and encoder '{config.encoder}' are two networks: give one")
    return encoders.find(config.encoder)


def load_model(config: Config, device: torch.device) -> Model:
    """Find, check and load weights; see `workbench.slide.stainnet.load`."""
    from workbench import weights
    from workbench.core import device as devices
    from workbench.slide import encoders
    from workbench.slide.predict.heads import PROBE, SLIDE, load_head, require_same_tiles

    found = find_weights(config)
    _, reason = devices.choose(config.device)
    if config.encoder:
        if config.pooling not in ("auto", "cls"):
            raise UsageError(
                f"pooling '{config.pooling}' is for weights of StainNet; an encoder says itself what a tile is"
            )
        view = encoders.view_of(found)
        return Model(encoders.build(found).eval().to(device), found, device, reason, view=view)
    if found.meta.get("kind") in (PROBE, SLIDE):
        base = weights.find_base(found)
        recipe = dict(found.meta.get("recipe") or {})
        require_same_tiles(recipe, config)
        net, how = pooled(base, config.pooling, recipe)
        head = load_head(found, net.dim)
        return Model(net.eval().to(device), found, device, reason, recipe, head=head, base=base, pooling=how)
    recipe = dict(found.meta.get("recipe") or {})
    net, how = pooled(found, config.pooling, recipe)
    return Model(net.eval().to(device), found, device, reason, recipe, pooling=how)


def pooled(found: WeightsFile, wanted: str, recipe: Mapping[str, Any]) -> tuple[VisionTransformer | Pooled, str]:
    """The network of weights whose embedding is what is asked for, or what its recipe says; and which that is.

    Raises
    ------
    WeightsError
        The recipe asks for what there is not.
    """
    from workbench import weights
    from workbench.nets.vit import Pooled

    how = str(recipe.get("pooling") or "cls") if wanted == "auto" else wanted
    net = build_network(found)
    with weights.blaming(found.path):
        return (net if how == "cls" else Pooled(net, how)), how


def build_network(found: WeightsFile) -> VisionTransformer:
    """The network with its weights, on the CPU in float32."""
    from workbench import weights
    from workbench.nets.vit import VisionTransformer, infer_config
    from workbench.slide.predict.view import SIZE

    state = {k: v.float() if v.is_floating_point() else v for k, v in weights.load_tensors(found).items()}
    with weights.blaming(found.path):
        heads = found.meta.get("net", {}).get("num_heads")
        config = infer_config(state, heads)
        if config["channels"] != 3 or SIZE % config["patch_size"]:
            raise WeightsError(
                f"a network for {config['channels']} channels and patches of {config['patch_size']} pixels; expected "
                f"3 channels, and patches that divide {SIZE} pixels"
            )
        net = VisionTransformer(**config)
        own = net.state_dict()
        if missing := sorted(own.keys() - state.keys()):
            raise WeightsError(f"lacks {len(missing)} entries of a ViT, first {missing[0]}")
        if more := sorted(state.keys() - own.keys()):
            raise WeightsError(f"has {len(more)} entries that a plain ViT has not, first {more[0]}")
        net.load_state_dict(state)
    return net
