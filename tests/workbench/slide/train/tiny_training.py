"""The smallest training that is one; run as a script it says its steps, so that a test can kill it."""

import sys
from pathlib import Path

from tests.stained_slides import make_cases
from workbench.core.settings import build
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.train import SlideTrainReport, train_dino

SETTINGS = {
    "device": "cpu", "net": "tiny", "depth": 1, "tile": 96, "batch": 4, "steps": 6, "local_crops": 1, "out_dim": 64,
    "hidden_dim": 64, "bottleneck": 32, "val_tiles": 16, "validate_every": 3, "lr": 0.05, "momentum": 0.9, "seed": 5,
    "val_fraction": 0.34, "save_as": "float32",
}  # fmt: skip


def config(**changes: object) -> SlideTrainConfig:
    return build(SlideTrainConfig, {**SETTINGS, **changes})


def run(folder: Path, on_step=None, **changes: object) -> SlideTrainReport:
    folder.mkdir(exist_ok=True)
    return train_dino(make_cases(folder), config(**changes), folder / "net.safetensors", on_step)


if __name__ == "__main__":
    run(Path(sys.argv[1]), lambda event: print(event.step, flush=True))
