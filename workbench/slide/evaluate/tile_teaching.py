"""An encoder of the size of the demo weights, taught on the pictures of a comparison without their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.types import Case, Progress
from workbench.slide.evaluate.tile_sets import TileSet
from workbench.slide.predict.view import SIZE

LIKE_DEMO: dict[str, Any] = {
    "net": "tiny", "depth": 4, "batch": 32, "local_crops": 2, "global_size": 112, "global_scale": (0.15, 0.5),
    "local_size": 64, "local_scale": (0.05, 0.15), "stain": 0.2, "out_dim": 1024, "hidden_dim": 512, "bottleneck": 128,
    "teacher_temp": 0.04, "lr": 0.004, "momentum": 0.99, "drop_path": 0.0, "freeze_last": 0.02,
}  # fmt: skip
"""The network and the settings of the demo weights."""
POOLING = "mean"
"""As for the demo weights."""
_MPP = 0.5
"""Taken for granted: pictures of sets do not say it, and their own pixels are what counts here."""


def teach_on(sets: Sequence[TileSet], out: Path, steps: int, progress: Progress | None = None) -> Path:
    """Teach (DINO, arXiv 2104.14294) on all pictures, in squares of 224 pixels that overlap by three quarters.

    Weights that are there, of the same pictures and steps, are taken.
    """
    from workbench import weights
    from workbench.core.settings import build
    from workbench.slide.train.settings import SlideTrainConfig
    from workbench.slide.train.train import train_dino

    cases = [Case(f"{one.name}-{i}", file) for one in sets for i, file in enumerate(one.files)]
    if out.is_file():
        told = weights.read_meta(out).get("training") or {}
        if told.get("slides") == [c.id for c in cases] and told.get("steps") == steps:
            return out
    config = build(SlideTrainConfig, {
        **LIKE_DEMO, "steps": steps, "given_mpp": _MPP, "mpp": _MPP, "tile": SIZE, "stride": SIZE // 4,
        "min_tissue": 0.0, "val_fraction": 0.0, "device": "cpu", "overwrite": True,
    })  # fmt: skip
    train_dino(cases, config, out, None if progress is None else lambda e: progress(e.step, e.steps))
    meta = {k: v for k, v in weights.read_meta(out).items() if k not in ("hashes", "format")}
    meta["recipe"] = {**meta["recipe"], "pooling": POOLING}
    return weights.save(out, weights.load_tensors(out), meta)
