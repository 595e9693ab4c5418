"""The settings of a pre-training on slides: keyword arguments, flags and form. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from workbench.core.agreement import force_setting
from workbench.core.errors import UsageError
from workbench.core.settings import setting

PATCH = 16
NETS: dict[str, dict[str, Any]] = {
    "tiny": {"image_size": 224, "patch_size": PATCH, "dim": 192, "depth": 12, "num_heads": 3},
    "small": {"image_size": 224, "patch_size": PATCH, "dim": 384, "depth": 12, "num_heads": 6},
    "base": {"image_size": 224, "patch_size": PATCH, "dim": 768, "depth": 12, "num_heads": 12},
}
"""Vision transformers that are made from scratch: ViT-Ti/16, ViT-S/16, ViT-B/16."""


@dataclass(frozen=True)
class SlideTrainConfig:
    """How to teach a network what the tiles of slides look like, without labels (DINO, arXiv 2104.14294).

    Numbers that are not said otherwise are those of the paper.
    """

    weights: str = setting(
        "none", "none to start from scratch, or weights to go on from: demo, a name or a file; for probe and mil the "
        "encoder, and none is demo",
    )  # fmt: skip
    device: str = setting("auto", "auto, cpu, cuda, cuda:N or mps")
    objective: Literal["dino", "probe", "mil"] = setting(
        "dino",
        "dino: two networks agree on crops of the same tile, no labels needed; probe: classes of tissue from a few "
        "marked regions, on the embeddings of an encoder; mil: labels of whole slides, by attention over their tiles",
    )
    net: Literal["tiny", "small", "base"] = setting(
        "small", "network made from scratch: ViT-Ti/16 (5.5 million parameters), ViT-S/16 (22) or ViT-B/16 (86)"
    )
    depth: int = setting(0, "blocks of a network made from scratch; 0: 12", low=0, high=48, advanced=True)
    mpp: float = setting(0.5, "micrometres per pixel of tiles", unit="um", low=0.05, high=20.0)
    tile: int = setting(256, "side of tiles", unit="pixels", low=64, high=4096)
    stride: int = setting(0, "distance from one tile to the next; 0: side by side", unit="pixels", low=0)
    tiles_per_slide: int = setting(2000, "most tiles of a slide, drawn at random from its tissue", low=1)
    min_tissue: float = setting(0.5, "share of a tile that must be tissue; 0: every tile", low=0.0, high=1.0)
    given_mpp: float | None = setting(
        None, "micrometres per pixel of slides that do not say how large their pixels are", unit="um", low=0.02,
        high=20.0,
    )  # fmt: skip
    allow_upsample: bool = setting(False, "enlarge slides that were scanned more coarsely than mpp")
    stain_profile: str = setting(
        "", "file of 'workbench stains': slides are brought to these colours; give it to predict, too", names_file=True
    )
    epochs: float = setting(100.0, "passes over the tiles", low=0.0)
    steps: int = setting(0, "optimiser steps instead of epochs; 0: as epochs says", low=0)
    batch: int = setting(64, "tiles per step", low=2)
    lr: float = setting(5e-4, "highest learning rate for 256 tiles per step; it goes with batch", low=1e-8, high=1.0)
    max_minutes: float = setting(
        0.0, "stop after this time, with the schedules at their end; 0: no limit", unit="minutes", low=0
    )
    val_fraction: float = setting(0.2, "share of the groups (slides, patients) to validate on", low=0.0, high=0.9)
    resume: bool = setting(False, "continue an interrupted training of the same settings")
    overwrite: bool = setting(False, "replace weights, and the state of a training, that are already at the output")
    force: bool = force_setting()
    seed: int = setting(0, "decides the split, the tiles, the crops and the first weights", low=0)
    pooling: Literal["auto", "cls", "mean", "both"] = setting(
        "auto", "what stands for a tile, for probe and mil; see predict", advanced=True
    )
    probe: Literal["logistic", "knn"] = setting(
        "logistic", "how a probe tells classes apart: logistic regression, or the vote of the most similar tiles"
    )
    min_marked: float = setting(
        0.5, "share of a tile that an outline must cover to mark it, for a probe", low=0.01, high=1.0
    )
    label_column: str = setting("label", "column of the list with the label of each slide, for mil")
    folds: int = setting(5, "parts that judge each other, patients kept whole, for mil", low=2, high=20)
    bag_epochs: int = setting(60, "most passes over the slides, for mil", low=1, high=10_000)
    bag_lr: float = setting(3e-4, "learning rate, for mil", low=1e-8, high=1.0, advanced=True)
    local_crops: int = setting(8, "small crops of a tile, besides two large ones", low=0, high=32)
    global_scale: tuple[float, float] = setting(
        (0.4, 1.0), "smallest and largest share of a tile in a large crop", low=0.01, high=1.0, advanced=True
    )
    local_scale: tuple[float, float] = setting(
        (0.05, 0.4), "smallest and largest share of a tile in a small crop", low=0.01, high=1.0, advanced=True
    )
    global_size: int = setting(
        224, "side of large crops; smaller ones are faster, with scales to match", unit="pixels", low=32, high=448,
        advanced=True,
    )  # fmt: skip
    local_size: int = setting(96, "side of small crops", unit="pixels", low=16, high=448, advanced=True)
    hue: float = setting(
        0.01, "turn of hue, in turns; weak, since the colour of a stain is what is to be seen", low=0.0, high=0.5,
        advanced=True,
    )  # fmt: skip
    stain: float = setting(
        0.15, "change of the strength of a stain, as a share of its optical density", low=0.0, high=0.9, advanced=True
    )
    solarise: float = setting(
        0.02, "share of the second large crops that are solarised", low=0.0, high=1.0, advanced=True
    )
    out_dim: int = setting(
        4096, "outputs of the projection (the paper has 65536, for a million pictures)", low=2, advanced=True
    )
    hidden_dim: int = setting(2048, "width of the projection", low=2, advanced=True)
    bottleneck: int = setting(256, "width of the projection before its last layer", low=2, advanced=True)
    student_temp: float = setting(0.1, "temperature of the student", low=0.01, high=1.0, advanced=True)
    teacher_temp_start: float = setting(0.04, "temperature of the teacher at first", low=0.005, high=1.0, advanced=True)
    teacher_temp: float = setting(
        0.07, "temperature of the teacher after its warm-up; lower is sharper", low=0.005, high=1.0, advanced=True
    )
    teacher_warmup: float = setting(
        0.3, "share of the training in which that temperature rises", low=0.0, high=1.0, advanced=True
    )
    momentum: float = setting(
        0.996, "share of the teacher kept per step, rising to 1; less for short trainings", low=0.0, high=1.0,
        advanced=True,
    )  # fmt: skip
    centre_momentum: float = setting(0.9, "share of the centre kept per step", low=0.0, high=0.9999, advanced=True)
    weight_decay: float = setting(0.04, "decay of the weights at first", low=0.0, high=1.0, advanced=True)
    end_weight_decay: float = setting(0.4, "decay of the weights at the end", low=0.0, high=1.0, advanced=True)
    warmup: float = setting(
        0.1, "share of the training over which the learning rate rises", low=0.0, high=0.9, advanced=True
    )
    end_lr: float = setting(1e-6, "learning rate at the end", low=0.0, high=1.0, advanced=True)
    freeze_last: float = setting(
        0.01, "share of the training in which the last layer of the projection is fixed", low=0.0, high=1.0,
        advanced=True,
    )  # fmt: skip
    clip: float = setting(3.0, "largest norm of the gradient; 0: any", low=0.0, advanced=True)
    drop_path: float = setting(0.1, "stochastic depth of the student", low=0.0, high=0.9, advanced=True)
    validate_every: int = setting(0, "steps between validations; 0: ten times in all", low=0, advanced=True)
    val_tiles: int = setting(256, "most tiles to validate on, the same every time", low=2, advanced=True)
    precision: Literal["float32", "bfloat16"] = setting("float32", "arithmetic of the training", advanced=True)
    save_as: Literal["float16", "float32"] = setting("float16", "numbers in the weight file", advanced=True)

    def net_config(self) -> dict[str, Any]:
        """Arguments of the `workbench.nets.vit.VisionTransformer` that is made from scratch."""
        return {**NETS[self.net], **({"depth": self.depth} if self.depth else {})}


def require_sense(config: SlideTrainConfig) -> None:
    """Refuse settings that leave nothing to do, or cannot go together.

    Raises
    ------
    UsageError
        One line says which, and what would do.
    """
    for name in ("global_scale", "local_scale"):
        low, high = getattr(config, name)
        if low > high:
            raise UsageError(f"{name}={low:g} {high:g}: the first must not be larger than the second")
    for name in ("global_size", "local_size"):
        if getattr(config, name) % PATCH:
            raise UsageError(f"{name}={getattr(config, name)}: expected a multiple of the patch, {PATCH} pixels")
    if not config.steps and not config.epochs:
        raise UsageError("steps=0 and epochs=0 leave nothing to train: give one of them")
    if config.teacher_temp >= config.student_temp or config.teacher_temp_start >= config.student_temp:
        raise UsageError(
            f"teacher_temp_start={config.teacher_temp_start:g}, teacher_temp={config.teacher_temp:g}: both must be "
            f"below student_temp={config.student_temp:g}, or the networks agree on nothing at all (collapse)"
        )
    if config.weights != "none" and config.depth:
        raise UsageError(f"depth={config.depth} is for weights=none; the weights given have their own network")
    rate = config.lr * config.batch / 256
    if config.end_lr > rate:
        raise UsageError(
            f"end_lr={config.end_lr:g} is above the highest learning rate, lr x batch / 256 = {rate:g}; lower end_lr"
        )
