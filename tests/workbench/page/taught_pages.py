"""Drawn pages as files to learn from and to be scored on: a picture, its true lines, its record."""

from dataclasses import replace

import numpy as np
from PIL import Image as Pillow

from workbench.core.lines import Lines
from workbench.core.types import Case
from workbench.data.lines import write_lines
from workbench.page.data.write_signals import write_csv
from workbench.page.draw.render import render
from workbench.page.draw.simulate import simulate
from workbench.page.draw.styles import random_style
from workbench.page.predict.grid import find_grid
from workbench.page.traces import LEAD, ORIGIN, STRIP, WAS_READ, Sheet, turned

BLUE = {
    "paper": (0.93, 0.95, 1.0), "minor": (0.62, 0.70, 0.90), "major": (0.35, 0.45, 0.80), "ink": (0.40, 0.48, 0.78),
    "pen": 0.3, "grid": "lines", "minor_width": 0.15, "major_width": 0.3,
}  # fmt: skip
"""Blue traces on a blue grid: the demo weights hardly see them."""


def blue_page(seed, dpi=100.0, **more):
    """Three leads of 4 s below each other, on little paper; `more` is as in `Style`."""
    style = random_style(np.random.default_rng(seed), maker="F", layout="3x1", clean=True)
    own = {"size": (135.0, 90.0), "grid_from": (5.0, 5.0, 130.0, 85.0), "start": 20.0, "first_row": 23.0,
           "last_row": 67.0, "seconds": 4.0, "head": (), "foot": "", "label": "above"}  # fmt: skip
    return render(simulate(seed), replace(style, **own, **{**BLUE, **more}), dpi=dpi, seed=seed)


def true_lines(page, turn=0):
    """The lines of a page as a person who makes no mistake would leave them; of a picture turned back by quarters."""
    grid, style = find_grid(page.pixels), page.style
    shape = page.pixels.shape[:2] if turn % 2 == 0 else page.pixels.shape[1::-1]
    seconds = (style.seconds / style.layout.columns, style.seconds)
    sheet = Sheet(grid, shape, turn, style.speed, style.gain, page.signals.sampling_rate, seconds)
    points, rows = [], []
    for lead in page.leads:
        points.append(turned(lead.line[np.isfinite(lead.line).all(axis=1)], -turn, shape) + 0.5)
        start = grid.to_paper(page.to_pixels(np.array([[lead.start, lead.baseline]])))[0, 0]
        origin = float(start) - lead.samples[0] / page.signals.sampling_rate * style.speed
        rows.append((lead.cell.lead, lead.cell.is_strip, origin, True))
    features = {key: tuple(row[n] for row in rows) for n, key in enumerate((LEAD, STRIP, ORIGIN, WAS_READ))}
    return Lines.from_points(points, features=features, name="traces", about=sheet.to_json())


def save_page(page, folder, name, *, lines=True, record=True):
    """The case of a page in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{name}.png"
    Pillow.fromarray(page.pixels).save(picture)
    if lines:
        write_lines(true_lines(page), folder / f"{name}.geojson")
    if record:
        signals = page.signals
        write_csv(np.asarray(signals.data, float), signals.channels, signals.sampling_rate, folder / f"{name}.csv")
    return Case(name, picture, folder / f"{name}{'.geojson' if lines else '.csv'}", name, {"kind": "page"})
