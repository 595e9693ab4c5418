"""StainNet: embeddings of the tiles of a slide, by a vision transformer that was taught on stains of many kinds.

J. Li et al., "StainNet", arXiv 2512.10326 (ViT-S/16 and ViT-B/16). Its weights are theirs (CC-BY-NC-ND 4.0): they are
fetched by whoever wants them, and never come with the workbench.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.core.types import Case, Image, Progress, Result
from workbench.slide.predict.model import Model
from workbench.slide.settings import Config, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch

    from workbench.core.contract import PiecesOf
    from workbench.slide.train.train import SlideTrainReport
    from workbench.training.loop import Event

__all__ = ["Config", "TrainConfig", "load", "predict", "train"]

NAME = "stainnet"


def describe_weights(meta: Mapping[str, Any]) -> str:
    """What weights were taught on and give, in a line, from their record."""
    net, recipe = meta.get("net") or {}, meta.get("recipe") or {}
    if names := [str(c.get("name")) for c in meta.get("classes") or ()]:
        what = "labels of slides" if meta.get("kind") == "slide classes" else "classes of tiles"
        return f"{what} ({', '.join(names)}), taught on embeddings of {meta.get('base')}"
    parts = [f"{net['dim']} numbers per tile" if net.get("dim") else "embeddings of tiles"]
    if recipe.get("tile") and recipe.get("mpp"):
        parts.append(f"taught on {recipe['tile']} pixels at {recipe['mpp']:g} um per pixel")
    title = f"{meta['title']}: " if meta.get("title") else ""
    return title + ", ".join(parts)


def weights_hash(config: Config) -> str:
    """Hash of the weights that `load` would take, without loading them."""
    from workbench.slide.predict.load import find_weights

    return find_weights(config).sha256


def load(config: Config, device: torch.device) -> Model:
    """Find, check and load the weights.

    Raises
    ------
    WeightsError
        Not found, made for another backend, not plain data, or not a plain ViT for colour images of 224 pixels.
    UsageError
        Weights and an encoder were given, or timm is not installed for one.
    """
    from workbench.slide.predict.load import load_model

    return load_model(config, device)


def predict(
    model: Model, image: Image, config: Config, progress: Progress | None = None, pieces: PiecesOf | None = None
) -> Result:
    """Embed the tiles of a slide; see `workbench.slide.predict.slide.embed_slide`."""
    from workbench.slide.predict.slide import embed_slide

    return embed_slide(model, image, config, progress, pieces)


def train(
    cases: Sequence[Case], config: TrainConfig, out: Path, on_step: Callable[[Event], None] | None = None
) -> SlideTrainReport:
    """Teach an encoder without labels (``dino``), classes of tiles (``probe``) or labels of slides (``mil``).

    See `workbench.slide.train.train.train_dino`, `workbench.slide.train.probe.train_probe` and
    `workbench.slide.train.mil.train_mil`.
    """
    if config.objective == "probe":
        from workbench.slide.train.probe import train_probe

        return train_probe(cases, config, out, on_step)
    if config.objective == "mil":
        from workbench.slide.train.mil import train_mil

        return train_mil(cases, config, out, on_step)
    from workbench.slide.train.train import train_dino

    return train_dino(cases, config, out, on_step)
