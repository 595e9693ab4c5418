"""The page of a training of pages: scores before and after, the curve, a page, how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.preview import png_of
from workbench.page.net.page_net import FINER
from workbench.page.train.taught import TaughtPage
from workbench.report import html
from workbench.report.training import course, how_it_was_made
from workbench.training.loop import FitResult

_WIDEST = 1600
_LINE, _SEEN = (0, 170, 60), (230, 20, 60)


def write_report(
    path: Path, out: Path, meta: Mapping[str, Any], result: FitResult, shown: TaughtPage,
    seen: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
) -> Path:  # fmt: skip
    """Write the HTML report.

    Parameters
    ----------
    path, out
        HTML file to write, and the weight file it is about.
    meta
        Its record.
    shown, seen
        A page, and where the network saw traces on it before and after, ``(rows, 2 * columns)``.
    """
    training, scores = meta["training"], meta["scores"]
    names = [n for n in scores if not n.startswith("before ")]
    tiles = {n: scores[n] for n in names} | {
        "pages": training["pages"], "seconds": training["seconds"], "ended": result.stopped,
    }  # fmt: skip
    parts: list[html.Part] = [html.Tiles(tiles), html.Text(f"Validated {training['validation']}.")]
    parts += [html.Text(f"{note}.", "warning") for note in training["notes"]]
    rows = [[n, scores[n], scores.get(f"before {n}", math.nan)] for n in names]
    parts.append(html.Table(["measure", "trained", "before"], rows))
    sections = [html.Section("Result", parts)]
    if result.history:
        png = course(result.history, {n: n for n in names}, ylabel="score", limits=(0, 1.02))
        sections.append(html.Section("Course", [html.Picture(png, "Loss, and scores on what was kept apart.")]))
    where = "that was kept apart" if training["held_out_pages"] else "that taught the weights"
    said = f"A page {where}, laid flat. Green: corrected lines; red: where the network sees traces"
    pictures = [
        html.Picture(png_of(overlay(shown, found)), f"{said} {when} the training.")
        for found, when in zip(seen, ("before", "after"), strict=True)
    ]
    sections.append(html.Section("A page", pictures))
    sections.append(how_it_was_made(out, meta, ("Preparation of pages", "recipe"), ("notes",)))
    return html.write(path, f"Training of {out.stem}", sections, subtitle="Research use only.")


def overlay(page: TaughtPage, seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """A flat page, paler, with its lines and with what was seen: ``(rows, columns, 3)``, at most 1600 wide."""
    out = (page.pixels // 2 + 127).astype(np.uint8)
    out[(page.trace > 127).reshape(*out.shape[:2], FINER).any(axis=2)] = _LINE
    out[seen.reshape(*out.shape[:2], FINER).any(axis=2)] = _SEEN
    step = -(-out.shape[1] // _WIDEST)
    return np.ascontiguousarray(out[::step, ::step])
