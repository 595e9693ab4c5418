"""A tiny problem for the loop; run as a script it trains slowly, so that a test can kill it."""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from workbench.training.loop import FitResult, LoopSettings, fit

SETTINGS = LoopSettings(steps=40, lr=0.05, validate_every=8, save_every=4, ema=0.9, seed=3)


def make_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))


def draw(step: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1000 + step)
    x = torch.randn(16, 4, generator=g)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]])


def loss_of(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def validate(model: nn.Module) -> dict[str, float]:
    x, y = draw(-1)
    return {"score": -float(nn.functional.mse_loss(model(x), y).detach())}


def run(folder: Path | None, *, settings: LoopSettings = SETTINGS, resume: bool = False, on_event=None) -> FitResult:
    return fit(make_net(), draw, loss_of, settings, validate=validate, folder=folder, resume=resume, on_event=on_event)


if __name__ == "__main__":

    def slowly(event: object) -> None:
        print(event.step, flush=True)
        time.sleep(0.05)

    run(Path(sys.argv[1]), on_event=slowly)
