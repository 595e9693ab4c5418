"""The page of a pre-training: scores beside what needs no training, the curve, the crops it saw, how it was made."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.report import html
from workbench.report.training import course, how_it_was_made
from workbench.slide.train.augment import as_tensor
from workbench.slide.train.batches import views
from workbench.slide.train.settings import SlideTrainConfig
from workbench.slide.train.tiles_of import TileSource
from workbench.slide.train.validate import FOUND, KNN, SPREAD
from workbench.training.loop import FitResult

_SHOWN = 4


def write_report(path: Path, out: Path, meta: Mapping[str, Any], result: FitResult, train: TileSource) -> Path:
    """Write the HTML report of a training.

    Parameters
    ----------
    path, out
        HTML file to write, and the weight file it is about.
    meta
        Its record.
    train
        Tiles that were learnt from: crops of some are shown as the network saw them.
    """
    training, scores = meta["training"], meta["scores"]
    tiles = {k: scores.get(k, math.nan) for k in (KNN, FOUND, SPREAD) if k in scores}
    tiles |= {"tiles": training["tiles"], "minutes": round(training["seconds"] / 60, 1), "ended": result.stopped}
    parts: list[html.Part] = [html.Tiles(tiles), html.Text(f"Validated {training['validation']}.")]
    parts += [html.Text(f"{note}.", "warning") for note in training["notes"]]
    if scores:
        names = [n for n in (KNN, FOUND, SPREAD) if n in scores]
        rows = [[n, scores[n], scores[f"untrained {n}"], scores.get(f"colour histogram, {n}", math.nan)] for n in names]
        parts.append(html.Table(["measure", "trained", "before", "colour histogram"], rows))
    sections = [html.Section("Result", parts)]
    if result.history:
        png = course(result.history, {n: n for n in (KNN, FOUND, SPREAD)}, ylabel="score", limits=(0, 1.02))
        sections.append(
            html.Section("Course", [html.Picture(png, "Loss, and scores of the teacher on held-out tiles.")])
        )
    picture = _views(train, SlideTrainConfig(**{k: _plain(v) for k, v in training["settings"].items()}))
    caption = "Tiles and crops of them as the network saw them: two large, then small ones."
    sections.append(html.Section("What it saw", [html.Picture(picture, caption)]))
    sections.append(how_it_was_made(out, meta, ("Preparation of tiles", "recipe"), ("notes",)))
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _views(train: TileSource, config: SlideTrainConfig) -> bytes:
    """PNG: a row for each of some tiles, itself first, then its crops in the first step."""
    from PIL import Image as Pillow

    numbers = np.linspace(0, len(train) - 1, min(_SHOWN, len(train))).astype(np.int64)
    pixels = train.read(numbers)
    large, small = views(as_tensor(pixels), config, 0)
    side = 128
    shown = [_scaled(as_tensor(pixels).float() / 255, side)]
    shown += [_scaled(x / 2 + 0.5, side) for x in (*large, *small[:4])]
    grid = torch.cat([torch.cat(list(column), 1) for column in shown], 2).permute(1, 2, 0)
    buffer = io.BytesIO()
    Pillow.fromarray((grid * 255).round().clamp(0, 255).to(torch.uint8).numpy()).save(buffer, "png")
    return buffer.getvalue()


def _scaled(x: torch.Tensor, side: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(x, size=(side, side), mode="bilinear", antialias=True)
